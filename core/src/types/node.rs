//! Catalog nodes.

use super::Pairs;
use crate::Str;
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// A node of the catalog (Consul's `Node`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Node {
    /// UUID, or empty for nodes registered without one.
    #[serde(rename = "ID")]
    pub id: Str,
    /// Name; unique without regard to case.
    pub node: Str,
    /// IP address or host name.
    pub address: Str,
    /// Datacenter it was registered in.
    pub datacenter: Str,
    /// Peer it was imported from; empty for local nodes.
    pub peer_name: Str,
    /// Other addresses by purpose: `lan`, `wan`, `lan_ipv4`, ...
    pub tagged_addresses: Pairs,
    /// User metadata.
    pub meta: Pairs,
    /// Where it runs.
    pub locality: Option<Box<Locality>>,
    /// Raft index of its creation.
    pub create_index: u64,
    /// Raft index of its last change.
    pub modify_index: u64,
}

/// Region and zone of a node or an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Locality {
    /// Region, such as `eu-west-1`.
    pub region: alloc::string::String,
    /// Zone within the region.
    pub zone: alloc::string::String,
}

impl Default for Node {
    fn default() -> Self {
        let e = super::empty_str();
        Node {
            id: e.clone(),
            node: e.clone(),
            address: e.clone(),
            datacenter: e.clone(),
            peer_name: e,
            tagged_addresses: Pairs::new(),
            meta: Pairs::new(),
            locality: None,
            create_index: 0,
            modify_index: 0,
        }
    }
}
