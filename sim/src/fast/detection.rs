//! Who is shown as what, and for how long: against the bounds that the protocol's parameters give.
//!
//! Looked at once a second, while faults last too. A bound counts from the last moment at which anything was wrong
//! beside processes being down.

use super::action::Action;
use super::invariant::Checked;
use super::invariant::cluster::{self, Host};
use super::marks::Mark;
use super::world::{SECOND, World};
use crate::gossip::Bounds;
use lictor_core::Str;
use lictor_core::gossip::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Between two looks.
const LOOK: u64 = SECOND;

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Detection {
    /// The last moment at which a link was cut or a process stood still.
    disturbed_at: u64,
    /// Since when everybody has seen everybody as they are, and nothing happens any more.
    pub(super) agreed: Option<u64>,
    /// Since when an observer shows a member as failed: observer, member.
    failed_since: BTreeMap<(usize, usize), u64>,
    /// Since when an observer shows a member as failed that shows it as alive: observer, member.
    accused_since: BTreeMap<(usize, usize), u64>,
}

/// How long things may take, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    death: u64,
    refuted: u64,
    /// Until a suspicion from before has ended, and was contradicted.
    settled: u64,
}

impl World {
    /// Something that gossip may notice begins or ends.
    pub(super) fn disturb(&mut self) {
        self.detection.disturbed_at = self.now;
    }

    fn times(&self) -> Times {
        let config = Config::lan(Str::from("n"), SocketAddr::from(([10, 0, 0, 0], 8301)));
        let bounds = Bounds::new(&config, self.servers.len());
        let nanos = |duration: std::time::Duration| duration.as_nanos() as u64;
        // A rumour is sent so often that a few losses do not matter; with more, the tables bring what was lost.
        let lossy = self.plan.knobs.packet_loss_permille > 50;
        let tables = if lossy { 2 * nanos(bounds.exchange()) } else { 0 };
        // Who hears that it is called failed says so in a rumour, and that is heard within a rumour's time.
        let refuted = 2 * nanos(bounds.spread()) + LOOK;
        let settled = nanos(bounds.suspicion_max()) + refuted + tables;
        Times { death: nanos(bounds.death()) + 2 * LOOK + tables, refuted: refuted + tables, settled }
    }

    /// Every second, while faults last and after.
    pub(super) fn detection_is_bounded(&mut self) -> Checked {
        if !self.gossips() {
            return Ok(());
        }
        if !self.net.is_calm(self.now) || self.servers.iter().any(|server| server.paused) {
            self.disturb();
        }
        if self.detection.agreed.is_some_and(|since| since + self.times().settled <= self.now) {
            self.gossip_agrees()?;
        }
        self.names_have_one_owner()?;
        self.twins_find_out()?;
        let hosts = self.hosts();
        self.the_dead_are_found(&hosts)?;
        self.the_accused_come_back(&hosts)?;
        self.the_starved_harm_nobody(&hosts)
    }

    /// Whether a host has been as it is, and everything else in order, for so long.
    pub(super) fn has_been(&self, slot: usize, up: bool, time: u64) -> bool {
        let server = &self.servers[slot];
        let since = server.since.max(self.detection.disturbed_at);
        server.up.is_some() == up && since + time <= self.now
    }

    fn the_dead_are_found(&mut self, hosts: &[Host]) -> Checked {
        let bound = self.times().death;
        let slots = 0..hosts.len();
        let mut dead: Vec<usize> = slots.clone().filter(|slot| self.has_been(*slot, false, bound)).collect();
        if self.plan.knobs.late() < hosts.len() {
            // A living host may bear the name.
            let outside = self.outsiders();
            dead.retain(|slot| !outside.contains(slot));
        }
        if dead.is_empty() {
            return Ok(());
        }
        let living: Vec<usize> = slots.filter(|slot| self.has_been(*slot, true, bound)).collect();
        for slot in living {
            let Some(process) = &self.servers[slot].up else { continue };
            let here = |dead: &&usize| hosts[**dead].centre == hosts[slot].centre;
            let dead = dead.iter().filter(here).map(|slot| &hosts[*slot]);
            cluster::the_dead_are_found(&hosts[slot], &process.view.members, dead, bound)?;
            self.marks.hit(Mark::DeathFound);
        }
        Ok(())
    }

