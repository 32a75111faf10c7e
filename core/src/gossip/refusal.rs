//! What peers sent and was not taken: counted by kind, logged now and then.

use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;

/// One line per kind in this time, however many come.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Tally {
    total: u64,
    unsaid: u64,
    said: Option<Instant>,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    kinds: BTreeMap<&'static str, Tally>,
}

impl Refusals {
    /// Counts one. If it is time for a line, gives how many went by without one since the last.
    pub(super) fn count(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        let tally = self.kinds.entry(kind).or_default();
        tally.total += 1;
        if tally.said.is_some_and(|said| now.since(said) < QUIET) {
            tally.unsaid += 1;
            return None;
        }
        tally.said = Some(now);
        Some(core::mem::take(&mut tally.unsaid))
    }

    /// Each kind with its count.
    pub(super) fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.kinds.iter().map(|(kind, tally)| (*kind, tally.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_whole_and_logged_rarely() {
        let mut refusals = Refusals::default();
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        assert_eq!(refusals.count("label", at(0)), Some(0));
        for i in 1..1000 {
            assert_eq!(refusals.count("label", at(i)), None);
        }
        assert_eq!(refusals.count("no_key", at(5)), Some(0), "kinds do not hide each other");
        assert_eq!(refusals.count("label", at(10_000)), Some(999));
        assert_eq!(refusals.totals().collect::<alloc::vec::Vec<_>>(), [("label", 1001), ("no_key", 1)]);
    }
}
