//! What raft is told ([`Input`]) and what it orders ([`Effect`]).
//!
//! Effects are performed in the order in which they are polled. An `Apply` or `RestoreSnapshot` is
//! done when the next effect is polled: a `ReadReady` behind it may read at once.

use super::entry::{Entry, HardState, LogId, Membership, SnapshotMeta};
use super::message::Message;
use crate::ids::{CallId, Index, ServerId, Term, Ticket};
use alloc::vec::Vec;
use bytes::Bytes;

/// One past event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A deadline may have passed.
    Wake,
    /// A peer's message arrived. The sender's identity was established by the transport.
    Message {
        /// Who sent it.
        from: ServerId,
        /// What it says.
        message: Message,
    },
    /// The connection on which this server speaks was lost: its process may have died. A hint; it may be wrong.
    PeerLost {
        /// Whose.
        from: ServerId,
    },
    /// Append one command. Answered by `Accepted` or `Rejected` within the same step.
    Propose {
        /// Whose call.
        call: CallId,
        /// The command, at most [`super::Config::max_command_bytes`] long.
        command: Bytes,
    },
    /// Append many commands as one disk batch and one message per follower. Each is answered on its
    /// own, as by `Propose`.
    ProposeMany {
        /// The commands in order, each with its call.
        proposals: Vec<(CallId, Bytes)>,
    },
    /// Find an index that a linearizable read may be served at. Answered by `ReadReady` or
    /// `ReadRejected`, after one quorum round that all waiting reads share (section 6.4).
    ReadIndex {
        /// Whose call.
        call: CallId,
    },
    /// Change one server's part in the cluster (section 4.1). Answered as `Propose`.
    ChangeMembership {
        /// Whose call.
        call: CallId,
        /// The change.
        change: Change,
    },
    /// Hand leadership to another voter (section 3.10). Answered by `TransferEnded`.
    TransferLeadership {
        /// Whose call.
        call: CallId,
        /// To whom; `None` picks the voter that is furthest ahead.
        to: Option<ServerId>,
    },
    /// Write this membership as the first entry and campaign. Ignored by a server that has ever taken
    /// part in anything. Whoever sends it has made sure that no two servers are given different ones.
    Bootstrap(Membership),
    /// Every batch up to and including `upto` is on disk. A failed write never comes back: the node
    /// halts.
    Persisted {
        /// The newest flushed ticket.
        upto: Ticket,
    },
    /// The answer to `BuildSnapshot`.
    SnapshotBuilt {
        /// The index it was asked for.
        index: Index,
        /// The state machine at exactly that index.
        data: Bytes,
    },
    /// The answer to `CheckSnapshot`: the next input after it.
    SnapshotChecked {
        /// The snapshot it was asked for.
        at: LogId,
        /// Whether `RestoreSnapshot` will find it readable.
        readable: bool,
    },
}

/// A change of one server's part in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Let a new server, or a learner, vote.
    AddVoter(ServerId),
    /// Let a new server receive the log without a vote.
    AddLearner(ServerId),
    /// Let a learner vote.
    Promote(ServerId),
    /// Take a voter's vote, keep sending it the log.
    Demote(ServerId),
    /// Take a server out altogether.
    Remove(ServerId),
}

/// One order to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The leader has another entry at `at`, which both know to be committed: this server must not go on.
    Contradicted {
        /// Where they differ, at the latest.
        at: Index,
    },
    /// Send a message. It may be lost, doubled or late.
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        message: Message,
    },
    /// Write a batch, whole or not at all, after every batch with a smaller ticket. The disk may
    /// gather batches that queued behind a running flush and answer them with one `Persisted`.
    Persist {
        /// The batch's place in the order: 1, 2, 3 …
        ticket: Ticket,
        /// What to write.
        batch: Batch,
    },
    /// Apply committed entries: contiguous, each exactly once per boot, starting behind the snapshot.
    Apply {
        /// The entries in order; never empty.
        entries: Vec<Entry>,
    },
    /// A proposal or membership change was appended at `index` and waits for its commit. The call is
    /// done when `Apply` hands over this index, unless `Lost` or `Unknown` came first.
    Accepted {
        /// Whose call.
        call: CallId,
        /// Where it stands.
        index: Index,
        /// The term it was appended in.
        term: Term,
    },
    /// A proposal or membership change was refused. State unchanged.
    Rejected {
        /// Whose call.
        call: CallId,
        /// Why.
        error: ProposeError,
    },
    /// Another entry was committed in the place of an accepted one: the call has had no effect and
    /// never will. Comes before the `Apply` that shows it. (Being overwritten in this server's log
    /// alone proves nothing: another server may still bring the entry back.)
    Lost {
        /// Whose call.
        call: CallId,
    },
    /// A snapshot jumped over an accepted entry: it may or may not have been committed.
    Unknown {
        /// Whose call.
        call: CallId,
    },
    /// A linearizable read may be served now: everything up to `index` has been applied.
    ReadReady {
        /// Whose call.
        call: CallId,
        /// The read index.
        index: Index,
    },
    /// A read index was refused or could not be confirmed.
    ReadRejected {
        /// Whose call.
        call: CallId,
        /// Why.
        error: ReadError,
    },
    /// A leadership transfer is over.
    TransferEnded {
        /// Whose call.
        call: CallId,
        /// `Ok` when this server stopped leading because someone began a newer term.
        result: Result<(), TransferError>,
    },
    /// Encode the state machine as it is now (everything up to `at.index` applied) and answer with
    /// `SnapshotBuilt`. At most one is outstanding.
    BuildSnapshot {
        /// The last applied entry.
        at: LogId,
    },
    /// A snapshot from the leader is complete: read it, answer with `SnapshotChecked`, and keep what was
    /// read until `RestoreSnapshot`. Until the answer is "readable" nothing is given up for it.
    CheckSnapshot {
        /// What it covers.
        meta: SnapshotMeta,
        /// The state machine's own encoding.
        data: Bytes,
    },
    /// A snapshot that was found readable is on disk: replace the state machine by it.
    RestoreSnapshot {
        /// What it covers.
        meta: SnapshotMeta,
    },
    /// Role, term or known leader changed.
    RoleChanged {
        /// The role now.
        role: Role,
        /// The term now.
        term: Term,
        /// The leader of that term, when known.
        leader: Option<ServerId>,
    },
    /// A different membership is in effect: appended, rolled back or restored. Not yet committed.
    MembershipChanged {
        /// The entry or snapshot it stands in.
        index: Index,
        /// Who takes part now.
        membership: Membership,
    },
}

