//! Vivaldi: members find their place by pulling and pushing each other along measured round-trip times.
//!
//! Dabek et al., "Vivaldi: a decentralized network coordinate system" (2004), with heights; adjustment and
//! gravity from Ledlie et al., "Network coordinates in the wild" (2007). The constants are serf's.

use crate::Str;
use crate::rng::Rng;
use crate::time::Duration;
use crate::types::Coordinate;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The worst error.
const ERROR_MAX: f64 = 1.5;
/// How much one measurement changes the error.
const CE: f64 = 0.25;
/// How much one measurement moves the place.
const CC: f64 = 0.25;
const HEIGHT_MIN: f64 = 1e-5;
/// Round-trip times of one member from which the median is taken.
const FILTER: usize = 3;
const ADJUSTMENT_WINDOW: usize = 20;
/// How far from the origin gravity becomes felt.
const GRAVITY_RHO: f64 = 150.0;
/// Below this, lengths are zero.
const ZERO: f64 = 1e-6;
const RTT_MAX: Duration = Duration::from_secs(10);

/// This node's place, and what it was found from.
#[derive(Debug, Default)]
pub(in super::super) struct Vivaldi {
    own: Coordinate,
    samples: [f64; ADJUSTMENT_WINDOW],
    next_sample: usize,
    /// The last round-trip times of each member, in seconds.
    latencies: BTreeMap<Str, Vec<f64>>,
    /// How often the place became impossible and was given up.
    resets: u64,
}

impl Vivaldi {
    pub(in super::super) fn own(&self) -> &Coordinate {
        &self.own
    }

    pub(in super::super) fn resets(&self) -> u64 {
        self.resets
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.latencies.remove(name);
    }

    /// Takes in a measurement. An error says why it does not count.
    pub(super) fn update(
        &mut self,
        name: &Str,
        other: &Coordinate,
        rtt: Duration,
        rng: &mut Rng,
    ) -> Result<(), &'static str> {
        if !other.is_valid() {
            return Err("coordinate is invalid");
        }
        if rtt > RTT_MAX {
            return Err("round trip time is beyond ten seconds");
        }
        let rtt = self.median(name, rtt.as_secs_f64());
        self.pull(other, rtt, rng);
        self.adjust(other, rtt);
        let origin = Coordinate::default();
        let away = origin.distance(&self.own) / GRAVITY_RHO;
        self.apply_force(-away * away, &origin, rng);
        if !self.own.is_valid() {
            self.own = Coordinate::default();
            self.resets += 1;
        }
        Ok(())
    }

    /// One late packet does not move us.
    fn median(&mut self, name: &Str, rtt: f64) -> f64 {
        let samples = self.latencies.entry(name.clone()).or_default();
        samples.push(rtt);
        if samples.len() > FILTER {
            samples.remove(0);
        }
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn pull(&mut self, other: &Coordinate, rtt: f64, rng: &mut Rng) {
        let distance = self.own.distance(other);
        let rtt = rtt.max(ZERO);
        let wrong = libm::fabs(distance - rtt) / rtt;
        let weight = self.own.error / (self.own.error + other.error).max(ZERO);
        let error = CE * weight * wrong + self.own.error * (1.0 - CE * weight);
        self.own.error = error.min(ERROR_MAX);
        self.apply_force(CC * weight * (rtt - distance), other, rng);
    }

    fn adjust(&mut self, other: &Coordinate, rtt: f64) {
        self.samples[self.next_sample] = rtt - self.own.raw_distance(other);
        self.next_sample = (self.next_sample + 1) % ADJUSTMENT_WINDOW;
        self.own.adjustment = self.samples.iter().sum::<f64>() / (2.0 * ADJUSTMENT_WINDOW as f64);
    }

    /// Moves away from `other`, or towards it if the force is negative.
    fn apply_force(&mut self, force: f64, other: &Coordinate, rng: &mut Rng) {
        let (direction, length) = direction_from(&other.vec, &self.own.vec, rng);
        for (place, part) in self.own.vec.iter_mut().zip(&direction) {
            *place += part * force;
        }
        if length > ZERO {
            let height = (self.own.height + other.height) * force / length + self.own.height;
            self.own.height = height.max(HEIGHT_MIN);
        }
    }
}

fn length(vec: &[f64]) -> f64 {
    libm::sqrt(vec.iter().map(|part| part * part).sum())
}

