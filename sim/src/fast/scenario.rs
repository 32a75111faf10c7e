//! Scenarios: from a seed to a plan.

mod cluster;

use super::action::{Action, Change, Group};
use super::knobs::Knobs;
use super::luck::Luck;
use super::marks::Mark;
use super::plan::{Plan, Step};

/// One kind of trouble.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line and in plans.
    pub name: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// What a sweep of it must have met.
    pub required: &'static [Mark],
    draw: fn(&mut Draft),
}

/// Every scenario that must pass.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "calm",
        about: "no faults at all; one, three or five servers",
        required: &[
            Mark::Woken,
            Mark::WroteTheSame,
            Mark::CasRefused,
            Mark::RolledBack,
            Mark::DnsAnswered,
            Mark::LockTaken,
            Mark::SessionGone,
        ],
        draw: |d| d.knobs.servers = *d.luck.pick(&[1, 3, 5]),
    },
    Scenario {
        name: "partition",
        about: "partitions of every shape: majority and minority, one alone, bridges, one-way cuts, clogs",
        required: &[Mark::LeaderChanged, Mark::LeaderDeposed, Mark::Forwarded, Mark::UnknownWrite],
        draw: partition,
    },
    Scenario {
        name: "handover",
        about: "leaders hand over and do not hear that they have, while clients ask old and new ones",
        required: &[Mark::TwoLeaders, Mark::LeaseRefused, Mark::LeaderDeposed],
        draw: handover,
    },
    Scenario {
        name: "quorum-loss",
        about: "a majority dies and comes back",
        required: &[Mark::NoLeader, Mark::NoQuorum, Mark::UnknownWrite, Mark::LeaderDeposed],
        draw: quorum_loss,
    },
    Scenario {
        name: "restart-storm",
        about: "every process dies over and over, each keeping a prefix of what its disk had queued",
        required: &[Mark::TornBatch, Mark::PrefixKept, Mark::LeaderChanged, Mark::UnknownWrite],
        draw: restart_storm,
    },
    Scenario {
        name: "disk-loss",
        about: "disks of a minority are lost or found damaged, and their servers replaced",
        required: &[Mark::DiskReplaced, Mark::MembershipChanged],
        draw: disk_loss,
    },
    Scenario {
        name: "torn-writes",
        about: "crashes during slow flushes, failing devices, full disks",
        required: &[Mark::TornBatch, Mark::PrefixKept, Mark::HaltedByDisk, Mark::DiskFullRefused],
        draw: torn_writes,
    },
    Scenario {
        name: "slow-disk",
        about: "disks that take a hundred times as long, all the time or now and then",
        required: &[Mark::LeaderChanged],
        draw: slow_disk,
    },
    Scenario {
        name: "clock-drift",
        about: "clocks that run a third too fast or too slow, and wall clocks that jump",
        required: &[Mark::LeaderChanged],
        draw: clock_drift,
    },
    Scenario {
        name: "membership",
        about: "servers are added, promoted, demoted, removed and asked to lead, under partitions and crashes",
        required: &[Mark::MembershipChanged, Mark::MembershipUnderPartition, Mark::Transferred],
        draw: membership,
    },
    Scenario {
        name: "snapshot",
        about: "followers that fall behind a short log under load and are brought up by snapshots, some of them damaged",
        required: &[Mark::SnapshotInstalled, Mark::SnapshotRefused, Mark::BootedFromSnapshot],
        draw: snapshot,
    },
    Scenario {
        name: "restores",
        about: "archives are saved and restored, through leaders and followers, while servers die, lead and are cut off",
        required: &[
            Mark::Saved,
            Mark::Restored,
            Mark::RestoredElsewhere,
            Mark::RestoreCutOff,
            Mark::RestoreUnknown,
            Mark::IndexJumped,
            Mark::RestoredBySnapshot,
        ],
        draw: restores,
    },
    Scenario {
        name: "cluster-calm",
        about: "servers that gossip found their cluster, client agents join it, and nothing goes wrong",
        required: &[Mark::Founded, Mark::CallAnswered, Mark::ServiceSynced, Mark::Woken],
        draw: cluster::calm,
    },
    Scenario {
        name: "cluster-crowd",
        about: "up to twenty client agents, some of which die for good",
        required: &[Mark::Founded, Mark::CallAnswered, Mark::ServiceSynced, Mark::DeadSeen],
        draw: cluster::crowd,
    },
    Scenario {
        name: "cluster-founding",
        about: "crashes, cuts, pauses, new addresses and lying name servers while a cluster is founded",
        required: &[Mark::Founded, Mark::NamesLied],
        draw: cluster::founding,
    },
    Scenario {
        name: "cluster-faults",
        about: "asymmetric cuts, lost packets, starved and dying processes among servers and agents",
        required: &[Mark::PacketLost, Mark::LeaderChanged, Mark::ServiceSynced],
        draw: cluster::faults,
    },
    Scenario {
        name: "cluster-deaths",
        about: "servers and agents die and stay dead for a minute, and packets are lost",
        required: &[Mark::DeathFound],
        draw: cluster::deaths,
    },
    Scenario {
        name: "cluster-alone",
        about: "one at a time is cut off for so long that all others miss it, and it does not miss them yet",
        required: &[Mark::Accused],
        draw: cluster::alone,
    },
    Scenario {
        name: "cluster-starved",
        about: "a third of all processes get to run only now and then",
        required: &[Mark::PacketLost, Mark::ServiceSynced],
        draw: cluster::starved,
    },
    Scenario {
        name: "cluster-herd",
        about: "a fleet of agents whose servers all go and come back at once, or are cut off",
        required: &[Mark::AnsweredAlone, Mark::ServiceSynced],
        draw: cluster::herd,
    },
    Scenario {
        name: "cluster-moves",
        about: "every restart under another address, all servers at once too; name servers late or lying",
        required: &[Mark::AddressesPermuted, Mark::LeaderChanged, Mark::NamesLied],
        draw: cluster::moves,
    },
    Scenario {
        name: "cluster-rolling",
        about: "every process ended and started again in turn, by signal, by leaving or by crash",
        required: &[Mark::Stopped, Mark::LeaderChanged],
        draw: cluster::rolling,
    },
    Scenario {
        name: "cluster-disks",
        about: "agents that lose their disks, and a minority of servers too",
        required: &[Mark::AgentDiskLost, Mark::DiskReplaced],
        draw: cluster::disks,
    },
    Scenario {
        name: "cluster-names",
        about: "two agents of one name, and agents that start from copied data directories",
        required: &[Mark::NameRefused, Mark::NameTakenOver, Mark::TwinStopped],
        draw: cluster::names,
    },
    Scenario {
        name: "cluster-clones",
        about: "servers that start from copied data directories, and one that comes back after it was moved",
        required: &[Mark::ServerTwinStopped],
        draw: cluster::clones,
    },
    Scenario {
        name: "cluster-wan",
        about: "two datacenters whose links are cut, one way or both, while clients of each ask the other",
        required: &[Mark::AnsweredAbroad, Mark::NoPath, Mark::Founded],
        draw: cluster::wan,
    },
    Scenario {
        name: "cluster-keys",
        about: "the gossip key is changed, step by step, while processes die, stand still and are cut off",
        required: &[Mark::KeyChanged, Mark::KeysNotByAll, Mark::PacketLost],
        draw: cluster::keys,
    },
    Scenario {
        name: "chaos",
        about: "everything at once; each seed draws its own knobs",
        required: &[],
        draw: chaos,
    },
];

