//! The shapes that raft keeps on disk and sends around: entries, positions, memberships, hard state.

use crate::ids::{Index, ServerId, Term};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;

/// A place in the log: which index, written in which term. Two logs that hold the same `LogId` are
/// equal up to it (log matching, thesis section 3.5).
///
/// Ordered as section 3.6.1 compares logs: by term first, then by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The term of the leader that created the entry; 0 before the first entry.
    pub term: Term,
    /// The entry's index, counted from 1; 0 before the first entry.
    pub index: Index,
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, counted from 1.
    pub index: Index,
    /// The term of the leader that created it.
    pub term: Term,
    /// What it carries.
    pub payload: Payload,
}

impl Entry {
    /// Index and term together.
    pub fn id(&self) -> LogId {
        LogId { index: self.index, term: self.term }
    }

    /// Bytes that this entry is charged for in windows and limits: its encoded length.
    pub fn size(&self) -> usize {
        self.encoded_len()
    }
}

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Written by a new leader, so that it can commit what earlier leaders left (section 3.6.2) and
    /// knows what is committed before it serves a read (section 6.4).
    Noop,
    /// The whole membership from this entry on. It takes effect when appended, not when committed
    /// (section 4.1).
    Membership(Membership),
    /// An opaque command for the state machine.
    Command(Bytes),
}

/// Who takes part: voters count for quorums, learners only receive the log (section 4.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Servers that elect and commit.
    pub voters: BTreeSet<ServerId>,
    /// Servers that receive the log and never vote. Disjoint from `voters`.
    pub learners: BTreeSet<ServerId>,
    /// The cluster that it is of, made when that was founded and never changed; 0 if nobody made one. Raft itself
    /// never looks at it.
    pub cluster: u64,
}

impl Membership {
    /// A membership of voters alone.
    pub fn of_voters<I: IntoIterator<Item = ServerId>>(voters: I) -> Membership {
        Membership { voters: voters.into_iter().collect(), ..Membership::default() }
    }

    /// The same, as that of this cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: u64) -> Membership {
        Membership { cluster: cluster.max(1), ..self }
    }

    /// Whether `id` elects and commits.
    pub fn is_voter(&self, id: &str) -> bool {
        self.voters.contains(id)
    }

    /// Whether `id` takes part at all.
    pub fn contains(&self, id: &str) -> bool {
        self.voters.contains(id) || self.learners.contains(id)
    }

    /// Everyone but `me`, voters first, each group in order of id.
    pub fn others(&self, me: &str) -> Vec<ServerId> {
        self.voters.iter().chain(&self.learners).filter(|id| &***id != me).cloned().collect()
    }

    /// Whether `me` alone makes the quorum.
    pub fn is_sole_voter(&self, me: &str) -> bool {
        self.voters.len() == 1 && self.is_voter(me)
    }
}

/// What a server must never forget between two lives (section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The newest term seen.
    pub term: Term,
    /// Who got this server's vote in `term`, if anyone.
    pub voted_for: Option<ServerId>,
    /// What was known to be committed: no promise, but what a server may show after a restart before it hears of a
    /// leader. It lags behind, for it is written with what is written anyway, or a while later.
    pub commit: Index,
}

/// What a snapshot stands for; its data is opaque to raft.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry whose effect it contains.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// The membership in effect at `index`.
    pub membership: Membership,
}

impl SnapshotMeta {
    /// The last entry covered.
    pub fn id(&self) -> LogId {
        LogId { index: self.index, term: self.term }
    }
}

/// What the disk held when the server started.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Term and vote.
    pub hard: HardState,
    /// The newest snapshot. Its data goes to the state machine, not to raft.
    pub snapshot: Option<SnapshotMeta>,
    /// The entries, contiguous. They may start before the snapshot's end, never after a gap.
    pub log: Vec<Entry>,
}

impl Image {
    /// Whether this server has never taken part in anything.
    pub fn is_empty(&self) -> bool {
        self.hard == HardState::default() && self.snapshot.is_none() && self.log.is_empty()
    }
}
