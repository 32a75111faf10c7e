//! Starting from what the disk held.

use super::calls::Calls;
use super::caught_up::CatchUp;
use super::config::{Config, ConfigError};
use super::cursor::Cursor;
use super::effect::Role;
use super::entry::{Entry, HardState, Image, LogId, Membership, Payload};
use super::log::Log;
use super::membership::Memberships;
use super::snapshot::Snapshots;
use super::{Raft, State};
use crate::ids::{Index, Term};
use crate::rng::Rng;
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Why a server cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The settings are unsound.
    Config(ConfigError),
    /// The log on disk does not follow the snapshot, or itself.
    Gap {
        /// The index that is missing or misplaced.
        index: Index,
    },
    /// Terms on disk go backwards, or beyond the term that was voted in.
    Terms {
        /// The entry where they do.
        index: Index,
    },
}

impl core::fmt::Display for BootError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BootError::Config(error) => write!(f, "raft settings: {error}"),
            BootError::Gap { index } => write!(f, "the raft log on disk lacks entry {index}"),
            BootError::Terms { index } => {
                write!(f, "the raft log on disk is inconsistent: entry {index} has a term out of order")
            }
        }
    }
}

impl core::error::Error for BootError {}

impl Raft {
    /// Starts from what the disk held. Drain the effects afterwards, as after `handle`.
    ///
    /// `bootstrap` is written as the first entry when the image is empty, and ignored otherwise. All
    /// founders of a cluster must be given the same one. A server with neither waits for a leader to
    /// find it. A sole voter elects itself at once.
    pub fn boot(
        config: Config,
        image: Image,
        bootstrap: Option<Membership>,
        rng: Rng,
        now: Instant,
    ) -> Result<Raft, BootError> {
        config.validate().map_err(BootError::Config)?;
        let fresh = image.is_empty();
        let snapshot = image.snapshot.unwrap_or_default();
        let log = read_log(snapshot.id(), image.log)?;
        if log.last().term > image.hard.term {
            return Err(BootError::Terms { index: log.last().index });
        }
        let mut members = Memberships::new(snapshot.index, snapshot.membership.clone());
        for (index, membership) in log.memberships().filter(|(index, _)| *index > snapshot.index) {
            members.push(index, membership.clone());
        }
        // A follower that restarts must honour the lease it may have granted before; a fresh one, or
        // one that nobody else can lead, has granted none.
        let alone = members.latest().is_sole_voter(&config.id);
        let free = fresh || alone;
        let commit = image.hard.commit.min(log.last().index).max(snapshot.index);
        let mut raft = Raft {
            now,
            commit,
            applied: snapshot.index,
            cursor: Cursor::new(log.last().index),
            announced: (Role::Follower, image.hard.term, None),
            checked: (image.hard.term, commit),
            hard: HardState { commit, ..image.hard },
            snapshots: Snapshots::new(snapshot.id(), log.end_at(snapshot.index)),
            log,
            members,
            state: State::Follower,
            leader: None,
            contact: None,
            quiet_until: if free { now } else { now + config.election_timeout },
            election_at: now,
            calls: Calls::default(),
            catch_up: CatchUp::new(commit > Index(0), alone && !fresh, now),
            effects: VecDeque::new(),
            rng,
            config,
        };
        raft.reset_election_timer();
        if let Some(membership) = bootstrap.filter(|_| fresh) {
            raft.found(membership);
        }
        if raft.is_sole_voter() {
            // What a sole voter has on disk is committed, and nobody else can be elected without it: it
            // is applied before anybody reads, not only when the new term has its first entry.
            if !fresh {
                raft.commit = raft.log.last().index;
            }
            raft.become_candidate(false);
        }
        raft.settle();
        Ok(raft)
    }

    /// Whether this server has never taken part in anything.
    pub fn is_fresh(&self) -> bool {
        self.hard == HardState::default() && self.log.last() == LogId::default()
    }

    /// Whether it has no log and never had: it may have voted, and has acknowledged nothing to anybody.
    pub fn has_no_log(&self) -> bool {
        self.log.last() == LogId::default()
    }

    pub(super) fn on_bootstrap(&mut self, membership: Membership) {
        if self.is_fresh() {
            self.found(membership);
            // The others have nothing: whoever founds leads.
            self.election_at = self.now;
        }
    }

    fn found(&mut self, membership: Membership) {
        self.become_follower(Term(1), None);
        self.append(Entry { index: Index(1), term: Term(1), payload: Payload::Membership(membership) });
    }
}

/// The log in memory: what lies behind the snapshot, and before it as far as the disk still has it.
fn read_log(snapshot: LogId, mut entries: Vec<Entry>) -> Result<Log, BootError> {
    if entries.last().is_none_or(|last| last.index < snapshot.index) {
        entries.clear();
    }
    let Some(first) = entries.first().map(Entry::id) else { return Ok(Log::new(snapshot)) };
    if first.index.0 == 0 || first.index.0 > snapshot.index.0 + 1 {
        return Err(BootError::Gap { index: Index(snapshot.index.0 + 1) });
    }
    // The term before the first entry is known at the snapshot's end and at the very beginning.
    // Elsewhere the first entry itself becomes the base.
    let (base, skip) = match first.index.0 {
        1 => (LogId::default(), 0),
        i if i == snapshot.index.0 + 1 => (snapshot, 0),
        _ => (first, 1),
    };
    let mut log = Log::new(base);
    for entry in entries.into_iter().skip(skip) {
        let last = log.last();
        if entry.index.0 != last.index.0 + 1 {
            return Err(BootError::Gap { index: Index(last.index.0 + 1) });
        }
        if entry.term < last.term {
            return Err(BootError::Terms { index: entry.index });
        }
        log.append(entry);
    }
    if snapshot.index >= base.index && !log.contains(snapshot) {
        return Err(BootError::Terms { index: snapshot.index });
    }
    Ok(log)
}
