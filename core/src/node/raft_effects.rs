//! What raft's effects mean to the rest of the node: what is applied, who leads, and who is answered.

use super::Node;
use super::calls::{Call, Caller, Work};
use super::forward::Frame;
use super::output::{HaltReason, Output};
use super::stopping;
use crate::Str;
use crate::agent::AgentInput;
use crate::call::{CallError, Reply};
use crate::command::Command;
use crate::event::{Event, Level};
use crate::ids::{CallId, Index, ServerId, Term};
use crate::raft::{self, Body, Effect, Entry, Payload, ProposeError, ReadError, Role, SnapshotMeta};
use crate::store::{Applied, Store};
use crate::time::Now;
use crate::watch::ChangeSet;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

impl Node {
    /// Moves one effect of raft on.
    pub(super) fn on_raft(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                let cluster = self.raft.membership().cluster;
                self.log_vote("to", &to, &message);
                self.acknowledges(now, &message.body);
                // Whoever is told to campaign may win at any moment: the fronts know first that the lease is over.
                let last = matches!(message.body, raft::Body::TimeoutNow);
                let output = self.to_peer(to, &Frame::Raft { cluster, message });
                let outputs = if last { &mut self.replies } else { &mut self.outputs };
                outputs.push_back(output);
            }
            Effect::Persist { ticket, batch } => {
                let ticket = self.tickets.issue_raft(ticket);
                self.persist(ticket, Some(batch));
            }
            Effect::Apply { entries } => {
                for entry in entries {
                    self.apply(now, entry);
                    if self.halted {
                        return;
                    }
                }
            }
            Effect::Accepted { call, index, term } => {
                self.proposed(now, index);
                if let Some(Caller::Peer(server, id)) = self.calls.accepted(call, index, term) {
                    let (server, id) = (server.clone(), *id);
                    self.send(server, Frame::Accepted { id, index, term });
                }
            }
            Effect::Rejected { call, error } => {
                let error = match error {
                    ProposeError::NotLeader { .. } | ProposeError::Transferring => CallError::NoLeader,
                    ProposeError::Busy => CallError::Busy,
                    ProposeError::TooLarge => CallError::TooLarge,
                    other => CallError::Refused(other.to_string()),
                };
                self.finish(call, Reply::Failed(error));
            }
            Effect::Lost { call } => self.finish(call, Reply::Failed(CallError::NoLeader)),
            Effect::Unknown { call } => self.finish(call, Reply::Failed(CallError::Unknown)),
            Effect::ReadReady { call, index } => self.finish(call, Reply::Barrier { index }),
            Effect::ReadRejected { call, error: ReadError::Busy } => {
                self.finish(call, Reply::Failed(CallError::Busy));
            }
            Effect::ReadRejected {
                call,
                error: ReadError::NotLeader { .. } | ReadError::LostLeadership { .. },
            } => {
                match self.calls.take(call) {
                    // Whoever leads next is asked.
                    Some(from @ Caller::Front(..)) => {
                        let work = Work::Barrier { consistent: true };
                        self.dispatch(now, now.mono + self.brief_hold(), Call { from, work });
                    }
                    Some(from) => self.answer(from, Reply::Failed(CallError::NoLeader)),
                    None => {}
                }
            }
            Effect::TransferEnded { call, result } => {
                let reply = match result {
                    Ok(()) => Reply::Done,
                    Err(error) => Reply::Failed(CallError::Refused(error.to_string())),
                };
                self.finish(call, reply);
                if self.raft.role() == Role::Leader {
                    for (deadline, call) in self.calls.release() {
                        self.dispatch(now, deadline, call);
                    }
                }
            }
            Effect::Contradicted { at } => self.halt(HaltReason::Contradicted { at }),
            Effect::BuildSnapshot { at } => {
                invariant!(at.index.0 == self.store.log_index(), "a snapshot is of the applied state");
                let store = Box::new(self.store.clone());
                self.outputs.push_back(Output::BuildSnapshot { at: at.index, term: at.term, store });
            }
            Effect::CheckSnapshot { meta, data } => {
                let readable = self.read_received(&meta, &data) || mutant!(self, InstallsUnread);
                // Before anything that came later: nothing that raft holds may change in between.
                self.to_raft.push_front(raft::Input::SnapshotChecked { at: meta.id(), readable });
            }
            Effect::RestoreSnapshot { meta } => self.restore(meta.index),
            Effect::RoleChanged { role, term, leader } => self.role_changed(now, role, term, leader),
            Effect::MembershipChanged { .. } => {
                self.stale_view = true;
                self.found(now);
            }
        }
    }

    /// Reads a snapshot that the leader sent, and keeps what was read until it is on disk.
    fn read_received(&mut self, meta: &SnapshotMeta, data: &[u8]) -> bool {
        let error = match Store::decode_snapshot(data) {
            Ok(store) if store.log_index() == meta.index.0 => {
                self.received.insert(meta.index, store);
                return true;
            }
            Ok(store) => format!("it ends at index {}", store.log_index()),
            Err(error) => error.to_string(),
        };
        let leader = self.raft.leader().map(|leader| self.server_name(leader)).unwrap_or_default();
        let text = "a snapshot from the leader cannot be read and is not taken: this server keeps what it has, \
                    and asks again later";
        let event = Event::new(Level::Error, "agent.server.raft", text);
        let event = event.with("leader", &*leader).with_number("index", meta.index.0);
        self.log(event.with("error", error));
        false
    }

    /// A snapshot that was read is on disk now.
    fn restore(&mut self, index: Index) {
        let later = self.received.split_off(&Index(index.0 + 1));
        let Some(store) = core::mem::replace(&mut self.received, later).remove(&index) else {
            let error = String::from("the snapshot was never read");
            return self.halt(HaltReason::UnreadableEntry { index, error });
        };
        self.store = store;
        if !mutant!(self, SnapshotWakesNobody) {
            self.changes = ChangeSet::everything();
        }
        #[cfg(feature = "mutants")]
        self.harm_restored_store();
        for caller in self.calls.jumped(index) {
            self.answer(caller, Reply::Failed(CallError::Unknown));
        }
    }

    pub(super) fn finish(&mut self, call: CallId, reply: Reply) {
        if let Some(caller) = self.calls.take(call) {
            self.answer(caller, reply);
        }
    }

    fn apply(&mut self, now: Now, Entry { index, term, payload }: Entry) {
        let (mut result, mut restored) = (Applied::Ok, false);
        // Raft's own, until an archive was restored.
        let next = self.store.applied() + 1;
        match payload {
            Payload::Noop | Payload::Membership(_) => {
                self.autopilot.hurry(now.mono);
                self.committed(now, index, None);
                if payload == Payload::Noop {
                    // A leader has begun.
                    self.store.forget_unfinished();
                }
                self.store.skip(next);
            }
            Payload::Command(bytes) => match Command::decode(&bytes) {
                Ok(command) => {
                    restored = matches!(&command, Command::Restore(part) if part.is_last());
                    let skips = mutant!(self, FollowersSkipRestores) && self.raft.role() != Role::Leader;
                    if restored && skips {
                        self.store.skip(next);
                    } else {
                        result = self.store.apply(next, &command, &mut self.changes);
                    }
                    let buried = self.store.tombstones_index() == next;
                    if mutant!(self, DeletesWakeNobody) && buried {
                        self.changes.keys.clear();
                    }
                    self.committed(now, index, Some(&command));
                    if buried {
                        self.leader.keys_deleted(now.mono, next);
                    }
                }
                Err(error) => {
                    return self.halt(HaltReason::UnreadableEntry { index, error: error.to_string() });
                }
            },
        }
        self.stale_view = true;
        if restored && result == Applied::Ok {
            self.restored_archive(now);
        }
        if self.raft.role() == Role::Leader && term == self.raft.term() && !self.leader.active() {
            self.leader.start(now.mono, &self.store);
            self.autopilot.start(now.mono);
        }
        for (caller, meant) in self.calls.applied(index, term) {
            let reply = if meant {
                Reply::Applied { index, result: result.clone() }
            } else {
                Reply::Failed(CallError::NoLeader)
            };
            self.answer(caller, reply);
        }
    }

    /// An archive has taken the place of everything: whoever leads compares the catalog with what it knows, and each
    /// agent with what it has.
    fn restored_archive(&mut self, now: Now) {
        if self.leader.active() && !mutant!(self, WatchesNoRestoredSessions) {
            self.leader.start(now.mono, &self.store);
        }
        self.to_agent.push_back(AgentInput::ServerUp);
        let event = Event::new(Level::Info, "agent.server.snapshot", "restored snapshot");
        self.log(event.with_number("index", self.store.applied()));
    }

    pub(super) fn role_changed(&mut self, now: Now, role: Role, term: Term, leader: Option<ServerId>) {
        self.stale_view = true;
        self.proposals.clear();
        self.appends.clear();
        if role != Role::Leader {
            if self.leader.active() {
                self.log(Event::new(Level::Info, "agent.server", "cluster leadership lost"));
            }
            self.leader.stop();
            self.autopilot.stop();
            self.health = Arc::default();
            for caller in self.calls.abandon_accepted() {
                let error = match mutant!(self, UnknownAsFailed) {
                    false => CallError::Unknown,
                    true => CallError::NoLeader,
                };
                self.answer(caller, Reply::Failed(error));
            }
        }
        self.route_leader();
        if self.told_role.replace(role) != Some(role) {
            self.count_role(now, role);
            self.log_role(role, term);
        }
        if let Some(leader) = leader {
            let payload = self.server_name(&leader);
            self.log(
                Event::new(Level::Info, "agent.server", "New leader elected").with("payload", &*payload),
            );
            let (writes, barriers) = self.calls.outlived(term);
            for caller in writes {
                self.answer(caller, Reply::Failed(CallError::Unknown));
            }
            for (deadline, call) in self.calls.release().into_iter().chain(barriers) {
                self.dispatch(now, deadline, call);
            }
            self.to_agent.push_back(AgentInput::ServerUp);
        } else {
            for (deadline, call) in self.calls.leaderless(now.mono + self.brief_hold()) {
                self.dispatch(now, deadline, call);
            }
        }
    }

    /// The name of a server: as gossip has it, else as the catalog does, for raft may hear of it first.
    pub(super) fn server_name(&self, id: &ServerId) -> Str {
        if *id == self.id {
            return self.config.node_name.clone();
        }
        let gossiped = self.pools.servers().get(id).map(|server| server.name.clone());
        let registered = || self.store.node_by_id_prefix(id).map(|node| node.node.clone());
        gossiped.or_else(registered).unwrap_or_else(|| id.clone())
    }

    /// What servers say to each other about an election.
    pub(super) fn log_vote(&mut self, way: &'static str, other: &ServerId, message: &raft::Message) {
        let text = match message.body {
            Body::PreVote { .. } => "asking whether it would vote",
            Body::Vote { .. } => "asking for vote",
            Body::PreVoteReply { granted: true } => "would vote",
            Body::PreVoteReply { granted: false } => "would not vote",
            Body::VoteReply { granted: true } => "vote granted",
            Body::VoteReply { granted: false } => "vote refused",
            Body::TimeoutNow => "handing leadership over",
            _ => return,
        };
        let event = Event::new(Level::Debug, "agent.server.raft", text);
        let event = event.with(way, &*self.server_name(other));
        self.log(event.with_number("term", message.term.0));
    }

    fn log_role(&mut self, role: Role, term: Term) {
        let leaves = self.stopping.as_ref().is_some_and(stopping::Stopping::leaves);
        if leaves && matches!(role, Role::PreCandidate | Role::Candidate) {
            // It hears no leader because it was let go: nobody will elect it.
            return;
        }
        let name = match role {
            Role::Follower => "entering follower state",
            Role::PreCandidate => "heartbeat timeout reached, starting election",
            Role::Candidate => "entering candidate state",
            Role::Leader => "entering leader state",
        };
        let level = if role == Role::PreCandidate { Level::Warn } else { Level::Info };
        self.log(Event::new(level, "agent.server.raft", name).with_number("term", term.0));
        if role == Role::Leader {
            self.log(Event::new(Level::Info, "agent.server", "cluster leadership acquired"));
        }
    }

    #[cfg(feature = "mutants")]
    fn harm_restored_store(&mut self) {
        self.store.mutant = self.mutant;
        self.stale_view = true;
        if mutant!(self, SnapshotLosesIndexes) {
            self.store.forget_indexes();
        }
    }
}
