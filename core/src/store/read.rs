//! Reading the catalog. Names match without regard to case.

use super::Store;
use super::key::{Key, Parts, fold};
use crate::Str;
use crate::types::{CheckServiceNode, HealthCheck, Node, NodeService};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Store {
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

    /// The checks of one instance, or with an empty ID the node's own, ordered by check ID. Both names
    /// must be in lower case.
    pub(super) fn checks_of_service<'a>(
        &'a self,
        node: &'a str,
        id: &'a str,
    ) -> impl Iterator<Item = &'a Arc<HealthCheck>> {
        self.checks_by_service
            .range_from::<dyn Parts>(&[node, id])
            .take_while(move |(k, _)| *k.0[0] == *node && *k.0[1] == *id)
            .map(|(_, check)| check)
    }

    /// Every service name with the tags of all its instances, each once, sorted.
    pub fn services(&self) -> BTreeMap<Str, Vec<Str>> {
        let mut tags: BTreeMap<&Str, BTreeSet<&Str>> = BTreeMap::new();
        for service in self.services_by_name.values() {
            tags.entry(&service.service).or_default().extend(&service.tags);
        }
        tags.into_iter().map(|(name, tags)| (name.clone(), tags.into_iter().cloned().collect())).collect()
    }

    /// Every instance of every service with its node, ordered by service name, node and ID.
    pub fn instances(&self) -> impl Iterator<Item = (&Arc<Node>, &Arc<NodeService>)> {
        self.services_by_name.iter().filter_map(|(k, s)| Some((self.nodes.get(&k.0[1])?, s)))
    }

    /// Every instance of a service with its node, ordered by node and ID.
    pub fn service_instances(
        &self,
        name: &str,
    ) -> impl Iterator<Item = (&Arc<Node>, &Arc<NodeService>)> + use<'_> {
        self.listed(name).filter_map(|(k, s)| Some((self.nodes.get(&k.0[1])?, s)))
    }

    /// Every instance of a service with its node, the node's own checks and the instance's, the checks
    /// ordered by ID within each of the two; ordered by node and ID.
    pub fn check_service_nodes(&self, name: &str) -> Vec<CheckServiceNode> {
        self.listed(name)
            .filter_map(|(Key([_, node, id]), service)| {
                let mut checks: Vec<_> = self.checks_of_service(node, "").cloned().collect();
                checks.extend(self.checks_of_service(node, id).cloned());
                Some(CheckServiceNode {
                    node: self.nodes.get(node)?.clone(),
                    service: service.clone(),
                    checks,
                })
            })
            .collect()
    }

    /// The checks of a service's instances, without those of their nodes, ordered by node, instance and ID.
    pub fn service_checks(&self, name: &str) -> Vec<Arc<HealthCheck>> {
        self.listed(name)
            .flat_map(|(Key([_, node, id]), _)| self.checks_of_service(node, id).cloned())
            .collect()
    }

    /// The checks with this status, or all for `any`, ordered by node and check ID.
    pub fn checks_in_state(&self, state: &str) -> Vec<Arc<HealthCheck>> {
        self.checks.values().filter(|c| state == "any" || *c.status == *state).cloned().collect()
    }

    fn listed(&self, name: &str) -> impl Iterator<Item = (&Key<3>, &Arc<NodeService>)> + use<'_> {
        let name = fold(name);
        let from = self.services_by_name.range_from::<dyn Parts>(&[&*name]);
        let name = name.into_owned();
        from.take_while(move |(k, _)| *k.0[0] == *name)
    }
}

/// The values whose key begins with `first`.
fn under<'a, V: 'a>(
    entries: impl Iterator<Item = (&'a Key<2>, &'a V)>,
    first: alloc::string::String,
) -> impl Iterator<Item = &'a V> {
    entries.take_while(move |(k, _)| *k.0[0] == *first).map(|(_, v)| v)
}
