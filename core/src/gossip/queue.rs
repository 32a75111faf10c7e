//! What is still to be spread.
//!
//! The rumour that was sent least goes first; among equals the longest that fits, then the newest. Each
//! is sent a limited number of times, then it is forgotten: by then, all have very likely heard it.
//! A newer rumour about a name takes the place of the older one.
//!
//! While a large pool assembles, everybody queues a rumour about everybody: each takes as little room as it can.

use super::names::NameMap;
use crate::Str;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Reverse;

/// Identifies one queued rumour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RumourId(u64);

/// Where a rumour stands: how often sent, length, age. The slot where it lies comes last and decides nothing, for no
/// two are of one age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    sent: u16,
    length: Reverse<u16>,
    id: Reverse<RumourId>,
    slot: u32,
}

#[derive(Debug)]
struct Queued {
    bytes: Box<[u8]>,
    name: Option<Str>,
    rank: Rank,
}

/// Rumours in the order in which they are to be sent. Being sent moves a rank, and nothing else.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ranked: BTreeSet<Rank>,
    slots: Vec<Option<Queued>>,
    free: Vec<u32>,
    named: NameMap<u32>,
    last_id: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.ranked.len()
    }

    /// Whether the rumour still waits to be sent. Looks at all of them: whoever leaves asks, nobody else.
    pub(super) fn holds(&self, id: RumourId) -> bool {
        self.ranked.iter().any(|rank| rank.id.0 == id)
    }

    /// Whether a rumour about `name` still waits to be sent.
    pub(super) fn holds_named(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// Whether a rumour was never sent.
    pub(super) fn has_fresh(&self) -> bool {
        self.ranked.first().is_some_and(|rank| rank.sent == 0)
    }

    /// Adds a rumour. It replaces one of the same name; without a name it stands for itself.
    pub(super) fn push(&mut self, name: Option<Str>, bytes: &[u8]) -> RumourId {
        if let Some(name) = &name {
            self.forget(name);
        }
        self.last_id += 1;
        let id = RumourId(self.last_id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // As many as there are members, twice.
            (self.slots.len() - 1) as u32
        });
        let rank = Rank { sent: 0, length: Reverse(length(bytes.len())), id: Reverse(id), slot };
        if let Some(name) = &name {
            self.named.insert(name.clone(), slot);
        }
        self.ranked.insert(rank);
        self.slots[slot as usize] = Some(Queued { bytes: bytes.into(), name, rank });
        id
    }

    /// Drops the rumour about `name`.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(slot) = self.named.get(name).copied()
            && let Some(queued) = &self.slots[slot as usize]
        {
            self.ranked.remove(&queued.rank);
            self.clear(slot);
        }
    }

    /// Takes rumours for one packet of `room` bytes, to each of which `overhead` is added; each counts
    /// as sent once more.
    pub(super) fn take(&mut self, overhead: usize, room: usize, limit: u32) -> Vec<Bytes> {
        let last = self.ranked.last().map_or(0, |rank| rank.sent);
        self.take_up_to(last, overhead, room, 1, limit)
    }

    /// Takes rumours that were never sent, for one packet that goes to `receivers` at once.
    pub(super) fn take_fresh(
        &mut self,
        overhead: usize,
        room: usize,
        receivers: u32,
        limit: u32,
    ) -> Vec<Bytes> {
        self.take_up_to(0, overhead, room, receivers, limit)
    }

    fn take_up_to(
        &mut self,
        most_sent: u16,
        overhead: usize,
        room: usize,
        times: u32,
        limit: u32,
    ) -> Vec<Bytes> {
        let (mut taken, mut used, mut again) = (Vec::new(), 0, Vec::new());
        let mut tier: u16 = 0;
        while tier <= most_sent {
            let free = room.saturating_sub(used + overhead);
            if free == 0 {
                break;
            }
            let newest = Reverse(RumourId(u64::MAX));
            let longest_that_fits = Rank { sent: tier, length: Reverse(length(free)), id: newest, slot: 0 };
            let Some(&rank) = self.ranked.range(longest_that_fits..).next() else { break };
            if rank.sent > tier {
                tier = rank.sent;
                continue;
            }
            self.ranked.remove(&rank);
            let Some(queued) = &mut self.slots[rank.slot as usize] else { break };
            used += overhead + queued.bytes.len();
            taken.push(Bytes::copy_from_slice(&queued.bytes));
            let sent = u32::from(rank.sent) + times;
            match u16::try_from(sent) {
                Ok(sent) if u32::from(sent) < limit => {
                    queued.rank.sent = sent;
                    again.push(queued.rank);
                }
                _ => self.clear(rank.slot),
            }
        }
        self.ranked.extend(again);
        taken
    }

    /// Drops the most often sent until at most `max` are left; says how many.
    pub(super) fn prune(&mut self, max: usize) -> usize {
        let mut dropped = 0;
        while self.ranked.len() > max {
            let Some(rank) = self.ranked.pop_last() else { break };
            self.clear(rank.slot);
            dropped += 1;
        }
        dropped
    }

    /// Empties a slot whose rank is gone.
    fn clear(&mut self, slot: u32) {
        if let Some(Queued { name: Some(name), .. }) = self.slots[slot as usize].take() {
            self.named.remove(&name);
        }
        self.free.push(slot);
        if self.free.len() == self.slots.len() {
            // After a storm, what it took is given back.
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }
}