    /// Whoever is called failed and probes one of those who call it so hears of it with the ack, and contradicts.
    fn the_accused_come_back(&mut self, hosts: &[Host]) -> Checked {
        if self.plan.knobs.packet_loss_permille > 50 {
            return Ok(());
        }
        let members = |slot: usize| self.servers[slot].up.as_ref().map(|process| &process.view.members);
        // Who lost its name to another does not contradict what is said of that name (docs/identity.md).
        let contested = |whom: usize| {
            let rival =
                |slot: &usize| *slot != whom && hosts[*slot].up && hosts[*slot].name == hosts[whom].name;
            (0..hosts.len()).any(|slot| rival(&slot))
        };
        let accuses = |by: usize, whom: usize| {
            let (Some(seen), Some(sees)) = (members(by), members(whom)) else { return false };
            if contested(whom) {
                return false;
            }
            cluster::is_failed_at(seen, &hosts[whom])
                && cluster::address_of(sees, &hosts[by].name) == Some(hosts[by].ip)
        };
        let slots = 0..hosts.len();
        let pairs = slots.clone().flat_map(|by| slots.clone().map(move |whom| (by, whom)));
        let accused: BTreeSet<(usize, usize)> = pairs.filter(|(by, whom)| accuses(*by, *whom)).collect();
        if !accused.is_empty() {
            self.marks.hit(Mark::Accused);
        }
        self.detection.accused_since.retain(|pair, _| accused.contains(pair));
        for (by, whom) in &accused {
            let since = *self.detection.accused_since.entry((*by, *whom)).or_insert(self.now);
            let accusers = accused.iter().filter(|(_, accused)| accused == whom).count();
            let config = Config::lan(Str::from("n"), SocketAddr::from(([10, 0, 0, 0], 8301)));
            let bound = Bounds::new(&config, self.servers.len()).contradicted(accusers).as_nanos() as u64;
            let bound = bound + 2 * LOOK;
            let long = self.has_been(*by, true, bound) && self.has_been(*whom, true, bound);
            let shown = if long { self.now - since } else { 0 };
            cluster::the_accused_come_back(&hosts[*by], &hosts[*whom], shown, bound)?;
        }
        Ok(())
    }

    /// In a run in which some stand still now and then, and nothing else happens.
    fn the_starved_harm_nobody(&mut self, hosts: &[Host]) -> Checked {
        let starved: Option<BTreeSet<usize>> = self
            .plan
            .steps
            .iter()
            .map(|step| match step.action {
                Action::Pause(slot) | Action::Resume(slot) => Some(slot),
                _ => None,
            })
            .collect();
        let Some(starved) = starved.filter(|starved| !starved.is_empty() && !self.quiet) else {
            return Ok(());
        };
        let bound = self.times().refuted;
        let well: Vec<usize> = (0..hosts.len()).filter(|slot| !starved.contains(slot)).collect();
        for slot in &well {
            let Some(process) = &self.servers[*slot].up else { continue };
            for other in &well {
                let pair = (*slot, *other);
                if !cluster::is_failed(&process.view.members, &hosts[*other]) {
                    self.detection.failed_since.remove(&pair);
                    continue;
                }
                self.marks.hit(Mark::WronglyFailed);
                let since = *self.detection.failed_since.entry(pair).or_insert(self.now);
                cluster::the_starved_harm_nobody(&hosts[*slot], &hosts[*other], self.now - since, bound)?;
            }
        }
        Ok(())
    }
}
