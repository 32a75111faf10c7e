//! Time in proportion to the input.

use crate::Target;
use rustix::time::{ClockId, clock_gettime};

/// What every input may take, in milliseconds of its thread.
const BASE_MS: u64 = 250;
/// What each of its bytes may add, in microseconds: targets decode several times over.
const BYTE_US: u64 = 20;

/// Runs one input. `slack`: how many times slower than an optimized build this one may be.
///
/// # Panics
/// What the target claims does not hold, or it took longer than its input is worth.
pub fn check(target: &Target, input: &[u8], slack: u64) {
    let before = spent_us();
    (target.run)(input);
    let took = spent_us() - before;
    let allowed = slack * (BASE_MS * 1000 + BYTE_US * input.len() as u64);
    assert!(took <= allowed, "{}: {took} us for {} bytes, at most {allowed}", target.name, input.len());
}

/// CPU time of this thread in microseconds: other processes do not count.
pub(crate) fn spent_us() -> u64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as u64 * 1_000_000 + spent.tv_nsec as u64 / 1000
}
