//! Checks that probe at an interval: when they run, and what becomes of an outcome.

use super::ttl::{nanos, output_max, text, truncate};
use super::{CheckState, Runner, Threshold};
use crate::Str;
use crate::agent::{Agent, AgentEffect, CheckOutcome, CheckSpec, Probe, Timer};
use crate::event::Level;
use crate::ids::RunId;
use crate::time::Now;
use crate::types::{CheckDefinition, CheckKind, status};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::time::Duration;

/// The least interval; a shorter one is raised to it.
pub(in crate::agent) const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long beyond a probe's own timeout its outcome may be missing before the run is given up.
const WATCHDOG_SLACK: Duration = Duration::from_secs(10);
/// What an outcome may exceed the output limit by: the driver's `Captured n of m bytes` line.
const OUTPUT_SLACK: usize = 128;

/// What runs a check of this definition; `None` for kinds that are not probed here.
pub(in crate::agent) fn probe_of(definition: &CheckDefinition, output_limit: usize) -> Option<Runner> {
    let d = definition;
    let (probe, default_timeout) = match d.kind()? {
        CheckKind::Script => (Probe::Script { args: d.script_args.clone() }, Duration::from_secs(30)),
        CheckKind::Http => (http_probe(d), Duration::from_secs(10)),
        CheckKind::Tcp => (Probe::Tcp { address: d.tcp.clone() }, Duration::from_secs(10)),
        CheckKind::Grpc => (grpc_probe(d), Duration::from_secs(10)),
        CheckKind::Ttl
        | CheckKind::Udp
        | CheckKind::H2Ping
        | CheckKind::Docker
        | CheckKind::Alias
        | CheckKind::OsService => return None,
    };
    let timeout = if d.timeout > 0 { nanos(d.timeout) } else { default_timeout };
    let spec = CheckSpec { probe, timeout, output_max: output_max(output_limit, d.output_max_size) };
    Some(Runner::Probe {
        spec: Arc::new(spec),
        interval: nanos(d.interval).max(INTERVAL_MIN),
        threshold: Threshold::new(d),
        run: None,
    })
}

fn http_probe(d: &CheckDefinition) -> Probe {
    let method = match d.method.as_str() {
        "" => String::from("GET"),
        given => given.to_ascii_uppercase(),
    };
    Probe::Http {
        url: d.http.clone(),
        method,
        headers: d.header.clone(),
        body: d.body.clone(),
        disable_redirects: d.disable_redirects,
        tls_server_name: d.tls_server_name.clone(),
        tls_skip_verify: d.tls_skip_verify,
    }
}

/// `host:port[/service]`.
fn grpc_probe(d: &CheckDefinition) -> Probe {
    let (address, service) = d.grpc.split_once('/').unwrap_or((&d.grpc, ""));
    Probe::Grpc {
        address: address.to_string(),
        service: service.to_string(),
        tls: d.grpc_use_tls,
        tls_skip_verify: d.tls_skip_verify,
        tls_server_name: d.tls_server_name.clone(),
    }
}

impl Agent {
    /// Sets the first run of a check, or its first expiry.
    ///
    /// The first run of a probe comes at a random point within its interval, so that checks that were
    /// registered together do not run together for ever.
    pub(in crate::agent) fn start_check(&mut self, now: Now, id: &Str) {
        let Some(state) = self.checks.get(id) else { return };
        let wait = match &state.runner {
            Runner::Probe { interval, .. } => self.schedule_rng.duration(Duration::ZERO, *interval),
            Runner::Ttl { ttl, .. } => *ttl,
            Runner::Alias { .. } | Runner::Maintenance => return,
        };
        self.timers.set(Timer::Check(id.clone()), now.mono + wait);
    }

    /// A check's time has come: to run, or to expire.
    pub(in crate::agent) fn on_check_due(&mut self, now: Now, id: &Str) {
        let Some(state) = self.checks.get_mut(id) else { return };
        match &mut state.runner {
            Runner::Probe { spec, run, .. } => {
                invariant!(run.is_none(), "two runs of one check");
                self.next_run += 1;
                let number = RunId(self.next_run);
                *run = Some(number);
                let spec = spec.clone();
                self.timers.set(Timer::Watchdog(id.clone()), now.mono + spec.timeout + WATCHDOG_SLACK);
                self.runs.insert(number, id.clone());
                self.effects.push_back(AgentEffect::RunCheck { run: number, spec });
            }
            Runner::Ttl { .. } => self.on_ttl_expired(now, id),
            Runner::Alias { .. } | Runner::Maintenance => {}
        }
    }

    /// A probe ended. Nothing happens when the run was cancelled or given up before.
    pub(in crate::agent) fn on_check_done(&mut self, now: Now, run: RunId, outcome: CheckOutcome) {
        let Some(id) = self.runs.remove(&run) else { return };
        self.timers.cancel(&Timer::Watchdog(id.clone()));
        let Some(CheckState { runner: Runner::Probe { interval, threshold, run, spec }, .. }) =
            self.checks.get_mut(&id)
        else {
            return;
        };
        *run = None;
        let verdict = threshold.count(outcome.status);
        let (interval, output_max) = (*interval, spec.output_max);
        self.timers.set(Timer::Check(id.clone()), now.mono + interval);
        match verdict {
            Some(new) => {
                self.log_verdict(&id, new);
                let mut output = outcome.output;
                if output.len() > output_max + OUTPUT_SLACK {
                    truncate(&mut output, output_max);
                }
                self.set_check_status(now, &id, new, output);
            }
            None if outcome.status == status::CRITICAL => {
                self.log_check(
                    Level::Warn,
                    "Check failed but has not reached warning/failure threshold",
                    &id,
                );
            }
            None => self.log_check(Level::Warn, "Check passed but has not reached success threshold", &id),
        }
    }

    /// A run's outcome is overdue: the driver has lost it. Counts as a timeout.
    pub(in crate::agent) fn on_watchdog(&mut self, now: Now, id: &Str) {
        let Some(CheckState { runner: Runner::Probe { run: Some(run), spec, .. }, .. }) = self.checks.get(id)
        else {
            return;
        };
        let (run, timeout) = (*run, spec.timeout);
        self.effects.push_back(AgentEffect::CancelCheck { run });
        let output = format!("Timed out ({}) running check", text(timeout));
        self.on_check_done(now, run, CheckOutcome { status: status::CRITICAL, output });
    }

    /// Loud when the status changes, quiet while it stays.
    fn log_verdict(&mut self, id: &Str, new: &'static str) {
        let changes = self.local.check(id).is_some_and(|c| &*c.status != new);
        match new {
            status::PASSING => {
                self.event(Level::Debug, "Check status updated", &[("check", id), ("status", new)]);
            }
            _ if changes => self.log_check(Level::Warn, &format!("Check is now {new}"), id),
            _ => self.log_check(Level::Debug, &format!("Check is still {new}"), id),
        }
    }
}
