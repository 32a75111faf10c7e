//! The composition: one [`Node`] hands inputs to the parts and moves their effects between them.
//!
//! No part knows another. This is the routing table, and `route.rs` is nothing but it:
//!
//! | effect | goes to |
//! |---|---|
//! | `Input::Call(Write)` | raft, if this server leads; else forwarded to the leader; else held |
//! | `Input::Call(ReadBarrier)` | the lease, or raft's read index; else as a write |
//! | `Input::Call(Agent)` | agent |
//! | `Input::Call(Metrics)` | answered at once with what was counted |
//! | raft `Apply` | store → change set → `Publish`, then the replies of the calls it carried |
//! | raft `CheckSnapshot` | a store of its own, not shown yet; raft |
//! | raft `RestoreSnapshot` | store, everything changed |
//! | raft `RoleChanged` | leader duties, held calls, agent (`ServerUp`), log |
//! | raft `Persist`, agent `Persist` | one ordered stream of `Output::Persist` |
//! | raft `Send` | `Output::Peer` |
//! | agent `Catalog` | as a call of its own, through the same door as everybody's |
//! | on a client: writes, agent `Catalog`, `Input::Call(Ask)` | router → `Output::Rpc` → whoever asked |
//! | `Input::Call(AskCached)` | cache → whoever asked, and the router |
//! | on a server: `Input::Call(WriteThere)`, `Input::Call(Ask)` | the same, to another datacenter or the leader |
//! | agent `RunCheck`, `CancelCheck` | outputs |
//! | `Input::Call(Placed)`, `Input::Call(Renew)` | leader duties |
//! | leader duties | raft, without anyone waiting |
//! | autopilot | raft's membership, gossip |
//! | `Input::DiskFull` on a leader | raft, to hand over |
//! | founding | disk, `Output::Peer`, raft's first entry |
//! | gossip's packets and streams | `Output::Gossip` |
//! | gossip `Member` | addresses of servers, view, memory for the next start |
//! | `Input::Call(Join)`, `retry_join` | `Output::Resolve` → gossip `Join` |
//!
//! Replies leave after the view that shows their effect: whoever has been answered can read it.
//!
//! Inputs that come together are worth more together: the effects of all that are handed over before
//! the outputs are drained share one batch for the disk and one view.

mod autopilot;
mod boot;
mod cached;
mod calls;
mod cluster;
mod datacenters;
mod forward;
mod founding;
mod full_disk;
mod gossiping;
mod input;
mod join;
mod keyring;
mod metrics;
mod output;
mod peer;
mod placing;
mod pools;
mod publish;
mod raft_effects;
pub mod recovery;
mod remote;
mod route;
mod sessions;
mod stopping;
mod tickets;

pub use crate::agent::LocalWrite;
pub use crate::call::{CallError, Reply, Request};
pub use crate::rpc::RpcError;
pub use boot::{Boot, BootError};
pub use input::{Input, StopKind};
pub use output::{DiskBatch, DiskImage, HaltReason, NetOrder, Output};

use crate::Str;
use crate::agent::{Agent, AgentInput};
use crate::cache::Cache;
use crate::config::RuntimeConfig;
use crate::ids::{CallId, FrontId, Index, Pool, ServerId, Ticket};
use crate::metrics::Recorder;
use crate::raft;
use crate::raft::{Raft, Role};
use crate::rng::Rng;
use crate::router::Router;
use crate::server::Leader;
use crate::server::autopilot::{Autopilot, Health};
use crate::server::founding::Founding;
use crate::server::lock_delay::LockDelays;
use crate::store::Store;
use crate::time::{Instant, Now};
use crate::user_event::UserEvent;
use crate::view::{Members, View};
use crate::watch::ChangeSet;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use calls::{Caller, Calls};
use core::net::SocketAddr;
use full_disk::Disk;
use join::Joins;
use keyring::KeysAsked;
use placing::Placing;
use pools::Pools;
use stopping::Stopping;
use tickets::Tickets;

