//! Health checks as the catalog holds them.

use super::Tags;
use crate::Str;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The statuses a check can have.
pub mod status {
    /// All is well.
    pub const PASSING: &str = "passing";
    /// Works, but look at it.
    pub const WARNING: &str = "warning";
    /// Does not work.
    pub const CRITICAL: &str = "critical";
    /// Aggregate only: under maintenance.
    pub const MAINTENANCE: &str = "maintenance";
    /// Check ID of a node's maintenance check.
    pub const NODE_MAINTENANCE: &str = "_node_maintenance";
    /// Prefix of a service's maintenance check ID; the service ID follows.
    pub const SERVICE_MAINTENANCE_PREFIX: &str = "_service_maintenance:";

    /// 0 passing, 1 warning, 2 everything else: the order in which the worst wins.
    pub fn severity(status: &str) -> u8 {
        match status {
            PASSING => 0,
            WARNING => 1,
            _ => 2,
        }
    }
}

/// A health check (Consul's `HealthCheck`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthCheck {
    /// Node it runs on.
    pub node: Str,
    /// Unique on its node.
    #[serde(rename = "CheckID")]
    pub check_id: Str,
    /// For people.
    pub name: Str,
    /// `passing`, `warning` or `critical`.
    pub status: Str,
    /// For people.
    pub notes: Str,
    /// What the last run printed.
    pub output: Str,
    /// Instance it concerns; empty for a node check.
    #[serde(rename = "ServiceID")]
    pub service_id: Str,
    /// That instance's service name.
    pub service_name: Str,
    /// That instance's tags.
    pub service_tags: Tags,
    /// `http`, `tcp`, `ttl`, ...
    #[serde(rename = "Type")]
    pub kind: Str,
    /// Go duration between runs, as registered.
    pub interval: Str,
    /// Go duration one run may take, as registered.
    pub timeout: Str,
    /// Port the agent exposes the check on, for mesh proxies.
    pub exposed_port: i64,
    /// Peer it was imported from; empty for local checks.
    pub peer_name: Str,
    /// How it is run, as far as the catalog was told; `None` for the default, which is the rule. Read it
    /// with [`HealthCheck::definition`], write it with [`CheckDefinitionRecord::shared`].
    #[serde(deserialize_with = "read_definition")]
    pub definition: Option<Arc<CheckDefinitionRecord>>,
    /// Raft index of its creation.
    pub create_index: u64,
    /// Raft index of its last change.
    pub modify_index: u64,
}

impl HealthCheck {
    /// Equal in everything that a user can set; indexes do not count.
    pub fn same_content(&self, other: &HealthCheck) -> bool {
        let mut other = other.clone();
        other.create_index = self.create_index;
        other.modify_index = self.modify_index;
        *self == other
    }

    /// How it is run, as far as the catalog was told.
    pub fn definition(&self) -> &CheckDefinitionRecord {
        self.definition.as_deref().unwrap_or(&NO_DEFINITION)
    }
}

fn read_definition<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Arc<CheckDefinitionRecord>>, D::Error> {
    Ok(Option::<CheckDefinitionRecord>::deserialize(d)?.and_then(CheckDefinitionRecord::shared))
}

/// Consul writes nil for what was never given, and compares it with what an agent holds.
fn nil_if_empty<T: Default + PartialEq + Serialize, S: Serializer>(
    value: &T,
    s: S,
) -> Result<S::Ok, S::Error> {
    match *value == T::default() {
        true => s.serialize_none(),
        false => value.serialize(s),
    }
}

/// A check's `Definition` in the catalog. Durations are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)] // the names are Consul's, the meanings those of `CheckDefinition`
pub struct CheckDefinitionRecord {
    #[serde(rename = "HTTP")]
    pub http: String,
    #[serde(rename = "TLSServerName")]
    pub tls_server_name: String,
    #[serde(rename = "TLSSkipVerify")]
    pub tls_skip_verify: bool,
    #[serde(serialize_with = "nil_if_empty")]
    pub header: BTreeMap<String, Vec<String>>,
    pub method: String,
    pub body: String,
    pub disable_redirects: bool,
    #[serde(rename = "TCP")]
    pub tcp: String,
    #[serde(rename = "TCPUseTLS")]
    pub tcp_use_tls: bool,
    #[serde(rename = "UDP")]
    pub udp: String,
    #[serde(rename = "H2PING")]
    pub h2ping: String,
    #[serde(rename = "H2PingUseTLS")]
    pub h2ping_use_tls: bool,
    #[serde(rename = "OSService")]
    pub os_service: String,
    pub interval: i64,
    pub output_max_size: u64,
    pub timeout: i64,
    pub deregister_critical_service_after: i64,
    #[serde(serialize_with = "nil_if_empty")]
    pub script_args: Vec<String>,
    #[serde(rename = "DockerContainerID")]
    pub docker_container_id: String,
    pub shell: String,
    #[serde(rename = "GRPC")]
    pub grpc: String,
    #[serde(rename = "GRPCUseTLS")]
    pub grpc_use_tls: bool,
    pub alias_node: String,
    pub alias_service: String,
    #[serde(rename = "TTL")]
    pub ttl: i64,
    pub session_name: String,
}

impl CheckDefinitionRecord {
    /// The form in which a check holds it: `None` when nothing is set.
    pub fn shared(self) -> Option<Arc<CheckDefinitionRecord>> {
        (self != NO_DEFINITION).then(|| Arc::new(self))
    }
}

static NO_DEFINITION: CheckDefinitionRecord = CheckDefinitionRecord {
    http: String::new(),
    tls_server_name: String::new(),
    tls_skip_verify: false,
    header: BTreeMap::new(),
    method: String::new(),
    body: String::new(),
    disable_redirects: false,
    tcp: String::new(),
    tcp_use_tls: false,
    udp: String::new(),
    h2ping: String::new(),
    h2ping_use_tls: false,
    os_service: String::new(),
    interval: 0,
    output_max_size: 0,
    timeout: 0,
    deregister_critical_service_after: 0,
    script_args: Vec::new(),
    docker_container_id: String::new(),
    shell: String::new(),
    grpc: String::new(),
    grpc_use_tls: false,
    alias_node: String::new(),
    alias_service: String::new(),
    ttl: 0,
    session_name: String::new(),
};

impl Default for HealthCheck {
    fn default() -> Self {
        let e = super::empty_str();
        HealthCheck {
            node: e.clone(),
            check_id: e.clone(),
            name: e.clone(),
            status: e.clone(),
            notes: e.clone(),
            output: e.clone(),
            service_id: e.clone(),
            service_name: e.clone(),
            service_tags: Tags::default(),
            kind: e.clone(),
            interval: e.clone(),
            timeout: e.clone(),
            exposed_port: 0,
            peer_name: e,
            definition: None,
            create_index: 0,
            modify_index: 0,
        }
    }
}
