//! A random cluster under faults, checked after every step against the safety properties of the
//! thesis (figure 3.2): election safety, log matching, leader completeness, state machine safety, and
//! on top that a commit is for ever, a read is linearizable and a lost call has no effect.
//!
//! Messages are dropped, doubled and reordered; servers crash and lose what was not flushed; clocks
//! run at different rates; the membership changes. Then the faults stop and the cluster must work.

mod raft_cluster;

use bytes::Bytes;
use lictor_core::ids::{CallId, Index, ServerId, Term};
use lictor_core::raft::{Change, Config, Effect, Entry, Input, LogId, Membership, Role};
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant};
use raft_cluster::{Cluster, Machine, config, id};
use std::collections::{BTreeMap, BTreeSet};

/// What has been seen so far, over all servers and their lives.
#[derive(Default)]
struct Seen {
    leaders: BTreeMap<Term, ServerId>,
    /// Everything ever applied anywhere.
    committed: BTreeMap<Index, Entry>,
    /// Accepted calls that have not been heard of since, by server.
    open: BTreeMap<CallId, LogId>,
    lost: BTreeSet<LogId>,
    /// The greatest index whose call was answered: no later read may be below it.
    answered: Index,
    /// For each read, `answered` when it was asked.
    reads: BTreeMap<CallId, Index>,
    counts: BTreeMap<&'static str, u64>,
}

impl Seen {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

struct World {
    cluster: Cluster,
    rng: Rng,
    seen: Seen,
    next_call: u64,
    faults: bool,
    /// One message in so many is lost.
    loss: u64,
    /// The longest that passes at once, in milliseconds.
    leap: u64,
    crashes: bool,
    /// A server that nobody hears.
    alone: Option<&'static str>,
    /// Real time; each server's clock runs at its own rate of it, in percent.
    rates: BTreeMap<ServerId, u64>,
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn tight(name: &str, rng: &mut Rng) -> Config {
    Config {
        lease: Duration::from_millis(850),
        max_inflight: 1 + rng.below(4) as usize,
        max_inflight_bytes: 300,
        max_batch_bytes: 100,
        snapshot_threshold: 5 + rng.below(20),
        trailing_logs: rng.below(8),
        max_log_bytes: 4000,
        tail_bytes: rng.below(600) as usize,
        max_uncommitted_bytes: 1000,
        snapshot_chunk_bytes: 64,
        snapshot_window: 2,
        ..config(name)
    }
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(Seed::from_u64(seed)).fork("world");
        let mut world = World {
            cluster: Cluster::new(seed),
            seen: Seen::default(),
            next_call: 0,
            faults: true,
            loss: [8, 20, 200][rng.below(3) as usize],
            leap: [20, 60, 200][rng.below(3) as usize],
            crashes: rng.ratio(1, 2),
            alone: None,
            rates: NAMES.iter().map(|name| (id(name), 95 + rng.below(11))).collect(),
            rng: rng.clone(),
        };
        let founders = 1 + rng.below(3) as usize * 2;
        let voters = Membership::of_voters(NAMES[..founders].iter().map(|name| id(name)));
        for (i, name) in NAMES.iter().enumerate() {
            let effects = world.cluster.add(tight(name, &mut rng), (i < founders).then(|| voters.clone()));
            world.observe(name, effects);
        }
        world
    }

    fn pick(&mut self) -> &'static str {
        NAMES[self.rng.below(NAMES.len() as u64) as usize]
    }

    fn call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    fn input(&mut self, name: &str, input: Input) {
        let effects = self.cluster.input(name, input);
        self.observe(name, effects);
    }

