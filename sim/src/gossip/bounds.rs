//! Within which a pool finds out, from memberlist's parameters alone: SWIM's rounds (Das et al. 2002, 4.3) and
//! Lifeguard's timers (Dadgar et al. 2018, IV).
//!
//! Written from the papers and memberlist's formulas, not from the code under test. What is random has no bound; where
//! a bound rests on luck, the luck is such that one death in a million is found later.

use lictor_core::gossip::Config;
use lictor_core::time::Duration;

/// Probe intervals after which somebody has probed a given member: each of the others picks it with one chance in
/// `n - 1`, so it is missed in one interval with 1/e at most, and in fourteen with less than one in a million.
const FIRST_PROBE: u32 = 14;
/// The worst stretch of a probe by a member that doubts itself (Lifeguard's local health is 7 at most).
const WORST_HEALTH: u32 = 8;
/// Accusers beside the first that bring a suspicion down to its shortest: `suspicion_mult - 2`.
const NOT_CONFIRMING: u32 = 2;

/// What the parameters give for a pool of `n`.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    config: &'a Config,
    n: usize,
}

impl Bounds<'_> {
    /// For a pool of `n` members with these settings.
    pub fn new(config: &Config, n: usize) -> Bounds<'_> {
        Bounds { config, n }
    }

    /// The shortest suspicion: nobody is called failed sooner after its last sign of life.
    pub fn suspicion_min(&self) -> Duration {
        let digits = (self.n.max(1) as f64).log10().max(1.0);
        let millis = (digits * 1000.0) as u32;
        self.config.probe_interval * self.config.suspicion_mult * millis / 1000
    }

    /// The longest suspicion, when nobody else confirms it; the shortest one where there are too few who could.
    pub fn suspicion_max(&self) -> Duration {
        let wanted = self.config.suspicion_mult.saturating_sub(NOT_CONFIRMING);
        let could = self.n.saturating_sub(2) as u32;
        let times = if could < wanted { 1 } else { self.config.suspicion_max_mult };
        self.suspicion_min() * times
    }

    /// From a rumour's first send until everybody has it: each round multiplies those who know it by
    /// `1 + gossip_nodes`, and the last ones take as long again.
    pub fn spread(&self) -> Duration {
        let fanout = 1.0 + self.config.gossip_nodes as f64;
        let rounds = (self.n.max(2) as f64).log2() / fanout.log2();
        self.config.gossip_interval * (2 * rounds.ceil() as u32 + 2)
    }

    /// Between two exchanges of tables that one member begins.
    pub fn exchange(&self) -> Duration {
        let doublings = (self.n.max(1) as f64).log2().ceil() as u32;
        self.config.push_pull_interval * doublings.saturating_sub(5).saturating_add(1)
    }

    /// From a death until every living member calls it failed, however unlucky, while nothing else happens.
    pub fn death(&self) -> Duration {
        let probe = self.config.probe_interval * (FIRST_PROBE + WORST_HEALTH);
        probe + self.suspicion_max() + self.spread()
    }

    /// From when a member probes again that so many call failed, until it has contradicted: it passes all others within
    /// two rounds, and its first probe may be as slow as a probe can be.
    pub fn contradicted(&self, accusers: usize) -> Duration {
        let others = self.n.saturating_sub(accusers).max(1) as u32;
        self.config.probe_interval * (2 * others + WORST_HEALTH) + self.spread()
    }

    /// What SWIM expects of the first member that calls it failed, when others confirm at once: `e / (e - 1)`
    /// intervals until it is probed, one for the probe, the shortest suspicion.
    pub fn death_expected(&self) -> Duration {
        self.config.probe_interval * 2582 / 1000 + self.suspicion_min()
    }

    /// Packets that one member sends in a second when nothing happens: a ping, and the ack of another's.
    pub fn packets(&self) -> f64 {
        2.0 / self.config.probe_interval.as_secs_f64()
    }

    /// Bytes that one member sends on streams in a second: its table for each exchange that it begins, and for each
    /// that another begins with it. `entry` is the size of one row of the table.
    pub fn stream_bytes(&self, entry: f64) -> f64 {
        2.0 * self.n as f64 * entry / self.exchange().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_local_network_give_the_documented_times() {
        let config = Config::lan("a".into(), "10.0.0.1:8301".parse().expect("an address"));
        let of = |n| Bounds::new(&config, n);
        let seconds = Duration::from_secs;
        assert_eq!((of(3).suspicion_min(), of(3).suspicion_max()), (seconds(4), seconds(4)));
        assert_eq!((of(10).suspicion_min(), of(10).suspicion_max()), (seconds(4), seconds(24)));
        assert_eq!((of(1000).suspicion_min(), of(1000).suspicion_max()), (seconds(12), seconds(72)));
        assert_eq!((of(32).exchange(), of(1000).exchange()), (seconds(30), seconds(180)));
        assert_eq!(of(10).spread(), Duration::from_millis(1200));
        assert_eq!(of(10).death(), Duration::from_millis(47_200));
    }
}
