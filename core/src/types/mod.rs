//! Record shapes: what the catalog, the KV store and the agent hold.
//!
//! Field names on the wire are Consul's Go names (`docs/compat.md` lists them), so that commands,
//! snapshots and RPC share one encoding. JSON for users is written by `front`, not by serde.

mod autopilot;
mod check;
mod coordinate;
pub mod decode;
mod definition;
mod kv;
mod node;
mod pairs;
mod query;
pub mod rules;
mod service;
mod session;
mod tags;

pub use autopilot::AutopilotConfig;
pub use check::{CheckDefinitionRecord, HealthCheck, status};
pub use coordinate::{Coordinate, DIMENSIONS, NodeCoordinate};
pub use definition::{CheckDefinition, CheckKind, ServiceDefinition};
pub use kv::{KvEntry, KvOp};
pub use node::{Locality, Node};
pub use pairs::{Iter as PairsIter, Pairs};
pub use query::{
    NAME_PREFIX_MATCH, PreparedQuery, QueryDns, QueryFailover, QueryFound, QueryTarget, QueryTemplate,
    ServiceQuery,
};
pub use service::{NodeService, ServiceAddress, Weights};
pub use session::{ServiceCheck, Session};
pub use tags::Tags;

use crate::Str;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::Serialize;

/// One instance of a service with its node and every check that concerns it: the node's own
/// checks and the service's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CheckServiceNode {
    /// The node the instance is registered on.
    pub node: Arc<Node>,
    /// The instance.
    pub service: Arc<NodeService>,
    /// Node checks and service checks, ordered by check ID.
    pub checks: Vec<Arc<HealthCheck>>,
}

/// The empty string as a [`Str`].
pub fn empty_str() -> Str {
    Str::new()
}
