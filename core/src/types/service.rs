//! Service instances as the catalog holds them.

use super::{Locality, Pairs, Tags};
use crate::Str;
use crate::wire::tree::Tree;
use alloc::boxed::Box;
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// A service instance on a node (Consul's `NodeService`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NodeService {
    /// `""`, `connect-proxy`, `mesh-gateway`, `terminating-gateway`, `ingress-gateway`, `api-gateway`.
    pub kind: Str,
    /// Unique on its node.
    #[serde(rename = "ID")]
    pub id: Str,
    /// Service name.
    pub service: Str,
    /// Tags in the order given.
    pub tags: Tags,
    /// Address; empty means the node's.
    pub address: Str,
    /// Other addresses by purpose.
    pub tagged_addresses: Pairs<ServiceAddress>,
    /// User metadata.
    pub meta: Pairs,
    /// Port; 0 means none.
    pub port: i64,
    /// Unix socket, instead of address and port.
    pub socket_path: Str,
    /// DNS SRV weights by health.
    pub weights: Weights,
    /// Whether tags in the catalog win over the agent's in anti-entropy.
    pub enable_tag_override: bool,
    /// Where it runs.
    pub locality: Option<Box<Locality>>,
    /// Mesh proxy settings, carried unread.
    pub proxy: Option<Arc<Tree>>,
    /// Mesh settings of the service itself, carried unread.
    pub connect: Option<Arc<Tree>>,
    /// Whether an agent made it from a `sidecar_service` block.
    pub locally_registered_as_sidecar: bool,
    /// Peer it was imported from; empty for local instances.
    pub peer_name: Str,
    /// Raft index of its creation.
    pub create_index: u64,
    /// Raft index of its last change.
    pub modify_index: u64,
}

impl NodeService {
    /// Forgets mesh settings that say nothing: Consul's servers send them with every instance.
    pub fn forget_blank_mesh(self: &mut Arc<NodeService>) {
        let blank = |tree: &Option<Arc<Tree>>| tree.as_ref().is_some_and(|tree| tree.is_blank());
        if blank(&self.proxy) {
            Arc::make_mut(self).proxy = None;
        }
        if blank(&self.connect) {
            Arc::make_mut(self).connect = None;
        }
    }
}

/// DNS SRV weight of an instance by its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Weights {
    /// Weight while every check passes; 1..=65535.
    pub passing: i64,
    /// Weight while a check warns; 0..=65535.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { passing: 1, warning: 1 }
    }
}

/// An address with a port, as tagged addresses hold it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceAddress {
    /// IP address or host name.
    pub address: alloc::string::String,
    /// Port; 0 means none.
    pub port: i64,
}

impl Default for NodeService {
    fn default() -> Self {
        let e = super::empty_str();
        NodeService {
            kind: e.clone(),
            id: e.clone(),
            service: e.clone(),
            tags: Tags::default(),
            address: e.clone(),
            tagged_addresses: Pairs::new(),
            meta: Pairs::new(),
            port: 0,
            socket_path: e.clone(),
            weights: Weights::default(),
            enable_tag_override: false,
            locality: None,
            proxy: None,
            connect: None,
            locally_registered_as_sidecar: false,
            peer_name: e,
            create_index: 0,
            modify_index: 0,
        }
    }
}
