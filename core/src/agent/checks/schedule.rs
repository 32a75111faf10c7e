//! Checks that probe at an interval: when they run, and what becomes of an outcome.

use super::ttl::{nanos, output_max, text, truncate};
use super::{CheckState, Runner, Threshold};
use crate::Str;
use crate::agent::{Agent, AgentEffect, CheckOutcome, CheckSpec, Probe, ProbeTls, Timer};
use crate::config::RuntimeConfig;
use crate::event::Level;
use crate::ids::RunId;
use crate::time::Now;
use crate::types::{CheckDefinition, CheckKind, status};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// The least interval; a shorter one is raised to it.
pub(in crate::agent) const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Checks that run together when the time of one has come: waking threads costs more than most probes.
const TOGETHER: usize = 8;
/// Timers that are looked at for such checks.
const LOOKED_AT: usize = 64;
/// How much before its time a check may run for that, as a part of its interval, and at most.
const EARLY_PART: u32 = 10;
const EARLY_MAX: Duration = Duration::from_secs(1);
/// How long beyond a probe's own timeout its outcome may be missing before the run is given up.
const WATCHDOG_SLACK: Duration = Duration::from_secs(10);
/// What an outcome may exceed the output limit by: the words around what was captured, with a long URL or
/// an error of the far side in them.
const OUTPUT_SLACK: usize = 8 << 10;

/// What runs a check of this definition; `None` for kinds that are not probed here.
pub(in crate::agent) fn probe_of(definition: &CheckDefinition, config: &RuntimeConfig) -> Option<Runner> {
    let d = definition;
    let (probe, default_timeout) = match d.kind()? {
        CheckKind::Script => (Probe::Script { args: d.script_args.clone() }, Duration::from_secs(30)),
        CheckKind::Docker => (
            Probe::Docker { container: d.docker_container_id.clone(), args: d.script_args.clone() },
            Duration::from_secs(30),
        ),
        CheckKind::Http => (http_probe(d, config), Duration::from_secs(10)),
        CheckKind::Tcp => {
            let tls = d.tcp_use_tls.then(|| tls(d, config));
            (Probe::Tcp { address: d.tcp.clone(), tls }, Duration::from_secs(10))
        }
        CheckKind::Udp => (Probe::Udp { address: d.udp.clone() }, Duration::from_secs(10)),
        CheckKind::Grpc => (grpc_probe(d, config), Duration::from_secs(10)),
        CheckKind::H2Ping => {
            let tls = d.h2ping_use_tls.unwrap_or(true).then(|| tls(d, config));
            (Probe::H2Ping { address: d.h2ping.clone(), tls }, Duration::from_secs(10))
        }
        CheckKind::Ttl | CheckKind::Alias | CheckKind::OsService => return None,
    };
    let timeout = if d.timeout > 0 { nanos(d.timeout) } else { default_timeout };
    let output_max = output_max(config.check_output_max_size, d.output_max_size);
    let spec = CheckSpec { probe, timeout, output_max };
    Some(Runner::Probe {
        spec: Arc::new(spec),
        interval: nanos(d.interval).max(INTERVAL_MIN),
        threshold: Threshold::new(d),
        run: None,
    })
}

fn tls(d: &CheckDefinition, config: &RuntimeConfig) -> ProbeTls {
    ProbeTls {
        server_name: d.tls_server_name.clone(),
        skip_verify: d.tls_skip_verify,
        agent: config.tls_for_checks.clone(),
    }
}

fn http_probe(d: &CheckDefinition, config: &RuntimeConfig) -> Probe {
    let method = match d.method.as_str() {
        "" => String::from("GET"),
        given => String::from(given),
    };
    Probe::Http {
        url: d.http.clone(),
        method,
        headers: d.header.clone(),
        body: d.body.clone(),
        disable_redirects: d.disable_redirects,
        tls: tls(d, config),
    }
}

