//! Servers that fail, refuse and come back.

use super::*;
use crate::Str;
use crate::rng::Seed;
use proptest::{prop_assert_eq, proptest};
use std::vec::Vec;

const HOLD: Duration = Duration::from_secs(7);

fn router(servers: u16) -> Router<u32> {
    let mut router = Router::new(Str::from("dc1"), HOLD, Patience::of(1), Rng::new(Seed::from_u64(1)));
    router.servers(Instant(0), &known(0..servers), 3);
    router
}

/// Servers of `dc1`.
fn known(servers: core::ops::Range<u16>) -> BTreeMap<Str, Vec<Server>> {
    BTreeMap::from([(Str::from("dc1"), servers.map(server).collect())])
}

fn server(n: u16) -> Server {
    let addr = SocketAddr::from(([127, 0, 0, 1], 8300 + n));
    Server { name: Str::from("s"), datacenter: Str::from("dc1"), addr }
}

fn ask(kind: Kind) -> Ask {
    ask_in("dc1", kind)
}

fn ask_in(datacenter: &str, kind: Kind) -> Ask {
    Ask { to: To::Datacenter(Str::from(datacenter)), method: "Status.Ping", body: Bytes::new(), kind }
}

type Sent = Vec<(u64, u16)>;
type Done = Vec<(u32, Result<Bytes, Failure>)>;

/// The tries and the endings among the effects.
fn drain(router: &mut Router<u32>) -> (Sent, Done) {
    let (mut sent, mut done) = (Vec::new(), Vec::new());
    while let Some(effect) = router.poll_effect() {
        match effect {
            Effect::Send { call, to, .. } => sent.push((call, to.port())),
            Effect::Done { who, result } => done.push((who, result)),
            Effect::Event(_) | Effect::Cancel { .. } | Effect::Drop { .. } => {}
        }
    }
    (sent, done)
}

fn refused() -> Result<Bytes, RpcError> {
    Err(RpcError::NotConnected("connection refused".into()))
}

fn lost() -> Result<Bytes, RpcError> {
    Err(RpcError::Lost("EOF".into()))
}

#[test]
fn without_a_server_it_is_said_at_once() {
    let mut router = router(0);
    router.ask(Instant(0), 1, ask(Kind::Read));
    let (_, done) = drain(&mut router);
    assert_eq!(done, [(1, Err(Failure::NoServers))]);
    assert_eq!(Failure::NoServers.to_string(), "No known Consul servers");
}

#[test]
fn a_server_that_cannot_be_reached_is_passed_over_at_once_and_asked_last_from_then_on() {
    let mut router = router(3);
    router.ask(Instant(0), 1, ask(Kind::Write));
    let (sent, _) = drain(&mut router);
    let [(call, first)] = sent[..] else { panic!("{sent:?}") };
    router.answered(Instant(1), call, refused());
    let (sent, _) = drain(&mut router);
    let [(again, second)] = sent[..] else { panic!("{sent:?}") };
    assert_ne!(first, second);
    router.answered(Instant(2), again, Ok(Bytes::new()));
    router.ask(Instant(3), 2, ask(Kind::Write));
    let (sent, done) = drain(&mut router);
    assert_eq!((sent[0].1, done), (second, [(1, Ok(Bytes::new()))].to_vec()));
}

#[test]
fn a_write_whose_answer_was_lost_is_not_made_again_a_read_is() {
    let mut router = router(2);
    router.ask(Instant(0), 1, ask(Kind::Write));
    router.ask(Instant(0), 2, ask(Kind::Read));
    let (sent, _) = drain(&mut router);
    for (call, _) in sent {
        router.answered(Instant(1), call, lost());
    }
    let (sent, done) = drain(&mut router);
    assert_eq!(done, [(1, Err(Failure::Lost("EOF".into())))]);
    assert_eq!(sent.len(), 1);
}

#[test]
fn what_is_followed_is_tried_once_at_each_server_and_then_told() {
    let mut router = router(2);
    router.ask(Instant(0), 1, ask(Kind::Follow(Duration::from_secs(600))));
    let late = Instant::ZERO + Duration::from_secs(300);
    for _ in 0..2 {
        let (sent, done) = drain(&mut router);
        assert_eq!((sent.len(), done), (1, Vec::new()));
        router.answered(late, sent[0].0, lost());
    }
    let (sent, done) = drain(&mut router);
    assert!(sent.is_empty());
    assert_eq!(done, [(1, Err(Failure::Lost("EOF".into())))]);
}

