//! The plan's actions, carried out.

use super::action::Action;
use super::event::Event;
use super::luck::Luck;
use super::marks::Mark;
use super::server::Waiting;
use super::verdict::{Kind, Violation};
use super::world::{MS, World};
use crate::oracle::Restart;
use lictor_core::node::{HaltReason, Input, Output, StopKind};

impl World {
    pub(super) fn on_step(&mut self, number: usize) {
        let step = self.plan.steps[number].clone();
        let mut luck = Luck::of(self.plan.seed, "action", step.id);
        let slot = named_slot(&step.action).unwrap_or(0);
        if slot >= self.servers.len() {
            return;
        }
        self.line(slot, || format!("PLAN #{} {}", step.id, step.action));
        if !matches!(step.action, Action::Crash(_) | Action::Restart(_) | Action::Clone(..)) {
            self.disturb();
        }
        match step.action {
            Action::Crash(slot) if luck.ratio(1, 3) => self.die(slot, step.id),
            Action::Crash(slot) if self.servers[slot].up.is_some() => {
                // In the middle of a write, if there is one soon.
                let life = self.servers[slot].life;
                self.servers[slot].doomed = Some(step.id);
                self.heap.push(self.now + 300 * MS, Event::Die { slot, life, step: step.id });
            }
            Action::Crash(_) => {}
            Action::Restart(slot) => self.start(slot),
            Action::Pause(slot) => self.servers[slot].paused = self.servers[slot].up.is_some(),
            Action::Resume(slot) => self.resume(slot),
            Action::Wipe(slot) => self.wipe(slot),
            Action::Leave(slot) => self.stop(slot, StopKind::Leave),
            Action::Stop(slot) => self.stop(slot, StopKind::Terminate),
            Action::Move(slot) => {
                self.addresses.renew(self.now, slot);
                self.crash(slot, &mut luck);
            }
            Action::Clone(from, to, name) => self.copy(from, to, name),
            Action::Permute => self.permute(&mut luck),
            Action::Deaf(a, b) => self.net.deafen(a, b),
            Action::Partition(groups) => self.net.partition(groups),
            Action::Cut(a, b) => self.net.cut(a, b),
            Action::Clog(a, b, ms) => self.net.clog(a, b, self.now + ms * MS),
            Action::Mend => self.net.mend(),
            Action::SlowDisk(slot, factor) => self.servers[slot].disk.factor = factor,
            Action::DiskFull(slot, full) => self.disk_full(slot, full),
            Action::DiskError(slot) => {
                let running = self.servers[slot].up.is_some();
                self.servers[slot].disk.fail_next = running;
            }
            Action::Drift(slot, ppm) => self.drift(slot, ppm),
            Action::Step(slot, ms) => self.servers[slot].clock.step(ms),
            Action::Member(change, slot) => self.ask_for(change, slot),
            Action::Transfer(slot) => self.ask_for_transfer(slot),
            Action::Overrule => self.overrule(),
            Action::Save(slot) => self.save(slot, &mut luck),
            Action::Restore(slot, further) => self.restore(slot, further, &mut luck),
            Action::Burst(ms) => self.burst_until = self.now + ms * MS,
        }
    }

    /// Starts a process, unless it runs.
    pub(super) fn start(&mut self, slot: usize) {
        if self.servers[slot].up.is_some() {
            return;
        }
        let (now, at) = (self.now, self.addresses.of(slot));
        if let Err(error) = self.servers[slot].boot(now, at) {
            let what = format!("{}: {error}", self.servers[slot].id);
            return self.fail(Violation::new(Kind::Crash, "a server starts from its own disk", what));
        }
        let server = &self.servers[slot];
        if server.shadow.base() > 0 {
            self.marks.hit(Mark::BootedFromSnapshot);
        }
        self.line(slot, || format!("starts at {at}"));
        if self.servers[slot].disk_full {
            self.feed(slot, Input::DiskFull(true));
        }
        self.settle(slot);
    }

    /// A process dies by this step of the plan.
    pub(super) fn die(&mut self, slot: usize, step: u64) {
        let mut luck = Luck::of(self.plan.seed, "crash", step);
        self.crash(slot, &mut luck);
    }

    /// Kills a process; a prefix of what its disk had not written yet is written all the same.
    fn crash(&mut self, slot: usize, luck: &mut Luck) {
        if self.servers[slot].up.is_none() {
            return;
        }
        let before = self.servers[slot].disk.platter.hard.clone();
        let (kept, lost) = self.servers[slot].disk.crash(luck);
        self.written(slot, before, &kept);
        if lost > 0 {
            self.marks.hit(Mark::TornBatch);
        }
        if !kept.is_empty() {
            self.marks.hit(Mark::PrefixKept);
        }
        self.line(slot, || format!("dies; of its queue {} batches are kept, {lost} lost", kept.len()));
        self.ended(slot);
    }

    /// A process is gone: everybody who waited for it is told so, sooner or later.
    pub(super) fn ended(&mut self, slot: usize) {
        self.servers[slot].since = self.now;
        for centre in &mut self.centres {
            centre.run.restarts.push(Restart { server: slot as u32, at: self.now });
        }
        self.lines_ended(slot);
        self.conns_ended(slot);
        self.peers_lost(slot);
        for (_, Waiting { client, round, .. }) in self.servers[slot].stop() {
            self.heap.push(self.now + MS, Event::Broken { client, round, refused: false });
        }
        self.operator.server_ended(slot);
        self.keeper.host_ended(slot);
    }