/// `host:port[/service]`.
fn grpc_probe(d: &CheckDefinition, config: &RuntimeConfig) -> Probe {
    let (address, service) = d.grpc.split_once('/').unwrap_or((&d.grpc, ""));
    Probe::Grpc {
        address: address.to_string(),
        service: service.to_string(),
        tls: d.grpc_use_tls.then(|| tls(d, config)),
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
            Runner::FarAlias { .. } => Duration::ZERO,
            Runner::Alias { .. } | Runner::Maintenance => return,
        };
        self.timers.set(Timer::Check(id.clone()), now.mono + wait);
    }

    /// A check's time has come: to run, or to expire.
    ///
    /// Others whose time is near run along. They come back at about the same time, so that each is early once and
    /// then has its company.
    pub(in crate::agent) fn on_check_due(&mut self, now: Now, id: &Str) {
        let Some(state) = self.checks.get_mut(id) else { return };
        match &mut state.runner {
            Runner::Probe { .. } => {
                self.run_probe(now, id);
                for id in self.nearly_due(now) {
                    self.timers.cancel(&Timer::Check(id.clone()));
                    self.run_probe(now, &id);
                }
            }
            Runner::Ttl { .. } => self.on_ttl_expired(now, id),
            Runner::FarAlias { .. } => self.ask_for_alias(now, id),
            Runner::Alias { .. } | Runner::Maintenance => {}
        }
    }

    fn run_probe(&mut self, now: Now, id: &Str) {
        let Some(CheckState { runner: Runner::Probe { spec, run, .. }, .. }) = self.checks.get_mut(id) else {
            return;
        };
        invariant!(run.is_none(), "two runs of one check");
        self.next_run += 1;
        let number = RunId(self.next_run);
        *run = Some(number);
        let spec = spec.clone();
        self.timers.set(Timer::Watchdog(id.clone()), now.mono + spec.timeout + WATCHDOG_SLACK);
        self.runs.insert(number, id.clone());
        self.effects.push_back(AgentEffect::RunCheck { run: number, spec });
    }

    /// The probes that may run a little early, because one runs now.
    fn nearly_due(&self, now: Now) -> Vec<Str> {
        let near = self.timers.upto(now.mono + EARLY_MAX).take(LOOKED_AT).filter_map(|(at, timer)| {
            let Timer::Check(id) = timer else { return None };
            let Runner::Probe { interval, .. } = &self.checks.get(id)?.runner else { return None };
            (at < now.mono + *interval / EARLY_PART).then(|| id.clone())
        });
        near.take(TOGETHER - 1).collect()
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
        let (interval, spec) = (*interval, spec.clone());
        let result = match &outcome {
            CheckOutcome::Found { status, .. } => Some((*status, threshold.count(status))),
            CheckOutcome::Broken { .. } | CheckOutcome::Nothing => None,
        };
        let counts = threshold.clone();
        self.timers.set(Timer::Check(id.clone()), now.mono + interval);
        let mut output = match outcome {
            CheckOutcome::Found { output, .. } | CheckOutcome::Broken { output } => output,
            CheckOutcome::Nothing => {
                return self.log_check(Level::Debug, "Check got no answer in time: its status stays", &id);
            }
        };
        let verdict = match result {
            Some((status, verdict)) => {
                self.log_failure(&id, &spec.probe, status, &output);
                self.log_verdict(&id, status, verdict, &counts);
                verdict
            }
            None => {
                self.log_broken(&id, &spec, &output);
                Some(status::CRITICAL)
            }
        };
        if let Some(new) = verdict {
            if output.len() > spec.output_max + OUTPUT_SLACK {
                truncate(&mut output, spec.output_max);
            }
            self.set_check_status(now, &id, new, output);
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
        self.on_check_done(now, run, CheckOutcome::Broken { output });
    }

    /// Why a connection failed, at every run: Consul tells it of these kinds, and of the others that they are
    /// critical; the output has their reason.
    fn log_failure(&mut self, id: &Str, probe: &Probe, status: &'static str, output: &str) {
        if status != status::CRITICAL {
            return;
        }
        let text = match probe {
            Probe::Tcp { tls: None, .. } => "Check TCP connection failed",
            Probe::Tcp { tls: Some(_), .. } => "Check TCP+TLS connection failed",
            Probe::Udp { .. } if output.starts_with("read ") => "Check socket read failed",
            Probe::Udp { .. } if output.starts_with("write ") => "Check socket write failed",
            Probe::Udp { .. } => "Check socket connection failed",
            Probe::Http { .. }
            | Probe::Grpc { .. }
            | Probe::H2Ping { .. }
            | Probe::Script { .. }
            | Probe::Docker { .. } => return,
        };
        self.event(Level::Warn, text, &[("check", id), ("error", output)]);
    }

    /// What a result means, at every run: whoever looks into the log of an agent sees what fails now.
    fn log_verdict(
        &mut self,
        id: &Str,
        result: &'static str,
        verdict: Option<&'static str>,
        counts: &Threshold,
    ) {
        let failed = status::severity(result) == 2;
        match verdict {
            Some(new) if failed => self.log_check(Level::Warn, &format!("Check is now {new}"), id),
            Some(new) => {
                self.event(Level::Debug, "Check status updated", &[("check", id), ("status", new)]);
            }
            None if failed => {
                let (count, warning, critical) = counts.failures();
                self.event(
                    Level::Warn,
                    "Check failed but has not reached warning/failure threshold",
                    &[
                        ("check", id),
                        ("status", result),
                        ("failure_count", &count.to_string()),
                        ("warning_threshold", &warning.to_string()),
                        ("failure_threshold", &critical.to_string()),
                    ],
                );
            }
            None => {
                let (count, needed) = counts.successes();
                self.event(
                    Level::Warn,
                    "Check passed but has not reached success threshold",
                    &[
                        ("check", id),
                        ("status", result),
                        ("success_count", &count.to_string()),
                        ("success_threshold", &needed.to_string()),
                    ],
                );
            }
        }
    }

    /// A run without a result: too slow, or it could not begin.
    fn log_broken(&mut self, id: &Str, spec: &CheckSpec, output: &str) {
        if output.starts_with("Timed out (") {
            let fields = [("check", &**id), ("timeout", &*text(spec.timeout))];
            self.event(Level::Warn, "Timed out running check", &fields);
        } else {
            self.event(Level::Error, "Check failed to invoke", &[("check", id), ("error", output)]);
        }
    }
}