#[test]
fn what_a_method_refuses_is_told_and_moves_nobody() {
    let mut router = router(2);
    router.ask(Instant(0), 1, ask(Kind::Read));
    let (sent, _) = drain(&mut router);
    router.answered(Instant(1), sent[0].0, Err(RpcError::Server("Must provide node".into())));
    let (again, done) = drain(&mut router);
    assert!(again.is_empty());
    let text = done[0].1.as_ref().expect_err("refused").to_string();
    assert_eq!(text, "rpc error making call: Must provide node");
    router.ask(Instant(2), 2, ask(Kind::Read));
    assert_eq!(drain(&mut router).0[0].1, sent[0].1);
}

#[test]
fn a_datacenter_without_a_leader_is_asked_until_the_hold_timeout_is_over() {
    let mut router = router(1);
    router.ask(Instant(0), 1, ask(Kind::Write));
    let (mut now, mut tries) = (Instant(0), 0);
    let error = loop {
        let (sent, done) = drain(&mut router);
        if let Some((_, result)) = done.into_iter().next() {
            break result.expect_err("there is no leader");
        }
        for (call, _) in sent {
            tries += 1;
            router.answered(now, call, Err(RpcError::Server("No cluster leader".into())));
        }
        if let Some(at) = router.poll_timeout() {
            now = now.max(at);
            router.wake(now);
        }
    };
    assert_eq!(error.to_string(), "rpc error making call: No cluster leader");
    assert!((5..12).contains(&tries), "{tries} tries");
    assert_eq!(now, Instant(0) + HOLD);
}

fn at(ms: u64) -> Instant {
    Instant(0) + Duration::from_millis(ms)
}

/// Lets time go on until `end`, and gives what was sent and told meanwhile.
fn pass(router: &mut Router<u32>, end: Instant) -> (Sent, Done) {
    let (mut sent, mut done) = drain(router);
    while let Some(due) = router.poll_timeout()
        && due <= end
    {
        router.wake(due);
        let (more, over) = drain(router);
        sent.extend(more);
        done.extend(over);
    }
    (sent, done)
}

#[test]
fn a_server_that_is_deaf_loses_its_reads_to_another_within_half_a_second_and_its_writes_are_unknown() {
    let mut router = router(2);
    router.ask(at(0), 1, ask(Kind::Read));
    router.ask(at(0), 2, ask(Kind::Write));
    router.ask(at(0), 3, ask(Kind::Wait(Duration::from_secs(60))));
    let (sent, _) = drain(&mut router);
    let deaf = sent[0].1;
    assert!(sent.iter().all(|(_, to)| *to == deaf));
    let (sent, done) = pass(&mut router, at(450));
    let to: Vec<u16> = sent.iter().map(|(_, to)| *to).collect();
    assert_eq!(to, [deaf, 16_601 - deaf, 16_601 - deaf], "a ping, then both reads at the other one");
    assert_eq!(done, [(2, Err(Failure::Lost("the server does not answer".into())))]);
    router.ask(at(450), 4, ask(Kind::Write));
    assert_eq!(drain(&mut router).0[0].1, 16_601 - deaf);
}

#[test]
fn a_server_that_says_that_it_is_there_keeps_its_calls_and_is_asked_ever_less_often() {
    let mut router = router(2);
    router.ask(at(0), 1, ask(Kind::Read));
    let (first, _) = drain(&mut router);
    let mut pings = 0;
    let mut now = at(0);
    while now < at(10_000) {
        now = router.poll_timeout().expect("it is watched");
        router.wake(now);
        let (sent, done) = drain(&mut router);
        assert!(done.is_empty());
        for (ping, to) in sent {
            assert_eq!(to, first[0].1);
            pings += 1;
            router.answered(now + Duration::from_millis(20), ping, Ok(Bytes::new()));
        }
    }
    assert!((10..16).contains(&pings), "{pings} pings in ten seconds");
    router.answered(now, first[0].0, Ok(Bytes::new()));
    assert_eq!(drain(&mut router).1, [(1, Ok(Bytes::new()))]);
    assert!(router.poll_timeout().is_some_and(|at| at.since(now).as_secs() > 60), "nobody owes anything");
}

#[test]
fn a_server_whose_answers_come_in_parts_is_not_deaf_though_its_word_that_it_is_there_lies_behind_them() {
    let mut router = router(2);
    router.ask(at(0), 1, ask(Kind::Write));
    let (first, _) = drain(&mut router);
    let there: SocketAddr = SocketAddr::from(([127, 0, 0, 1], first[0].1));
    for part in 1..200 {
        let (_, done) = pass(&mut router, at(part * 50));
        assert_eq!(done, []);
        router.heard(at(part * 50), there);
    }
    // With the last part it is silent again, and has as long as anybody.
    let (_, done) = pass(&mut router, at(9_950 + 350));
    assert_eq!(done, []);
    let (_, done) = pass(&mut router, at(9_950 + 450));
    assert_eq!(done, [(1, Err(Failure::Lost("the server does not answer".into())))]);
}

