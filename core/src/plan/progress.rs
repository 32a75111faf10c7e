//! What was seen last, and how long to wait after failures.

use super::View;
use alloc::vec::Vec;
use core::time::Duration;

/// The wait after the first failure; it grows with the square of their number.
const RETRY: Duration = Duration::from_secs(5);
/// The longest wait after failures.
const RETRY_MAX: Duration = Duration::from_secs(180);

/// How long to wait after so many failures in a row.
pub fn retry_after(failures: u32) -> Duration {
    RETRY.saturating_mul(failures.saturating_mul(failures)).min(RETRY_MAX)
}

/// What was last seen of a view.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    index: Option<u64>,
    shown: Option<Vec<u8>>,
    /// Indexes of this view have no order: none goes back.
    unordered: bool,
}

impl Progress {
    /// Nothing was seen of this view yet.
    pub fn of(view: &View) -> Progress {
        Progress { unordered: view.events || view.hashed, ..Progress::default() }
    }

    /// Above which index to ask; `None`: at once.
    pub fn index(&self) -> Option<u64> {
        self.index
    }

    /// Asking failed. A server that starts anew may count from below: everything is asked for again.
    pub fn failed(&mut self) {
        self.index = None;
    }

    /// Remembers an answer; whether it is to be shown.
    pub fn is_news(&mut self, index: u64, shown: &[u8]) -> bool {
        if self.index == Some(index) {
            return false;
        }
        // An index that goes back starts from the beginning.
        let back = !self.unordered && self.index.is_some_and(|last| index < last);
        self.index = Some(if back { 0 } else { index });
        if self.shown.as_deref() == Some(shown) {
            return false;
        }
        self.shown = Some(shown.to_vec());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_square_of_the_failures_up_to_its_end() {
        assert_eq!([1, 2, 3].map(retry_after), [5, 20, 45].map(Duration::from_secs));
        for many in [7, 65_536, u32::MAX] {
            assert_eq!(retry_after(many), RETRY_MAX);
        }
    }

    #[test]
    fn an_answer_is_news_when_index_and_content_differ_and_an_index_that_goes_back_starts_anew() {
        let mut last = Progress::default();
        assert!(last.is_news(5, b"a"));
        assert!(!last.is_news(5, b"b"), "the same index is no news, whatever comes with it");
        assert!(!last.is_news(6, b"a"), "the same content is no news");
        assert!(last.is_news(7, b"b"));
        assert!(last.is_news(3, b"c"));
        assert_eq!(last.index(), Some(0));
        let mut events = Progress { unordered: true, ..Progress::default() };
        assert!(events.is_news(5, b"a") && events.is_news(3, b"b"));
        assert_eq!(events.index(), Some(3), "the index of an event is its ID");
    }
}
