//! A fleet of client agents and its servers: nobody waits for servers who need not, and nobody storms them.

use super::invariant::Checked;
use super::invariant::fleet;
use super::marks::Mark;
use super::world::{MS, SECOND, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Full comparisons are counted over so long.
const CROWD: u64 = SECOND;
/// Connections that one agent opens are counted over so long.
const KNOCKS: u64 = 10 * SECOND;

/// What agents have done lately.
#[derive(Debug, Default)]
pub(super) struct Herd {
    /// When who began to compare itself with the catalog.
    fetches: VecDeque<(u64, usize)>,
    /// When each agent opened connections for its calls.
    dials: BTreeMap<usize, VecDeque<u64>>,
}

impl World {
    /// An agent asks a server for what the catalog has of it.
    pub(super) fn on_fetch(&mut self, slot: usize) {
        let (now, agents) = (self.now, self.plan.knobs.agents as usize);
        let fetches = &mut self.herd.fetches;
        while fetches.front().is_some_and(|(at, _)| at + CROWD < now) {
            fetches.pop_front();
        }
        fetches.push_back((now, slot));
        let crowd: BTreeSet<usize> = fetches.iter().map(|(_, slot)| *slot).collect();
        let checked = fleet::comes_back_spread_out(crowd.len(), agents);
        self.check(checked);
    }

    /// An agent opens a connection to a server.
    pub(super) fn on_dial(&mut self, slot: usize) {
        let now = self.now;
        let dials = self.herd.dials.entry(slot).or_default();
        while dials.front().is_some_and(|at| at + KNOCKS < now) {
            dials.pop_front();
        }
        dials.push_back(now);
        let checked = fleet::knocks_in_measure(slot, dials.len(), self.plan.knobs.slots());
        self.check(checked);
    }

    /// Owners are answered by their agents whatever becomes of the servers.
    pub(super) fn owners_do_not_wait(&self) -> Checked {
        // A flush takes three seconds at most, and there may be one under way.
        let quick = self.plan.knobs.flush_us <= 20_000 && self.plan.knobs.stall_permille == 0;
        let bound = if quick { SECOND } else { 7 * SECOND };
        for (server, owner) in self.servers.iter().zip(&self.owners) {
            let waits = server.chore.is_some() && server.is_awake();
            let since = owner.asked_at().max(server.resumed);
            if waits && self.now > since {
                fleet::own_api_waits_for_nobody(server.name(), self.now - since, bound)?;
            }
        }
        Ok(())
    }

    /// Notes that an owner was answered by an agent which reaches no server.
    pub(super) fn mark_alone(&mut self, slot: usize) {
        let reaches = |server: &super::server::Server| {
            let there = server.serves() && server.up.is_some();
            there && self.net.is_open(slot, server.slot) && self.net.is_open(server.slot, slot)
        };
        if self.now > 500 * MS && !self.servers[slot].serves() && !self.servers.iter().any(reaches) {
            self.marks.hit(Mark::AnsweredAlone);
        }
    }
}
