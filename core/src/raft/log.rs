//! The log in memory: a contiguous run of entries up to its end, each shared, never copied.
//!
//! What is applied may be let go of (see [`super::snapshot`]); the disk keeps everything behind the last
//! snapshot. It knows nothing of the disk (see [`super::cursor`]) nor of commits (see [`super::Raft`]).

use super::entry::{Entry, LogId, Membership, Payload};
use crate::ids::{Index, Term};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// A contiguous run of entries behind `base`.
#[derive(Debug)]
pub(super) struct Log {
    /// The entry before the first one held: let go of, or the zero position.
    base: LogId,
    entries: VecDeque<Entry>,
    /// For each entry, the bytes of all entries ever appended up to and including it.
    ends: VecDeque<u64>,
    /// The same for `base`.
    base_end: u64,
}

impl Log {
    pub(super) fn new(base: LogId) -> Log {
        Log { base, entries: VecDeque::new(), ends: VecDeque::new(), base_end: 0 }
    }

    pub(super) fn base(&self) -> LogId {
        self.base
    }

    pub(super) fn last(&self) -> LogId {
        self.entries.back().map_or(self.base, Entry::id)
    }

    /// Where `index` stands in `entries`.
    fn slot(&self, index: Index) -> Option<usize> {
        let slot = index.0.checked_sub(self.base.index.0 + 1)?;
        usize::try_from(slot).ok().filter(|slot| *slot < self.entries.len())
    }

