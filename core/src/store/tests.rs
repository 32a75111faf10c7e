//! What the store promises: facts recorded from Consul, and a comparison with a naive twin.

mod catalog;
mod codec;
mod keys;
mod property;
mod restore;
mod sessions;
mod transactions;
mod twin;

use super::{Applied, Store};
use crate::Str;
use crate::command::{Command, Deregister, KvCommand, Register};
use crate::types::{HealthCheck, KvEntry, KvOp, NodeService, Session};
use crate::watch::ChangeSet;
use alloc::boxed::Box;
use bytes::Bytes;

/// Puts a session there, of no node.
fn begin(store: &mut Store, id: &str) {
    store.sessions.insert(Session { id: id.into(), ..Session::default() });
}

/// Applies one command and gives its answer with what it touched.
fn apply(store: &mut Store, index: u64, command: &Command) -> (Applied, ChangeSet) {
    let mut changes = ChangeSet::default();
    let answer = store.apply(index, command, &mut changes);
    (answer, changes)
}

/// Applies a command that must be accepted.
fn done(store: &mut Store, index: u64, command: Command) -> ChangeSet {
    let (answer, changes) = apply(store, index, &command);
    assert!(matches!(answer, Applied::Ok | Applied::Bool(true)), "{command:?}: {answer:?}");
    changes
}

fn refused(store: &mut Store, index: u64, command: Command) -> alloc::string::String {
    let before = store.clone();
    let (answer, changes) = apply(store, index, &command);
    assert!(changes.is_empty());
    store.applied = before.applied;
    assert_eq!(*store, before);
    let Applied::Error(text) = answer else { panic!("{command:?}: {answer:?}") };
    text
}

fn node(name: &str, address: &str) -> Register {
    Register { node: name.into(), address: address.into(), datacenter: "dc1".into(), ..Register::default() }
}

fn with_id(register: Register, id: &str) -> Register {
    Register { id: id.into(), ..register }
}

fn with_service(register: Register, service: NodeService) -> Register {
    Register { service: Some(service), ..register }
}

fn with_check(register: Register, check: HealthCheck) -> Register {
    Register { check: Some(check), ..register }
}

fn service(id: &str, name: &str, port: i64) -> NodeService {
    NodeService { id: Str::from(id), service: Str::from(name), port, ..NodeService::default() }
}

fn check(id: &str, service_id: &str, status: &str) -> HealthCheck {
    HealthCheck {
        check_id: Str::from(id),
        service_id: Str::from(service_id),
        status: Str::from(status),
        ..HealthCheck::default()
    }
}

fn register(register: Register) -> Command {
    Command::Register(Box::new(register))
}

fn deregister(node: &str, service_id: &str, check_id: &str) -> Command {
    Command::Deregister(Deregister {
        node: node.into(),
        service_id: service_id.into(),
        check_id: check_id.into(),
        ..Deregister::default()
    })
}

fn entry(key: &str, value: &str) -> KvEntry {
    KvEntry { key: Str::from(key), value: Bytes::copy_from_slice(value.as_bytes()), ..KvEntry::default() }
}

fn kv(op: KvOp, dir_ent: KvEntry) -> Command {
    Command::Kv(KvCommand { op, dir_ent })
}
