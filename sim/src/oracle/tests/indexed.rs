//! Each rule of the index-ordered judge, kept and broken.

use super::super::indexed::{Summary, check};
use super::super::*;
use super::build::*;

fn rule(b: &Build) -> &'static str {
    check(&b.run).expect_err("a planted violation").rule
}

#[test]
fn a_right_history_is_accepted_and_counted() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    b.op(11, 12, get("a", Mode::Default), shown(one, &[entry("a", "1", one, one)]));
    let two = b.write(20, 30, cas("a", "2", one), true);
    b.write(31, 40, cas("a", "3", one), false);
    b.op(41, 42, get("a", Mode::Consistent), shown(two, &[entry("a", "2", one, two)]));
    let three = b.write(50, 60, delete("a"), true);
    b.op(61, 62, get("a", Mode::Stale), shown(three, &[]));
    let steps = vec![step(Verb::CheckNotExists, "a", "", 0), step(Verb::Set, "b", "x", 0)];
    let txn = Call::Txn { steps, mode: Mode::Default };
    let four = b.commit(75, &txn);
    b.op(70, 80, txn, Outcome::Txn(TxnAnswer::Done(vec![entry("b", "", 5, 5)])));
    assert_eq!(four, 5);
    let never = Operation { end: None, ..b.op(81, 82, put("b", "y"), Outcome::Unknown).clone() };
    *b.run.operations.last_mut().expect("there") = never;
    assert_eq!(check(&b.run), Ok(Summary { reads: 3, writes: 5, unknown_applied: 0, unknown_lost: 1 }));
    b.commit(1000, &put("b", "y"));
    assert_eq!(check(&b.run), Ok(Summary { reads: 3, writes: 5, unknown_applied: 1, unknown_lost: 0 }));
}

#[test]
fn a_default_read_below_an_acknowledged_write_is_stale() {
    for mode in [Mode::Default, Mode::Consistent] {
        let mut b = Build::default();
        let one = b.write(0, 10, put("a", "1"), true);
        b.write(11, 20, put("a", "2"), true);
        b.op(21, 22, get("a", mode), shown(one, &[entry("a", "1", one, one)])).server = 2;
        assert_eq!(rule(&b), "a stale read");
    }
}

#[test]
fn a_stale_read_may_lag_at_another_server_but_not_go_back_at_the_same() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    let two = b.write(11, 20, put("a", "2"), true);
    b.op(21, 22, get("a", Mode::Stale), shown(one, &[entry("a", "1", one, one)])).server = 2;
    assert!(check(&b.run).is_ok());
    b.op(23, 24, get("a", Mode::Stale), shown(two, &[entry("a", "2", one, two)])).server = 2;
    b.op(25, 26, get("a", Mode::Stale), shown(one, &[entry("a", "1", one, one)])).server = 2;
    assert_eq!(rule(&b), "a server went back");
    b.run.restarts.push(Restart { server: 2, at: 24 });
    assert!(check(&b.run).is_ok(), "a restart takes the promise back");
}

#[test]
fn a_fresh_read_binds_those_after_it_as_a_write_does() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    let two = b.commit(15, &put("a", "2"));
    b.op(11, 90, put("a", "2"), Outcome::Wrote(true));
    b.op(20, 25, get("a", Mode::Default), shown(two, &[entry("a", "2", one, two)]));
    b.op(30, 35, get("a", Mode::Default), shown(one, &[entry("a", "1", one, one)])).server = 2;
    assert_eq!(rule(&b), "a stale read");
}

#[test]
fn an_acknowledged_write_that_the_log_does_not_hold_is_lost() {
    let mut b = Build::default();
    b.write(0, 10, put("a", "1"), true);
    b.op(11, 20, put("a", "2"), Outcome::Wrote(true));
    assert_eq!(rule(&b), "an acknowledged write is lost");
}

#[test]
fn a_write_that_stands_before_an_older_one_breaks_real_time() {
    let mut b = Build::default();
    b.commit(12, &put("b", "late"));
    b.commit(13, &put("a", "early"));
    b.op(0, 20, put("a", "early"), Outcome::Wrote(true));
    b.op(12, 21, put("b", "late"), Outcome::Wrote(true));
    assert!(check(&b.run).is_ok(), "they overlap");
    b.run.operations[0].end = Some(11);
    b.run.log[1].at = 11;
    assert_eq!(rule(&b), "real-time order of writes");
}

