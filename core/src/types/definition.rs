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
    /// Which kind of check runs; `None` when no field says so. The order of precedence is Consul's when
    /// several are set.
    pub fn kind(&self) -> Option<CheckKind> {
        use CheckKind::{Alias, Docker, Grpc, H2Ping, Http, OsService, Script, Tcp, Ttl, Udp};
        self.first_of([Ttl, Http, Tcp, Udp, Grpc, Docker, OsService, Script, H2Ping, Alias])
    }

    /// Which kind the catalog shows: another order of precedence, as in Consul.
    pub fn shown_kind(&self) -> Option<CheckKind> {
        use CheckKind::{Alias, Docker, Grpc, H2Ping, Http, OsService, Script, Tcp, Ttl, Udp};
        self.first_of([Grpc, Http, Ttl, Tcp, Udp, Alias, Docker, Script, H2Ping, OsService])
    }

    fn first_of(&self, order: [CheckKind; 10]) -> Option<CheckKind> {
        order.into_iter().find(|kind| match kind {
            CheckKind::Ttl => self.ttl > 0,
            CheckKind::Http => !self.http.is_empty(),
            CheckKind::Tcp => !self.tcp.is_empty(),
            CheckKind::Udp => !self.udp.is_empty(),
            CheckKind::Grpc => !self.grpc.is_empty(),
            CheckKind::H2Ping => !self.h2ping.is_empty(),
            CheckKind::OsService => !self.os_service.is_empty(),
            CheckKind::Docker => !self.docker_container_id.is_empty() && !self.script_args.is_empty(),
            CheckKind::Script => !self.script_args.is_empty(),
            CheckKind::Alias => !self.alias_node.is_empty() || !self.alias_service.is_empty(),
        })
    }
}
