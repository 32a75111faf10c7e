//! Majorities.

use crate::ids::ServerId;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// The greatest value that a majority of `voters` has reached; the default without voters.
///
/// Serves match indexes (section 3.5) and heartbeat rounds (section 6.4) alike.
pub(super) fn reached<T: Ord + Copy + Default>(
    voters: &BTreeSet<ServerId>,
    value: impl Fn(&ServerId) -> T,
) -> T {
    let mut values: Vec<T> = voters.iter().map(value).collect();
    values.sort_unstable();
    // Ascending: everything from this place on is at least as great, and that is a majority.
    values.len().checked_sub(values.len() / 2 + 1).map_or(T::default(), |place| values[place])
}

/// How a ballot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tally {
    /// A majority granted.
    Won,
    /// A majority can no longer grant.
    Lost,
    /// Still open.
    Open,
}

/// Counts a ballot among `voters`; votes of others do not count.
pub(super) fn tally(
    voters: &BTreeSet<ServerId>,
    granted: &BTreeSet<ServerId>,
    refused: &BTreeSet<ServerId>,
) -> Tally {
    let majority = voters.len() / 2 + 1;
    if voters.intersection(granted).count() >= majority {
        Tally::Won
    } else if voters.difference(refused).count() < majority {
        Tally::Lost
    } else {
        Tally::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use proptest::prelude::*;

    fn ids(n: usize) -> Vec<ServerId> {
        (0..n).map(|i| ServerId::from(format!("s{i}"))).collect()
    }

    proptest! {
        #[test]
        fn reached_equals_counting_by_hand(values in proptest::collection::vec(0u64..6, 0..8)) {
            let ids = ids(values.len());
            let of: BTreeMap<_, _> = ids.iter().cloned().zip(values.iter().copied()).collect();
            let voters = ids.into_iter().collect();
            let by_hand = (0..6u64)
                .filter(|v| 2 * values.iter().filter(|x| *x >= v).count() > values.len())
                .max()
                .unwrap_or(0);
            prop_assert_eq!(reached(&voters, |id| of[id]), by_hand);
        }

        #[test]
        fn a_tally_equals_trying_every_outcome(votes in proptest::collection::vec(0u8..3, 0..6)) {
            let ids = ids(votes.len() + 1); // the last one votes without being a voter
            let pick = |v: u8| -> BTreeSet<ServerId> {
                let of = |i: usize| votes.get(i).copied().unwrap_or(v);
                (0..ids.len()).filter(|i| of(*i) == v).map(|i| ids[i].clone()).collect()
            };
            let voters: BTreeSet<_> = ids[..votes.len()].iter().cloned().collect();
            let (yes, open) = (votes.iter().filter(|v| **v == 1).count(), votes.iter().filter(|v| **v == 0).count());
            let wins = |n: usize| 2 * n > votes.len();
            let expected = if wins(yes) { Tally::Won } else if wins(yes + open) { Tally::Open } else { Tally::Lost };
            prop_assert_eq!(tally(&voters, &pick(1), &pick(2)), expected);
        }
    }
}
