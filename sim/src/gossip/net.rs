//! What lies between members.

use lictor_core::rng::Rng;
use lictor_core::time::Duration;
use std::collections::BTreeSet;

/// Delays and losses. Members are numbered.
#[derive(Clone, Debug)]
pub struct Net {
    /// The shortest and the longest way of a packet.
    pub latency: (Duration, Duration),
    /// Packets lost, of a thousand. Streams lose nothing.
    pub loss: u64,
    /// Ways that are cut, for packets and streams: from, to.
    pub cut: BTreeSet<(usize, usize)>,
    /// Ways on which packets are lost while streams get through.
    pub no_packets: BTreeSet<(usize, usize)>,
}

impl Default for Net {
    fn default() -> Net {
        Net {
            latency: (Duration::from_micros(200), Duration::from_millis(2)),
            loss: 0,
            cut: BTreeSet::new(),
            no_packets: BTreeSet::new(),
        }
    }
}

impl Net {
    /// Cuts `group` off from all others of `all`, both ways.
    pub fn part(&mut self, group: &BTreeSet<usize>, all: usize) {
        for a in group {
            for b in (0..all).filter(|b| !group.contains(b)) {
                self.cut.extend([(*a, b), (b, *a)]);
            }
        }
    }

    /// Undoes every cut and loss.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.no_packets.clear();
        self.loss = 0;
    }

    pub(super) fn delay(&self, rng: &mut Rng) -> Duration {
        rng.duration(self.latency.0, self.latency.1)
    }

    /// Whether bytes get from one to the other at all.
    pub(super) fn connects(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Whether this packet gets there.
    pub(super) fn delivers(&self, from: usize, to: usize, rng: &mut Rng) -> bool {
        self.connects(from, to) && !self.no_packets.contains(&(from, to)) && !rng.ratio(self.loss, 1000)
    }
}
