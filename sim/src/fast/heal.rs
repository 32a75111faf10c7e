//! The second phase: everything works again, so everything must work again, within bounded time.

use super::client::{Client, Role, ttl};
use super::event::Event;
use super::invariant::Checked;
use super::luck::Luck;
use super::marks::Mark;
use super::server::Process;
use super::verdict::{Kind, Violation};
use super::world::{MS, SECOND, World};
use crate::oracle::{Call, Mode, Registration, Target, Write};
use lictor_core::dns::{self, Outcome, Transport};
use lictor_core::rng::{Rng, Seed};
use std::collections::VecDeque;
use std::ops::Range;

/// How often progress is looked at.
const LOOK: u64 = 100 * MS;

impl World {
    /// Demands that a healed cluster works.
    pub(super) fn recover(&mut self) {
        self.quiet = true;
        self.heal();
        let election = self.plan.knobs.multiplier * SECOND;
        // A few lost elections, a transfer of a snapshot, and the membership changes one by one.
        let alone = if self.gossips() { 90 * SECOND } else { 0 };
        let bound = 20 * election + 30 * SECOND + alone;
        self.demand(bound, "one leader, and everybody caught up", World::is_settled);
        // A leader that has yet to notice that it is none does so within an election timeout.
        if self.violation.is_none() {
            self.run_until(self.now + 2 * election);
        }
        self.demand_gossip();
        self.demand(90 * SECOND, "a change of keys comes to its end", World::keys_rest);
        self.demand(bound, "one leader, and everybody caught up", World::is_settled);
        // A blocking read lasts at most 8.5 s by its server's clock.
        self.demand(25 * SECOND, "every request is answered or given up", World::nobody_waits);
        // After twice the TTL, by a clock that may be a third too slow.
        let sessions = 4 * ttl(&self.plan.knobs) + 20 * SECOND;
        self.demand(sessions, "sessions that nobody renews end", World::sessions_have_ended);
        if self.violation.is_some() {
            return;
        }
        self.probe_everybody();
        self.demand(40 * SECOND, "fresh writes and reads on every server", World::nobody_waits);
        self.demand_catalog();
        self.demand(20 * SECOND, "everybody caught up at the end", World::is_settled);
        if self.violation.is_none() {
            self.look_at_the_end();
            let checked = self.check_all().and_then(|()| self.ask_dns());
            self.check(checked);
        }
    }

    fn demand(&mut self, bound: u64, rule: &str, done: fn(&World) -> bool) {
        let end = self.now + bound;
        while self.violation.is_none() && !done(self) {
            if self.now >= end {
                let what = format!("not within {} s after the healing; {}", bound / SECOND, self.standing());
                return self.fail(Violation::new(Kind::Liveness, rule, what));
            }
            self.run_until(self.now + LOOK);
            if !self.gossips() {
                self.restore_membership();
            }
        }
    }

    /// These servers vote in the end: the founders, or whoever autopilot finds.
    fn voters(&self, centre: usize) -> Range<usize> {
        match centre {
            0 if self.gossips() => 0..self.plan.knobs.slots(),
            0 => 0..self.plan.knobs.servers as usize,
            _ => self.plan.knobs.near()..self.plan.knobs.hosts(),
        }
    }

    fn is_settled(&self) -> bool {
        (0..self.centres.len()).all(|centre| self.centre_is_settled(centre))
    }

    /// One leader, its membership as planned, everybody at its index.
    fn centre_is_settled(&self, centre: usize) -> bool {
        let Some(leader) = self.leader_of(centre) else { return false };
        let Some(process) = &self.servers[leader].up else { return false };
        let status = &process.view.raft.status;
        let founders = &self.servers[self.voters(centre)];
        let members = &status.membership;
        let all_vote = founders.iter().all(|s| members.is_voter(&s.id));
        let exact = members.voters.len() == founders.len() && members.learners.is_empty();
        let applied = process.view.raft.applied;
        let equal = founders.iter().all(|s| s.up.as_ref().is_some_and(|p| p.view.raft.applied == applied));
        let one = founders.iter().filter(|s| s.shown.leads).count() == 1;
        one && all_vote && exact && equal && self.operator.is_idle() && status.last_index == applied
    }

