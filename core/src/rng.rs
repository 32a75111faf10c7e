//! Seeded randomness: one CSPRNG per node, forked by label.
//!
//! A fork depends only on the parent's seed and the label, so one part's draws never shift
//! another's. ChaCha because the same generator also draws UUIDs and, later, secrets.

use alloc::format;
use alloc::string::String;
use core::time::Duration;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Entropy for one node: from the operating system in production, from a number in simulation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// Expands a number, for tests and simulations.
    pub fn from_u64(n: u64) -> Seed {
        let mut bytes = [0; 32];
        ChaCha12Rng::seed_from_u64(n).fill_bytes(&mut bytes);
        Seed(bytes)
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A stream of random numbers that replays from its seed.
#[derive(Clone)]
pub struct Rng {
    seed: [u8; 32],
    stream: ChaCha12Rng,
}

impl core::fmt::Debug for Rng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rng(..)")
    }
}

impl Rng {
    /// The stream that belongs to `seed`.
    pub fn new(seed: Seed) -> Rng {
        Rng { seed: seed.0, stream: ChaCha12Rng::from_seed(seed.0) }
    }

    /// An independent stream for `label`; does not consume from this one.
    pub fn fork(&self, label: &str) -> Rng {
        let mut seed = self.seed;
        // FNV-1a over the label, spread over the seed by one ChaCha block: distinct labels give
        // unrelated streams, equal labels the same one.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for b in label.bytes() {
            hash = (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        }
        for (byte, h) in seed.iter_mut().zip(hash.to_le_bytes()) {
            *byte ^= h;
        }
        let mut bytes = [0; 32];
        ChaCha12Rng::from_seed(seed).fill_bytes(&mut bytes);
        Rng::new(Seed(bytes))
    }

    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.stream.next_u64()
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True `num` times out of `den`.
    pub fn ratio(&mut self, num: u64, den: u64) -> bool {
        self.below(den) < num
    }

    /// A duration in `low..high`; `low` when the range is empty.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        let span = high.saturating_sub(low).as_nanos().min(u128::from(u64::MAX)) as u64;
        low + Duration::from_nanos(self.below(span))
    }

    /// Puts `items` in a random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }

    /// A random UUID in its usual text form (RFC 9562 version 4 bits are set).
    pub fn uuid(&mut self) -> String {
        let mut b = [0u8; 16];
        self.stream.fill_bytes(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let n = u128::from_be_bytes(b);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (n >> 96) as u32,
            (n >> 80) as u16,
            (n >> 64) as u16,
            (n >> 48) as u16,
            n & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_shift_its_parent_and_replays() {
        let mut a = Rng::new(Seed::from_u64(7));
        let mut b = Rng::new(Seed::from_u64(7));
        let mut fork = a.fork("raft.election");
        let first = fork.next_u64();
        assert_eq!(a.next_u64(), b.next_u64());
        assert_eq!(first, b.fork("raft.election").next_u64());
        assert_ne!(first, b.fork("dns.shuffle").next_u64());
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[rng.below(7) as usize] = true;
        }
        assert!(seen.iter().all(|s| *s));
        assert_eq!(rng.below(0), 0);
    }
}
