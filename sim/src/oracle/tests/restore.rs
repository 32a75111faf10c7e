//! What the index-ordered judge holds against archives, kept and broken.

use super::super::indexed::check;
use super::super::*;
use super::build::*;
use bytes::Bytes;
use lictor_core::command::{Command, RestorePart};
use std::sync::Arc;

/// An archive of the state at `of`, whose bytes stand for nothing.
fn saved(of: u64) -> Arc<Saved> {
    Arc::new(Saved { of, index: of, state: Bytes::from(format!("state {of}")), archive: Bytes::new() })
}

/// So many of the two parts of an archive are committed, the first at `at`.
fn parts(b: &mut Build, at: u64, saved: &Saved, count: u64) {
    for number in 0..count {
        b.index += 1;
        let data = if number == 0 { saved.state.slice(..3) } else { saved.state.slice(3..) };
        let part = RestorePart { id: saved.of, number, of: 2, index: saved.index, data };
        b.run.log.push(Committed { index: b.index, at: at + number, command: Command::Restore(part) });
    }
}

fn rule(b: &Build) -> &'static str {
    check(&b.run).expect_err("a planted violation").rule
}

/// A key is written, saved, written again, and restored between 40 and 50; its first index.
fn restored(outcome: Outcome, count: u64) -> (Build, u64) {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    b.op(11, 12, Call::Save { stale: false }, Outcome::Saved(saved(one)));
    b.write(20, 30, put("a", "2"), true);
    parts(&mut b, 44, &saved(one), count);
    b.op(40, 50, Call::Restore(saved(one)), outcome);
    (b, one)
}

#[test]
fn what_was_saved_is_back_and_what_is_written_behind_it_stays() {
    let (mut b, one) = restored(Outcome::Restored, 2);
    b.op(51, 52, get("a", Mode::Default), shown(one, &[entry("a", "1", one, one)]));
    let last = b.write(60, 70, put("a", "3"), true);
    b.op(71, 72, get("a", Mode::Default), shown(last, &[entry("a", "3", one, last)]));
    assert!(check(&b.run).is_ok(), "{:?}", check(&b.run));
}

#[test]
fn what_was_there_before_is_gone() {
    let (mut b, one) = restored(Outcome::Restored, 2);
    b.op(51, 52, get("a", Mode::Default), shown(one + 1, &[entry("a", "2", one, one + 1)]));
    assert_eq!(rule(&b), "a stale read");
}

#[test]
fn a_part_alone_is_nothing_and_acknowledges_nothing() {
    let (mut b, one) = restored(Outcome::Failed("No cluster leader".into()), 1);
    b.op(51, 52, get("a", Mode::Default), shown(one + 1, &[entry("a", "2", one, one + 1)]));
    assert!(check(&b.run).is_ok(), "{:?}", check(&b.run));
    assert_eq!(rule(&restored(Outcome::Restored, 1).0), "an acknowledged write is lost");
}

#[test]
fn a_restore_that_was_refused_has_not_happened_and_one_of_unknown_outcome_may_have() {
    let (b, _) = restored(Outcome::Failed("nothing was changed".into()), 2);
    assert_eq!(rule(&b), "a restore has an operation");
    for count in 0..=2 {
        assert!(check(&restored(Outcome::Unknown, count).0.run).is_ok());
    }
}

#[test]
fn a_leader_that_begins_between_the_parts_makes_an_end_of_them() {
    let (mut b, one) = restored(Outcome::Unknown, 2);
    // Where the second part stood, the leader began.
    let last = b.run.log.pop().expect("the second part");
    b.run.begun.push(last.index);
    b.run.log.push(Committed { index: last.index + 1, ..last });
    b.op(51, 52, get("a", Mode::Default), shown(one, &[entry("a", "1", one, one)]));
    assert_eq!(rule(&b), "a stale read");
}

#[test]
fn a_fresh_archive_is_of_what_was_known() {
    let mut b = Build::default();
    let one = b.write(0, 10, put("a", "1"), true);
    b.write(11, 20, put("a", "2"), true);
    b.op(21, 22, Call::Save { stale: true }, Outcome::Saved(saved(one))).server = 2;
    assert!(check(&b.run).is_ok());
    b.op(23, 24, Call::Save { stale: false }, Outcome::Saved(saved(one))).server = 2;
    assert_eq!(rule(&b), "a stale archive");
}
