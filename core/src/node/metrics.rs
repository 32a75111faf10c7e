//! What the node counts of its own work.

use super::Node;
use crate::command::Command;
use crate::gossip::MemberChange;
use crate::ids::{Index, Pool};
use crate::metrics::{Metric, Report};
use crate::raft::{Body, Message, Role};
use crate::time::{Instant, Now};
use alloc::boxed::Box;

/// More runs of entries than this are not on their way from a leader.
const MAX_APPENDS: usize = 1024;

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
            Some(Command::Session(_)) => Metric::SessionApply,
            Some(Command::Register(_)) => Metric::CatalogRegister,
            Some(Command::Deregister(_)) => Metric::CatalogDeregister,
            _ => return,
        };
        self.metrics.time(now, metric, took);
    }

    /// Entries that a leader sent: how long until they are acknowledged is measured. A leader bounds what it has in flight;
    /// what many of them claim is not kept.
    pub(super) fn received(&mut self, now: Now, message: &Message) {
        if let Body::Append { entries, .. } = &message.body
            && message.term == self.raft.term()
            && let Some(last) = entries.last()
            && self.appends.len() < MAX_APPENDS
        {
            self.appends.push_back((last.index, now.mono));
        }
    }

    /// The answer to a leader: what it covers is on the disk, and after a conflict nothing is awaited any more.
    pub(super) fn acknowledges(&mut self, now: Now, body: &Body) {
        match body {
            Body::AppendOk { upto } => {
                while let Some((last, since)) = self.appends.front().copied()
                    && last <= *upto
                {
                    self.appends.pop_front();
                    self.metrics.time(now, Metric::RaftAppendEntries, now.mono.since(since));
                }
            }
            Body::AppendConflict { .. } => self.appends.clear(),
            _ => {}
        }
    }

    /// What the gossip pools have done since the last time.
    pub(super) fn count_gossip(&mut self, now: Now) {
        for pool in [Pool::Lan, Pool::Wan] {
            let Some((news, refused)) = self.pools.news(pool) else { continue };
            let network = network(pool);
            for (metric, more) in [
                (Metric::MemberlistUdpReceived, news.packet_bytes_in),
                (Metric::MemberlistUdpSent, news.packet_bytes_out),
                (Metric::MemberlistTcpAccept, news.streams_in),
                (Metric::MemberlistTcpConnect, news.streams_out),
                (Metric::MemberlistTcpSent, news.stream_bytes_out),
                (Metric::MemberlistMsgAlive, news.alive),
                (Metric::MemberlistMsgSuspect, news.suspect),
                (Metric::MemberlistMsgDead, news.dead),
                (Metric::MemberlistDegradedProbe, news.degraded_probes),
                (Metric::SerfEvents, news.events),
                (Metric::SerfQueries, news.queries),
            ] {
                if more > 0 {
                    self.metrics.count_with(now, metric, &[("network", network)], more);
                }
            }
            for (kind, more) in refused.into_iter().filter(|(_, more)| *more > 0) {
                let labels = [("kind", kind), ("network", network)];
                self.metrics.count_with(now, Metric::GossipRefused, &labels, more);
            }
        }
    }

    /// A member came, went or changed.
    pub(super) fn count_member(&mut self, now: Now, pool: Pool, change: MemberChange) {
        let metric = match change {
            MemberChange::Join => Metric::SerfMemberJoin,
            MemberChange::Leave => Metric::SerfMemberLeft,
            MemberChange::Failed => Metric::SerfMemberFailed,
            MemberChange::Update | MemberChange::Reap => return,
        };
        self.metrics.count_with(now, metric, &[("network", network(pool))], 1);
    }

    /// This server has another role.
    pub(super) fn count_role(&mut self, now: Now, role: Role) {
        let metric = match role {
            Role::Follower => Metric::RaftStateFollower,
            Role::PreCandidate => Metric::RaftHeartbeatTimeout,
            Role::Candidate => Metric::RaftStateCandidate,
            Role::Leader => Metric::RaftStateLeader,
        };
        self.metrics.count(now, metric);
    }
}

