//! The view that fronts answer from: what goes into it, and when there is a new one.

use super::Node;
use super::output::Output;
use crate::Str;
use crate::agent::Agent;
use crate::config::RuntimeConfig;
use crate::ids::{Index, ServerId};
use crate::raft::{Raft, Role};
use crate::store::Store;
use crate::time::Instant;
use crate::view::{RaftView, View};
use crate::watch::ChangeSet;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::net::SocketAddr;

impl Node {
    /// Shows what changed since the last view, if anything did.
    pub(super) fn publish(&mut self) {
        let mut lease_until = self.raft.lease_until().unwrap_or(Instant::ZERO);
        if mutant!(self, DefaultReadsAnywhere) {
            lease_until = Instant::FAR_FUTURE;
        }
        let shown = &self.view.raft;
        let same = lease_until == shown.lease_until && self.is_readable() == shown.caught_up;
        if !self.stale_view && same {
            let only_local = self.changes == ChangeSet { local: true, ..ChangeSet::default() };
            if self.changes.is_empty() || only_local && self.is_shown_with_a_flush() {
                return;
            }
        }
        self.heed_sessions();
        let raft = raft_view(&self.raft, Index(self.store.log_index()), &self.id, &self.addresses);
        let caught_up = self.is_readable();
        let raft = RaftView { lease_until, caught_up, health: self.health.clone(), ..raft };
        self.stale_view = false;
        self.view = Arc::new(View {
            store: self.store.clone(),
            local: self.agent.local(),
            config: self.config.clone(),
            node_id: self.id.clone(),
            raft,
            members: self.members.clone(),
            events: self.events.clone(),
        });
        let changes = Arc::new(core::mem::take(&mut self.changes));
        self.outputs.push_back(Output::Publish { view: self.view.clone(), changes });
    }

    /// A client agent answers from nothing of its own that could be behind.
    fn is_readable(&self) -> bool {
        self.raft.is_caught_up() || !self.config.server
    }

    /// Nobody is answered now, and the agent waits for the disk before it answers: what it has changed is shown
    /// then. Each view makes copies of what is written next.
    fn is_shown_with_a_flush(&self) -> bool {
        self.replies.is_empty() && self.tickets.unflushed_local().is_some()
    }
}

/// The view before anything is published.
pub(super) fn first_view(
    config: &Arc<RuntimeConfig>,
    id: &ServerId,
    store: &Store,
    agent: &Agent,
    raft: &Raft,
) -> Arc<View> {
    Arc::new(View {
        store: store.clone(),
        local: agent.local(),
        config: config.clone(),
        node_id: id.clone(),
        raft: raft_view(raft, Index(store.log_index()), id, &BTreeMap::new()),
        members: Arc::default(),
        events: Arc::default(),
    })
}

fn raft_view(
    raft: &Raft,
    applied: Index,
    id: &ServerId,
    addresses: &BTreeMap<ServerId, SocketAddr>,
) -> RaftView {
    let status = raft.status();
    let leader = status.leader.clone();
    let leader_addr = leader
        .as_ref()
        .and_then(|l| addresses.get(l))
        .map_or_else(|| Str::from(""), |a| Str::from(a.to_string()));
    RaftView {
        is_leader: status.role == Role::Leader,
        last_contact: if leader.as_ref() == Some(id) { None } else { status.leader_contact },
        leader,
        leader_addr,
        term: status.term,
        applied,
        caught_up: raft.is_caught_up(),
        lease_until: status.lease_until.unwrap_or(Instant::ZERO),
        health: Arc::default(),
        status: Arc::new(status),
    }
}