/// The one that must fail: a client that lies about a write.
pub const CANARY: Scenario = Scenario {
    name: "canary",
    about: "a client claims writes that it never sent: this must be found",
    required: &[],
    draw: |d| d.knobs.liar = 1,
};

/// The scenario of that name.
pub fn named(name: &str) -> Option<Scenario> {
    ALL.iter().chain([&CANARY]).find(|s| s.name == name).copied()
}

impl Scenario {
    /// The plan of a seed.
    pub fn plan(&self, seed: u64) -> Plan {
        let luck = Luck::of(seed, self.name, 0);
        let mut draft = Draft { knobs: Knobs::default(), luck, steps: Vec::new() };
        draft.knobs.servers = *draft.luck.pick(&[3, 3, 3, 5]);
        // None in half of the runs: what they leave behind has to be waited for, and time goes on slower with them.
        draft.knobs.holders = Luck::of(seed, "holders", 0).below(6).saturating_sub(2);
        draft.knobs.multiplier = *draft.luck.pick(&[1, 1, 2, 5]);
        draft.knobs.seconds = 20 + 10 * draft.knobs.multiplier;
        draft.knobs.repeat_permille = 150;
        draft.knobs.keys = draft.luck.between(2, 12);
        draft.knobs.delay_us = draft.luck.between(200, 5000);
        draft.knobs.ordered = u64::from(draft.luck.ratio(3, 4));
        draft.knobs.roam_permille = *draft.luck.pick(&[0, 100, 500]);
        (self.draw)(&mut draft);
        draft.steps.sort_by_key(|(at, _)| *at);
        let steps = draft.steps.into_iter().enumerate();
        let steps = steps.map(|(id, (at_ms, action))| Step { at_ms, id: id as u64, action }).collect();
        Plan { scenario: self.name.into(), seed, knobs: draft.knobs, steps }
    }
}

