//! What a run leaves behind for people (the column log) and for machines (the hash).

use super::luck::mix;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write;

/// Lines kept.
const KEPT: usize = 4096;

/// The heading of the column log.
pub const HEADING: &str = "    t ms      node role term  last/commit/applied  disk wait event";

thread_local! {
    /// The column log of the run on this thread, newest last; it outlives a panic of the run.
    static LOG: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// The last lines logged on this thread.
pub fn tail(count: usize) -> Vec<String> {
    LOG.with_borrow(|log| log.iter().skip(log.len().saturating_sub(count)).cloned().collect())
}

/// Collects.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Whether lines are written.
    pub on: bool,
    /// Also print each line at once.
    pub echo: bool,
    /// Only lines of this server, counted from 1.
    pub node: Option<u64>,
    hash: u64,
    /// Events so far.
    pub events: u64,
    /// The hash after each event, for finding the first difference; empty unless asked for.
    pub hashes: Vec<u64>,
    keep_hashes: bool,
}

impl Trace {
    /// A trace; `on` writes lines, `keep_hashes` keeps the hash after every event.
    pub fn new(on: bool, keep_hashes: bool) -> Trace {
        LOG.with_borrow_mut(VecDeque::clear);
        Trace { on, echo: false, node: None, hash: 0, events: 0, hashes: Vec::new(), keep_hashes }
    }

    /// Mixes numbers into the hash.
    pub(super) fn number(&mut self, n: u64) {
        self.hash = mix(self.hash ^ n);
    }

    /// Mixes bytes into the hash.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        let mut hash = self.hash ^ bytes.len() as u64;
        for chunk in &mut chunks {
            let n = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            hash = (hash ^ n).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
        }
        for b in chunks.remainder() {
            hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
        }
        self.hash = hash;
    }

    /// One event is over.
    pub(super) fn event(&mut self) {
        self.events += 1;
        if self.keep_hashes {
            self.hashes.push(self.hash);
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Writes a line, made only if lines are wanted.
    pub(super) fn line(&self, at: u64, slot: usize, columns: impl FnOnce() -> String) {
        if !self.on || self.node.is_some_and(|node| node != slot as u64 + 1) {
            return;
        }
        let mut line = String::new();
        let _ = write!(line, "{:>12.3} {}", at as f64 / 1e6, columns());
        if self.echo {
            println!("{line}");
        }
        LOG.with_borrow_mut(|log| {
            if log.len() == KEPT {
                log.pop_front();
            }
            log.push_back(line);
        });
    }
}
