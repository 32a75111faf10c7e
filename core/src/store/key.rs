//! Composite keys of catalog tables, and the folding of names.

use crate::Str;
use alloc::borrow::Cow;
use core::borrow::Borrow;
use core::cmp::Ordering;

/// `N` strings, compared one after the other. A shorter key sorts before every key it begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<const N: usize>(pub(super) [Str; N]);

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
