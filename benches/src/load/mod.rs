//! Load: closed loops that ask as fast as they are answered.

pub mod dns;
pub mod http;

use std::time::Duration;

/// What one run of load saw.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Answers as they should be.
    pub done: u64,
    /// Answers that were not, and questions that went unanswered.
    pub failed: u64,
    /// The first answer that was not as it should be: its status and the begin of its body.
    pub wrong: Option<String>,
    /// How long it ran.
    pub elapsed: Duration,
    /// Of each answer, in units of 100 ns.
    pub latencies: Vec<u32>,
}

impl Run {
    fn note(&mut self, took: Duration) {
        self.done += 1;
        self.latencies.push(u32::try_from(took.as_nanos() / 100).unwrap_or(u32::MAX));
    }

    /// Adds another run of the same load.
    pub fn merge(&mut self, other: Run) {
        self.done += other.done;
        self.failed += other.failed;
        self.wrong = self.wrong.take().or(other.wrong);
        self.elapsed += other.elapsed;
        self.latencies.extend(other.latencies);
    }

    /// The latency that `part` (0 to 1) of the answers did not exceed.
    pub fn quantile(&mut self, part: f64) -> Duration {
        if self.latencies.is_empty() {
            return Duration::ZERO;
        }
        self.latencies.sort_unstable();
        let at = ((self.latencies.len() - 1) as f64 * part) as usize;
        Duration::from_nanos(u64::from(self.latencies[at]) * 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_merged_answers() {
        let mut run = Run::default();
        let mut other = Run::default();
        for us in 1..=50 {
            run.note(Duration::from_micros(us));
            other.note(Duration::from_micros(us + 50));
        }
        run.merge(other);
        assert_eq!(run.done, 100);
        assert_eq!(run.quantile(0.5), Duration::from_micros(50));
        assert_eq!(run.quantile(0.99), Duration::from_micros(99));
        assert_eq!(run.quantile(1.0), Duration::from_micros(100));
    }
}
