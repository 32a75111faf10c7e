//! Pools of members under loss, cuts and crashes: what must hold whatever happens.

use bytes::Bytes;
use lictor_core::gossip::consul::LanRules;
use lictor_core::gossip::wire::{Envelope, Key, Keyring};
use lictor_core::gossip::{Admission, Effect, Input, KeyCommand, MemberChange, QueryOptions, Status};
use lictor_core::ids::CallId;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant};
use lictor_sim::gossip::{Happened, World, measure_spread};
use std::collections::BTreeSet;
use std::net::SocketAddr;

const MINUTE: Duration = Duration::from_secs(60);

fn all(world: &World) -> Vec<usize> {
    (0..world.len()).collect()
}

/// A pool that is assembled and quiet.
fn pool(n: usize, seed: u64) -> World {
    let mut world = World::new(n, seed, |_, _| {});
    (1..n).for_each(|i| world.join(i, 0));
    let everybody = all(&world);
    let took = world.run_until(MINUTE, |world| world.all_see(&everybody, &everybody, Status::Alive));
    assert!(took.is_some(), "{n} members did not find each other, seed {seed}");
    world.run(Duration::from_secs(10));
    world.told.clear();
    world
}

#[test]
fn after_loss_cuts_and_crashes_nobody_who_is_up_stays_failed() {
    for seed in 0..6 {
        let n = 6 + 3 * seed as usize;
        let mut world = pool(n, seed);
        let mut rng = Rng::new(Seed::from_u64(seed)).fork("faults");
        world.net.loss = 50 + rng.below(200);
        let group: BTreeSet<usize> = (0..1 + rng.below(n as u64 / 2) as usize).collect();
        world.net.part(&group, n);
        let crashed = n - 1;
        world.crash(crashed);
        world.run(Duration::from_secs(20 + rng.below(70)));
        world.start(crashed);
        world.run(Duration::from_secs(rng.below(5)));
        world.net.heal();
        world.join(crashed, n - 2);
        let everybody = all(&world);
        // Failed members are tried one at a time, every thirty seconds.
        let took = world.run_until(10 * MINUTE, |world| world.all_see(&everybody, &everybody, Status::Alive));
        assert!(took.is_some(), "seed {seed}: somebody who is up is not seen alive");
        // Suspicions from before may still end, and be refuted.
        world.run(Duration::from_secs(30));
        let at = world.now();
        world.run(2 * MINUTE);
        assert_eq!(world.changes(MemberChange::Failed, at), 0, "seed {seed}: it did not last");
        assert!(world.all_see(&everybody, &everybody, Status::Alive), "seed {seed}: it did not last");
    }
}

#[test]
fn a_crash_is_known_to_all_within_the_bound_of_the_protocol() {
    // Suspicion lasts 4 to 24 seconds with up to 10 members, and the probe that finds it comes within a
    // round of 9 seconds. With two accusers confirming it is near the shorter end.
    for seed in 0..4 {
        let mut world = pool(10, seed);
        world.crash(3);
        let others: Vec<usize> = all(&world).into_iter().filter(|i| *i != 3).collect();
        let took = world.run_until(MINUTE, |world| world.all_see(&others, &[3], Status::Failed));
        assert!(took.is_some_and(|took| took < Duration::from_secs(34)), "seed {seed}: {took:?}");
        assert_eq!(
            world.changes(MemberChange::Failed, Instant::ZERO),
            9,
            "each tells it once, of one member"
        );
    }
}

#[test]
fn one_packet_of_ten_lost_makes_nobody_fail() {
    for seed in 0..3 {
        let mut world = pool(16, seed);
        world.net.loss = 100;
        world.run(10 * MINUTE);
        assert_eq!(world.changes(MemberChange::Failed, Instant::ZERO), 0, "seed {seed}");
    }
}

#[test]
fn a_member_that_only_streams_reach_does_not_fail() {
    let mut world = pool(8, 1);
    for i in 1..8 {
        world.net.no_packets.extend([(0, i), (i, 0)]);
    }
    world.run(5 * MINUTE);
    assert_eq!(world.changes(MemberChange::Failed, Instant::ZERO), 0);
}

