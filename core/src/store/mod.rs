//! The replicated state: nodes, services, checks, keys, tombstones, sessions, prepared queries and the index of each.
//!
//! [`Store::apply`] is the only way to change it. It takes no clock and no randomness, so equal logs give
//! equal stores on every server. Every table is a persistent [`Map`], so a clone is a read view at the
//! price of a few reference counts, and a transaction rolls back by putting a clone back.
//!
//! Rules that hold after every command:
//! - a command that changes nothing raises no index and touches nothing in the change set;
//! - a change that could alter an answer touches the watch keys of that answer;
//! - every service, check and session belongs to a node that exists, every service check to a service that exists,
//!   and no check that a session depends on is critical;
//! - no key is held by a session that has ended;
//! - secondary tables hold the same `Arc` as the primary one, never a copy.
//!
//! The index rules are Consul's, recorded from a live server of version 1.21.

mod apply;
mod autopilot;
mod checks;
mod coordinates;
mod excerpt;
mod index;
mod instances;
mod key;
mod kv;
mod kv_read;
mod nodes;
mod queries;
mod read;
mod restore;
mod result;
mod services;
mod sessions;
mod snapshot;
#[cfg(test)]
mod tests;
mod txn;
mod words;

pub use excerpt::{Excerpt, translate_instance};
pub use queries::QueryError;
pub use read::Counts;
pub use result::{Applied, TxnError, TxnItem, TxnResult};
pub use snapshot::SnapshotError;

use crate::Str;
use crate::map::Map;
use crate::types::{
    AutopilotConfig, CheckServiceNode, HealthCheck, KvEntry, Node, NodeCoordinate, NodeService,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use index::Indexes;
use key::Key;
use restore::Unfinished;
use sessions::Sessions;
use snapshot::Carried;

/// All replicated state at one raft index. Cloning it is O(1).
///
/// Keys of catalog tables are lower case; records keep the spelling they were registered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    /// The last index applied: it goes up by one with each entry of raft's log, and jumps when an archive is restored.
    applied: u64,
    /// How far that is ahead of the entry's place in the log.
    ahead: u64,
    /// By name.
    nodes: Map<Str, Arc<Node>>,
    /// ID to name, for nodes that have an ID.
    node_ids: Map<Str, Str>,
    /// By node and service ID.
    services: Map<Key<2>, Arc<NodeService>>,
    /// By service name, node and service ID: the instance with all that health reads show of it.
    services_by_name: Map<Key<3>, Arc<CheckServiceNode>>,
    /// By node and check ID.
    checks: Map<Key<2>, Arc<HealthCheck>>,
    /// By node: its checks that belong to no service, ordered by check ID.
    node_level: Map<Str, Arc<[Arc<HealthCheck>]>>,
    /// By key.
    kv: Map<Str, Arc<KvEntry>>,
    /// Deleted key or prefix, to the index of its deletion.
    tombstones: Map<Str, u64>,
    /// Those who may hold locks.
    sessions: Sessions,
    /// By node and segment.
    coordinates: Map<Key<2>, Arc<NodeCoordinate>>,
    /// Prepared queries by ID, with what is made of them.
    queries: queries::Queries,
    /// The settings of autopilot, if they were ever written.
    autopilot: Option<Arc<AutopilotConfig>>,
    /// What each table's blocking reads compare with.
    index: Indexes,
    /// Snapshot records of kinds that have no table here: read, kept, written back.
    carried: Arc<Vec<Carried>>,
    /// The archive that is being restored, as far as it has come.
    unfinished: Option<Arc<Unfinished>>,
    /// The bug put back, if any.
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<crate::Mutant>,
}

impl Store {
    /// The index of the last command applied; 0 for an empty store.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The place in raft's log of the last entry applied.
    pub fn log_index(&self) -> u64 {
        self.applied - self.ahead
    }

    /// An entry that carries no command was committed at `index`.
    pub fn skip(&mut self, index: u64) {
        invariant!(index > self.applied, "indexes are applied in order");
        self.applied = index;
    }
}
