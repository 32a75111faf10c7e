//! What became of accepted proposals.
//!
//! A call waits under the position its entry was appended at. Only a commit settles it: the same
//! position committed means done, another entry committed in its place means lost. Being truncated
//! from this server's log means nothing yet, since another server may hold the entry, be elected and
//! commit it (thesis section 3.6.2, figure 3.7).

use super::entry::LogId;
use crate::ids::{CallId, Index, Term};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Accepted calls by the position of their entry.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: BTreeMap<(Index, Term), CallId>,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn accepted(&mut self, at: LogId, call: CallId) {
        self.waiting.insert((at.index, at.term), call);
    }

    /// `at` is committed and applied next, everything before it was: returns the calls that lost.
    pub(super) fn on_applied(&mut self, at: LogId) -> Vec<CallId> {
        if self.waiting.first_key_value().is_none_or(|((index, _), _)| *index > at.index) {
            return Vec::new();
        }
        self.waiting.remove(&(at.index, at.term));
        self.take_upto(at.index)
    }

    /// A snapshot brought everything up to `index`: returns the calls that are settled unseen.
    pub(super) fn take_upto(&mut self, index: Index) -> Vec<CallId> {
        let later = self.waiting.split_off(&(Index(index.0 + 1), Term(0)));
        core::mem::replace(&mut self.waiting, later).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_entry_committed_in_its_place_loses_a_call() {
        let at = |index, term| LogId { index: Index(index), term: Term(term) };
        let mut calls = Calls::default();
        calls.accepted(at(3, 1), CallId(31));
        calls.accepted(at(4, 1), CallId(41));
        calls.accepted(at(4, 3), CallId(43));
        assert!(calls.on_applied(at(2, 1)).is_empty());
        assert!(calls.on_applied(at(3, 1)).is_empty());
        assert_eq!(calls.on_applied(at(4, 3)), [CallId(41)]);
        assert_eq!(calls.len(), 0);
    }
}
