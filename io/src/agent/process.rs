//! What the operating system tells of this process.

use lictor_core::metrics::{Gauge, Metric, Report};

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
