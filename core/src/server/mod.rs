//! Leader duties: what a server does because it leads.
//!
//! Everything here that has a clock is a timer of the leader, never state of the store: the store
//! only sees the commands that result. Losing leadership forgets all of it; the next leader starts
//! its own timers, which at worst repeats a duty, and every duty is idempotent.

pub mod autopilot;
mod coordinates;
pub mod founding;
pub mod lock_delay;
mod reconcile;
mod sessions;
mod tombstones;

pub use reconcile::ServerRecord;

use crate::Str;
use crate::command::{Command, SetAutopilot};
use crate::config::Coordinates;
use crate::event::Event;
use crate::gossip::Member;
use crate::store::Store;
use crate::time::{Duration, Instant};
use crate::types::{AutopilotConfig, NodeCoordinate, Session};
use crate::watch::ChangeSet;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use tombstones::TombstoneTimes;

/// How often members and catalog are compared.
const RECONCILE_EVERY: Duration = Duration::from_secs(60);

/// The duties of one server; idle unless it leads.
#[derive(Debug)]
pub struct Leader {
    me: ServerRecord,
    settings: Coordinates,
    /// What the files say of autopilot; the first leader of a cluster writes it down.
    autopilot: AutopilotConfig,
    since: Option<Terms>,
}

#[derive(Debug)]
struct Terms {
    began: Instant,
    reconcile_at: Instant,
    /// Members that changed since they were compared with the catalog last.
    changed: BTreeSet<Str>,
    tombstones: TombstoneTimes,
    coordinates: coordinates::Pending,
    sessions: sessions::Timers,
}

impl Leader {
    /// Duties for the server that `me` describes.
    pub fn new(me: ServerRecord, settings: Coordinates, autopilot: AutopilotConfig) -> Leader {
        Leader { me, settings, autopilot, since: None }
    }

    /// Leadership begins, and every entry of earlier terms is applied. Reconciles at once.
    pub fn start(&mut self, now: Instant, store: &Store) {
        let mut tombstones = TombstoneTimes::default();
        // Tombstones of earlier leaders get a full lifetime again: too late is harmless, too early
        // would let the index of a prefix go backwards under a watcher.
        tombstones.saw(now, store.applied());
        self.since = Some(Terms {
            began: now,
            reconcile_at: now,
            changed: BTreeSet::new(),
            tombstones,
            coordinates: coordinates::Pending::default(),
            sessions: sessions::Timers::of(now, store),
        });
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

    /// A session is to live on; `false` if its end was proposed already.
    pub fn session_renewed(&mut self, now: Instant, session: &Session) -> bool {
        self.since.as_mut().is_some_and(|terms| terms.sessions.renew(now, session))
    }

    /// Something was applied, sessions may be among it.
    pub fn sessions_changed(&mut self, now: Instant, store: &Store, changes: &ChangeSet) {
        let Some(terms) = &mut self.since else { return };
        if changes.all {
            terms.sessions.any_changed(now, store);
        }
        changes.sessions.keys().for_each(|id| terms.sessions.changed(now, store, id));
    }

    /// Gossip has news of a member: it is compared with the catalog at once.
    pub fn member_changed(&mut self, name: &Str) {
        if let Some(terms) = &mut self.since {
            terms.changed.insert(name.clone());
        }
    }

    /// A node says where it is.
    pub fn placed(&mut self, now: Instant, said: NodeCoordinate) {
        if let Some(terms) = &mut self.since {
            terms.coordinates.add(now, &self.settings, said);
        }
    }

    /// When to call [`Leader::due`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let terms = self.since.as_ref()?;
        if !terms.changed.is_empty() {
            return Some(Instant::ZERO);
        }
        let others = [terms.tombstones.next_due(), terms.coordinates.due(), terms.sessions.next_due()];
        Some(others.into_iter().flatten().fold(terms.reconcile_at, Instant::min))
    }

    /// The commands that are due now, with what the log says of them. `members` are those of the
    /// datacenter, whatever their status; none: there is no gossip, and nobody but this server.
    pub fn due(&mut self, now: Instant, store: &Store, members: &[&Member]) -> Vec<(Option<Event>, Command)> {
        let mut commands = Vec::new();
        let Some(terms) = &mut self.since else { return commands };
        let all = terms.reconcile_at <= now;
        // Without it the defaults are in force, which need no record.
        if all && store.autopilot().is_none() && self.autopilot != AutopilotConfig::default() {
            let (config, datacenter) = (self.autopilot.clone(), String::new());
            let first = SetAutopilot { datacenter, config, cas: true };
            commands.push((None, Command::Autopilot(Box::new(first))));
        }
        let changed = core::mem::take(&mut terms.changed);
        if all || !changed.is_empty() {
            let known: BTreeMap<String, &Member> =
                members.iter().map(|m| (m.name.to_lowercase(), *m)).collect();
            let wanted = members.iter().filter(|member| all || changed.contains(&member.name));
            commands.extend(wanted.flat_map(|member| self.me.member(store, member)));
            let reaped = changed.iter().filter(|name| !known.contains_key(&name.to_lowercase()));
            commands.extend(reaped.filter_map(|name| self.me.gone(store, name, "reaped")));
            if members.is_empty() {
                commands.extend(self.me.reconcile(store).into_iter().map(|command| (None, command)));
            } else if all && terms.began + RECONCILE_EVERY <= now {
                // Whoever has just come up may not have heard of everybody yet.
                commands.extend(self.me.forgotten(store, &known));
            }
        }
        if all {
            terms.reconcile_at = now + RECONCILE_EVERY;
        }
        commands.append(&mut terms.coordinates.take(now, &self.settings));
        commands.append(&mut terms.sessions.expire(now));
        if let Some(index) = terms.tombstones.expire(now) {
            let reap = crate::command::ReapTombstones { reap_index: index };
            commands.push((None, Command::ReapTombstones(reap)));
        }
        commands
    }
}
