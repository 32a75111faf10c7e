//! When tombstones may be forgotten: 15 minutes after the delete, in steps of 30 seconds.

use crate::time::{Duration, Instant};
use alloc::collections::VecDeque;

const LIFETIME: Duration = Duration::from_secs(15 * 60);
const STEP: Duration = Duration::from_secs(30);

/// Highest delete index per step of time, oldest first: at most 31 entries.
#[derive(Debug, Default)]
pub(super) struct TombstoneTimes {
    steps: VecDeque<(Instant, u64)>,
}

impl TombstoneTimes {
    /// A delete was applied at `index`.
    pub(super) fn saw(&mut self, now: Instant, index: u64) {
        let due = Instant(((now + LIFETIME).0 / STEP.as_nanos() as u64 + 1) * STEP.as_nanos() as u64);
        match self.steps.back_mut() {
            Some((at, highest)) if *at == due => *highest = (*highest).max(index),
            _ => self.steps.push_back((due, index)),
        }
    }

    /// When the oldest step falls due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.steps.front().map(|(at, _)| *at)
    }

    /// The highest index whose lifetime is over, if any.
    pub(super) fn expire(&mut self, now: Instant) -> Option<u64> {
        let mut highest = None;
        while let Some((at, index)) = self.steps.front().copied() {
            if at > now {
                break;
            }
            highest = highest.max(Some(index));
            self.steps.pop_front();
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_lives_at_least_fifteen_minutes_and_at_most_thirty_seconds_more() {
        let mut times = TombstoneTimes::default();
        let start = Instant::ZERO + Duration::from_secs(7);
        times.saw(start, 3);
        times.saw(start + Duration::from_secs(1), 9);
        assert_eq!(times.expire(start + LIFETIME), None);
        assert_eq!(times.expire(start + LIFETIME + STEP + Duration::from_secs(1)), Some(9));
        assert_eq!(times.next_due(), None);
    }

    #[test]
    fn many_deletes_keep_few_steps() {
        let mut times = TombstoneTimes::default();
        for i in 0..10_000 {
            let now = Instant::ZERO + Duration::from_millis(i * 100);
            times.saw(now, i);
            times.expire(now);
        }
        assert!(times.steps.len() <= 32);
    }
}
