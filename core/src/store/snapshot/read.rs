//! From bytes to a store.

use super::{
    AUTOPILOT, COORDINATES, Carried, Header, INDEX, IndexRecord, KVS, PREPARED_QUERY, REGISTER, RESTORES,
    Restores, SESSION, SnapshotError, TOMBSTONE, rank,
};
use crate::Str;
use crate::command::Register;
use crate::map::Map;
use crate::store::Store;
use crate::store::index::Indexes;
use crate::store::key::{Key, Parts, fold_str};
use crate::store::queries::Queries;
use crate::store::sessions::Sessions;
use crate::store::words::{share_check, share_node, share_service};
use crate::types::{
    AutopilotConfig, CheckServiceNode, HealthCheck, KvEntry, Node, NodeCoordinate, NodeService, Session,
};
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Deserialize;

/// How many services before a check are searched for the one that it is of.
const LOOK_BACK: usize = 8;

/// Records as they come, before tables are built from them.
#[derive(Default)]
struct Records {
    nodes: Vec<(Str, Arc<Node>)>,
    services: Vec<(Key<2>, Arc<NodeService>)>,
    checks: Vec<(Key<2>, Arc<HealthCheck>)>,
    kv: Vec<(Str, Arc<KvEntry>)>,
    sessions: Vec<Session>,
    tombstones: Vec<(Str, u64)>,
    coordinates: Vec<NodeCoordinate>,
    queries: Queries,
    autopilot: Option<AutopilotConfig>,
    indexes: Vec<(String, u64)>,
    carried: Vec<Carried>,
    restores: Restores,
    /// They come from an archive, which Consul may have written.
    archived: bool,
    /// The first instance of each service, by its name as spelt: the others share what they can with it.
    instances: BTreeMap<Str, Arc<NodeService>>,
    /// The first check of each service and name.
    models: BTreeMap<(Str, Str), Arc<HealthCheck>>,
}

impl Store {
    /// Reads what [`Store::encode_snapshot`] wrote, or the `state.bin` of a Consul snapshot.
    ///
    /// Never panics. Needs memory in proportion to the bytes; the caller bounds those.
    pub fn decode_snapshot(bytes: &[u8]) -> Result<Store, SnapshotError> {
        Store::decode(bytes, Records::default())
    }

    /// The same of an archive: mesh settings that say nothing, which Consul writes with every instance, are forgotten.
    pub(in crate::store) fn decode_archive(bytes: &[u8]) -> Result<Store, SnapshotError> {
        Store::decode(bytes, Records { archived: true, ..Records::default() })
    }

    fn decode(bytes: &[u8], mut records: Records) -> Result<Store, SnapshotError> {
        let (header, mut rest): (Header, &[u8]) =
            msgpack::from_slice_prefix(bytes).map_err(|_| SnapshotError::Header)?;
        while let Some((kind, body)) = rest.split_first() {
            rest = records
                .read(*kind, body)
                .map_err(|why| SnapshotError::Record { at: bytes.len() - rest.len(), why })?;
        }
        records.build(header.last_index)
    }

    /// How many records of each type are carried without being understood, by type byte.
    pub fn carried_records(&self) -> alloc::collections::BTreeMap<u8, usize> {
        let mut counts = alloc::collections::BTreeMap::new();
        for record in self.carried.iter() {
            *counts.entry(record.kind).or_default() += 1;
        }
        counts
    }
}

fn value<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<(T, &'a [u8]), String> {
    msgpack::from_slice_prefix(body).map_err(|e| e.to_string())
}

