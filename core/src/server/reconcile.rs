//! Members to catalog: every live server has a node, the `consul` service and a passing `serfHealth`.

use crate::Str;
use crate::command::{Command, Register};
use crate::store::Store;
use crate::types::{HealthCheck, Node, NodeService, status};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

/// The check ID under which the catalog keeps what gossip says of a node.
const SERF_HEALTH: &str = "serfHealth";
const SERF_NAME: &str = "Serf Health Status";
const SERF_ALIVE: &str = "Agent alive and reachable";

/// What a server puts into the catalog about itself.
#[derive(Clone, Debug)]
pub struct ServerRecord {
    /// Node ID.
    pub id: Str,
    /// Node name.
    pub name: Str,
    /// Advertised IP address.
    pub address: String,
    /// Datacenter.
    pub datacenter: Str,
    /// The `server` port.
    pub port: u16,
    /// The version that users see, such as `1.21.5`.
    pub version: &'static str,
}

impl ServerRecord {
    /// The command that makes the catalog say so, or `None` if it already does.
    ///
    /// The agent of the same node owns the node's metadata and tagged addresses, so an existing
    /// node keeps them; only its identity and address are compared.
    pub fn reconcile(&self, store: &Store) -> Option<Command> {
        let node = store.node(&self.name);
        let service = self.service();
        let node_ok = node.is_some_and(|n| *n.id == *self.id && *n.address == *self.address);
        let service_ok = store.node_services(&self.name).any(|s| {
            s.id == service.id
                && s.service == service.service
                && s.port == service.port
                && s.meta == service.meta
        });
        let check_ok = store.node_checks(&self.name).any(|c| {
            &*c.check_id == SERF_HEALTH && &*c.status == status::PASSING && &*c.output == SERF_ALIVE
        });
        if node_ok && service_ok && check_ok {
            return None;
        }
        let (tagged_addresses, node_meta) = match node {
            Some(n) if node_ok => (n.tagged_addresses.clone(), n.meta.clone()),
            Some(n) => (BTreeMap::new(), with_version(n, self.version)),
            None => (BTreeMap::new(), version_meta(self.version)),
        };
        Some(Command::Register(Box::new(Register {
            datacenter: self.datacenter.to_string(),
            id: self.id.to_string(),
            node: self.name.to_string(),
            address: self.address.clone(),
            tagged_addresses,
            node_meta,
            service: Some(service),
            check: Some(self.check()),
            ..Register::default()
        })))
    }

    fn service(&self) -> NodeService {
        let meta = [
            ("non_voter", "false"),
            ("raft_version", "3"),
            ("read_replica", "false"),
            ("serf_protocol_current", "2"),
            ("serf_protocol_max", "5"),
            ("serf_protocol_min", "1"),
            ("version", self.version),
        ];
        NodeService {
            id: Str::from("consul"),
            service: Str::from("consul"),
            port: i64::from(self.port),
            meta: meta.into_iter().map(|(k, v)| (Str::from(k), Str::from(v))).collect(),
            ..NodeService::default()
        }
    }

    fn check(&self) -> HealthCheck {
        HealthCheck {
            node: self.name.clone(),
            check_id: Str::from(SERF_HEALTH),
            name: Str::from(SERF_NAME),
            status: Str::from(status::PASSING),
            output: Str::from(SERF_ALIVE),
            ..HealthCheck::default()
        }
    }
}

fn version_meta(version: &str) -> BTreeMap<Str, Str> {
    BTreeMap::from([(Str::from("consul-version"), Str::from(version))])
}

fn with_version(node: &Node, version: &str) -> BTreeMap<Str, Str> {
    let mut meta = node.meta.clone();
    meta.insert(Str::from("consul-version"), Str::from(version));
    meta
}
