//! How much processor time this process has used.

use std::time::{Duration, Instant};

/// A stopwatch of processor time where the system tells it (Linux, in hundredths of a second), else of the
/// time that passes.
pub(crate) struct Cpu {
    began: Instant,
    used: Option<Duration>,
}

impl Cpu {
    pub(crate) fn start() -> Cpu {
        Cpu { began: Instant::now(), used: used() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        match (used(), self.used) {
            (Some(now), Some(then)) => now - then,
            _ => self.began.elapsed(),
        }
    }
}

/// `utime` and `stime` of proc(5), in clock ticks of 10 ms.
fn used() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
