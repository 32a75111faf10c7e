//! One server's clocks as functions of global time: rate off by parts per million, wall clock with steps.

use lictor_core::time::{Instant, Now, WallTime};

/// 2023-11-14T22:13:20Z: where the simulated wall clocks start.
const EPOCH_NS: i64 = 1_700_000_000_000_000_000;
const MILLION: u64 = 1_000_000;

/// Both clocks of one server.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Where the current rate began, on the global clock.
    since: u64,
    /// What the monotonic clock showed then.
    shown: u64,
    /// Local nanoseconds in a million global ones.
    rate: u64,
    /// What is added to the monotonic clock's advance to get the wall clock.
    wall: i64,
}

impl Clock {
    pub(super) fn new(ppm: i64) -> Clock {
        Clock { since: 0, shown: 0, rate: rate(ppm), wall: EPOCH_NS }
    }

    /// The monotonic clock at `global`; never runs back.
    fn mono(&self, global: u64) -> u64 {
        self.shown + scale(global - self.since, self.rate, MILLION)
    }

    pub(super) fn now(&self, global: u64) -> Now {
        let mono = self.mono(global);
        Now { mono: Instant(mono), wall: WallTime(self.wall + mono as i64) }
    }

    /// The first global time at which the monotonic clock shows `local` or more: the exact inverse of
    /// [`Clock::mono`]. Rounding it down would wake a node just before its deadline, for ever.
    pub(super) fn global_of(&self, local: Instant) -> u64 {
        match local.0.checked_sub(self.shown) {
            None => self.since,
            Some(ahead) => {
                let product = u128::from(ahead) * u128::from(MILLION);
                let steps = product.div_ceil(u128::from(self.rate));
                self.since.saturating_add(u64::try_from(steps).unwrap_or(u64::MAX))
            }
        }
    }

    /// From `global` on the rate is off by `ppm`. Time does not jump.
    pub(super) fn drift(&mut self, global: u64, ppm: i64) {
        self.shown = self.mono(global);
        self.since = global;
        self.rate = rate(ppm);
    }

    /// The wall clock jumps.
    pub(super) fn step(&mut self, ms: i64) {
        self.wall += ms * 1_000_000;
    }
}

fn rate(ppm: i64) -> u64 {
    (MILLION as i64 + ppm.clamp(-900_000, 900_000)) as u64
}

fn scale(ns: u64, rate: u64, per: u64) -> u64 {
    match ns.checked_mul(rate) {
        Some(product) => product / per,
        None => (u128::from(ns) * u128::from(rate) / u128::from(per)) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_inverse_is_exact(ppm in -330_000i64..330_000, changed in 0u64..1 << 40, local in 0u64..1 << 42) {
            let mut clock = Clock::new(ppm / 3);
            clock.drift(changed, ppm);
            let at = clock.global_of(Instant(local));
            prop_assert!(at == changed || clock.mono(at) >= local);
            prop_assert!(at == changed || clock.mono(at - 1) < local);
        }

        #[test]
        fn a_change_of_rate_is_no_jump(ppm in -330_000i64..330_000, at in 0u64..1 << 40) {
            let mut clock = Clock::new(0);
            let before = clock.mono(at);
            clock.drift(at, ppm);
            prop_assert_eq!(clock.mono(at), before);
        }
    }
}
