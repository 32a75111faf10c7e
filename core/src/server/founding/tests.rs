//! Founding among servers whose messages are lost, doubled and delayed, and that crash.

use super::*;
use crate::event::Field;
use crate::gossip::consul::Build;
use crate::rng::{Rng, Seed};
use core::net::SocketAddr;
use proptest::prelude::*;

/// Servers, the messages between them, and what each disk holds.
struct World {
    rng: Rng,
    now: Instant,
    servers: Vec<Founding>,
    /// The promise on each disk.
    disks: Vec<Option<Promise>>,
    /// Whether each has a log.
    logs: Vec<bool>,
    /// Whom each sees alive; the others it sees failed.
    views: Vec<BTreeSet<usize>>,
    messages: Vec<(usize, usize, Message)>,
    founded: Vec<BTreeSet<ServerId>>,
    lives: u64,
}

fn id(of: usize) -> ServerId {
    format!("s{of}").as_str().into()
}

fn number(id: &str) -> usize {
    id[1..].parse().expect("of a test")
}

impl World {
    fn new(count: usize, expect: u32, seed: u64) -> World {
        let rng = Rng::new(Seed::from_u64(seed));
        let boot = |of| Founding::new(id(of), expect, None, rng.fork(&format!("s{of}")), Instant::ZERO);
        World {
            servers: (0..count).map(boot).collect(),
            disks: alloc::vec![None; count],
            logs: alloc::vec![false; count],
            views: (0..count).map(|_| (0..count).collect()).collect(),
            messages: Vec::new(),
            founded: Vec::new(),
            lives: 0,
            now: Instant::ZERO,
            rng: rng.fork("world"),
        }
    }

    fn seen(&self, by: usize) -> BTreeMap<ServerId, Server> {
        let expect = self.servers[by].expect;
        let server = |of: usize| Server {
            name: id(of),
            short_name: id(of),
            id: id(of),
            datacenter: "dc1".into(),
            addr: SocketAddr::from(([127, 0, 0, 1], of as u16)),
            wan_join_port: None,
            grpc_port: None,
            grpc_tls_port: None,
            bootstrap: false,
            expect,
            build: Build(1, 21, 5),
            version: 2,
            raft_version: 3,
            read_replica: false,
            use_tls: false,
            cluster: Str::default(),
            features: BTreeMap::new(),
            status: if self.views[by].contains(&of) { Status::Alive } else { Status::Failed },
        };
        (0..self.servers.len()).map(|of| (id(of), server(of))).collect()
    }

    fn step(&mut self, of: usize) {
        let (seen, fresh) = (self.seen(of), !self.logs[of]);
        self.servers[of].step(self.now, &seen, fresh);
        self.drain(of);
    }

    fn deliver(&mut self, (from, to, message): (usize, usize, Message)) {
        let (seen, fresh) = (self.seen(to), !self.logs[to]);
        self.servers[to].handle(self.now, id(from), message, &seen, fresh);
        self.drain(to);
    }

    fn drain(&mut self, of: usize) {
        while let Some(effect) = self.servers[of].poll_effect() {
            match effect {
                Effect::Send { to, message } => self.messages.push((of, number(&to), message)),
                Effect::Keep(promise) => self.disks[of] = promise,
                Effect::Found(membership) => {
                    self.logs[of] = true;
                    self.founded.push(membership.voters);
                }
                Effect::Log(_) => {}
            }
        }
    }

    fn crash(&mut self, of: usize) {
        self.lives += 1;
        let (expect, rng) = (self.servers[of].expect, self.rng.fork(&format!("life{}", self.lives)));
        self.servers[of] = Founding::new(id(of), expect, self.disks[of].clone(), rng, self.now);
    }

    /// One thing that may happen.
    fn happen(&mut self) {
        let of = self.rng.below(self.servers.len() as u64) as usize;
        match self.rng.below(100) {
            0..=44 if !self.messages.is_empty() => {
                let which = self.rng.below(self.messages.len() as u64) as usize;
                let message = self.messages[which].clone();
                // Some come again.
                if !self.rng.ratio(1, 5) {
                    self.messages.swap_remove(which);
                }
                self.deliver(message);
            }
            45..=49 if !self.messages.is_empty() => {
                let which = self.rng.below(self.messages.len() as u64) as usize;
                self.messages.swap_remove(which);
            }
            50..=79 => self.step(of),
            80..=89 => self.now = self.now + self.rng.duration(Duration::ZERO, Duration::from_secs(3)),
            90..=94 => {
                let other = self.rng.below(self.servers.len() as u64) as usize;
                if other != of && !self.views[of].remove(&other) {
                    self.views[of].insert(other);
                }
            }
            95..=96 => self.crash(of),
            97..=99 => {
                // Raft brings the log of a founded cluster to one of its members.
                if let Some(set) = self.founded.last()
                    && set.contains(&id(of))
                {
                    self.logs[of] = true;
                }
            }
            _ => {}
        }
        self.messages.truncate(500);
    }

