//! The tags that Consul's agents show.

use crate::Str;
use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;

/// The version of the agent protocol, and those that are understood.
const PROTOCOL: (&str, &str, &str) = ("2", "2", "3");
/// The version of the raft protocol that is shown.
const RAFT_PROTOCOL: &str = "3";

/// The tag of a server's cluster.
pub(super) const CLUSTER: &str = "lictor_cluster";
/// What a server shows as its cluster that is of none yet.
pub const NO_CLUSTER: &str = "none";

/// What a server shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTags {
    /// Datacenter, lower case.
    pub datacenter: Str,
    /// Node id.
    pub id: Str,
    /// Version of the build, `x.y.z`, perhaps with more behind a colon.
    pub build: Str,
    /// Where it takes RPC.
    pub port: u16,
    /// Where it gossips with other datacenters; shown within its own only.
    pub wan_join_port: Option<u16>,
    /// External gRPC in clear.
    pub grpc_port: Option<u16>,
    /// External gRPC over TLS.
    pub grpc_tls_port: Option<u16>,
    /// Whether it may elect itself alone.
    pub bootstrap: bool,
    /// How many servers it waits for; 0 if it does not.
    pub expect: u32,
    /// Whether it reads only.
    pub read_replica: bool,
    /// Whether its RPC takes TLS.
    pub use_tls: bool,
    /// Whether ACLs are on.
    pub acls: bool,
    /// The raft cluster that it is of, or [`NO_CLUSTER`]; empty: not shown. Ours; Consul's servers have no such thing.
    pub cluster: Str,
}

/// What a client agent shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTags {
    /// Datacenter, lower case.
    pub datacenter: Str,
    /// Node id.
    pub id: Str,
    /// Version of the build.
    pub build: Str,
    /// How long it may be failed before it is forgotten, if that is not the usual time.
    pub reconnect_timeout: Option<Duration>,
}

fn common(role: &str, datacenter: &Str, id: &Str, build: &Str) -> BTreeMap<Str, Str> {
    let (version, min, max) = PROTOCOL;
    [
        ("role", role),
        ("dc", datacenter),
        ("segment", ""),
        ("id", id),
        ("vsn", version),
        ("vsn_min", min),
        ("vsn_max", max),
        ("build", build),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect()
}

impl ServerTags {
    /// The tags.
    pub fn tags(&self) -> BTreeMap<Str, Str> {
        let mut tags = common("consul", &self.datacenter, &self.id, &self.build);
        let mut set = |name: &str, value: &str| {
            tags.insert(name.into(), value.into());
        };
        set("raft_vsn", RAFT_PROTOCOL);
        set("port", &self.port.to_string());
        set("acls", if self.acls { "1" } else { "0" });
        // Federation states and service intentions are understood.
        set("ft_fs", "1");
        set("ft_si", "1");
        let ports = [
            ("wan_join_port", self.wan_join_port),
            ("grpc_port", self.grpc_port),
            ("grpc_tls_port", self.grpc_tls_port),
        ];
        for (name, port) in ports {
            if let Some(port) = port {
                set(name, &port.to_string());
            }
        }
        if !self.cluster.is_empty() {
            set(CLUSTER, &self.cluster);
        }
        if self.expect > 0 {
            set("expect", &self.expect.to_string());
        }
        let flags = [
            ("bootstrap", self.bootstrap),
            ("nonvoter", self.read_replica),
            ("read_replica", self.read_replica),
            ("use_tls", self.use_tls),
        ];
        for (name, on) in flags {
            if on {
                set(name, "1");
            }
        }
        tags
    }
}

impl ClientTags {
    /// The tags.
    pub fn tags(&self) -> BTreeMap<Str, Str> {
        let mut tags = common("node", &self.datacenter, &self.id, &self.build);
        if let Some(timeout) = self.reconnect_timeout {
            let nanos = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
            tags.insert("rc_tm".into(), crate::duration::format(nanos).as_str().into());
        }
        tags
    }
}

/// A server's name in the pool of all servers.
pub fn wan_name(node: &str, datacenter: &str) -> Str {
    format!("{node}.{datacenter}").as_str().into()
}
