//! What raft shows of itself: one read-only picture for operators, checkers and metrics.

use super::effect::Role;
use super::entry::Membership;
use super::leader::Leader;
use super::{Raft, State};
use crate::ids::{Index, ServerId, Term, Ticket};
use crate::time::Instant;
use alloc::vec::Vec;

/// A picture of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This server.
    pub id: ServerId,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in this term.
    pub voted_for: Option<ServerId>,
    /// The leader of this term, when known.
    pub leader: Option<ServerId>,
    /// When it last heard from the leader; while it leads, the sending time of the newest heartbeat
    /// that a quorum acknowledged.
    pub leader_contact: Option<Instant>,
    /// The end of its log in memory.
    pub last_index: Index,
    /// That entry's term.
    pub last_term: Term,
    /// How far its log is on disk.
    pub flushed_index: Index,
    /// How far it knows the log to be committed.
    pub commit_index: Index,
    /// How far it has handed out entries to be applied.
    pub applied_index: Index,
    /// The index before the first entry in memory.
    pub base_index: Index,
    /// Bytes of entries in memory.
    pub log_bytes: u64,
    /// The newest snapshot's last entry.
    pub snapshot_index: Index,
    /// That entry's term.
    pub snapshot_term: Term,
    /// The newest ticket issued.
    pub issued: Ticket,
    /// The newest ticket flushed.
    pub flushed: Ticket,
    /// The membership in effect.
    pub membership: Membership,
    /// The entry or snapshot it stands in.
    pub membership_index: Index,
    /// Whether it leads and has committed an entry of its own term: only then are reads served.
    pub ready: bool,
    /// Until when reads may be served without asking a quorum.
    pub lease_until: Option<Instant>,
    /// Whether leadership is being handed over.
    pub transferring: bool,
    /// Accepted calls that wait for their outcome.
    pub waiting_calls: usize,
    /// Reads that wait for a quorum.
    pub waiting_reads: usize,
    /// The leader's view of each other server, in order of id; empty elsewhere.
    pub peers: Vec<PeerStatus>,
}

/// What a leader knows of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Which server.
    pub id: ServerId,
    /// Whether it votes.
    pub voter: bool,
    /// How far its log is known to match, on its disk.
    pub matched: Index,
    /// The next entry to be sent to it.
    pub next: Index,
    /// How entries reach it at present: `probe`, `replicate` or `snapshot`.
    pub mode: &'static str,
    /// Messages on their way to it.
    pub inflight: usize,
    /// When it last answered.
    pub last_heard: Option<Instant>,
}

impl Raft {
    /// Whether this server leads, and is handing its office over.
    pub fn is_handing_over(&self) -> bool {
        matches!(&self.state, State::Leader(leader) if leader.handover.is_some())
    }

    /// A picture of this server now.
    pub fn status(&self) -> Status {
        let (leader, waiting_reads, transferring) = match &self.state {
            State::Leader(leader) => (Some(leader), leader.reads.len(), leader.handover.is_some()),
            State::Follower | State::PreCandidate(_) | State::Candidate(_) => (None, 0, false),
        };
        let (last, snapshot) = (self.log.last(), self.snapshots.last());
        Status {
            id: self.config.id.clone(),
            role: self.role(),
            term: self.hard.term,
            voted_for: self.hard.voted_for.clone(),
            leader: self.leader.clone(),
            leader_contact: leader.map_or(self.contact, |leader| Some(leader.rounds.contact())),
            last_index: last.index,
            last_term: last.term,
            flushed_index: self.cursor.log_flushed(),
            commit_index: self.commit,
            applied_index: self.applied,
            base_index: self.log.base().index,
            log_bytes: self.log.bytes(),
            snapshot_index: snapshot.index,
            snapshot_term: snapshot.term,
            issued: self.cursor.issued(),
            flushed: self.cursor.flushed(),
            membership: self.members.latest().clone(),
            membership_index: self.members.latest_index(),
            ready: self.is_ready(),
            lease_until: self.lease_until(),
            transferring,
            waiting_calls: self.calls.len(),
            waiting_reads,
            peers: leader.map(|leader| self.peers(leader)).unwrap_or_default(),
        }
    }

    fn peers(&self, leader: &Leader) -> Vec<PeerStatus> {
        let voters = &self.members.latest().voters;
        leader
            .peers
            .iter()
            .map(|(id, peer)| PeerStatus {
                id: id.clone(),
                voter: voters.contains(id),
                matched: peer.matched,
                next: peer.next,
                mode: peer.mode_name(),
                inflight: peer.inflight(),
                last_heard: peer.last_heard,
            })
            .collect()
    }
}
