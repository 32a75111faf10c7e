//! What a leader knows of one follower, and how much it may send ahead of its answers.

use super::entry::SnapshotMeta;
use super::message::Round;
use crate::ids::Index;
use crate::time::{Duration, Instant};
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
    /// Where its log parts from ours is unknown: one message at a time.
    Probe {
        /// When the probe on its way was sent.
        asked: Option<Instant>,
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
            mode: Mode::Probe { asked: None },
            round: Round(0),
            told_commit: Index(0),
            last_heard: None,
        }
    }

    /// Goes back to probing from `next`.
    pub(super) fn probe_from(&mut self, next: Index) {
        self.next = next.max(Index(self.matched.0 + 1));
        self.mode = Mode::Probe { asked: None };
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
            Mode::Probe { asked } => usize::from(asked.is_some()),
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
    /// When something was sent into the empty window, acknowledged, or asked about.
    quiet_since: Instant,
}

impl Window {
    /// Whether another message may be sent. A message of any size may go alone.
    pub(super) fn is_open(&self, max_count: usize, max_bytes: usize) -> bool {
        self.sent.len() < max_count && self.bytes < max_bytes
    }

    /// Whether messages have been on their way for `patience` without a word about them.
    pub(super) fn is_overdue(&self, now: Instant, patience: Duration) -> bool {
        !self.sent.is_empty() && now >= self.quiet_since + patience
    }

    /// They are being asked about.
    pub(super) fn asked(&mut self, now: Instant) {
        self.quiet_since = now;
    }

    pub(super) fn push(&mut self, now: Instant, last: Index, bytes: usize) {
        if self.sent.is_empty() {
            self.quiet_since = now;
        }
        self.sent.push_back((last, bytes));
        self.bytes += bytes;
    }

    /// Everything up to `upto` has arrived.
    pub(super) fn acked(&mut self, now: Instant, upto: Index) {
        while let Some(&(last, bytes)) = self.sent.front()
            && last <= upto
        {
            self.sent.pop_front();
            self.bytes -= bytes;
            self.quiet_since = now;
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
    /// When `received` last grew, or all began again.
    moved: Instant,
    /// Whether an empty snapshot's only piece has been sent.
    begun: bool,
}

impl Transfer {
    pub(super) fn new(now: Instant, meta: SnapshotMeta, data: Bytes) -> Transfer {
        Transfer { meta, data, sent: 0, received: 0, moved: now, begun: false }
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
    pub(super) fn on_received(&mut self, now: Instant, received: u64) {
        let received = received.min(self.data.len() as u64);
        if received > self.received {
            self.moved = now;
        }
        self.received = received;
        self.sent = self.sent.max(received);
    }

    /// The follower is alive: when nothing has arrived for `patience`, pieces were lost, and it all
    /// goes on from what is there.
    pub(super) fn on_alive(&mut self, now: Instant, patience: Duration) {
        if now >= self.moved + patience {
            self.moved = now;
            self.sent = self.received;
            self.begun = false;
            // When everything has arrived, only the answer was lost: the last piece brings it again.
            if self.sent == self.data.len() as u64 {
                self.sent = self.sent.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_by_count_and_by_bytes() {
        let (now, mut w) = (Instant::ZERO, Window::default());
        w.push(now, Index(1), 10);
        assert!(w.is_open(2, 11) && !w.is_open(1, 11) && !w.is_open(2, 10));
        w.push(now, Index(5), 10);
        w.acked(now, Index(4));
        assert!(w.is_open(2, 11));
        w.acked(now, Index(5));
        assert!(w.sent.is_empty() && w.bytes == 0);
    }

    #[test]
    fn a_window_is_overdue_when_nothing_is_heard_for_a_while() {
        let (ms, mut w) = (Duration::from_millis, Window::default());
        let at = |n| Instant::ZERO + ms(n);
        assert!(!w.is_overdue(at(500), ms(100)));
        w.push(at(500), Index(1), 10);
        w.push(at(590), Index(2), 10);
        assert!(!w.is_overdue(at(599), ms(100)));
        assert!(w.is_overdue(at(600), ms(100)));
        w.asked(at(600));
        assert!(!w.is_overdue(at(699), ms(100)));
        w.acked(at(699), Index(1));
        assert!(!w.is_overdue(at(798), ms(100)));
        assert!(w.is_overdue(at(799), ms(100)));
    }

    #[test]
    fn a_transfer_stops_at_its_window_and_resends_what_was_lost() {
        let (now, ms) = (Instant::ZERO, Duration::from_millis);
        let mut t = Transfer::new(now, SnapshotMeta::default(), Bytes::from_static(b"abcdefg"));
        assert_eq!(t.next_piece(2, 2), Some((0, Bytes::from_static(b"ab"))));
        assert_eq!(t.next_piece(2, 2), Some((2, Bytes::from_static(b"cd"))));
        assert_eq!(t.next_piece(2, 2), None);
        t.on_received(now, 2);
        assert_eq!(t.next_piece(2, 2), Some((4, Bytes::from_static(b"ef"))));
        t.on_alive(now + ms(99), ms(100));
        assert_eq!(t.next_piece(2, 2), None);
        t.on_alive(now + ms(100), ms(100));
        assert_eq!(t.next_piece(2, 2), Some((2, Bytes::from_static(b"cd"))));
    }

    #[test]
    fn an_empty_snapshot_is_one_empty_piece() {
        let mut t = Transfer::new(Instant::ZERO, SnapshotMeta::default(), Bytes::new());
        assert_eq!(t.next_piece(2, 2), Some((0, Bytes::new())));
        assert_eq!(t.next_piece(2, 2), None);
        t.on_alive(Instant(5), Duration::from_nanos(5));
        assert_eq!(t.next_piece(2, 2), Some((0, Bytes::new())));
    }
}
