//! The agent: local services and checks, their schedule, and anti-entropy with the catalog.
//!
//! It decides when checks run, what their outcomes mean, what is kept on disk and what the catalog is
//! told. It never does any of it: every order is an [`AgentEffect`].
//!
//! - [`Local`] is what users see; `checks`, `services` hold what is behind it. An ID is in both or in
//!   neither.
//! - Every wait is a deadline in one table; every random choice comes from two forks of one generator.

mod antientropy;
mod checks;
mod interface;
mod local;
mod maintenance;
mod persist;
mod reap;
mod register;
mod reload;
mod request;
mod timers;
mod validate;

pub use interface::{AgentEffect, AgentInput, CatalogCall, CatalogNode, CatalogReply, LocalWrite};
pub use local::{Local, LocalService};
pub use reload::unsupported;
pub use request::{AgentError, AgentReply, AgentRequest, CheckOutcome, CheckSpec, Probe, ProbeTls};

use crate::Str;
use crate::config::RuntimeConfig;
use crate::event::{Event, Level};
use crate::ids::{CallId, RunId};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use antientropy::{NodeInfo, Sync};
use bytes::Bytes;
use checks::CheckState;
use register::ServiceState;
use timers::Timers;

/// What the agent waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A check's next run, or the expiry of its TTL.
    Check(Str),
    /// The outcome of a check's run.
    Watchdog(Str),
    /// Telling the catalog of a changed output.
    Defer(Str),
    /// The reply to a call.
    Call(CallId),
    FullSync,
    Retry,
    Reap,
}

/// The agent of one node. Driven like the node: `handle` one input, `poll_effect` until `None`,
/// sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Agent {
    config: Arc<RuntimeConfig>,
    node_id: Str,
    local: Local,
    services: BTreeMap<Str, ServiceState>,
    checks: BTreeMap<Str, CheckState>,
    /// Those of `checks` that are aliases.
    aliases: BTreeSet<Str>,
    /// Runs whose outcome is wanted, with their checks.
    runs: BTreeMap<RunId, Str>,
    next_run: u64,
    /// What is asked for aliases of other nodes.
    alias_calls: BTreeMap<CallId, Str>,
    sync: Sync,
    timers: Timers<Timer>,
    schedule_rng: Rng,
    sync_rng: Rng,
    effects: VecDeque<AgentEffect>,
    /// Gathered during one input.
    writes: Vec<LocalWrite>,
    /// `local` differs from before this input.
    changed: bool,
    disk_full: bool,
    /// How many members the datacenter has.
    members: usize,
    /// The first definition of the files that was refused when they were last read.
    refused: Option<String>,
    stopped: bool,
}

impl Agent {
    /// Takes up the services and checks of the configuration files and of `records` (what earlier
    /// [`AgentEffect::Persist`] wrote), and begins to sync. Nothing in `records` can make it fail.
    /// Its effects are to be drained before the first input.
    pub fn boot(
        config: Arc<RuntimeConfig>,
        node_id: &str,
        records: &[(String, Bytes)],
        rng: Rng,
        now: Now,
    ) -> Agent {
        let mut agent = Agent {
            node_id: Str::from(node_id),
            local: Local::default(),
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            aliases: BTreeSet::new(),
            runs: BTreeMap::new(),
            next_run: 0,
            alias_calls: BTreeMap::new(),
            sync: Sync::new(NodeInfo::new(&config, node_id)),
            timers: Timers::new(),
            schedule_rng: rng.fork("agent.schedule"),
            sync_rng: rng.fork("agent.sync"),
            effects: VecDeque::new(),
            writes: Vec::new(),
            changed: false,
            disk_full: false,
            members: 1,
            refused: None,
            stopped: false,
            config,
        };
        agent.install_files(now);
        agent.load(now, records);
        agent.schedule_reap(now);
        agent.start_full_sync(now);
        agent.finish(now, None);
        agent
    }

