//! How long a lock is kept from everybody whose holder's session has ended.
//!
//! Whoever held it may not know yet: this is the time in which it has to notice. It is measured by each server's own
//! clock from when it applies the end of the session, and only the leader's counts: it refuses before anything is
//! proposed, so that the replicated state depends on no clock. As Consul; Chubby's idea.

use crate::Str;
use crate::command::{Command, TxnOp};
use crate::store::{Applied, TxnError, TxnResult};
use crate::time::{Duration, Instant};
use crate::types::KvOp;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

/// The keys that nobody can lock now.
#[derive(Debug, Default)]
pub struct LockDelays {
    until: BTreeMap<Str, Instant>,
    order: BTreeSet<(Instant, Str)>,
}

impl LockDelays {
    /// A lock was lost.
    pub fn add(&mut self, now: Instant, key: Str, delay: Duration) {
        self.forget_past(now);
        if let Some(before) = self.until.insert(key.clone(), now + delay) {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((now + delay, key));
    }

    fn forget_past(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.first()
            && *at <= now
        {
            if let Some((_, key)) = self.order.pop_first() {
                self.until.remove(&key);
            }
        }
    }

    /// The operations of an encoded command that lock one of the keys, by their places; `None`: it may be proposed.
    pub fn refused(&mut self, now: Instant, command: &[u8]) -> Option<Vec<u32>> {
        self.forget_past(now);
        if self.until.is_empty() {
            return None;
        }
        let kept = |op: KvOp, key: &Str| op == KvOp::Lock && self.until.contains_key(key);
        match Command::decode(command).ok()? {
            Command::Kv(c) => kept(c.op, &c.dir_ent.key).then(|| Vec::from([0])),
            Command::Txn(txn) => {
                let refused = |op: &TxnOp| matches!(op, TxnOp::Kv(c) if kept(c.op, &c.dir_ent.key));
                let places = (0..).zip(&txn.ops).filter(|(_, op)| refused(op)).map(|(at, _)| at);
                let places: Vec<u32> = places.collect();
                (!places.is_empty()).then_some(places)
            }
            _ => None,
        }
    }
}

/// What a command answers of which the operations at `places` were refused: nothing was done.
pub fn refusal(command: &Command, places: &[u32]) -> Applied {
    let Command::Txn(txn) = command else { return Applied::Bool(false) };
    let error = |at: &u32| {
        let TxnOp::Kv(c) = txn.ops.get(*at as usize)? else { return None };
        let what = format!("failed to lock key {:?} due to lock delay", c.dir_ent.key);
        Some(TxnError { op_index: *at as usize, what })
    };
    Applied::Txn(TxnResult { results: Vec::new(), errors: places.iter().filter_map(error).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{KvCommand, Txn};
    use crate::types::KvEntry;

    fn on(op: KvOp, key: &str) -> KvCommand {
        KvCommand { op, dir_ent: KvEntry { key: key.into(), ..KvEntry::default() } }
    }

    #[test]
    fn only_locking_a_lost_key_is_refused_and_only_for_a_while() {
        let second = |s| Instant::ZERO + Duration::from_secs(s);
        let mut delays = LockDelays::default();
        let lock = Command::Kv(on(KvOp::Lock, "a")).encode();
        assert_eq!(delays.refused(second(0), &lock), None);
        delays.add(second(0), "a".into(), Duration::from_secs(15));
        assert_eq!(delays.refused(second(14), &lock), Some(Vec::from([0])));
        assert_eq!(delays.refused(second(14), &Command::Kv(on(KvOp::Lock, "b")).encode()), None);
        assert_eq!(delays.refused(second(14), &Command::Kv(on(KvOp::Set, "a")).encode()), None);
        let ops = [on(KvOp::Set, "a"), on(KvOp::Lock, "b"), on(KvOp::Lock, "a")].map(TxnOp::Kv);
        let txn = Command::Txn(Txn { ops: ops.into() });
        assert_eq!(delays.refused(second(14), &txn.encode()), Some(Vec::from([2])));
        let Applied::Txn(told) = refusal(&txn, &[2]) else { panic!("of a transaction") };
        assert_eq!(told.errors[0].what, r#"failed to lock key "a" due to lock delay"#);
        // Lost once more: the later end counts.
        delays.add(second(14), "a".into(), Duration::from_secs(15));
        assert_eq!(delays.refused(second(28), &lock), Some(Vec::from([0])));
        assert_eq!(delays.refused(second(29), &lock), None);
        assert!(delays.until.is_empty() && delays.order.is_empty());
    }
}
