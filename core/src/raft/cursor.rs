//! The disk cursor: what has been written, what is flushed, and what waits for it.
//!
//! Batches form one ordered stream of tickets. Whatever promises something to another server (a
//! vote, an acknowledgement) is held until the ticket that carries the promise is flushed; sending
//! entries to followers is not a promise and never waits (thesis section 10.2.1).

use super::effect::Batch;
use super::entry::{Entry, HardState, SnapshotMeta};
use super::message::Message;
use crate::ids::{Index, ServerId, Term, Ticket};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// Something that waits for the disk.
#[derive(Debug)]
pub(super) enum Held {
    /// A message that promises something.
    Send { to: ServerId, message: Message },
    /// The candidate's vote for itself.
    OwnVote { term: Term },
    /// The state machine is replaced by a snapshot.
    Restore { meta: SnapshotMeta },
}

/// The state of the ticket stream.
#[derive(Debug)]
pub(super) struct Cursor {
    issued: Ticket,
    flushed: Ticket,
    /// The batch being gathered; its ticket will be `issued + 1`.
    gathering: Batch,
    /// Batches sealed and not yet handed out.
    sealed: VecDeque<(Ticket, Batch)>,
    /// How far the log reaches once a ticket is flushed; clamped when the log is truncated later.
    reaches: VecDeque<(Ticket, Index)>,
    log_flushed: Index,
    hard_at: Ticket,
    log_at: Ticket,
    held: BTreeMap<Ticket, Vec<Held>>,
}

impl Cursor {
    /// A cursor at boot: everything up to `last` came from the disk.
    pub(super) fn new(last: Index) -> Cursor {
        Cursor {
            issued: Ticket(0),
            flushed: Ticket(0),
            gathering: Batch::default(),
            sealed: VecDeque::new(),
            reaches: VecDeque::new(),
            log_flushed: last,
            hard_at: Ticket(0),
            log_at: Ticket(0),
            held: BTreeMap::new(),
        }
    }

    pub(super) fn issued(&self) -> Ticket {
        self.issued
    }

    pub(super) fn flushed(&self) -> Ticket {
        self.flushed
    }

    /// The end of the part of the present log that is on disk.
    pub(super) fn log_flushed(&self) -> Index {
        self.log_flushed
    }

    /// The ticket after which the present term and vote are on disk.
    pub(super) fn hard_at(&self) -> Ticket {
        self.hard_at
    }

    /// The ticket after which the present log (and term) are on disk.
    pub(super) fn log_at(&self) -> Ticket {
        self.log_at.max(self.hard_at)
    }

    fn next(&self) -> Ticket {
        Ticket(self.issued.0 + 1)
    }

    pub(super) fn write_hard(&mut self, hard: HardState) {
        self.gathering.hard = Some(hard);
        self.hard_at = self.next();
    }

    /// Whether there is a batch to come that has room for more.
    pub(super) fn is_gathering(&self) -> bool {
        !self.gathering.is_empty()
    }

    /// Adds to the batch to come what is known to be committed. `hard` is otherwise what was written last: nothing
    /// that was promised waits for this.
    pub(super) fn write_commit(&mut self, hard: HardState) {
        self.gathering.hard = Some(hard);
    }

    pub(super) fn append(&mut self, entry: Entry) {
        if self.gathering.snapshot.is_some() {
            self.seal();
        }
        self.log_at = self.next();
        match self.reaches.back_mut() {
            Some((ticket, reach)) if *ticket == self.log_at => *reach = entry.index,
            _ => self.reaches.push_back((self.log_at, entry.index)),
        }
        self.gathering.append.push(entry);
    }

    /// Takes back everything at or above `from`.
    pub(super) fn truncate_from(&mut self, from: Index) {
        if !self.gathering.append.is_empty() || self.gathering.snapshot.is_some() {
            self.seal();
        }
        let from = self.gathering.truncate_from.map_or(from, |f| f.min(from));
        self.gathering.truncate_from = Some(from);
        self.log_at = self.next();
        self.clamp(Index(from.0 - 1));
    }

    /// Nothing beyond `to` is known to be on disk, whatever earlier batches say.
    fn clamp(&mut self, to: Index) {
        self.log_flushed = self.log_flushed.min(to);
        for (_, reach) in &mut self.reaches {
            *reach = (*reach).min(to);
        }
    }

