//! Watch keys and change sets.

use crate::Str;
use crate::time::Duration;
use alloc::collections::{BTreeMap, BTreeSet};

/// Something a blocking read depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchKey {
    /// Any node record.
    Nodes,
    /// Any service record of any node.
    Services,
    /// Any check.
    Checks,
    /// The checks in this state (lower case).
    State(Str),
    /// Instances of this service (lower case), their nodes and their checks.
    Service(Str),
    /// This node (lower case), its services and its checks.
    Node(Str),
    /// This key.
    Kv(Str),
    /// Every key under this prefix.
    KvPrefix(Str),
    /// Any coordinate.
    Coordinates,
    /// Any session.
    Sessions,
    /// The session of this ID (lower case).
    Session(Str),
    /// Sessions of this node (lower case).
    NodeSessions(Str),
    /// Any prepared query.
    Queries,
    /// The agent's own services and checks.
    Local,
}

/// What one applied batch touched. Names are lower case, keys as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// Everything may have changed: a snapshot was installed, or the set grew over its limit.
    pub all: bool,
    /// Some node record changed.
    pub nodes: bool,
    /// Some service record changed.
    pub services: bool,
    /// Some check changed.
    pub checks: bool,
    /// States that some check came into, left, or is in while something else of it changed.
    pub states: BTreeSet<Str>,
    /// Some coordinate changed.
    pub coordinates: bool,
    /// Some prepared query changed.
    pub queries: bool,
    /// The agent's own services or checks changed.
    pub local: bool,
    /// Services whose instances, nodes or checks changed.
    pub service_names: BTreeSet<Str>,
    /// Nodes that changed, or whose services or checks did.
    pub node_names: BTreeSet<Str>,
    /// Keys written or removed.
    pub keys: BTreeSet<Str>,
    /// Sessions that were created or have ended, to their nodes.
    pub sessions: BTreeMap<Str, Str>,
    /// Keys whose holder's session has ended, and how long nobody may lock them. For the servers themselves, not for
    /// readers: it has no limit.
    pub freed: BTreeMap<Str, Duration>,
}

impl ChangeSet {
    /// More names than this and the set says "everything".
    pub const LIMIT: usize = 4096;

    /// The set that touches everything.
    pub fn everything() -> ChangeSet {
        ChangeSet { all: true, ..ChangeSet::default() }
    }

    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == ChangeSet::default()
    }

    /// Adds what `other` touched.
    pub fn merge(&mut self, other: &ChangeSet) {
        self.all |= other.all;
        self.nodes |= other.nodes;
        self.services |= other.services;
        self.checks |= other.checks;
        self.coordinates |= other.coordinates;
        self.queries |= other.queries;
        self.local |= other.local;
        self.freed.extend(other.freed.iter().map(|(key, delay)| (key.clone(), *delay)));
        if self.all {
            self.forget_names();
            return;
        }
        self.states.extend(other.states.iter().cloned());
        self.service_names.extend(other.service_names.iter().cloned());
        self.node_names.extend(other.node_names.iter().cloned());
        self.keys.extend(other.keys.iter().cloned());
        self.sessions.extend(other.sessions.iter().map(|(id, node)| (id.clone(), node.clone())));
        self.keep_limit();
    }

    /// Adds a service, named in lower case.
    pub fn touch_service(&mut self, name: &Str) {
        if !self.all && !self.service_names.contains(name) {
            self.service_names.insert(name.clone());
            self.keep_limit();
        }
    }

    /// Adds a state of checks, in lower case.
    pub fn touch_state(&mut self, state: &Str) {
        if !self.all && !self.states.contains(state) {
            self.states.insert(state.clone());
            self.keep_limit();
        }
    }

    /// Adds a node, named in lower case.
    pub fn touch_node(&mut self, name: &Str) {
        if !self.all && !self.node_names.contains(name) {
            self.node_names.insert(name.clone());
            self.keep_limit();
        }
    }

    /// Adds a key that was written or removed.
    pub fn touch_key(&mut self, key: &Str) {
        if !self.all && !self.keys.contains(key) {
            self.keys.insert(key.clone());
            self.keep_limit();
        }
    }

    /// Adds a session that was created or has ended, and its node, both in lower case.
    pub fn touch_session(&mut self, id: &Str, node: &Str) {
        if !self.all {
            self.sessions.insert(id.clone(), node.clone());
            self.keep_limit();
        }
    }

    fn keep_limit(&mut self) {
        let names = self.service_names.len() + self.node_names.len() + self.states.len();
        if names + self.keys.len() + self.sessions.len() > ChangeSet::LIMIT {
            self.all = true;
            self.forget_names();
        }
    }

    fn forget_names(&mut self) {
        self.states.clear();
        self.service_names.clear();
        self.node_names.clear();
        self.keys.clear();
        self.sessions.clear();
    }

    /// Whether a read that recorded `key` may now answer differently.
    pub fn touches(&self, key: &WatchKey) -> bool {
        self.all
            || match key {
                WatchKey::Nodes => self.nodes,
                WatchKey::Services => self.services,
                WatchKey::Checks => self.checks,
                WatchKey::State(state) => self.states.contains(state),
                WatchKey::Coordinates => self.coordinates,
                WatchKey::Queries => self.queries,
                WatchKey::Local => self.local,
                WatchKey::Sessions => !self.sessions.is_empty(),
                WatchKey::Session(id) => self.sessions.contains_key(id),
                WatchKey::NodeSessions(node) => self.sessions.values().any(|of| of == node),
                WatchKey::Service(name) => self.service_names.contains(name),
                WatchKey::Node(name) => self.node_names.contains(name),
                WatchKey::Kv(key) => self.keys.contains(key),
                WatchKey::KvPrefix(prefix) => self
                    .keys
                    .range::<str, _>((core::ops::Bound::Included(&**prefix), core::ops::Bound::Unbounded))
                    .next()
                    .is_some_and(|k| k.starts_with(&**prefix)),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_touched_by_a_key_under_it_and_by_no_other() {
        let mut set = ChangeSet::default();
        set.keys.insert("a/b".into());
        assert!(set.touches(&WatchKey::KvPrefix("a/".into())));
        assert!(set.touches(&WatchKey::KvPrefix("".into())));
        assert!(!set.touches(&WatchKey::KvPrefix("a/c".into())));
        assert!(!set.touches(&WatchKey::KvPrefix("b".into())));
        assert!(!set.touches(&WatchKey::Kv("a".into())));
    }

    #[test]
    fn too_many_names_become_everything() {
        let mut set = ChangeSet::default();
        for i in 0..=ChangeSet::LIMIT {
            let mut one = ChangeSet::default();
            one.keys.insert(alloc::format!("k{i}").into());
            set.merge(&one);
        }
        assert!(set.all && set.keys.is_empty());
        assert!(set.touches(&WatchKey::Service("web".into())));
    }
}
