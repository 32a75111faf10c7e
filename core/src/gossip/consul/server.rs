//! A server, as its tags describe it.

use super::super::serf::{Member, Status};
use crate::Str;
use alloc::collections::BTreeMap;
use core::net::SocketAddr;

/// The three numbers of a version. A build such as `1.21.5:3fa2c` holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Build(pub u64, pub u64, pub u64);

impl Build {
    /// The first `x.y.z` in the text.
    pub fn find(text: &str) -> Option<Build> {
        text.char_indices().filter(|(_, c)| c.is_ascii_digit()).find_map(|(at, _)| Build::at(&text[at..]))
    }

    fn at(text: &str) -> Option<Build> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, _) = number(rest.strip_prefix('.')?)?;
        Some(Build(major, minor, patch))
    }
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok().map(|number| (number, &text[end..]))
}

/// What members need to know of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The member's name.
    pub name: Str,
    /// The name without the datacenter, which the pool of all servers appends.
    pub short_name: Str,
    /// Node id.
    pub id: Str,
    /// Its datacenter.
    pub datacenter: Str,
    /// Where it takes RPC.
    pub addr: SocketAddr,
    /// Where it gossips with other datacenters, if it says.
    pub wan_join_port: Option<u16>,
    /// External gRPC in clear, if it has that.
    pub grpc_port: Option<u16>,
    /// External gRPC over TLS, if it has that.
    pub grpc_tls_port: Option<u16>,
    /// Whether it may elect itself alone.
    pub bootstrap: bool,
    /// How many servers it waits for; 0 if it does not.
    pub expect: u32,
    /// Its build.
    pub build: Build,
    /// Its version of the agent protocol.
    pub version: i64,
    /// Its version of the raft protocol; 0 if it does not say.
    pub raft_version: i64,
    /// Whether it reads only.
    pub read_replica: bool,
    /// Whether its RPC takes TLS.
    pub use_tls: bool,
    /// The raft cluster that it is of, or `NO_CLUSTER`; empty if it does not say.
    pub cluster: Str,
    /// What it can do beyond its version: the `ft_` tags.
    pub features: BTreeMap<Str, i64>,
    /// Where the member stands.
    pub status: Status,
}

impl Server {
    /// The server that a member is. `None`: it is a client, or its tags are damaged; either way clients
    /// pay no attention to it.
    pub fn from_member(member: &Member) -> Option<Server> {
        if member.tag("role") != "consul" {
            return None;
        }
        let tags = &member.tags;
        let has = |name: &str| tags.contains_key(name);
        // A tag that is there must be a number; one that is not there is zero.
        let int = |name: &str| match tags.get(name) {
            None => Some(0),
            Some(text) => text.parse::<i64>().ok(),
        };
        let port = |name: &str| tags.get(name).and_then(|text| text.parse::<u16>().ok()).filter(|p| *p > 0);
        let datacenter: Str = member.tag("dc").into();
        if (has("grpc_port") || has("grpc_tls_port"))
            && port("grpc_port").is_none()
            && port("grpc_tls_port").is_none()
        {
            return None;
        }
        if has("wan_join_port") && int("wan_join_port").is_none() {
            return None;
        }
        let mut features = BTreeMap::new();
        for (name, value) in tags {
            if let Some(feature) = name.strip_prefix("ft_") {
                features.insert(feature.into(), value.parse().ok()?);
            }
        }
        let suffix = alloc::format!(".{datacenter}");
        Some(Server {
            name: member.name.clone(),
            short_name: member.name.strip_suffix(&*suffix).unwrap_or(&member.name).into(),
            id: member.tag("id").into(),
            addr: SocketAddr::new(member.addr.ip(), member.tag("port").parse().ok()?),
            wan_join_port: port("wan_join_port"),
            grpc_port: port("grpc_port"),
            grpc_tls_port: port("grpc_tls_port"),
            bootstrap: has("bootstrap"),
            expect: u32::try_from(int("expect")?).ok()?,
            build: Build::find(member.tag("build"))?,
            version: member.tag("vsn").parse().ok()?,
            raft_version: int("raft_vsn")?,
            read_replica: has("nonvoter") || has("read_replica"),
            use_tls: has("use_tls"),
            cluster: member.tag(super::tags::CLUSTER).into(),
            features,
            datacenter,
            status: member.status,
        })
    }
}
