//! Each rule of the judge of blocking queries, kept and broken.

use super::super::watch::{Bounds, Summary, check};
use super::super::*;
use super::build::*;

const MS: u64 = 1_000_000;
const BOUNDS: Bounds = Bounds { wake: 100 * MS, gate: 0 };

fn wait_for(target: Target, index: u64, ms: u64) -> Call {
    Call::Read { target, mode: Mode::Stale, wait: Some(Wait { index, ns: ms * MS }) }
}

fn key(key: &str) -> Target {
    Target::Key(key.into())
}

/// `a` is written at 10 ms and at 500 ms, `b` at 300 ms; server 1 publishes each a millisecond later.
fn two_writes() -> (Build, u64, u64) {
    let mut b = Build::default();
    let one = b.write(10 * MS, 12 * MS, put("a", "1"), true);
    b.write(300 * MS, 302 * MS, put("b", "1"), true);
    let three = b.write(500 * MS, 502 * MS, put("a", "2"), true);
    for (at, index) in [(12, 1), (302, 2), (502, 3)] {
        b.run.progress.push(Progress { server: 1, at: at * MS, index });
    }
    (b, one, three)
}

#[test]
fn a_query_that_wakes_with_the_change_is_right() {
    let (mut b, one, three) = two_writes();
    b.op(20 * MS, 503 * MS, wait_for(key("a"), one, 2000), shown(three, &[entry("a", "2", one, three)]));
    b.op(20 * MS, 290 * MS, wait_for(key("a"), one, 260), shown(one, &[entry("a", "1", one, one)]));
    assert_eq!(check(&b.run, BOUNDS), Ok(Summary { woken: 1, expired: 1 }));
}

#[test]
fn a_query_that_sleeps_through_a_change_is_found() {
    let (mut b, one, three) = two_writes();
    b.op(20 * MS, 2020 * MS, wait_for(key("a"), one, 2000), shown(three, &[entry("a", "2", one, three)]));
    assert_eq!(check(&b.run, BOUNDS).expect_err("slept").rule, "a lost wake-up");
    b.run.restarts.push(Restart { server: 1, at: 400 * MS });
    assert!(check(&b.run, BOUNDS).is_ok(), "its server restarted meanwhile");
}

#[test]
fn a_query_may_sleep_while_its_server_does_not_know() {
    let (mut b, one, three) = two_writes();
    let op =
        b.op(20 * MS, 2020 * MS, wait_for(key("a"), one, 2000), shown(three, &[entry("a", "2", one, three)]));
    op.server = 2;
    b.run.progress.push(Progress { server: 2, at: 2000 * MS, index: 3 });
    assert!(check(&b.run, BOUNDS).is_ok());
}

#[test]
fn what_a_server_published_before_a_restart_is_no_news() {
    let (mut b, one, three) = two_writes();
    b.op(610 * MS, 2020 * MS, wait_for(key("a"), one, 2000), shown(three, &[entry("a", "2", one, three)]));
    b.run.progress.push(Progress { server: 1, at: 2000 * MS, index: 3 });
    assert_eq!(check(&b.run, BOUNDS).expect_err("slept").rule, "a lost wake-up");
    b.run.restarts.push(Restart { server: 1, at: 600 * MS });
    assert!(check(&b.run, BOUNDS).is_ok());
}

#[test]
fn a_deletion_wakes_and_an_absence_that_stays_does_not() {
    let (mut b, _, three) = two_writes();
    let four = b.write(600 * MS, 602 * MS, delete("a"), true);
    b.run.progress.push(Progress { server: 1, at: 602 * MS, index: four });
    b.op(510 * MS, 603 * MS, wait_for(key("a"), three, 2000), shown(four, &[]));
    b.op(20 * MS, 2030 * MS, wait_for(key("none"), 1, 2000), shown(four, &[]));
    assert!(check(&b.run, BOUNDS).is_ok());
    b.op(510 * MS, 2520 * MS, wait_for(key("a"), three, 2000), shown(four, &[]));
    assert_eq!(check(&b.run, BOUNDS).expect_err("slept").rule, "a lost wake-up");
}

#[test]
fn an_early_answer_without_news_is_found() {
    let (mut b, one, _) = two_writes();
    b.op(20 * MS, 310 * MS, wait_for(key("a"), one, 2000), shown(one, &[entry("a", "1", one, one)]));
    assert_eq!(check(&b.run, BOUNDS).expect_err("empty").rule, "an empty wake-up");
}

#[test]
fn an_index_that_is_zero_or_goes_back_is_found() {
    let (mut b, one, three) = two_writes();
    b.op(1, 2, get("a", Mode::Default), shown(0, &[]));
    assert_eq!(check(&b.run, BOUNDS).expect_err("zero").rule, "an index of 0");
    b.run.operations.pop();
    b.op(510 * MS, 511 * MS, get("a", Mode::Default), shown(three, &[entry("a", "2", one, three)]));
    b.op(512 * MS, 513 * MS, get("a", Mode::Stale), shown(one, &[entry("a", "1", one, one)])).server = 2;
    assert!(check(&b.run, BOUNDS).is_ok(), "another server may lag for a stale read");
    b.op(514 * MS, 515 * MS, get("a", Mode::Default), shown(one, &[entry("a", "1", one, one)])).server = 2;
    assert_eq!(check(&b.run, BOUNDS).expect_err("back").rule, "an index went back");
}

#[test]
fn a_change_of_health_wakes() {
    use lictor_core::command::{Command, Register};
    use lictor_core::types::NodeService;
    let mut b = Build::default();
    for (index, port) in [(1, 80), (2, 81)] {
        let service = NodeService { id: "w".into(), service: "web".into(), port, ..Default::default() };
        let register = Register { node: "n".into(), service: Some(service), ..Register::default() };
        let command = Command::Register(Box::new(register));
        b.run.log.push(Committed { index, at: index * 100 * MS, command });
        b.run.progress.push(Progress { server: 1, at: index * 100 * MS, index });
    }
    let answer = |port| {
        let instance =
            Instance { node: "n".into(), service_id: "w".into(), port, modify_index: 2, checks: vec![] };
        let found = Found::Instances(vec![instance]);
        Outcome::Read(ReadAnswer { index: 2, found, known_leader: true, last_contact_ms: 0 })
    };
    b.op(150 * MS, 201 * MS, wait_for(Target::Health("web".into()), 1, 2000), answer(81));
    assert!(check(&b.run, BOUNDS).is_ok());
    b.op(150 * MS, 2160 * MS, wait_for(Target::Health("web".into()), 1, 2000), answer(81));
    assert_eq!(check(&b.run, BOUNDS).expect_err("slept").rule, "a lost wake-up");
}
