//! What a server shows and says, judged: every view when it is published, every message of raft when it leaves, and
//! once a second what is too dear to judge more often.

use super::event::Event;
use super::invariant::{self, Checked, promise, raft, store, watch};
use super::marks::Mark;
use super::server::{Process, Readable, Server, Shown};
use super::verdict::Violation;
use super::world::{Centre, SECOND, World};
use crate::oracle::{Committed, Progress};
use lictor_core::command::Command;
use lictor_core::ids::{ReqId, ServerId};
use lictor_core::raft::{Body, Membership, Message, Payload};
use lictor_core::store::{Applied, Store};
use lictor_core::time::Duration;
use lictor_core::view::View;
use std::sync::Arc;

impl World {
    /// A view is published: everything that it claims is checked.
    pub(super) fn on_view(&mut self, slot: usize, process: &Process) {
        let checked = self.check_view(slot, &process.view);
        self.check(checked);
    }

    fn check_view(&mut self, slot: usize, view: &Arc<View>) -> Checked {
        let id = self.servers[slot].id.clone();
        let centre = self.centre_of(slot);
        let before = self.servers[slot].shown;
        let status = &view.raft.status;
        let now = Shown {
            term: view.raft.term.0,
            commit: status.commit_index.0,
            applied: view.raft.applied.0,
            leads: view.raft.is_leader,
        };
        raft::nothing_runs_backwards(&id, before, now)?;
        self.servers[slot].shown = now;
        if now.leads && (!before.leads || before.term != now.term) {
            let seen = &mut self.centres[centre].seen;
            let newest = seen.newest_term();
            if raft::election_safety(seen, now.term, &id)? && newest > 0 {
                self.marks.hit(Mark::LeaderChanged);
            }
            raft::leader_completeness(
                &self.centres[centre].seen,
                &self.servers[slot].shadow,
                &id,
                now.term,
                0,
            )?;
            let other_leads = |other: &Server| {
                other.slot != slot
                    && self.centre_of(other.slot) == centre
                    && other.is_awake()
                    && other.shown.leads
            };
            if self.servers.iter().any(other_leads) {
                self.marks.hit(Mark::TwoLeaders);
            }
            self.line(slot, || format!("leads term {}", now.term));
        }
        if before.leads && !now.leads {
            self.marks.hit(Mark::LeaderDeposed);
        }
        if before.leads && now.leads && before.term == now.term && now.commit > before.commit {
            raft::commits_its_own_term(&self.servers[slot].shadow, &id, now.term, now.commit)?;
        }
        if now.leads {
            raft::one_change_at_a_time(&self.servers[slot].shadow, &id, now.term, now.commit)?;
        }
        self.check_lease(slot, &id, view)?;
        self.check_readable(slot, view)?;
        if now.commit > before.commit {
            self.check_commit(slot, &id, before.commit, now)?;
        }
        if now.applied > before.applied {
            let progress = Progress { server: slot as u32, at: self.now, index: now.applied };
            self.centres[centre].run.progress.push(progress);
            self.on_applied(slot, before.applied, now.applied, view)?;
        }
        Ok(())
    }

    fn check_lease(&self, slot: usize, id: &ServerId, view: &View) -> Checked {
        let mono = |server: &Server| server.clock.now(self.now).mono;
        if !promise::reads_by_lease(view, mono(&self.servers[slot])) {
            return Ok(());
        }
        // A process that is paused answers nobody.
        let others = self.servers.iter().filter(|other| {
            let reads = |process: &Process| promise::reads_by_lease(&process.view, mono(other));
            let same = self.centre_of(other.slot) == self.centre_of(slot);
            other.slot != slot && same && !other.paused && other.up.as_ref().is_some_and(reads)
        });
        promise::one_lease(id, view, others.map(|other| &other.id))
    }

    fn check_readable(&mut self, slot: usize, view: &View) -> Checked {
        let server = &mut self.servers[slot];
        if !server.serves() || !view.raft.caught_up {
            return Ok(());
        }
        let before = server.reads;
        server.reads = Readable { now: true, ever: before.ever.max(view.raft.applied.0), ..before };
        if before.now {
            return Ok(());
        }
        let patience = Duration::from_millis(300 * self.plan.knobs.multiplier) * 2;
        let silent = view.raft.last_contact.map(|at| server.clock.now(self.now).mono.since(at));
        promise::reads_when_caught_up(
            &server.id,
            view,
            before,
            silent.is_some_and(|silent| silent < patience),
        )
    }

