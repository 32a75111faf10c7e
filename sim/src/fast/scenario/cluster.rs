//! Whole clusters that gossip: what is drawn for them.

use super::super::action::{Action, Group};
use super::Draft;

/// A cluster that gossips, with some client agents.
fn cluster(d: &mut Draft) {
    let k = &mut d.knobs;
    k.gossip = 1;
    k.agents = d.luck.between(2, 4);
    k.clients = 2 + k.agents;
    k.multiplier = *d.luck.pick(&[1, 1, 2]);
    k.seconds = 40;
    k.encrypt = d.luck.below(2);
}

pub(super) fn calm(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[1, 3, 3, 5]);
    d.knobs.seconds = 30;
}

/// Many agents, of which some die for good.
pub(super) fn crowd(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[3, 5]);
    d.knobs.agents = d.luck.between(8, 20);
    d.knobs.clients = 4;
    d.knobs.services = 1;
    d.knobs.seconds = 30;
    d.knobs.buried = d.luck.between(0, 3);
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 10, 50]);
}

/// Trouble in the first seconds, when nobody is sure who is there.
pub(super) fn founding(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[3, 3, 5]);
    // With more servers than are expected, sets differ.
    d.knobs.spares = *d.luck.pick(&[0, 1, 2]);
    d.knobs.agents = d.luck.between(0, 1);
    d.knobs.flush_us = *d.luck.pick(&[300, 20_000, 200_000]);
    d.knobs.loss_permille = *d.luck.pick(&[0, 50, 200]);
    d.knobs.duplicate_permille = *d.luck.pick(&[0, 50]);
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 100]);
    d.knobs.names_lie_permille = *d.luck.pick(&[0, 300]);
    let mut at = 0;
    while at < 12_000 {
        at += d.luck.around(500);
        let slot = d.slot();
        match d.luck.below(6) {
            0 | 1 => d.bounce(at, slot, 1500),
            2 | 3 => d.split(at, 3000),
            4 => d.stand_still(at, slot, 4000),
            _ => d.rehome(at, slot, 1000),
        }
    }
}

/// Every kind of loss and cut, between any two, and processes that die or stand still.
pub(super) fn faults(d: &mut Draft) {
    cluster(d);
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 20, 200]);
    d.knobs.buried = *d.luck.pick(&[0, 1]);
    let hosts = d.knobs.hosts() as u64;
    if d.luck.ratio(1, 3) {
        // One is alone at the end for so long that all others miss it, and it does not miss them yet.
        let (alone, all) = (d.knobs.slots(), hosts as usize);
        let at = d.end() - 9000 - d.luck.below(6000);
        d.at(
            at,
            Action::Partition(vec![Group::of([alone]), Group::of((0..all).filter(|slot| *slot != alone))]),
        );
    }
    for at in d.moments(2500) {
        if at + 16_000 > d.end() && d.luck.ratio(1, 2) {
            break;
        }
        let slot = d.luck.below(hosts) as usize;
        match d.luck.below(8) {
            0..2 => d.bounce(at, slot, 4000),
            2..4 => d.split(at, 6000),
            4 => d.stand_still(at, slot, 5000),
            5 => {
                // One that gets to run for a moment now and then.
                for n in 0..d.luck.between(3, 8) {
                    d.stand_still(at + n * 700, slot, 500);
                }
            }
            6 => {
                for other in 0..hosts as usize {
                    if d.luck.ratio(1, 2) {
                        let (a, b) = if d.luck.ratio(1, 2) { (slot, other) } else { (other, slot) };
                        d.at(at, Action::Deaf(a, b));
                    }
                }
                let until = at + d.luck.around(8000);
                d.at(until, Action::Mend);
            }
            _ => {
                let other = d.luck.below(hosts) as usize;
                d.at(at, Action::Cut(slot, other));
                let until = at + d.luck.around(8000);
                d.at(until, Action::Mend);
            }
        }
    }
}