    /// The term at `index`; known from the base to the last entry.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.slot(index).map(|slot| self.entries[slot].term)
    }

    pub(super) fn contains(&self, id: LogId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    pub(super) fn append(&mut self, entry: Entry) {
        let last = self.last();
        invariant!(entry.index.0 == last.index.0 + 1, "append {} after {}", entry.index, last.index);
        invariant!(entry.term >= last.term, "append term {} after {}", entry.term, last.term);
        self.ends.push_back(self.end_at(last.index) + entry.size() as u64);
        self.entries.push_back(entry);
    }

    /// Removes every entry at or above `from`.
    pub(super) fn truncate_from(&mut self, from: Index) {
        invariant!(from > self.base.index, "truncate from {} at base {}", from, self.base.index);
        if let Some(slot) = self.slot(from) {
            self.entries.truncate(slot);
            self.ends.truncate(slot);
        }
    }

    /// Lets go of every entry at or below `to`, which must be held; its position stays known.
    pub(super) fn release_to(&mut self, to: Index) {
        if to <= self.base.index {
            return;
        }
        let slot = self.slot(to).expect("only entries that are held are let go of");
        self.base = self.entries[slot].id();
        self.base_end = self.ends[slot];
        self.entries.drain(..=slot);
        self.ends.drain(..=slot);
        // A burst, or the replay at the start, must not hold its room for ever.
        if self.entries.capacity() > 64 + 4 * self.entries.len() {
            self.entries.shrink_to(64);
            self.ends.shrink_to(64);
        }
    }

    /// Starts anew behind `base`.
    pub(super) fn reset(&mut self, base: LogId) {
        *self = Log::new(base);
    }

    /// The bytes of all entries ever appended up to and including `index`, which is the base or held;
    /// counted from the last reset.
    pub(super) fn end_at(&self, index: Index) -> u64 {
        self.slot(index).map_or(self.base_end, |slot| self.ends[slot])
    }

    /// Bytes of all entries held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes_after(self.base.index)
    }

    /// Bytes of the entries after `index`.
    pub(super) fn bytes_after(&self, index: Index) -> u64 {
        self.end_at(self.last().index) - self.end_at(index)
    }

    /// The first index at or after `from` behind which at most `max` bytes of entries remain.
    pub(super) fn index_leaving(&self, from: Index, max: u64) -> Index {
        if self.bytes() <= max {
            return from;
        }
        let total = self.end_at(self.last().index);
        let slot = self.ends.partition_point(|end| total - end > max);
        Index(self.base.index.0 + 1 + slot as u64).max(from)
    }

    /// Entries from `from` on: as many as fit into `max_bytes`, at least one, none when there is none.
    pub(super) fn batch(&self, from: Index, max_bytes: usize) -> Vec<Entry> {
        let Some(start) = self.slot(from) else { return Vec::new() };
        let limit = self.end_at(Index(from.0 - 1)) + max_bytes as u64;
        let stop = self.ends.partition_point(|end| *end <= limit).max(start + 1);
        self.entries.range(start..stop).cloned().collect()
    }

    /// The memberships held, in order.
    pub(super) fn memberships(&self) -> impl Iterator<Item = (Index, &Membership)> {
        self.entries.iter().filter_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some((entry.index, membership)),
            Payload::Noop | Payload::Command(_) => None,
        })
    }

    /// The entries after `after` up to and including `upto`.
    pub(super) fn range(&self, after: Index, upto: Index) -> Vec<Entry> {
        if upto <= after {
            return Vec::new();
        }
        let start = self.slot(Index(after.0 + 1)).expect("entries not yet applied are held");
        let stop = self.slot(upto).expect("committed entries are held");
        self.entries.range(start..=stop).cloned().collect()
    }

    /// The last position held at or below `at.index` whose term is not newer than `at.term`; the
    /// base when there is none.
    pub(super) fn last_not_after(&self, at: LogId) -> LogId {
        let count = self.entries.partition_point(|e| e.index <= at.index && e.term <= at.term);
        if count == 0 { self.base } else { self.entries[count - 1].id() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index: Index(index), term: Term(term), payload: Payload::Noop }
    }

    fn id(index: u64, term: u64) -> LogId {
        LogId { index: Index(index), term: Term(term) }
    }

    fn log(base: LogId, terms: &[u64]) -> Log {
        let mut log = Log::new(base);
        for (i, term) in terms.iter().enumerate() {
            log.append(entry(base.index.0 + 1 + i as u64, *term));
        }
        log
    }

    #[test]
    fn positions_are_known_from_the_base_to_the_end() {
        let log = log(id(4, 2), &[2, 3]);
        assert_eq!(log.term_at(Index(3)), None);
        assert_eq!(log.term_at(Index(4)), Some(Term(2)));
        assert_eq!(log.term_at(Index(6)), Some(Term(3)));
        assert_eq!(log.term_at(Index(7)), None);
        assert_eq!(log.last(), id(6, 3));
    }

    #[test]
    fn letting_go_and_truncation_keep_the_byte_count_right() {
        let one = entry(1, 1).size() as u64;
        let mut log = log(id(0, 0), &[1, 1, 2, 2, 3]);
        assert_eq!(log.bytes(), 5 * one);
        log.release_to(Index(2));
        assert_eq!((log.base(), log.bytes()), (id(2, 1), 3 * one));
        log.truncate_from(Index(5));
        assert_eq!((log.last(), log.bytes()), (id(4, 2), 2 * one));
        assert_eq!(log.bytes_after(Index(3)), one);
        log.append(entry(5, 4));
        assert_eq!(log.bytes(), 3 * one);
    }

    #[test]
    fn a_batch_holds_what_fits_and_at_least_one() {
        let one = entry(1, 1).size();
        let log = log(id(2, 1), &[1, 1, 1]);
        assert_eq!(log.batch(Index(3), 2 * one).len(), 2);
        assert_eq!(log.batch(Index(4), 0).len(), 1);
        assert_eq!(log.batch(Index(6), 100).len(), 0);
        assert_eq!(log.batch(Index(2), 100).len(), 0);
    }

    #[test]
    fn the_index_leaving_a_byte_budget_is_the_first_that_does() {
        let one = entry(1, 1).size() as u64;
        let log = log(id(2, 1), &[1, 1, 1]);
        assert_eq!(log.index_leaving(Index(0), 3 * one), Index(0));
        assert_eq!(log.index_leaving(Index(0), one), Index(4));
        assert_eq!(log.index_leaving(Index(0), one - 1), Index(5));
        assert_eq!(log.index_leaving(Index(5), 3 * one), Index(5));
    }

    #[test]
    fn a_conflict_hint_skips_whole_newer_terms() {
        let log = log(id(1, 1), &[1, 3, 3, 5]);
        assert_eq!(log.last_not_after(id(9, 4)), id(4, 3));
        assert_eq!(log.last_not_after(id(4, 2)), id(2, 1));
        assert_eq!(log.last_not_after(id(3, 9)), id(3, 3));
        assert_eq!(log.last_not_after(id(1, 0)), id(1, 1));
    }
}