    /// A node has ended itself.
    pub(super) fn on_end(&mut self, slot: usize, output: &Output) {
        match output {
            Output::Halt { why: HaltReason::PersistFailed(_) } => {
                self.marks.hit(Mark::HaltedByDisk);
                // What the device did with the batches is unknown; nothing was promised of them.
                let mut luck = Luck::of(self.plan.seed, "halt", self.now);
                let before = self.servers[slot].disk.platter.hard.clone();
                let (kept, _) = self.servers[slot].disk.crash(&mut luck);
                self.written(slot, before, &kept);
                self.line(slot, || "halts: its disk failed".into());
            }
            Output::Halt { why: HaltReason::Twin { at, own, .. } } if self.is_surplus(slot) => {
                self.on_twin(slot, at.ip(), *own);
            }
            Output::Stopped { .. } if self.servers[slot].stopping => {
                self.marks.hit(Mark::Stopped);
                let before = self.servers[slot].disk.platter.hard.clone();
                let flushed = self.servers[slot].disk.flush();
                self.written(slot, before, &flushed);
                self.line(slot, || "ends".into());
            }
            other => {
                let what = format!("{}: {other:?}", self.servers[slot].id);
                self.fail(Violation::new(Kind::Crash, "a server goes on", what));
            }
        }
    }

    pub(super) fn resume(&mut self, slot: usize) {
        if !self.servers[slot].paused {
            return;
        }
        self.servers[slot].paused = false;
        self.servers[slot].resumed = self.now;
        for event in std::mem::take(&mut self.servers[slot].backlog) {
            self.heap.push(self.now, event);
        }
        let life = self.servers[slot].life;
        self.heap.push(self.now, Event::Wake { slot, life });
    }

    /// Tells a process to end.
    fn stop(&mut self, slot: usize, kind: StopKind) {
        self.servers[slot].stopping = true;
        self.feed(slot, Input::Stop(kind));
    }

    /// Every server dies, and gets the address of one of them.
    fn permute(&mut self, luck: &mut Luck) {
        let servers: Vec<usize> = (0..self.plan.knobs.slots()).collect();
        self.addresses.permute(self.now, &servers, luck);
        self.marks.hit(Mark::AddressesPermuted);
        for slot in servers {
            self.crash(slot, luck);
        }
    }

    /// Loses a disk for good, if the others are enough: the fault atlas. A client agent may lose its disk at
    /// any time.
    fn wipe(&mut self, slot: usize) {
        let serves = self.servers[slot].serves();
        if serves && !self.can_lose(slot) {
            return self.line(slot, || "keeps its disk: too few others are intact".into());
        }
        let gone = self.servers[slot].id.clone();
        if self.servers[slot].up.is_some() {
            self.ended(slot);
        }
        self.servers[slot].replace_disk();
        self.owners[slot].forget();
        self.line(slot, || "loses its disk".into());
        match (serves, self.gossips()) {
            (true, false) => self.replace_member(gone, slot),
            (true, true) => self.await_replacement(gone, slot),
            (false, _) => {
                self.marks.hit(Mark::AgentDiskLost);
                self.start(slot);
            }
        }
    }

    fn disk_full(&mut self, slot: usize, full: bool) {
        self.servers[slot].disk_full = full;
        self.feed(slot, Input::DiskFull(full));
    }

    /// The rate of a clock changes; a deadline may come sooner than was scheduled.
    pub(super) fn drift(&mut self, slot: usize, ppm: i64) {
        let bound = 330_000;
        self.servers[slot].clock.drift(self.now, ppm.clamp(-bound, bound));
        self.servers[slot].wake_at = u64::MAX;
        if !self.servers[slot].paused {
            self.settle(slot);
        }
    }

    /// Everything works again: links, disks, clocks and processes.
    pub(super) fn heal(&mut self) {
        self.line(0, || "HEAL".into());
        self.disturb();
        self.net.calm();
        self.names.calm();
        self.burst_until = 0;
        self.undo_copies();
        for slot in 0..self.servers.len() {
            self.resume(slot);
            self.servers[slot].disk.calm();
            self.servers[slot].doomed = None;
            self.drift(slot, 0);
            if self.servers[slot].disk_full {
                self.disk_full(slot, false);
            }
            if self.servers[slot].stopping && self.servers[slot].up.is_some() {
                // It has not ended in time, and nobody would start it after that.
                let before = self.servers[slot].disk.platter.hard.clone();
                let flushed = self.servers[slot].disk.flush();
                self.written(slot, before, &flushed);
                self.ended(slot);
            }
            let buried = self.servers.len() - self.plan.knobs.buried as usize;
            if slot >= buried {
                self.die(slot, slot as u64);
            } else {
                self.start(slot);
            }
        }
    }
}

/// The server that an action is about.
fn named_slot(action: &Action) -> Option<usize> {
    match action {
        Action::Crash(s)
        | Action::Restart(s)
        | Action::Pause(s)
        | Action::Resume(s)
        | Action::Wipe(s)
        | Action::SlowDisk(s, _)
        | Action::DiskFull(s, _)
        | Action::DiskError(s)
        | Action::Drift(s, _)
        | Action::Step(s, _)
        | Action::Member(_, s)
        | Action::Leave(s)
        | Action::Stop(s)
        | Action::Move(s)
        | Action::Clone(_, s, _)
        | Action::Deaf(s, _)
        | Action::Save(s)
        | Action::Restore(s, _)
        | Action::Cut(s, _)
        | Action::Clog(s, ..) => Some(*s),
        Action::Transfer(slot) => *slot,
        Action::Partition(_) | Action::Mend | Action::Burst(_) | Action::Permute | Action::Overrule => None,
    }
}
