//! The routing table of `node/mod.rs`, as code. Logic stays in the parts.

use super::Node;
use super::boot::election_timeout;
use super::calls::{Call, Caller, Work};
use super::forward::{Frame, Refusal};
use super::input::{Input, StopKind};
use super::output::{DiskBatch, HaltReason, Output};
use super::stopping;
use crate::Str;
use crate::agent::{AgentEffect, AgentInput, AgentRequest, CatalogCall, CatalogNode, CatalogReply};
use crate::call::{CallError, Reply, Request};
use crate::command::{Command, KvCommand, TxnOp};
use crate::config::{self, RuntimeConfig};
use crate::event::{Event, Level};
use crate::gossip::Gossip;
use crate::ids::{CallId, Index, Pool, ServerId, Term, Ticket};
use crate::metrics::Metric;
use crate::raft::{self, Body, Effect, Entry, Payload, ProposeError, ReadError, Role};
use crate::store::{Applied, Store};
use crate::time::{Duration, Instant, Now};
use crate::types::KvOp;
use crate::watch::ChangeSet;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Rounds of moving effects for each input. One input may have a great many: a table of gossip with 65,536 members, as
/// many reads that wait for a leader who steps down, 200,000 checks that are due after a pause, each of them a few
/// rounds. More than this means that two parts are feeding each other.
const MAX_ROUNDS: usize = 10_000_000;

impl Node {
    /// Hands one input to the part it is for.
    pub(super) fn take(&mut self, now: Now, input: Input) {
        match input {
            Input::Wake => self.wake(now),
            Input::Call { from, call, request } => self.request(now, Caller::Front(from, call), request),
            Input::Peer { from, bytes } => self.peer(now, from, bytes),
            Input::PeerAt { from, at } => self.greeted(from, at),
            Input::PeerLost { from } => self.to_raft.push_back(raft::Input::PeerLost { from }),
            Input::Persisted { upto } => {
                if let Some(upto) = self.tickets.persisted(upto) {
                    self.to_raft.push_back(raft::Input::Persisted { upto });
                }
                while let Some((ticket, _, _)) = self.after_flush.front()
                    && self.tickets.flushed(*ticket)
                {
                    if let Some((_, caller, reply)) = self.after_flush.pop_front() {
                        self.answer(caller, reply);
                    }
                }
                self.send_promises();
                self.say_keys_kept(now);
            }
            Input::PersistFailed { error, .. } => self.halt(HaltReason::PersistFailed(error)),
            Input::DiskFull(full) => self.disk_full(now, full),
            Input::SnapshotBuilt { at, data } => {
                self.to_raft.push_back(raft::Input::SnapshotBuilt { index: at, data });
            }
            Input::CheckDone { run, outcome } => {
                self.to_agent.push_back(AgentInput::CheckDone { run, outcome })
            }
            Input::Reloaded(result) => self.reloaded(result.map(|config| *config)),
            Input::Stop(kind) => self.stop(now, kind, None),
            Input::Gossip { pool, input } => {
                self.pools.handle(now.mono, pool, input);
            }
            Input::RpcDone { call, result } => self.router.answered(now.mono, call, result),
            Input::Resolved { lookup, found } => self.resolved(now, lookup, found),
        }
    }