    fn leader(&mut self) -> Option<&'static str> {
        let leads = |name: &&&str| self.cluster.is_up(name) && self.cluster.raft(name).role() == Role::Leader;
        NAMES.iter().filter(leads).max_by_key(|name| self.cluster.raft(name).term()).copied()
    }

    /// Time passes, and whoever is due is woken.
    fn pass(&mut self, ms: u64) {
        for name in NAMES {
            let rate = self.rates[name];
            let server = self.cluster.servers.get_mut(name).unwrap();
            server.now = server.now + Duration::from_micros(ms * 10 * rate);
            let now = server.now;
            let due = server.raft.as_ref().and_then(|raft| raft.poll_timeout()).is_some_and(|at| at <= now);
            if due {
                self.input(name, Input::Wake);
            }
        }
    }

    fn deliver_one(&mut self) {
        if self.cluster.net.is_empty() {
            return;
        }
        let place = if self.faults && self.rng.ratio(1, 5) {
            self.rng.below(self.cluster.net.len() as u64) as usize
        } else {
            0
        };
        let packet = self.cluster.net.remove(place).unwrap();
        let cut = self.alone.is_some_and(|alone| *packet.from == *alone || *packet.to == *alone);
        if cut || (self.faults && self.rng.ratio(1, self.loss)) {
            return;
        }
        if self.faults && self.rng.ratio(1, 20) {
            self.cluster.net.push_back(packet.clone());
        }
        let to = packet.to.clone();
        let effects = self.cluster.deliver(packet);
        self.observe(&to, effects);
    }

    fn flush_one(&mut self, name: &str) {
        let queued = self.cluster.servers[name].queue.len() as u64;
        let count = 1 + self.rng.below(queued.max(1)) as usize;
        let effects = self.cluster.flush(name, count);
        self.observe(name, effects);
    }

    fn change(&mut self) -> Change {
        let name = self.pick();
        match self.rng.below(5) {
            0 => Change::AddVoter(id(name)),
            1 => Change::AddLearner(id(name)),
            2 => Change::Promote(id(name)),
            3 => Change::Demote(id(name)),
            _ => Change::Remove(id(name)),
        }
    }

    fn step(&mut self) {
        let name = self.pick();
        match self.rng.below(1000) {
            0..600 => self.deliver_one(),
            600..750 => self.flush_one(name),
            750..850 => {
                let ms = self.rng.below(self.leap);
                self.pass(ms);
            }
            850..920 => {
                let call = self.call();
                let command = Bytes::from(format!("{call}:{}", "x".repeat(self.rng.below(60) as usize)));
                let to = self.leader().unwrap_or(name);
                self.input(to, Input::Propose { call, command });
            }
            920..950 => {
                let call = self.call();
                let to = if self.rng.ratio(1, 2) { self.leader().unwrap_or(name) } else { name };
                self.seen.reads.insert(call, self.seen.answered);
                self.input(to, Input::ReadIndex { call });
            }
            950..970 => {
                let effects = self.cluster.build(name);
                self.observe(name, effects);
            }
            970..978 => {
                let call = self.call();
                let change = self.change();
                let to = self.leader().unwrap_or(name);
                self.input(to, Input::ChangeMembership { call, change });
            }
            978..984 => {
                let call = self.call();
                let to = self.leader().unwrap_or(name);
                let target = self.rng.ratio(1, 2).then(|| id(self.pick()));
                self.input(to, Input::TransferLeadership { call, to: target });
            }
            984..988 if self.crashes && self.cluster.is_up(name) => {
                let queued = self.cluster.servers[name].queue.len() as u64;
                let kept = self.rng.below(queued + 1) as usize;
                self.cluster.crash(name, kept);
                self.seen.count("crash");
            }
            988..996 if !self.cluster.is_up(name) => {
                let effects = self.cluster.restart(name);
                self.observe(name, effects);
            }
            996 => self.alone = self.rng.ratio(2, 3).then(|| self.leader().unwrap_or(name)),
            997 => {
                let len = self.cluster.net.len() as u64;
                let keep = self.rng.below(len + 1) as usize;
                self.cluster.net.truncate(keep);
            }
            _ => self.check_lease(name),
        }
        self.check_log_matching(name);
    }

    /// A leader that holds its lease reads everything that was ever answered.
    fn check_lease(&mut self, name: &str) {
        let server = &self.cluster.servers[name];
        let Some(raft) = &server.raft else { return };
        if raft.lease_until().is_some_and(|until| server.now < until) {
            let applied = server.machine.applied.index;
            assert!(
                applied >= self.seen.answered,
                "{name} read {applied} under its lease, {} was answered",
                self.seen.answered
            );
            self.seen.count("lease read");
        }
    }

    fn observe(&mut self, name: &str, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::RoleChanged { role: Role::Leader, term, .. } => self.check_leader(name, term),
                Effect::RoleChanged { .. } => {}
                Effect::Apply { entries } => entries.into_iter().for_each(|entry| self.check_applied(entry)),
                Effect::RestoreSnapshot { .. } => self.seen.count("restore"),
                Effect::Accepted { call, index, term } => {
                    self.seen.open.insert(call, LogId { index, term });
                }
                Effect::Lost { call } => {
                    let at = self.seen.open.remove(&call).expect("a lost call was accepted");
                    let instead = self.seen.committed.get(&at.index);
                    assert!(instead.is_none_or(|e| e.id() != at), "call {call} was committed, not lost");
                    self.seen.lost.insert(at);
                    self.seen.count("lost");
                }
                Effect::ReadReady { call, index } => {
                    let asked_at = self.seen.reads.remove(&call).expect("a read that was asked");
                    assert!(index >= asked_at, "{name} read {index}, {asked_at} was answered before");
                    assert!(self.cluster.servers[name].machine.applied.index >= index, "read before applied");
                    self.seen.count("read");
                }
                Effect::TransferEnded { result: Ok(()), .. } => self.seen.count("transfer"),
                Effect::MembershipChanged { .. } => self.seen.count("membership"),
                Effect::BuildSnapshot { .. } => self.seen.count("build"),
                Effect::Contradicted { at } => {
                    panic!("{name}: the leader contradicts what is committed at {at}")
                }
                Effect::CheckSnapshot { .. } => {}
                Effect::Send { .. }
                | Effect::Persist { .. }
                | Effect::Rejected { .. }
                | Effect::Unknown { .. }
                | Effect::ReadRejected { .. }
                | Effect::TransferEnded { .. } => {}
            }
        }
    }

    /// Election safety, and leader completeness: a new leader holds all that was ever committed.
    fn check_leader(&mut self, name: &str, term: Term) {
        let other = self.seen.leaders.insert(term, id(name));
        assert!(other.is_none_or(|other| &*other == name), "two leaders in term {term}");
        self.seen.count("leader");
        let (applied, log) = self.memory(name);
        for (index, entry) in self.seen.committed.range(Index(applied.0 + 1)..) {
            assert_eq!(log.get(index), Some(entry), "leader {name} of term {term} lacks {index}");
        }
    }

    /// What a server would hold if its disk caught up: where its machine starts, and the log.
    fn memory(&self, name: &str) -> (Index, BTreeMap<Index, Entry>) {
        let server = &self.cluster.servers[name];
        let mut disk = server.disk.clone();
        for (_, batch) in &server.queue {
            disk.write(batch.clone());
        }
        let snapshot = disk.image.snapshot.map_or(Index(0), |meta| meta.index);
        (snapshot, disk.image.log.into_iter().map(|entry| (entry.index, entry)).collect())
    }

    /// State machine safety: whatever is applied at an index, anywhere and ever, is the same.
    fn check_applied(&mut self, entry: Entry) {
        assert!(!self.seen.lost.contains(&entry.id()), "{:?} was lost and is applied", entry.id());
        self.seen.open.retain(|_, at| *at != entry.id());
        self.seen.answered = self.seen.answered.max(entry.index);
        let before = self.seen.committed.insert(entry.index, entry.clone());
        assert!(before.is_none_or(|before| before == entry), "two entries committed at {}", entry.index);
    }

    /// Log matching: equal positions mean equal logs before them.
    fn check_log_matching(&mut self, name: &str) {
        let (_, mine) = self.memory(name);
        for other in NAMES {
            let (_, theirs) = self.memory(other);
            let common = mine.iter().rev().find(|(i, e)| theirs.get(i).is_some_and(|t| t.id() == e.id()));
            let Some((upto, _)) = common else { continue };
            for (index, entry) in mine.range(..=upto) {
                if let Some(theirs) = theirs.get(index) {
                    assert_eq!(entry, theirs, "{name} and {other} differ at {index}");
                }
            }
        }
    }

    /// Faults stop; a fresh write must be committed and applied by everyone who takes part.
    fn heal(&mut self) {
        self.faults = false;
        self.alone = None;
        for name in NAMES {
            if !self.cluster.is_up(name) {
                let effects = self.cluster.restart(name);
                self.observe(name, effects);
            }
        }
        let mut wanted = None;
        for round in 0..4000 {
            self.pass(10);
            for _ in 0..200 {
                self.deliver_one();
            }
            for name in NAMES {
                let effects = self.cluster.flush(name, usize::MAX);
                self.observe(name, effects);
                let effects = self.cluster.build(name);
                self.observe(name, effects);
            }
            let Some(leader) = self.leader() else { continue };
            let raft = self.cluster.raft(leader);
            // Asked again now and then: a leader may retire with the first try in its log.
            if (wanted.is_none() || round % 200 == 0) && raft.status().ready {
                let call = self.call();
                self.input(leader, Input::Propose { call, command: Bytes::from_static(b"healed") });
                wanted = self.seen.open.get(&call).copied();
            }
            let done = |name: &ServerId| {
                wanted.is_some_and(|at| self.cluster.servers[name].machine.applied.index >= at.index)
            };
            let members = self.cluster.raft(leader).membership();
            if members.voters.iter().chain(&members.learners).all(done) {
                return self.check_equal();
            }
        }
        for name in NAMES {
            println!("{name}: {:?}", self.cluster.raft(name).status());
        }
        panic!("no progress after the faults stopped");
    }

    /// Equal machines at equal indexes.
    fn check_equal(&self) {
        let mut by_index: BTreeMap<Index, &Machine> = BTreeMap::new();
        for server in self.cluster.servers.values() {
            let machine = by_index.entry(server.machine.applied.index).or_insert(&server.machine);
            assert_eq!(**machine, server.machine);
        }
    }
}

