//! From a store to bytes.

use super::{
    AUTOPILOT, CHUNKING, COORDINATES, Carried, Chunking, Header, INDEX, IndexRecord, KVS, METADATA, Metadata,
    PREPARED_QUERY, REGISTER, RESTORES, Restores, SESSION, TOMBSTONE, rank,
};
use crate::Str;
use crate::store::Store;
use crate::types::{HealthCheck, KvEntry, Locality, Node, NodeService, Pairs};
use crate::wire::msgpack;
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Serialize;

/// A registration as a snapshot holds it: a node, or a node and one service, or a node and one check.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RegisterRecord<'a> {
    datacenter: &'a Str,
    #[serde(rename = "ID")]
    id: &'a Str,
    node: &'a Str,
    address: &'a Str,
    tagged_addresses: &'a Pairs,
    node_meta: &'a Pairs,
    service: Option<&'a NodeService>,
    check: Option<&'a HealthCheck>,
    checks: Option<()>,
    locality: Option<&'a Locality>,
    skip_node_update: bool,
    peer_name: &'a Str,
    token: &'a str,
    create_index: u64,
    modify_index: u64,
}

impl Store {
    /// The whole store. Equal stores give equal bytes.
    pub fn encode_snapshot(&self) -> Bytes {
        let mut out = self.encode();
        if self.ahead > 0 || self.unfinished.is_some() {
            put(&mut out, RESTORES, &Restores { ahead: self.ahead, unfinished: self.unfinished.clone() });
        }
        Bytes::from(out)
    }

    /// The same for an archive: without what has come of another one, and with what Consul's servers look for.
    pub fn encode_archive(&self) -> Vec<u8> {
        let mut out = self.encode();
        let carries = |kind| self.carried.iter().any(|record| record.kind == kind);
        if !carries(METADATA) {
            // Else a leader of Consul would look for intentions of an older form.
            let (key, value, index) = ("intention-format", "config-entry", self.applied);
            put(&mut out, METADATA, &Metadata { key, value, create_index: index, modify_index: index });
        }
        if !carries(CHUNKING) {
            put(&mut out, CHUNKING, &Chunking { chunk_map: BTreeMap::new() });
        }
        out
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096 + 160 * self.kv.len() + 700 * self.checks.len());
        msgpack::append(&mut out, &Header { last_index: self.applied });
        let mut carried = self.carried.iter().peekable();
        for kind in [REGISTER, COORDINATES, SESSION, KVS, TOMBSTONE, PREPARED_QUERY, AUTOPILOT, INDEX] {
            while let Some(record) = carried.next_if(|record| rank(record.kind) < rank(kind)) {
                put_carried(&mut out, record);
            }
            match kind {
                REGISTER => self.put_catalog(&mut out),
                // One to a list, as Consul writes them.
                COORDINATES => self.coordinates.values().for_each(|at| put(&mut out, COORDINATES, &[&**at])),
                SESSION => self.sessions().for_each(|session| put(&mut out, SESSION, &**session)),
                KVS => self.kv.values().for_each(|entry| put(&mut out, KVS, &**entry)),
                TOMBSTONE => self.put_tombstones(&mut out),
                PREPARED_QUERY => self.queries().for_each(|query| put(&mut out, PREPARED_QUERY, &**query)),
                AUTOPILOT => self.autopilot.iter().for_each(|config| put(&mut out, AUTOPILOT, &**config)),
                _ => self.put_indexes(&mut out),
            }
        }
        carried.for_each(|record| put_carried(&mut out, record));
        out
    }

    fn put_catalog(&self, out: &mut Vec<u8>) {
        for node in self.nodes.values() {
            put(out, REGISTER, &record(node));
            for service in self.node_services(&node.node) {
                put(out, REGISTER, &RegisterRecord { service: Some(service), ..record(node) });
            }
            for check in self.node_checks(&node.node) {
                put(out, REGISTER, &RegisterRecord { check: Some(check), ..record(node) });
            }
        }
    }

    fn put_tombstones(&self, out: &mut Vec<u8>) {
        for (key, index) in &self.tombstones {
            let stone = KvEntry { key: key.clone(), modify_index: *index, ..KvEntry::default() };
            put(out, TOMBSTONE, &stone);
        }
    }

    /// The catalog's tables appear twice, as Consul writes them: for local records alone and in all.
    fn put_indexes(&self, out: &mut Vec<u8>) {
        let index = &self.index;
        let mut entries: BTreeMap<Cow<'_, str>, u64> = BTreeMap::new();
        for (key, value) in [
            ("nodes", index.nodes),
            ("services", index.services),
            ("checks", index.checks),
            ("kvs", index.kvs),
            ("tombstones", index.tombstones),
            ("peer.~:nodes", index.nodes),
            ("peer.~:services", index.services),
            ("peer.~:checks", index.checks),
            ("peer.~:service_last_extinction", index.service_extinction),
            ("peer.~:node_last_extinction", index.node_extinction),
        ] {
            entries.insert(key.into(), value);
        }
        for (name, value) in &index.by_service {
            entries.insert(format!("peer.~:service.{name}").into(), *value);
        }
        for (name, value) in &index.by_node {
            entries.insert(format!("peer.~:node.{name}").into(), *value);
        }
        for (key, value) in &index.other {
            entries.insert((&**key).into(), *value);
        }
        for (key, value) in entries.into_iter().filter(|(_, value)| *value > 0) {
            put(out, INDEX, &IndexRecord { key, value });
        }
    }
}

fn put_carried(out: &mut Vec<u8>, record: &Carried) {
    out.push(record.kind);
    out.extend_from_slice(&record.value);
}

fn put<T: Serialize>(out: &mut Vec<u8>, kind: u8, value: &T) {
    out.push(kind);
    msgpack::append(out, value);
}

fn record(node: &Node) -> RegisterRecord<'_> {
    RegisterRecord {
        datacenter: &node.datacenter,
        id: &node.id,
        node: &node.node,
        address: &node.address,
        tagged_addresses: &node.tagged_addresses,
        node_meta: &node.meta,
        service: None,
        check: None,
        checks: None,
        locality: node.locality.as_deref(),
        skip_node_update: false,
        peer_name: &node.peer_name,
        token: "",
        create_index: node.create_index,
        modify_index: node.modify_index,
    }
}
