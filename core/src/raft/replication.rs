//! Replication: proposals in, entries out, acknowledgements back, commit forward (section 3.5).

use super::effect::{Effect, ProposeError};
use super::entry::{Entry, LogId, Payload};
use super::log::Log;
use super::message::{Body, Message, Round};
use super::progress::{Mode, Progress, Transfer};
use super::{Config, Raft, State, quorum};
use crate::ids::{CallId, Index, ServerId};
use crate::time::Instant;
use alloc::vec::Vec;
use bytes::Bytes;

impl Raft {
    pub(super) fn on_propose(&mut self, call: CallId, command: Bytes) {
        let error = match self.may_append() {
            Err(error) => error,
            Ok(()) if command.len() > self.config.max_command_bytes => ProposeError::TooLarge,
            Ok(()) if self.bytes_under_way() >= self.config.max_uncommitted_bytes as u64 => {
                ProposeError::Busy
            }
            Ok(()) => return self.append_call(call, Payload::Command(command)),
        };
        self.effects.push_back(Effect::Rejected { call, error });
    }

    /// Bytes of entries that are not committed, or that the own disk has not taken: the others may commit without it,
    /// and what waits for a disk that is slow or stuck is in memory.
    fn bytes_under_way(&self) -> u64 {
        self.log.bytes_after(self.commit.min(self.cursor.log_flushed()))
    }

    /// Whether this server may append for a caller now.
    pub(super) fn may_append(&self) -> Result<(), ProposeError> {
        match &self.state {
            State::Leader(leader) if leader.handover.is_some() => Err(ProposeError::Transferring),
            State::Leader(_) if self.calls.len() >= self.config.max_waiting_calls => Err(ProposeError::Busy),
            State::Leader(_) => Ok(()),
            State::Follower | State::PreCandidate(_) | State::Candidate(_) => {
                Err(ProposeError::NotLeader { leader: self.leader.clone() })
            }
        }
    }

    /// Appends as leader, for a caller.
    pub(super) fn append_call(&mut self, call: CallId, payload: Payload) {
        let index = Index(self.log.last().index.0 + 1);
        let term = self.hard.term;
        self.calls.accepted(LogId { index, term }, call);
        self.effects.push_back(Effect::Accepted { call, index, term });
        self.append(Entry { index, term, payload });
    }

    /// Appends to the log in memory and to the batch for the disk.
    pub(super) fn append(&mut self, entry: Entry) {
        let membership = match &entry.payload {
            Payload::Membership(membership) => Some((entry.index, membership.clone())),
            Payload::Noop | Payload::Command(_) => None,
        };
        self.log.append(entry.clone());
        self.cursor.append(entry);
        if let Some((index, membership)) = membership {
            self.members.push(index, membership);
            self.on_members_changed();
        }
    }

    fn truncate_from(&mut self, from: Index) {
        invariant!(from > self.commit, "truncate {} committed {}", from, self.commit);
        self.log.truncate_from(from);
        self.cursor.truncate_from(from);
        if self.members.truncate_from(from) {
            self.on_members_changed();
        }
    }

    /// Sends everyone what may be sent: entries ahead of answers, pieces of snapshots, the commit.
    pub(super) fn replicate(&mut self) {
        let State::Leader(leader) = &mut self.state else { return };
        let (term, effects) = (self.hard.term, &mut self.effects);
        let (mut snapshots_in_use, mut snapshot_wanted) = (false, false);
        for (id, peer) in &mut leader.peers {
            let mut send = |body| {
                effects.push_back(Effect::Send { to: id.clone(), message: Message { term, body } });
            };
            while let Some(body) = next_append(peer, self.now, &self.log, self.commit, &self.config) {
                send(body);
            }
            if let Mode::Snapshot(slot) = &mut peer.mode {
                snapshots_in_use = true;
                if slot.is_none() {
                    *slot = self
                        .snapshots
                        .outgoing(self.log.base().index)
                        .map(|(m, d)| Transfer::new(self.now, m, d));
                }
                snapshot_wanted |= slot.is_none();
                if let Some(transfer) = slot {
                    let (size, window) = (self.config.snapshot_chunk_bytes, self.config.snapshot_window);
                    let total = transfer.data.len() as u64;
                    while let Some((offset, chunk)) = transfer.next_piece(size, window) {
                        send(Body::Snapshot { meta: transfer.meta.clone(), total, offset, chunk });
                    }
                }
            }
            let commit = self.commit.min(peer.matched);
            if matches!(peer.mode, Mode::Replicate(_)) && peer.told_commit < commit {
                peer.told_commit = commit;
                send(Body::Commit { upto: commit });
            }
        }
        self.snapshots.set_wanted(snapshot_wanted);
        if !snapshots_in_use {
            self.snapshots.forget_outgoing();
        }
    }

