//! Writing service instances.

use super::Store;
use super::key::{Key, Parts, fold, fold_str};
use super::words::{same, share_service};
use crate::Str;
use crate::types::{NodeService, Weights, rules};
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

impl Store {
    /// Writes an instance on `node`, given in lower case, which must exist. Its indexes are set here.
    pub(super) fn put_service(
        &mut self,
        index: u64,
        node: &Str,
        mut service: NodeService,
        changes: &mut ChangeSet,
    ) {
        let id = fold_str(&service.id);
        let mut name = fold_str(&service.service);
        let key = Key([node.clone(), id.clone()]);
        let old = self.services.get(&key).cloned();
        // As Consul, which keeps no weights that DNS could not show.
        if rules::weights(&service.weights).is_err() {
            service.weights = Weights::default();
        }
        service.create_index = index;
        if let Some(old) = &old {
            service.create_index = old.create_index;
            service.modify_index = old.modify_index;
            // As in Consul, another locality alone is no change: it comes with the next one.
            let locality = mem::replace(&mut service.locality, old.locality.clone());
            if service == **old {
                return;
            }
            service.locality = locality;
        }
        service.modify_index = index;
        if let Some((held, _)) = self.index.by_service.get_key_value(&name) {
            same(held, &mut service.service);
            name = held.clone();
        }
        share_service(&mut service, self.first_instance(&name).map(|like| &*like.service));
        let checks = if old.is_some() { self.checks_of_service(node, &id) } else { Vec::new() };
        let service = Arc::new(service);
        self.services.insert(key, service.clone());
        let renamed = old.filter(|old| old.service != service.service);
        if let Some(old_name) = renamed.as_ref().map(|old| fold_str(&old.service)).filter(|old| *old != name)
        {
            self.unlist_service(index, &old_name, node, &id, changes);
        }
        self.list_instance(node, &id, checks);
        self.touch_services(index, node, changes);
        self.touch_service(index, &name, changes);
        if renamed.is_some() {
            self.rename_checks(index, node, &id, changes);
        }
    }

    /// The checks of a renamed instance follow it. (Consul leaves them with the old name until they are
    /// registered again.)
    fn rename_checks(&mut self, index: u64, node: &Str, id: &str, changes: &mut ChangeSet) {
        for check in self.checks_of_service(node, id) {
            self.put_check(index, node, (*check).clone(), changes);
        }
    }

    /// Removes an instance with its checks; both names in lower case. Unknown is fine.
    pub(super) fn remove_service(&mut self, index: u64, node: &str, id: &str, changes: &mut ChangeSet) {
        let parts: &dyn Parts = &[node, id];
        let Some((Key([node, id]), service)) =
            self.services.get_key_value(parts).map(|(k, s)| (k.clone(), s.clone()))
        else {
            return;
        };
        for check in self.checks_of_service(&node, &id) {
            self.remove_check(index, &node, &fold(&check.check_id), changes);
        }
        self.touch_checks(index, &node, changes);
        self.services.remove::<dyn Parts>(&[&*node, &*id]);
        self.unlist_service(index, &fold_str(&service.service), &node, &id, changes);
        self.touch_services(index, &node, changes);
    }

    /// Takes an instance off its name's list: the name's index rises, or the name dies out.
    fn unlist_service(&mut self, index: u64, name: &Str, node: &str, id: &str, changes: &mut ChangeSet) {
        self.services_by_name.remove::<dyn Parts>(&[&**name, node, id]);
        if self.service_exists(name) {
            self.touch_service(index, name, changes);
        } else {
            self.index.by_service.remove(name);
            self.index.service_extinction = index;
            changes.touch_service(name);
        }
    }

    pub(super) fn service_exists(&self, name: &str) -> bool {
        let parts: &dyn Parts = &[name];
        self.services_by_name.first_from(parts).is_some_and(|(k, _)| *k.0[0] == *name)
    }

    /// Some service record of `node` changed.
    fn touch_services(&mut self, index: u64, node: &Str, changes: &mut ChangeSet) {
        self.index.services = index;
        changes.services = true;
        self.touch_node(index, node, changes);
    }

    /// What a read of the service `name` (lower case) answers has changed.
    pub(super) fn touch_service(&mut self, index: u64, name: &Str, changes: &mut ChangeSet) {
        self.index.by_service.insert(name.clone(), index);
        changes.touch_service(name);
    }

    /// The node itself or a check of the node changed, which every service on it shows.
    pub(super) fn touch_services_of(&mut self, index: u64, node: &str, changes: &mut ChangeSet) {
        let names: Vec<Str> = self.node_services(node).map(|s| fold_str(&s.service)).collect();
        for name in names {
            self.touch_service(index, &name, changes);
        }
    }
}

/// What Consul's catalog refuses of a service, whoever registers it.
pub(super) fn vet_service(node: &str, service: &NodeService) -> Result<(), String> {
    let pairs = service.meta.iter().map(|(key, value)| (&**key, &**value));
    rules::metadata(pairs)
        .map_err(|why| format!("Invalid Service Meta for node {node} and serviceID {}: {why}", service.id))
}