    fn check_commit(&mut self, slot: usize, id: &ServerId, from: u64, now: Shown) -> Checked {
        let seen = &mut self.centres[self.plan.knobs.datacenter(slot)].seen;
        let known = seen.committed();
        let shadow = &self.servers[slot].shadow;
        raft::committed_for_ever(seen, shadow, id, from, (now.term, now.commit))?;
        if seen.committed() == known {
            return Ok(());
        }
        let older = self.servers[slot].disk.platter.membership();
        let seen = &self.centres[self.centre_of(slot)].seen;
        for index in known + 1..=seen.committed() {
            let Some(entry) = seen.entry(index) else { continue };
            // A leader counts by the newest membership in its log (thesis, 4.1); what was counted before that was
            // there stands too.
            let counted = |members: Option<&Membership>| {
                let members = members.or(older).cloned().unwrap_or_default();
                let counted = self.servers.iter().filter(|s| !self.is_surplus(s.slot));
                let platters = counted.map(|s| (&s.id, &s.disk.platter));
                let lost = self.operator.lost_voters(&members);
                raft::committed_on_quorum(entry, &members, lost, platters)
            };
            counted(shadow.membership()).or_else(|_| counted(shadow.membership_at(index)))?;
        }
        for other in self.servers.iter().filter(|other| self.centre_of(other.slot) == self.centre_of(slot)) {
            if other.shown.leads && other.shown.term > now.term {
                raft::leader_completeness(seen, &other.shadow, &other.id, other.shown.term, known)?;
            }
        }
        Ok(())
    }

    fn on_applied(&mut self, slot: usize, from: u64, upto: u64, view: &View) -> Checked {
        let Centre { run, seen, reference, restores, .. } =
            &mut self.centres[self.plan.knobs.datacenter(slot)];
        while reference.applied() < upto {
            let index = reference.applied() + 1;
            let Some(entry) = seen.entry(index) else {
                return Err(Violation::invariant(
                    "applied within commit",
                    format!("{index} is applied and was never committed"),
                ));
            };
            let done = reference.apply(entry);
            let shown = reference.shown();
            if matches!(entry.payload, Payload::Noop) {
                run.begun.push(shown);
            }
            if let Some((command, result)) = done {
                if matches!(&command, Command::Restore(part) if part.is_last()) && result == Applied::Ok {
                    restores.push(store::Restore { place: index, index: shown, at: self.now });
                    if shown > reference.at(index - 1).map_or(0, Store::applied) + 1 {
                        self.marks.hit(Mark::IndexJumped);
                    }
                }
                if reference.at(index).is_some_and(|store| store::was_there(store, &command)) {
                    self.marks.hit(Mark::WroteTheSame);
                }
                run.log.push(Committed { index: shown, at: self.now, command });
            }
        }
        // What came by snapshot instead of by log shows in the base of the log having moved past it.
        let by_snapshot =
            self.servers[slot].shadow.base() > from && view.raft.status.snapshot_index.0 == upto;
        if by_snapshot && !view.raft.is_leader && upto > from + 1 {
            self.marks.hit(Mark::SnapshotInstalled);
            if restores.iter().any(|restore| from < restore.place && restore.place < upto) {
                self.marks.hit(Mark::RestoredBySnapshot);
            }
        }
        if by_snapshot || upto.is_multiple_of(32) {
            store::equal_stores(reference, &self.servers[slot].id, &view.store)?;
        }
        Ok(())
    }

    /// The blocking reads that are parked when this view is the first of its server's to show a restored archive.
    pub(super) fn parked_at_a_restore(&self, slot: usize, before: &View, process: &Process) -> Vec<ReqId> {
        let (from, upto) = (before.raft.applied.0, process.view.raft.applied.0);
        let restores = &self.centres[self.centre_of(slot)].restores;
        if !restores.iter().any(|restore| from < restore.place && restore.place <= upto) {
            return Vec::new();
        }
        let parked = self.servers[slot].waiting.keys().copied();
        parked.filter(|req| process.front.is_parked(*req)).collect()
    }

    /// What is too dear to check after every event.
    pub(super) fn audit(&mut self) {
        let checked = self.check_all().and_then(|()| self.detection_is_bounded());
        self.check(checked);
        self.heap.push(self.now + SECOND, Event::Audit);
    }

    /// Every check over every running server.
    pub(super) fn check_all(&self) -> Checked {
        for server in &self.servers {
            if let Some(process) = &server.up {
                let reference = &self.centres[self.centre_of(server.slot)].reference;
                store::equal_stores(reference, &server.id, process.node.store())?;
                watch::queues_are_bounded(server, process)?;
            }
        }
        self.loss_is_borne()?;
        self.owners_do_not_wait()?;
        invariant::hold!(
            self.heap.len() < 1_000_000,
            "queues are bounded",
            "{} events are scheduled",
            self.heap.len()
        );
        Ok(())
    }

    pub(super) fn check_message(&mut self, slot: usize, to: &ServerId, message: &Message) -> Checked {
        let server = &self.servers[slot];
        let seen = &mut self.centres[self.plan.knobs.datacenter(slot)].seen;
        match message.body {
            Body::PreVoteReply { granted: true } => seen.pre_voted(&server.id, to, message.term.0),
            Body::Vote { transfer: false, .. } => {
                let members = server.shadow.membership().or(server.disk.platter.membership());
                let members = members.cloned().unwrap_or_default();
                raft::asks_before_it_stands(seen, &server.id, message.term.0, &members)?;
            }
            _ => {}
        }
        promise::promises_rest_on_the_disk(&server.id, to, message, &server.disk.platter)
    }
}