impl Records {
    /// Reads one record's value and gives what follows it.
    fn read<'a>(&mut self, kind: u8, body: &'a [u8]) -> Result<&'a [u8], String> {
        match kind {
            REGISTER => {
                let (record, rest) = value(body)?;
                self.register(record)?;
                Ok(rest)
            }
            KVS => {
                let (entry, rest): (KvEntry, _) = value(body)?;
                self.kv.push((entry.key.clone(), Arc::new(entry)));
                Ok(rest)
            }
            SESSION => {
                let (session, rest) = value(body)?;
                self.sessions.push(session);
                Ok(rest)
            }
            TOMBSTONE => {
                let (stone, rest): (KvEntry, _) = value(body)?;
                self.tombstones.push((stone.key, stone.modify_index));
                Ok(rest)
            }
            COORDINATES => {
                let (places, rest): (Vec<NodeCoordinate>, _) = value(body)?;
                // What an old agent once sent may be nonsense.
                self.coordinates.extend(places.into_iter().filter(|at| at.coord.is_valid()));
                Ok(rest)
            }
            PREPARED_QUERY => {
                let (query, rest) = value(body)?;
                self.queries.restore(query)?;
                Ok(rest)
            }
            AUTOPILOT => {
                let (config, rest) = value(body)?;
                self.autopilot = Some(config);
                Ok(rest)
            }
            INDEX => {
                let (entry, rest): (IndexRecord<'_>, _) = value(body)?;
                self.indexes.push((entry.key.into_owned(), entry.value));
                Ok(rest)
            }
            RESTORES => {
                let (restores, rest) = value(body)?;
                self.restores = restores;
                Ok(rest)
            }
            128.. => Err(format!("type {kind} is not a record")),
            _ => {
                let rest = msgpack::skip(body).map_err(|e| e.to_string())?;
                let (value, _) = body.split_at(body.len() - rest.len());
                self.carried.push(Carried { kind, value: Bytes::copy_from_slice(value) });
                Ok(rest)
            }
        }
    }

    /// A registration of nothing but a node gives the node; else only what it adds to it counts.
    fn register(&mut self, record: Register) -> Result<(), String> {
        if record.node.is_empty() {
            return Err("a registration without a node".into());
        }
        let name = match self.nodes.last() {
            Some((name, last)) if *last.node == *record.node => name.clone(),
            _ => Str::from(record.node.to_lowercase()),
        };
        let bare = record.service.is_none() && record.check.is_none() && record.checks.is_empty();
        if let Some(mut service) = record.service {
            let like = self.instances.get(&service.service);
            share_service(&mut service, like.map(|like| &**like));
            let known = like.is_some();
            let mut service = Arc::new(service);
            if self.archived {
                service.forget_blank_mesh();
            }
            if !known {
                self.instances.insert(service.service.clone(), service.clone());
            }
            self.services.push((Key([name.clone(), fold_str(&service.id)]), service));
        }
        for mut check in record.check.into_iter().chain(record.checks) {
            let like = self.models.get(&(check.service_name.clone(), check.name.clone()));
            if let Some((_, last)) = self.nodes.last() {
                // The check of an instance follows it closely.
                let service = self.services.iter().rev().map(|(_, s)| s).take(LOOK_BACK);
                let service = service.into_iter().find(|s| s.id == check.service_id);
                share_check(&mut check, last, service.map(|s| &**s), like.map(|like| &**like));
            }
            let known = like.is_some();
            let check = Arc::new(check);
            if !known {
                self.models.insert((check.service_name.clone(), check.name.clone()), check.clone());
            }
            self.checks.push((Key([name.clone(), fold_str(&check.check_id)]), check));
        }
        if bare {
            let mut node = Node {
                id: Str::from(record.id),
                node: if *record.node == *name { name.clone() } else { Str::from(record.node) },
                address: Str::from(record.address),
                datacenter: Str::from(record.datacenter),
                peer_name: Str::from(record.peer_name),
                tagged_addresses: record.tagged_addresses.into(),
                meta: record.node_meta.into(),
                locality: record.locality.map(Box::new),
                create_index: record.create_index,
                modify_index: record.modify_index,
            };
            if let Some((_, last)) = self.nodes.last() {
                share_node(&mut node, last);
            }
            self.nodes.push((name, Arc::new(node)));
        }
        Ok(())
    }

    fn build(mut self, applied: u64) -> Result<Store, SnapshotError> {
        self.carried.sort_by_key(|record| rank(record.kind));
        let mut store = Store {
            applied,
            nodes: Map::from_sorted(self.nodes),
            services: Map::from_sorted(self.services),
            checks: Map::from_sorted(self.checks),
            kv: Map::from_sorted(self.kv),
            tombstones: Map::from_sorted(self.tombstones),
            coordinates: (self.coordinates.into_iter())
                .map(|at| (Key([fold_str(&at.node), fold_str(&at.segment)]), Arc::new(at)))
                .collect(),
            queries: self.queries,
            autopilot: self.autopilot.map(Arc::new),
            carried: Arc::new(self.carried),
            ahead: self.restores.ahead,
            unfinished: self.restores.unfinished,
            ..Store::default()
        };
        // Of what the tables hold: an archive may have a key twice.
        store.sessions = Sessions::of(self.sessions, store.kv.values().cloned());
        if store.ahead > applied {
            return Err(SnapshotError::Header);
        }
        store.vet_references()?;
        store.node_ids = store
            .nodes
            .iter()
            .filter(|(_, node)| !node.id.is_empty())
            .map(|(name, node)| (fold_str(&node.id), name.clone()))
            .collect();
        store.list_all();
        store.index = store.read_indexes(&self.indexes);
        Ok(store)
    }
}

/// The checks of one node and service, by the names of both.
type Group = ([Str; 2], Arc<[Arc<HealthCheck>]>);

