//! One leader, and servers that come, go and lag.

use super::*;
use crate::gossip::consul::Build;
use crate::ids::Index;
use crate::ids::{Term, Ticket};
use crate::raft::{Membership, PeerStatus, Status as RaftStatus};
use core::net::SocketAddr;

const SECOND: Duration = Duration::from_secs(1);

struct World {
    autopilot: Autopilot,
    config: AutopilotConfig,
    now: Instant,
    membership: Membership,
    known: BTreeMap<ServerId, Server>,
    /// Those that do not answer.
    silent: Vec<ServerId>,
    /// How long ago the others did.
    ago: Duration,
}

fn server(id: &str, status: Status) -> (ServerId, Server) {
    let server = Server {
        name: id.into(),
        short_name: id.into(),
        id: id.into(),
        datacenter: "dc1".into(),
        addr: SocketAddr::from(([127, 0, 0, 1], 8300)),
        wan_join_port: None,
        grpc_port: None,
        grpc_tls_port: None,
        bootstrap: false,
        expect: 3,
        build: Build(1, 21, 5),
        version: 2,
        raft_version: 3,
        read_replica: false,
        use_tls: false,
        cluster: Str::default(),
        features: BTreeMap::new(),
        status,
    };
    (id.into(), server)
}

impl World {
    /// `a` leads.
    fn new(voters: &[&str]) -> World {
        let now = Instant::ZERO + SECOND * 1000;
        let mut autopilot = Autopilot::default();
        autopilot.start(now);
        World {
            autopilot,
            config: AutopilotConfig::default(),
            now,
            membership: Membership::of_voters(voters.iter().map(|id| ServerId::from(*id))),
            known: voters.iter().map(|id| server(id, Status::Alive)).collect(),
            silent: Vec::new(),
            ago: Duration::ZERO,
        }
    }

    fn set(&mut self, id: &str, status: Status) {
        self.known.extend([server(id, status)]);
        self.autopilot.hurry(self.now);
    }

    fn status(&self) -> RaftStatus {
        let others = self.membership.others("a");
        let peer = |id: ServerId| PeerStatus {
            voter: self.membership.is_voter(&id),
            matched: Index(100),
            next: Index(101),
            mode: "replicate",
            inflight: 0,
            last_heard: (!self.silent.contains(&id)).then_some(self.now - self.ago),
            id,
        };
        RaftStatus {
            id: "a".into(),
            role: Role::Leader,
            term: Term(2),
            voted_for: None,
            leader: Some("a".into()),
            leader_contact: None,
            last_index: Index(100),
            last_term: Term(2),
            flushed_index: Index(100),
            commit_index: Index(100),
            applied_index: Index(100),
            base_index: Index(0),
            log_bytes: 0,
            snapshot_index: Index(0),
            snapshot_term: Term(0),
            issued: Ticket(0),
            flushed: Ticket(0),
            membership: self.membership.clone(),
            membership_index: Index(1),
            ready: true,
            lease_until: None,
            transferring: false,
            waiting_calls: 0,
            waiting_reads: 0,
            peers: others.into_iter().map(peer).collect(),
        }
    }

    /// Lets time pass; the changes that were made on the way, each carried out at once.
    fn pass(&mut self, time: Duration) -> Vec<Change> {
        let (until, mut changes) = (self.now + time, Vec::new());
        while let Some(at) = self.autopilot.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let status = self.status();
            let raft = Raft { status: &status, heartbeat: Duration::from_millis(100) };
            for effect in self.autopilot.step(self.now, &self.config, &raft, &self.known) {
                match effect {
                    Effect::Change(change) => {
                        match &change {
                            Change::AddLearner(id) => self.membership.learners.insert(id.clone()),
                            Change::Promote(id) => {
                                self.membership.learners.remove(id);
                                self.membership.voters.insert(id.clone())
                            }
                            Change::Remove(id) => {
                                self.membership.learners.remove(id) || self.membership.voters.remove(id)
                            }
                            Change::AddVoter(_) | Change::Demote(_) => unreachable!("autopilot does neither"),
                        };
                        changes.push(change);
                    }
                    Effect::ForceLeave(name) => self.known.extend([server(&name, Status::Left)]),
                    Effect::Log(_) => {}
                }
            }
        }
        self.now = until;
        changes
    }
}

