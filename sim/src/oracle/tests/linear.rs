//! The black-box judge: planted violations, a brute-force twin, and histories that are right by construction.

use super::super::linear::{Names, State, Verdict, check, explain, successors};
use super::super::*;
use super::build::*;
use proptest::prelude::*;

fn rejected(b: &Build) -> bool {
    check(&b.run.operations).is_err()
}

#[test]
fn a_stale_default_read_is_found_and_a_stale_one_is_not_asked() {
    let mut b = Build::default();
    b.write(0, 10, put("a", "1"), true);
    b.write(11, 20, put("a", "2"), true);
    b.op(21, 22, get("a", Mode::Stale), shown(1, &[entry("a", "1", 1, 1)]));
    assert!(!rejected(&b));
    b.op(23, 24, get("a", Mode::Default), shown(1, &[entry("a", "1", 1, 1)]));
    let violation = check(&b.run.operations).expect_err("stale");
    assert_eq!((violation.rule, violation.operations.len()), ("not linearizable", 3));
}

#[test]
fn a_lost_update_is_found() {
    let mut b = Build::default();
    b.write(0, 10, put("a", "1"), true);
    b.op(11, 12, get("a", Mode::Default), shown(1, &[entry("a", "1", 1, 1)]));
    b.write(13, 20, cas("a", "2", 1), true);
    assert!(!rejected(&b));
    b.write(14, 21, cas("a", "3", 1), true);
    assert!(rejected(&b), "a compare-and-set that succeeds twice");
    b.run.operations.pop();
    b.write(14, 21, cas("a", "3", 1), false);
    assert!(!rejected(&b));
}

#[test]
fn a_deleted_key_that_comes_back_and_a_value_that_was_never_written_are_found() {
    let mut b = Build::default();
    b.write(0, 10, put("a", "1"), true);
    b.write(11, 20, delete("a"), true);
    b.op(21, 22, get("a", Mode::Consistent), shown(1, &[entry("a", "1", 1, 1)]));
    assert!(rejected(&b));
    b.run.operations.pop();
    b.op(21, 22, get("a", Mode::Consistent), shown(2, &[]));
    assert!(!rejected(&b));
    b.op(23, 24, get("b", Mode::Consistent), shown(1, &[entry("b", "x", 1, 1)]));
    assert!(rejected(&b));
}

#[test]
fn an_unknown_write_may_take_effect_late_once_or_never() {
    let mut b = Build::default();
    b.write(0, 10, put("a", "1"), true);
    *b.op(11, 12, put("a", "2"), Outcome::Unknown) = Operation {
        client: 2,
        server: 1,
        begin: 11,
        end: None,
        call: put("a", "2"),
        outcome: Outcome::Unknown,
    };
    b.op(13, 14, get("a", Mode::Default), shown(1, &[entry("a", "1", 1, 1)]));
    assert!(!rejected(&b));
    b.op(900, 901, get("a", Mode::Default), shown(2, &[entry("a", "2", 1, 2)]));
    assert!(!rejected(&b));
    b.op(902, 903, get("a", Mode::Default), shown(1, &[entry("a", "1", 1, 1)]));
    assert!(rejected(&b), "it cannot be undone");
}

#[test]
fn a_transaction_ties_its_keys_together() {
    let txn = Call::Txn {
        steps: vec![step(Verb::Set, "a", "x", 0), step(Verb::Set, "b", "x", 0)],
        mode: Mode::Default,
    };
    let mut b = Build::default();
    let done = TxnAnswer::Done(vec![entry("a", "", 1, 1), entry("b", "", 1, 1)]);
    b.op(0, 100, txn, Outcome::Txn(done));
    b.op(10, 20, get("a", Mode::Default), shown(1, &[entry("a", "x", 1, 1)]));
    b.op(30, 40, get("b", Mode::Default), shown(1, &[entry("b", "x", 1, 1)]));
    assert!(!rejected(&b));
    b.run.operations.pop();
    b.op(30, 40, get("b", Mode::Default), shown(1, &[]));
    assert!(rejected(&b), "half of a transaction");
}

#[test]
fn a_list_is_one_moment() {
    let list = || Call::Read { target: Target::Prefix("d/".into()), mode: Mode::Default, wait: None };
    let mut b = Build::default();
    b.write(0, 10, put("d/a", "1"), true);
    b.write(11, 20, put("d/b", "1"), true);
    b.op(21, 22, list(), shown(2, &[entry("d/a", "1", 1, 1), entry("d/b", "1", 2, 2)]));
    assert!(!rejected(&b));
    b.op(23, 24, list(), shown(2, &[entry("d/b", "1", 2, 2)]));
    assert!(rejected(&b));
}

