//! Which seeds a test runs, and the command that runs one of them again.

use std::ops::Range;

/// The seeds asked for by `MADSIM_TEST_SEED` and `MADSIM_TEST_NUM`; else `few`, from 1.
///
/// # Panics
/// A variable is not a number.
pub fn chosen(few: u64) -> Range<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
    };
    let first = number("MADSIM_TEST_SEED").unwrap_or(1);
    first..first + number("MADSIM_TEST_NUM").unwrap_or(few)
}

/// The command that runs one seed of a test of this crate.
pub fn command(file: &str, test: &str, seed: u64) -> String {
    format!(
        "MADSIM_TEST_SEED={seed} MADSIM_TEST_NUM=1 cargo test -p lictor-sim --test {file} {test} -- --exact --nocapture"
    )
}
