//! Reads without writing: heartbeat rounds (section 6.4).
//!
//! A round is one heartbeat to everybody, answered by a majority. That one count serves three
//! purposes: reads asked for before the round began may be served at the commit index of its start;
//! the lease runs from the time the round was *sent*; and a leader that completes no round within an
//! election timeout steps down (section 6.2).

use super::effect::{Effect, ReadError};
use super::message::Round;
use super::{Raft, State, quorum};
use crate::ids::{CallId, Index};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// The heartbeat rounds of one leader.
#[derive(Debug)]
pub(super) struct Rounds {
    last: Round,
    /// Rounds not confirmed yet, with the time of sending. Bounded: without a confirmation the leader
    /// steps down after an election timeout's worth.
    sent: VecDeque<(Round, Instant)>,
    confirmed: Round,
    contact: Instant,
}

impl Rounds {
    pub(super) fn new(elected: Instant) -> Rounds {
        Rounds { last: Round(0), sent: VecDeque::new(), confirmed: Round(0), contact: elected }
    }

    pub(super) fn start(&mut self, now: Instant) -> Round {
        self.last = Round(self.last.0 + 1);
        self.sent.push_back((self.last, now));
        self.last
    }

    pub(super) fn last(&self) -> Round {
        self.last
    }

    /// A majority has acknowledged `round` and thereby all before it.
    fn confirm(&mut self, round: Round) {
        while let Some(&(sent, at)) = self.sent.front()
            && sent <= round
        {
            self.sent.pop_front();
            self.confirmed = sent;
            self.contact = at;
        }
    }

    /// When the newest confirmed round was sent; the election before the first.
    pub(super) fn contact(&self) -> Instant {
        self.contact
    }
}

/// Reads that wait for a leader to be confirmed.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Not yet covered by a round.
    queued: Vec<CallId>,
    /// Covered by a round, with the index they will be served at.
    asked: VecDeque<(Round, Index, Vec<CallId>)>,
    count: usize,
}

impl Reads {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn push(&mut self, call: CallId) {
        self.queued.push(call);
        self.count += 1;
    }

    /// `round` begins now: it serves everything queued, at `commit`.
    pub(super) fn ask(&mut self, round: Round, commit: Index) {
        if !self.queued.is_empty() {
            self.asked.push_back((round, commit, core::mem::take(&mut self.queued)));
        }
    }

    /// Whether a round should be started for what is queued: one at a time, so that reads that come
    /// while one is on its way share the next.
    fn want_round(&self, confirmed: Round) -> bool {
        !self.queued.is_empty() && self.asked.back().is_none_or(|(round, ..)| *round <= confirmed)
    }

    fn take_ready(&mut self, confirmed: Round, applied: Index) -> Option<(Index, Vec<CallId>)> {
        self.asked.front().filter(|(round, index, _)| *round <= confirmed && *index <= applied)?;
        let (_, index, calls) = self.asked.pop_front()?;
        self.count -= calls.len();
        Some((index, calls))
    }

    /// Everything that waits.
    pub(super) fn into_calls(self) -> impl Iterator<Item = CallId> {
        self.asked.into_iter().flat_map(|(_, _, calls)| calls).chain(self.queued)
    }
}

impl Raft {
    pub(super) fn on_read_index(&mut self, call: CallId) {
        if mutant!(self.config, ReadIndexAlone) && self.is_ready() {
            return self.effects.push_back(Effect::ReadReady { call, index: self.applied });
        }
        let error = match &mut self.state {
            State::Leader(leader) if leader.reads.len() < self.config.max_waiting_reads => {
                return leader.reads.push(call);
            }
            State::Leader(_) => ReadError::Busy,
            State::Follower | State::PreCandidate(_) | State::Candidate(_) => {
                ReadError::NotLeader { leader: self.leader.clone() }
            }
        };
        self.effects.push_back(Effect::ReadRejected { call, error });
    }

    pub(super) fn start_read_round(&mut self) {
        if let State::Leader(leader) = &self.state
            && self.commit >= leader.first.index
            && leader.reads.want_round(leader.rounds.confirmed)
        {
            self.heartbeat();
        }
    }

    /// Counts how far a majority has acknowledged. Our own part is always complete.
    pub(super) fn confirm_rounds(&mut self) {
        let State::Leader(leader) = &mut self.state else { return };
        let last = leader.rounds.last;
        let reached = quorum::reached(&self.members.latest().voters, |id| {
            if *id == self.config.id {
                last
            } else {
                leader.peers.get(id).map_or(Round(0), |peer| peer.round)
            }
        });
        leader.rounds.confirm(reached);
    }

    pub(super) fn answer_reads(&mut self) {
        let State::Leader(leader) = &mut self.state else { return };
        while let Some((index, calls)) = leader.reads.take_ready(leader.rounds.confirmed, self.applied) {
            self.effects.extend(calls.into_iter().map(|call| Effect::ReadReady { call, index }));
        }
    }

    /// Until when reads may be served from the applied state without asking a quorum; `None` when
    /// they may not. A sole voter needs nobody's consent and holds it for ever.
    ///
    /// Sound because whoever acknowledged the round elects nobody else for an election timeout after
    /// *receiving* it, which is later than its sending, and the lease is shorter than that timeout by
    /// the drift to be tolerated. Restarted servers wait as long ([`Raft::boot`]).
    pub fn lease_until(&self) -> Option<Instant> {
        let State::Leader(leader) = &self.state else { return None };
        let caught_up = self.applied >= leader.first.index || mutant!(self.config, LeaseBeforeNoop);
        if !caught_up || leader.lease_given_up {
            return None;
        }
        if self.is_sole_voter() {
            return Some(Instant::FAR_FUTURE);
        }
        if mutant!(self.config, LeaseForEver) && leader.rounds.confirmed > Round(0) {
            return Some(Instant::FAR_FUTURE);
        }
        // Before the first confirmed round, nobody has granted anything.
        (leader.rounds.confirmed > Round(0)).then(|| leader.rounds.contact + self.config.lease)
    }
}
