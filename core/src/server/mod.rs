//! Leader duties: what a server does because it leads.
//!
//! Everything here that has a clock is a timer of the leader, never state of the store: the store
//! only sees the commands that result. Losing leadership forgets all of it; the next leader starts
//! its own timers, which at worst repeats a duty, and every duty is idempotent.

mod reconcile;
mod tombstones;

pub use reconcile::ServerRecord;

use crate::command::Command;
use crate::store::Store;
use crate::time::{Duration, Instant};
use alloc::vec::Vec;
use tombstones::TombstoneTimes;

/// How often members and catalog are compared (surface.md 7.2).
const RECONCILE_EVERY: Duration = Duration::from_secs(60);

/// The duties of one server; idle unless it leads.
#[derive(Debug)]
pub struct Leader {
    me: ServerRecord,
    since: Option<Terms>,
}

#[derive(Debug)]
struct Terms {
    reconcile_at: Instant,
    tombstones: TombstoneTimes,
}

impl Leader {
    /// Duties for the server that `me` describes.
    pub fn new(me: ServerRecord) -> Leader {
        Leader { me, since: None }
    }

    /// Leadership begins, and every entry of earlier terms is applied. Reconciles at once.
    pub fn start(&mut self, now: Instant, store: &Store) {
        let mut tombstones = TombstoneTimes::default();
        // Tombstones of earlier leaders get a full lifetime again: too late is harmless, too early
        // would let the index of a prefix go backwards under a watcher.
        tombstones.saw(now, store.applied());
        self.since = Some(Terms { reconcile_at: now, tombstones });
    }

    /// Leadership ended.
    pub fn stop(&mut self) {
        self.since = None;
    }

    /// Whether duties are active.
    pub fn active(&self) -> bool {
        self.since.is_some()
    }

    /// A batch that deleted keys was applied.
    pub fn keys_deleted(&mut self, now: Instant, index: u64) {
        if let Some(terms) = &mut self.since {
            terms.tombstones.saw(now, index);
        }
    }

    /// When to call [`Leader::due`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let terms = self.since.as_ref()?;
        Some(match terms.tombstones.next_due() {
            Some(at) => at.min(terms.reconcile_at),
            None => terms.reconcile_at,
        })
    }

    /// The commands that are due now.
    pub fn due(&mut self, now: Instant, store: &Store) -> Vec<Command> {
        let mut commands = Vec::new();
        let Some(terms) = &mut self.since else { return commands };
        if terms.reconcile_at <= now {
            terms.reconcile_at = now + RECONCILE_EVERY;
            commands.extend(self.me.reconcile(store));
        }
        if let Some(index) = terms.tombstones.expire(now) {
            commands.push(Command::ReapTombstones(crate::command::ReapTombstones { reap_index: index }));
        }
        commands
    }
}
