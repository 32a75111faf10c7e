//! The published view: everything a front needs to answer without asking the node.

use crate::Str;
use crate::agent::Local;
use crate::config::RuntimeConfig;
use crate::gossip::{Coordinate, Member, Stats};
use crate::ids::{Index, ServerId, Term};
use crate::raft::Status;
use crate::server::autopilot::Health;
use crate::store::Store;
use crate::time::Instant;
use crate::user_event::UserEvent;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An immutable picture of the node after some applied batch. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct View {
    /// The replicated state.
    pub store: Store,
    /// The agent's own services and checks.
    pub local: Local,
    /// The configuration in force.
    pub config: Arc<RuntimeConfig>,
    /// This node's persisted ID.
    pub node_id: ServerId,
    /// Where raft stands.
    pub raft: RaftView,
    /// Who is there; without gossip, nobody.
    pub members: Arc<Members>,
    /// The newest user events, oldest first; at most 256.
    pub events: Arc<[UserEvent]>,
}

/// Who is there, as gossip tells it.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// The members of the datacenter, by name, the gone included; this node among them.
    pub lan: Vec<Member>,
    /// The servers of all datacenters, by name; empty on clients.
    pub wan: Vec<Member>,
    /// The numbers that `info` shows of the LAN pool.
    pub lan_stats: Stats,
    /// The same of the WAN pool.
    pub wan_stats: Stats,
    /// Where this node is in the space of round-trip times.
    pub coordinate: Option<Coordinate>,
}

/// What a read must know about raft.
#[derive(Clone, Debug)]
pub struct RaftView {
    /// Full status, for `info`, `self`, metrics and invariants.
    pub status: Arc<Status>,
    /// This server leads.
    pub is_leader: bool,
    /// The leader as far as known.
    pub leader: Option<ServerId>,
    /// The leader's `host:port` for `/v1/status/leader`; empty when unknown.
    pub leader_addr: Str,
    /// Current term.
    pub term: Term,
    /// The store holds everything up to here. An index of raft's log: those that users see are the store's.
    pub applied: Index,
    /// Until then this leader may answer default reads without asking: nobody else can lead.
    /// [`Instant::FAR_FUTURE`] for a one-voter cluster, [`Instant::ZERO`] when not leading or not
    /// caught up.
    pub lease_until: Instant,
    /// Whether reads may be answered from this server's own state, however old an answer they put up with. Not before a
    /// server that has started has applied what it found committed.
    pub caught_up: bool,
    /// When the leader was last heard from; `None` if never, or if this is the leader.
    pub last_contact: Option<Instant>,
    /// How the servers do, while this one leads; empty elsewhere.
    pub health: Arc<BTreeMap<ServerId, Health>>,
}
