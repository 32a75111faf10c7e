//! The agent: local services and checks, their schedule, and anti-entropy with the catalog.

mod interface;
mod local;
mod request;

pub use interface::{AgentEffect, AgentInput, CatalogCall, CatalogNode, CatalogReply};
pub use local::{Local, LocalService};
pub use request::{AgentError, AgentReply, AgentRequest, CheckOutcome, CheckSpec, Probe};

use crate::config::RuntimeConfig;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;

/// The agent of one node. Driven like the node: `handle` one input, `poll_effect` until `None`,
/// sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Agent {
    local: Local,
    effects: VecDeque<AgentEffect>,
}

impl Agent {
    /// Takes up the services and checks of the configuration files and of `records` (what earlier
    /// [`AgentEffect::Persist`] wrote), and begins to sync. Nothing in `records` can make it fail.
    pub fn boot(
        _config: Arc<RuntimeConfig>,
        _node_id: &str,
        _records: &[(String, Bytes)],
        _rng: Rng,
        _now: Now,
    ) -> Agent {
        Agent { local: Local::default(), effects: VecDeque::new() }
    }

    /// Takes one input. The effects of the one before must have been drained.
    pub fn handle(&mut self, _now: Now, input: AgentInput) {
        if let AgentInput::Request { call, .. } = input {
            let why = AgentError::Failed(String::from("the agent does not take registrations yet"));
            self.effects.push_back(AgentEffect::Reply { call, reply: Err(why) });
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<AgentEffect> {
        self.effects.pop_front()
    }

    /// When to wake the agent at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The services and checks as they are now.
    pub fn local(&self) -> Local {
        self.local.clone()
    }
}