    fn wake(&mut self, now: Now) {
        if self.raft.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.to_raft.push_back(raft::Input::Wake);
        }
        if self.agent.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.to_agent.push_back(AgentInput::Wake);
        }
        self.pools.wake(now.mono);
        self.join_due(now);
        self.flood_again(now);
        self.tell_place(now);
        self.router.wake(now.mono);
        self.cache.wake(now.mono);
        if self.founding.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.found(now);
        }
        for (caller, reply) in self.calls.expire(now.mono) {
            self.answer(caller, reply);
        }
    }

    /// What the leader owes the catalog now.
    fn do_duties(&mut self, now: Now) {
        let members: Vec<_> = self.pools.get(Pool::Lan).into_iter().flat_map(Gossip::members).collect();
        for (event, command) in self.leader.due(now.mono, &self.store, &members) {
            if let Some(event) = event {
                self.outputs.push_back(Output::Event(event));
            }
            self.lead(now, Call { from: Caller::Duty, work: Work::write(&command) });
        }
    }

    fn request(&mut self, now: Now, from: Caller, request: Request) {
        if self.is_ending() && !matches!(request, Request::Abandon(_) | Request::Leave) {
            // What was taken before is carried out; what comes now would be cut off half done.
            let error = match request {
                Request::ForAgent(_) => CallError::NoLeader,
                _ => CallError::Refused("this agent is shutting down, nothing was changed".into()),
            };
            return self.answer(from, Reply::Failed(error));
        }
        let (request, hold_until) = match request {
            Request::ForAgent(request) => (*request, self.hold_until(now).min(now.mono + self.brief_hold())),
            request => (request, self.hold_until(now)),
        };
        match request {
            Request::Write(command) if !self.config.server => {
                let own = self.config.datacenter.clone();
                self.write_there(now, from, &own, &command);
            }
            Request::Write(command) => {
                let work = Work::write(&command);
                self.dispatch(now, hold_until, Call { from, work });
            }
            Request::WriteThere { datacenter, command } => {
                self.write_there(now, from, &datacenter, &command);
            }
            Request::Placed(said) => self.placed(now, from, *said),
            Request::Datacenters => {
                let known = self.datacenters();
                self.answer(from, Reply::Datacenters(known));
            }
            Request::ReadBarrier { consistent } => {
                let work = Work::Barrier { consistent };
                self.dispatch(now, hold_until, Call { from, work });
            }
            // Fronts wrap nothing else.
            Request::ForAgent(_) => self.answer(from, Reply::Failed(CallError::Busy)),
            Request::Ask(ask) => self.ask_server(now, from, ask),
            Request::AskCached(wanted) => self.ask_cached(now, from, wanted),
            Request::Abandon(call) => self.abandon(&from, call),
            // A heartbeat must not need the disk; everything else would be written.
            Request::Agent(request)
                if self.disk.full && !matches!(request, AgentRequest::UpdateTtl { .. }) =>
            {
                self.answer(from, Reply::Failed(CallError::DiskFull));
            }
            Request::Agent(request) => {
                let call = self.calls.for_raft(from);
                self.to_agent.push_back(AgentInput::Request { call, request });
            }
            Request::Metrics => {
                let report = self.report(now);
                self.answer(from, Reply::Metrics(report));
            }
            Request::Reload => {
                self.reloads.push_back(from);
                if self.reloads.len() == 1 {
                    self.outputs.push_back(Output::ReadConfig);
                }
            }
            Request::Leave => self.stop(now, StopKind::Leave, Some(from)),
            Request::Join { pool, names } => self.join(from, pool, names),
            Request::ForceLeave { node, prune, wan } => self.force_leave(now, from, &node, prune, wan),
            Request::Event { event, datacenter } => self.shout(now, from, &datacenter, *event),
            Request::Shout { name, payload } => self.shout_for(now, from, &name, payload),
            Request::Keys { command, relay_factor, local } => {
                self.keys(now, from, &command, relay_factor, local);
            }
            Request::Membership(change) => {
                let call = self.calls.for_raft(from);
                self.to_raft.push_back(raft::Input::ChangeMembership { call, change });
            }
            Request::TransferLeadership(to) => {
                let call = self.calls.for_raft(from);
                self.to_raft.push_back(raft::Input::TransferLeadership { call, to });
            }
        }
    }

    fn hold_until(&self, now: Now) -> Instant {
        now.mono + self.config.performance.rpc_hold_timeout
    }

    /// How long a leader is waited for on behalf of those who have others to ask, and for word of one that was
    /// sent something: long enough for an election that goes well.
    fn brief_hold(&self) -> Duration {
        election_timeout(&self.config) * 2
    }

    /// Sends work to whoever leads: here, elsewhere, or nobody yet.
    fn dispatch(&mut self, now: Now, deadline: Instant, call: Call) {
        if self.raft.role() == Role::Leader {
            return self.lead(now, call);
        }
        match self.raft.leader().cloned() {
            Some(leader) if leader != self.id => {
                match self.calls.forward(deadline, self.hold_until(now), self.raft.term(), call) {
                    Ok((id, work)) => self.send(leader, Frame::Ask { id, work }),
                    Err(call) => self.answer(call.from, Reply::Failed(CallError::Busy)),
                }
            }
            _ if deadline <= now.mono => self.answer(call.from, Reply::Failed(CallError::NoLeader)),
            _ => {
                if let Err(call) = self.calls.hold(deadline, call) {
                    self.answer(call.from, Reply::Failed(CallError::Busy));
                }
            }
        }
    }

    /// Keeps a call for the next leader: not for long, for the same one may go on.
    fn hold(&mut self, now: Now, until: Instant, call: Call) {
        if let Err(call) = self.calls.hold(until.min(now.mono + self.brief_hold()), call) {
            self.answer(call.from, Reply::Failed(CallError::Busy));
        }
    }

    /// Does work as the leader.
    fn lead(&mut self, now: Now, Call { from, work }: Call) {
        match work {
            Work::Write(_) if self.disk.full => self.answer(from, Reply::Failed(CallError::DiskFull)),
            // Another server holds its own.
            Work::Write(_)
                if self.raft.is_handing_over() && matches!(from, Caller::Front(..) | Caller::Agent(_)) =>
            {
                self.hold(now, self.hold_until(now), Call { from, work });
            }
            Work::Write(command) => {
                self.metrics.count(now, Metric::RaftApply);
                let call = self.calls.for_raft(from);
                self.to_raft.push_back(raft::Input::Propose { call, command });
            }
            Work::Barrier { consistent } => {
                let leased = self.raft.lease_until().is_some_and(|until| until > now.mono);
                if !consistent && leased {
                    let index = Index(self.store.applied());
                    return self.answer(from, Reply::Barrier { index });
                }
                self.metrics.count(now, Metric::RaftVerifyLeader);
                let call = self.calls.for_raft(from);
                self.to_raft.push_back(raft::Input::ReadIndex { call });
            }
        }
    }

    pub(super) fn send(&mut self, to: ServerId, frame: Frame) {
        let at = self.addresses.get(&to).copied();
        self.outputs.push_back(Output::Peer { to, at, bytes: frame.encode() });
    }

    fn peer(&mut self, now: Now, from: ServerId, bytes: Bytes) {
        match Frame::decode(bytes) {
            None => self.log(
                Event::new(Level::Warn, "agent.server.raft", "dropped a malformed message")
                    .with("from", &*from),
            ),
            Some(Frame::Raft { cluster, .. }) if self.is_stranger(now, &from, cluster) => {}
            Some(Frame::Raft { message, .. }) => {
                self.log_vote("from", &from, &message);
                self.to_raft.push_back(raft::Input::Message { from, message });
            }
            Some(Frame::Ask { id, work }) => {
                if matches!(work, Work::Write(_)) && !self.calls.asks_first(&from, id) {
                    return;
                }
                let from = Caller::Peer(from, id);
                // What cannot be read would stop every server when it is applied, and again after each restart.
                let readable = match &work {
                    Work::Write(command) => Command::decode(command).is_ok(),
                    Work::Barrier { .. } => true,
                };
                if !readable {
                    let text = "refused a command that this version cannot read";
                    let Caller::Peer(server, id) = from else { return };
                    self.log(Event::new(Level::Error, "agent.server", text).with("from", &*server));
                    return self.send(server, Frame::Refused { id, why: Refusal::Unreadable });
                }
                if self.raft.role() == Role::Leader {
                    self.lead(now, Call { from, work });
                } else {
                    self.answer(from, Reply::Failed(CallError::NotLeader { leader: None }));
                }
            }
            Some(Frame::Accepted { id, index, term }) => {
                if let Some((caller, deadline)) = self.calls.answered(id) {
                    if index.0 > self.store.applied() {
                        self.calls.await_index(index, term, deadline, caller);
                    } else {
                        // Applied before we knew whose it was: its result is gone.
                        self.answer(caller, Reply::Failed(CallError::Unknown));
                    }
                }
            }
            Some(Frame::Founding(message)) => self.about_founding(now, from, message),
            Some(Frame::Barrier { id, index }) => {
                if let Some((caller, _)) = self.calls.answered(id) {
                    self.answer(caller, Reply::Barrier { index });
                }
            }
            Some(Frame::Refused { id, why: Refusal::NotLeader }) => {
                // Nothing was done. Whoever leads next is asked, if there is word of it soon.
                if let Some((hold_until, call)) = self.calls.refused(id) {
                    self.hold(now, hold_until, call);
                }
            }
            Some(Frame::Refused { id, why }) => {
                if let Some((caller, _)) = self.calls.answered(id) {
                    let error = match why {
                        Refusal::NotLeader => CallError::NoLeader,
                        Refusal::Unreadable => {
                            let text = "the leader is of a version that cannot read this command";
                            CallError::Refused(text.into())
                        }
                        Refusal::Busy => CallError::Busy,
                        Refusal::TooLarge => CallError::TooLarge,
                        Refusal::DiskFull => CallError::DiskFull,
                        Refusal::Unknown => CallError::Unknown,
                    };
                    self.answer(caller, Reply::Failed(error));
                }
            }
        }
    }

    /// Gives `reply` to whoever waits.
    pub(super) fn answer(&mut self, to: Caller, reply: Reply) {
        match to {
            Caller::Front(to, call) => self.replies.push_back(Output::Reply { to, call, reply }),
            Caller::Agent(call) => {
                let reply = match reply {
                    Reply::Applied { result: Applied::Error(text), .. } => CatalogReply::Failed(text),
                    Reply::Failed(error) => CatalogReply::Failed(error.to_string()),
                    _ => CatalogReply::Done,
                };
                self.to_agent.push_back(AgentInput::CatalogReply { call, reply });
            }
            Caller::Peer(server, id) => {
                let frame = match reply {
                    Reply::Barrier { index } => Frame::Barrier { id, index },
                    Reply::Failed(CallError::Busy) => Frame::Refused { id, why: Refusal::Busy },
                    Reply::Failed(CallError::TooLarge) => Frame::Refused { id, why: Refusal::TooLarge },
                    Reply::Failed(CallError::DiskFull) => Frame::Refused { id, why: Refusal::DiskFull },
                    Reply::Failed(CallError::Unknown) => Frame::Refused { id, why: Refusal::Unknown },
                    Reply::Failed(_) => Frame::Refused { id, why: Refusal::NotLeader },
                    // The other server learnt the index when raft accepted the write.
                    Reply::Applied { .. } | Reply::Agent(_) | Reply::Metrics(_) | Reply::Done => return,
                    Reply::Joined(_) | Reply::Keys(_) | Reply::Event(_) | Reply::Answer(_) => return,
                    Reply::Datacenters(_) | Reply::Cached(_) => return,
                };
                self.send(server, frame);
            }
            Caller::Duty => {
                if let Reply::Applied { result: Applied::Error(error), .. } = reply {
                    let text = "failed to reconcile member";
                    self.log(Event::new(Level::Error, "agent.server", text).with("error", error));
                }
            }
        }
    }

    /// Moves effects between the parts until nothing moves, then publishes and replies.
    ///
    /// The agent goes before raft, so that one batch for the disk holds what it keeps and what it
    /// proposes, of all inputs that were taken.
    pub(super) fn settle(&mut self) {
        let (now, inputs) = (self.now, core::mem::take(&mut self.taken));
        for round in 0.. {
            invariant!(round < MAX_ROUNDS * inputs, "parts keep feeding each other");
            if self.halted {
                break;
            }
            if let Some(effect) = self.raft.poll_effect() {
                self.on_raft(now, effect);
            } else if let Some(effect) = self.agent.poll_effect() {
                self.on_agent(now, effect);
            } else if let Some((pool, effect)) = self.pools.poll_effect() {
                self.on_gossip(now, pool, effect);
            } else if let Some((pool, joined)) = self.member_news.pop_first() {
                self.meet_members(now, pool, joined);
            } else if let Some(effect) = self.router.poll_effect() {
                self.on_router(now, effect);
            } else if let Some(effect) = self.cache.poll_effect() {
                self.on_cache(now, effect);
            } else if self.autopilot.poll_timeout().is_some_and(|at| at <= now.mono) {
                self.tend(now);
            } else if let Some(effect) = self.founding.poll_effect() {
                self.on_founding(effect);
            } else if self.leader.poll_timeout().is_some_and(|at| at <= now.mono) {
                self.do_duties(now);
            } else if let Some(input) = self.to_agent.pop_front() {
                self.agent.handle(now, input);
            } else if let Some(input) = self.next_for_raft() {
                self.raft.handle(now.mono, input);
            } else {
                self.show_cluster(now);
                self.refresh_members();
                self.count_gossip(now);
                self.go_on_stopping(now);
                if self.pools.is_quiet() && self.router.is_quiet() && self.cache.is_quiet() {
                    break;
                }
            }
        }
        if !self.records.is_empty() {
            let ticket = self.tickets.issue();
            self.persist(ticket, None);
        }
        self.publish();
        self.outputs.append(&mut self.replies);
    }

    /// The next input for raft; proposals that follow each other as one.
    fn next_for_raft(&mut self) -> Option<raft::Input> {
        let proposes = |input: &&raft::Input| matches!(input, raft::Input::Propose { .. });
        let count = self.to_raft.iter().take_while(proposes).count();
        if count < 2 {
            return self.to_raft.pop_front();
        }
        let proposals = self.to_raft.drain(..count).filter_map(|input| match input {
            raft::Input::Propose { call, command } => Some((call, command)),
            _ => None,
        });
        Some(raft::Input::ProposeMany { proposals: proposals.collect() })
    }

    /// Orders raft's part and what the agent has gathered to be written together.
    fn persist(&mut self, ticket: Ticket, raft: Option<raft::Batch>) {
        let batch = DiskBatch { raft, local: core::mem::take(&mut self.records) };
        self.outputs.push_back(Output::Persist { ticket, batch });
    }

    fn on_raft(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                let cluster = self.raft.membership().cluster;
                self.log_vote("to", &to, &message);
                let at = self.addresses.get(&to).copied();
                // Whoever is told to campaign may win at any moment: the fronts know first that the lease is over.
                let last = matches!(message.body, raft::Body::TimeoutNow);
                let bytes = Frame::Raft { cluster, message }.encode();
                let outputs = if last { &mut self.replies } else { &mut self.outputs };
                outputs.push_back(Output::Peer { to, at, bytes });
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
                invariant!(at.index.0 == self.store.applied(), "a snapshot is of the applied state");
                let store = self.store.clone();
                self.outputs.push_back(Output::BuildSnapshot { at: at.index, term: at.term, store });
            }
            Effect::RestoreSnapshot { meta, data } => match Store::decode_snapshot(&data) {
                Ok(store) => {
                    self.store = store;
                    if !mutant!(self, SnapshotWakesNobody) {
                        self.changes = ChangeSet::everything();
                    }
                    #[cfg(feature = "mutants")]
                    self.harm_restored_store();
                    for caller in self.calls.jumped(meta.index) {
                        self.answer(caller, Reply::Failed(CallError::Unknown));
                    }
                }
                Err(error) => {
                    self.halt(HaltReason::UnreadableEntry { index: meta.index, error: error.to_string() })
                }
            },
            Effect::RoleChanged { role, term, leader } => self.role_changed(now, role, term, leader),
            Effect::MembershipChanged { .. } => {
                self.stale_view = true;
                self.found(now);
            }
        }
    }

    pub(super) fn finish(&mut self, call: CallId, reply: Reply) {
        if let Some(caller) = self.calls.take(call) {
            self.answer(caller, reply);
        }
    }

    fn apply(&mut self, now: Now, Entry { index, term, payload }: Entry) {
        let mut result = Applied::Ok;
        match payload {
            Payload::Noop | Payload::Membership(_) => {
                self.autopilot.hurry(now.mono);
                self.committed(now, index, None);
                self.store.skip(index.0);
            }
            Payload::Command(bytes) => match Command::decode(&bytes) {
                Ok(command) => {
                    result = self.store.apply(index.0, &command, &mut self.changes);
                    if mutant!(self, DeletesWakeNobody) && deletes_keys(&command) {
                        self.changes.keys.clear();
                    }
                    self.committed(now, index, Some(&command));
                    if deletes_keys(&command) {
                        self.leader.keys_deleted(now.mono, index.0);
                    }
                }
                Err(error) => {
                    return self.halt(HaltReason::UnreadableEntry { index, error: error.to_string() });
                }
            },
        }
        self.stale_view = true;
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

    pub(super) fn role_changed(&mut self, now: Now, role: Role, term: Term, leader: Option<ServerId>) {
        self.stale_view = true;
        self.proposals.clear();
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
    fn log_vote(&mut self, way: &'static str, other: &ServerId, message: &raft::Message) {
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
        self.log(event.with("term", message.term.0.to_string()));
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
        self.log(Event::new(level, "agent.server.raft", name).with("term", term.to_string()));
        if role == Role::Leader {
            self.log(Event::new(Level::Info, "agent.server", "cluster leadership acquired"));
        }
    }

    fn on_agent(&mut self, now: Now, effect: AgentEffect) {
        match effect {
            AgentEffect::Reply { call, reply } => {
                let Some(caller) = self.calls.take(call) else { return };
                let reply = Reply::Agent(reply);
                match self.tickets.unflushed_local() {
                    // What was registered must survive a crash before anyone is told that it is.
                    Some(ticket) => self.after_flush.push_back((ticket, caller, reply)),
                    None => self.answer(caller, reply),
                }
            }
            AgentEffect::RunCheck { run, spec } => self.outputs.push_back(Output::RunCheck { run, spec }),
            AgentEffect::CancelCheck { run } => self.outputs.push_back(Output::CancelCheck { run }),
            AgentEffect::Persist(mut records) => {
                self.tickets.local_in_next();
                self.records.append(&mut records);
            }
            AgentEffect::Catalog { call, request } if !self.config.server => {
                self.catalog_there(now, call, request);
            }
            AgentEffect::Catalog { call, request } => self.catalog(now, call, request),
            AgentEffect::LocalChanged => self.changes.local = true,
            AgentEffect::Event(event) => self.log(event),
        }
    }

    /// The interface that a remote server will offer the agent.
    fn catalog(&mut self, now: Now, call: CallId, request: CatalogCall) {
        let command = match request {
            CatalogCall::NodeServices { node } => {
                // As Consul's agents: a stale read, so that a leaderless cluster can still be compared.
                let found = self.store.node(&node).map(|record| CatalogNode {
                    node: record.clone(),
                    services: self.store.node_services(&node).cloned().collect(),
                    checks: self.store.node_checks(&node).cloned().collect(),
                });
                let reply = CatalogReply::Node(found);
                return self.to_agent.push_back(AgentInput::CatalogReply { call, reply });
            }
            CatalogCall::Register(register) => Command::Register(register),
            CatalogCall::Deregister(deregister) => Command::Deregister(deregister),
        };
        let call = Call { from: Caller::Agent(call), work: Work::write(&command) };
        self.dispatch(now, self.hold_until(now), call);
    }

    fn reloaded(&mut self, result: Result<RuntimeConfig, alloc::string::String>) {
        let reply = match result {
            Ok(new) => {
                let (config, warnings) = config::reload(&self.config, new);
                self.config = Arc::new(config);
                for warning in warnings {
                    self.log(Event::new(Level::Warn, "agent", warning));
                }
                self.to_agent.push_back(AgentInput::Reloaded(self.config.clone()));
                self.stale_view = true;
                self.log(Event::new(Level::Info, "agent", "configuration reloaded"));
                Reply::Done
            }
            Err(error) => {
                self.log(Event::new(Level::Error, "agent", "Reload config failed").with("error", &*error));
                Reply::Failed(CallError::Refused(error))
            }
        };
        for caller in core::mem::take(&mut self.reloads) {
            self.answer(caller, reply.clone());
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

    pub(super) fn halt(&mut self, why: HaltReason) {
        self.halted = true;
        self.outputs.push_back(Output::Halt { why });
    }

    pub(super) fn log(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

fn deletes_keys(command: &Command) -> bool {
    let deletes = |kv: &KvCommand| matches!(kv.op, KvOp::Delete | KvOp::DeleteCas | KvOp::DeleteTree);
    match command {
        Command::Kv(kv) => deletes(kv),
        Command::Txn(txn) => txn.ops.iter().any(|op| matches!(op, TxnOp::Kv(kv) if deletes(kv))),
        _ => false,
    }
}
