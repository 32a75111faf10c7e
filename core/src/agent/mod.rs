//! The agent: local services and checks, their schedule, and anti-entropy with the catalog.

mod request;

pub use request::{AgentError, AgentReply, AgentRequest, CheckOutcome, CheckSpec, Probe};

/// Placeholder until the agent lands.
#[derive(Clone, Debug, Default)]
pub struct Local;
