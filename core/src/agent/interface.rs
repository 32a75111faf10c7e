//! What goes into the agent and what comes out of it.

use super::{AgentReply, AgentRequest, CheckOutcome, CheckSpec};
use crate::Str;
use crate::command::{Deregister, Register};
use crate::config::RuntimeConfig;
use crate::event::Event;
use crate::ids::{CallId, RunId};
use crate::types::{HealthCheck, Node, NodeService};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum AgentInput {
    /// A deadline may have passed.
    Wake,
    /// A front wants something changed. Answered at once with [`AgentEffect::Reply`].
    Request {
        /// The caller's number for it.
        call: CallId,
        /// What it wants.
        request: AgentRequest,
    },
    /// A probe ended. Ignored when the run was cancelled or given up.
    CheckDone {
        /// Which run.
        run: RunId,
        /// What it found.
        outcome: CheckOutcome,
    },
    /// The catalog answered. Ignored when the call was given up.
    CatalogReply {
        /// Which call.
        call: CallId,
        /// What it said.
        reply: CatalogReply,
    },
    /// A server that can take catalog calls has appeared: this one has begun to lead, or another was found.
    ServerUp,
    /// The configuration was read again.
    Reloaded(Arc<RuntimeConfig>),
    /// The disk is nearly full, or has space again. While it is full only heartbeats of TTL checks may
    /// be asked for; they count, but their record is not written, and no service is removed for
    /// having been critical for long.
    DiskFull(bool),
    /// The node is going down: cancel every run, start nothing more.
    Stop,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentEffect {
    /// Answer a request. Everything it changed was ordered to be persisted before.
    Reply {
        /// The caller's number.
        call: CallId,
        /// The answer.
        reply: AgentReply,
    },
    /// Run a probe and report [`AgentInput::CheckDone`] in any case, timeout included.
    RunCheck {
        /// Number of the run; never used twice in one life of the agent.
        run: RunId,
        /// What to do.
        spec: Arc<CheckSpec>,
    },
    /// Nobody wants this run's outcome any more.
    CancelCheck {
        /// Number of the run.
        run: RunId,
    },
    /// Write these records to the data directory, all or nothing.
    Persist(Vec<LocalWrite>),
    /// Ask the catalog and report [`AgentInput::CatalogReply`]. A reply that never comes is survived.
    Catalog {
        /// Number of the call; never used twice in one life of the agent.
        call: CallId,
        /// What to ask.
        request: CatalogCall,
    },
    /// [`super::Agent::local`] differs from before. At most once per input, before its [`AgentEffect::Reply`]: publish
    /// it first, so that whoever is answered sees what it asked for.
    LocalChanged,
    /// A line for the log.
    Event(Event),
}

/// What the agent asks of a server: this one, or another over RPC.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogCall {
    /// The node with its services and checks (`Catalog.NodeServiceList` and `Health.NodeChecks`).
    /// Answered with [`CatalogReply::Node`].
    NodeServices {
        /// Name of the node.
        node: Str,
    },
    /// `Catalog.Register`. Answered with [`CatalogReply::Done`].
    Register(Box<Register>),
    /// `Catalog.Deregister`. Answered with [`CatalogReply::Done`].
    Deregister(Deregister),
}

/// The answer to a [`CatalogCall`].
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogReply {
    /// What the catalog holds of the node; `None`: it does not know it.
    Node(Option<CatalogNode>),
    /// Written.
    Done,
    /// Refused by rule (ACL): not tried again before the next full sync.
    Denied(String),
    /// Did not happen, or nobody knows: no leader, timeout, connection lost. Tried again.
    Failed(String),
}

/// One node of the catalog with everything on it.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogNode {
    /// The node.
    pub node: Arc<Node>,
    /// Its services.
    pub services: Vec<Arc<NodeService>>,
    /// Its checks and its services' checks.
    pub checks: Vec<Arc<HealthCheck>>,
}

/// A write to the agent's local records: `service/<id>`, `check/<id>`, `check-state/<id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalWrite {
    /// Write.
    Put {
        /// The record's key.
        key: String,
        /// Its encoded form.
        value: Bytes,
    },
    /// Remove.
    Delete {
        /// The record's key.
        key: String,
    },
}
