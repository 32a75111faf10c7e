//! What happened in a run: a hash over all of it, and the last lines for whoever reads a failure.

use super::disk::hash;
use madsim::time::TimeHandle;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines kept for a failure.
const KEPT: usize = 200;
/// Set in the environment: all lines are printed as they come.
const LOUD: &str = "LICTOR_MAD_TRACE";

/// Clones write to the same trace.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Mutex<Lines>,
    /// Every line is printed at once.
    loud: bool,
}

impl Default for Trace {
    fn default() -> Trace {
        let loud = std::env::var_os(LOUD).is_some();
        Trace(Arc::new(Inner { lines: Mutex::default(), loud }))
    }
}

#[derive(Debug, Default)]
struct Lines {
    hash: u64,
    count: u64,
    last: VecDeque<String>,
}

impl Trace {
    /// Adds a line at the present virtual time.
    pub fn line(&self, text: impl Into<String>) {
        let text = text.into();
        let at = TimeHandle::try_current().map_or(0, |time| time.elapsed().as_nanos() as u64);
        if self.0.loud {
            eprintln!("{:>12.6} {text}", at as f64 / 1e9);
        }
        let mut lines = self.lines();
        lines.hash = hash(hash(lines.hash, &at.to_be_bytes()), text.as_bytes());
        lines.count += 1;
        if lines.last.len() == KEPT {
            lines.last.pop_front();
        }
        lines.last.push_back(format!("{:>12.6} {text}", at as f64 / 1e9));
    }

    /// Adds bytes that nobody wants to read.
    pub fn bytes(&self, bytes: &[u8]) {
        let mut lines = self.lines();
        lines.hash = hash(lines.hash, bytes);
    }

    /// Over all lines, their times and their order.
    pub fn hash(&self) -> u64 {
        self.lines().hash
    }

    /// How many lines there were.
    pub fn count(&self) -> u64 {
        self.lines().count
    }

    /// The last lines.
    pub fn tail(&self) -> String {
        self.lines().last.iter().map(|line| format!("{line}\n")).collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