#[test]
fn blocking_reads_move_from_a_deaf_server_and_a_late_answer_of_it_is_not_taken_for_the_new_one() {
    let mut router = router(2);
    router.ask(at(0), 1, ask(Kind::Wait(Duration::from_secs(60))));
    let (first, _) = drain(&mut router);
    let (sent, _) = pass(&mut router, at(1_500));
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_ne!(sent[1].1, first[0].1);
    router.answered(at(1_600), first[0].0, Ok(Bytes::from_static(b"old")));
    assert!(drain(&mut router).1.is_empty());
    router.answered(at(1_700), sent[1].0, Ok(Bytes::from_static(b"new")));
    assert_eq!(drain(&mut router).1, [(1, Ok(Bytes::from_static(b"new")))]);
}

#[test]
fn the_only_server_is_waited_for_however_deaf_it_is() {
    let mut router = router(1);
    router.ask(at(0), 1, ask(Kind::Write));
    let (first, _) = drain(&mut router);
    let (_, done) = pass(&mut router, at(20_000));
    assert_eq!(done, []);
    router.answered(at(20_001), first[0].0, Ok(Bytes::new()));
    assert_eq!(drain(&mut router).1, [(1, Ok(Bytes::new()))]);
}

#[test]
fn a_process_that_stood_still_itself_accuses_nobody() {
    let mut router = router(2);
    router.ask(at(0), 1, ask(Kind::Write));
    drain(&mut router);
    router.wake(at(100));
    let (ping, _) = drain(&mut router);
    router.wake(at(5_000));
    assert_eq!(drain(&mut router), (Vec::new(), Vec::new()), "the answer may lie there unread");
    router.answered(at(5_001), ping[0].0, Ok(Bytes::new()));
    let (_, done) = pass(&mut router, at(5_050));
    assert_eq!(done, []);
}

#[test]
fn who_lost_leadership_is_asked_last_and_who_knows_no_leader_is_passed_over_at_once() {
    let mut router = router(3);
    router.ask(at(0), 1, ask(Kind::Write));
    let (sent, _) = drain(&mut router);
    let text = "leadership lost while committing log: the outcome is unknown, read before you try again";
    router.answered(at(1), sent[0].0, Err(RpcError::Server(text.into())));
    assert!(matches!(drain(&mut router).1[..], [(1, Err(Failure::Server(_)))]));
    router.ask(at(2), 2, ask(Kind::Write));
    let (second, _) = drain(&mut router);
    assert_ne!(second[0].1, sent[0].1);
    router.answered(at(3), second[0].0, Err(RpcError::Server("No cluster leader".into())));
    let (third, _) = drain(&mut router);
    assert!(third[0].1 != second[0].1 && third[0].1 != sent[0].1);
}

#[test]
fn servers_are_shuffled_after_two_minutes_and_the_clients_of_a_large_datacenter_take_longer() {
    let mut router = router(3);
    let at = router.poll_timeout().expect("a shuffle is due");
    assert!((120..180).contains(&at.since(Instant(0)).as_secs()), "{at:?}");
    router.servers(at, &known(0..3), 200_000);
    router.wake(at);
    let next = router.poll_timeout().expect("and another");
    assert!(next.since(at).as_secs() > 1_000, "{next:?}");
}

#[test]
fn calls_are_bounded() {
    let mut router = router(1);
    for who in 0..=MAX_CALLS as u32 {
        router.ask(Instant(0), who, ask(Kind::Read));
    }
    let (sent, done) = drain(&mut router);
    assert_eq!((sent.len(), done), (MAX_CALLS, [(MAX_CALLS as u32, Err(Failure::Busy))].to_vec()));
}

#[test]
fn a_call_that_nobody_waits_for_is_given_up_wherever_it_is() {
    let mut router = router(1);
    let id = router.ask(Instant(0), 1, ask(Kind::Wait(Duration::from_secs(60))));
    drain(&mut router);
    router.cancel(id);
    let effect = router.poll_effect();
    assert_eq!(effect, Some(Effect::Cancel { call: id, to: server(0).addr }));
    router.answered(Instant(1), id, Ok(Bytes::new()));
    assert_eq!(drain(&mut router), (Vec::new(), Vec::new()));
    // One that pauses is nowhere.
    let id = router.ask(Instant(2), 2, ask(Kind::Read));
    drain(&mut router);
    router.answered(Instant(2), id, refused());
    drain(&mut router);
    router.cancel(id);
    assert_eq!((router.poll_effect(), router.under_way()), (None, 0));
    assert!(router.poll_timeout().is_none());
}