/// One server or client agent as a state machine.
///
/// Drive it with [`Node::handle`] for every input that has come, then [`Node::poll_output`] until `None`,
/// then wait until [`Node::poll_timeout`].
#[derive(Debug)]
pub struct Node {
    config: Arc<RuntimeConfig>,
    id: ServerId,
    /// Where other servers take RPC, as gossip heard last.
    addresses: BTreeMap<ServerId, SocketAddr>,
    raft: Raft,
    store: Store,
    /// Snapshots from the leader that are read and on their way to the disk, by their last index.
    received: BTreeMap<Index, Store>,
    agent: Agent,
    leader: Leader,
    lock_delays: LockDelays,
    autopilot: Autopilot,
    /// What autopilot found last, as views show it.
    health: Arc<BTreeMap<ServerId, Health>>,
    founding: Founding,
    /// What is said about founding once a promise is on disk, oldest first.
    promises: VecDeque<(Ticket, ServerId, forward::Frame)>,
    /// What gossip shows of this server's cluster, and when the log last heard of another one.
    shown_cluster: Str,
    stranger_told: Option<Instant>,
    /// The cluster whose servers this client agent uses, and the others that the log has heard of.
    used_cluster: Str,
    clusters_told: BTreeSet<Str>,
    pools: Pools,
    joins: Joins,
    /// When the WAN pool was last compared with the LAN pool.
    flooded: Instant,
    /// The servers that a client asks; on a server, those of other datacenters, and the leader.
    router: Router<remote::Waiting>,
    /// What fronts have servers asked.
    asked: BTreeMap<(FrontId, CallId), remote::Asked>,
    /// Answers of servers that are kept, and the router's numbers of what it has asked.
    cache: Cache<Caller>,
    fetches: BTreeMap<u64, u64>,
    placing: Placing,
    /// The members written down last.
    remembered: BTreeMap<Pool, Vec<String>>,
    members: Arc<Members>,
    members_changed: bool,
    /// Pools whose members changed since they were looked at, and whether one of them is there.
    member_news: BTreeMap<Pool, bool>,
    events: Arc<[UserEvent]>,
    /// For what users are given an ID of.
    ids: Rng,
    keys_asked: Vec<KeysAsked>,
    /// Keyrings that are on their way to the disk, oldest first.
    keys_kept: VecDeque<(Ticket, Pool)>,
    stopping: Option<Stopping>,
    calls: Calls,
    tickets: Tickets,
    /// Inputs for raft and the agent: a part is only stepped once its effects are drained.
    to_raft: VecDeque<raft::Input>,
    to_agent: VecDeque<AgentInput>,
    /// The agent's records for the next disk batch.
    records: Vec<LocalWrite>,
    /// Inputs taken whose effects have not been moved, and when the last of them came.
    taken: usize,
    now: Now,
    disk: Disk,
    /// What changed since the last `Publish`.
    changes: ChangeSet,
    /// The view must be published again even if no record changed.
    stale_view: bool,
    view: Arc<View>,
    replies: VecDeque<Output>,
    outputs: VecDeque<Output>,
    /// Replies of the agent that wait for the disk, oldest first.
    after_flush: VecDeque<(Ticket, calls::Caller, Reply)>,
    /// Who waits for the configuration to be read again.
    reloads: VecDeque<calls::Caller>,
    started: Now,
    metrics: Recorder,
    /// The role last counted and logged; raft also speaks of other terms and leaders in the same role.
    told_role: Option<Role>,
    /// Entries of this leader that are not applied yet, and when they were proposed.
    proposals: VecDeque<(Index, Instant)>,
    /// Ends of entries that came from a leader and are not yet on the disk.
    appends: VecDeque<(Index, Instant)>,
    halted: bool,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl Node {
    /// Takes in one event. What it leads to shows in the outputs only, and in what is asked of the node
    /// after they are drained.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.halted {
            return;
        }
        self.now = now;
        self.taken += 1;
        self.take(now, input);
    }

    /// The next output, oldest first. Drain to `None` before waiting for the next input; several inputs
    /// that have already come may be handed over before.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.taken > 0 {
            self.settle();
        }
        self.outputs.pop_front()
    }

    /// When to hand in [`Input::Wake`] at the latest; `None` when only an event can change anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.halted {
            return None;
        }
        [
            self.raft.poll_timeout(),
            self.agent.poll_timeout(),
            self.leader.poll_timeout(),
            self.founding.poll_timeout(),
            self.autopilot.poll_timeout(),
            self.calls.poll_timeout(),
            self.pools.poll_timeout(),
            self.joins.poll_timeout(),
            self.flood_due(),
            self.place_due(),
            self.router.poll_timeout(),
            self.cache.poll_timeout(),
            self.stopping_until(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// This node's persisted ID.
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// The view published last.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Where raft stands, for checkers.
    pub fn raft_status(&self) -> raft::Status {
        self.raft.status()
    }

    /// The replicated state as applied, for checkers.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[cfg(test)]
mod tests;
