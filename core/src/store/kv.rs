//! Writing keys.

use super::Store;
use super::result::Applied;
use crate::Str;
use crate::command::KvCommand;
use crate::types::{KvEntry, KvOp};
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

impl Store {
    /// One key operation from outside a transaction.
    pub(super) fn apply_kv(&mut self, index: u64, c: &KvCommand, changes: &mut ChangeSet) -> Applied {
        let entry = &c.dir_ent;
        match c.op {
            KvOp::Set => {
                self.kv_set(index, entry, changes);
                Applied::Ok
            }
            KvOp::Delete => {
                self.kv_delete(index, &entry.key, changes);
                Applied::Ok
            }
            KvOp::DeleteTree => {
                self.kv_delete_tree(index, &entry.key, changes);
                Applied::Ok
            }
            KvOp::Cas => Applied::Bool(self.kv_cas(index, entry, changes).is_some()),
            KvOp::DeleteCas => {
                Applied::Bool(self.kv_delete_cas(index, &entry.key, entry.modify_index, changes))
            }
            KvOp::Lock => match self.kv_lock(index, entry, changes) {
                Ok(locked) => Applied::Bool(locked.is_some()),
                Err(text) => Applied::Error(format!("raft apply failed: {text}")),
            },
            KvOp::Unlock => match self.kv_unlock(index, entry, changes) {
                Ok(unlocked) => Applied::Bool(unlocked.is_some()),
                Err(text) => Applied::Error(format!("raft apply failed: {text}")),
            },
            KvOp::Get
            | KvOp::GetOrEmpty
            | KvOp::GetTree
            | KvOp::CheckIndex
            | KvOp::CheckSession
            | KvOp::CheckNotExists => {
                Applied::Error(format!("raft apply failed: Invalid KVS operation '{}'", c.op.name()))
            }
        }
    }

    /// Writes value and flags; whoever holds the lock keeps it. Returns the entry as it then stands.
    ///
    /// As in Consul, the lock count is taken from the request, so that a plain write resets it to 0.
    pub(super) fn kv_set(&mut self, index: u64, new: &KvEntry, changes: &mut ChangeSet) -> Arc<KvEntry> {
        let old = self.kv(&new.key).cloned();
        let session = old.as_ref().map_or_else(Str::new, |old| old.session.clone());
        self.kv_put(index, KvEntry { session, ..own(new) }, old, changes)
    }

    /// Writes if the entry's `ModifyIndex` is that of `new`, where 0 stands for absence.
    pub(super) fn kv_cas(
        &mut self,
        index: u64,
        new: &KvEntry,
        changes: &mut ChangeSet,
    ) -> Option<Arc<KvEntry>> {
        let current = self.kv(&new.key).map_or(0, |old| old.modify_index);
        (current == new.modify_index).then(|| self.kv_set(index, new, changes))
    }

    /// Writes and takes the lock; `None` if another session holds it.
    pub(super) fn kv_lock(
        &mut self,
        index: u64,
        new: &KvEntry,
        changes: &mut ChangeSet,
    ) -> Result<Option<Arc<KvEntry>>, String> {
        if new.session.is_empty() {
            return Err("missing session".into());
        }
        if self.session(&new.session).is_none() {
            return Err(format!("invalid session {:?}", new.session));
        }
        let old = self.kv(&new.key).cloned();
        let lock_index = match &old {
            None => 1,
            Some(old) if old.session.is_empty() => old.lock_index + 1,
            Some(old) if old.session == new.session => old.lock_index,
            Some(_) => return Ok(None),
        };
        Ok(Some(self.kv_put(index, KvEntry { lock_index, ..own(new) }, old, changes)))
    }