#[test]
fn a_link_cut_between_two_makes_neither_fail_for_others_reach_both() {
    let mut world = pool(8, 2);
    world.net.cut.extend([(0, 1), (1, 0)]);
    world.run(5 * MINUTE);
    assert_eq!(world.changes(MemberChange::Failed, Instant::ZERO), 0);
}

#[test]
fn a_member_that_leaves_is_left_and_not_failed() {
    let mut world = pool(12, 3);
    world.tell(5, Input::Leave { call: CallId(7) });
    world.run(Duration::from_secs(14));
    let left = |what: &Effect| matches!(what, Effect::Left { call: CallId(7) });
    assert_eq!(world.told.iter().filter(|told| left(&told.what)).count(), 1, "leaving ended");
    world.crash(5);
    world.run(MINUTE);
    let others: Vec<usize> = all(&world).into_iter().filter(|i| *i != 5).collect();
    assert!(world.all_see(&others, &[5], Status::Left));
    assert_eq!(world.changes(MemberChange::Failed, Instant::ZERO), 0);
}

/// Word of a leave reaches a member that has never known who left; its return must not be taken for old news.
#[test]
fn who_left_and_comes_back_is_alive_to_those_too_who_only_heard_of_the_leave() {
    let mut world = pool(4, 3);
    world.tell(1, Input::Leave { call: CallId(1) });
    world.run(Duration::from_secs(10));
    world.crash(1);
    world.crash(2);
    world.run(Duration::from_secs(30));
    world.start(2);
    world.join(2, 0);
    world.run(Duration::from_secs(10));
    world.start(1);
    world.join(1, 3);
    let everybody = all(&world);
    let took = world.run_until(2 * MINUTE, |world| world.all_see(&everybody, &everybody, Status::Alive));
    assert!(took.is_some(), "member 2 sees member 1 {:?}", world.status(2, 1));
    let about =
        |told: &&Happened| matches!(&told.what, Effect::Member { member, .. } if *member.name == *"n1");
    let last = world.told.iter().filter(|told| told.member == 2).rfind(about);
    let Some(Effect::Member { member, .. }) = last.map(|told| &told.what) else {
        panic!("2 was told nothing")
    };
    assert_eq!(member.status, Status::Alive, "what the owner of member 2 was told last");
}

#[test]
fn a_failed_member_can_be_declared_to_have_left_and_be_pruned() {
    let mut world = pool(5, 4);
    world.crash(4);
    let others = [0, 1, 2, 3];
    world.run_until(MINUTE, |world| world.all_see(&others, &[4], Status::Failed)).expect("failed");
    world.tell(0, Input::ForceLeave { name: "n4".into(), prune: false });
    let took = world.run_until(MINUTE, |world| world.all_see(&others, &[4], Status::Left));
    assert!(took.is_some());
    world.tell(1, Input::ForceLeave { name: "n4".into(), prune: true });
    let gone = world.run_until(MINUTE, |world| others.iter().all(|i| world.status(*i, 4).is_none()));
    assert!(gone.is_some());
    assert_eq!(world.changes(MemberChange::Reap, Instant::ZERO), 4);
}

#[test]
fn a_name_comes_back_under_another_address_once_the_old_one_is_dead() {
    let mut world = pool(5, 5);
    world.crash(4);
    let others = [0, 1, 2, 3];
    world.run_until(MINUTE, |world| world.all_see(&others, &[4], Status::Failed)).expect("failed");
    world.run(Duration::from_secs(40));
    world.start_at(4, "10.9.9.9:8301".parse().expect("an address"));
    world.join(4, 0);
    let back = world.run_until(MINUTE, |world| world.all_see(&others, &[4], Status::Alive));
    assert!(back.is_some());
    let moved = world.gossip(2).member("n4").map(|member| member.addr);
    assert_eq!(moved, "10.9.9.9:8301".parse().ok());
}

#[test]
fn a_name_that_is_in_use_is_not_taken_by_another_address() {
    let mut world = World::new(6, 6, |i, config| {
        if i == 5 {
            config.name = "n1".into();
        }
    });
    (1..5).for_each(|i| world.join(i, 0));
    world.run(Duration::from_secs(10));
    world.join(5, 0);
    world.run(2 * MINUTE);
    for i in 0..5 {
        let seen = world.gossip(i).member("n1").map(|member| (member.addr, member.status));
        assert_eq!(seen, Some(("10.0.0.1:8301".parse().expect("an address"), Status::Alive)), "n{i}");
    }
}

