//! Composite keys of catalog tables, and the folding of names.

use crate::Str;
use alloc::borrow::Cow;
use core::borrow::Borrow;
use core::cmp::Ordering;

/// `N` strings, compared one after the other. A shorter key sorts before every key it begins.
///
/// Keys that lie near each other begin alike, and as a rule with the same allocation: [`Store::put_service`]
/// and its kin take the parts from the tables. So that is looked at first.
///
/// [`Store::put_service`]: super::Store::put_service
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key<const N: usize>(pub(super) [Str; N]);

impl<const N: usize> Ord for Key<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        let mut orders =
            self.0.iter().zip(&other.0).filter(|(a, b)| !Str::ptr_eq(a, b)).map(|(a, b)| a.cmp(b));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl<const N: usize> PartialOrd for Key<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Anything that reads as a sequence of strings: lets tables be searched with borrowed parts.
pub(super) trait Parts {
    /// The `i`th string, if there are that many.
    fn part(&self, i: usize) -> Option<&str>;
}

impl<const N: usize> Parts for Key<N> {
    fn part(&self, i: usize) -> Option<&str> {
        self.0.get(i).map(|s| &**s)
    }
}

impl<const N: usize> Parts for [&str; N] {
    fn part(&self, i: usize) -> Option<&str> {
        self.get(i).copied()
    }
}

impl<'a, const N: usize> Borrow<dyn Parts + 'a> for Key<N> {
    fn borrow(&self) -> &(dyn Parts + 'a) {
        self
    }
}

impl Ord for dyn Parts + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        let mut i = 0;
        loop {
            match (self.part(i), other.part(i)) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(a), Some(b)) if core::ptr::eq(a, b) => i += 1,
                (Some(a), Some(b)) => match a.cmp(b) {
                    Ordering::Equal => i += 1,
                    unequal => return unequal,
                },
            }
        }
    }
}

impl PartialOrd for dyn Parts + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Parts + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Parts + '_ {}

/// `name` as tables spell it: lower case. Borrows when it is so already.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    if is_folded(name) { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// [`fold`] for a shared string: the same allocation when it is lower case already.
pub(super) fn fold_str(name: &Str) -> Str {
    if is_folded(name) { name.clone() } else { Str::from(name.to_lowercase()) }
}

fn is_folded(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_ordered_by_their_text_wherever_it_lies(
            names in proptest::array::uniform4("[ab]{0,2}"),
            picks in proptest::array::uniform6(0..4usize),
        ) {
            let shared = names.clone().map(Str::from);
            let part = |i: usize| if i.is_multiple_of(2) { shared[picks[i]].clone() } else { Str::from(&names[picks[i]]) };
            let (a, b) = (Key([part(0), part(1), part(2)]), Key([part(3), part(4), part(5)]));
            let text = |key: &Key<3>| key.0.clone().map(|part| part.to_string());
            prop_assert_eq!(a.cmp(&b), text(&a).cmp(&text(&b)));
            let parts: [&str; 3] = [&b.0[0], &b.0[1], &b.0[2]];
            let (a_parts, b_parts): (&dyn Parts, &dyn Parts) = (&a, &parts);
            prop_assert_eq!(a_parts.cmp(b_parts), a.cmp(&b));
        }
    }
}
