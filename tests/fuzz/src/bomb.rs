//! Small inputs blown up: a piece repeated until the whole is as long as a request may be. What needs more
//! than linear time shows here, and nowhere else.

use crate::{TARGETS, cost};

/// How long the repeated part is. Twice as much may take twice as long, and some.
const LONG: usize = 32 << 10;
/// Below this, noise; in microseconds.
const NOISE_US: u64 = 60_000;

/// `which, lengths of prefix and piece, prefix, piece, suffix`.
pub(crate) fn bomb(data: &[u8]) {
    let [which, prefix, piece, rest @ ..] = data else { return };
    // Those before this one.
    let targets = TARGETS.iter().position(|target| target.name == "bomb").unwrap_or(TARGETS.len());
    let target = &TARGETS[usize::from(*which) % targets];
    let (prefix, rest) = rest.split_at(usize::from(*prefix).min(rest.len()));
    let (piece, suffix) = rest.split_at(usize::from(*piece).min(rest.len()));
    if piece.is_empty() {
        return;
    }
    let took = |length: usize| {
        let input = [prefix, &piece.repeat(length.div_ceil(piece.len())), suffix].concat();
        let before = cost::spent_us();
        (target.run)(&input);
        cost::spent_us() - before
    };
    let short = took(LONG);
    if short > NOISE_US {
        let long = took(2 * LONG);
        assert!(long < 3 * short, "{}: {short} us for {LONG} bytes, {long} for twice as many", target.name);
    }
}