    /// Takes one input. The effects of the one before must have been drained.
    pub fn handle(&mut self, now: Now, input: AgentInput) {
        invariant!(self.effects.is_empty(), "the agent's effects were not drained");
        let mut reply = None;
        if !self.stopped {
            self.run_timers(now);
        }
        match input {
            AgentInput::Wake => {}
            AgentInput::Request { call, request } => reply = Some((call, self.on_request(now, request))),
            _ if self.stopped => {}
            AgentInput::CheckDone { run, outcome } => self.on_check_done(now, run, outcome),
            AgentInput::CatalogReply { call, reply } => self.on_catalog_reply(now, call, reply),
            AgentInput::ServerUp => self.on_server_up(now),
            AgentInput::Reloaded(config) => self.reload(now, config),
            AgentInput::DiskFull(full) => self.disk_full = full,
            AgentInput::Stop => self.stop(),
        }
        if !self.stopped {
            // A deadline may have been set for this very moment.
            self.run_timers(now);
        }
        self.finish(now, reply);
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<AgentEffect> {
        self.effects.pop_front()
    }

    /// When to wake the agent at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// Why a service or check of the configuration files was not taken when they were last read, if one
    /// was not: an agent does not start then, and a reload goes on without it.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// How many members the datacenter has, as gossip knows: syncs are spread accordingly.
    pub fn set_members(&mut self, members: usize) {
        self.members = members;
    }

    /// The services and checks as they are now.
    pub fn local(&self) -> Local {
        self.local.clone()
    }

    fn on_request(&mut self, now: Now, request: AgentRequest) -> AgentReply {
        if self.stopped {
            return Err(AgentError::Failed(String::from("the agent is shutting down")));
        }
        match request {
            AgentRequest::RegisterService { definition, replace_existing_checks } => {
                self.register_service(now, *definition, replace_existing_checks)
            }
            AgentRequest::DeregisterService { id } => self.deregister_service(&id),
            AgentRequest::RegisterCheck { definition } => self.register_check(now, *definition),
            AgentRequest::DeregisterCheck { id } => self.deregister_check(&id),
            AgentRequest::UpdateTtl { id, status, output } => self.update_ttl(now, &id, status, output),
            AgentRequest::ServiceMaintenance { id, enable, reason } => {
                self.service_maintenance(now, &id, enable, reason)
            }
            AgentRequest::NodeMaintenance { enable, reason } => self.node_maintenance(now, enable, reason),
        }
    }

    fn run_timers(&mut self, now: Now) {
        while let Some(timer) = self.timers.take_expired(now.mono) {
            match timer {
                Timer::Check(id) => self.on_check_due(now, &id),
                Timer::Watchdog(id) => self.on_watchdog(now, &id),
                Timer::Defer(id) => self.check_changed(&id),
                Timer::Call(call) => self.on_call_timeout(now, call),
                Timer::FullSync => self.start_full_sync(now),
                Timer::Retry => self.on_retry(),
                Timer::Reap => self.on_reap(now),
            }
        }
    }

    fn stop(&mut self) {
        let ids: Vec<Str> = self.checks.keys().cloned().collect();
        for id in ids {
            self.halt_check(&id);
        }
        self.timers = Timers::new();
        self.stopped = true;
    }

    /// Orders what one input led to: disk first, then the new view, then the answer, then the catalog.
    fn finish(&mut self, now: Now, reply: Option<(CallId, AgentReply)>) {
        if self.changed {
            self.update_aliases(now);
        }
        if !self.writes.is_empty() {
            self.effects.push_back(AgentEffect::Persist(core::mem::take(&mut self.writes)));
        }
        if core::mem::take(&mut self.changed) {
            self.effects.push_back(AgentEffect::LocalChanged);
        }
        if let Some((call, reply)) = reply {
            self.effects.push_back(AgentEffect::Reply { call, reply });
        }
        if !self.stopped {
            self.dispatch(now);
        }
    }

    fn event(&mut self, level: Level, message: &str, fields: &[(&'static str, &str)]) {
        let mut event = Event::new(level, "agent", message);
        for (key, value) in fields {
            event = event.with(key, *value);
        }
        self.effects.push_back(AgentEffect::Event(event));
    }
}

#[cfg(test)]
mod tests;