    /// Whether a leader has another entry where this log holds one that it knows to be committed. Raft excludes it; the
    /// disks of two servers that were each recovered by `peers.json` may differ all the same. Terms do not fall along a
    /// log, so a later term than that of the commit is another entry even where this log has been compacted.
    pub(super) fn contradicts(&self, id: LogId) -> bool {
        id.index <= self.commit
            && match self.log.term_at(id.index) {
                Some(term) => term != id.term,
                None => self.log.term_at(self.commit).is_some_and(|term| id.term > term),
            }
    }

    /// As follower of `from`: the entries behind `prev` are these.
    pub(super) fn on_append(&mut self, from: ServerId, prev: LogId, commit: Index, entries: Vec<Entry>) {
        if self.contradicts(prev) {
            return self.effects.push_back(Effect::Contradicted { at: prev.index });
        }
        self.heard_commit(commit);
        if prev.index < self.commit {
            // An old message: everything up to the commit is settled.
            return self.promise_log(from, Body::AppendOk { upto: self.commit });
        }
        if !self.log.contains(prev) {
            let hint = self.log.last_not_after(prev);
            return self.promise_term(from, Body::AppendConflict { prev: prev.index, hint });
        }
        let upto = Index(prev.index.0 + entries.len() as u64);
        if mutant!(self.config, TruncatesWithoutConflict) && self.log.last().index > upto {
            self.truncate_from(Index(upto.0 + 1));
        }
        for entry in entries {
            match self.log.term_at(entry.index) {
                Some(term) if term == entry.term => continue,
                Some(_) => self.truncate_from(entry.index),
                None => {}
            }
            self.append(entry);
        }
        self.follow_commit(commit.min(upto));
        if mutant!(self.config, AckBeforeFlush) {
            return self.send(from, Body::AppendOk { upto });
        }
        self.promise_log(from, Body::AppendOk { upto });
    }

    /// The leader has committed `upto`, and our log equals its log that far.
    pub(super) fn follow_commit(&mut self, upto: Index) {
        self.commit = self.commit.max(upto.min(self.log.last().index));
    }

    pub(super) fn on_append_ok(&mut self, from: &ServerId, upto: Index) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(peer) = leader.peers.get_mut(from) else { return };
        if upto > self.log.last().index {
            return;
        }
        peer.last_heard = Some(self.now);
        peer.matched = peer.matched.max(upto);
        peer.next = peer.next.max(Index(peer.matched.0 + 1));
        match &mut peer.mode {
            // An answer to an older question says nothing about where this probe stands.
            Mode::Probe { .. } if upto.0 + 1 < peer.next.0 => {}
            Mode::Probe { .. } => peer.replicate(),
            Mode::Replicate(window) => window.acked(self.now, upto),
            Mode::Snapshot(_) if peer.matched >= self.log.base().index => peer.replicate(),
            // What we sent has arrived, but the log has been compacted beyond it: send a newer one.
            Mode::Snapshot(slot) => {
                slot.take_if(|transfer| transfer.meta.index <= peer.matched);
            }
        }
        self.advance_commit();
        self.advance_handover(from);
    }

    pub(super) fn on_append_conflict(&mut self, from: &ServerId, prev: Index, hint: LogId) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(peer) = leader.peers.get_mut(from) else { return };
        peer.last_heard = Some(self.now);
        match &peer.mode {
            Mode::Probe { .. } if prev.0.checked_add(1) != Some(peer.next.0) => return,
            Mode::Probe { .. } if prev == peer.matched => {
                // It refuses what it acknowledged: it has lost its disk. Start from nothing.
                peer.matched = Index(0);
            }
            Mode::Replicate(_) if prev <= peer.matched => return,
            Mode::Snapshot(_) => return,
            Mode::Probe { .. } | Mode::Replicate(_) => {}
        }
        let common = self.log.last_not_after(hint).index.min(hint.index);
        peer.probe_from(Index((common.0 + 1).min(prev.0).max(1)));
    }

    pub(super) fn on_heartbeat_reply(&mut self, from: &ServerId, round: Round) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(peer) = leader.peers.get_mut(from) else { return };
        peer.last_heard = Some(self.now);
        peer.round = peer.round.max(round.min(leader.rounds.last()));
        self.resume(from);
        self.confirm_rounds();
        self.advance_handover(from);
    }

    /// A follower shows a sign of life: whatever seems lost is sent or asked for again.
    fn resume(&mut self, from: &ServerId) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(peer) = leader.peers.get_mut(from) else { return };
        let patience = self.config.heartbeat;
        match &mut peer.mode {
            Mode::Probe { asked } => {
                asked.take_if(|at| self.now >= *at + patience);
            }
            Mode::Snapshot(Some(transfer)) => transfer.on_alive(self.now, patience),
            Mode::Replicate(window) if window.is_overdue(self.now, patience) => {
                window.asked(self.now);
                // Its disk is slow, or something was lost. An empty message for the end of what was
                // sent tells: a gap is refused at once, and a lost answer is given again.
                let index = Index(peer.next.0 - 1);
                if let Some(term) = self.log.term_at(index) {
                    let prev = LogId { index, term };
                    self.send(from.clone(), Body::Append { prev, commit: self.commit, entries: Vec::new() });
                } else {
                    peer.mode = Mode::Snapshot(None);
                }
            }
            Mode::Snapshot(None) | Mode::Replicate(_) => {}
        }
    }

    /// Commits what a majority has on disk, once an entry of this term is among it (section 3.6.2).
    /// Our own part counts only as far as it is flushed.
    pub(super) fn advance_commit(&mut self) {
        let State::Leader(leader) = &self.state else { return };
        let flushed = self.cursor.log_flushed();
        let reached = quorum::reached(&self.members.latest().voters, |id| {
            if *id == self.config.id {
                flushed
            } else {
                leader.peers.get(id).map_or(Index(0), |peer| peer.matched)
            }
        });
        let own_term = self.log.term_at(reached) == Some(self.hard.term);
        if reached > self.commit && (own_term || mutant!(self.config, CommitsOldTerm)) {
            self.commit = reached;
            self.maybe_retire();
        }
    }
}