/// A length in a rank. No message of a packet is longer.
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(taken: &[Bytes]) -> Vec<&str> {
        taken.iter().map(|bytes| core::str::from_utf8(bytes).expect("text")).collect()
    }

    #[test]
    fn the_least_sent_then_the_longest_then_the_newest_goes_first() {
        let mut queue = Queue::default();
        queue.push(None, b"old");
        queue.push(None, b"new");
        queue.push(None, b"longer");
        assert_eq!(text(&queue.take(2, 100, 3)), ["longer", "new", "old"]);
        queue.push(None, b"x");
        assert_eq!(text(&queue.take(2, 8, 3)), ["x", "new"], "what does not fit is left out");
        assert_eq!(text(&queue.take(2, 8, 3)), ["longer"]);
    }

    #[test]
    fn a_rumour_is_sent_as_often_as_its_limit_says() {
        let mut queue = Queue::default();
        let id = queue.push(None, b"a");
        assert!(queue.has_fresh());
        for _ in 0..3 {
            assert!(queue.holds(id));
            assert_eq!(queue.take(2, 100, 3).len(), 1);
            assert!(!queue.has_fresh());
        }
        assert!(!queue.holds(id));
        assert!(queue.take(2, 100, 3).is_empty());
    }

    #[test]
    fn sending_a_fresh_one_to_many_at_once_spends_the_same_budget() {
        let mut queue = Queue::default();
        queue.push(None, b"a");
        assert_eq!(queue.take_fresh(2, 100, 3, 4).len(), 1);
        assert!(queue.take_fresh(2, 100, 3, 4).is_empty(), "it is not fresh any more");
        assert_eq!(queue.take(2, 100, 4).len(), 1);
        assert!(queue.take(2, 100, 4).is_empty());
    }

    #[test]
    fn a_newer_rumour_about_a_name_replaces_the_older() {
        let mut queue = Queue::default();
        let old = queue.push(Some("n1".into()), b"suspect");
        queue.push(Some("n2".into()), b"other");
        queue.push(Some("n1".into()), b"dead");
        assert!(!queue.holds(old));
        assert_eq!(text(&queue.take(2, 100, 3)), ["other", "dead"]);
    }

    #[test]
    fn what_lies_in_a_slot_stays_there_while_others_come_and_go() {
        let mut queue = Queue::default();
        queue.push(Some("n1".into()), b"one");
        assert_eq!(text(&queue.take(2, 100, 2)), ["one"], "it is the only one, and is sent again");
        queue.push(Some("n2".into()), b"other");
        assert_eq!(text(&queue.take(2, 100, 2)), ["other", "one"]);
        assert!(!queue.holds_named("n1"));
        queue.push(Some("n3".into()), b"third");
        assert_eq!(text(&queue.take(2, 100, 2)), ["third", "other"]);
        assert_eq!(text(&queue.take(2, 100, 2)), ["third"]);
        assert_eq!((queue.len(), queue.slots.len()), (0, 0), "what the rumours took is given back");
    }

    #[test]
    fn pruning_drops_the_most_often_sent() {
        let mut queue = Queue::default();
        queue.push(None, b"sent");
        queue.take(2, 100, 9);
        queue.push(None, b"fresh");
        assert_eq!(queue.prune(1), 1);
        assert_eq!(text(&queue.take(2, 100, 9)), ["fresh"]);
    }
}