/// The unit vector from one place to another, and their distance. Two in the same place are driven apart
/// in a random direction.
fn direction_from(from: &[f64], to: &[f64], rng: &mut Rng) -> (Vec<f64>, f64) {
    let mut vec: Vec<f64> = to.iter().zip(from).map(|(a, b)| a - b).collect();
    let distance = length(&vec);
    if distance > ZERO {
        vec.iter_mut().for_each(|part| *part *= 1.0 / distance);
        return (vec, distance);
    }
    vec.iter_mut().for_each(|part| *part = rng.below(1 << 53) as f64 / (1_u64 << 53) as f64 - 0.5);
    let random = length(&vec);
    if random > ZERO {
        vec.iter_mut().for_each(|part| *part *= 1.0 / random);
    } else if let Some(first) = vec.first_mut() {
        *first = 1.0;
    }
    (vec, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use alloc::format;

    fn rng() -> Rng {
        Rng::new(Seed::from_u64(5))
    }

    #[test]
    fn the_place_is_the_one_that_serf_finds() {
        // Recorded from serf 0.10.1 with the same measurements.
        let mut vivaldi = Vivaldi::default();
        vivaldi.own.vec[1] = 0.005;
        let mut other = Coordinate { error: 0.7, height: 0.001, ..Coordinate::default() };
        (other.vec[0], other.vec[3]) = (0.02, -0.01);
        for i in 0..25 {
            other.vec[0] += 0.0001;
            let rtt = Duration::from_millis(30 + i % 7);
            vivaldi.update(&"n1".into(), &other, rtt, &mut rng()).expect("a measurement");
        }
        let own = vivaldi.own();
        let close = |a: f64, b: f64| libm::fabs(a - b) < 1e-9;
        let place = [-0.005_080_154_285, 0.006_247_530_245, 0.0, 0.002_495_179_112, 0.0, 0.0, 0.0, 0.0];
        assert!(own.vec.iter().zip(place).all(|(a, b)| close(*a, b)), "{own:?}");
        assert!(close(own.error, 0.179_555_135_371), "{own:?}");
        assert!(close(own.adjustment, 0.000_840_197_405), "{own:?}");
        assert!(close(own.height, 0.000_262_012_853), "{own:?}");
        assert!(close(own.distance(&other), 0.033_018_646), "{}", own.distance(&other));
    }

    #[test]
    fn members_on_a_line_learn_how_far_apart_they_are() {
        // Three members, 10 ms from one to the next.
        let mut rng = rng();
        let mut members: Vec<Vivaldi> = (0..3).map(|_| Vivaldi::default()).collect();
        for round in 0..2000 {
            let (a, b) = (round % 3, (round + 1 + round / 3 % 2) % 3);
            let other = members[b].own().clone();
            let rtt = Duration::from_millis(10 * a.abs_diff(b) as u64);
            let name: Str = format!("n{b}").as_str().into();
            members[a].update(&name, &other, rtt, &mut rng).expect("a measurement");
        }
        for (a, b) in [(0, 1), (1, 2), (0, 2)] {
            let found = members[a].own().distance(members[b].own());
            let truth = 0.010 * (b - a) as f64;
            assert!(libm::fabs(found - truth) < 0.15 * truth, "{a} to {b}: {found}");
        }
    }

    #[test]
    fn nonsense_does_not_move_us() {
        let mut vivaldi = Vivaldi::default();
        let nan = Coordinate { height: f64::NAN, ..Coordinate::default() };
        let flat = Coordinate { vec: alloc::vec![0.0; 2], ..Coordinate::default() };
        let second = Duration::from_secs(1);
        assert!(vivaldi.update(&"n1".into(), &nan, second, &mut rng()).is_err());
        assert!(vivaldi.update(&"n1".into(), &flat, second, &mut rng()).is_err());
        assert!(vivaldi.update(&"n1".into(), &Coordinate::default(), second * 11, &mut rng()).is_err());
        assert_eq!(*vivaldi.own(), Coordinate::default());
        // Finite, but so far away that the sums are not.
        let far = Coordinate { vec: alloc::vec![1e300; 8], ..Coordinate::default() };
        assert!(vivaldi.update(&"n1".into(), &far, second, &mut rng()).is_ok());
        assert!(vivaldi.own().is_valid());
        assert_eq!(vivaldi.resets(), 1);
    }
}