/// A plan in the making.
struct Draft {
    knobs: Knobs,
    luck: Luck,
    steps: Vec<(u64, Action)>,
}

impl Draft {
    fn end(&self) -> u64 {
        self.knobs.seconds * 1000
    }

    fn at(&mut self, ms: u64, action: Action) {
        if ms < self.end() {
            self.steps.push((ms, action));
        }
    }

    fn slot(&mut self) -> usize {
        self.luck.below(self.knobs.servers) as usize
    }

    /// Moments through the run, so far apart on average.
    fn moments(&mut self, mean_ms: u64) -> Vec<u64> {
        let mut at = 500 + self.luck.around(mean_ms);
        let mut all = Vec::new();
        while at < self.end() {
            all.push(at);
            at += 100 + self.luck.around(mean_ms);
        }
        all
    }

    /// A server dies and comes back after a while.
    fn bounce(&mut self, at: u64, slot: usize, down_ms: u64) {
        let back = at + 1 + self.luck.around(down_ms);
        self.at(at, Action::Crash(slot));
        self.at(back, Action::Restart(slot));
    }

    /// Some shape of partition, for a while.
    fn split(&mut self, at: u64, for_ms: u64) {
        let servers = self.knobs.slots();
        let mut order: Vec<usize> = (0..servers).collect();
        for i in (1..servers).rev() {
            order.swap(i, self.luck.below(i as u64 + 1) as usize);
        }
        let (one, rest) = order.split_at(self.luck.between(1, (servers as u64 / 2).max(1)) as usize);
        let (one, rest): (Vec<usize>, Vec<usize>) = (one.to_vec(), rest.to_vec());
        match self.luck.below(8) {
            0..3 => {
                let groups = self.with_agents(vec![Group::of(one), Group::of(rest)]);
                self.at(at, Action::Partition(groups));
            }
            3 => {
                // A bridge: one server hears both sides.
                let both = rest.first().copied();
                let first = Group::of(one.into_iter().chain(both));
                let groups = self.with_agents(vec![first, Group::of(rest)]);
                self.at(at, Action::Partition(groups));
            }
            4 => {
                // Nobody hears anybody.
                let alone = (0..servers).map(|slot| Group::of([slot])).collect();
                let alone = self.with_agents(alone);
                self.at(at, Action::Partition(alone));
            }
            5 => {
                for b in rest {
                    self.at(at, Action::Cut(one[0], b));
                }
            }
            6 => {
                for b in rest {
                    self.at(at, Action::Cut(b, one[0]));
                }
            }
            _ => {
                for b in rest {
                    let ms = self.luck.around(for_ms);
                    self.at(at, Action::Clog(one[0], b, ms));
                }
            }
        }
        let until = at + self.luck.around(for_ms);
        self.at(until, Action::Mend);
    }

    fn election_ms(&self) -> u64 {
        self.knobs.multiplier * 1000
    }
}

