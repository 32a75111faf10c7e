//! What calls answer. Every answer to a read also holds the fields of [`QueryMeta`]:
//! read it from the same bytes.

use crate::Str;
use crate::types::{
    CheckServiceNode, HealthCheck, KvEntry, Locality, Node, NodeCoordinate, NodeService, Pairs,
    PreparedQuery, QueryDns, QueryFound, ServiceAddress, Session, Tags, Weights,
};
use crate::wire::tree::Tree;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How an answer to a read came about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct QueryMeta {
    /// What to block on next.
    pub index: u64,
    /// How long ago the server heard of its leader, in nanoseconds.
    pub last_contact: i64,
    /// Whether it knows one.
    pub known_leader: bool,
}

/// `Catalog.ListNodes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Nodes {
    pub nodes: Vec<Arc<Node>>,
}

/// `Catalog.ListServices`: names with their tags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Services {
    pub services: BTreeMap<Str, Vec<Str>>,
}

/// `Catalog.ServiceNodes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct ServiceNodes {
    pub service_nodes: Vec<ServiceNode>,
}

/// `Catalog.NodeServiceList`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct NodeServiceList {
    pub node_services: NodeAndList,
}

/// A node with its services in a list; no node if there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct NodeAndList {
    pub node: Option<Arc<Node>>,
    pub services: Vec<Arc<NodeService>>,
}

/// `Catalog.NodeServices`: nothing if there is no such node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct NodeServices {
    pub node_services: Option<NodeAndServices>,
}

/// A node with its services by ID.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct NodeAndServices {
    pub node: Option<Arc<Node>>,
    pub services: BTreeMap<Str, Arc<NodeService>>,
}

/// `Health.NodeChecks`, `Health.ServiceChecks`, `Health.ChecksInState`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct HealthChecks {
    pub health_checks: Vec<Arc<HealthCheck>>,
}

/// `Health.ServiceNodes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct CheckServiceNodes {
    pub nodes: Vec<HealthNode>,
}

/// An instance with its node and all checks of both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct HealthNode {
    pub node: Arc<Node>,
    pub service: Arc<NodeService>,
    pub checks: Vec<Arc<HealthCheck>>,
}

/// `PreparedQuery.Get` and `PreparedQuery.List`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Queries {
    pub queries: Vec<Arc<PreparedQuery>>,
}

/// `PreparedQuery.Execute` and `PreparedQuery.ExecuteRemote`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Executed {
    pub service: Str,
    pub nodes: Vec<HealthNode>,
    #[serde(rename = "DNS")]
    pub dns: QueryDns,
    pub datacenter: Str,
    pub peer_name: Str,
    pub failovers: i64,
}

/// `PreparedQuery.Explain`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Explained {
    pub query: PreparedQuery,
}

impl From<Executed> for QueryFound {
    fn from(told: Executed) -> QueryFound {
        let instance = |HealthNode { node, mut service, checks }| {
            service.forget_blank_mesh();
            Arc::new(CheckServiceNode { node, service, checks })
        };
        QueryFound {
            service: told.service,
            nodes: told.nodes.into_iter().map(instance).collect(),
            dns: told.dns,
            datacenter: told.datacenter,
            peer_name: told.peer_name,
            failovers: told.failovers,
        }
    }
}

/// `KVS.Get` and `KVS.List`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct DirEntries {
    pub entries: Vec<Arc<KvEntry>>,
}

/// `KVS.ListKeys`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct KeyList {
    pub keys: Vec<Str>,
}

/// `Session.Get`, `Session.List`, `Session.NodeSessions` and `Session.Renew`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Sessions {
    pub sessions: Vec<Session>,
}

/// `Coordinate.ListNodes` and `Coordinate.Node`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Coordinates {
    pub coordinates: Vec<NodeCoordinate>,
}

/// One of `Coordinate.ListDatacenters`: the servers of a datacenter, as the WAN pool knows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct DatacenterMap {
    pub datacenter: Str,
    #[serde(rename = "AreaID")]
    pub area_id: Str,
    pub coordinates: Vec<NodeCoordinate>,
}

/// `Txn.Apply` and `Txn.Read`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct TxnResponse {
    pub results: Vec<TxnResult>,
    pub errors: Vec<TxnError>,
}

/// One result of a transaction: one of the four.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct TxnResult {
    #[serde(rename = "KV")]
    pub kv: Option<Arc<KvEntry>>,
    pub node: Option<Arc<Node>>,
    pub service: Option<Arc<NodeService>>,
    pub check: Option<Arc<HealthCheck>>,
}

/// Why an operation failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct TxnError {
    pub op_index: u64,
    pub what: String,
}

/// An instance with what its node adds, in one record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct ServiceNode {
    #[serde(rename = "ID")]
    pub id: Str,
    pub node: Str,
    pub address: Str,
    pub datacenter: Str,
    pub tagged_addresses: Pairs,
    pub node_meta: Pairs,
    pub service_kind: Str,
    #[serde(rename = "ServiceID")]
    pub service_id: Str,
    pub service_name: Str,
    pub service_tags: Tags,
    pub service_address: Str,
    pub service_tagged_addresses: Pairs<ServiceAddress>,
    pub service_weights: Weights,
    pub service_meta: Pairs,
    pub service_port: i64,
    pub service_socket_path: Str,
    pub service_enable_tag_override: bool,
    pub service_proxy: Option<Arc<Tree>>,
    pub service_connect: Option<Arc<Tree>>,
    pub service_locality: Option<Box<Locality>>,
    pub peer_name: Str,
    pub create_index: u64,
    pub modify_index: u64,
}

impl ServiceNode {
    /// The record of an instance and its node.
    pub fn of(node: &Node, service: &NodeService) -> ServiceNode {
        ServiceNode {
            id: node.id.clone(),
            node: node.node.clone(),
            address: node.address.clone(),
            datacenter: node.datacenter.clone(),
            tagged_addresses: node.tagged_addresses.clone(),
            node_meta: node.meta.clone(),
            service_kind: service.kind.clone(),
            service_id: service.id.clone(),
            service_name: service.service.clone(),
            service_tags: service.tags.clone(),
            service_address: service.address.clone(),
            service_tagged_addresses: service.tagged_addresses.clone(),
            service_weights: service.weights,
            service_meta: service.meta.clone(),
            service_port: service.port,
            service_socket_path: service.socket_path.clone(),
            service_enable_tag_override: service.enable_tag_override,
            service_proxy: service.proxy.clone(),
            service_connect: service.connect.clone(),
            service_locality: service.locality.clone(),
            peer_name: service.peer_name.clone(),
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }

    /// The node, without its indexes, and the instance.
    pub fn split(self) -> (Node, NodeService) {
        let node = Node {
            id: self.id,
            node: self.node,
            address: self.address,
            datacenter: self.datacenter,
            peer_name: self.peer_name.clone(),
            tagged_addresses: self.tagged_addresses,
            meta: self.node_meta,
            ..Node::default()
        };
        let service = NodeService {
            kind: self.service_kind,
            id: self.service_id,
            service: self.service_name,
            tags: self.service_tags,
            address: self.service_address,
            tagged_addresses: self.service_tagged_addresses,
            meta: self.service_meta,
            port: self.service_port,
            socket_path: self.service_socket_path,
            weights: self.service_weights,
            enable_tag_override: self.service_enable_tag_override,
            locality: self.service_locality,
            proxy: self.service_proxy,
            connect: self.service_connect,
            locally_registered_as_sidecar: false,
            peer_name: self.peer_name,
            create_index: self.create_index,
            modify_index: self.modify_index,
        };
        (node, service)
    }
}