fn run(seed: u64, steps: u64) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.heal();
    world.seen.counts
}

/// How many seeds: `RAFT_SEEDS=from..to` widens the sweep by hand.
fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("RAFT_SEEDS") else { return 0..60 };
    let (from, to) = text.split_once("..").expect("RAFT_SEEDS=from..to");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn safety_holds_under_faults_and_the_cluster_recovers() {
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds() {
        let result = std::panic::catch_unwind(|| run(seed, 4000));
        let Ok(counts) = result else { panic!("seed {seed} failed: RAFT_SEEDS={seed}..{}", seed + 1) };
        for (what, n) in counts {
            *total.entry(what).or_default() += n;
        }
    }
    // A sweep that never meets these proves nothing about them.
    println!("{total:?}");
    for what in
        ["leader", "crash", "restore", "build", "lost", "read", "lease read", "transfer", "membership"]
    {
        assert!(total.get(what).is_some_and(|n| *n > 0), "no {what} in the whole sweep");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = |seed| {
        let mut world = World::new(seed);
        (0..1500).for_each(|_| world.step());
        let status: Vec<_> =
            NAMES.iter().filter(|n| world.cluster.is_up(n)).map(|n| world.cluster.raft(n).status()).collect();
        let packets: Vec<_> = world.cluster.net.iter().map(|p| p.bytes.clone()).collect();
        (status, packets, Instant(0))
    };
    assert_eq!(trace(7), trace(7));
}
