//! Services and checks as users define them, in files and over HTTP.

use super::{Locality, ServiceAddress, Weights};
use crate::Str;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A service definition, from a file or `PUT /v1/agent/service/register`.
///
/// Also the form in which the agent keeps its services in the data directory: what was not given is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are Consul's
pub struct ServiceDefinition {
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// Empty: the name.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub address: String,
    #[serde(skip_serializing_if = "is_default")]
    pub tagged_addresses: BTreeMap<Str, ServiceAddress>,
    #[serde(skip_serializing_if = "is_default")]
    pub meta: BTreeMap<Str, Str>,
    #[serde(skip_serializing_if = "is_default")]
    pub port: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub socket_path: String,
    /// `None`: 1 and 1.
    #[serde(skip_serializing_if = "is_default")]
    pub weights: Option<Weights>,
    #[serde(skip_serializing_if = "is_default")]
    pub enable_tag_override: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub token: String,
    #[serde(skip_serializing_if = "is_default")]
    pub locality: Option<Locality>,
    /// `check` and `checks` together, in that order.
    #[serde(skip_serializing_if = "is_default")]
    pub checks: Vec<CheckDefinition>,
}

/// A check definition. Durations are nanoseconds; 0 means not given.
///
/// Which kind of check it is follows from which fields are set: see [`CheckDefinition::kind`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are Consul's
pub struct CheckDefinition {
    /// Empty: derived from the service or the name.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub notes: String,
    #[serde(skip_serializing_if = "is_default")]
    pub service_id: String,
    #[serde(skip_serializing_if = "is_default")]
    pub token: String,
    /// Initial status; empty: critical.
    #[serde(skip_serializing_if = "is_default")]
    pub status: String,
    #[serde(skip_serializing_if = "is_default")]
    pub script_args: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub http: String,
    #[serde(skip_serializing_if = "is_default")]
    pub header: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "is_default")]
    pub method: String,
    #[serde(skip_serializing_if = "is_default")]
    pub body: String,
    #[serde(skip_serializing_if = "is_default")]
    pub disable_redirects: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub tcp: String,
    #[serde(skip_serializing_if = "is_default")]
    pub tcp_use_tls: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub udp: String,
    #[serde(skip_serializing_if = "is_default")]
    pub grpc: String,
    #[serde(skip_serializing_if = "is_default")]
    pub grpc_use_tls: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub h2ping: String,
    #[serde(skip_serializing_if = "is_default")]
    pub h2ping_use_tls: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub tls_server_name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub tls_skip_verify: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub os_service: String,
    #[serde(skip_serializing_if = "is_default")]
    pub docker_container_id: String,
    #[serde(skip_serializing_if = "is_default")]
    pub shell: String,
    #[serde(skip_serializing_if = "is_default")]
    pub alias_node: String,
    #[serde(skip_serializing_if = "is_default")]
    pub alias_service: String,
    #[serde(skip_serializing_if = "is_default")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub ttl: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub success_before_passing: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub failures_before_warning: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub failures_before_critical: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub deregister_critical_service_after: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub output_max_size: i64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
