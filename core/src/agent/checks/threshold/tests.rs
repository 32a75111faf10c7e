//! Every threshold on every short pattern, against a naive twin.
use super::*;
use alloc::vec::Vec;

/// Says what the documentation says, from the whole history: the last row of equal results decides;
/// before the first status was shown, any result applies.
fn naive(results: &[&'static str], passing: usize, warning: usize, critical: usize) -> Option<&'static str> {
    let last = *results.last()?;
    let good = |r: &&'static str| *r != status::CRITICAL;
    let row = results.iter().rev().take_while(|r| good(r) == good(&last)).count();
    // Only the row that opens the history has the head start.
    let head_start = row == results.len();
    if good(&last) {
        (head_start || row >= passing).then_some(last)
    } else if head_start || row >= critical {
        Some(status::CRITICAL)
    } else {
        (row >= if warning == 0 { critical } else { warning }).then_some(status::WARNING)
    }
}

#[test]
fn every_pattern_up_to_eight_results_is_judged_as_the_naive_twin_does() {
    let kinds = [status::PASSING, status::WARNING, status::CRITICAL];
    let settings = (0..4i64).flat_map(|p| (0..4i64).flat_map(move |c| (0..=c).map(move |w| (p, w, c))));
    let mut judged = 0;
    for (p, w, c) in settings {
        let definition = CheckDefinition {
            success_before_passing: p,
            failures_before_warning: w,
            failures_before_critical: c,
            ..CheckDefinition::default()
        };
        for pattern in 0..3usize.pow(8) {
            let results: Vec<&'static str> = (0..8).map(|n| kinds[pattern / 3usize.pow(n) % 3]).collect();
            let mut threshold = Threshold::new(&definition);
            for n in 0..results.len() {
                let expected = naive(&results[..=n], p as usize, w as usize, c as usize);
                assert_eq!(threshold.count(results[n]), expected, "{p} {w} {c} {:?}", &results[..=n]);
                judged += 1;
            }
        }
    }
    assert!(judged > 1_000_000);
}
