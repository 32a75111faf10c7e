//! Writing health checks.

use super::Store;
use super::key::{Key, Parts, fold, fold_str};
use super::words::share_check;
use crate::Str;
use crate::types::{HealthCheck, status};
use crate::watch::ChangeSet;
use alloc::sync::Arc;

impl Store {
    /// Writes a check on `node`, given in lower case. The node, and the service if one is named, must
    /// exist. Status, service name, service tags and indexes are filled in here.
    pub(super) fn put_check(
        &mut self,
        index: u64,
        node: &Str,
        mut check: HealthCheck,
        changes: &mut ChangeSet,
    ) {
        if check.status.is_empty() {
            check.status = Str::from(status::CRITICAL);
        }
        let service_id = fold_str(&check.service_id);
        if !service_id.is_empty()
            && let Some(service) = self.services.get::<dyn Parts>(&[&**node, &*service_id])
        {
            check.service_name = service.service.clone();
            check.service_tags = service.tags.clone();
        }
        let id = fold_str(&check.check_id);
        let key = Key([node.clone(), id.clone()]);
        let old = self.checks.get(&key).cloned();
        check.create_index = index;
        if let Some(old) = &old {
            check.create_index = old.create_index;
            check.modify_index = old.modify_index;
            if check == **old {
                return;
            }
        }
        check.modify_index = index;
        if &*check.status == status::CRITICAL {
            self.end_sessions_of_check(index, node, &id, changes);
        }
        if let Some(owner) = self.nodes.get(node) {
            let service = self.services.get::<dyn Parts>(&[&**node, &*service_id]);
            // The first instance of the service has the same checks, as a rule.
            let like = service.and_then(|s| self.first_instance(&fold(&s.service)));
            let like = like.and_then(|like| like.checks.iter().find(|c| c.name == check.name));
            share_check(&mut check, owner, service.map(|s| &**s), like.map(|c| &**c));
        }
        for state in old.iter().map(|old| &old.status).chain([&check.status]) {
            changes.touch_state(&fold_str(state));
        }
        let check = Arc::new(check);
        self.checks.insert(key, check.clone());
        if let Some(old_id) = old.map(|old| fold_str(&old.service_id)).filter(|old_id| *old_id != service_id)
        {
            self.list_check(node, &old_id, &id, None);
            self.touch_checked(index, node, &old_id, changes);
        }
        self.list_check(node, &service_id, &id, Some(check));
        self.touch_checks(index, node, changes);
        self.touch_checked(index, node, &service_id, changes);
    }

    /// Removes a check; both names in lower case. Unknown is fine.
    pub(super) fn remove_check(&mut self, index: u64, node: &str, id: &str, changes: &mut ChangeSet) {
        let parts: &dyn Parts = &[node, id];
        let Some(Key([node, id])) = self.checks.get_key_value(parts).map(|(k, _)| k.clone()) else { return };
        let Some(check) = self.checks.remove::<dyn Parts>(&[&*node, &*id]) else { return };
        let service_id = fold_str(&check.service_id);
        changes.touch_state(&fold_str(&check.status));
        self.list_check(&node, &service_id, &id, None);
        self.touch_checks(index, &node, changes);
        self.touch_checked(index, &node, &service_id, changes);
        if service_id.is_empty() {
            self.index.services = index;
            changes.services = true;
        }
        self.end_sessions_of_check(index, &node, &id, changes);
    }

    /// Some check of `node` changed.
    pub(super) fn touch_checks(&mut self, index: u64, node: &Str, changes: &mut ChangeSet) {
        self.index.checks = index;
        changes.checks = true;
        changes.touch_node(node);
    }

    /// Who shows a check: its service, or all services of its node when it has none.
    fn touch_checked(&mut self, index: u64, node: &Str, service_id: &str, changes: &mut ChangeSet) {
        if service_id.is_empty() {
            self.list_node(node);
            self.touch_services_of(index, node, changes);
        } else if let Some(service) = self.services.get::<dyn Parts>(&[&**node, service_id]) {
            let name = fold_str(&service.service);
            self.touch_service(index, &name, changes);
        }
    }
}
