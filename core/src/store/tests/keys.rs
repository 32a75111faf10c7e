//! Keys, locks and tombstones. The sequences and their indexes were recorded from Consul 1.21.5.

use super::*;
use crate::command::ReapTombstones;
use alloc::vec::Vec;

fn put(store: &mut Store, index: u64, key: &str, value: &str) -> ChangeSet {
    done(store, index, kv(KvOp::Set, entry(key, value)))
}

fn says(store: &mut Store, index: u64, op: KvOp, e: KvEntry) -> bool {
    match apply(store, index, &kv(op, e)).0 {
        Applied::Bool(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn at(modify_index: u64, e: KvEntry) -> KvEntry {
    KvEntry { modify_index, ..e }
}

fn of(session: &str, e: KvEntry) -> KvEntry {
    KvEntry { session: Str::from(session), ..e }
}

#[test]
fn a_key_written_again_with_the_same_value_and_flags_keeps_its_index() {
    let mut store = Store::default();
    put(&mut store, 44, "a/b", "1");
    assert!(put(&mut store, 45, "a/b", "1").is_empty());
    assert_eq!((store.kv_key_index("a/b"), store.kv_index()), (44, 44));
    done(&mut store, 46, kv(KvOp::Set, KvEntry { flags: 3, ..entry("a/b", "1") }));
    let e = store.kv("a/b").unwrap();
    assert_eq!((e.create_index, e.modify_index, e.flags), (44, 46, 3));
}

#[test]
fn prefix_indexes_are_those_that_consul_answered() {
    let mut store = Store::default();
    put(&mut store, 46, "a/b", "1");
    put(&mut store, 47, "a/c", "1");
    put(&mut store, 48, "x", "9");
    let prefixes = ["a/", "b/", "", "a/c"];
    let indexes = |s: &Store| prefixes.map(|p| s.kv_prefix_index(p));
    assert_eq!(indexes(&store), [47, 48, 48, 47]);
    done(&mut store, 49, kv(KvOp::Delete, entry("a/c", "")));
    assert_eq!(indexes(&store), [49, 49, 49, 49]);
    assert!(done(&mut store, 50, kv(KvOp::Delete, entry("a/c", ""))).is_empty());
    put(&mut store, 54, "y", "");
    assert_eq!(indexes(&store), [49, 54, 54, 49]);
}

#[test]
fn a_deleted_tree_leaves_one_tombstone_at_its_prefix() {
    let mut store = Store::default();
    for (index, key) in [(80, "t/a"), (81, "t/b/c"), (82, "t/b/d"), (83, "u")] {
        put(&mut store, index, key, "");
    }
    let changes = done(&mut store, 84, kv(KvOp::DeleteTree, entry("t/b/", "")));
    assert_eq!(changes.keys.len(), 2);
    put(&mut store, 85, "u2", "");
    let indexes = ["t/", "t/b/", "t/b/c"].map(|p| store.kv_prefix_index(p));
    assert_eq!(indexes, [84, 84, 85]);
    assert_eq!(store.kv_key_index("t/b/c"), 85);
    assert!(done(&mut store, 86, kv(KvOp::DeleteTree, entry("none/", ""))).is_empty());
    done(&mut store, 87, kv(KvOp::DeleteTree, entry("", "")));
    assert_eq!((store.kv_index(), store.kv_prefix_index("t/"), store.kv_prefix("").count()), (87, 84, 0));
}

#[test]
fn reaped_tombstones_give_the_tables_index_back() {
    let mut store = Store::default();
    put(&mut store, 1, "a/b", "");
    done(&mut store, 2, kv(KvOp::Delete, entry("a/b", "")));
    put(&mut store, 3, "b", "");
    done(&mut store, 4, kv(KvOp::Delete, entry("b", "")));
    assert_eq!(store.kv_prefix_index("a/"), 2);
    done(&mut store, 5, Command::ReapTombstones(ReapTombstones { reap_index: 2 }));
    assert_eq!((store.kv_prefix_index("a/"), store.kv_prefix_index("b")), (4, 4));
    assert_eq!(store.tombstones.len(), 1);
}

#[test]
fn compare_and_set_wants_the_very_index_and_zero_wants_absence() {
    let mut store = Store::default();
    assert!(says(&mut store, 1, KvOp::Cas, entry("x", "1")));
    assert!(!says(&mut store, 2, KvOp::Cas, entry("x", "2")));
    assert!(!says(&mut store, 3, KvOp::Cas, at(9, entry("x", "2"))));
    assert!(!says(&mut store, 4, KvOp::Cas, at(9, entry("absent", "2"))));
    assert!(says(&mut store, 5, KvOp::Cas, at(1, entry("x", "2"))));
    assert_eq!(store.kv("x").unwrap().modify_index, 5);
    assert!(!says(&mut store, 6, KvOp::DeleteCas, entry("x", "")));
    assert!(!says(&mut store, 7, KvOp::DeleteCas, at(1, entry("x", ""))));
    assert!(says(&mut store, 8, KvOp::DeleteCas, at(5, entry("x", ""))));
    assert!(says(&mut store, 9, KvOp::DeleteCas, at(5, entry("x", ""))), "absent is as good as deleted");
}

#[test]
fn a_lock_without_a_known_session_is_refused() {
    let mut store = Store::default();
    let text = refused(&mut store, 1, kv(KvOp::Lock, entry("m", "q")));
    assert_eq!(text, "raft apply failed: missing session");
    let text = refused(&mut store, 2, kv(KvOp::Lock, of("abc", entry("m", "q"))));
    assert_eq!(text, "raft apply failed: invalid session \"abc\"");
    assert!(!says(&mut store, 3, KvOp::Unlock, of("abc", entry("m", "q"))));
}

/// The lock sequence of the recorded run, with its lock indexes and modification indexes.
#[test]
fn locks_count_acquisitions_and_plain_writes_keep_the_holder() {
    let mut store = Store::default();
    begin(&mut store, "s");
    begin(&mut store, "s2");
    let state = |s: &Store| {
        let e = s.kv("l").unwrap();
        (e.lock_index, alloc::string::String::from(&*e.session), e.modify_index)
    };
    assert!(says(&mut store, 61, KvOp::Lock, of("s", entry("l", "v"))));
    assert_eq!(state(&store), (1, "s".into(), 61));
    assert!(says(&mut store, 62, KvOp::Lock, of("s", entry("l", "v"))));
    assert_eq!(state(&store), (1, "s".into(), 61));
    assert!(says(&mut store, 63, KvOp::Lock, of("s", entry("l", "v2"))));
    assert_eq!(state(&store), (1, "s".into(), 63));
    put(&mut store, 64, "l", "plain");
    assert_eq!(state(&store), (0, "s".into(), 64));
    assert!(put(&mut store, 65, "l", "plain").is_empty());
    assert!(!says(&mut store, 66, KvOp::Lock, of("s2", entry("l", "q"))));
    assert!(!says(&mut store, 67, KvOp::Unlock, of("s2", entry("l", "q"))));
    assert!(says(&mut store, 68, KvOp::Unlock, of("s", entry("l", "rel"))));
    assert_eq!(state(&store), (0, "".into(), 68));
    assert!(!says(&mut store, 69, KvOp::Unlock, of("s", entry("l", "rel"))));
    assert!(says(&mut store, 72, KvOp::Lock, of("s2", entry("l", "q"))));
    assert_eq!(state(&store), (1, "s2".into(), 72));
    assert!(says(&mut store, 73, KvOp::Cas, at(72, entry("l", "cas"))));
    assert_eq!(state(&store), (0, "s2".into(), 73));
}

#[test]
fn keys_are_cut_after_the_first_separator_past_the_prefix() {
    let mut store = Store::default();
    for (index, key) in [(1, "z/1/a"), (2, "z/1/b"), (3, "z/2"), (4, "z/3/")] {
        put(&mut store, index, key, "");
    }
    let keys = |prefix: &str| store.kv_keys(prefix, "/");
    assert_eq!(keys("z/"), ["z/1/", "z/2", "z/3/"]);
    assert_eq!(keys("z"), ["z/"]);
    assert_eq!(keys(""), ["z/"]);
    assert_eq!(keys("z/1"), ["z/1/"]);
    assert_eq!(store.kv_keys("z/", ""), ["z/1/a", "z/1/b", "z/2", "z/3/"]);
}

#[test]
fn a_stored_value_does_not_keep_the_buffer_it_came_in() {
    let mut store = Store::default();
    let frame = Bytes::from(alloc::vec![b'x'; 1 << 20]);
    let small = KvEntry { value: frame.slice(10..12), ..entry("k", "") };
    done(&mut store, 1, kv(KvOp::Set, small));
    assert!(frame.is_unique());
}

#[test]
fn a_read_view_does_not_see_later_writes() {
    let mut store = Store::default();
    put(&mut store, 1, "a", "1");
    let view = store.clone();
    put(&mut store, 2, "a", "2");
    put(&mut store, 3, "b", "2");
    let seen: Vec<_> = view.kv_prefix("").map(|e| (e.key.clone(), e.value.clone())).collect();
    assert_eq!(seen, [("a".into(), Bytes::from_static(b"1"))]);
    assert_eq!((view.applied(), view.kv_index()), (1, 1));
}
