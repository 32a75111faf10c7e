//! How often one question of the cache may be asked: Consul's `cache.entry_fetch_rate` and `entry_fetch_max_burst`.
//!
//! A bucket of tokens as in Go's `x/time/rate`: full at first, refilled at a steady rate, never beyond the burst. Each
//! question that goes out takes one; where there is none it waits for its own, and is counted as taken already.

use crate::config::FetchRate;
use crate::time::{Duration, Instant};

/// The bucket of one question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Below zero: promised ahead of time.
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn full(now: Instant, rate: &FetchRate) -> Bucket {
        Bucket { tokens: rate.burst.into(), at: now }
    }

    /// What has come in since the last look, at this rate.
    pub(super) fn refill(&mut self, now: Instant, rate: &FetchRate) {
        if rate.is_limited() {
            let gained = now.since(self.at).as_secs_f64() * rate.per_second;
            self.tokens = (self.tokens + gained).min(rate.burst.into());
        } else {
            self.tokens = rate.burst.into();
        }
        self.at = self.at.max(now);
    }

    /// Takes a token: how long to wait for it.
    pub(super) fn take(&mut self, now: Instant, rate: &FetchRate) -> Duration {
        if !rate.is_limited() {
            return Duration::ZERO;
        }
        self.refill(now, rate);
        self.tokens -= 1.0;
        let missing = (-self.tokens).max(0.0);
        Duration::try_from_secs_f64(missing / rate.per_second).unwrap_or(LONGEST).min(LONGEST)
    }
}

/// A rate of next to nothing must not overflow the clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(rate: FetchRate, at_ms: &[u64]) -> alloc::vec::Vec<u64> {
        let mut bucket = Bucket::full(Instant::ZERO, &rate);
        let at = |ms: &u64| Instant::ZERO + Duration::from_millis(*ms);
        at_ms.iter().map(|ms| bucket.take(at(ms), &rate).as_millis() as u64).collect()
    }

    #[test]
    fn a_burst_goes_out_at_once_and_the_rest_one_by_one() {
        let rate = FetchRate { per_second: 2.0, burst: 3 };
        assert_eq!(waits(rate, &[0, 0, 0, 0, 0]), [0, 0, 0, 500, 1000]);
        assert_eq!(
            waits(rate, &[0, 0, 0, 250, 750, 10_000, 10_000, 10_000, 10_000]),
            [0, 0, 0, 250, 250, 0, 0, 0, 500]
        );
    }

    #[test]
    fn without_a_limit_nothing_waits_and_next_to_no_rate_waits_a_year() {
        assert_eq!(waits(FetchRate::default(), &[0; 5]), [0; 5]);
        let least = FetchRate { per_second: f64::MIN_POSITIVE, burst: 1 };
        assert_eq!(waits(least, &[0, 0]), [0, LONGEST.as_millis() as u64]);
    }
}