    fn settle(&mut self, rounds: usize) {
        for _ in 0..rounds {
            (0..self.servers.len()).for_each(|of| self.step(of));
            while !self.messages.is_empty() {
                let message = self.messages.remove(0);
                self.deliver(message);
            }
            self.now = self.now + Duration::from_millis(500);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn at_most_one_membership_is_founded_among_overlapping_sets(
        count in 3usize..7, expect in 2u32..4, seed in any::<u64>(),
    ) {
        let mut world = World::new(count, expect, seed);
        for _ in 0..600 {
            world.happen();
        }
        for (at, one) in world.founded.iter().enumerate() {
            for other in &world.founded[at + 1..] {
                prop_assert!(one.is_disjoint(other), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn after_any_trouble_servers_that_see_each_other_found_or_wait_for_the_one_that_did(
        count in 3usize..6, seed in any::<u64>(),
    ) {
        let mut world = World::new(count, 3, seed);
        for _ in 0..200 {
            world.happen();
        }
        world.views = (0..count).map(|_| (0..count).collect()).collect();
        world.settle(200);
        prop_assert_eq!(world.founded.len(), 1, "somebody has a log, and nobody else founds");
    }
}

#[test]
fn servers_that_see_each_other_found_one_cluster_of_all_within_two_seconds() {
    let mut world = World::new(3, 3, 1);
    world.settle(4);
    assert_eq!(world.founded, [(0..3).map(id).collect::<BTreeSet<_>>()]);
}

#[test]
fn too_few_servers_wait_and_say_for_how_many() {
    let mut world = World::new(2, 3, 1);
    let seen = world.seen(0);
    world.servers[0].step(Instant::ZERO, &seen, true);
    let Some(Effect::Log(event)) = world.servers[0].poll_effect() else { panic!("nothing is said") };
    assert_eq!(event.message, "waiting for 1 more of 3 servers to found a cluster with");
    assert_eq!(event.fields, [("seen", Field::Text("s0, s1".into()))]);
    world.servers[0].step(Instant::ZERO + PAUSE, &seen, true);
    assert_eq!(world.servers[0].poll_effect(), None, "it is not said every second");
}

#[test]
fn a_server_with_a_log_refuses_and_no_cluster_is_founded() {
    let mut world = World::new(3, 3, 1);
    world.logs[2] = true;
    world.settle(60);
    assert!(world.founded.is_empty());
}

#[test]
fn a_promise_outlives_a_crash_and_ends_when_its_proposer_has_left() {
    let mut world = World::new(3, 3, 1);
    let members: Vec<ServerId> = (0..3).map(id).collect();
    let ask = |ballot| Message::Ask { ballot, expect: 3, members: members.clone() };
    world.deliver((0, 1, ask(7)));
    world.crash(1);
    world.messages.clear();
    world.deliver((2, 1, ask(8)));
    let refused = Message::Refuse { ballot: 8, why: Refusal::Promised };
    assert_eq!(world.messages.pop(), Some((1, 2, refused)));
    let mut seen = world.seen(1);
    if let Some(server) = seen.get_mut(&id(0)) {
        server.status = Status::Left;
    }
    world.servers[1].step(world.now, &seen, true);
    world.drain(1);
    assert_eq!(world.disks[1], None);
}

#[test]
fn another_number_of_expected_servers_is_an_error_and_founds_nothing() {
    let mut world = World::new(3, 3, 1);
    let mut seen = world.seen(0);
    if let Some(server) = seen.get_mut(&id(1)) {
        server.expect = 5;
    }
    world.servers[0].step(Instant::ZERO, &seen, true);
    let Some(Effect::Log(event)) = world.servers[0].poll_effect() else { panic!("nothing is said") };
    assert_eq!(event.level, Level::Error);
    assert!(event.message.starts_with("Member has a conflicting expect value."), "{}", event.message);
    assert_eq!(world.servers[0].poll_effect(), None);
}

#[test]
fn a_server_that_founds_nothing_says_now_and_then_why_it_has_no_leader() {
    let world = World::new(2, 0, 1);
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let rng = Rng::new(Seed::from_u64(1));
    let mut server = Founding::new(id(0), 0, None, rng, at(0)).waiting(at(0));
    let both = world.seen(0);
    let alone: BTreeMap<ServerId, Server> =
        both.iter().take(1).map(|(k, v)| (k.clone(), v.clone())).collect();
    let mut says = |seconds, seen: &BTreeMap<ServerId, Server>, fresh| {
        server.step(at(seconds), seen, fresh);
        let said = server.poll_effect().map(|effect| format!("{effect:?}")).unwrap_or_default();
        (said, server.poll_timeout())
    };
    assert_eq!(says(0, &alone, true), (String::new(), Some(at(10))));
    let (said, next) = says(10, &alone, true);
    assert!(said.contains("sees no other server") && said.contains("bootstrap_expect"), "{said}");
    assert_eq!(next, Some(at(40)));
    assert_eq!(says(11, &alone, true).0, "");
    let (said, _) = says(40, &both, true);
    assert!(said.contains("takes it in") && said.contains("s1"), "{said}");
    assert_eq!(says(70, &both, false), (String::new(), None));
}
