//! Alias checks: as healthy as another service of this agent. Those of other nodes: [`super::far_alias`].

use super::Runner;
use crate::Str;
use crate::agent::Agent;
use crate::time::Now;
use crate::types::{HealthCheck, status};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

impl Agent {
    /// Brings every alias up to date after a change of the local state. An alias may follow another, so it takes as many
    /// rounds as there are aliases; a circle of them ends there too.
    pub(in crate::agent) fn update_aliases(&mut self, now: Now) {
        let aliases: Vec<(Str, Str, Str)> = self
            .aliases
            .iter()
            .filter_map(|id| match &self.checks.get(id)?.runner {
                Runner::Alias { service, node } => Some((id.clone(), service.clone(), node.clone())),
                Runner::FarAlias { .. } | Runner::Probe { .. } | Runner::Ttl { .. } | Runner::Maintenance => {
                    None
                }
            })
            .collect();
        for _ in 0..aliases.len() {
            self.changed = false;
            for (id, service, node) in &aliases {
                let (new, output) = self.aliased(id, service, node);
                self.set_check_status(now, id, new, output);
            }
            let moved = core::mem::replace(&mut self.changed, true);
            if !moved {
                return;
            }
        }
    }

    /// The worst of the service's checks and the node's, but never the alias itself.
    fn aliased(&self, id: &Str, service: &Str, node: &Str) -> (&'static str, String) {
        if !service.is_empty() && self.local.service(service).is_none() {
            return (status::CRITICAL, format!("Service {service} could not be found on node {node}"));
        }
        let of_service = if service.is_empty() { None } else { Some(self.local.checks_of(service)) };
        let others = self.local.checks_of("").chain(of_service.into_iter().flatten());
        let output_max = super::output_max(self.config.check_output_max_size, 0);
        worst_of(others.filter(|c| c.check_id != *id), output_max)
    }
}

/// The worst of some checks, as an alias shows it.
pub(super) fn worst_of<'a>(
    checks: impl Iterator<Item = &'a Arc<HealthCheck>>,
    output_max: usize,
) -> (&'static str, String) {
    let worst = checks.max_by_key(|c| (status::severity(&c.status), Reverse(c.check_id.clone())));
    let failing = |check: &HealthCheck| {
        let mut text = format!("Aliased check {:?} failing: {}", &*check.name, check.output);
        super::ttl::truncate(&mut text, output_max);
        text
    };
    match worst {
        None => (status::PASSING, "No checks found.".to_string()),
        Some(check) => match &*check.status {
            status::PASSING => (status::PASSING, "All checks passing.".to_string()),
            status::WARNING => (status::WARNING, failing(check)),
            _ => (status::CRITICAL, failing(check)),
        },
    }
}