    /// Writes and releases the lock; `None` if this session does not hold it.
    pub(super) fn kv_unlock(
        &mut self,
        index: u64,
        new: &KvEntry,
        changes: &mut ChangeSet,
    ) -> Result<Option<Arc<KvEntry>>, String> {
        if new.session.is_empty() {
            return Err("missing session".into());
        }
        let old = self.kv(&new.key).filter(|old| old.session == new.session).cloned();
        let Some(old) = old else { return Ok(None) };
        let released = KvEntry { lock_index: old.lock_index, session: Str::new(), ..own(new) };
        Ok(Some(self.kv_put(index, released, Some(old), changes)))
    }

    /// Takes the lock on a key from whoever holds it, whose session has ended.
    pub(super) fn kv_release(&mut self, index: u64, key: &str, changes: &mut ChangeSet) {
        let Some(old) = self.kv(key).cloned() else { return };
        let released = KvEntry { session: Str::new(), ..old.with_value(old.value.clone()) };
        self.kv_put(index, released, Some(old), changes);
    }

    /// Removes a key and leaves a tombstone. Absent is fine.
    pub(super) fn kv_delete(&mut self, index: u64, key: &str, changes: &mut ChangeSet) {
        let Some(old) = self.kv.remove(key) else { return };
        self.sessions.lets_go(&old.session, &old.key);
        self.bury(index, &old.key);
        self.index.kvs = index;
        changes.touch_key(&old.key);
    }

    /// Removes a key if its `ModifyIndex` is as given; whether it is gone now.
    pub(super) fn kv_delete_cas(
        &mut self,
        index: u64,
        key: &str,
        modify_index: u64,
        changes: &mut ChangeSet,
    ) -> bool {
        if self.kv(key).is_some_and(|old| old.modify_index != modify_index) {
            return false;
        }
        self.kv_delete(index, key, changes);
        true
    }

    /// Removes every key under a prefix. One tombstone stands for all of them; none for the whole table,
    /// whose own index says it.
    pub(super) fn kv_delete_tree(&mut self, index: u64, prefix: &Str, changes: &mut ChangeSet) {
        let gone: Vec<Arc<KvEntry>> = self.kv_prefix(prefix).cloned().collect();
        if gone.is_empty() {
            return;
        }
        if gone.len() == self.kv.len() {
            self.kv.clear();
        }
        for old in &gone {
            self.kv.remove(&old.key);
            self.sessions.lets_go(&old.session, &old.key);
            changes.touch_key(&old.key);
        }
        if !prefix.is_empty() {
            self.bury(index, prefix);
        }
        self.index.kvs = index;
    }

    /// Forgets the tombstones of deletions at or before `upto`.
    pub(super) fn reap_tombstones(&mut self, upto: u64) {
        let reaped: Vec<Str> =
            self.tombstones.iter().filter(|(_, at)| **at <= upto).map(|(key, _)| key.clone()).collect();
        for key in reaped {
            self.tombstones.remove(&key);
        }
    }

    /// Puts `new` in the place of `old`, which is what the table holds.
    fn kv_put(
        &mut self,
        index: u64,
        mut new: KvEntry,
        old: Option<Arc<KvEntry>>,
        changes: &mut ChangeSet,
    ) -> Arc<KvEntry> {
        new.create_index = index;
        new.modify_index = index;
        if let Some(old) = old {
            new.create_index = old.create_index;
            new.modify_index = old.modify_index;
            if new == *old && !mutant!(self, IdenticalWriteRaises) {
                return old;
            }
            new.modify_index = index;
            new.key = old.key.clone();
            if old.session != new.session {
                self.sessions.lets_go(&old.session, &old.key);
            }
        }
        self.sessions.holds(&new.session, &new.key);
        let entry = Arc::new(new);
        self.kv.insert(entry.key.clone(), entry.clone());
        self.index.kvs = index;
        changes.touch_key(&entry.key);
        entry
    }

    fn bury(&mut self, index: u64, key: &Str) {
        self.tombstones.insert(key.clone(), index);
        self.index.tombstones = index;
    }
}

/// A copy to keep: the value may be a slice of a larger buffer, which must not be kept alive by it.
fn own(entry: &KvEntry) -> KvEntry {
    entry.with_value(Bytes::copy_from_slice(&entry.value))
}
