//! Alias checks: as healthy as another service of this agent.

use super::Runner;
use crate::Str;
use crate::agent::Agent;
use crate::time::Now;
use crate::types::{HealthCheck, status};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl Agent {
    /// Brings every alias up to date after a change of the local state. An alias may follow another, so it takes as many
    /// rounds as there are aliases; a circle of them ends there too.
    pub(in crate::agent) fn update_aliases(&mut self, now: Now) {
        let aliases: Vec<(Str, Str)> = self
            .aliases
            .iter()
            .filter_map(|id| match &self.checks.get(id)?.runner {
                Runner::Alias { service } => Some((id.clone(), service.clone())),
                Runner::Probe { .. } | Runner::Ttl { .. } | Runner::Maintenance => None,
            })
            .collect();
        for _ in 0..aliases.len() {
            self.changed = false;
            for (id, service) in &aliases {
                let (new, output) = self.aliased(id, service);
                self.set_check_status(now, id, new, output);
            }
            let moved = core::mem::replace(&mut self.changed, true);
            if !moved {
                return;
            }
        }
    }

    /// The worst of the service's checks and the node's, but never the alias itself.
    fn aliased(&self, id: &Str, service: &Str) -> (&'static str, String) {
        if !service.is_empty() && self.local.service(service).is_none() {
            return (status::CRITICAL, format!("Service {service} could not be found on node "));
        }
        let of_service = if service.is_empty() { None } else { Some(self.local.checks_of(service)) };
        let others = self.local.checks_of("").chain(of_service.into_iter().flatten());
        let worst = others
            .filter(|c| c.check_id != *id)
            .max_by_key(|c| (status::severity(&c.status), core::cmp::Reverse(c.check_id.clone())));
        match worst {
            None => (status::PASSING, "No checks found.".to_string()),
            Some(check) => match &*check.status {
                status::PASSING => (status::PASSING, "All checks passing.".to_string()),
                status::WARNING => (status::WARNING, self.failing(check)),
                _ => (status::CRITICAL, self.failing(check)),
            },
        }
    }

    fn failing(&self, check: &HealthCheck) -> String {
        let mut text = format!("Aliased check {:?} failing: {}", &*check.name, check.output);
        super::ttl::truncate(&mut text, super::output_max(self.config.check_output_max_size, 0));
        text
    }
}