fn network(pool: Pool) -> &'static str {
    match pool {
        Pool::Lan => "lan",
        Pool::Wan => "wan",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Str;
    use crate::config::RuntimeConfig;
    use crate::ids::{ServerId, Term};
    use crate::metrics::{Filter, Naming};
    use crate::node::{Boot, DiskImage, Output};
    use crate::raft::{Entry, LogId, Membership, Payload};
    use crate::rng::Seed;
    use crate::time::{Duration, WallTime};
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    fn one_of_three() -> Node {
        let ids = ["a", "b", "c"].map(ServerId::from);
        let boot = Boot {
            config: Arc::new(RuntimeConfig { node_name: Str::from("n1"), ..RuntimeConfig::default() }),
            node_id: ids[0].clone(),
            disk: DiskImage::default(),
            bootstrap: Some(Membership::of_voters(ids)),
            addresses: BTreeMap::new(),
            seed: Seed::from_u64(1),
        };
        Node::boot(boot, at(0)).expect("an empty disk boots")
    }

    fn at(milliseconds: u64) -> Now {
        Now { mono: Instant::ZERO + Duration::from_millis(milliseconds), wall: WallTime(0) }
    }

    fn prometheus(node: &Node, now: Now) -> String {
        let filter = Filter::default();
        let naming = Naming {
            prefix: "consul",
            hostname: None,
            node: "n1",
            filter: &filter,
            server: true,
            retention_seconds: 60,
        };
        node.report(now).prometheus(&naming)
    }

    #[test]
    fn entries_of_a_leader_are_timed_until_they_are_acknowledged() {
        let mut node = one_of_three();
        let term = node.raft.term();
        let append = |index: u64| {
            let entry = Entry { index: Index(index), term: Term(1), payload: Payload::Noop };
            let prev = LogId { index: Index(index - 1), term: Term(1) };
            let body = Body::Append { prev, commit: Index(0), entries: alloc::vec![entry] };
            Message { term, body }
        };
        node.received(at(0), &append(5));
        node.received(at(10), &append(6));
        node.received(at(20), &append(7));
        node.acknowledges(at(30), &Body::AppendOk { upto: Index(6) });
        let text = prometheus(&node, at(30));
        assert!(text.contains("consul_raft_rpc_appendEntries_count 2\n"), "{text}");
        assert!(text.contains("consul_raft_rpc_appendEntries_sum 50\n"), "{text}");
        let conflict =
            Body::AppendConflict { prev: Index(6), hint: LogId { index: Index(6), term: Term(1) } };
        node.acknowledges(at(40), &conflict);
        node.acknowledges(at(50), &Body::AppendOk { upto: Index(9) });
        assert!(prometheus(&node, at(50)).contains("consul_raft_rpc_appendEntries_count 2\n"));
        (0..2 * MAX_APPENDS).for_each(|_| node.received(at(60), &append(9)));
        assert_eq!(node.appends.len(), MAX_APPENDS);
    }

    #[test]
    fn a_role_is_counted_and_logged_when_it_begins_and_not_at_every_term_and_leader() {
        let ids = ["a", "b", "c"].map(ServerId::from);
        let (now, mut node) = (at(0), one_of_three());
        for (role, term, leader) in [
            (Role::Follower, 1, None),
            (Role::Follower, 1, Some(&ids[1])),
            (Role::Follower, 2, None),
            (Role::Follower, 2, Some(&ids[2])),
            (Role::PreCandidate, 2, None),
            (Role::Follower, 2, Some(&ids[2])),
        ] {
            node.role_changed(now, role, Term(term), leader.cloned());
        }
        let text = prometheus(&node, now);
        assert!(text.contains("consul_raft_state_follower 2\n"), "{text}");
        let events: Vec<_> = core::iter::from_fn(|| node.poll_output())
            .filter_map(|output| match output {
                Output::Event(event) => Some(format!("{event:?}")),
                _ => None,
            })
            .collect();
        let count = |text: &str| events.iter().filter(|event| event.contains(text)).count();
        assert_eq!(count("entering follower state"), 2, "{events:?}");
        assert_eq!(count("New leader elected"), 3, "{events:?}");
    }
}
