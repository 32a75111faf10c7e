//! An archive takes the place of everything, in parts, or of nothing.

use super::*;
use crate::command::RestorePart;
use alloc::vec::Vec;
use bytes::Bytes;

fn kv(key: &str) -> Command {
    let dir_ent = KvEntry { key: Str::from(key), value: Bytes::from_static(b"v"), ..KvEntry::default() };
    Command::Kv(KvCommand { op: KvOp::Set, dir_ent })
}

/// A store of one key and one node, at index 40.
fn other() -> Store {
    let mut store = Store::default();
    done(&mut store, 39, kv("other"));
    done(&mut store, 40, register(node("n9", "10.0.0.9")));
    store
}

/// The parts of an archive of that store.
fn parts(id: u64, of: u64, index: u64) -> Vec<Command> {
    let state = Bytes::from(other().encode_archive());
    let size = state.len().div_ceil(of as usize);
    let cut = |n: u64| {
        state.slice((n as usize * size).min(state.len())..((n as usize + 1) * size).min(state.len()))
    };
    (0..of).map(|number| Command::Restore(RestorePart { id, number, of, index, data: cut(number) })).collect()
}

fn full() -> Store {
    let mut store = Store::default();
    done(&mut store, 1, kv("a"));
    done(&mut store, 2, register(node("n1", "10.0.0.1")));
    store
}

#[test]
fn the_last_part_replaces_everything_and_touches_everything_and_no_other_part_does_anything() {
    for of in [1, 3] {
        let mut store = full();
        for (at, part) in (3..).zip(parts(7, of, 0)) {
            let before = store.clone();
            let (answer, changes) = apply(&mut store, at, &part);
            assert_eq!(answer, Applied::Ok);
            let last = at == 2 + of;
            assert_eq!(changes.all, last);
            assert_eq!(store.kv("a").is_some(), !last);
            assert_eq!(store.kv("other").is_some(), last);
            assert_eq!(store.kv_index(), if last { 39 } else { before.kv_index() });
        }
        assert_eq!((store.applied(), store.log_index()), (41, 2 + of), "above what the archive has");
        assert!(store.node("n9").is_some() && store.node("n1").is_none());
        done(&mut store, 42, kv("b"));
        assert_eq!((store.kv("b").map(|e| e.modify_index), store.log_index()), (Some(42), 3 + of));
    }
}

#[test]
fn the_index_goes_on_from_whichever_is_further() {
    for (index, at, expected) in [(0, 3, 41), (500, 3, 501), (0, 90, 90)] {
        let mut store = full();
        let part = parts(7, 1, index).remove(0);
        apply(&mut store, at, &part);
        assert_eq!(store.applied(), expected);
        assert_eq!(store.log_index(), at);
    }
}

#[test]
fn parts_of_two_restores_do_not_mix_and_the_later_one_wins() {
    let (mut store, first, second) = (full(), parts(1, 3, 0), parts(2, 2, 0));
    assert_eq!(apply(&mut store, 3, &first[0]).0, Applied::Ok);
    assert_eq!(apply(&mut store, 4, &second[0]).0, Applied::Ok);
    let (answer, changes) = apply(&mut store, 5, &first[1]);
    assert!(matches!(&answer, Applied::Error(text) if text.contains("was cut off")), "{answer:?}");
    assert!(changes.is_empty() && store.kv("a").is_some());
    assert_eq!(apply(&mut store, 6, &second[1]).0, Applied::Ok);
    assert!(store.kv("other").is_some());
}

#[test]
fn a_new_leader_or_a_missing_part_ends_a_restore_that_has_changed_nothing() {
    let (mut store, parts) = (full(), parts(1, 3, 0));
    apply(&mut store, 3, &parts[0]);
    store.forget_unfinished();
    let (answer, _) = apply(&mut store, 4, &parts[1]);
    assert!(matches!(&answer, Applied::Error(_)), "{answer:?}");
    apply(&mut store, 5, &parts[0]);
    let (answer, _) = apply(&mut store, 6, &parts[2]);
    assert!(matches!(&answer, Applied::Error(_)), "{answer:?}");
    let mut untouched = full();
    untouched.applied = 6;
    assert_eq!(store, untouched);
}

#[test]
fn what_cannot_be_read_changes_nothing_however_it_came_into_the_log() {
    let (mut store, data) = (full(), Bytes::from_static(b"nonsense"));
    let part = RestorePart { id: 1, number: 0, of: 1, index: 0, data };
    let (answer, changes) = apply(&mut store, 3, &Command::Restore(part));
    assert!(matches!(&answer, Applied::Error(text) if text.contains("nothing was changed")), "{answer:?}");
    assert!(changes.is_empty() && store.kv("a").is_some());
    let part =
        RestorePart { index: u64::MAX, data: other().encode_archive().into(), of: 1, ..Default::default() };
    let (answer, _) = apply(&mut store, 4, &Command::Restore(part));
    assert!(matches!(&answer, Applied::Error(text) if text.contains("too large")), "{answer:?}");
}

#[test]
fn a_snapshot_between_servers_has_what_has_come_in_part_and_an_archive_has_not() {
    let (mut store, parts) = (full(), parts(1, 3, 0));
    apply(&mut store, 3, &parts[0]);
    apply(&mut store, 4, &parts[1]);
    let mut taken = Store::decode_snapshot(&store.encode_snapshot()).expect("read");
    assert_eq!(taken, store);
    for store in [&mut store, &mut taken] {
        assert_eq!(apply(store, 5, &parts[2]).0, Applied::Ok);
    }
    assert_eq!(taken, store);
    assert_eq!(Store::decode_snapshot(&store.encode_snapshot()).as_ref(), Ok(&store), "with the jump");
    let archived = Store::from_archive(&store.encode_archive()).expect("read");
    assert_eq!((archived.applied, archived.ahead), (store.applied, 0));
    let mut half = full();
    apply(&mut half, 3, &parts[0]);
    assert_eq!(Store::from_archive(&half.encode_archive()).expect("read").unfinished, None);
}
