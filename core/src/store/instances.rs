//! What a read of a service sees: every instance with its node and all checks that concern it.
//!
//! Health reads are by far the most frequent ones, so their answer is kept ready: a write rebuilds the
//! instances that it concerns. All of it is made of the same `Arc`s as the primary tables.

use super::Store;
use super::key::{Key, Parts, fold, fold_str};
use crate::Str;
use crate::types::{CheckServiceNode, HealthCheck};
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Store {
    /// The checks of one instance, without those of its node. Both names in lower case.
    pub(super) fn checks_of_service(&self, node: &str, id: &str) -> Vec<Arc<HealthCheck>> {
        let entry = self.services.get::<dyn Parts>(&[node, id]).and_then(|service| {
            self.services_by_name.get::<dyn Parts>(&[&*fold(&service.service), node, id])
        });
        let own = entry.iter().flat_map(|e| &e.checks).filter(|c| !c.service_id.is_empty());
        own.cloned().collect()
    }

    /// The first instance of a service, named in lower case.
    pub(super) fn first_instance(&self, name: &str) -> Option<&Arc<CheckServiceNode>> {
        let parts: &dyn Parts = &[name];
        self.services_by_name.first_from(parts).filter(|(k, _)| *k.0[0] == *name).map(|(_, entry)| entry)
    }

    /// Builds the entry of one instance from the tables and the instance's own checks.
    pub(super) fn list_instance(&mut self, node: &Str, id: &Str, own: Vec<Arc<HealthCheck>>) {
        let Some(service) = self.services.get::<dyn Parts>(&[&**node, &**id]) else { return };
        let Some(owner) = self.nodes.get(node) else { return };
        let of_node = self.node_level.get(node).map_or(&[][..], |checks| checks);
        let mut checks = Vec::with_capacity(of_node.len() + own.len());
        checks.extend(of_node.iter().cloned());
        checks.extend(own);
        let name = match self.index.by_service.get_key_value(&*fold(&service.service)) {
            Some((name, _)) => name.clone(),
            None => fold_str(&service.service),
        };
        let entry = CheckServiceNode { node: owner.clone(), service: service.clone(), checks };
        self.services_by_name.insert(Key([name, node.clone(), id.clone()]), Arc::new(entry));
    }

    /// Puts a check in its place among those of an instance, or of the node for an empty `service_id`;
    /// `None` takes it out. All names in lower case.
    pub(super) fn list_check(
        &mut self,
        node: &Str,
        service_id: &Str,
        id: &str,
        check: Option<Arc<HealthCheck>>,
    ) {
        if service_id.is_empty() {
            let mut checks: Vec<_> = self.node_level.get(node).map_or_else(Vec::new, |c| c.to_vec());
            place(&mut checks, 0, id, check);
            if checks.is_empty() {
                self.node_level.remove(node);
            } else {
                self.node_level.insert(node.clone(), checks.into());
            }
        } else if let Some(service) = self.services.get::<dyn Parts>(&[&**node, &**service_id]) {
            let parts: &dyn Parts = &[&*fold(&service.service), &**node, &**service_id];
            let Some(entry) = self.services_by_name.get_mut(parts) else { return };
            let entry = Arc::make_mut(entry);
            let of_node = entry.checks.iter().take_while(|c| c.service_id.is_empty()).count();
            place(&mut entry.checks, of_node, id, check);
        }
    }

    /// Builds the entries of all instances on a node again: its record or its own checks have changed.
    pub(super) fn list_node(&mut self, node: &Str) {
        let ids: Vec<Str> = self.node_services(node).map(|s| fold_str(&s.id)).collect();
        for id in ids {
            let own = self.checks_of_service(node, &id);
            self.list_instance(node, &id, own);
        }
    }
}

/// Puts a check in its place behind the first `skip`, or takes it out.
fn place(checks: &mut Vec<Arc<HealthCheck>>, skip: usize, id: &str, check: Option<Arc<HealthCheck>>) {
    let found = checks[skip..].binary_search_by(|c| (*fold(&c.check_id)).cmp(id));
    match (found.map(|at| skip + at).map_err(|at| skip + at), check) {
        (Ok(at), Some(check)) => {
            if let Some(slot) = checks.get_mut(at) {
                *slot = check;
            }
        }
        (Err(at), Some(check)) => {
            checks.reserve_exact(1);
            checks.insert(at, check);
        }
        (Ok(at), None) => {
            checks.remove(at);
        }
        (Err(_), None) => {}
    }
}