/// Tries every order, and every set of unknown operations, in the plainest way.
fn brute(group: &[&Operation], names: &Names, state: &State, done: &mut Vec<usize>) -> bool {
    let left: Vec<usize> = (0..group.len()).filter(|i| !done.contains(i)).collect();
    if left.iter().all(|i| group[*i].outcome == Outcome::Unknown) {
        return true;
    }
    left.iter().any(|i| {
        let ended_before = |other: &usize| {
            group[*other].outcome != Outcome::Unknown && group[*other].end < Some(group[*i].begin)
        };
        if left.iter().any(ended_before) {
            return false;
        }
        done.push(*i);
        let found = successors(state, group[*i], names).iter().any(|next| brute(group, names, next, done));
        done.pop();
        found
    })
}

/// Operations on one key with few values, so that right and wrong are both frequent.
fn operation() -> impl Strategy<Value = Operation> {
    let value = prop_oneof![Just("1"), Just("2")];
    let outcome = prop_oneof![4 => Just(true), 1 => Just(false)];
    let what = prop_oneof![
        value.clone().prop_map(|v| (put("a", v), Outcome::Wrote(true))),
        (value.clone(), 0..3u64, outcome).prop_map(|(v, i, done)| (cas("a", v, i), Outcome::Wrote(done))),
        Just((delete("a"), Outcome::Wrote(true))),
        value.clone().prop_map(|v| (put("a", v), Outcome::Unknown)),
        Just((get("a", Mode::Default), shown(1, &[]))),
        (value, 1..3u64).prop_map(|(v, i)| (get("a", Mode::Default), shown(i, &[entry("a", v, 1, i)]))),
    ];
    (what, 0..20u64, 1..10u64).prop_map(|((call, outcome), begin, length)| Operation {
        client: 1,
        server: 1,
        begin,
        end: Some(begin + length),
        call,
        outcome,
    })
}

/// A history that is right by construction: every operation takes effect at one moment within its time.
/// Times overlap as far as `slack` allows.
fn right(choices: &[(u8, u8, u8, u8)]) -> Build {
    use super::super::model::Model;
    let (mut b, mut model) = (Build::default(), Model::default());
    let mut held: std::collections::BTreeMap<String, Entry> = Default::default();
    for (n, (what, key, before, after)) in choices.iter().enumerate() {
        let at = 1000 + n as u64 * 100;
        let (begin, end) = (at - u64::from(*before), at + u64::from(*after));
        let key = format!("k{}", key % 2);
        let index = held.get(&key).map_or(0, |e: &Entry| e.modify_index);
        let call = match what % 6 {
            0 | 1 => put(&key, &format!("v{n}")),
            2 => cas(&key, &format!("v{n}"), index),
            3 => cas(&key, &format!("v{n}"), index + 1),
            4 => delete(&key),
            _ => {
                let found: Vec<Entry> = held.get(&key).cloned().into_iter().collect();
                let index = model.glance(&Target::Key(key.clone()), u64::MAX).index;
                b.op(begin, end, get(&key, Mode::Default), shown(index, &found));
                continue;
            }
        };
        let index = b.commit(at, &call);
        let command = super::super::indexed::command_of(&call).expect("a write");
        let done = model.apply(index, &command) == super::super::model::Reply::Bool(true);
        let create = held.get(&key).map_or(index, |e| e.create_index);
        match what % 6 {
            4 => drop(held.remove(&key)),
            _ if done => drop(held.insert(key.clone(), entry(&key, &format!("v{n}"), create, index))),
            _ => {}
        }
        b.op(begin, end, call, Outcome::Wrote(done));
    }
    b
}

proptest! {
    #[test]
    fn the_search_agrees_with_trying_every_order(ops in proptest::collection::vec(operation(), 1..7)) {
        let mut group: Vec<&Operation> = ops.iter().collect();
        group.sort_by_key(|o| (o.begin, o.end));
        let names = Names::of(&group, &ops);
        let expected = brute(&group, &names, &State::new(), &mut vec![]);
        prop_assert_eq!(explain(&group, &names) == Verdict::Explained, expected);
    }

    #[test]
    fn right_histories_are_accepted_by_both_judges(
        choices in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>()), 1..40),
    ) {
        let b = right(&choices);
        prop_assert!(check(&b.run.operations).is_ok());
        let judged = indexed::check(&b.run);
        prop_assert!(judged.is_ok(), "{}", judged.unwrap_err());
    }

    #[test]
    fn one_changed_answer_is_rejected_by_both_judges(
        choices in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>()), 2..40),
        which: proptest::sample::Index,
    ) {
        let mut b = right(&choices);
        let op = which.get(&b.run.operations).clone();
        let place = b.run.operations.iter().position(|o| *o == op).expect("it is there");
        let changed = match op.outcome {
            // A delete or a plain write is never refused; a compare-and-set could be, in another order.
            Outcome::Wrote(done) if !matches!(op.call, Call::Write(Write::Cas { .. })) => Outcome::Wrote(!done),
            Outcome::Read(_) => shown(1, &[entry("k0", "never written", 1, 1)]),
            _ => return Ok(()),
        };
        b.run.operations[place].outcome = changed;
        prop_assert!(check(&b.run.operations).is_err());
        prop_assert!(indexed::check(&b.run).is_err());
    }
}
