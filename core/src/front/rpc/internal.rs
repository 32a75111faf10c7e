//! `Internal`: whole nodes and services at once, for the user interface.

use super::super::blocking::{Answer, Body, Cx};
use super::super::errors::HttpError;
use super::result::{Both, Indexed, bytes, list};
use super::{Arguments, Read, missing};
use crate::Str;
use crate::filter::{Record, Subject};
use crate::types::{HealthCheck, Node, NodeService, Pairs};
use crate::watch::WatchKey;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;

/// A node with all that is on it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeInfo<'a> {
    #[serde(rename = "ID")]
    id: &'a Str,
    node: &'a Str,
    partition: &'a str,
    peer_name: &'a Str,
    address: &'a Str,
    tagged_addresses: &'a Pairs,
    meta: &'a Pairs,
    services: Option<Vec<&'a Arc<NodeService>>>,
    checks: Option<Vec<&'a Arc<HealthCheck>>>,
}

fn info<'a>(cx: &'a Cx<'_>, node: &'a Node) -> NodeInfo<'a> {
    let store = &cx.view.store;
    NodeInfo {
        id: &node.id,
        node: &node.node,
        partition: "",
        peer_name: &node.peer_name,
        address: &node.address,
        tagged_addresses: &node.tagged_addresses,
        meta: &node.meta,
        services: list(store.node_services(&node.node)),
        checks: list(store.node_checks(&node.node)),
    }
}

/// Nodes, beside those of other clusters, of which there are none.
fn dump<T: Serialize>(
    cx: &Cx<'_>,
    index: u64,
    imported: &'static str,
    name: &'static str,
    all: impl FnOnce() -> T,
) -> Answer {
    let body = match cx.wants(index) {
        true => {
            let fields = Both((imported, None::<()>), (name, all()));
            Body::Result(bytes(&Indexed { index, cx, fields }))
        }
        false => Body::Unwanted,
    };
    Answer { index, body }
}

fn catalog_index(cx: &Cx<'_>) -> u64 {
    let store = &cx.view.store;
    store.nodes_index().max(store.services_index()).max(store.checks_index())
}

fn watch_catalog(_: &Arguments) -> Vec<WatchKey> {
    vec![WatchKey::Nodes, WatchKey::Services, WatchKey::Checks]
}

/// `Internal.NodeInfo`.
pub(super) static NODE_INFO: Read = Read {
    answer: |cx, args| {
        if args.read.node.is_empty() {
            return Err(missing("Must provide node"));
        }
        let node = cx.view.store.node(&args.read.node);
        Ok(dump(cx, catalog_index(cx), "ImportedDump", "Dump", || list(node.iter().map(|n| info(cx, n)))))
    },
    watch: watch_catalog,
    filter: None,
};

/// `Internal.NodeDump`.
pub(super) static NODE_DUMP: Read = Read {
    answer: |cx, args| {
        let nodes = cx.view.store.nodes().filter(|n| args.wants_node(n) && cx.passes(Record::Node(n)));
        Ok(dump(cx, catalog_index(cx), "ImportedDump", "Dump", || list(nodes.map(|n| info(cx, n)))))
    },
    watch: watch_catalog,
    filter: Some(Subject::Node),
};

/// `Internal.ServiceDump`: every instance with its checks.
pub(super) static SERVICE_DUMP: Read = Read {
    answer: |cx, args| {
        if args.read.use_service_kind {
            return Err(HttpError::NotBuilt("a dump of the services of one kind".into()));
        }
        let entries = cx.view.store.all_health().filter(|entry| cx.passes(Record::Entry(entry)));
        Ok(dump(cx, catalog_index(cx), "ImportedNodes", "Nodes", || list(entries)))
    },
    watch: watch_catalog,
    filter: Some(Subject::Entry),
};
