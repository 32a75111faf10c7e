//! What the agent knows about each check beyond the record that the catalog sees.

mod alias;
mod far_alias;
mod schedule;
mod threshold;
mod ttl;

pub(super) use schedule::probe_of;
pub(super) use threshold::Threshold;
pub(super) use ttl::output_max;

use super::validate::Source;
use super::{Agent, CheckSpec};
use crate::Str;
use crate::event::Level;
use crate::ids::{CallId, RunId};
use crate::time::Now;
use crate::types::{CheckDefinition, HealthCheck, status};
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

/// Runs and times one check. Its status and output live in [`super::Local`].
#[derive(Clone, Debug)]
pub(super) struct CheckState {
    /// With `id` and `service_id` filled in.
    pub(super) definition: Arc<CheckDefinition>,
    pub(super) source: Source,
    /// Came with its service's registration (and shows no interval when it has none).
    pub(super) with_service: bool,
    pub(super) runner: Runner,
    /// When the first of the present unbroken row of critical results came.
    pub(super) critical_since: Option<crate::time::Instant>,
    /// How long it may be critical before its service goes.
    pub(super) deregister_after: Option<Duration>,
}

/// What changes a check's status.
#[derive(Clone, Debug)]
pub(super) enum Runner {
    /// Probes at an interval.
    Probe { spec: Arc<CheckSpec>, interval: Duration, threshold: Threshold, run: Option<RunId> },
    /// Reports by its service; critical when they stop.
    Ttl { ttl: Duration, last_output: String },
    /// Another service of this agent; empty: the node's own checks.
    Alias {
        service: Str,
        /// This node as it was named, if it was.
        node: Str,
    },
    /// A service of another node; empty: that node's own checks.
    FarAlias {
        service: Str,
        node: Str,
        /// Answers in a row that were none.
        failures: u32,
        call: Option<CallId>,
    },
    /// Nothing: it is critical as long as it exists.
    Maintenance,
}

impl Agent {
    /// Shows a result. Keeps track of how long the check has been critical; an unchanged result does
    /// nothing else; a changed output alone is told to the catalog later; a changed status at once.
    pub(super) fn set_check_status(&mut self, now: Now, id: &Str, new: &'static str, output: String) {
        let Some(state) = self.checks.get_mut(id) else { return };
        if new == status::CRITICAL {
            state.critical_since.get_or_insert(now.mono);
        } else {
            state.critical_since = None;
        }
        let Some(old) = self.local.check(id) else { return };
        let output = if self.config.discard_check_output { String::new() } else { output };
        if &*old.status == new && *old.output == *output {
            return;
        }
        let status_changed = &*old.status != new;
        let check =
            HealthCheck { status: Str::from(new), output: Str::from(output), ..HealthCheck::clone(old) };
        self.put_check(check);
        if status_changed {
            self.check_changed(id);
        } else {
            self.check_output_changed(now, id);
        }
    }

    /// Puts a check into the local view without telling anti-entropy.
    pub(super) fn put_check(&mut self, check: HealthCheck) {
        self.local.put_check(Arc::new(check));
        self.changed = true;
    }

    /// Stops whatever runs or times the check.
    pub(super) fn halt_check(&mut self, id: &Str) {
        self.timers.cancel(&super::Timer::Check(id.clone()));
        self.timers.cancel(&super::Timer::Watchdog(id.clone()));
        if let Some(CheckState { runner: Runner::Probe { run, .. }, .. }) = self.checks.get_mut(id)
            && let Some(run) = run.take()
        {
            self.runs.remove(&run);
            self.effects.push_back(super::AgentEffect::CancelCheck { run });
        }
    }

    pub(super) fn log_check(&mut self, level: Level, message: &str, id: &str) {
        self.event(level, message, &[("check", id)]);
    }
}