/// What a server does in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election could be won, without disturbing anyone (section 9.6).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// One atomic write. Parts are carried out in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The new term and vote.
    pub hard: Option<HardState>,
    /// Remove every entry at or above this index.
    pub truncate_from: Option<Index>,
    /// Then append these: contiguous, following the last entry left (or the snapshot's end).
    pub append: Vec<Entry>,
    /// Then make this the snapshot, in place of any older one.
    pub snapshot: Option<(SnapshotMeta, Bytes)>,
    /// Then remove every entry at or below this index.
    pub compact_to: Option<Index>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.hard.is_none()
            && self.truncate_from.is_none()
            && self.append.is_empty()
            && self.snapshot.is_none()
            && self.compact_to.is_none()
    }
}

macro_rules! error_text {
    ($name:ident { $($pattern:pat => $text:expr),+ $(,)? }) => {
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $($pattern => $text),+ })
            }
        }
        impl core::error::Error for $name {}
    };
}

/// Why a proposal or a membership change was refused. State unchanged in every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposeError {
    /// Only the leader appends.
    NotLeader {
        /// Who leads, when known.
        leader: Option<ServerId>,
    },
    /// Too much waits for its commit already.
    Busy,
    /// The command exceeds [`super::Config::max_command_bytes`].
    TooLarge,
    /// Leadership is being handed over.
    Transferring,
    /// Another membership change has not been committed yet (section 4.1).
    ChangePending,
    /// This leader has not committed an entry of its own term yet; a membership change before that
    /// is unsafe (thesis erratum of 2015 to section 4.1).
    NotReady,
    /// The change names a server that takes no part, or not the part it must have.
    NoSuchServer,
    /// The change is in effect already.
    AlreadyDone,
    /// The change would leave no voter.
    LastVoter,
    /// The id is empty or too long.
    BadId,
    /// The cluster has its greatest size already.
    TooManyServers,
}

error_text!(ProposeError {
    ProposeError::NotLeader { .. } => "node is not the leader",
    ProposeError::Busy => "too many writes are waiting for their commit",
    ProposeError::TooLarge => "the command is too large",
    ProposeError::Transferring => "leadership transfer in progress",
    ProposeError::ChangePending => "another membership change is in progress",
    ProposeError::NotReady => "the leader has not committed an entry in its term yet",
    ProposeError::NoSuchServer => "no such server in the required role",
    ProposeError::AlreadyDone => "the server has this role already",
    ProposeError::LastVoter => "the last voter cannot be taken out",
    ProposeError::BadId => "the server id is empty or too long",
    ProposeError::TooManyServers => "the cluster has too many servers",
});

/// Why a read index was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Only the leader can confirm it.
    NotLeader {
        /// Who leads, when known.
        leader: Option<ServerId>,
    },
    /// Leadership ended before a quorum confirmed it.
    LostLeadership {
        /// Who leads now, when known.
        leader: Option<ServerId>,
    },
    /// Too many reads wait already.
    Busy,
}

error_text!(ReadError {
    ReadError::NotLeader { .. } => "node is not the leader",
    ReadError::LostLeadership { .. } => "leadership lost while confirming the read",
    ReadError::Busy => "too many reads are waiting for a quorum",
});

/// Why leadership stayed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// Only the leader can hand over.
    NotLeader {
        /// Who leads, when known.
        leader: Option<ServerId>,
    },
    /// A transfer is running already.
    InProgress,
    /// There is no such voter, or no voter but this one.
    NoTarget,
    /// The target did not take over within an election timeout; this server leads on.
    TimedOut,
    /// This server stopped leading for another reason first.
    LostLeadership,
}

error_text!(TransferError {
    TransferError::NotLeader { .. } => "node is not the leader",
    TransferError::InProgress => "leadership transfer in progress",
    TransferError::NoTarget => "cannot find peer",
    TransferError::TimedOut => "leadership transfer timeout",
    TransferError::LostLeadership => "lost leadership during transfer (for an unrelated reason)",
});