#[test]
fn each_shout_is_heard_once_by_everybody_even_with_loss() {
    let mut world = pool(20, 7);
    world.net.loss = 200;
    for k in 0..10 {
        let name = format!("e{k}").as_str().into();
        let input = Input::UserEvent { call: CallId(k), name, payload: Bytes::new(), coalesce: false };
        world.tell(k as usize, input);
        world.run(Duration::from_millis(300));
    }
    world.run(3 * MINUTE);
    let heard: Vec<_> = world
        .told
        .iter()
        .filter_map(|told| match &told.what {
            Effect::UserEvent { name, .. } => Some((told.member, name.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(heard.iter().collect::<BTreeSet<_>>().len(), 200, "everybody heard everything");
    assert_eq!(heard.len(), 200, "once");
}

#[test]
fn a_question_is_answered_by_all_whom_it_is_for() {
    let mut world = pool(10, 8);
    let options =
        QueryOptions { nodes: vec!["n2".into(), "n7".into()], ack: true, ..QueryOptions::default() };
    world.tell(0, Input::Query { call: CallId(1), name: "uptime".into(), payload: Bytes::new(), options });
    world.run(Duration::from_millis(1500));
    let asked: Vec<(usize, u64)> = world
        .told
        .iter()
        .filter_map(|told| match told.what {
            Effect::Query { query, .. } => Some((told.member, query)),
            _ => None,
        })
        .collect();
    assert_eq!(asked.iter().map(|(i, _)| *i).collect::<BTreeSet<_>>(), BTreeSet::from([2, 7]));
    for (i, query) in asked {
        world.tell(i, Input::Respond { query, payload: Bytes::from(format!("{i}")) });
    }
    world.run(MINUTE);
    let count = |is: &dyn Fn(&Effect) -> bool| world.told.iter().filter(|told| is(&told.what)).count();
    assert_eq!(count(&|what| matches!(what, Effect::QueryAck { call: CallId(1), .. })), 2);
    assert_eq!(count(&|what| matches!(what, Effect::QueryResponse { call: CallId(1), .. })), 2);
    assert_eq!(count(&|what| matches!(what, Effect::QueryDone { call: CallId(1), refused: None })), 1);
}

fn key(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 32])
}

#[test]
fn keys_are_rotated_without_anybody_failing() {
    let keyring = Keyring::new([Key::new(&key(1)).expect("32 bytes")]).expect("one key");
    let envelope = Envelope { keyring, ..Envelope::default() };
    let mut world = World::new(8, 9, |_, config| config.envelope = envelope.clone());
    (1..8).for_each(|i| world.join(i, 0));
    world.run(Duration::from_secs(20));
    let commands =
        [KeyCommand::Install(key(2)), KeyCommand::Use(key(2)), KeyCommand::Remove(key(1)), KeyCommand::List];
    for (call, command) in (100..).map(CallId).zip(commands) {
        world.tell(3, Input::Keys { call, command: command.clone(), relay_factor: 0 });
        world.run(Duration::from_secs(20));
        let report = world.told.iter().find_map(|told| match &told.what {
            Effect::KeysDone { call: done, report } if *done == call => Some(report.clone()),
            _ => None,
        });
        let report = report.unwrap_or_else(|| panic!("{command:?} did not end"));
        assert_eq!((report.nodes, report.responses, report.errors), (8, 8, 0), "{command:?}: {report:?}");
        if command == KeyCommand::List {
            assert_eq!(report.keys.values().collect::<Vec<_>>(), [&8], "one key, known to all");
        }
    }
    let everybody = all(&world);
    assert!(world.all_see(&everybody, &everybody, Status::Alive));
    assert_eq!(world.changes(MemberChange::Failed, Instant::ZERO), 0);
}

#[test]
fn who_has_left_need_not_answer_a_command_about_keys() {
    let keyring = Keyring::new([Key::new(&key(1)).expect("32 bytes")]).expect("one key");
    let mut world = World::new(4, 12, |_, config| config.envelope.keyring = keyring.clone());
    (1..4).for_each(|i| world.join(i, 0));
    world.run(Duration::from_secs(20));
    world.tell(3, Input::Leave { call: CallId(1) });
    world.run(Duration::from_secs(14));
    world.crash(3);
    let command = KeyCommand::Install(key(2));
    world.tell(1, Input::Keys { call: CallId(2), command, relay_factor: 0 });
    world.run(Duration::from_secs(10));
    let report = world.told.iter().find_map(|told| match &told.what {
        Effect::KeysDone { report, .. } => Some(report.clone()),
        _ => None,
    });
    let report = report.expect("an end");
    assert_eq!((report.nodes, report.responses, report.errors), (3, 3, 0), "{report:?}");
}

#[test]
fn a_stranger_without_the_key_neither_gets_in_nor_does_harm() {
    let keyring = Keyring::new([Key::new(&key(1)).expect("32 bytes")]).expect("one key");
    let mut world = World::new(4, 10, |i, config| {
        if i < 3 {
            config.envelope.keyring = keyring.clone();
        }
    });
    (1..4).for_each(|i| world.join(i, 0));
    world.run(MINUTE);
    assert!(world.all_see(&[0, 1, 2], &[0, 1, 2], Status::Alive));
    assert!((0..3).all(|i| world.status(i, 3).is_none()));
    let refused = world.told.iter().any(|told| match &told.what {
        Effect::Joined { call: CallId(3), contacted, failed } => *contacted == 0 && failed.len() == 1,
        _ => false,
    });
    assert!(refused, "the stranger is told");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let life = || {
        let mut world = pool(9, 11);
        world.net.loss = 150;
        world.crash(2);
        world.run(MINUTE);
        (format!("{:?}", world.told), world.packets, world.packet_bytes, world.stream_bytes)
    };
    assert_eq!(life(), life());
}

#[test]
fn forwarding_at_once_is_faster_for_the_same_packets_at_rest() {
    let plain = measure_spread(40, 1, |config| config.eager = false, |_, _| ()).expect("within bounds");
    let eager = measure_spread(40, 1, |config| config.eager = true, |_, _| ()).expect("within bounds");
    assert!(eager.event < plain.event, "{eager:?} {plain:?}");
    assert!(eager.idle_packets < 1.1 * plain.idle_packets, "{eager:?} {plain:?}");
}

/// Which address each of these shows for a name, if it shows it alive.
fn places(world: &World, who: &[usize], name: &str) -> BTreeSet<Option<SocketAddr>> {
    let place =
        |i: &usize| world.gossip(*i).member(name).filter(|m| m.status == Status::Alive).map(|m| m.addr);
    who.iter().map(place).collect()
}

#[test]
fn of_two_who_claim_one_name_all_come_to_know_the_one_that_most_knew_and_the_other_when_that_one_is_gone() {
    for seed in 0..4 {
        let (fewer, more) = (5, 6);
        let mut world = World::new(7, seed, |i, config| {
            if i >= fewer {
                config.name = "twin".into();
            }
            let tags = [("role", "node".into()), ("dc", "dc1".into()), ("id", format!("id-{i}"))];
            config.tags = tags.into_iter().map(|(name, tag)| (name.into(), tag.as_str().into())).collect();
            let (node_id, node_name) = (config.tags["id"].clone(), config.name.clone());
            let rules = LanRules { datacenter: "dc1".into(), node_id, node_name };
            config.admission = Admission::ConsulLan(rules);
            config.challenges = true;
        });
        let others = [0, 1, 2, 3, 4];
        [(1, 0), (fewer, 0), (3, 2), (4, 2), (more, 2)].into_iter().for_each(|(i, with)| world.join(i, with));
        world.run(Duration::from_secs(40));
        assert_eq!(places(&world, &others, "twin").len(), 2, "each half has its own");
        world.join(0, 2);
        world.run(Duration::from_secs(120));
        let (first, second) = (world.config(more).advertise, world.config(fewer).advertise);
        assert_eq!(places(&world, &others, "twin"), [Some(first)].into(), "seed {seed}");
        world.run(Duration::from_secs(120));
        assert_eq!(places(&world, &others, "twin"), [Some(first)].into(), "seed {seed}, and it stays so");
        world.crash(more);
        world.run(Duration::from_secs(90));
        assert_eq!(
            places(&world, &others, "twin"),
            [Some(second)].into(),
            "seed {seed}, when the first is gone"
        );
    }
}
