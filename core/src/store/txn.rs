//! Transactions: every operation runs in order on the state the ones before it left; one error undoes all.

use super::Store;
use super::apply::NO_VALUE;
use super::key::fold_str;
use super::result::{TxnError, TxnItem, TxnResult};
use super::services::vet_service;
use crate::command::{CatalogVerb, KvCommand, Txn, TxnOp};
use crate::types::{HealthCheck, KvEntry, KvOp, Node, NodeService};
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const MISSING_NODE: &str = "Missing node registration";
const MISSING_SERVICE: &str = "Missing service registration";

impl Store {
    /// What a transaction of reads answers; writes in it are carried out on a copy and forgotten.
    pub fn read_txn(&self, txn: &Txn) -> TxnResult {
        self.clone().apply_txn(self.applied, txn, &mut ChangeSet::default())
    }

    pub(super) fn apply_txn(&mut self, index: u64, txn: &Txn, changes: &mut ChangeSet) -> TxnResult {
        let before = self.clone();
        let mut touched = ChangeSet { all: changes.all, ..ChangeSet::default() };
        let mut answer = TxnResult::default();
        for (op_index, op) in txn.ops.iter().enumerate() {
            match self.apply_op(index, op, &mut touched) {
                Ok(items) => answer.results.extend(items),
                Err(what) => answer.errors.push(TxnError { op_index, what }),
            }
        }
        if answer.errors.is_empty() {
            changes.merge(&touched);
        } else {
            *self = before;
            answer.results.clear();
        }
        answer
    }

    fn apply_op(&mut self, index: u64, op: &TxnOp, changes: &mut ChangeSet) -> Result<Vec<TxnItem>, String> {
        match op {
            TxnOp::Kv(c) => self.apply_kv_op(index, c, changes),
            TxnOp::Node(verb, node) => {
                Ok(self.apply_node_op(index, *verb, node, changes)?.map(TxnItem::Node).into_iter().collect())
            }
            TxnOp::Service(verb, node, service) => Ok(self
                .apply_service_op(index, *verb, node, service, changes)?
                .map(TxnItem::Service)
                .into_iter()
                .collect()),
            TxnOp::Check(verb, check) => Ok(self
                .apply_check_op(index, *verb, check, changes)?
                .map(TxnItem::Check)
                .into_iter()
                .collect()),
        }
    }

    fn apply_kv_op(
        &mut self,
        index: u64,
        c: &KvCommand,
        changes: &mut ChangeSet,
    ) -> Result<Vec<TxnItem>, String> {
        let entry = &c.dir_ent;
        let key = &entry.key;
        if key.is_empty() && c.op != KvOp::DeleteTree {
            return Err("Must provide key".into());
        }
        let written = match c.op {
            KvOp::Set => self.kv_set(index, entry, changes),
            KvOp::Cas => self
                .kv_cas(index, entry, changes)
                .ok_or_else(|| format!("failed to set key {key:?}, index is stale"))?,
            KvOp::Lock => self
                .kv_lock(index, entry, changes)?
                .ok_or_else(|| format!("failed to lock key {key:?}, lock is already held"))?,
            KvOp::Unlock => self.kv_unlock(index, entry, changes)?.ok_or_else(|| {
                format!("failed to unlock key {key:?}, lock isn't held, or is held by another session")
            })?,
            KvOp::Delete => {
                self.kv_delete(index, key, changes);
                return Ok(vec![]);
            }
            KvOp::DeleteTree => {
                self.kv_delete_tree(index, key, changes);
                return Ok(vec![]);
            }
            KvOp::DeleteCas if self.kv_delete_cas(index, key, entry.modify_index, changes) => {
                return Ok(vec![]);
            }
            KvOp::DeleteCas => return Err(format!("failed to delete key {key:?}, index is stale")),
            KvOp::Get => {
                let entry = self.kv(key).ok_or_else(|| format!("key {key:?} doesn't exist"))?;
                return Ok(vec![TxnItem::Kv(entry.clone())]);
            }
            KvOp::GetOrEmpty => {
                let absent = || Arc::new(KvEntry { key: key.clone(), ..KvEntry::default() });
                return Ok(vec![TxnItem::Kv(self.kv(key).cloned().unwrap_or_else(absent))]);
            }
            KvOp::GetTree => return Ok(self.kv_prefix(key).cloned().map(TxnItem::Kv).collect()),
            KvOp::CheckNotExists if self.kv(key).is_none() => return Ok(vec![]),
            KvOp::CheckNotExists => return Err(format!("key {key:?} exists")),
            KvOp::CheckIndex => self.kv_check_index(entry)?,
            KvOp::CheckSession => self.kv_check_session(entry)?,
        };
        Ok(vec![TxnItem::Kv(without_value(&written))])
    }

    fn kv_check_index(&self, wanted: &KvEntry) -> Result<Arc<KvEntry>, String> {
        let key = &wanted.key;
        let entry =
            self.kv(key).ok_or_else(|| format!("failed to check index, key {key:?} doesn't exist"))?;
        if entry.modify_index != wanted.modify_index {
            return Err(format!(
                "failed index check for key {key:?}, current modify index {} != {}",
                entry.modify_index, wanted.modify_index
            ));
        }
        Ok(entry.clone())
    }

    fn kv_check_session(&self, wanted: &KvEntry) -> Result<Arc<KvEntry>, String> {
        let key = &wanted.key;
        let entry =
            self.kv(key).ok_or_else(|| format!("failed to check session, key {key:?} doesn't exist"))?;
        if entry.session != wanted.session {
            return Err(format!(
                "failed session check for key {key:?}, current session {:?} != {:?}",
                entry.session, wanted.session
            ));
        }
        Ok(entry.clone())
    }

