//! What a leader knows of one follower, and how much it may send ahead of its answers.

use super::entry::SnapshotMeta;
use super::message::Round;
use crate::ids::Index;
use crate::time::Instant;
use alloc::collections::VecDeque;
use bytes::Bytes;

/// One follower, as its leader sees it.
#[derive(Debug)]
pub(super) struct Progress {
    /// Its log equals ours up to here, on its disk.
    pub(super) matched: Index,
    /// The next entry to send.
    pub(super) next: Index,
    /// How entries reach it.
    pub(super) mode: Mode,
    /// The newest heartbeat round it acknowledged.
    pub(super) round: Round,
    /// The newest commit index it has been told.
    pub(super) told_commit: Index,
    /// When it last answered.
    pub(super) last_heard: Option<Instant>,
}

/// How entries reach a follower.
#[derive(Debug)]
pub(super) enum Mode {
    /// Where its log parts from ours is unknown: one message at a time. `asked` until its answer, or
    /// the next heartbeat's, arrives.
    Probe {
        /// A probe is on its way.
        asked: bool,
    },
    /// Its log follows ours: messages are sent ahead of their answers (thesis section 10.2.1).
    Replicate(Window),
    /// What it needs has been compacted away. `None` while there is no snapshot to send yet.
    Snapshot(Option<Transfer>),
}

impl Progress {
    /// A follower of which nothing is known but that our log ends at `last`.
    pub(super) fn new(last: Index) -> Progress {
        Progress {
            matched: Index(0),
            next: Index(last.0 + 1),
            mode: Mode::Probe { asked: false },
            round: Round(0),
            told_commit: Index(0),
            last_heard: None,
        }
    }

    /// Goes back to probing from `next`.
    pub(super) fn probe_from(&mut self, next: Index) {
        self.next = next.max(Index(self.matched.0 + 1));
        self.mode = Mode::Probe { asked: false };
    }

    /// Starts sending ahead, from behind what matches.
    pub(super) fn replicate(&mut self) {
        self.next = Index(self.matched.0 + 1);
        self.mode = Mode::Replicate(Window::default());
    }

    /// The mode in one word.
    pub(super) fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Probe { .. } => "probe",
            Mode::Replicate(_) => "replicate",
            Mode::Snapshot(_) => "snapshot",
        }
    }

    /// Messages on their way.
    pub(super) fn inflight(&self) -> usize {
        match &self.mode {
            Mode::Probe { asked } => usize::from(*asked),
            Mode::Replicate(window) => window.sent.len(),
            Mode::Snapshot(transfer) => usize::from(transfer.is_some()),
        }
    }
}

/// Append messages on their way to a follower, limited by count and by bytes.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Last index and bytes of each message, oldest first.
    sent: VecDeque<(Index, usize)>,
    bytes: usize,
}

impl Window {
    /// Whether another message may be sent. A message of any size may go alone.
    pub(super) fn is_open(&self, max_count: usize, max_bytes: usize) -> bool {
        self.sent.len() < max_count && self.bytes < max_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(super) fn push(&mut self, last: Index, bytes: usize) {
        self.sent.push_back((last, bytes));
        self.bytes += bytes;
    }

    /// Everything up to `upto` has arrived.
    pub(super) fn acked(&mut self, upto: Index) {
        while let Some(&(last, bytes)) = self.sent.front()
            && last <= upto
        {
            self.sent.pop_front();
            self.bytes -= bytes;
        }
    }
}

/// A snapshot on its way to a follower.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) meta: SnapshotMeta,
    pub(super) data: Bytes,
    /// Bytes sent.
    sent: u64,
    /// Contiguous bytes that the follower last said it holds.
    received: u64,
    /// Whether `received` grew since the last heartbeat's answer.
    moved: bool,
    /// Whether an empty snapshot's only piece has been sent.
    begun: bool,
}

impl Transfer {
    pub(super) fn new(meta: SnapshotMeta, data: Bytes) -> Transfer {
        Transfer { meta, data, sent: 0, received: 0, moved: true, begun: false }
    }

    /// The next piece, as offset and bytes, while fewer than `window` pieces of `size` are on their way.
    pub(super) fn next_piece(&mut self, size: usize, window: usize) -> Option<(u64, Bytes)> {
        let total = self.data.len() as u64;
        let ahead = self.sent.saturating_sub(self.received);
        if (self.begun && self.sent >= total) || ahead >= (size as u64).saturating_mul(window as u64) {
            return None;
        }
        self.begun = true;
        let offset = self.sent;
        self.sent = total.min(offset + size as u64);
        Some((offset, self.data.slice(offset as usize..self.sent as usize)))
    }

    /// The follower says how much it holds.
    pub(super) fn on_received(&mut self, received: u64) {
        let received = received.min(self.data.len() as u64);
        self.moved |= received > self.received;
        self.received = received;
        self.sent = self.sent.max(received);
    }

    /// The follower is alive: when nothing has arrived since the last time, pieces were lost, and it
    /// all goes on from what is there.
    pub(super) fn on_alive(&mut self) {
        if !self.moved {
            self.sent = self.received;
            self.begun = false;
            // When everything has arrived, only the answer was lost: the last piece brings it again.
            if self.sent == self.data.len() as u64 {
                self.sent = self.sent.saturating_sub(1);
            }
        }
        self.moved = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_by_count_and_by_bytes() {
        let mut w = Window::default();
        w.push(Index(1), 10);
        assert!(w.is_open(2, 11) && !w.is_open(1, 11) && !w.is_open(2, 10));
        w.push(Index(5), 10);
        w.acked(Index(4));
        assert!(w.is_open(2, 11));
        w.acked(Index(5));
        assert!(w.is_empty() && w.bytes == 0);
    }

    #[test]
    fn a_transfer_stops_at_its_window_and_resends_what_was_lost() {
        let mut t = Transfer::new(SnapshotMeta::default(), Bytes::from_static(b"abcdefg"));
        assert_eq!(t.next_piece(2, 2), Some((0, Bytes::from_static(b"ab"))));
        assert_eq!(t.next_piece(2, 2), Some((2, Bytes::from_static(b"cd"))));
        assert_eq!(t.next_piece(2, 2), None);
        t.on_received(2);
        assert_eq!(t.next_piece(2, 2), Some((4, Bytes::from_static(b"ef"))));
        t.on_alive();
        assert_eq!(t.next_piece(2, 2), None);
        t.on_alive();
        assert_eq!(t.next_piece(2, 2), Some((2, Bytes::from_static(b"cd"))));
    }

    #[test]
    fn an_empty_snapshot_is_one_empty_piece() {
        let mut t = Transfer::new(SnapshotMeta::default(), Bytes::new());
        assert_eq!(t.next_piece(2, 2), Some((0, Bytes::new())));
        assert_eq!(t.next_piece(2, 2), None);
        t.on_alive();
        t.on_alive();
        assert_eq!(t.next_piece(2, 2), Some((0, Bytes::new())));
    }
}