/// Some die, one after the other, and stay dead until everybody must have noticed.
pub(super) fn deaths(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[3, 5]);
    d.knobs.agents = d.luck.between(2, 8);
    d.knobs.clients = 3;
    d.knobs.services = 1;
    d.knobs.seconds = 90;
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 0, 20]);
    d.knobs.buried = d.luck.below(2);
    // One server, so that a majority is left, and any agents.
    let server = d.slot();
    let first = d.knobs.slots();
    let last = d.knobs.hosts();
    for slot in (first..last).chain([server]) {
        if slot == server || d.luck.ratio(1, 2) {
            let at = 8000 + d.luck.below(12_000);
            d.at(at, Action::Crash(slot));
            let back = 80_000 + d.luck.below(15_000);
            d.at(back, Action::Restart(slot));
        }
    }
}

/// Processes on hosts that are far too busy.
pub(super) fn starved(d: &mut Draft) {
    cluster(d);
    d.knobs.agents = d.luck.between(4, 9);
    d.knobs.clients = 4;
    d.knobs.services = 1;
    d.knobs.seconds = 60;
    d.knobs.packet_loss_permille = *d.luck.pick(&[10, 20]);
    let hosts = d.knobs.hosts();
    let server = d.slot();
    let agents = d.knobs.slots()..hosts;
    let starved: Vec<usize> = [server].into_iter().chain(agents).take(hosts / 3).collect();
    for slot in starved {
        let still = *d.luck.pick(&[400, 2000, 6000]);
        let mut at = 10_000 + d.luck.below(3000);
        while at < d.end() {
            d.stand_still(at, slot, still);
            at += still * 3 + d.luck.around(1000);
        }
    }
}

/// One at a time is alone for so long that all others call it failed, and it does not call them so yet: 9 to 15 s, for
/// the others confirm each other's suspicion, and its own is the longest there is. Then nothing happens for as long as
/// it may take to come back.
pub(super) fn alone(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[1, 3, 3]);
    d.knobs.agents = d.luck.between(3, 5);
    d.knobs.clients = 3;
    d.knobs.services = 1;
    d.knobs.seconds = 150;
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 0, 20]);
    let hosts = d.knobs.hosts();
    let mut at = 12_000 + d.luck.below(3000);
    while at < d.end() {
        let alone = d.luck.below(hosts as u64) as usize;
        let rest = Group::of((0..hosts).filter(|slot| *slot != alone));
        d.at(at, Action::Partition(vec![Group::of([alone]), rest]));
        let until = at + d.luck.between(9_000, 15_000);
        d.at(until, Action::Mend);
        at = until + 18_000 + d.luck.below(4000);
    }
}

/// All servers at once are gone, or out of reach, and come back at once.
pub(super) fn herd(d: &mut Draft) {
    cluster(d);
    d.knobs.agents = d.luck.between(12, 14);
    d.knobs.clients = 8;
    d.knobs.services = 1;
    d.knobs.seconds = 60;
    let (servers, hosts) = (d.knobs.slots(), d.knobs.hosts());
    let gone = 12_000 + d.luck.below(5000);
    let back = gone + 8000 + d.luck.below(20_000);
    if d.luck.ratio(1, 3) {
        d.at(gone, Action::Partition(vec![Group::of(0..servers), Group::of(servers..hosts)]));
        d.at(back, Action::Mend);
        return;
    }
    for slot in 0..servers {
        d.at(gone, Action::Crash(slot));
        let at = back + d.luck.below(300);
        d.at(at, Action::Restart(slot));
    }
}

/// Whoever starts again starts elsewhere; name servers are late, or lie.
pub(super) fn moves(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[1, 3, 3, 5]);
    d.knobs.seconds = 60;
    d.knobs.names_lag_ms = *d.luck.pick(&[0, 5000, 30_000]);
    d.knobs.names_lie_permille = *d.luck.pick(&[0, 200, 500]);
    let hosts = d.knobs.hosts() as u64;
    for at in d.moments(8000) {
        if d.luck.ratio(1, 3) {
            d.at(at, Action::Permute);
            for slot in 0..d.knobs.slots() {
                let back = at + 1 + d.luck.around(2000);
                d.at(back, Action::Restart(slot));
            }
        } else {
            let slot = d.luck.below(hosts) as usize;
            d.rehome(at, slot, 2000);
        }
    }
}

