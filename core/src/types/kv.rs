//! Key/value entries and the operations on them.

use crate::Str;
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

/// A key with its value (Consul's `DirEntry`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct KvEntry {
    /// How often the key has been locked.
    pub lock_index: u64,
    /// Full path; never empty.
    pub key: Str,
    /// Opaque to us.
    pub flags: u64,
    /// The value.
    #[serde(serialize_with = "nil_if_empty", deserialize_with = "crate::wire::raw::deserialize")]
    pub value: Bytes,
    /// Session that holds the lock; empty when unlocked.
    pub session: Str,
    /// Raft index of its creation.
    pub create_index: u64,
    /// Raft index of its last change.
    pub modify_index: u64,
}

impl KvEntry {
    /// The entry with this value in place of its own, which is left alone: the first clone of a `Bytes` makes it
    /// a shared one, and that takes memory as long as it lives.
    pub fn with_value(&self, value: Bytes) -> KvEntry {
        let KvEntry { lock_index, key, flags, value: _, session, create_index, modify_index } = self;
        KvEntry {
            lock_index: *lock_index,
            key: key.clone(),
            flags: *flags,
            value,
            session: session.clone(),
            create_index: *create_index,
            modify_index: *modify_index,
        }
    }
}

/// An empty value is nil, as Consul has it.
fn nil_if_empty<S: Serializer>(value: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    if value.is_empty() { s.serialize_none() } else { crate::wire::raw::serialize(value, s) }
}

impl Default for KvEntry {
    fn default() -> Self {
        KvEntry {
            lock_index: 0,
            key: super::empty_str(),
            flags: 0,
            value: Bytes::new(),
            session: super::empty_str(),
            create_index: 0,
            modify_index: 0,
        }
    }
}

/// What to do with a key. The wire names are Consul's verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KvOp {
    /// Write.
    Set,
    /// Write if the entry's `ModifyIndex` equals the given one; 0: only if absent.
    Cas,
    /// Write and take the lock for a session.
    Lock,
    /// Write and release the lock.
    Unlock,
    /// Read; an error when absent.
    Get,
    /// Read; nothing when absent.
    GetOrEmpty,
    /// Read everything under a prefix.
    GetTree,
    /// Fail unless `ModifyIndex` is as given.
    CheckIndex,
    /// Fail unless the session holds the lock.
    CheckSession,
    /// Fail if the key exists.
    CheckNotExists,
    /// Remove.
    Delete,
    /// Remove everything under a prefix.
    DeleteTree,
    /// Remove if `ModifyIndex` is as given.
    DeleteCas,
}

impl KvOp {
    const ALL: [KvOp; 13] = [
        KvOp::Set,
        KvOp::Cas,
        KvOp::Lock,
        KvOp::Unlock,
        KvOp::Get,
        KvOp::GetOrEmpty,
        KvOp::GetTree,
        KvOp::CheckIndex,
        KvOp::CheckSession,
        KvOp::CheckNotExists,
        KvOp::Delete,
        KvOp::DeleteTree,
        KvOp::DeleteCas,
    ];

    /// The operation with this verb.
    pub fn named(verb: &str) -> Option<KvOp> {
        KvOp::ALL.into_iter().find(|op| op.name() == verb)
    }

    /// Whether it can change anything.
    pub fn writes(self) -> bool {
        use KvOp::*;
        match self {
            Set | Cas | Lock | Unlock | Delete | DeleteTree | DeleteCas => true,
            Get | GetOrEmpty | GetTree | CheckIndex | CheckSession | CheckNotExists => false,
        }
    }

    /// Consul's verb.
    pub fn name(self) -> &'static str {
        match self {
            KvOp::Set => "set",
            KvOp::Cas => "cas",
            KvOp::Lock => "lock",
            KvOp::Unlock => "unlock",
            KvOp::Get => "get",
            KvOp::GetOrEmpty => "get-or-empty",
            KvOp::GetTree => "get-tree",
            KvOp::CheckIndex => "check-index",
            KvOp::CheckSession => "check-session",
            KvOp::CheckNotExists => "check-not-exists",
            KvOp::Delete => "delete",
            KvOp::DeleteTree => "delete-tree",
            KvOp::DeleteCas => "delete-cas",
        }
    }
}
