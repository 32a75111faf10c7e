//! One counter and one sample, with their ten-second intervals and quantiles.

use crate::time::Now;
use alloc::boxed::Box;

/// Length of an interval, as Consul's in-memory sink has it.
pub const INTERVAL_SECONDS: u64 = 10;

/// The number of the interval that `now` lies in.
pub(super) fn interval(now: Now) -> u64 {
    u64::try_from(now.wall.seconds()).unwrap_or(0) / INTERVAL_SECONDS
}

/// What one finished interval held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Window {
    pub count: u64,
    pub sum: f64,
    pub sum_of_squares: f64,
    pub min: f64,
    pub max: f64,
}

impl Window {
    fn add(&mut self, value: f64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.count += 1;
        self.sum += value;
        self.sum_of_squares += value * value;
    }

    /// Both together.
    pub(super) fn merge(&mut self, other: &Window) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = if self.count == 0 { other.max } else { self.max.max(other.max) };
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    /// Of `count` additions of one.
    pub(super) fn of_ones(count: u64) -> Window {
        let sum = count as f64;
        let one = if count == 0 { 0.0 } else { 1.0 };
        Window { count, sum, sum_of_squares: sum, min: one, max: one }
    }

    /// 0 without values.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// Of a sample of the population: 0 with fewer than two values.
    pub fn standard_deviation(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let n = self.count as f64;
        square_root((n * self.sum_of_squares - self.sum * self.sum) / (n * (n - 1.0)))
    }
}

/// By Newton's method: `core` has no square root. 0 for what rounding made negative.
fn square_root(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return 0.0;
    }
    // Halving the exponent is within a factor of two of the root.
    let mut root = f64::from_bits((x.to_bits() >> 1) + (1023 << 51));
    for _ in 0..6 {
        root = 0.5 * (root + x / root);
    }
    root
}

/// Counts events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counter {
    /// Since the start.
    pub total: u64,
    at: u64,
    current: u64,
    last: u64,
}

impl Counter {
    pub(super) fn add(&mut self, interval: u64, n: u64) {
        if self.at != interval {
            self.last = if self.at + 1 == interval { self.current } else { 0 };
            self.current = 0;
            self.at = interval;
        }
        self.current += n;
        self.total += n;
    }

    /// What was counted in `interval`, which is this one or the one before.
    pub(super) fn of(&self, interval: u64) -> u64 {
        match self.at {
            at if at == interval => self.current,
            at if at == interval + 1 => self.last,
            _ => 0,
        }
    }

    /// The interval of the newest event.
    pub(super) fn newest(&self) -> u64 {
        self.at
    }
}

/// Eight buckets to each doubling, from 60 ns to 262 s (values are milliseconds): no quantile is off by more than
/// a sixteenth.
const BUCKETS: usize = 256;
const LOWEST: i64 = (1023 - 14) << 3;

/// Counts of values by size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram(Box<[u32; BUCKETS]>);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram(Box::new([0; BUCKETS]))
    }
}

impl Histogram {
    fn bucket(value: f64) -> usize {
        // The sign, the exponent and the first three bits of the fraction.
        let coarse = (value.max(0.0).to_bits() >> 49) as i64 - LOWEST;
        coarse.clamp(0, BUCKETS as i64 - 1) as usize
    }

    fn add(&mut self, value: f64) {
        let count = &mut self.0[Histogram::bucket(value)];
        *count = count.saturating_add(1);
    }

    pub(super) fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    /// The value below which the part `q` of all values lies; `None` without values.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let total: u64 = self.0.iter().map(|n| u64::from(*n)).sum();
        if total == 0 {
            return None;
        }
        let rank = ((q * total as f64) as u64).min(total - 1);
        let mut seen = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += u64::from(*count);
            if seen > rank {
                // The middle of the bucket.
                return Some(f64::from_bits((((bucket as i64 + LOWEST) as u64) << 49) | (1 << 48)));
            }
        }
        None
    }
}

/// Measures: durations in milliseconds, or shares of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Values since the start.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    at: u64,
    current: (Window, Histogram),
    last: (Window, Histogram),
}

impl Sample {
    pub(super) fn add(&mut self, interval: u64, value: f64) {
        if self.at != interval {
            core::mem::swap(&mut self.current, &mut self.last);
            if self.at + 1 != interval {
                self.last.0 = Window::default();
                self.last.1.clear();
            }
            self.current.0 = Window::default();
            self.current.1.clear();
            self.at = interval;
        }
        self.count += 1;
        self.sum += value;
        self.current.0.add(value);
        self.current.1.add(value);
    }

    /// What was measured in `interval`, which is this one or the one before.
    pub(super) fn of(&self, interval: u64) -> Window {
        match self.at {
            at if at == interval => self.current.0,
            at if at == interval + 1 => self.last.0,
            _ => Window::default(),
        }
    }

    /// Adds what was measured in `interval` and the one before it to `into`, with the least and greatest value.
    pub(super) fn recent(&self, interval: u64, into: &mut Histogram, range: &mut Window) {
        let mut take = |part: &(Window, Histogram)| {
            into.merge(&part.1);
            range.merge(&part.0);
        };
        if self.at == interval {
            take(&self.last);
        }
        if self.at == interval || self.at + 1 == interval {
            take(&self.current);
        }
    }

    /// The interval of the newest value.
    pub(super) fn newest(&self) -> u64 {
        self.at
    }
}
