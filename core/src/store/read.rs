//! Reading the catalog. Names match without regard to case.

use super::Store;
use super::key::{Key, Parts, fold};
use crate::Str;
use crate::types::{CheckServiceNode, HealthCheck, Node, NodeService};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How much the tables hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub nodes: usize,
    /// Names of services.
    pub services: usize,
    pub instances: usize,
    /// Instances of `consul`, the service that servers are registered as.
    pub servers: usize,
    pub keys: usize,
}

impl Store {
    /// The sizes of the tables. Walks the names of all instances.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { nodes: self.nodes.len(), keys: self.kv.len(), ..Counts::default() };
        let mut last: Option<&Str> = None;
        for Key([name, ..]) in self.services_by_name.keys() {
            counts.instances += 1;
            counts.servers += usize::from(&**name == "consul");
            counts.services += usize::from(last != Some(name));
            last = Some(name);
        }
        counts
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(&*fold(name))
    }

    /// The one node whose ID begins with `prefix`; `None` if there is none or more than one.
    pub fn node_by_id_prefix(&self, prefix: &str) -> Option<&Arc<Node>> {
        if prefix.is_empty() {
            return None;
        }
        let prefix = &*fold(prefix);
        let mut found = self.node_ids.range_from(prefix).take_while(|(id, _)| id.starts_with(prefix));
        match (found.next(), found.next()) {
            (Some((_, name)), None) => self.nodes.get(name),
            _ => None,
        }
    }

    /// Every node, ordered by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// The instance with this ID on this node.
    pub fn service(&self, node: &str, id: &str) -> Option<&Arc<NodeService>> {
        let parts: &dyn Parts = &[&*fold(node), &*fold(id)];
        self.services.get(parts)
    }

    /// The check with this ID on this node.
    pub fn check(&self, node: &str, id: &str) -> Option<&Arc<HealthCheck>> {
        let parts: &dyn Parts = &[&*fold(node), &*fold(id)];
        self.checks.get(parts)
    }

    /// Every instance on a node, ordered by ID.
    pub fn node_services(&self, node: &str) -> impl Iterator<Item = &Arc<NodeService>> + use<'_> {
        let node = fold(node);
        under(self.services.range_from::<dyn Parts>(&[&*node]), node.into_owned())
    }

    /// Every check on a node, those of its services included, ordered by check ID.
    pub fn node_checks(&self, node: &str) -> impl Iterator<Item = &Arc<HealthCheck>> + use<'_> {
        let node = fold(node);
        under(self.checks.range_from::<dyn Parts>(&[&*node]), node.into_owned())
    }

    /// Every service name with the tags of all its instances, each once, sorted.
    pub fn services(&self) -> BTreeMap<Str, Vec<Str>> {
        let mut names: BTreeMap<&Str, BTreeSet<&Str>> = BTreeMap::new();
        let mut entries = self.services_by_name.values().map(|e| &e.service).peekable();
        while let Some(first) = entries.next() {
            let tags = names.entry(&first.service).or_default();
            tags.extend(first.tags.iter());
            while let Some(next) = entries.next_if(|s| s.service == first.service) {
                tags.extend(next.tags.iter());
            }
        }
        names.into_iter().map(|(name, tags)| (name.clone(), tags.into_iter().cloned().collect())).collect()
    }

    /// Every instance of every service with its node, ordered by service name, node and ID.
    pub fn instances(&self) -> impl Iterator<Item = (&Arc<Node>, &Arc<NodeService>)> {
        self.services_by_name.values().map(|e| (&e.node, &e.service))
    }

    /// Every instance of a service with its node, ordered by node and ID.
    pub fn service_instances(
        &self,
        name: &str,
    ) -> impl Iterator<Item = (&Arc<Node>, &Arc<NodeService>)> + use<'_> {
        self.service_health(name).map(|e| (&e.node, &e.service))
    }

    /// Every instance of a service with its node and checks: first the node's own, then the instance's,
    /// each ordered by ID. Ordered by node and ID. As long as nothing about an instance changes, it is
    /// the same `Arc`.
    pub fn service_health(&self, name: &str) -> impl Iterator<Item = &Arc<CheckServiceNode>> + use<'_> {
        let name = fold(name);
        let from = self.services_by_name.range_from::<dyn Parts>(&[&*name]);
        let name = name.into_owned();
        from.take_while(move |(k, _)| *k.0[0] == *name).map(|(_, entry)| entry)
    }

    /// Every instance of every service with its node and checks, in the order of [`Store::instances`].
    pub fn all_health(&self) -> impl Iterator<Item = &Arc<CheckServiceNode>> {
        self.services_by_name.values()
    }

    /// [`Store::service_health`], collected.
    pub fn check_service_nodes(&self, name: &str) -> Vec<CheckServiceNode> {
        self.service_health(name).map(|e| (**e).clone()).collect()
    }

    /// The checks of a service's instances, without those of their nodes, ordered by node, instance and ID.
    pub fn service_checks(&self, name: &str) -> Vec<Arc<HealthCheck>> {
        let all = self.service_health(name).flat_map(|e| &e.checks);
        all.filter(|c| !c.service_id.is_empty()).cloned().collect()
    }

    /// The checks with this status, or all for `any`, ordered by node and check ID.
    pub fn checks_in_state(&self, state: &str) -> Vec<Arc<HealthCheck>> {
        let wanted = |check: &Arc<HealthCheck>| state == "any" || check.status.eq_ignore_ascii_case(state);
        self.checks.values().filter(|check| wanted(check)).cloned().collect()
    }
}

/// The values whose key begins with `first`.
fn under<'a, V: 'a>(
    entries: impl Iterator<Item = (&'a Key<2>, &'a V)>,
    first: alloc::string::String,
) -> impl Iterator<Item = &'a V> {
    entries.take_while(move |(k, _)| *k.0[0] == *first).map(|(_, v)| v)
}