    fn apply_node_op(
        &mut self,
        index: u64,
        verb: CatalogVerb,
        node: &Node,
        changes: &mut ChangeSet,
    ) -> Result<Option<Arc<Node>>, String> {
        let name = &node.node;
        let found = self.node_named_or_with_id(node).cloned();
        let current = found.as_ref().map(|n| n.modify_index);
        match verb {
            CatalogVerb::Get => match found {
                Some(found) => Ok(Some(found)),
                None => Err(format!("node {name:?} doesn't exist")),
            },
            CatalogVerb::Set | CatalogVerb::Cas => {
                if verb == CatalogVerb::Cas && current.unwrap_or(0) != node.modify_index {
                    return Err(format!("failed to set node {name:?}, index is stale"));
                }
                if name.is_empty() {
                    return Err("Must provide node".into());
                }
                self.vet_node(node)?;
                self.put_node(index, node.clone(), changes);
                Ok(self.node(name).cloned())
            }
            CatalogVerb::Delete | CatalogVerb::DeleteCas => {
                if verb == CatalogVerb::DeleteCas && current != Some(node.modify_index) {
                    return Err(format!("failed to delete node {name:?}, index is stale"));
                }
                if let Some(found) = found {
                    self.remove_node(index, &fold_str(&found.node), changes);
                }
                Ok(None)
            }
        }
    }

    fn apply_service_op(
        &mut self,
        index: u64,
        verb: CatalogVerb,
        node: &str,
        service: &NodeService,
        changes: &mut ChangeSet,
    ) -> Result<Option<Arc<NodeService>>, String> {
        let id = &service.id;
        let found = self.service(node, id).cloned();
        let current = found.as_ref().map(|s| s.modify_index);
        match verb {
            CatalogVerb::Get => match found {
                Some(found) => Ok(Some(found)),
                None => Err(format!("service {id:?} on node {node:?} doesn't exist")),
            },
            CatalogVerb::Set | CatalogVerb::Cas => {
                if verb == CatalogVerb::Cas && current.unwrap_or(0) != service.modify_index {
                    return Err(format!("failed to set service {id:?} on node {node:?}, index is stale"));
                }
                let name = fold_str(&self.node(node).ok_or(MISSING_NODE)?.node);
                vet_service(node, service)?;
                self.put_service(index, &name, service.clone(), changes);
                Ok(self.service(node, id).cloned())
            }
            CatalogVerb::Delete | CatalogVerb::DeleteCas => {
                if verb == CatalogVerb::DeleteCas && current != Some(service.modify_index) {
                    return Err(format!("failed to delete service {id:?} on node {node:?}, index is stale"));
                }
                self.remove_service(index, &node.to_lowercase(), &id.to_lowercase(), changes);
                Ok(None)
            }
        }
    }

    fn apply_check_op(
        &mut self,
        index: u64,
        verb: CatalogVerb,
        check: &HealthCheck,
        changes: &mut ChangeSet,
    ) -> Result<Option<Arc<HealthCheck>>, String> {
        let (id, node) = (&check.check_id, &check.node);
        if id.is_empty() || node.is_empty() {
            return Err(format!("{}: {NO_VALUE}", lookup(verb)));
        }
        let found = self.check(node, id).cloned();
        let current = found.as_ref().map(|c| c.modify_index);
        match verb {
            CatalogVerb::Get => match found {
                Some(found) => Ok(Some(found)),
                None => Err(format!("check {id:?} on node {node:?} doesn't exist")),
            },
            CatalogVerb::Set | CatalogVerb::Cas => {
                if verb == CatalogVerb::Cas && current.unwrap_or(0) != check.modify_index {
                    return Err(format!("failed to set check {id:?} on node {node:?}, index is stale"));
                }
                let name = fold_str(&self.node(node).ok_or(MISSING_NODE)?.node);
                if !check.service_id.is_empty() {
                    self.service(node, &check.service_id).ok_or(MISSING_SERVICE)?;
                }
                self.put_check(index, &name, check.clone(), changes);
                Ok(self.check(node, id).cloned())
            }
            CatalogVerb::Delete | CatalogVerb::DeleteCas => {
                if verb == CatalogVerb::DeleteCas && current != Some(check.modify_index) {
                    return Err(format!("failed to delete check {id:?} on node {node:?}, index is stale"));
                }
                self.remove_check(index, &node.to_lowercase(), &id.to_lowercase(), changes);
                Ok(None)
            }
        }
    }

    /// An operation names its node by ID if it gives one, else by name.
    fn node_named_or_with_id(&self, node: &Node) -> Option<&Arc<Node>> {
        if node.id.is_empty() { self.node(&node.node) } else { self.node_by_id(&node.id) }
    }
}

fn without_value(entry: &Arc<KvEntry>) -> Arc<KvEntry> {
    if entry.value.is_empty() {
        return entry.clone();
    }
    Arc::new(entry.with_value(bytes::Bytes::new()))
}

/// What Consul was about when it found that a check has no ID or no node.
fn lookup(verb: CatalogVerb) -> &'static str {
    match verb {
        CatalogVerb::Get | CatalogVerb::Cas => "failed check lookup",
        CatalogVerb::Set => "failed health check lookup",
        CatalogVerb::Delete => "check lookup failed",
        CatalogVerb::DeleteCas => "check lookup failed: failed check lookup",
    }
}