impl Store {
    /// Builds what reads of services see, in one pass.
    pub(in crate::store) fn list_all(&mut self) {
        let mut checks: Vec<_> =
            self.checks.iter().map(|(k, c)| ([k.0[0].clone(), fold_str(&c.service_id)], c)).collect();
        checks.sort_by(|a, b| a.0.cmp(&b.0)); // stable: still ordered by check ID within each
        let groups: Vec<Group> = checks
            .chunk_by(|a, b| a.0 == b.0)
            .filter_map(|group| {
                Some((group.first()?.0.clone(), group.iter().map(|(_, c)| (*c).clone()).collect()))
            })
            .collect();
        let of = |node: &Str, service: &str| {
            let at = groups.binary_search_by(|(k, _)| (&*k[0], &*k[1]).cmp(&(node, service)));
            at.ok().and_then(|at| groups.get(at)).map_or(&[][..], |(_, checks)| checks)
        };
        let entries = self.services.iter().filter_map(|(Key([node, id]), service)| {
            // An ID that is empty, as only a damaged log can hold, must not count the node's checks twice.
            let own = if id.is_empty() { &[] } else { of(node, id) };
            let checks = of(node, "").iter().chain(own).cloned().collect();
            let entry =
                CheckServiceNode { node: self.nodes.get(node)?.clone(), service: service.clone(), checks };
            Some((Key([fold_str(&service.service), node.clone(), id.clone()]), Arc::new(entry)))
        });
        self.services_by_name = entries.collect();
        let of_nodes = groups.iter().filter(|(key, _)| key[1].is_empty());
        self.node_level = of_nodes.map(|([node, _], checks)| (node.clone(), checks.clone())).collect();
    }

    fn vet_references(&self) -> Result<(), SnapshotError> {
        for Key([node, id]) in self.services.keys() {
            if !self.nodes.contains_key(node) {
                return Err(SnapshotError::Dangling(format!("service {id:?} is on unknown node {node:?}")));
            }
        }
        for (Key([node, id]), check) in &self.checks {
            let service = fold_str(&check.service_id);
            let known = service.is_empty() || self.services.contains_key::<dyn Parts>(&[&**node, &*service]);
            if !known || !self.nodes.contains_key(node) {
                return Err(SnapshotError::Dangling(format!(
                    "check {id:?} is of unknown node {node:?} or service {service:?}"
                )));
            }
        }
        if self.nodes.values().filter(|n| !n.id.is_empty()).count() > self.count_ids() {
            return Err(SnapshotError::Dangling("two nodes have the same ID".into()));
        }
        Ok(())
    }

    fn count_ids(&self) -> usize {
        let mut ids: Vec<Str> =
            self.nodes.values().filter(|n| !n.id.is_empty()).map(|n| fold_str(&n.id)).collect();
        ids.sort();
        ids.dedup();
        ids.len()
    }

    /// Sorts the entries of the index table to where they belong, and raises what is missing or too low
    /// to the records' own indexes.
    fn read_indexes(&self, entries: &[(String, u64)]) -> Indexes {
        let mut index = Indexes::default();
        let mut by_service: Vec<(Str, u64)> =
            self.services_by_name.iter().map(|(k, s)| (k.0[0].clone(), s.service.modify_index)).collect();
        let mut by_node: Vec<(Str, u64)> =
            self.nodes.iter().map(|(name, node)| (name.clone(), node.modify_index)).collect();
        let mut other: Vec<(Str, u64)> =
            self.sessions().map(|session| (Str::from("sessions"), session.modify_index)).collect();
        for (key, value) in entries {
            let local = key.strip_prefix("peer.~:").unwrap_or(key);
            let table = match local {
                "nodes" => &mut index.nodes,
                "services" => &mut index.services,
                "checks" => &mut index.checks,
                "kvs" => &mut index.kvs,
                "tombstones" => &mut index.tombstones,
                "service_last_extinction" => &mut index.service_extinction,
                "node_last_extinction" => &mut index.node_extinction,
                _ => {
                    if let Some(name) = key.strip_prefix("peer.~:service.") {
                        let name = Str::from(name.to_lowercase());
                        if self.service_exists(&name) {
                            by_service.push((name, *value));
                        }
                    } else if let Some(name) = key.strip_prefix("peer.~:node.") {
                        let name = Str::from(name.to_lowercase());
                        if self.nodes.contains_key(&name) {
                            by_node.push((name, *value));
                        }
                    } else {
                        other.push((Str::from(&**key), *value));
                    }
                    continue;
                }
            };
            *table = (*table).max(*value);
        }
        let highest = |indexes: &mut dyn Iterator<Item = u64>| indexes.max().unwrap_or(0);
        index.nodes = index.nodes.max(highest(&mut self.nodes.values().map(|n| n.modify_index)));
        index.services = index.services.max(highest(&mut self.services.values().map(|s| s.modify_index)));
        index.checks = index.checks.max(highest(&mut self.checks.values().map(|c| c.modify_index)));
        index.kvs = index.kvs.max(highest(&mut self.kv.values().map(|e| e.modify_index)));
        index.tombstones = index.tombstones.max(highest(&mut self.tombstones.values().copied()));
        index.by_service = highest_each(by_service);
        index.by_node = highest_each(by_node);
        index.other = highest_each(other);
        self.queries.restore_index(&mut index.other);
        index
    }
}

/// Each name with its highest index.
fn highest_each(mut entries: Vec<(Str, u64)>) -> Map<Str, u64> {
    entries.sort();
    Map::from_sorted(entries)
}