/// Every process is stopped and started again, one after the other: told to end, told to leave, or killed.
pub(super) fn rolling(d: &mut Draft) {
    cluster(d);
    d.knobs.seconds = 90;
    let (hosts, leaves) = (d.knobs.hosts(), d.luck.below(3));
    let mut at = 8000;
    for slot in 0..hosts {
        let how = if leaves == 2 { d.luck.below(3) } else { leaves };
        let action = match how {
            0 => Action::Stop(slot),
            1 => Action::Leave(slot),
            _ => Action::Crash(slot),
        };
        d.at(at, action);
        // Whoever leaves takes some seconds to say so.
        let down = 5000 + d.luck.around(2000);
        d.at(at + down, Action::Restart(slot));
        at += down + 2000 + d.luck.around(4000);
    }
}

/// Disks are lost: of agents at any time, of a minority of servers.
pub(super) fn disks(d: &mut Draft) {
    cluster(d);
    d.knobs.seconds = 60;
    let hosts = d.knobs.hosts() as u64;
    for at in d.moments(6000) {
        let slot = d.luck.below(hosts) as usize;
        if d.luck.ratio(2, 3) {
            d.at(at, Action::Wipe(slot));
        } else {
            d.bounce(at, slot, 2000);
        }
        if d.luck.ratio(1, 4) {
            d.split(at + 200, 4000);
        }
    }
}

/// Two datacenters, and what lies between them.
pub(super) fn wan(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[1, 3, 3]);
    d.knobs.agents = d.luck.between(1, 2);
    d.knobs.far_servers = *d.luck.pick(&[1, 2, 3]);
    d.knobs.clients = 6;
    d.knobs.services = 1;
    d.knobs.seconds = 90;
    d.knobs.roam_permille = 300;
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 0, 20]);
    let (near, hosts) = (d.knobs.near(), d.knobs.hosts());
    for at in d.moments(12_000) {
        let until = at + 5000 + d.luck.around(20_000);
        match d.luck.below(6) {
            0..2 => {
                d.at(at, Action::Partition(vec![Group::of(0..near), Group::of(near..hosts)]));
                d.at(until, Action::Mend);
            }
            2 => {
                // One way.
                let there = d.luck.ratio(1, 2);
                for a in 0..near {
                    for b in near..hosts {
                        let (a, b) = if there { (a, b) } else { (b, a) };
                        d.at(at, Action::Cut(a, b));
                    }
                }
                d.at(until, Action::Mend);
            }
            3 => {
                // One server alone loses its way to the others.
                let slot = d.slot();
                for b in near..hosts {
                    d.at(at, Action::Cut(slot, b));
                }
                d.at(until, Action::Mend);
            }
            4 => {
                let slot = d.luck.below(hosts as u64) as usize;
                d.bounce(at, slot, 4000);
            }
            _ => {
                let slot = d.luck.below(hosts as u64) as usize;
                d.rehome(at, slot, 2000);
            }
        }
    }
}

/// Two bear one name, and data directories are copied.
pub(super) fn names(d: &mut Draft) {
    cluster(d);
    d.knobs.agents = d.luck.between(4, 6);
    d.knobs.namesakes = 1;
    d.knobs.copies = 1;
    d.knobs.services = 1;
    d.knobs.seconds = 80;
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 10, 50]);
    let (owner, namesake) = (d.knobs.slots(), d.knobs.late());
    let copy = namesake + 1;
    let start = 8000 + d.luck.below(10_000);
    if d.luck.ratio(1, 3) {
        // Both at once, and each half of the others hears of one: for too short a time to miss anybody.
        d.at(2000, Action::Stop(owner));
        let (one, other) = (0..d.knobs.late()).partition::<Vec<usize>, _>(|slot| slot % 2 == owner % 2);
        let other = other.into_iter().chain([namesake]);
        d.at(start - 1000, Action::Partition(vec![Group::of(one), Group::of(other)]));
        d.at(start + 2000, Action::Mend);
        d.at(start, Action::Restart(owner));
        d.at(start, Action::Restart(namesake));
    } else {
        d.at(start, Action::Restart(namesake));
    }
    if d.luck.ratio(3, 4) {
        // The first one dies, the second one gets the name, the first one comes back.
        let dies = start + 5000 + d.luck.below(20_000);
        d.at(dies, Action::Crash(owner));
        if d.luck.ratio(1, 2) {
            // Not before everybody has exchanged tables: who has not heard of the second one yet takes the first back.
            let back = dies + 45_000 + d.luck.below(20_000);
            d.at(back, Action::Restart(owner));
            d.knobs.seconds = 120;
        }
    }
    let copied = 8000 + d.luck.below(30_000);
    let name = d.luck.ratio(2, 3);
    d.at(copied, Action::Clone(owner + 1, copy, name));
    for _ in 0..2 {
        // Whoever looks after processes starts it once more.
        let again = copied + 5000 + d.luck.below(30_000);
        d.at(again, Action::Restart(copy));
    }
    for at in d.moments(15_000) {
        let server = d.slot();
        if d.luck.ratio(1, 2) {
            d.stand_still(at, server, 2500);
        } else {
            d.bounce(at, server, 1000);
        }
    }
}

