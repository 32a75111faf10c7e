//! How timers and budgets grow with the number of members: memberlist's formulas.

use crate::time::Duration;

/// The shortest time from suspicion to death: `mult * max(1, log10 n) * interval`, the logarithm cut
/// to three decimals.
pub(super) fn suspicion_timeout(mult: u32, n: usize, interval: Duration) -> Duration {
    let scale = libm::log10((n.max(1)) as f64).max(1.0);
    let nanos = u128::from(mult) * (scale * 1000.0) as u128 * interval.as_nanos() / 1000;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How often one node sends one rumour: `mult * ceil(log10(n + 1))`.
pub(super) fn retransmit_limit(mult: u32, n: usize) -> u32 {
    mult * libm::ceil(libm::log10((n + 1) as f64)) as u32
}

/// The time between exchanges of tables: beyond 32 members it grows with the logarithm of their number,
/// so that the exchanges of the whole cluster stay bearable.
pub(super) fn push_pull_interval(base: Duration, n: usize) -> Duration {
    if n <= 32 {
        return base;
    }
    base * (libm::ceil(libm::log2(n as f64) - 5.0) as u32 + 1)
}

/// What is left of a suspicion's time after `confirmations` of `wanted`, `elapsed` since it began: from
/// `max` towards `min` with the logarithm of the confirmations (Lifeguard, section IV-B).
pub(super) fn suspicion_left(
    confirmations: u32,
    wanted: u32,
    elapsed: Duration,
    min: Duration,
    max: Duration,
) -> Duration {
    let part = libm::log(f64::from(confirmations) + 1.0) / libm::log(f64::from(wanted) + 1.0);
    let seconds = max.as_secs_f64() - part * (max.as_secs_f64() - min.as_secs_f64());
    let timeout = Duration::from_millis(libm::floor(1000.0 * seconds).max(0.0) as u64);
    timeout.max(min).saturating_sub(elapsed)
}

/// How long a query waits for answers: `interval * mult * ceil(log10(n + 1))`.
pub(super) fn query_timeout(interval: Duration, mult: u32, n: usize) -> Duration {
    interval * retransmit_limit(mult, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn suspicion_lasts_longer_in_a_larger_cluster() {
        for (n, millis) in [(0, 4000), (5, 4000), (10, 4000), (50, 6792), (100, 8000), (1000, 12_000)] {
            assert_eq!(suspicion_timeout(4, n, SECOND), Duration::from_millis(millis), "{n}");
        }
    }

    #[test]
    fn each_rumour_has_a_budget_of_the_logarithm() {
        for (n, sends) in [(0, 0), (1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)] {
            assert_eq!(retransmit_limit(4, n), sends, "{n}");
        }
    }

    #[test]
    fn tables_are_exchanged_more_rarely_in_a_larger_cluster() {
        for (n, times) in [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (1000, 6)] {
            assert_eq!(push_pull_interval(SECOND, n), SECOND * times, "{n}");
        }
    }

    #[test]
    fn confirmations_shorten_a_suspicion_down_to_its_minimum() {
        let left = |n, elapsed| {
            suspicion_left(
                n,
                3,
                Duration::from_secs(elapsed),
                Duration::from_secs(2),
                Duration::from_secs(30),
            )
        };
        assert_eq!(left(0, 0), Duration::from_secs(30));
        assert_eq!(left(1, 2), Duration::from_secs(14));
        assert_eq!(left(2, 3), Duration::from_millis(4810));
        assert_eq!(left(3, 4), Duration::ZERO);
        assert_eq!(left(4, 1), Duration::from_secs(1), "more than wanted cannot go below the minimum");
    }
}
