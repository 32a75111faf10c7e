//! Absolute deadlines by key: one table, one minimum.

use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};

/// At most one deadline per key.
#[derive(Clone, Debug)]
pub(super) struct Timers<K> {
    by_key: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Timers<K> {
    pub(super) fn new() -> Self {
        Timers { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Sets the deadline of `key`, whatever it was.
    pub(super) fn set(&mut self, key: K, at: Instant) {
        if let Some(old) = self.by_key.insert(key.clone(), at) {
            self.by_time.remove(&(old, key.clone()));
        }
        self.by_time.insert((at, key));
    }

    pub(super) fn cancel(&mut self, key: &K) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The keys whose deadlines are not after `until`, earliest first.
    pub(super) fn upto(&self, until: Instant) -> impl Iterator<Item = (Instant, &K)> {
        self.by_time.iter().map(|(at, key)| (*at, key)).take_while(move |(at, _)| *at <= until)
    }

    /// Takes out the earliest key whose deadline is not after `now`.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<K> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}
