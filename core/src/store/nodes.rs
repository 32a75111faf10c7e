//! Writing nodes.

use super::Store;
use super::key::{fold, fold_str};
use super::words::share_node;
use crate::Str;
use crate::types::{Node, status};
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

/// The check that gossip keeps about a node.
const SERF_HEALTH: &str = "serfHealth";

impl Store {
    /// Whether `node` may be written: its name must not belong to a living node with another ID.
    pub(super) fn vet_node(&self, node: &Node) -> Result<(), String> {
        if node.id.is_empty() {
            return Ok(());
        }
        let Some(taken) = self.node(&node.node).filter(|old| !old.id.eq_ignore_ascii_case(&node.id)) else {
            return Ok(());
        };
        let renamed = self.node_by_id(&node.id);
        let alive = self.check(&taken.node, SERF_HEALTH).is_some_and(|c| &*c.status != status::CRITICAL);
        if !alive || (taken.id.is_empty() && renamed.is_none()) {
            return Ok(());
        }
        let who = match renamed {
            Some(_) => format!("{:?} ({})", node.id, node.address),
            None => format!("{:?}", node.id),
        };
        Err(format!(
            "Error while renaming Node ID: {who}: Node name {} is reserved by node {} with name {} ({})",
            node.node, taken.id, taken.node, taken.address
        ))
    }

    /// Writes a node that [`Store::vet_node`] let pass. Its indexes are set here.
    ///
    /// A node known under another name by its ID is renamed: the old name goes with all it has, the
    /// creation index stays.
    pub(super) fn put_node(&mut self, index: u64, mut node: Node, changes: &mut ChangeSet) {
        let name = fold_str(&node.node);
        let by_id = self.node_by_id(&node.id).cloned();
        let existing = by_id.as_ref().or_else(|| self.nodes.get(&name)).cloned();
        node.create_index = index;
        if let Some(old) = &existing {
            node.create_index = old.create_index;
            node.modify_index = old.modify_index;
            // As in Consul, another locality alone is no change: it comes with the next one.
            let locality = mem::replace(&mut node.locality, old.locality.clone());
            if node == **old {
                return;
            }
            node.locality = locality;
        }
        node.modify_index = index;
        let other = self.nodes.first_from(&name).or_else(|| self.nodes.last_key_value());
        if let Some((_, like)) = other {
            share_node(&mut node, like);
        }
        if let Some(old) = by_id.map(|n| fold_str(&n.node)).filter(|old| *old != name) {
            self.remove_node(index, &old, changes);
        }
        if let Some(replaced) = self.nodes.get(&name).filter(|n| !n.id.is_empty()) {
            self.node_ids.remove(&*fold(&replaced.id));
        }
        if !node.id.is_empty() {
            self.node_ids.insert(fold_str(&node.id), name.clone());
        }
        self.nodes.insert(name.clone(), Arc::new(node));
        self.list_node(&name);
        self.touch_node(index, &name, changes);
        self.touch_services_of(index, &name, changes);
    }

    /// Removes a node, given in lower case, with its services and checks. Unknown is fine.
    pub(super) fn remove_node(&mut self, index: u64, name: &str, changes: &mut ChangeSet) {
        let Some((name, node)) = self.nodes.get_key_value(name).map(|(k, n)| (k.clone(), n.clone())) else {
            return;
        };
        let services: Vec<Str> = self.node_services(&name).map(|s| fold_str(&s.id)).collect();
        for id in services {
            self.remove_service(index, &name, &id, changes);
        }
        let checks: Vec<Str> = self.node_checks(&name).map(|c| fold_str(&c.check_id)).collect();
        for id in checks {
            self.remove_check(index, &name, &id, changes);
        }
        if !node.id.is_empty() {
            self.node_ids.remove(&*fold(&node.id));
        }
        self.nodes.remove(&name);
        self.remove_coordinates(index, &name, changes);
        self.end_sessions_of_node(index, &name, changes);
        self.touch_node(index, &name, changes);
        self.index.by_node.remove(&name);
        self.index.node_extinction = index;
    }

    /// The node with this very ID.
    pub(super) fn node_by_id(&self, id: &str) -> Option<&Arc<Node>> {
        if id.is_empty() {
            return None;
        }
        self.nodes.get(self.node_ids.get(&*fold(id))?)
    }

    /// The node's record or its services changed.
    pub(super) fn touch_node(&mut self, index: u64, name: &Str, changes: &mut ChangeSet) {
        self.index.nodes = index;
        self.index.by_node.insert(name.clone(), index);
        changes.nodes = true;
        changes.touch_node(name);
    }
}
