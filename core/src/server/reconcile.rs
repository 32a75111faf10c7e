//! Members to catalog: every live server has a node, the `consul` service and a passing `serfHealth`.

use crate::Str;
use crate::command::{Command, Register};
use crate::store::Store;
use crate::types::{HealthCheck, NodeService, status};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

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
    /// The agent of the same node owns the node's record. A node that exists when the command is applied
    /// is left alone, even if the agent made it after this looked.
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
        Some(Command::Register(Box::new(Register {
            datacenter: self.datacenter.to_string(),
            id: self.id.to_string(),
            node: self.name.to_string(),
            address: self.address.clone(),
            node_meta: BTreeMap::from([(Str::from("consul-version"), Str::from(self.version))]),
            skip_node_update: true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Node;

    /// The leader looks before the agent has registered its node, and its command is applied after: the
    /// addresses that the agent gave must not be wiped.
    #[test]
    fn a_command_made_before_the_agent_registered_leaves_the_agents_record_alone() {
        let record = ServerRecord {
            id: Str::from("adf4238a-882b-9ddc-4a9d-5b6758e4159e"),
            name: Str::from("n1"),
            address: String::from("127.0.0.1"),
            datacenter: Str::from("dc1"),
            port: 8300,
            version: "1.21.5",
        };
        let mut store = Store::default();
        let late = record.reconcile(&store).expect("nothing is registered yet");
        let agent = Register {
            datacenter: String::from("dc1"),
            id: record.id.to_string(),
            node: String::from("n1"),
            address: String::from("127.0.0.1"),
            tagged_addresses: BTreeMap::from([(Str::from("lan"), Str::from("127.0.0.1"))]),
            ..Register::default()
        };
        let mut changes = crate::watch::ChangeSet::default();
        store.apply(1, &Command::Register(Box::new(agent)), &mut changes);
        store.apply(2, &late, &mut changes);
        let node: &Node = store.node("n1").expect("it is registered");
        assert_eq!(node.tagged_addresses.len(), 1);
        assert!(record.reconcile(&store).is_none(), "service and check are there");
    }
}
