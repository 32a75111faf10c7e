//! Whether anything in a front waits for a view: if not, it need not be woken for one.

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Raised before a step reads the view, lowered after it if nothing waits. So a view that a waiting step
/// has not read is published after the raising, and whoever publishes it sees that.
#[derive(Debug, Default)]
pub(super) struct Watched(AtomicBool);

impl Watched {
    /// Before the view is read.
    pub(super) fn raise(&self) {
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    /// Nothing waits. Only while no other step of the front runs.
    pub(super) fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// To be asked after a view was published.
    pub(super) fn get(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed)
    }
}
