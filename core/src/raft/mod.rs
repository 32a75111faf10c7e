//! Raft for N servers over opaque commands.
//!
//! It decides who leads, what is committed, when a read is safe, and what must reach the disk first.
//! It never knows what a command means, where a server lives, or what time it is: a server is its
//! persisted id; time and randomness arrive with the inputs. "Thesis" and bare section numbers mean
//! Diego Ongaro, "Consensus: bridging theory and practice" (2014).
//!
//! # The contract
//!
//! [`Raft::boot`] once, then [`Raft::handle`] one input, then [`Raft::poll_effect`] until it returns
//! `None`, then sleep until [`Raft::poll_timeout`]. Effects are performed in order; see [`Effect`].
//!
//! # Invariants
//!
//! Checked after every step: the term never goes back; `applied <= commit <= last`; commit never goes
//! back; what is flushed is part of the log; a leader's term is the term it was elected in. Held by
//! construction: a committed entry is never truncated (replication.rs), a promise leaves only after
//! the ticket that carries it is flushed (cursor.rs).
//!
//! # Where the rules live
//!
//! | file | decides |
//! |---|---|
//! | `election` | pre-votes, votes, when to campaign, who may not disturb a leader |
//! | `replication` | what to send to whom, what matches, what is committed |
//! | `membership` | one-server changes, which membership is in effect |
//! | `read_index` | heartbeat rounds: reads, lease and check-quorum from one count |
//! | `snapshot` | when to build, what to compact and let go of, sending and receiving |
//! | `transfer` | handing leadership over |
//! | `calls` | what became of accepted proposals |
//! | `caught_up` | whether a server that has started knows enough to be read, and what it may know then |
//! | `log`, `cursor`, `progress`, `quorum` | the structures below |

mod boot;
mod calls;
mod caught_up;
mod codec;
mod config;
mod cursor;
mod describe;
mod effect;
mod election;
mod entry;
mod leader;
mod log;
mod membership;
mod message;
mod progress;
mod quorum;
mod read_index;
mod replication;
mod snapshot;
mod transfer;

pub use boot::BootError;
pub use codec::{DecodeError, MAX_FRAME, MAX_ID, MAX_SERVERS};
pub use config::{Config, ConfigError};
pub use describe::{PeerStatus, Status};
pub use effect::{Batch, Change, Effect, Input, ProposeError, ReadError, Role, TransferError};
pub use entry::{Entry, HardState, Image, LogId, Membership, Payload, SnapshotMeta};
pub use message::{Body, MESSAGE_VERSION, Message, Round};

use crate::ids::{Index, ServerId, Term, Ticket};
use crate::rng::Rng;
use crate::time::Instant;
use alloc::collections::VecDeque;
use calls::Calls;
use caught_up::CatchUp;
use cursor::{Cursor, Held};
use election::Ballot;
use leader::Leader;
use log::Log;
use membership::Memberships;
use snapshot::Snapshots;

/// Terms and indexes beyond this are not believed: counting on from them could overflow.
const MAX_NUMBER: u64 = 1 << 62;

/// One raft server.
#[derive(Debug)]
pub struct Raft {
    config: Config,
    rng: Rng,
    /// The newest time seen.
    now: Instant,
    /// Term and vote, perhaps not flushed yet.
    hard: HardState,
    log: Log,
    members: Memberships,
    commit: Index,
    applied: Index,
    snapshots: Snapshots,
    cursor: Cursor,
    state: State,
    /// The leader of this term, when known.
    leader: Option<ServerId>,
    /// When a leader was last heard, of this term or of an earlier one.
    contact: Option<Instant>,
    /// No votes before this: a leader may be reading under a lease that this server granted, perhaps in
    /// its last life. A newer term does not end it, for the leader may not have heard of that.
    quiet_until: Instant,
    /// When to campaign.
    election_at: Instant,
    calls: Calls,
    catch_up: CatchUp,
    effects: VecDeque<Effect>,
    /// What the last `RoleChanged` said.
    announced: (Role, Term, Option<ServerId>),
    /// What the last step left, for the invariants.
    checked: (Term, Index),
}

/// The role with what belongs to it alone.
#[derive(Debug)]
enum State {
    Follower,
    PreCandidate(Ballot),
    Candidate(Ballot),
    Leader(Leader),
}

