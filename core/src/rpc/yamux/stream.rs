//! One stream's windows, and which of its halves are open.

use super::INITIAL_WINDOW;
use crate::time::Instant;
use alloc::collections::VecDeque;
use bytes::Bytes;

#[derive(Debug)]
pub(super) struct Stream {
    /// What the other side may still send.
    pub(super) receivable: u32,
    /// What was taken since it was last told.
    taken: u32,
    /// What we may still send.
    pub(super) sendable: u32,
    /// What waits to be sent.
    pub(super) queue: VecDeque<Bytes>,
    /// Nothing is queued after this; `FIN` goes out when the queue is empty.
    pub(super) closing: bool,
    /// `FIN` has gone out.
    pub(super) closed_here: bool,
    /// `FIN` has come in.
    pub(super) closed_there: bool,
    /// It stands in the session's list of streams to write.
    pub(super) in_turn: bool,
    /// When to give up on the other side's `FIN`.
    pub(super) abandon_at: Option<Instant>,
}

impl Stream {
    pub(super) fn new() -> Stream {
        Stream {
            receivable: INITIAL_WINDOW,
            taken: 0,
            sendable: INITIAL_WINDOW,
            queue: VecDeque::new(),
            closing: false,
            closed_here: false,
            closed_there: false,
            in_turn: false,
            abandon_at: None,
        }
    }

    /// `bytes` were taken: the window to announce, once it is worth a frame.
    pub(super) fn take(&mut self, bytes: u32) -> Option<u32> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken < INITIAL_WINDOW / 2 || self.closed_there {
            return None;
        }
        let grant = core::mem::take(&mut self.taken);
        self.receivable = self.receivable.saturating_add(grant);
        Some(grant)
    }

    /// Something can be written now: data within the window, or the `FIN` after the last of it.
    pub(super) fn is_ready(&self) -> bool {
        if self.queue.is_empty() { self.closing && !self.closed_here } else { self.sendable > 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.closed_here && self.closed_there
    }

    /// Bytes that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.queue.iter().map(Bytes::len).sum()
    }
}
