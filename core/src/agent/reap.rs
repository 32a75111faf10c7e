//! Services that go away when a check of theirs has been critical for too long.

use super::{Agent, Timer};
use crate::Str;
use crate::duration;
use crate::event::Level;
use crate::time::Now;
use alloc::vec::Vec;
use core::time::Duration;

impl Agent {
    /// Looks at every critical check, as Consul does every `check_reap_interval`. Only services are
    /// removed, never the node, and only for checks that ask for it.
    pub(super) fn on_reap(&mut self, now: Now) {
        if self.disk_full {
            return self.schedule_reap(now);
        }
        let due: Vec<(Str, Str, Duration)> = self
            .checks
            .iter()
            .filter(|(_, state)| match (state.critical_since, state.deregister_after) {
                (Some(since), Some(after)) => now.mono.since(since) > after,
                _ => false,
            })
            .filter_map(|(id, state)| {
                Some((id.clone(), self.local.check(id)?.service_id.clone(), state.deregister_after?))
            })
            .filter(|(_, service, _)| !service.is_empty())
            .collect();
        for (check, service, after) in due {
            // An earlier check of the same service may have removed it.
            if self.deregister_service(&service).is_ok() {
                self.event(
                    Level::Info,
                    "deregistered service with critical health due to exceeding health check's 'deregister_critical_service_after' timeout",
                    &[("service", &service), ("check", &check), ("timeout", &duration::format(after.as_nanos() as i64))],
                );
            }
        }
        self.schedule_reap(now);
    }

    pub(super) fn schedule_reap(&mut self, now: Now) {
        let interval = self.config.check_reap_interval.max(Duration::from_secs(1));
        self.timers.set(Timer::Reap, now.mono + interval);
    }
}
