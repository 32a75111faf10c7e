//! From a command to a change of state.

use super::Store;
use super::key::fold;
use super::result::Applied;
use super::services::vet_service;
use crate::Str;
use crate::command::{Command, Deregister, Register};
use crate::types::{HealthCheck, Node};
use crate::watch::ChangeSet;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

impl Store {
    /// Applies the command of log entry `index`, which must be above [`Store::applied`], and adds what it
    /// touched to `changes`. All or nothing: after [`Applied::Error`] or a transaction's errors only the
    /// applied index has moved.
    pub fn apply(&mut self, index: u64, command: &Command, changes: &mut ChangeSet) -> Applied {
        self.applied = index;
        match command {
            Command::Register(c) => match self.register(index, c, changes) {
                Ok(()) => Applied::Ok,
                Err(text) => Applied::Error(text),
            },
            Command::Deregister(c) => {
                self.deregister(index, c, changes);
                Applied::Ok
            }
            Command::Kv(c) => self.apply_kv(index, c, changes),
            Command::ReapTombstones(c) => {
                self.reap_tombstones(c.reap_index);
                Applied::Ok
            }
            Command::Coordinates(c) => {
                self.put_coordinates(index, c, changes);
                Applied::Ok
            }
            Command::PreparedQuery(c) => match self.apply_query(index, c, changes) {
                Ok(()) => Applied::Query(c.query.id.clone()),
                Err(text) => Applied::Error(text),
            },
            Command::Autopilot(c) => Applied::Bool(self.set_autopilot(index, c)),
            Command::Session(c) => self.apply_session(index, c, changes),
            Command::Restore(c) => match self.restore_part(index, c, changes) {
                Ok(()) => Applied::Ok,
                Err(text) => Applied::Error(text),
            },
            Command::Txn(c) => Applied::Txn(self.apply_txn(index, c, changes)),
        }
    }

    /// Vets everything first, so that a refusal leaves no half of a registration behind.
    fn register(&mut self, index: u64, c: &Register, changes: &mut ChangeSet) -> Result<(), String> {
        if c.node.is_empty() {
            return Err("Must provide node".into());
        }
        let known = self.nodes.contains_key(&*fold(&c.node));
        let node = (!c.skip_node_update || !known).then(|| node_of(c));
        if let Some(node) = &node {
            self.vet_node(node).map_err(|e| format!("failed inserting node: {e}"))?;
        }
        if let Some(service) = &c.service {
            vet_service(&c.node, service).map_err(|e| format!("failed inserting service: {e}"))?;
        }
        for check in c.check.iter().chain(&c.checks) {
            self.vet_check(c, check)?;
        }
        if c.check.iter().chain(&c.checks).any(|check| check.check_id.is_empty()) {
            let text = "failed inserting check on node";
            return Err(format!("{text} {:?}: failed health check lookup: {NO_VALUE}", c.node));
        }

        if let Some(node) = node {
            self.put_node(index, node, changes);
        }
        let name = fold(&c.node);
        let name =
            self.nodes.get_key_value(&*name).map_or_else(|| Str::from(&*name), |(held, _)| held.clone());
        if let Some(service) = &c.service {
            self.put_service(index, &name, service.clone(), changes);
        }
        for check in c.check.iter().chain(&c.checks) {
            let mut check = check.clone();
            if check.node.is_empty() {
                check.node = self.nodes.get(&name).map_or_else(|| name.clone(), |n| n.node.clone());
            }
            self.put_check(index, &name, check, changes);
        }
        Ok(())
    }

    fn vet_check(&self, c: &Register, check: &HealthCheck) -> Result<(), String> {
        if !check.node.is_empty() && fold(&check.node) != fold(&c.node) {
            return Err(format!(
                "Node '{}' for check '{}' doesn't match register request node '{}'",
                check.node, check.check_id, c.node
            ));
        }
        let id = fold(&check.service_id);
        let registered_here = c.service.as_ref().is_some_and(|s| fold(&s.id) == id);
        if !id.is_empty() && !registered_here && self.service(&c.node, &id).is_none() {
            return Err(format!(
                "Unknown service ID '{}' for check ID '{}'",
                check.service_id, check.check_id
            ));
        }
        Ok(())
    }

    fn deregister(&mut self, index: u64, c: &Deregister, changes: &mut ChangeSet) {
        let node = c.node.to_lowercase();
        if !c.service_id.is_empty() {
            self.remove_service(index, &node, &c.service_id.to_lowercase(), changes);
        } else if !c.check_id.is_empty() {
            self.remove_check(index, &node, &c.check_id.to_lowercase(), changes);
        } else {
            self.remove_node(index, &node, changes);
        }
    }
}

/// Consul's word for a row without a key.
pub(super) const NO_VALUE: &str = "index error: object is missing a value for this index";

fn node_of(c: &Register) -> Node {
    Node {
        id: Str::from(&*c.id),
        node: Str::from(&*c.node),
        address: Str::from(&*c.address),
        datacenter: Str::from(&*c.datacenter),
        peer_name: Str::from(&*c.peer_name),
        tagged_addresses: c.tagged_addresses.clone().into(),
        meta: c.node_meta.clone().into(),
        locality: c.locality.clone().map(Box::new),
        create_index: 0,
        modify_index: 0,
    }
}
