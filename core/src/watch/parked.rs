//! Parked blocking reads: watch key to waiters, and deadlines.

use super::{ChangeSet, WatchKey};
use crate::Str;
use crate::ids::ReqId;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Requests that wait for a change or a deadline.
///
/// Each request is parked under every key that its last answer recorded. It is woken at most once
/// and must be parked again to wait on.
#[derive(Debug, Default)]
pub struct Parked {
    waiters: BTreeMap<ReqId, (Instant, Vec<WatchKey>)>,
    by_key: BTreeMap<WatchKey, BTreeSet<ReqId>>,
    by_deadline: BTreeSet<(Instant, ReqId)>,
}

impl Parked {
    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Parks `req` until a change touches one of `keys` or `deadline` comes. Parking a request
    /// that is already parked replaces what it waits for.
    pub fn park(&mut self, req: ReqId, deadline: Instant, keys: Vec<WatchKey>) {
        self.remove(req);
        for key in &keys {
            self.by_key.entry(key.clone()).or_default().insert(req);
        }
        self.by_deadline.insert((deadline, req));
        self.waiters.insert(req, (deadline, keys));
    }

    /// Forgets `req`, answered or gone. Returns whether it was parked.
    pub fn remove(&mut self, req: ReqId) -> bool {
        let Some((deadline, keys)) = self.waiters.remove(&req) else { return false };
        self.by_deadline.remove(&(deadline, req));
        for key in keys {
            if let Some(set) = self.by_key.get_mut(&key) {
                set.remove(&req);
                if set.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        true
    }

    /// Takes out every request that `changes` touches, in order of request.
    pub fn wake(&mut self, changes: &ChangeSet) -> Vec<ReqId> {
        let mut woken = BTreeSet::new();
        if changes.all {
            woken.extend(self.waiters.keys().copied());
        } else if !changes.is_empty() {
            for (flag, key) in [
                (changes.nodes, WatchKey::Nodes),
                (changes.services, WatchKey::Services),
                (changes.checks, WatchKey::Checks),
                (changes.coordinates, WatchKey::Coordinates),
                (changes.queries, WatchKey::Queries),
                (changes.local, WatchKey::Local),
            ] {
                if flag {
                    self.collect(&key, &mut woken);
                }
            }
            for state in &changes.states {
                self.collect(&WatchKey::State(state.clone()), &mut woken);
            }
            for name in &changes.service_names {
                self.collect(&WatchKey::Service(name.clone()), &mut woken);
            }
            for name in &changes.node_names {
                self.collect(&WatchKey::Node(name.clone()), &mut woken);
            }
            for key in &changes.keys {
                self.collect(&WatchKey::Kv(key.clone()), &mut woken);
            }
            if !changes.sessions.is_empty() {
                self.collect(&WatchKey::Sessions, &mut woken);
            }
            for (id, node) in &changes.sessions {
                self.collect(&WatchKey::Session(id.clone()), &mut woken);
                self.collect(&WatchKey::NodeSessions(node.clone()), &mut woken);
            }
            self.collect_prefixes(changes, &mut woken);
        }
        for req in &woken {
            self.remove(*req);
        }
        woken.into_iter().collect()
    }

    /// Takes out every request whose deadline is at or before `now`, earliest first.
    pub fn expire(&mut self, now: Instant) -> Vec<ReqId> {
        let due: Vec<ReqId> =
            self.by_deadline.iter().take_while(|(at, _)| *at <= now).map(|(_, req)| *req).collect();
        for req in &due {
            self.remove(*req);
        }
        due
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(at, _)| *at)
    }

    fn collect(&self, key: &WatchKey, woken: &mut BTreeSet<ReqId>) {
        if let Some(set) = self.by_key.get(key) {
            woken.extend(set);
        }
    }

    /// One pass over the watched prefixes: there are as many as there are distinct recursive
    /// watches, however many clients share them.
    fn collect_prefixes(&self, changes: &ChangeSet, woken: &mut BTreeSet<ReqId>) {
        if changes.keys.is_empty() {
            return;
        }
        let first = WatchKey::KvPrefix(Str::from(""));
        for (key, set) in self.by_key.range(first..) {
            if !matches!(key, WatchKey::KvPrefix(_)) {
                break;
            }
            if changes.touches(key) {
                woken.extend(set);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use alloc::string::String;
    use alloc::vec;
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_batch_wakes_a_waiter_once_and_forgets_it() {
        let mut parked = Parked::default();
        parked.park(ReqId(1), at(10), vec![WatchKey::Kv("a".into()), WatchKey::Nodes]);
        parked.park(ReqId(2), at(10), vec![WatchKey::Kv("b".into())]);
        let mut changes = ChangeSet { nodes: true, ..ChangeSet::default() };
        changes.keys.insert("a".into());
        assert_eq!(parked.wake(&changes), vec![ReqId(1)]);
        assert_eq!(parked.wake(&changes), vec![]);
        assert_eq!(parked.expire(at(9)), vec![]);
        assert_eq!(parked.expire(at(10)), vec![ReqId(2)]);
        assert!(parked.is_empty() && parked.next_deadline().is_none());
        assert!(parked.by_key.is_empty());
    }

    fn names() -> impl Strategy<Value = BTreeSet<String>> {
        proptest::collection::btree_set("[ab]{0,3}", 0..4)
    }

    fn key() -> impl Strategy<Value = WatchKey> {
        let name = "[ab]{0,3}".prop_map(|s| Str::from(s.as_str()));
        prop_oneof![
            Just(WatchKey::Nodes),
            Just(WatchKey::Services),
            Just(WatchKey::Checks),
            Just(WatchKey::Coordinates),
            Just(WatchKey::Sessions),
            Just(WatchKey::Queries),
            Just(WatchKey::Local),
            name.clone().prop_map(WatchKey::Kv),
            name.clone().prop_map(WatchKey::KvPrefix),
            name.clone().prop_map(WatchKey::State),
            name.clone().prop_map(WatchKey::Service),
            name.clone().prop_map(WatchKey::Node),
            name.clone().prop_map(WatchKey::Session),
            name.prop_map(WatchKey::NodeSessions),
        ]
    }

    proptest! {
        #[test]
        fn waking_equals_asking_every_waiter(
            waits in proptest::collection::vec(proptest::collection::vec(key(), 1..4), 0..12),
            keys in names(),
            services in names(),
            states in names(),
            on_nodes in names(),
            sessions in proptest::collection::btree_map("[ab]{0,3}", "[ab]{0,3}", 0..2),
            any: [bool; 6],
        ) {
            let all = |names: BTreeSet<String>| names.iter().map(|name| Str::from(name.as_str())).collect();
            let session = |(id, node): (String, String)| (Str::from(id.as_str()), Str::from(node.as_str()));
            // Every field is named: a new one has to be thought of here.
            let changes = ChangeSet {
                all: false,
                nodes: any[0],
                services: any[1],
                checks: any[2],
                states: all(states),
                coordinates: any[3],
                queries: any[4],
                local: any[5],
                keys: all(keys),
                service_names: all(services),
                node_names: all(on_nodes),
                sessions: sessions.into_iter().map(session).collect(),
                freed: BTreeMap::new(),
            };
            let mut parked = Parked::default();
            let mut expected = vec![];
            for (i, w) in waits.iter().enumerate() {
                let req = ReqId(i as u64);
                parked.park(req, at(1), w.clone());
                if w.iter().any(|k| changes.touches(k)) {
                    expected.push(req);
                }
            }
            prop_assert_eq!(parked.wake(&changes), expected);
        }
    }
}