#[test]
fn a_new_server_takes_part_at_once_and_votes_when_it_has_been_healthy_for_ten_seconds() {
    let mut world = World::new(&["a", "b", "c"]);
    world.pass(SECOND * 60);
    world.set("d", Status::Alive);
    assert_eq!(world.pass(SECOND), [Change::AddLearner("d".into())]);
    assert_eq!(world.pass(SECOND * 8), []);
    assert_eq!(world.pass(SECOND * 4), [Change::Promote("d".into())]);
}

#[test]
fn a_new_leader_lets_a_healthy_server_vote_at_once() {
    let mut world = World::new(&["a"]);
    world.pass(SECOND);
    world.set("b", Status::Alive);
    assert_eq!(world.pass(SECOND * 3), [Change::AddLearner("b".into()), Change::Promote("b".into())]);
}

#[test]
fn a_server_that_does_not_answer_gets_no_vote() {
    let mut world = World::new(&["a", "b", "c"]);
    world.set("d", Status::Alive);
    world.silent.push("d".into());
    assert_eq!(world.pass(SECOND * 60), [Change::AddLearner("d".into())]);
}

#[test]
fn a_server_that_left_is_taken_out_at_once() {
    let mut world = World::new(&["a", "b", "c"]);
    world.set("b", Status::Left);
    assert_eq!(world.pass(SECOND), [Change::Remove("b".into())]);
    let said = alloc::format!("{:?}", removed(&"b".into(), &world.known));
    assert!(said.contains("has left") && !said.contains("failed"), "{said}");
}

#[test]
fn a_server_that_an_operator_took_out_is_taken_in_again_after_a_minute_or_when_it_comes_anew() {
    let mut world = World::new(&["a", "b", "c"]);
    assert_eq!(world.pass(SECOND * 10), []);
    let remove = |world: &mut World, id: &str| {
        assert!(world.membership.voters.remove(&ServerId::from(id)));
        world.autopilot.hurry(world.now);
    };
    remove(&mut world, "c");
    assert_eq!(world.pass(SECOND * 59), []);
    assert_eq!(world.pass(SECOND * 3), [Change::AddLearner("c".into())]);
    assert_eq!(world.pass(SECOND * 20), [Change::Promote("c".into())]);
    remove(&mut world, "c");
    assert_eq!(world.pass(SECOND * 3), []);
    world.set("c", Status::Failed);
    assert_eq!(world.pass(SECOND * 3), []);
    world.set("c", Status::Alive);
    assert_eq!(world.pass(SECOND * 3), [Change::AddLearner("c".into())]);
}

#[test]
fn a_failed_server_is_taken_out_within_ten_seconds_unless_half_are_gone_or_min_quorum_forbids() {
    let mut world = World::new(&["a", "b", "c"]);
    world.set("b", Status::Failed);
    assert_eq!(world.pass(SECOND), []);
    assert_eq!(world.pass(SECOND * 12), [Change::Remove("b".into())]);
    assert_eq!(world.known["b"].status, Status::Left, "gossip is told");

    let mut world = World::new(&["a", "b", "c"]);
    world.set("b", Status::Failed);
    world.set("c", Status::Failed);
    assert_eq!(world.pass(SECOND * 60), [], "two of three are no minority");

    let mut world = World::new(&["a", "b", "c"]);
    world.config.min_quorum = 3;
    world.set("b", Status::Failed);
    assert_eq!(world.pass(SECOND * 60), []);

    let mut world = World::new(&["a", "b", "c"]);
    world.config.cleanup_dead_servers = false;
    world.set("b", Status::Failed);
    assert_eq!(world.pass(SECOND * 60), []);
}

