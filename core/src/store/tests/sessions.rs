//! Sessions: what ends them, and what ends with them.

use super::*;
use crate::command::{SessionCommand, SessionOp, Txn, TxnOp};
use alloc::vec::Vec;
use core::time::Duration;

fn session(id: &str, node: &str) -> Session {
    Session { id: id.into(), node: node.into(), lock_delay: 15_000_000_000, ..Session::default() }
}

fn on(op: SessionOp, session: Session) -> Command {
    Command::Session(Box::new(SessionCommand { datacenter: Str::new(), op, session }))
}

fn create(store: &mut Store, index: u64, session: Session) {
    let (answer, changes) = apply(store, index, &on(SessionOp::Create, session.clone()));
    assert_eq!(answer, Applied::Session(session.id.clone()));
    assert_eq!(changes.sessions.len(), 1);
}

fn lock(store: &mut Store, index: u64, key: &str, session: &str) -> bool {
    let wanted = KvEntry { session: session.into(), ..entry(key, "v") };
    match apply(store, index, &kv(KvOp::Lock, wanted)).0 {
        Applied::Bool(locked) => locked,
        other => panic!("{other:?}"),
    }
}

/// A node `n` with a passing check `ok` of its own and one `web` of a service.
fn store() -> Store {
    let mut store = Store::default();
    let checked = with_check(node("n", "10.0.0.1"), check("ok", "", "passing"));
    done(&mut store, 1, register(checked));
    let served = with_service(node("n", "10.0.0.1"), service("web", "web", 80));
    done(&mut store, 2, register(with_check(served, check("web", "web", "passing"))));
    store
}

#[test]
fn a_session_wants_a_node_and_checks_that_are_there_and_not_critical() {
    let mut store = store();
    let why = |store: &mut Store, session| refused(store, 10, on(SessionOp::Create, session));
    assert_eq!(why(&mut store, session("", "n")), "apply failed: Missing session ID");
    assert_eq!(why(&mut store, session("a", "x")), "apply failed: Missing node registration");
    let bound = |check: &str| Session { node_checks: Some(Vec::from([check.into()])), ..session("a", "n") };
    assert_eq!(why(&mut store, bound("x")), "apply failed: Missing check 'x' registration");
    let odd = Session { behavior: "x".into(), ..session("a", "n") };
    assert_eq!(why(&mut store, odd), "apply failed: Invalid session behavior: x");
    done(&mut store, 11, register(with_check(node("n", "10.0.0.1"), check("bad", "", "critical"))));
    assert_eq!(why(&mut store, bound("bad")), "apply failed: Check 'bad' is in critical state");
    create(&mut store, 12, bound("OK"));
    let made = store.session("A").expect("whatever the case of the ID");
    assert_eq!((&*made.behavior, made.create_index, store.sessions_index()), ("release", 12, 12));
    assert_eq!(store.node_sessions("N").count(), 1);
}

#[test]
fn a_destroyed_session_releases_its_keys_or_deletes_them_and_keeps_them_from_others() {
    for behavior in ["release", "delete"] {
        let mut store = store();
        create(&mut store, 10, Session { behavior: behavior.into(), ..session("a", "n") });
        create(&mut store, 11, session("b", "n"));
        assert!(lock(&mut store, 12, "k1", "A") && lock(&mut store, 13, "k2", "a"));
        assert!(lock(&mut store, 14, "other", "b") && !lock(&mut store, 15, "k1", "b"));
        let changes = done(&mut store, 16, on(SessionOp::Destroy, session("a", "")));
        assert_eq!(changes.sessions.keys().map(|id| &**id).collect::<Vec<_>>(), ["a"]);
        let freed: Vec<_> = changes.freed.iter().map(|(key, delay)| (&**key, *delay)).collect();
        assert_eq!(freed, [("k1", Duration::from_secs(15)), ("k2", Duration::from_secs(15))]);
        match store.kv("k1") {
            Some(entry) => {
                assert_eq!((behavior, &*entry.session, entry.lock_index), ("release", "", 1));
                assert_eq!((entry.modify_index, &*entry.value), (16, b"v".as_slice()));
            }
            None => assert_eq!((behavior, store.tombstones_index()), ("delete", 16)),
        }
        assert_eq!(&*store.kv("other").expect("another's").session, "b");
        assert_eq!((store.session("a"), store.sessions_index()), (None, 16));
        assert!(done(&mut store, 17, on(SessionOp::Destroy, session("a", ""))).is_empty());
        assert!(lock(&mut store, 18, "k1", "b"), "the delay is the leader's affair");
    }
}