#[test]
fn a_write_that_is_committed_twice_or_was_refused_has_no_operation() {
    let mut b = Build::default();
    b.write(0, 10, put("a", "1"), true);
    b.commit(8, &put("a", "1"));
    assert_eq!(rule(&b), "a committed write has no operation");
    let mut b = Build::default();
    b.write(0, 10, put("a", "1"), true);
    b.run.operations[0].outcome = Outcome::Failed("No cluster leader".into());
    assert_eq!(rule(&b), "a committed write has no operation");
}

#[test]
fn a_cas_that_succeeds_twice_is_answered_wrongly() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    b.write(11, 20, cas("a", "2", one), true);
    b.write(21, 30, cas("a", "3", one), true);
    assert_eq!(rule(&b), "a committed write has no operation");
}

#[test]
fn a_deleted_key_that_comes_back_is_found() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    b.write(11, 20, delete("a"), true);
    b.op(21, 22, get("a", Mode::Default), shown(one, &[entry("a", "1", one, one)]));
    assert_eq!(rule(&b), "a stale read");
}

#[test]
fn a_value_that_was_never_written_is_found() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    b.op(21, 22, get("a", Mode::Stale), shown(one, &[entry("a", "9", one, one)]));
    assert_eq!(rule(&b), "a read of what never was");
}

#[test]
fn a_list_shows_one_state_and_not_a_mixture_of_two() {
    let list = || Call::Read { target: Target::Prefix("d/".into()), mode: Mode::Stale, wait: None };
    let mut b = Build::default();
    b.write(0, 10, put("d/a", "1"), true);
    b.write(11, 20, put("d/b", "1"), true);
    b.write(21, 30, put("d/a", "2"), true);
    b.op(31, 32, list(), shown(3, &[entry("d/a", "2", 1, 3), entry("d/b", "1", 2, 2)]));
    assert!(check(&b.run).is_ok());
    b.op(33, 34, list(), shown(3, &[entry("d/a", "2", 1, 3)]));
    assert_eq!(rule(&b), "a read of what never was");
}

#[test]
fn an_answer_from_the_future_is_found() {
    let mut b = Build::default();
    let one = b.commit(50, &put("a", "1"));
    b.op(0, 60, put("a", "1"), Outcome::Wrote(true));
    b.op(10, 20, get("a", Mode::Stale), shown(one, &[entry("a", "1", one, one)]));
    assert_eq!(rule(&b), "a read of the future");
}

#[test]
fn an_identical_write_changes_no_index() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    let two = b.write(11, 20, put("a", "1"), true);
    b.op(21, 22, get("a", Mode::Default), shown(one, &[entry("a", "1", one, one)]));
    assert!(check(&b.run).is_ok());
    b.op(23, 24, get("a", Mode::Default), shown(two, &[entry("a", "1", one, two)]));
    assert_eq!(rule(&b), "a read of what never was");
}

#[test]
fn health_shows_the_registered_instances_and_their_checks() {
    let registration = |status: &str| Registration {
        node: "n".into(),
        address: "10.0.0.1".into(),
        service_id: "web1".into(),
        service: "web".into(),
        port: 80,
        check_id: "c".into(),
        status: status.into(),
    };
    let command = |status: &str| {
        use lictor_core::command::{Command, Register};
        use lictor_core::types::{HealthCheck, NodeService};
        let service =
            NodeService { id: "web1".into(), service: "web".into(), port: 80, ..Default::default() };
        let check = HealthCheck {
            check_id: "c".into(),
            service_id: "web1".into(),
            status: status.into(),
            ..Default::default()
        };
        let register =
            Register { node: "n".into(), service: Some(service), check: Some(check), ..Register::default() };
        Command::Register(Box::new(register))
    };
    let health = |b: &mut Build, at, status: &str| {
        let found = Found::Instances(vec![Instance {
            node: "n".into(),
            service_id: "web1".into(),
            port: 80,
            modify_index: 1,
            checks: vec![("c".into(), status.into())],
        }]);
        let call = Call::Read { target: Target::Health("web".into()), mode: Mode::Default, wait: None };
        let answer = ReadAnswer { index: 1, found, known_leader: true, last_contact_ms: 0 };
        b.op(at, at + 1, call, Outcome::Read(answer));
    };
    let mut b = Build::default();
    for (index, status) in [(1, "passing"), (2, "critical")] {
        b.run.log.push(Committed { index, at: index * 10, command: command(status) });
        let call = Call::Write(Write::Register(registration(status)));
        b.op(index * 10, index * 10 + 1, call, Outcome::Wrote(true));
        health(&mut b, index * 10 + 2, status);
    }
    assert!(check(&b.run).is_ok());
    health(&mut b, 30, "passing");
    assert_eq!(rule(&b), "a stale read");
    b.run.operations.pop();
    b.run.log.pop();
    assert_eq!(rule(&b), "an acknowledged write is lost");
}
