//! Services and checks as users define them, in files and over HTTP.

use super::{Locality, ServiceAddress, Weights};
use crate::Str;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A service definition (surface.md 3.5), from a file or `PUT /v1/agent/service/register`.
///
/// Also the form in which the agent keeps its services in the data directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are Consul's
pub struct ServiceDefinition {
    pub kind: String,
    /// Empty: the name.
    pub id: String,
    pub name: String,
    pub tags: Vec<String>,
    pub address: String,
    pub tagged_addresses: BTreeMap<Str, ServiceAddress>,
    pub meta: BTreeMap<Str, Str>,
    pub port: i64,
    pub socket_path: String,
    /// `None`: 1 and 1.
    pub weights: Option<Weights>,
    pub enable_tag_override: bool,
    pub token: String,
    pub locality: Option<Locality>,
    /// `check` and `checks` together, in that order.
    pub checks: Vec<CheckDefinition>,
}

/// A check definition (surface.md 3.6). Durations are nanoseconds; 0 means not given.
///
/// Which kind of check it is follows from which fields are set: see [`CheckDefinition::kind`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are Consul's
pub struct CheckDefinition {
    /// Empty: derived from the service or the name.
    pub id: String,
    pub name: String,
    pub notes: String,
    pub service_id: String,
    pub token: String,
    /// Initial status; empty: critical.
    pub status: String,
    pub script_args: Vec<String>,
    pub http: String,
    pub header: BTreeMap<String, Vec<String>>,
    pub method: String,
    pub body: String,
    pub disable_redirects: bool,
    pub tcp: String,
    pub tcp_use_tls: bool,
    pub udp: String,
    pub grpc: String,
    pub grpc_use_tls: bool,
    pub h2ping: String,
    pub h2ping_use_tls: Option<bool>,
    pub tls_server_name: String,
    pub tls_skip_verify: bool,
    pub os_service: String,
    pub docker_container_id: String,
    pub shell: String,
    pub alias_node: String,
    pub alias_service: String,
    pub interval: i64,
    pub timeout: i64,
    pub ttl: i64,
    pub success_before_passing: i64,
    pub failures_before_warning: i64,
    pub failures_before_critical: i64,
    pub deregister_critical_service_after: i64,
    pub output_max_size: i64,
}

/// What runs a check. The wire name is the `Type` that users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum CheckKind {
    Script,
    Http,
    Tcp,
    Udp,
    Grpc,
    H2Ping,
    Ttl,
    Docker,
    Alias,
    OsService,
}

impl CheckKind {
    /// The `Type` of the check in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckKind::Script => "script",
            CheckKind::Http => "http",
            CheckKind::Tcp => "tcp",
            CheckKind::Udp => "udp",
            CheckKind::Grpc => "grpc",
            CheckKind::H2Ping => "h2ping",
            CheckKind::Ttl => "ttl",
            CheckKind::Docker => "docker",
            CheckKind::Alias => "alias",
            CheckKind::OsService => "os_service",
        }
    }
}

impl CheckDefinition {
    /// Which kind of check this is; `None` when no field says so. The order of precedence is
    /// Consul's when several are set.
    pub fn kind(&self) -> Option<CheckKind> {
        if !self.alias_node.is_empty() || !self.alias_service.is_empty() {
            Some(CheckKind::Alias)
        } else if self.ttl > 0 {
            Some(CheckKind::Ttl)
        } else if !self.http.is_empty() {
            Some(CheckKind::Http)
        } else if !self.tcp.is_empty() {
            Some(CheckKind::Tcp)
        } else if !self.udp.is_empty() {
            Some(CheckKind::Udp)
        } else if !self.grpc.is_empty() {
            Some(CheckKind::Grpc)
        } else if !self.h2ping.is_empty() {
            Some(CheckKind::H2Ping)
        } else if !self.os_service.is_empty() {
            Some(CheckKind::OsService)
        } else if !self.docker_container_id.is_empty() {
            Some(CheckKind::Docker)
        } else if !self.script_args.is_empty() {
            Some(CheckKind::Script)
        } else {
            None
        }
    }
}
