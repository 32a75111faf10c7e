//! How well this node itself seems to do (Lifeguard's local health).
//!
//! A node that misses acks it should have got, or must refute rumours about itself, may be the slow one:
//! it grants its probes more time before it accuses others.

use crate::time::Duration;

/// 0 is healthy, 7 the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    score: u32,
}

impl Health {
    const WORST: u32 = 7;

    /// Takes in good (negative) or bad (positive) signs.
    pub(super) fn apply(&mut self, delta: i32) {
        self.score = self.score.saturating_add_signed(delta).min(Health::WORST);
    }

    pub(super) fn score(self) -> u32 {
        self.score
    }

    /// A timeout, stretched by the score.
    pub(super) fn stretch(self, timeout: Duration) -> Duration {
        timeout * (self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_between_healthy_and_worst() {
        let mut health = Health::default();
        health.apply(-1);
        assert_eq!(health.score(), 0);
        health.apply(20);
        assert_eq!(health.stretch(Duration::from_secs(1)), Duration::from_secs(8));
    }
}
