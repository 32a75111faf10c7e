//! Copied data directories: two processes may live with one node ID, and one of them is one too many.
//!
//! A copy of a host that runs must end itself. Where the host was down, the copy is the host from then on, moved; and
//! it is the host that must end itself when it comes back, for its disk is the older one.

use super::invariant::{Checked, cluster};
use super::marks::Mark;
use super::world::{SECOND, World};
use std::net::IpAddr;

/// Within this, while nothing else is wrong, a process that is one too many has joined somebody who knows the other
/// one, and has asked for it: joins are tried after 1, 2 and 4 s.
const FOUND_OUT: u64 = 15 * SECOND;

impl World {
    /// A data directory is copied to a host that has none yet, and the copy is started.
    pub(super) fn copy(&mut self, from: usize, to: usize, name: bool) {
        let spare = self.plan.knobs.hosts() - self.plan.knobs.copies as usize..self.plan.knobs.hosts();
        let again = from < self.servers.len() && self.servers[from].moved_to.is_some();
        // A copy that hears others than its original does may be one of two majorities: nothing can be done about it.
        if from >= self.servers.len() || !spare.contains(&to) || again || !self.net.is_whole() {
            return;
        }
        if self.servers[to].up.is_some() {
            self.ended(to);
        }
        self.give_back(to);
        let name = self.servers[if name { from } else { to }].name().clone();
        let copied = self.servers[from].copied(name);
        self.servers[to].become_copy(copied);
        if self.servers[from].up.is_none() {
            self.servers[from].moved_to = Some(to);
            self.owners.swap(from, to);
        }
        self.start(to);
    }

    /// Whether a host's disk is not the one that its ID lives with.
    pub(super) fn is_surplus(&self, slot: usize) -> bool {
        let server = &self.servers[slot];
        server.copy_of.map_or(server.moved_to.is_some(), |of| self.servers[of].moved_to != Some(slot))
    }

    /// The other process with a host's ID.
    fn twin_of(&self, slot: usize) -> Option<usize> {
        self.servers[slot].copy_of.or(self.servers[slot].moved_to)
    }

    /// A process that was one too many has ended itself.
    pub(super) fn on_twin(&mut self, slot: usize, at: IpAddr, own: IpAddr) {
        let other = self.twin_of(slot).map(|other| self.addresses.of(other));
        let checked = cluster::a_twin_names_both((at, own), (other, self.addresses.of(slot)));
        self.check(checked);
        let before = self.servers[slot].disk.platter.hard.clone();
        let flushed = self.servers[slot].disk.flush();
        self.written(slot, before, &flushed);
        self.marks.hit(if self.servers[slot].serves() { Mark::ServerTwinStopped } else { Mark::TwinStopped });
        self.line(slot, || format!("halts: its ID is in use at {at}"));
    }

    /// Of two processes with one ID one has found out, when nothing else is wrong.
    pub(super) fn twins_find_out(&self) -> Checked {
        for slot in (0..self.servers.len()).filter(|slot| self.is_surplus(*slot)) {
            let Some(other) = self.twin_of(slot) else { continue };
            let long = |slot| self.has_been(slot, true, FOUND_OUT);
            cluster::a_twin_stops(self.servers[slot].name(), FOUND_OUT, !long(slot) || !long(other))?;
        }
        Ok(())
    }

    /// The operator has found out: whoever is one too many gets a disk of its own, and who moved comes back.
    pub(super) fn undo_copies(&mut self) {
        for slot in 0..self.servers.len() {
            if self.servers[slot].copy_of.is_none() {
                continue;
            }
            if self.servers[slot].up.is_some() {
                if !self.is_surplus(slot) {
                    let before = self.servers[slot].disk.platter.hard.clone();
                    let flushed = self.servers[slot].disk.flush();
                    self.written(slot, before, &flushed);
                }
                self.ended(slot);
            }
            self.give_back(slot);
            self.servers[slot].replace_disk();
            self.owners[slot].forget();
        }
    }

    /// If a host had moved here, its disk is carried back to where it was.
    fn give_back(&mut self, slot: usize) {
        let Some(of) = self.servers[slot].copy_of.filter(|_| !self.is_surplus(slot)) else { return };
        if self.servers[of].up.is_some() {
            self.ended(of);
        }
        self.servers[of].disk.wipe();
        self.servers[of].disk.platter = self.servers[slot].disk.platter.clone();
        self.servers[of].reads = self.servers[slot].reads;
        self.servers[of].moved_to = None;
        self.owners.swap(of, slot);
    }
}
