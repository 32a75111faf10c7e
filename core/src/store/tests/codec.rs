//! Commands and their log form.

use super::property::command;
use crate::command::{Command, DecodeError, KvCommand, Register};
use crate::types::{KvOp, NodeService, Weights};
use crate::wire::msgpack;
use crate::wire::tree::Tree;
use alloc::boxed::Box;
use proptest::prelude::*;

#[test]
fn bytes_that_are_no_command_say_why() {
    assert_eq!(Command::decode(&[]), Err(DecodeError::Empty));
    assert_eq!(Command::decode(&[99, 0x80]), Err(DecodeError::UnknownType(99)));
    assert!(matches!(Command::decode(&[2, 0xc1]), Err(DecodeError::Body(_))));
}

/// As a Consul server would log it: `{Ops: [{KV: {Verb, DirEnt}}]}`.
#[test]
fn a_transaction_has_consuls_shape() {
    let ops =
        alloc::vec![crate::command::TxnOp::Kv(KvCommand { op: KvOp::Set, dir_ent: super::entry("a", "v") })];
    let bytes = Command::Txn(crate::command::Txn { ops }).encode();
    let tree: Tree = msgpack::from_slice(&bytes[1..]).unwrap();
    let Tree::Array(ops) = tree.get("Ops").unwrap() else { panic!("{tree:?}") };
    let op = ops[0].get("KV").unwrap();
    assert_eq!(op.get("Verb").unwrap().as_str(), Some("set"));
    assert_eq!(op.get("DirEnt").unwrap().get("Key").unwrap().as_str(), Some("a"));
}

/// What a reader takes for zero anyway is left out, and nothing else: a weight of zero is not the default.
#[test]
fn fields_that_say_nothing_are_not_in_the_log() {
    let put = KvCommand { op: KvOp::Set, dir_ent: super::entry("a", "v") };
    let bytes = Command::Kv(put).encode();
    let tree: Tree = msgpack::from_slice(&bytes[1..]).unwrap();
    let entry = tree.get("DirEnt").unwrap();
    assert!(entry.get("Key").is_some() && entry.get("Session").is_none() && entry.get("Flags").is_none());
    let weights = Weights { passing: 1, warning: 0 };
    let service = NodeService {
        id: "a".into(),
        weights,
        connect: Some(Tree::Bool(false).into()),
        ..NodeService::default()
    };
    let register = Command::Register(Box::new(Register { service: Some(service), ..Register::default() }));
    assert_eq!(Command::decode(&register.encode()), Ok(register));
}

proptest! {
    #[test]
    fn a_command_survives_the_log(command in command()) {
        let bytes = command.encode();
        prop_assert_eq!(Command::decode(&bytes).unwrap(), command);
    }

    #[test]
    fn noise_is_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..10) {
        let _ = Command::decode(&bytes);
        let mut with_kind = alloc::vec![kind];
        with_kind.extend(bytes);
        let _ = Command::decode(&with_kind);
        let _ = super::Store::decode_snapshot(&with_kind);
    }

    #[test]
    fn a_flipped_bit_is_never_a_panic(command in command(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = command.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(read) = Command::decode(&bytes) {
            let mut store = super::Store::default();
            let _ = super::apply(&mut store, 1, &read);
            let again = super::Store::decode_snapshot(&store.encode_snapshot());
            prop_assert!(again.is_ok_and(|again| again == store));
        }
    }
}
