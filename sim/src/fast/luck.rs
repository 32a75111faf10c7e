//! The simulator's own randomness: small, fast and forked by label, never the node's.
//!
//! Nodes draw from their seeded CSPRNG. What the world draws (delays, losses, what clients do) comes from
//! here: one stream per link, client, disk and action, so that removing one action from a plan leaves the
//! luck of the others as it was.

/// A stream of random numbers: SplitMix64 (Steele, Lea, Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Luck(u64);

impl Luck {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Luck {
        Luck(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// The stream of `seed` that belongs to `label` and `number`, independent of every other.
    pub fn of(seed: u64, label: &str, number: u64) -> Luck {
        let hash = label
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        Luck(mix(mix(seed ^ hash).wrapping_add(number)))
    }

    /// A uniform number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`; `low` when the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high.saturating_sub(low)).saturating_add(1))
    }

    /// True in `permille` of a thousand cases. Draws nothing when that is 0.
    pub fn permille(&mut self, permille: u64) -> bool {
        permille > 0 && self.below(1000) < permille
    }

    /// True `num` times out of `den`.
    pub fn ratio(&mut self, num: u64, den: u64) -> bool {
        self.below(den) < num
    }

    /// One of `items`, which are not empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// A time around `mean`: mostly below it, now and then several times as long. Integers alone, so that
    /// it is the same on every machine.
    pub fn around(&mut self, mean: u64) -> u64 {
        // The product of two uniform numbers, stretched to the mean: many small, few large.
        let a = self.below(1 << 16);
        let b = self.below(1 << 16);
        let base = (u128::from(mean) * u128::from(a) * u128::from(b) * 3) >> 32;
        let tail = if self.below(64) == 0 { mean.saturating_mul(8) } else { 0 };
        base as u64 + mean / 8 + tail
    }
}

/// Spreads every bit over all of them.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_replay_and_differ_by_label_and_number() {
        let draw = |label, number| Luck::of(7, label, number).draw();
        assert_eq!(draw("link", 1), draw("link", 1));
        assert_ne!(draw("link", 1), draw("link", 2));
        assert_ne!(draw("link", 1), draw("disk", 1));
    }

    #[test]
    fn times_lie_around_their_mean() {
        let mut luck = Luck::new(1);
        let sum: u64 = (0..100_000).map(|_| luck.around(1000)).sum();
        let mean = sum / 100_000;
        assert!((900..1100).contains(&mean), "{mean}");
    }
}