impl Raft {
    /// Takes in one event at `now`. Drain the effects afterwards.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Wake => {}
            Input::PeerLost { from } => self.on_peer_lost(&from),
            Input::Message { from, message } => self.on_message(from, message),
            Input::Propose { call, command } => self.on_propose(call, command),
            Input::ProposeMany { proposals } => {
                proposals.into_iter().for_each(|(call, command)| self.on_propose(call, command));
            }
            Input::ReadIndex { call } => self.on_read_index(call),
            Input::ChangeMembership { call, change } => self.on_change(call, change),
            Input::TransferLeadership { call, to } => self.on_transfer(call, to),
            Input::Bootstrap(membership) => self.on_bootstrap(membership),
            Input::Persisted { upto } => self.on_persisted(upto),
            Input::SnapshotBuilt { index, data } => self.on_snapshot_built(index, data),
            Input::SnapshotChecked { at, readable } => self.on_snapshot_checked(at, readable),
        }
        self.check_deadlines();
        self.settle();
    }

    /// The next order, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::Wake`] is due next; `None` when only another event can change anything. A wake
    /// too early or too late is harmless.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let of_role = match &self.state {
            State::Leader(leader) => Some(leader.deadline(&self.config, self.is_sole_voter())),
            State::Follower | State::PreCandidate(_) | State::Candidate(_) => {
                self.may_campaign().then_some(self.election_at)
            }
        };
        of_role.into_iter().chain(self.catch_up_deadline()).min()
    }

    /// What a message does depends first on its term (section 3.3), then on its kind.
    fn on_message(&mut self, from: ServerId, message: Message) {
        let Message { term, body } = message;
        if from == self.config.id || term.0 > MAX_NUMBER {
            return;
        }
        match &body {
            // Pre-votes speak of a term that nobody has begun.
            Body::PreVote { last } => return self.on_pre_vote(from, term, *last),
            Body::PreVoteReply { granted: true } => return self.on_pre_vote_granted(from, term),
            Body::Vote { transfer: false, .. } if term >= self.hard.term && self.is_led() => return,
            _ => {}
        }
        if term < self.hard.term {
            return self.refuse_old_term(from, &body);
        }
        if term > self.hard.term {
            self.become_follower(term, body.is_from_leader().then(|| from.clone()));
        }
        match body {
            Body::PreVote { .. } => {}
            Body::PreVoteReply { .. } => self.on_pre_vote_refused(from),
            Body::Vote { last, transfer: _ } => self.on_vote(from, last),
            Body::VoteReply { granted } => self.on_vote_reply(from, granted),
            Body::Append { prev, commit, entries } => {
                if self.accept_leader(&from) {
                    self.on_append(from, prev, commit, entries);
                }
            }
            Body::AppendOk { upto } => self.on_append_ok(&from, upto),
            Body::AppendConflict { prev, hint } => self.on_append_conflict(&from, prev, hint),
            Body::Heartbeat { round, commit } => {
                if self.accept_leader(&from) {
                    self.follow_commit(commit);
                    if commit >= self.log.last().index {
                        // It has acknowledged all of its log in an earlier life, and may be sent nothing for long.
                        self.heard_commit(commit);
                    }
                    self.promise_term(from, Body::HeartbeatReply { round });
                }
            }
            Body::HeartbeatReply { round } => self.on_heartbeat_reply(&from, round),
            Body::Commit { upto } => {
                if self.accept_leader(&from) {
                    self.follow_commit(upto);
                }
            }
            Body::Snapshot { meta, total, offset, chunk } => {
                if self.accept_leader(&from) {
                    self.on_snapshot_piece(from, meta, total, offset, chunk);
                }
            }
            Body::SnapshotReply { index, received } => self.on_snapshot_reply(&from, index, received),
            Body::TimeoutNow => {
                if self.leader.as_ref() == Some(&from) && self.may_campaign() {
                    self.become_candidate(true);
                }
            }
        }
    }

    /// Tells a sender of an older term which term it is, where that helps: a deposed leader steps
    /// down, a candidate catches up.
    fn refuse_old_term(&mut self, from: ServerId, body: &Body) {
        if body.is_from_leader() {
            self.promise_term(from, Body::HeartbeatReply { round: Round(0) });
        } else if let Body::Vote { .. } = body {
            self.promise_term(from, Body::VoteReply { granted: false });
        }
    }

    fn on_persisted(&mut self, upto: Ticket) {
        for held in self.cursor.on_flushed(upto) {
            self.release(held);
        }
        self.advance_commit();
    }

    /// Does what no longer waits for the disk.
    fn release(&mut self, held: Held) {
        match held {
            Held::Send { to, message } => self.effects.push_back(Effect::Send { to, message }),
            Held::OwnVote { term } => self.on_own_vote(term),
            Held::Restore { meta } => self.on_snapshot_flushed(meta),
        }
    }

    /// Sends now.
    fn send(&mut self, to: ServerId, body: Body) {
        let message = Message { term: self.hard.term, body };
        self.effects.push_back(Effect::Send { to, message });
    }

    /// Sends once `ticket` is flushed.
    fn send_after(&mut self, ticket: Ticket, to: ServerId, body: Body) {
        let message = Message { term: self.hard.term, body };
        if let Some(held) = self.cursor.hold(ticket, Held::Send { to, message }) {
            self.release(held);
        }
    }

    /// Sends a promise that rests on term and vote alone.
    fn promise_term(&mut self, to: ServerId, body: Body) {
        self.send_after(self.cursor.hard_at(), to, body);
    }

    /// Sends a promise that rests on the log.
    fn promise_log(&mut self, to: ServerId, body: Body) {
        self.send_after(self.cursor.log_at(), to, body);
    }

    fn check_deadlines(&mut self) {
        match &self.state {
            State::Leader(_) => self.check_leader_deadlines(),
            State::Follower | State::PreCandidate(_) | State::Candidate(_) => {
                if self.now >= self.election_at && self.may_campaign() {
                    self.on_election_timeout();
                }
            }
        }
    }

    /// Ends every step: writes to the disk first, so that it works while the rest goes on; then to
    /// the followers; then what is committed, and the reads that waited for it.
    fn settle(&mut self) {
        self.start_read_round();
        self.note_commit();
        self.seal();
        self.replicate();
        self.apply();
        self.look_whether_caught_up();
        self.answer_reads();
        self.maybe_build_snapshot();
        self.release_log();
        self.check_invariants();
    }

    /// Hands the gathered batch to the disk.
    fn seal(&mut self) {
        self.cursor.seal();
        while let Some((ticket, batch)) = self.cursor.pop_sealed() {
            self.effects.push_back(Effect::Persist { ticket, batch });
        }
    }

    /// Hands out what is committed, once: see [`Effect::Apply`].
    fn apply(&mut self) {
        if self.snapshots.is_restoring() || self.applied >= self.commit {
            return;
        }
        let entries = self.log.range(self.applied, self.commit);
        self.applied = self.commit;
        for entry in &entries {
            for call in self.calls.on_applied(entry.id()) {
                self.effects.push_back(Effect::Lost { call });
            }
        }
        self.effects.push_back(Effect::Apply { entries });
    }

    /// Follows the term: as a follower of `leader`, or of nobody yet. The one way down.
    fn become_follower(&mut self, term: Term, leader: Option<ServerId>) {
        invariant!(term >= self.hard.term, "term {} after {}", term, self.hard.term);
        let newer = term > self.hard.term;
        let before = core::mem::replace(&mut self.state, State::Follower);
        if newer {
            self.hard = HardState { term, voted_for: None, ..self.hard };
            self.cursor.write_hard(self.hard.clone());
        }
        self.leader = leader;
        self.snapshots.forget_incoming();
        self.reset_election_timer();
        if let State::Leader(before) = before {
            self.contact = Some(before.rounds.contact());
            self.end_leadership(before, newer);
        }
        self.announce();
    }

    /// Says so when role, term or leader differ from what was said last.
    fn announce(&mut self) {
        let now = (self.role(), self.hard.term, self.leader.clone());
        if now != self.announced {
            let (role, term, leader) = now.clone();
            self.announced = now;
            self.effects.push_back(Effect::RoleChanged { role, term, leader });
        }
    }

    fn check_invariants(&mut self) {
        let last = self.log.last().index;
        let (term, commit) = self.checked;
        invariant!(self.hard.term >= term, "term {} after {}", self.hard.term, term);
        invariant!(self.commit >= commit, "commit {} after {}", self.commit, commit);
        invariant!(self.applied <= self.commit, "applied {} of commit {}", self.applied, self.commit);
        invariant!(self.commit <= last, "commit {} of last {}", self.commit, last);
        invariant!(self.cursor.log_flushed() <= last, "flushed {} of {}", self.cursor.log_flushed(), last);
        invariant!(self.log.base().index <= self.commit, "log let go of beyond commit {}", self.commit);
        invariant!(self.log.last().term <= self.hard.term, "log ahead of term {}", self.hard.term);
        if let State::Leader(leader) = &self.state {
            invariant!(leader.first.term == self.hard.term, "leader of term {}", leader.first.term);
        }
        self.checked = (self.hard.term, self.commit);
    }

    /// This server.
    pub fn id(&self) -> &ServerId {
        &self.config.id
    }

    /// The role now.
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// The term now.
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// The leader of this term, when known.
    pub fn leader(&self) -> Option<&ServerId> {
        self.leader.as_ref()
    }

    /// The membership in effect, committed or not.
    pub fn membership(&self) -> &Membership {
        self.members.latest()
    }

    /// How far the log is known to be committed.
    pub fn commit_index(&self) -> Index {
        self.commit
    }

    /// How far entries have been handed out to be applied.
    pub fn applied_index(&self) -> Index {
        self.applied
    }

    fn is_sole_voter(&self) -> bool {
        self.members.latest().is_sole_voter(&self.config.id)
    }
}