/// The next append message for `peer`, when it may get one. Notes that it is on its way.
fn next_append(peer: &mut Progress, now: Instant, log: &Log, commit: Index, config: &Config) -> Option<Body> {
    let may_send = match &peer.mode {
        Mode::Probe { asked } => asked.is_none(),
        Mode::Replicate(window) => {
            peer.next <= log.last().index && window.is_open(config.max_inflight, config.max_inflight_bytes)
        }
        Mode::Snapshot(_) => false,
    };
    if !may_send {
        return None;
    }
    let index = Index(peer.next.0 - 1);
    let Some(term) = log.term_at(index) else {
        peer.mode = Mode::Snapshot(None);
        return None;
    };
    let entries = log.batch(peer.next, config.max_batch_bytes);
    let last = Index(index.0 + entries.len() as u64);
    match &mut peer.mode {
        Mode::Probe { asked } => *asked = Some(now),
        Mode::Replicate(window) => {
            window.push(now, last, entries.iter().map(Entry::size).sum());
            peer.next = Index(last.0 + 1);
            peer.told_commit = peer.told_commit.max(commit.min(last));
        }
        Mode::Snapshot(_) => {}
    }
    Some(Body::Append { prev: LogId { index, term }, commit, entries })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Term;
    use crate::raft::{HardState, Image, Input, Membership, SnapshotMeta};
    use crate::rng::{Rng, Seed};

    /// A follower that was recovered by `peers.json` at (97, term 3).
    fn recovered() -> Raft {
        let voters = Membership::of_voters(["a".into(), "b".into()]);
        let id = LogId { index: Index(97), term: Term(3) };
        let meta = SnapshotMeta { index: id.index, term: id.term, membership: voters };
        let hard = HardState { term: Term(5), ..HardState::default() };
        let image = Image { hard, snapshot: Some(meta), log: Vec::new() };
        let config = Config::new("a".into());
        let rng = Rng::new(Seed::from_u64(1));
        Raft::boot(config, image, None, rng, Instant::ZERO).expect("a snapshot boots")
    }

    fn contradicts(prev: (u64, u64)) -> bool {
        let mut raft = recovered();
        let prev = LogId { index: Index(prev.0), term: Term(prev.1) };
        let body = Body::Append { prev, commit: Index(95), entries: Vec::new() };
        let input = Input::Message { from: "b".into(), message: Message { term: Term(5), body } };
        raft.handle(Instant::ZERO, input);
        core::iter::from_fn(|| raft.poll_effect()).any(|e| matches!(e, Effect::Contradicted { .. }))
    }

    #[test]
    fn a_leader_that_has_something_else_where_this_log_is_committed_is_not_followed() {
        assert!(contradicts((97, 4)), "the same place, another entry");
        assert!(contradicts((95, 4)), "no entry of term 4 can lie before one of term 3");
        assert!(!contradicts((97, 3)));
        assert!(!contradicts((95, 3)), "an old message");
        assert!(!contradicts((98, 4)), "what comes after is still open");
    }
}