fn partition(d: &mut Draft) {
    d.knobs.loss_permille = *d.luck.pick(&[0, 0, 5, 50]);
    d.knobs.duplicate_permille = *d.luck.pick(&[0, 5]);
    let election = d.election_ms();
    for at in d.moments(election * 3) {
        d.split(at, election * 3);
    }
}

/// The successor needs no vote of the old leader, and need not wait for its lease: only a round of acknowledgements
/// tells the old one that it may not answer.
fn handover(d: &mut Draft) {
    d.knobs.consistent_permille = 500;
    d.knobs.stale_permille = 50;
    d.knobs.keys = d.luck.between(2, 4);
    let election = d.election_ms();
    for at in d.moments(election * 4) {
        d.at(at, Action::Overrule);
        d.at(at + 20, Action::Burst(election));
        d.at(at + election * 2, Action::Mend);
    }
}

fn quorum_loss(d: &mut Draft) {
    let election = d.election_ms();
    for at in d.moments(election * 6) {
        let majority = d.knobs.servers / 2 + 1;
        let first = d.slot();
        for n in 0..majority {
            let slot = (first + n as usize) % d.knobs.servers as usize;
            let at = at + d.luck.below(300);
            d.bounce(at, slot, election * 3);
        }
    }
}

fn restart_storm(d: &mut Draft) {
    d.knobs.servers = *d.luck.pick(&[1, 3, 3, 5]);
    d.knobs.flush_us = d.luck.between(300, 8000);
    d.knobs.snapshot_every = *d.luck.pick(&[30, 100, 16384]);
    d.knobs.trailing_logs = *d.luck.pick(&[0, 10, 100]);
    let election = d.election_ms();
    for at in d.moments(election / d.knobs.servers.min(3) + 300) {
        let slot = d.slot();
        d.bounce(at, slot, election / 2);
    }
}

fn disk_loss(d: &mut Draft) {
    d.knobs.snapshot_every = *d.luck.pick(&[50, 200, 16384]);
    d.knobs.trailing_logs = *d.luck.pick(&[0, 20, 100]);
    let election = d.election_ms();
    for at in d.moments(election * 5) {
        let slot = d.slot();
        d.at(at, Action::Wipe(slot));
        if d.luck.ratio(1, 3) {
            let slot = d.slot();
            d.bounce(at + 300, slot, election);
        }
        if d.luck.ratio(1, 4) {
            d.split(at + 100, election * 2);
        }
    }
}

fn torn_writes(d: &mut Draft) {
    d.knobs.servers = *d.luck.pick(&[1, 3, 3, 5]);
    d.knobs.flush_us = d.luck.between(2_000, 40_000);
    d.knobs.stall_permille = *d.luck.pick(&[0, 5]);
    d.knobs.snapshot_every = *d.luck.pick(&[40, 16384]);
    d.knobs.trailing_logs = 10;
    let election = d.election_ms();
    for at in d.moments(election * 2) {
        let slot = d.slot();
        match d.luck.below(6) {
            0..3 => d.bounce(at, slot, election),
            3 => {
                d.at(at, Action::DiskError(slot));
                d.at(at + election, Action::Restart(slot));
            }
            _ => {
                // One full disk is handed over from; where all are full, writes are refused.
                let full = if d.luck.ratio(1, 2) { slot..slot + 1 } else { 0..d.knobs.servers as usize };
                let until = at + d.luck.around(election * 2);
                for slot in full {
                    d.at(at, Action::DiskFull(slot, true));
                    d.at(until, Action::DiskFull(slot, false));
                }
            }
        }
    }
}

fn slow_disk(d: &mut Draft) {
    d.knobs.flush_us = d.luck.between(500, 4_000);
    d.knobs.stall_permille = *d.luck.pick(&[0, 10, 50]);
    let election = d.election_ms();
    for at in d.moments(election * 3) {
        let slot = d.slot();
        let factor = *d.luck.pick(&[10, 100, 500]);
        d.at(at, Action::SlowDisk(slot, factor));
        let until = at + d.luck.around(election * 3);
        d.at(until, Action::SlowDisk(slot, 1));
        if d.luck.ratio(1, 3) {
            d.bounce(at + 200, slot, election);
        }
    }
}

