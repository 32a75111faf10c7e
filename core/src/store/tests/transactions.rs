//! Transactions. The texts were recorded from Consul 1.21.5.

use super::*;
use crate::command::{CatalogVerb, Txn, TxnOp};
use crate::store::{TxnItem, TxnResult};
use crate::types::Node;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

fn txn(ops: Vec<TxnOp>) -> Command {
    Command::Txn(Txn { ops })
}

fn run(store: &mut Store, index: u64, ops: Vec<TxnOp>) -> TxnResult {
    match apply(store, index, &txn(ops)).0 {
        Applied::Txn(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn errors(store: &mut Store, index: u64, ops: Vec<TxnOp>) -> Vec<(usize, String)> {
    let mut before = store.clone();
    let (answer, changes) = apply(store, index, &txn(ops));
    let Applied::Txn(answer) = answer else { panic!("{answer:?}") };
    before.applied = index;
    assert!(*store == before && changes.is_empty() && answer.results.is_empty());
    answer.errors.into_iter().map(|e| (e.op_index, e.what)).collect()
}

fn key(op: KvOp, dir_ent: KvEntry) -> TxnOp {
    TxnOp::Kv(KvCommand { op, dir_ent })
}

fn on_node(verb: CatalogVerb, name: &str, modify_index: u64) -> TxnOp {
    TxnOp::Node(verb, Box::new(Node { node: name.into(), modify_index, ..Node::default() }))
}

fn on_service(verb: CatalogVerb, node: &str, id: &str, modify_index: u64) -> TxnOp {
    TxnOp::Service(verb, node.into(), Box::new(NodeService { modify_index, ..service(id, "s", 1) }))
}

fn on_check(verb: CatalogVerb, node: &str, id: &str, service_id: &str, modify_index: u64) -> TxnOp {
    let c = HealthCheck { node: node.into(), modify_index, ..check(id, service_id, "") };
    TxnOp::Check(verb, Box::new(c))
}

#[test]
fn later_operations_see_earlier_ones_and_only_reads_return_values() {
    let mut store = Store::default();
    let ops = vec![
        key(KvOp::Set, KvEntry { flags: 2, ..entry("k", "v") }),
        key(KvOp::Get, entry("k", "")),
        key(KvOp::GetOrEmpty, entry("no", "")),
        key(KvOp::GetTree, entry("k", "")),
        key(KvOp::GetTree, entry("none", "")),
        key(KvOp::CheckNotExists, entry("no", "")),
        key(KvOp::Delete, entry("no", "")),
    ];
    let answer = run(&mut store, 131, ops);
    let seen: Vec<_> = answer
        .results
        .iter()
        .map(|item| match item {
            TxnItem::Kv(e) => (&*e.key, e.flags, &*e.value, e.modify_index),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<(&str, u64, &[u8], u64)> =
        vec![("k", 2, b"", 131), ("k", 2, b"v", 131), ("no", 0, b"", 0), ("k", 2, b"v", 131)];
    assert_eq!(seen, expected);
}

#[test]
fn every_failure_is_named_and_nothing_is_done() {
    let mut store = Store::default();
    done(&mut store, 131, kv(KvOp::Set, entry("k", "v")));
    let at = |index, e| KvEntry { modify_index: index, ..e };
    let of = |session: &str, e| KvEntry { session: session.into(), ..e };
    let ops = vec![
        key(KvOp::Set, entry("fine", "x")),
        key(KvOp::Get, entry("no", "")),
        key(KvOp::CheckIndex, entry("no", "")),
        key(KvOp::CheckIndex, at(9, entry("k", ""))),
        key(KvOp::CheckSession, of("x", entry("no", ""))),
        key(KvOp::CheckSession, of("x", entry("k", ""))),
        key(KvOp::CheckNotExists, entry("k", "")),
        key(KvOp::Cas, at(1, entry("k", "x"))),
        key(KvOp::DeleteCas, at(1, entry("k", ""))),
        key(KvOp::Lock, entry("k", "x")),
        key(KvOp::Lock, of("q", entry("k", "x"))),
        key(KvOp::Unlock, of("q", entry("k", "x"))),
        key(KvOp::Set, entry("", "x")),
    ];
    let what: Vec<_> =
        errors(&mut store, 132, ops).into_iter().map(|(i, what)| (i, what.to_string())).collect();
    let expected = [
        (1, r#"key "no" doesn't exist"#),
        (2, r#"failed to check index, key "no" doesn't exist"#),
        (3, r#"failed index check for key "k", current modify index 131 != 9"#),
        (4, r#"failed to check session, key "no" doesn't exist"#),
        (5, r#"failed session check for key "k", current session "" != "x""#),
        (6, r#"key "k" exists"#),
        (7, r#"failed to set key "k", index is stale"#),
        (8, r#"failed to delete key "k", index is stale"#),
        (9, "missing session"),
        (10, r#"invalid session "q""#),
        (11, r#"failed to unlock key "k", lock isn't held, or is held by another session"#),
        (12, "Must provide key"),
    ];
    assert_eq!(what, expected.map(|(i, what)| (i, what.to_string())));
}

#[test]
fn a_held_lock_is_refused_to_others() {
    let mut store = Store::default();
    begin(&mut store, "a");
    begin(&mut store, "b");
    let of = |session: &str, e| KvEntry { session: session.into(), ..e };
    run(&mut store, 1, vec![key(KvOp::Lock, of("a", entry("lk", "x")))]);
    let what = errors(&mut store, 2, vec![key(KvOp::Lock, of("b", entry("lk", "x")))]);
    assert_eq!(what, [(0, r#"failed to lock key "lk", lock is already held"#.into())]);
}

#[test]
fn the_catalog_is_built_changed_and_removed_by_transactions() {
    use CatalogVerb::{Delete, Get, Set};
    let mut store = Store::default();
    let ops = vec![
        on_node(Set, "t1", 0),
        on_node(Get, "t1", 0),
        on_service(Set, "t1", "s1", 0),
        on_check(Set, "t1", "c", "s1", 0),
        on_check(Get, "t1", "c", "", 0),
        on_service(Get, "t1", "s1", 0),
    ];
    let answer = run(&mut store, 150, ops);
    assert_eq!((answer.results.len(), answer.errors.len()), (6, 0));
    let TxnItem::Check(c) = &answer.results[3] else { panic!("{answer:?}") };
    assert_eq!((&*c.service_name, c.modify_index), ("s", 150));
    let ops =
        vec![on_check(Delete, "t1", "c", "", 0), on_service(Delete, "t1", "s1", 0), on_node(Delete, "t1", 0)];
    assert_eq!(run(&mut store, 151, ops).results, vec![]);
    assert_eq!(store.nodes().count(), 0);
}

#[test]
fn catalog_failures_are_named() {
    use CatalogVerb::{Cas, Delete, DeleteCas, Get, Set};
    let mut store = Store::default();
    run(
        &mut store,
        150,
        vec![on_node(Set, "t1", 0), on_service(Set, "t1", "s1", 0), on_check(Set, "t1", "c", "s1", 0)],
    );
    let ops = vec![
        on_node(Get, "no", 0),
        on_service(Get, "no", "s1", 0),
        on_check(Get, "t1", "zz", "", 0),
        on_service(Set, "no", "s1", 0),
        on_check(Set, "no", "zz", "", 0),
        on_check(Set, "t1", "zz", "nos", 0),
        on_node(Cas, "t1", 3),
        on_service(Cas, "t1", "s1", 3),
        on_check(Cas, "t1", "c", "s1", 3),
        on_node(Cas, "t77", 5),
        on_node(DeleteCas, "t1", 3),
        on_service(DeleteCas, "t1", "s1", 3),
        on_check(DeleteCas, "t1", "c", "", 3),
        on_node(DeleteCas, "no", 3),
        on_service(DeleteCas, "no", "s1", 3),
        on_check(DeleteCas, "t1", "noc", "", 3),
        on_node(Delete, "no", 0),
    ];
    let what: Vec<_> = errors(&mut store, 151, ops).into_iter().map(|(_, what)| what).collect();
    assert_eq!(
        what,
        [
            r#"node "no" doesn't exist"#,
            r#"service "s1" on node "no" doesn't exist"#,
            r#"check "zz" on node "t1" doesn't exist"#,
            "Missing node registration",
            "Missing node registration",
            "Missing service registration",
            r#"failed to set node "t1", index is stale"#,
            r#"failed to set service "s1" on node "t1", index is stale"#,
            r#"failed to set check "c" on node "t1", index is stale"#,
            r#"failed to set node "t77", index is stale"#,
            r#"failed to delete node "t1", index is stale"#,
            r#"failed to delete service "s1" on node "t1", index is stale"#,
            r#"failed to delete check "c" on node "t1", index is stale"#,
            r#"failed to delete node "no", index is stale"#,
            r#"failed to delete service "s1" on node "no", index is stale"#,
            r#"failed to delete check "noc" on node "t1", index is stale"#,
        ]
    );
}

#[test]
fn reading_by_transaction_changes_nothing() {
    let mut store = Store::default();
    done(&mut store, 1, kv(KvOp::Set, entry("k", "v")));
    let before = store.clone();
    let ops = vec![key(KvOp::Get, entry("k", "")), key(KvOp::Delete, entry("k", ""))];
    assert_eq!(store.read_txn(&Txn { ops }).results.len(), 1);
    assert_eq!(store, before);
}
