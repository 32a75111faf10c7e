//! What the operating system tells of this process, and what it is asked for.

use lictor_core::metrics::{Gauge, Metric, Report};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Adds the host's name, resident memory and threads. What the system does not tell is left out.
pub(super) fn measure(report: &mut Report) {
    report.set_hostname(&rustix::system::uname().nodename().to_string_lossy());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |key: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    if let Some(kilobytes) = number("VmRSS:") {
        report.gauge(Gauge::new(Metric::RuntimeAllocBytes, kilobytes * 1024.0));
        report.gauge(Gauge::new(Metric::RuntimeSysBytes, kilobytes * 1024.0));
    }
    if let Some(threads) = number("Threads:") {
        report.gauge(Gauge::new(Metric::RuntimeGoroutines, threads));
    }
}

/// Lets this process open as many files as the system would allow it: every connection is one, and many
/// systems start processes with a limit of 1,024. As Go's runtime does.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused: the agent runs with what it has.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}
