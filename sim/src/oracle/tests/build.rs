//! Small histories in few words.

use super::super::indexed::command_of;
use super::super::*;

/// A run in the making: a registry that answers at once and rightly, unless told otherwise.
#[derive(Default)]
pub(super) struct Build {
    pub(super) run: Run,
    pub(super) index: u64,
}

pub(super) fn put(key: &str, value: &str) -> Call {
    Call::Write(Write::Put { key: key.into(), value: value.into(), flags: 0 })
}

pub(super) fn cas(key: &str, value: &str, index: u64) -> Call {
    Call::Write(Write::Cas { key: key.into(), value: value.into(), flags: 0, index })
}

pub(super) fn delete(key: &str) -> Call {
    Call::Write(Write::Delete { key: key.into() })
}

pub(super) fn get(key: &str, mode: Mode) -> Call {
    Call::Read { target: Target::Key(key.into()), mode, wait: None }
}

pub(super) fn step(verb: Verb, key: &str, value: &str, index: u64) -> TxnStep {
    TxnStep { verb, key: key.into(), value: value.into(), flags: 0, index }
}

pub(super) fn entry(key: &str, value: &str, create: u64, modify: u64) -> Entry {
    Entry {
        key: key.into(),
        value: value.into(),
        flags: 0,
        session: String::new(),
        lock_index: 0,
        create_index: create,
        modify_index: modify,
    }
}

pub(super) fn shown(index: u64, entries: &[Entry]) -> Outcome {
    let found = Found::Keys(entries.to_vec());
    Outcome::Read(ReadAnswer { index, found, known_leader: true, last_contact_ms: 0 })
}

impl Build {
    /// An operation of client 1 at server 1.
    pub(super) fn op(&mut self, begin: u64, end: u64, call: Call, outcome: Outcome) -> &mut Operation {
        let op = Operation { client: 1, server: 1, begin, end: Some(end), call, outcome };
        self.run.operations.push(op);
        self.run.operations.last_mut().expect("just pushed")
    }

    /// The next log entry is `call`'s, first applied at `at`; its index.
    pub(super) fn commit(&mut self, at: u64, call: &Call) -> u64 {
        self.index += 1;
        let command = command_of(call).expect("a write of keys");
        self.run.log.push(Committed { index: self.index, at, command });
        self.index
    }

    /// A write that is committed half-way between its begin and its end; its index.
    pub(super) fn write(&mut self, begin: u64, end: u64, call: Call, done: bool) -> u64 {
        let index = self.commit(begin + (end - begin) / 2, &call);
        self.op(begin, end, call, Outcome::Wrote(done));
        index
    }
}