/// A server's data directory is copied, under its name or another, while servers around it die and start; or it was
/// thought lost and is started elsewhere, and then comes back.
pub(super) fn clones(d: &mut Draft) {
    cluster(d);
    d.knobs.servers = *d.luck.pick(&[3, 3, 5]);
    d.knobs.agents = 2;
    d.knobs.copies = 1;
    d.knobs.services = 1;
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 10, 50]);
    d.knobs.flush_us = *d.luck.pick(&[300, 20_000]);
    let (copied, copy) = (d.slot(), d.knobs.late());
    let at = 8000 + d.luck.below(8000);
    if d.luck.ratio(1, 3) {
        d.at(at, Action::Crash(copied));
        let found = at + 600 + d.luck.around(2000);
        d.at(found, Action::Clone(copied, copy, true));
        let back = found + 2000 + d.luck.below(15_000);
        d.at(back, Action::Restart(copied));
    } else {
        let name = d.luck.ratio(1, 2);
        d.at(at, Action::Clone(copied, copy, name));
    }
    for again in [at, at + 4000 + d.luck.below(12_000)] {
        // Whoever starts meanwhile may hear of the copy first.
        let other = (copied + 1 + d.luck.below(d.knobs.servers - 1) as usize) % d.knobs.servers as usize;
        let starts = again + d.luck.below(800);
        d.at(starts.saturating_sub(1500), Action::Crash(other));
        d.at(starts, Action::Restart(other));
        if again > at {
            d.at(again, Action::Restart(copy));
        }
    }
}

/// The gossip key is changed while things break.
pub(super) fn keys(d: &mut Draft) {
    cluster(d);
    d.knobs.encrypt = 1;
    d.knobs.seconds = 80;
    d.knobs.rotate_ms = *d.luck.pick(&[2000, 10_000]);
    d.knobs.flush_us = *d.luck.pick(&[300, 20_000]);
    d.knobs.packet_loss_permille = *d.luck.pick(&[0, 20, 100]);
    let hosts = d.knobs.hosts() as u64;
    for at in d.moments(5000) {
        let slot = d.luck.below(hosts) as usize;
        match d.luck.below(6) {
            0..3 => d.bounce(at, slot, 2000),
            3 => d.stand_still(at, slot, 4000),
            4 => d.split(at, 3000),
            _ => d.rehome(at, slot, 1000),
        }
    }
}

impl Draft {
    fn stand_still(&mut self, at: u64, slot: usize, for_ms: u64) {
        let until = at + 1 + self.luck.around(for_ms);
        self.at(at, Action::Pause(slot));
        self.at(until, Action::Resume(slot));
    }

    /// A host is gone, and comes back elsewhere.
    fn rehome(&mut self, at: u64, slot: usize, down_ms: u64) {
        let back = at + 1 + self.luck.around(down_ms);
        self.at(at, Action::Move(slot));
        self.at(back, Action::Restart(slot));
    }

    /// Agents take sides.
    pub(super) fn with_agents(&mut self, mut groups: Vec<Group>) -> Vec<Group> {
        for slot in self.knobs.slots()..self.knobs.hosts() {
            let side = self.luck.below(groups.len() as u64) as usize;
            groups[side] = Group(groups[side].0 | 1 << slot);
        }
        groups
    }
}