#[test]
fn a_session_ends_with_its_node_and_with_any_of_its_checks() {
    type End = (&'static str, fn(&mut Store));
    let ends: [End; 5] = [
        ("its check is critical", |s| {
            done(s, 20, register(with_check(node("n", "10.0.0.1"), check("ok", "", "critical"))));
        }),
        ("its check is gone", |s| drop(done(s, 20, deregister("n", "", "OK")))),
        ("its service's check is critical", |s| {
            done(s, 20, register(with_check(node("n", "10.0.0.1"), check("web", "web", "critical"))));
        }),
        ("its service is gone", |s| drop(done(s, 20, deregister("n", "web", "")))),
        ("its node is gone", |s| drop(done(s, 20, deregister("N", "", "")))),
    ];
    for (why, end) in ends {
        let mut store = store();
        let of = |id: &str| crate::types::ServiceCheck { id: id.into(), ..Default::default() };
        let bound = Session {
            node_checks: Some(Vec::from(["ok".into()])),
            service_checks: Some(Vec::from([of("web")])),
            ..session("a", "n")
        };
        create(&mut store, 10, bound);
        assert!(lock(&mut store, 11, "k", "a"));
        done(&mut store, 12, register(with_check(node("n", "10.0.0.1"), check("ok", "", "warning"))));
        assert!(store.session("a").is_some(), "a warning is not the end");
        end(&mut store);
        assert_eq!((store.session("a"), &*store.kv("k").expect("released").session), (None, ""), "{why}");
        assert_eq!(store.sessions, Default::default(), "{why}: nothing is left of it");
    }
}

#[test]
fn the_longest_delay_is_a_minute_and_none_is_none() {
    for (delay, kept) in [(0, None), (120_000_000_000, Some(Duration::from_secs(60)))] {
        let mut store = store();
        create(&mut store, 10, Session { lock_delay: delay, ..session("a", "n") });
        assert!(lock(&mut store, 11, "k", "a"));
        let changes = done(&mut store, 12, on(SessionOp::Destroy, session("a", "")));
        assert_eq!(changes.freed.get("k").copied(), kept);
    }
}

#[test]
fn what_a_session_does_not_hold_any_more_it_does_not_take_with_it() {
    let mut store = store();
    create(&mut store, 10, Session { behavior: "delete".into(), ..session("a", "n") });
    for (index, key) in [(11, "given"), (12, "deleted"), (13, "t/1"), (14, "t/2")] {
        assert!(lock(&mut store, index, key, "a"));
    }
    done(&mut store, 20, kv(KvOp::Unlock, KvEntry { session: "a".into(), ..entry("given", "") }));
    done(&mut store, 21, kv(KvOp::Delete, entry("deleted", "")));
    done(&mut store, 22, kv(KvOp::DeleteTree, entry("t/", "")));
    for (index, key) in [(23, "deleted"), (24, "t/1")] {
        done(&mut store, index, kv(KvOp::Set, entry(key, "new")));
    }
    let changes = done(&mut store, 30, on(SessionOp::Destroy, session("a", "")));
    assert!(changes.keys.is_empty() && changes.freed.is_empty());
    assert_eq!(store.kv_prefix("").count(), 3);
}

#[test]
fn a_transaction_that_fails_ends_no_session() {
    let mut store = store();
    create(&mut store, 10, Session { node_checks: Some(Vec::from(["ok".into()])), ..session("a", "n") });
    let bad = HealthCheck { node: "n".into(), ..check("ok", "", "critical") };
    let fails = entry("no", "");
    let ops = [
        TxnOp::Check(crate::command::CatalogVerb::Set, Box::new(bad)),
        TxnOp::Kv(KvCommand { op: KvOp::Get, dir_ent: fails }),
    ];
    let (_, changes) = apply(&mut store, 11, &Command::Txn(Txn { ops: ops.into() }));
    assert!(changes.is_empty() && store.session("a").is_some());
}

#[test]
fn sessions_and_what_they_hold_come_back_from_a_snapshot() {
    let mut store = store();
    create(&mut store, 10, Session { node_checks: Some(Vec::from(["ok".into()])), ..session("B", "n") });
    create(&mut store, 11, Session { checks: Some(Vec::new()), ttl: "10s".into(), ..session("a", "n") });
    assert!(lock(&mut store, 12, "k", "b"));
    let mut back = Store::decode_snapshot(&store.encode_snapshot()).expect("it reads back");
    assert_eq!(back, store);
    for store in [&mut store, &mut back] {
        done(store, 20, deregister("n", "", "ok"));
        assert_eq!(&*store.kv("k").expect("released").session, "");
    }
    assert_eq!(back, store);
}

#[test]
fn what_a_snapshot_holds_twice_is_the_same_for_whoever_reads_it_once_more() {
    let mut store = store();
    create(&mut store, 10, Session { behavior: "delete".into(), ..session("s", "n") });
    assert!(lock(&mut store, 11, "k", "s"));
    let held = store.encode_snapshot();
    done(&mut store, 12, kv(KvOp::Unlock, KvEntry { session: "s".into(), ..entry("k", "v") }));
    // The key's record of before, put in front of that of now, which counts.
    let free = store.encode_snapshot();
    let record = |bytes: &[u8]| {
        let at = bytes.windows(9).position(|w| w == b"LockIndex").expect("a key");
        let end = bytes[at..].windows(11).position(|w| w == b"ModifyIndex").expect("its end") + at;
        (at - 3, end)
    };
    let ((from, to), (at, _)) = (record(&held), record(&free));
    let mut twice = free[..at].to_vec();
    twice.extend_from_slice(&held[from..to]);
    twice.extend_from_slice(b"ModifyIndex\x0b");
    twice.extend_from_slice(&free[at..]);
    let Ok(mut first) = Store::decode_snapshot(&twice) else { panic!("it reads as Consul reads it") };
    let mut second = Store::decode_snapshot(&first.encode_snapshot()).expect("its own");
    assert_eq!(first, second);
    for store in [&mut first, &mut second] {
        done(store, 20, on(SessionOp::Destroy, session("s", "")));
        assert!(store.kv("k").is_some(), "nobody held it");
    }
}