#[test]
fn a_failed_server_stays_while_another_one_is_not_to_be_seen() {
    let mut world = World::new(&["a", "b", "c"]);
    // It lost its disk; this leader is new, and has never heard its name.
    world.known.remove("c");
    world.set("b", Status::Failed);
    assert_eq!(world.pass(SECOND * 50), [], "without it there would be no quorum");
    world.set("b", Status::Alive);
    assert_eq!(world.pass(SECOND * 30), [Change::Remove("c".into())]);
}

#[test]
fn a_server_of_the_same_name_with_a_new_id_takes_the_place_of_the_old_one() {
    let mut world = World::new(&["a", "b", "c"]);
    world.pass(SECOND);
    world.known.remove("c");
    let (_, mut new) = server("c2", Status::Alive);
    (new.name, new.short_name) = ("c".into(), "c".into());
    world.known.insert("c2".into(), new);
    world.autopilot.hurry(world.now);
    let place = [Change::Remove("c".into()), Change::AddLearner("c2".into()), Change::Promote("c2".into())];
    assert_eq!(world.pass(SECOND * 15), place);
}

#[test]
fn a_server_that_gossip_has_not_heard_of_yet_stays_for_a_minute() {
    let mut world = World::new(&["a", "b", "c"]);
    world.known.remove("c");
    assert_eq!(world.pass(SECOND * 55), []);
    assert_eq!(world.pass(SECOND * 20), [Change::Remove("c".into())]);
}

#[test]
fn a_founder_that_comes_back_is_taken_in_unless_another_one_is_there() {
    let mut world = World::new(&["a", "b", "c"]);
    let (id, mut founder) = server("d", Status::Alive);
    founder.bootstrap = true;
    world.known.insert(id, founder);
    if let Some(leader) = world.known.get_mut("a") {
        leader.bootstrap = true;
    }
    assert_eq!(world.pass(SECOND * 60), [], "two clusters have met");
    if let Some(leader) = world.known.get_mut("a") {
        leader.bootstrap = false;
    }
    assert_ne!(world.pass(SECOND * 60), []);
}

#[test]
fn a_server_alone_wakes_for_nothing() {
    let mut world = World::new(&["a"]);
    assert_eq!(world.pass(SECOND), []);
    assert_eq!(world.autopilot.poll_timeout(), None);
}

#[test]
fn a_server_of_another_cluster_is_not_taken_in_and_one_that_lost_its_data_is() {
    let mut world = World::new(&["a", "b", "c"]);
    world.membership.cluster = 0xab;
    for (id, cluster) in [("d", "00000000000000cd"), ("e", "none"), ("f", "00000000000000ab"), ("g", "")] {
        world.known.insert(id.into(), Server { cluster: cluster.into(), ..server(id, Status::Alive).1 });
    }
    world.autopilot.hurry(world.now);
    let changes = world.pass(Duration::from_secs(60));
    let taken = |id: &str| changes.contains(&Change::AddLearner(id.into()));
    assert!(taken("e") && taken("f") && !taken("d") && !taken("g"), "{changes:?}");
}

/// A leader has the votes of a majority when it begins, and of the others perhaps not a word yet.
#[test]
fn who_answers_a_new_leader_a_little_later_is_healthy_a_little_later() {
    let mut world = World::new(&["a", "b", "c"]);
    world.silent.push("c".into());
    world.pass(Duration::from_millis(1));
    let of = |world: &World, id: &str| world.autopilot.health()[id];
    assert_eq!((of(&world, "b").healthy, of(&world, "c").healthy), (true, false));
    assert_eq!(of(&world, "c").last_contact, None);
    world.silent.clear();
    world.pass(RETRY);
    assert!(of(&world, "c").healthy);
}

#[test]
fn the_last_contact_is_as_long_ago_as_it_was_and_may_be_a_heartbeat_more_than_the_threshold() {
    let mut world = World::new(&["a", "b", "c"]);
    for (ago, healthy) in [(70, true), (300, true), (301, false)] {
        world.ago = Duration::from_millis(ago);
        world.pass(SECOND * 4);
        let health = world.autopilot.health()["b"];
        assert_eq!((health.last_contact, health.healthy), (Some(world.ago), healthy));
    }
}