fn clock_drift(d: &mut Draft) {
    d.knobs.drift_ppm = *d.luck.pick(&[1000, 50_000, 330_000]);
    let election = d.election_ms();
    for at in d.moments(election * 2) {
        let slot = d.slot();
        match d.luck.below(5) {
            0 | 1 => {
                let drift = d.knobs.drift_ppm;
                let ppm = d.luck.below(2 * drift + 1) as i64 - drift as i64;
                d.at(at, Action::Drift(slot, ppm));
            }
            2 => {
                let ms = d.luck.below(20_000) as i64 - 10_000;
                d.at(at, Action::Step(slot, ms));
            }
            3 => {
                d.at(at, Action::Pause(slot));
                let until = at + d.luck.around(election * 2);
                d.at(until, Action::Resume(slot));
            }
            _ => d.split(at, election * 2),
        }
    }
}

fn membership(d: &mut Draft) {
    d.knobs.spares = d.luck.between(1, 2);
    d.knobs.snapshot_every = *d.luck.pick(&[40, 16384]);
    d.knobs.trailing_logs = *d.luck.pick(&[0, 20]);
    let election = d.election_ms();
    let slots = d.knobs.slots() as u64;
    for at in d.moments(election * 3 / 2) {
        let slot = d.luck.below(slots) as usize;
        let change = *d.luck.pick(&[
            Change::Add,
            Change::Add,
            Change::Learn,
            Change::Promote,
            Change::Demote,
            Change::Remove,
        ]);
        match d.luck.below(8) {
            0 => d.at(at, Action::Transfer(None)),
            1 => d.at(at, Action::Transfer(Some(slot))),
            _ => d.at(at, Action::Member(change, slot)),
        }
        match d.luck.below(5) {
            0 => d.split(at + 50, election * 2),
            1 => d.bounce(at + 50, slot, election),
            _ => {}
        }
    }
}

fn snapshot(d: &mut Draft) {
    d.knobs.snapshot_every = d.luck.between(20, 80);
    d.knobs.trailing_logs = d.luck.between(0, 20);
    d.knobs.value_bytes = *d.luck.pick(&[40, 400]);
    let election = d.election_ms();
    for at in d.moments(election * 4) {
        let slot = d.slot();
        let away = election * 2;
        if d.luck.ratio(1, 2) {
            d.bounce(at, slot, away);
        } else {
            let rest = (0..d.knobs.servers as usize).filter(|s| *s != slot);
            d.at(at, Action::Partition(vec![Group::of([slot]), Group::of(rest)]));
            let until = at + d.luck.around(away);
            d.at(until, Action::Mend);
        }
        let burst = d.luck.between(200, 1000);
        d.at(at + 10, Action::Burst(burst));
    }
    d.knobs.spoil_permille = *d.luck.pick(&[0, 200, 600]);
}

fn restores(d: &mut Draft) {
    d.knobs.part_bytes = *d.luck.pick(&[200, 600, 1500, 1 << 20]);
    d.knobs.snapshot_every = *d.luck.pick(&[20, 40, 200, 16384]);
    d.knobs.trailing_logs = *d.luck.pick(&[0, 10, 50]);
    d.knobs.flush_us = *d.luck.pick(&[300, 2000, 8000]);
    d.knobs.client_loss_permille = *d.luck.pick(&[0, 0, 20]);
    d.knobs.holders = d.luck.between(1, 3);
    let election = d.election_ms();
    let servers = d.knobs.servers as usize;
    let first = d.slot();
    d.at(election * 2, Action::Save(first));
    for at in d.moments(election * 2) {
        let slot = d.slot();
        if d.luck.ratio(2, 5) {
            d.at(at, Action::Save(slot));
            continue;
        }
        let further = if d.luck.ratio(1, 4) { d.luck.between(1, 1000) } else { 0 };
        d.at(at, Action::Restore(slot, further));
        // While its parts come, or the answer is on its way.
        let amid = at + d.luck.between(5, 400);
        let other = d.slot();
        match d.luck.below(11) {
            0 | 1 => d.bounce(amid, other, election),
            2 => d.bounce(amid, slot, election),
            3 => d.split(amid, election * 2),
            4 => d.at(amid, Action::Transfer(None)),
            5 => {
                d.at(amid, Action::Overrule);
                d.at(amid + election * 2, Action::Mend);
            }
            6 => {
                let until = amid + d.luck.around(election);
                for full in 0..servers {
                    d.at(amid, Action::DiskFull(full, true));
                    d.at(until, Action::DiskFull(full, false));
                }
            }
            // Another one, which may win.
            7 => d.at(amid, Action::Restore(other, 0)),
            8 => d.at(amid, Action::Burst(300)),
            // One that is not there, and has fallen behind when it comes back.
            _ => {
                let away = (slot + 1) % servers;
                d.bounce(at - 100, away, election * 3);
                d.at(at + 200, Action::Burst(election));
            }
        }
    }
}

