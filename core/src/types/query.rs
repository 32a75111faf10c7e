//! Prepared queries: a search for a service under a name of its own, or under every name with a prefix.

use super::{CheckServiceNode, Pairs, Tags};
use crate::Str;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The only kind of template.
pub const NAME_PREFIX_MATCH: &str = "name_prefix_match";

/// A prepared query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PreparedQuery {
    /// A UUID, drawn by whoever proposed it.
    #[serde(rename = "ID")]
    pub id: Str,
    /// What it may be called by instead. Of a template: the prefix of the names it answers for.
    pub name: Str,
    /// The session that it goes with; empty: it stays.
    pub session: Str,
    /// The ACL token that it is executed with; empty: that of whoever executes it.
    pub token: Str,
    /// Whether and how it stands for many.
    pub template: QueryTemplate,
    /// What is searched for.
    pub service: ServiceQuery,
    /// How what is found is told over DNS.
    #[serde(rename = "DNS")]
    pub dns: QueryDns,
    /// The index at which it was created.
    pub create_index: u64,
    /// The index at which it was last written.
    pub modify_index: u64,
}

/// How a query stands for many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct QueryTemplate {
    /// Empty: it is no template.
    #[serde(rename = "Type")]
    pub kind: Str,
    /// A pattern whose groups `${match(N)}` stands for; empty: there are none.
    pub regexp: Str,
    /// Tags that turn out to be empty are left out.
    pub remove_empty_tags: bool,
}

/// What a query searches for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceQuery {
    /// The name of the service.
    pub service: Str,
    /// Of Consul's Enterprise edition, which is refused.
    pub sameness_group: Str,
    /// Where else to look.
    pub failover: QueryFailover,
    /// Instances with a warning do not count either.
    pub only_passing: bool,
    /// Checks that do not count.
    #[serde(rename = "IgnoreCheckIDs")]
    pub ignore_check_ids: Tags,
    /// The node that others are sorted by the distance to; `_agent` and `_ip` stand for who asks.
    pub near: Str,
    /// Tags that instances must carry, or with `!` before them must not.
    pub tags: Tags,
    /// What the node's metadata must say.
    pub node_meta: Pairs,
    /// What the instance's metadata must say.
    pub service_meta: Pairs,
    /// The proxies of the service instead.
    pub connect: bool,
    /// The peer that the service is imported from.
    pub peer: Str,
}

/// Where to look for what is not found here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct QueryFailover {
    /// So many of the nearest other datacenters.
    pub nearest_n: i64,
    /// Then these.
    pub datacenters: Tags,
    /// Instead of both.
    pub targets: Option<Vec<QueryTarget>>,
}

/// One place to look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct QueryTarget {
    /// What a peer has exported.
    pub peer: Str,
    /// A datacenter.
    pub datacenter: Str,
}

/// How what is found is told over DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct QueryDns {
    /// A duration; empty: that of the service.
    #[serde(rename = "TTL")]
    pub ttl: Str,
}

/// What a query found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryFound {
    /// The name of the service.
    pub service: Str,
    /// In the order in which they are to be tried.
    pub nodes: Vec<Arc<CheckServiceNode>>,
    /// As the query has it.
    pub dns: QueryDns,
    /// Where it was found; empty if a peer exported it.
    pub datacenter: Str,
    /// The peer.
    pub peer_name: Str,
    /// How many other places were asked.
    pub failovers: i64,
}

impl PreparedQuery {
    /// Whether it stands for many.
    pub fn is_template(&self) -> bool {
        !self.template.kind.is_empty()
    }
}

impl QueryFailover {
    /// Whether there is anywhere else to look.
    pub fn is_empty(&self) -> bool {
        self.nearest_n == 0
            && self.datacenters.is_empty()
            && self.targets.as_ref().is_none_or(|targets| targets.is_empty())
    }
}