#[test]
fn another_datacenter_has_servers_of_its_own_or_none_that_is_there_or_no_path() {
    let mut router = router(1);
    let two = Str::from("dc2");
    let far = Server { name: Str::from("f"), datacenter: two.clone(), addr: server(50).addr };
    let mut there = known(0..1);
    there.insert(two.clone(), Vec::from([far]));
    assert!(router.servers(Instant(0), &there, 3));
    router.ask(Instant(0), 1, ask_in("dc2", Kind::Read));
    router.ask(Instant(0), 2, ask_in("dc3", Kind::Read));
    let (sent, done) = drain(&mut router);
    assert_eq!(sent, [(1, 8350)]);
    assert_eq!(done, [(2, Err(Failure::NoPath))]);
    assert_eq!(Failure::NoPath.to_string(), "No path to datacenter");
    // It is known, but nobody of it is there.
    there.insert(two.clone(), Vec::new());
    router.servers(Instant(1), &there, 3);
    router.answered(Instant(1), 1, refused());
    let (sent, done) = drain(&mut router);
    assert_eq!((sent, done), (Vec::new(), Vec::new()), "it pauses first");
    let at = router.poll_timeout().expect("it goes on");
    router.wake(at);
    assert_eq!(drain(&mut router).1, [(1, Err(Failure::NotAvailable))]);
    assert_eq!(Failure::NotAvailable.to_string(), "Remote DC has no server currently reachable");
    there.remove(&two);
    router.servers(at, &there, 3);
    router.ask(at, 3, ask_in("dc2", Kind::Read));
    assert_eq!(drain(&mut router).1, [(3, Err(Failure::NoPath))]);
}

#[test]
fn the_leader_is_waited_for_and_asked_where_it_is_then() {
    let mut router = router(1);
    let to_leader = || Ask { to: To::Leader, ..ask(Kind::Write) };
    router.ask(Instant(0), 1, to_leader());
    assert_eq!(drain(&mut router), (Vec::new(), Vec::new()));
    router.leader(Some(server(7).addr));
    let at = router.poll_timeout().expect("it goes on");
    router.wake(at);
    let (sent, _) = drain(&mut router);
    assert_eq!(sent, [(1, 8307)]);
    router.answered(at, sent[0].0, Ok(Bytes::new()));
    router.leader(None);
    router.ask(at, 2, to_leader());
    let mut now = at;
    let done = loop {
        now = now.max(router.poll_timeout().expect("it goes on"));
        router.wake(now);
        let (_, done) = drain(&mut router);
        if done.iter().any(|(who, _)| *who == 2) {
            break done;
        }
    };
    assert_eq!((done, now), ([(2, Err(Failure::NoLeader))].to_vec(), at + HOLD));
}

proptest! {
    /// Whatever servers do, everybody who asked is told exactly once, and in time.
    #[test]
    fn everybody_is_told_once(script in proptest::collection::vec((0u8..8, 0u16..4), 1..200)) {
        let mut router = router(2);
        let (mut now, mut asked, mut told) = (Instant(0), 0u32, Vec::new());
        let mut open: Vec<u64> = Vec::new();
        let end = script.len() + 400;
        for step in 0..end {
            let (what, n) = script.get(step).copied().unwrap_or((7, 0));
            match what {
                0 => { asked += 1; router.ask(now, asked, ask(Kind::Read)); }
                1 => { asked += 1; router.ask(now, asked, ask(Kind::Write)); }
                2 => { asked += 1; router.ask(now, asked, ask(Kind::Wait(Duration::from_secs(1)))); }
                3 => { router.servers(now, &known(0..n), 10); }
                4 => if let Some(call) = open.pop() { router.answered(now, call, Ok(Bytes::new())); }
                5 => if let Some(call) = open.pop() { router.answered(now, call, lost()); }
                6 => if let Some(call) = open.pop() {
                    router.answered(now, call, Err(RpcError::Server("No cluster leader".into())));
                }
                _ => {
                    for call in open.drain(..) { router.answered(now, call, refused()); }
                    now = router.poll_timeout().unwrap_or(now).max(now + Duration::from_secs(1));
                    router.wake(now);
                }
            }
            let (sent, done) = drain(&mut router);
            open.extend(sent.into_iter().map(|(call, _)| call));
            told.extend(done.into_iter().map(|(who, _)| who));
        }
        told.sort_unstable();
        prop_assert_eq!(told, (1..=asked).collect::<Vec<_>>());
        prop_assert_eq!(router.under_way(), 0);
    }
}

#[test]
fn a_snapshot_has_as_much_time_as_servers_take_for_one() {
    let mut router = router(1);
    for (method, seconds) in [(PING, 60), (SNAPSHOT, 600)] {
        for kind in [Kind::Read, Kind::Write] {
            router.ask(Instant(0), 1, Ask { method, ..ask(kind) });
            let sent = core::iter::from_fn(|| router.poll_effect()).find_map(|effect| match effect {
                Effect::Send { until, .. } => Some(until),
                _ => None,
            });
            assert_eq!(sent, Some(Instant(0) + Duration::from_secs(seconds)), "{method}");
        }
    }
}