fn chaos(d: &mut Draft) {
    let k = &mut d.knobs;
    k.servers = *d.luck.pick(&[1, 3, 3, 5, 5]);
    k.spares = *d.luck.pick(&[0, 0, 1]);
    k.clients = d.luck.between(2, 6);
    k.watchers = d.luck.between(1, 4);
    k.think_ms = d.luck.between(100, 400);
    k.loss_permille = *d.luck.pick(&[0, 0, 10, 100]);
    k.duplicate_permille = *d.luck.pick(&[0, 10, 100]);
    k.client_loss_permille = *d.luck.pick(&[0, 0, 20]);
    k.flush_us = *d.luck.pick(&[200, 1000, 10_000]);
    k.stall_permille = *d.luck.pick(&[0, 0, 5, 20]);
    k.drift_ppm = *d.luck.pick(&[0, 1000, 330_000]);
    k.snapshot_every = *d.luck.pick(&[20, 100, 16384]);
    k.trailing_logs = *d.luck.pick(&[0, 10, 50]);
    let election = d.election_ms();
    // Each seed has its own mix: a kind that is left out leaves room for the others.
    let weights: Vec<u64> = (0..8).map(|_| d.luck.below(4)).collect();
    let total: u64 = weights.iter().sum::<u64>().max(1);
    let pace = *d.luck.pick(&[1, 2, 4]);
    for at in d.moments(election * pace / 2 + 200) {
        let mut pick = d.luck.below(total);
        let kind = weights.iter().position(|w| {
            let here = pick < *w;
            pick = pick.saturating_sub(*w);
            here
        });
        trouble(d, kind.unwrap_or(0), at, election);
    }
}

fn trouble(d: &mut Draft, kind: usize, at: u64, election: u64) {
    let slot = d.luck.below(d.knobs.slots() as u64) as usize;
    match kind {
        0 => d.bounce(at, slot, election),
        1 => d.split(at, election * 2),
        2 => {
            d.at(at, Action::Pause(slot));
            let until = at + d.luck.around(election);
            d.at(until, Action::Resume(slot));
        }
        3 => {
            let factor = *d.luck.pick(&[10, 100]);
            d.at(at, Action::SlowDisk(slot, factor));
            let until = at + d.luck.around(election * 2);
            d.at(until, Action::SlowDisk(slot, 1));
        }
        4 => {
            d.at(at, Action::DiskError(slot));
            d.at(at + election, Action::Restart(slot));
        }
        5 => {
            let change =
                *d.luck.pick(&[Change::Add, Change::Learn, Change::Promote, Change::Demote, Change::Remove]);
            match d.luck.below(5) {
                0 => d.at(at, Action::Transfer(None)),
                1 => d.at(at, Action::Wipe(slot)),
                _ => d.at(at, Action::Member(change, slot)),
            }
        }
        6 => {
            let drift = d.knobs.drift_ppm;
            let ppm = d.luck.below(2 * drift + 1) as i64 - drift as i64;
            d.at(at, Action::Drift(slot, ppm));
        }
        _ => d.at(at, Action::Burst(300)),
    }
}
