//! What calls ask for. Whatever is not set is left out: absent is empty on this wire.

use crate::Str;
use crate::types::{Coordinate, PreparedQuery};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The arguments of every read: each method looks at its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)] // the names are Consul's
pub struct ReadArguments {
    #[serde(skip_serializing_if = "is_default")]
    pub datacenter: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub node: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub node_meta_filters: BTreeMap<Str, Str>,
    #[serde(skip_serializing_if = "is_default")]
    pub service_name: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub service_tags: Vec<Str>,
    /// Whose services; empty: the cluster's own.
    #[serde(skip_serializing_if = "is_default")]
    pub peer_name: Str,
    /// The one tag that agents older than 1.3 ask for, instead of `service_tags`.
    #[serde(skip_serializing_if = "is_default")]
    pub service_tag: Str,
    /// Whether the tags count.
    #[serde(skip_serializing_if = "is_default")]
    pub tag_filter: bool,
    /// Instead of a name: the address that instances are reached at.
    #[serde(skip_serializing_if = "is_default")]
    pub service_address: Str,
    /// The proxies of the service.
    #[serde(skip_serializing_if = "is_default")]
    pub connect: bool,
    /// The gateways in front of the service.
    #[serde(skip_serializing_if = "is_default")]
    pub ingress: bool,
    /// Whether services of one kind are asked for.
    #[serde(skip_serializing_if = "is_default")]
    pub use_service_kind: bool,
    /// 0: every instance; 1: none with a critical check; 2: only those whose checks all pass.
    #[serde(skip_serializing_if = "is_default")]
    pub health_filter_type: i64,
    /// Of a check: a status, or `any`.
    #[serde(skip_serializing_if = "is_default")]
    pub state: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub key: Str,
    #[serde(rename = "SessionID", skip_serializing_if = "is_default")]
    pub session_id: Str,
    /// The same, of agents older than 1.7.
    #[serde(skip_serializing_if = "is_default")]
    pub session: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub prefix: Str,
    /// Spelt so.
    #[serde(skip_serializing_if = "is_default")]
    pub seperator: Str,
    /// From where distances are counted.
    #[serde(skip_serializing_if = "is_default")]
    pub source: Source,
    /// Of a prepared query.
    #[serde(rename = "QueryID", skip_serializing_if = "is_default")]
    pub query_id: Str,
    /// The same, or its name.
    #[serde(rename = "QueryIDOrName", skip_serializing_if = "is_default")]
    pub query_id_or_name: Str,
    /// The most instances that are wanted; 0: all.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: i64,
    /// The agent that executes a prepared query.
    #[serde(skip_serializing_if = "is_default")]
    pub agent: Source,
    /// The query that another datacenter is to execute.
    #[serde(skip_serializing_if = "is_default")]
    pub query: Option<Box<PreparedQuery>>,
    #[serde(skip_serializing_if = "is_default")]
    pub filter: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub token: Str,
    /// Answer only once the index is above this; 0: at once.
    #[serde(skip_serializing_if = "is_default")]
    pub min_query_index: u64,
    /// How long to wait for that, in nanoseconds; 0: the server's default.
    #[serde(skip_serializing_if = "is_default")]
    pub max_query_time: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub allow_stale: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub require_consistent: bool,
    /// With `allow_stale`: how long ago a server may have heard of its leader, in nanoseconds; 0: any time.
    #[serde(skip_serializing_if = "is_default")]
    pub max_stale_duration: i64,
}

/// From where distances are counted: a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Source {
    #[serde(skip_serializing_if = "is_default")]
    pub datacenter: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub node: Str,
    /// Instead of a node: the address of the client.
    #[serde(skip_serializing_if = "is_default")]
    pub ip: Str,
    #[serde(skip_serializing_if = "is_default")]
    pub segment: Str,
}

/// `Session.Renew`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct SessionArguments {
    pub datacenter: Str,
    #[serde(rename = "SessionID")]
    pub session_id: Str,
    /// The same, for and of agents older than 1.7.
    pub session: Str,
    pub token: Str,
}

impl SessionArguments {
    /// The ID, under whichever name it came.
    pub fn id(&self) -> &Str {
        if self.session_id.is_empty() { &self.session } else { &self.session_id }
    }
}

/// `Coordinate.Update`: where a node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct CoordinateArguments {
    pub datacenter: Str,
    pub node: Str,
    pub segment: Str,
    pub partition: Str,
    pub coord: Option<Coordinate>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A write with the datacenter that it is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KvArguments<'a, O, E> {
    /// Where to.
    pub datacenter: &'a str,
    /// The verb.
    pub op: O,
    /// The key.
    pub dir_ent: &'a E,
}

/// A transaction with the datacenter that it is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TxnArguments<'a, O> {
    /// Where to.
    pub datacenter: &'a str,
    /// In order.
    pub ops: &'a [O],
    /// For `Txn.Read`.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_stale: bool,
    /// For `Txn.Read`.
    #[serde(skip_serializing_if = "is_default")]
    pub require_consistent: bool,
}
