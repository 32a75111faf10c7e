//! The routing table of `node/mod.rs`, as code. Logic stays in the parts.

use super::Node;
use super::boot::election_timeout;
use super::calls::{Call, Caller, Work};
use super::forward::{Frame, Refusal};
use super::input::{Input, StopKind};
use super::output::{DiskBatch, HaltReason, Output};
use crate::agent::{AgentEffect, AgentInput, AgentRequest, CatalogCall, CatalogNode, CatalogReply};
use crate::call::{CallError, Reply, Request};
use crate::command::Command;
use crate::config::{self, RuntimeConfig};
use crate::event::{Event, Level};
use crate::gossip::Gossip;
use crate::ids::{CallId, Index, Pool, Ticket};
use crate::metrics::Metric;
use crate::raft::{self, Role};
use crate::store::Applied;
use crate::time::{Duration, Instant, Now};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

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
            Input::RpcHeard { from } => self.router.heard(now.mono, from),
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
                let work = Work::write(&self.identified(command));
                self.dispatch(now, hold_until, Call { from, work });
            }
            Request::WriteThere { datacenter, command } => {
                self.write_there(now, from, &datacenter, &command);
            }
            Request::Placed(said) => self.placed(now, from, *said),
            Request::Renew(id) => self.renew(now, from, &id),
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
    pub(super) fn brief_hold(&self) -> Duration {
        election_timeout(&self.config) * 2
    }

    /// Sends work to whoever leads: here, elsewhere, or nobody yet.
    pub(super) fn dispatch(&mut self, now: Now, deadline: Instant, call: Call) {
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
    pub(super) fn hold(&mut self, now: Now, until: Instant, call: Call) {
        if let Err(call) = self.calls.hold(until.min(now.mono + self.brief_hold()), call) {
            self.answer(call.from, Reply::Failed(CallError::Busy));
        }
    }

    /// Does work as the leader.
    pub(super) fn lead(&mut self, now: Now, Call { from, work }: Call) {
        if self.refuse_locking(now, &from, &work) {
            return;
        }
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
                    let index = Index(self.store.log_index());
                    return self.answer(from, Reply::Barrier { index });
                }
                self.metrics.count(now, Metric::RaftVerifyLeader);
                let call = self.calls.for_raft(from);
                self.to_raft.push_back(raft::Input::ReadIndex { call });
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
                    Reply::Datacenters(_) | Reply::Cached(_) | Reply::Session(_) => return,
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
    pub(super) fn persist(&mut self, ticket: Ticket, raft: Option<raft::Batch>) {
        let batch = DiskBatch { raft, local: core::mem::take(&mut self.records) };
        self.outputs.push_back(Output::Persist { ticket, batch });
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
                self.cache.set_rate(self.now.mono, self.config.cache);
                warnings.into_iter().for_each(|warning| self.log(warning));
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

    pub(super) fn halt(&mut self, why: HaltReason) {
        self.halted = true;
        self.outputs.push_back(Output::Halt { why });
    }

    pub(super) fn log(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
