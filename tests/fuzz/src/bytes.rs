//! What servers keep and tell each other: msgpack, commands, snapshots, raft's own form.

use crate::catalog;
use bytes::Bytes;
use lictor_core::command::Command;
use lictor_core::json;
use lictor_core::raft::{Batch, Entry, HardState, Message, SnapshotMeta};
use lictor_core::store::Store;
use lictor_core::watch::ChangeSet;
use lictor_core::wire::{Tree, msgpack};

pub(crate) fn msgpack(data: &[u8]) {
    let skipped = msgpack::skip(data);
    if let Ok((tree, rest)) = msgpack::from_slice_prefix::<Tree>(data) {
        assert_eq!(skipped, Ok(rest), "what is read can be skipped");
        let written = msgpack::to_vec(&tree);
        let again: Tree = msgpack::from_slice(&written).expect("what we write, we read");
        // Bytes are compared: not-a-number is not equal to itself.
        assert_eq!(msgpack::to_vec(&again), written);
        let shown = json::to_vec(|w| tree.write_json(w));
        assert!(shown.len() <= 64 + 64 * data.len(), "{} bytes of JSON", shown.len());
    }
}

/// A command is written as it was read; applied, whatever it says, it leaves a store that a snapshot holds.
pub(crate) fn command(data: &[u8]) {
    let Ok(command) = Command::decode(data) else { return };
    let written = command.encode();
    assert_eq!(Command::decode(&written).as_ref(), Ok(&command));
    let mut store = catalog::store().clone();
    store.apply(store.applied() + 1, &command, &mut ChangeSet::default());
    kept(&store);
}

pub(crate) fn snapshot(data: &[u8]) {
    if let Ok(store) = Store::decode_snapshot(data) {
        kept(&store);
    }
}

/// A snapshot of the store gives the store again.
fn kept(store: &Store) {
    let written = store.encode_snapshot();
    let again = Store::decode_snapshot(&written).expect("our own snapshot is readable");
    assert_eq!(again.encode_snapshot(), written);
}

/// The first byte says which of the forms follows.
pub(crate) fn raft(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let rest = Bytes::copy_from_slice(rest);
    let mut out = Vec::new();
    macro_rules! there_and_back {
        ($form:ty) => {
            if let Ok(read) = <$form>::decode(rest.clone()) {
                read.encode(&mut out);
                assert!(out.len() <= rest.len(), "longer than what it was read from");
                assert_eq!(<$form>::decode(Bytes::from(out)), Ok(read));
            }
        };
    }
    match which % 5 {
        0 => there_and_back!(Entry),
        1 => there_and_back!(HardState),
        2 => there_and_back!(SnapshotMeta),
        3 => there_and_back!(Batch),
        _ => {
            if let Ok(read) = Message::decode(rest) {
                assert_eq!(Message::decode(read.encode()), Ok(read));
            }
        }
    }
}