    /// Makes a snapshot that comes from elsewhere the whole log: only with this ticket, which is
    /// returned, does the log reach to its end.
    pub(super) fn replace_by_snapshot(&mut self, meta: SnapshotMeta, data: Bytes) -> Ticket {
        let index = meta.index;
        self.snapshot(meta, data, index);
        self.log_at = self.next();
        self.reaches.push_back((self.log_at, index));
        self.log_at
    }

    /// Makes `meta` the snapshot and drops the log up to `compact_to`.
    pub(super) fn snapshot(&mut self, meta: SnapshotMeta, data: Bytes, compact_to: Index) {
        if self.gathering.snapshot.is_some() {
            self.seal();
        }
        self.gathering.snapshot = Some((meta, data));
        self.gathering.compact_to = Some(compact_to);
    }

    /// Closes the batch being gathered, if it holds anything.
    pub(super) fn seal(&mut self) {
        if !self.gathering.is_empty() {
            self.issued = self.next();
            self.sealed.push_back((self.issued, core::mem::take(&mut self.gathering)));
        }
    }

    /// The next batch to hand out.
    pub(super) fn pop_sealed(&mut self) -> Option<(Ticket, Batch)> {
        self.sealed.pop_front()
    }

    /// Keeps `what` until `ticket` is flushed; hands it back when that is so already.
    #[must_use]
    pub(super) fn hold(&mut self, ticket: Ticket, what: Held) -> Option<Held> {
        if ticket <= self.flushed {
            return Some(what);
        }
        self.held.entry(ticket).or_default().push(what);
        None
    }

    /// The disk reached `upto`: what no longer waits, in order.
    pub(super) fn on_flushed(&mut self, upto: Ticket) -> Vec<Held> {
        invariant!(upto <= self.issued, "persisted {} of {} issued", upto, self.issued);
        self.flushed = self.flushed.max(upto);
        while let Some(&(ticket, reach)) = self.reaches.front()
            && ticket <= upto
        {
            self.reaches.pop_front();
            self.log_flushed = self.log_flushed.max(reach);
        }
        let later = self.held.split_off(&Ticket(self.flushed.0 + 1));
        core::mem::replace(&mut self.held, later).into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::entry::Payload;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index: Index(index), term: Term(term), payload: Payload::Noop }
    }

    fn batches(cursor: &mut Cursor) -> Vec<(u64, Batch)> {
        core::iter::from_fn(|| cursor.pop_sealed()).map(|(t, b)| (t.0, b)).collect()
    }

    #[test]
    fn a_flush_of_a_truncated_tail_does_not_count() {
        let mut c = Cursor::new(Index(1));
        (2..5).for_each(|i| c.append(entry(i, 1)));
        c.seal();
        c.truncate_from(Index(3));
        c.append(entry(3, 2));
        c.seal();
        c.on_flushed(Ticket(1));
        assert_eq!(c.log_flushed(), Index(2));
        c.on_flushed(Ticket(2));
        assert_eq!(c.log_flushed(), Index(3));
    }

    #[test]
    fn an_order_that_one_batch_cannot_express_becomes_two() {
        let mut c = Cursor::new(Index(0));
        c.append(entry(1, 1));
        c.truncate_from(Index(1));
        c.append(entry(1, 2));
        c.seal();
        let all = batches(&mut c);
        assert_eq!(all.iter().map(|(t, _)| *t).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(all[1].1.truncate_from, Some(Index(1)));
        assert_eq!(all[1].1.append, [entry(1, 2)]);
    }

    #[test]
    fn what_is_held_leaves_in_ticket_order_and_not_before() {
        let mut c = Cursor::new(Index(0));
        for term in 1..4 {
            c.write_hard(HardState { term: Term(term), ..HardState::default() });
            assert!(c.hold(c.hard_at(), Held::OwnVote { term: Term(term) }).is_none());
            c.seal();
        }
        let terms = |held: Vec<Held>| -> Vec<u64> {
            held.iter().map(|h| if let Held::OwnVote { term } = h { term.0 } else { 0 }).collect()
        };
        assert_eq!(terms(c.on_flushed(Ticket(2))), [1, 2]);
        assert!(c.hold(Ticket(2), Held::OwnVote { term: Term(9) }).is_some());
        assert_eq!(terms(c.on_flushed(Ticket(3))), [3]);
    }
}
