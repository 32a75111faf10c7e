//! What the agent tells the catalog about its node.

use crate::Str;
use crate::agent::Agent;
use crate::command::Register;
use crate::config::RuntimeConfig;
use crate::types::{Locality, Node};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

/// The Consul version whose behaviour this agent shows, in the node's metadata as Consul's agents
/// show theirs.
const CONSUL_VERSION: &str = "1.21.5";

/// The node's own record.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::agent) struct NodeInfo {
    datacenter: Str,
    id: Str,
    pub(in crate::agent) name: Str,
    address: String,
    tagged_addresses: BTreeMap<Str, Str>,
    meta: BTreeMap<Str, Str>,
    locality: Option<Locality>,
}

impl NodeInfo {
    pub(in crate::agent) fn new(config: &RuntimeConfig, id: &str) -> NodeInfo {
        let address = config.advertise_addr.to_string();
        let mut tagged_addresses = config.tagged_addresses.clone();
        for (pool, at) in [("lan", config.advertise_addr), ("wan", config.gossip.wan.advertise)] {
            let family = match at {
                IpAddr::V4(_) => "ipv4",
                IpAddr::V6(_) => "ipv6",
            };
            for key in [String::from(pool), format!("{pool}_{family}")] {
                tagged_addresses.entry(Str::from(key)).or_insert_with(|| Str::from(at.to_string()));
            }
        }
        let mut meta = config.node_meta.clone();
        meta.insert(Str::from("consul-network-segment"), Str::from(""));
        meta.insert(Str::from("consul-version"), Str::from(CONSUL_VERSION));
        NodeInfo {
            datacenter: config.datacenter.clone(),
            id: Str::from(id),
            name: config.node_name.clone(),
            address,
            tagged_addresses,
            meta,
            locality: config.locality.clone(),
        }
    }

    /// Whether the catalog shows the node as it is.
    pub(in crate::agent) fn same(&self, node: &Node) -> bool {
        node.id.eq_ignore_ascii_case(&self.id)
            && *node.address == *self.address
            && node.tagged_addresses == self.tagged_addresses
            && node.meta == self.meta
            && node.locality.as_deref() == self.locality.as_ref()
    }

    /// A registration of the node alone.
    pub(in crate::agent) fn register(&self) -> Register {
        Register {
            datacenter: self.datacenter.to_string(),
            id: self.id.to_string(),
            node: self.name.to_string(),
            address: self.address.clone(),
            tagged_addresses: self.tagged_addresses.clone(),
            node_meta: self.meta.clone(),
            locality: self.locality.clone(),
            ..Register::default()
        }
    }

    /// A deregistration on this node, of nothing yet.
    pub(in crate::agent) fn deregister(&self) -> crate::command::Deregister {
        crate::command::Deregister {
            datacenter: self.datacenter.to_string(),
            node: self.name.to_string(),
            ..Default::default()
        }
    }
}

impl Agent {
    /// After a reload: tells the catalog if the node's own record is another now.
    pub(in crate::agent) fn node_info_changed(&mut self) {
        let info = NodeInfo::new(&self.config, &self.node_id);
        if info != self.sync.node {
            self.sync.node = info;
            self.sync.node_state = super::NodeState::Dirty;
            self.sync.touch_node();
        }
    }
}