    fn sessions_have_ended(&self) -> bool {
        let have_ended = |centre| {
            let leader = self.leader_of(centre).and_then(|slot| self.servers[slot].up.as_ref());
            let lives =
                |process: &Process| process.node.store().sessions().any(|s| s.time_to_live().is_some());
            leader.is_some_and(|process| !lives(process))
        };
        (0..self.centres.len()).all(have_ended)
    }

    fn nobody_waits(&self) -> bool {
        let idle = |c: &Client| c.under.is_none() && !matches!(&c.role, Role::Script(s) if !s.is_empty());
        self.clients.iter().all(idle) && self.servers.iter().all(|s| s.waiting.is_empty())
    }

    fn standing(&self) -> String {
        let one = |s: &super::server::Server| {
            let role = if s.shown.leads { "leads" } else { "follows" };
            format!(
                "n{} {role} term {} last {} commit {} applied {} waiting {}",
                s.slot + 1,
                s.shown.term,
                s.shadow.last().0,
                s.shown.commit,
                s.shown.applied,
                s.waiting.len()
            )
        };
        let servers: Vec<String> = self.servers.iter().map(one).collect();
        let membership = self.leader().and_then(|l| self.servers[l].up.as_ref()).map(|p| {
            let m = &p.view.raft.status.membership;
            format!("; voters {:?} learners {:?}", m.voters, m.learners)
        });
        servers.join("; ") + &membership.unwrap_or_default()
    }

    /// One client per founder and agent, and per datacenter, writes and reads through it.
    fn probe_everybody(&mut self) {
        (0..self.centres.len()).for_each(|centre| self.probe_centre(centre));
    }

    fn probe_centre(&mut self, centre: usize) {
        let founders = 0..self.plan.knobs.servers as usize;
        let agents = self.plan.knobs.slots()..self.servers.len();
        let outside = self.outsiders();
        for slot in founders.chain(agents) {
            if self.servers[slot].up.is_none() || outside.contains(&slot) {
                continue;
            }
            let key = format!("fresh/{slot}");
            let read = |target: Target, mode| Call::Read { target, mode, wait: None };
            let register = Registration {
                node: format!("p{slot}"),
                address: format!("10.9.0.{slot}"),
                service_id: "fresh".into(),
                service: "fresh".into(),
                port: 9000,
                ..Registration::default()
            };
            let calls = VecDeque::from([
                Call::Write(Write::Put { key: key.clone(), value: b"fresh".to_vec(), flags: 0 }),
                read(Target::Key(key.clone()), Mode::Default),
                read(Target::Key(key.clone()), Mode::Consistent),
                read(Target::Key(key), Mode::Stale),
                Call::Write(Write::Register(register)),
                read(Target::Health("fresh".into()), Mode::Default),
            ]);
            let client = self.clients.len();
            let luck = Luck::of(self.plan.seed, "probe", slot as u64);
            let number = 1000 + 500 * centre as u32 + slot as u32;
            self.clients.push(Client::new(number, Role::Script(calls), slot, luck).of(centre));
            self.heap.push(self.now, Event::Next { client });
        }
    }

    /// DNS names the fresh service at every founder.
    fn ask_dns(&mut self) -> Checked {
        let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05fresh\x07service\x06consul\x00\x00\x01\x00\x01";
        let mut rng = Rng::new(Seed::from_u64(self.plan.seed));
        for slot in 0..self.plan.knobs.servers as usize {
            let now = self.servers[slot].clock.now(self.now);
            let Some(process) = &self.servers[slot].up else { continue };
            let mut out = Vec::new();
            let outcome = dns::answer(&process.view, now, &mut rng, query, Transport::Udp, &mut out);
            let answers = out.get(6..8).map_or(0, |n| u16::from_be_bytes([n[0], n[1]]));
            let good = outcome == Outcome::Reply && out.get(3).is_some_and(|f| f & 15 == 0) && answers > 0;
            if !good {
                let what = format!("n{} names nobody for fresh.service.consul: {out:02x?}", slot + 1);
                return Err(Violation::new(Kind::Liveness, "a healed server serves DNS", what));
            }
            self.marks.hit(Mark::DnsAnswered);
        }
        Ok(())
    }
}
