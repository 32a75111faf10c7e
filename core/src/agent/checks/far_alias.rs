//! Aliases of another node: as healthy as a service there, by what the catalog says.
//!
//! Consul waits in a blocking query for the node's checks to change; here the catalog is asked every second,
//! and less often while it does not answer.

use super::Runner;
use super::alias::worst_of;
use crate::Str;
use crate::agent::{Agent, AgentEffect, CatalogCall, CatalogNode, CatalogReply, Timer};
use crate::ids::CallId;
use crate::time::Now;
use crate::types::status;
use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

/// Between an answer and the next question.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait after failures.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

impl Agent {
    /// Asks the catalog about the node of an alias.
    pub(in crate::agent) fn ask_for_alias(&mut self, now: Now, id: &Str) {
        let call = self.next_call(now);
        let Some(state) = self.checks.get_mut(id) else { return };
        let Runner::FarAlias { node, call: waits, .. } = &mut state.runner else { return };
        *waits = Some(call);
        let request = CatalogCall::NodeServices { node: node.clone() };
        self.alias_calls.insert(call, id.clone());
        self.effects.push_back(AgentEffect::Catalog { call, request });
    }

    /// What the catalog says of it. Ignored when the alias is gone, or is another one now.
    pub(in crate::agent) fn on_alias_reply(&mut self, now: Now, call: CallId, reply: CatalogReply) {
        let Some(id) = self.alias_calls.remove(&call) else { return };
        self.timers.cancel(&Timer::Call(call));
        let output_max = super::output_max(self.config.check_output_max_size, 0);
        let Some(state) = self.checks.get_mut(&id) else { return };
        let Runner::FarAlias { node, service, failures, call: waits } = &mut state.runner else { return };
        if *waits != Some(call) {
            return;
        }
        *waits = None;
        let (wait, verdict) = match reply {
            CatalogReply::Node(found) => {
                *failures = 0;
                (INTERVAL, Some(judge(found.as_ref(), node, service, output_max)))
            }
            CatalogReply::Done => (INTERVAL, None),
            CatalogReply::Denied(why) | CatalogReply::Failed(why) => {
                *failures = failures.saturating_add(1);
                // One failure may be an election.
                let told = *failures > 1;
                let text = format!("Failure checking aliased node or service: {why}");
                let backoff = Duration::from_secs(1 << failures.saturating_sub(3).min(6));
                (backoff.min(BACKOFF_MAX), told.then_some((status::CRITICAL, text)))
            }
        };
        self.timers.set(Timer::Check(id.clone()), now.mono + wait);
        if let Some((new, output)) = verdict {
            self.set_check_status(now, &id, new, output);
        }
    }
}

/// A node that the catalog does not know may have any service: nobody can tell.
fn judge(
    found: Option<&CatalogNode>,
    node: &str,
    service: &str,
    output_max: usize,
) -> (&'static str, String) {
    let Some(found) = found else { return (status::PASSING, "No checks found.".to_string()) };
    let of_it = |id: &Str| **id == *service;
    if !found.checks.iter().any(|c| of_it(&c.service_id)) && !found.services.iter().any(|s| of_it(&s.id)) {
        return (status::CRITICAL, format!("Service {service} could not be found on node {node}"));
    }
    let counted = found.checks.iter().filter(|c| c.service_id.is_empty() || of_it(&c.service_id));
    worst_of(counted, output_max)
}
