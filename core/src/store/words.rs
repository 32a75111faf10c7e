//! Strings that records have in common, kept once.
//!
//! A decoded record owns every one of its strings. Before it is stored, the empty ones, the statuses and
//! the names that the store already holds are replaced by shared ones: with small records most of the
//! memory is otherwise spent on them.

use crate::Str;
use crate::types::{HealthCheck, KvEntry, Node, NodeService, status};

/// The shared strings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Words([Str; 4]);

impl Default for Words {
    fn default() -> Words {
        Words(["", status::PASSING, status::WARNING, status::CRITICAL].map(Str::from))
    }
}

impl Words {
    /// The shared empty string.
    pub(super) fn empty(&self) -> Str {
        self.0[0].clone()
    }

    fn share<const N: usize>(&self, strings: [&mut Str; N]) {
        for s in strings {
            if let Some(word) = self.0.iter().find(|word| **word == *s) {
                *s = word.clone();
            }
        }
    }

    pub(super) fn share_node(&self, n: &mut Node) {
        self.share([&mut n.id, &mut n.address, &mut n.datacenter, &mut n.peer_name]);
    }

    pub(super) fn share_service(&self, s: &mut NodeService) {
        same(&s.service, &mut s.id);
        self.share([&mut s.kind, &mut s.address, &mut s.socket_path, &mut s.peer_name]);
    }

    pub(super) fn share_check(&self, c: &mut HealthCheck, node: &Node, service: Option<&NodeService>) {
        same(&node.node, &mut c.node);
        if let Some(service) = service {
            same(&service.id, &mut c.service_id);
        }
        self.share([&mut c.name, &mut c.status, &mut c.notes, &mut c.output]);
        self.share([&mut c.service_id, &mut c.service_name, &mut c.kind, &mut c.interval]);
        self.share([&mut c.timeout, &mut c.peer_name]);
    }

    pub(super) fn share_entry(&self, e: &mut KvEntry) {
        self.share([&mut e.session]);
    }
}

/// Makes `s` the same allocation as `held` if they are equal.
pub(super) fn same(held: &Str, s: &mut Str) {
    if *held == *s {
        *s = held.clone();
    }
}
