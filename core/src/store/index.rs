//! The index table: what a blocking read compares its `index` with.
//!
//! Consul keeps one number per table, one per service name and one per node; a service or node that is
//! gone falls back on the index of the last such disappearance. An answer of 0 means that nothing of the
//! kind was ever written; the front shows it as 1.

use super::Store;
use super::key::fold;
use crate::Str;
use crate::map::Map;

/// Indexes by table, service and node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Indexes {
    /// Nodes, and every write of a service.
    pub(super) nodes: u64,
    /// Services, and every removal of a node check.
    pub(super) services: u64,
    /// Checks, and every removal of a service.
    pub(super) checks: u64,
    /// Keys.
    pub(super) kvs: u64,
    /// Tombstones.
    pub(super) tombstones: u64,
    /// When a service last lost its last instance.
    pub(super) service_extinction: u64,
    /// When a node was last removed.
    pub(super) node_extinction: u64,
    /// Per service name, lower case: its instances, their nodes and their checks.
    pub(super) by_service: Map<Str, u64>,
    /// Per node name, lower case: the node and its services, not its checks.
    pub(super) by_node: Map<Str, u64>,
    /// Entries of tables that do not exist here, from a snapshot, under Consul's names.
    pub(super) other: Map<Str, u64>,
}

impl Store {
    /// The largest index of any table.
    pub(super) fn newest_index(&self) -> u64 {
        let Indexes { nodes, services, checks, kvs, tombstones, .. } = self.index;
        let Indexes { service_extinction, node_extinction, by_service, by_node, other, .. } = &self.index;
        let tables = [nodes, services, checks, kvs, tombstones, *service_extinction, *node_extinction];
        let named = by_service.values().chain(by_node.values()).chain(other.values());
        tables.iter().chain(named).copied().max().unwrap_or(0)
    }

    /// What a snapshot without an index table would leave.
    #[cfg(feature = "mutants")]
    pub(crate) fn forget_indexes(&mut self) {
        self.index.kvs = self.kv.values().map(|entry| entry.modify_index).max().unwrap_or(0);
        self.index.tombstones = 0;
        self.tombstones = Map::default();
    }

    /// `X-Consul-Index` of a list of nodes.
    pub fn nodes_index(&self) -> u64 {
        self.index.nodes
    }

    /// `X-Consul-Index` of a list of service names.
    pub fn services_index(&self) -> u64 {
        self.index.services
    }

    /// `X-Consul-Index` of every list of checks: of a state, of a node, of a service.
    pub fn checks_index(&self) -> u64 {
        self.index.checks
    }

    /// `X-Consul-Index` of one service's instances with their health.
    ///
    /// For a service without instances: when the last service died out; if none ever did, the highest
    /// index of the catalog's tables.
    pub fn service_index(&self, name: &str) -> u64 {
        self.known_service_index(name).unwrap_or_else(|| self.catalog_index().max(self.index.checks))
    }

    /// `X-Consul-Index` of one service's instances without their health: as [`Store::service_index`], but
    /// checks do not move it while no service has ever died out.
    pub fn service_instances_index(&self, name: &str) -> u64 {
        self.known_service_index(name).unwrap_or_else(|| self.catalog_index())
    }

    fn known_service_index(&self, name: &str) -> Option<u64> {
        let extinction = self.index.service_extinction;
        let own = self.index.by_service.get(&*fold(name)).copied();
        own.or((extinction != 0).then_some(extinction))
    }

    /// The highest index of nodes and services.
    fn catalog_index(&self) -> u64 {
        self.index.nodes.max(self.index.services)
    }

    /// `X-Consul-Index` of one node with its services (not of its checks: [`Store::checks_index`]).
    /// For an unknown node: when a node was last removed.
    pub fn node_index(&self, node: &str) -> u64 {
        self.index.by_node.get(&*fold(node)).copied().unwrap_or(self.index.node_extinction)
    }

    /// The index of the whole key table, deletions included.
    pub fn kv_index(&self) -> u64 {
        self.index.kvs.max(self.index.tombstones)
    }

    /// When keys were deleted last, if they left a tombstone.
    pub fn tombstones_index(&self) -> u64 {
        self.index.tombstones
    }

    /// `X-Consul-Index` of one key: its `ModifyIndex`; the table's when it does not exist.
    pub fn kv_key_index(&self, key: &str) -> u64 {
        self.kv(key).map_or_else(|| self.kv_index(), |entry| entry.modify_index)
    }

    /// `X-Consul-Index` of everything under a prefix: the latest write or deletion there; the table's
    /// when there never was one, when its tombstones have been reaped, or for the empty prefix.
    ///
    /// May fall when tombstones are reaped, as Consul's does.
    pub fn kv_prefix_index(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.kv_index();
        }
        let written = self.kv_prefix(prefix).map(|e| e.modify_index).max().unwrap_or(0);
        let deleted = self
            .tombstones
            .range_from(prefix)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, index)| *index)
            .max()
            .unwrap_or(0);
        match written.max(deleted) {
            0 => self.kv_index(),
            index => index,
        }
    }
}
