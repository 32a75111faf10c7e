//! What the node counts of its own work.

use super::Node;
use crate::command::Command;
use crate::ids::Index;
use crate::metrics::{Metric, Report};
use crate::raft::Role;
use crate::time::{Instant, Now};
use alloc::boxed::Box;

impl Node {
    /// What was counted since the start. The driver adds what it and the other threads have counted.
    pub(super) fn report(&self, now: Now) -> Box<Report> {
        let mut report = Box::new(Report::new(now, self.started));
        report.add(&self.metrics);
        report
    }

    /// This leader's raft took an entry in. What raft may have in flight bounds the queue.
    pub(super) fn proposed(&mut self, now: Now, index: Index) {
        self.proposals.push_back((index, now.mono));
    }

    /// An entry is committed and applied: how long it took, if it was proposed here.
    pub(super) fn committed(&mut self, now: Now, index: Index, command: Option<&Command>) {
        let mut since: Option<Instant> = None;
        while let Some((proposed, at)) = self.proposals.front().copied()
            && proposed <= index
        {
            since = (proposed == index).then_some(at);
            self.proposals.pop_front();
        }
        let Some(since) = since else { return };
        let took = now.mono.since(since);
        self.metrics.time(now, Metric::RaftCommitTime, took);
        let metric = match command {
            Some(Command::Kv(_)) => Metric::KvsApply,
            Some(Command::Txn(_)) => Metric::TxnApply,
            Some(Command::Register(_)) => Metric::CatalogRegister,
            Some(Command::Deregister(_)) => Metric::CatalogDeregister,
            _ => return,
        };
        self.metrics.time(now, metric, took);
    }

    /// This server has another role.
    pub(super) fn count_role(&mut self, now: Now, role: Role) {
        self.proposals.clear();
        let metric = match role {
            Role::Follower => Metric::RaftStateFollower,
            Role::PreCandidate => Metric::RaftHeartbeatTimeout,
            Role::Candidate => Metric::RaftStateCandidate,
            Role::Leader => Metric::RaftStateLeader,
        };
        self.metrics.count(now, metric);
    }
}
