//! What `members` shows of a member.

use super::super::serf::Member;
use crate::Str;
use core::net::SocketAddr;

/// One line, in the order of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Row {
    pub node: Str,
    pub address: SocketAddr,
    pub status: &'static str,
    /// `server`, `client` or `unknown`.
    pub kind: &'static str,
    /// Up to the colon; `< 0.3` for members of old.
    pub build: Str,
    pub protocol: Str,
    pub datacenter: Str,
    pub partition: Str,
    /// `<all>` for servers, `<default>` for clients.
    pub segment: Str,
}

/// The line of one member.
pub fn row(member: &Member) -> Row {
    let build = match member.tag("build") {
        "" => "< 0.3",
        build => build.split(':').next().unwrap_or_default(),
    };
    let partition = match member.tag("ap") {
        "" => "default",
        partition => partition,
    };
    let (kind, segment) = match (member.tag("role"), member.tag("segment")) {
        ("consul", _) => ("server", "<all>"),
        ("node", "") => ("client", "<default>"),
        ("node", segment) => ("client", segment),
        // As it is shown there: no build or protocol of Consul's either.
        _ => ("unknown", ""),
    };
    let known = kind != "unknown";
    let or_empty = |text: &str| -> Str { if known { text.into() } else { "".into() } };
    Row {
        node: member.name.clone(),
        address: member.addr,
        status: member.status.name(),
        kind,
        build: or_empty(build),
        protocol: or_empty(member.tag("vsn")),
        datacenter: or_empty(member.tag("dc")),
        partition: or_empty(partition),
        segment: segment.into(),
    }
}
