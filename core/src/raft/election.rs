//! Elections: pre-votes, votes, when to campaign, and who may not disturb a working leader.

use super::cursor::Held;
use super::effect::Role;
use super::entry::{HardState, LogId};
use super::message::{Body, Message};
use super::quorum::{Tally, tally};
use super::{Effect, Raft, State};
use crate::ids::{ServerId, Term};
use crate::time::{Duration, Instant};
use alloc::collections::BTreeSet;

/// The answers to one round of votes or pre-votes.
#[derive(Debug, Default)]
pub(super) struct Ballot {
    granted: BTreeSet<ServerId>,
    refused: BTreeSet<ServerId>,
}

impl Ballot {
    fn record(&mut self, from: ServerId, granted: bool) {
        if granted {
            self.granted.insert(from)
        } else {
            self.refused.insert(from)
        };
    }
}

impl Raft {
    /// Draws the next time to campaign, from once to twice the election timeout (section 3.4).
    pub(super) fn reset_election_timer(&mut self) {
        let timeout = self.config.election_timeout;
        self.election_at = self.now + self.rng.duration(timeout, timeout * 2);
    }

    /// Whether this server may stand for election: it is a voter, or the membership that takes its
    /// vote is not known to be committed and may need it to get there (section 4.2.2): when it alone
    /// holds that entry, nobody else can be elected.
    pub(super) fn may_campaign(&self) -> bool {
        let me = &self.config.id;
        let was_voter = || self.members.previous().is_some_and(|m| m.is_voter(me));
        self.members.latest().is_voter(me) || (self.members.latest_index() > self.commit && was_voter())
    }

    /// Whether a leader is at work as far as this server knows, and must not be disturbed (4.2.3).
    pub(super) fn is_led(&self) -> bool {
        let timeout = self.config.election_timeout;
        let heard = |at: Instant| self.now < at + timeout;
        if mutant!(self.config, NoPreVote | VotesAgainstLease) {
            return false;
        }
        match &self.state {
            State::Leader(leader) => self.is_sole_voter() || heard(leader.rounds.contact()),
            State::Follower | State::PreCandidate(_) | State::Candidate(_) => self.now < self.quiet_until,
        }
    }

    /// A leader of this very term speaks: follow it. False when there is another, or it is us; then
    /// the sender is mistaken, and not answered.
    pub(super) fn accept_leader(&mut self, from: &ServerId) -> bool {
        match (&self.state, &self.leader) {
            (State::Leader(_), _) => return false,
            (State::Follower, Some(leader)) if leader == from => {}
            (State::Follower, Some(_)) => return false,
            (State::Follower | State::PreCandidate(_) | State::Candidate(_), _) => {
                self.become_follower(self.hard.term, Some(from.clone()));
            }
        }
        self.contact = Some(self.now);
        self.quiet_until = self.now + self.config.election_timeout;
        self.reset_election_timer();
        true
    }

    /// The leader's connection is gone. A process that died is not waited for longer than a lease may last that
    /// this server granted; one that lives is heard again before that.
    pub(super) fn on_peer_lost(&mut self, from: &ServerId) {
        if matches!(self.state, State::Follower) && self.leader.as_ref() == Some(from) {
            let earliest = self.now.max(self.quiet_until);
            let soon = earliest + self.rng.duration(Duration::ZERO, self.config.election_timeout / 6);
            self.election_at = self.election_at.min(soon);
        }
    }

    pub(super) fn on_election_timeout(&mut self) {
        let voting = matches!(self.state, State::Candidate(_));
        if voting && self.cursor.flushed() < self.cursor.hard_at() {
            // The disk is slower than the timeout: a newer term would only queue behind this one.
            self.reset_election_timer();
        } else if self.is_sole_voter() || mutant!(self.config, NoPreVote) {
            self.become_candidate(false);
        } else {
            self.become_pre_candidate();
        }
    }

    /// Asks whether an election could be won, so that a server that was cut off does not force a new
    /// term upon the others when it comes back (section 9.6).
    fn become_pre_candidate(&mut self) {
        let mut ballot = Ballot::default();
        ballot.record(self.config.id.clone(), true);
        self.state = State::PreCandidate(ballot);
        self.leader = None;
        self.reset_election_timer();
        self.announce();
        let message =
            Message { term: Term(self.hard.term.0 + 1), body: Body::PreVote { last: self.log.last() } };
        for to in self.other_voters() {
            self.effects.push_back(Effect::Send { to, message: message.clone() });
        }
        self.count_ballot();
    }

    /// Begins a new term and asks for votes. Both this server's own vote and its requests wait for
    /// the disk: were it to forget the term, it could ask again with a shorter log.
    pub(super) fn become_candidate(&mut self, transfer: bool) {
        let term = Term(self.hard.term.0 + 1);
        self.hard = HardState { term, voted_for: Some(self.config.id.clone()), ..self.hard };
        self.cursor.write_hard(self.hard.clone());
        self.state = State::Candidate(Ballot::default());
        self.leader = None;
        self.snapshots.forget_incoming();
        self.reset_election_timer();
        self.announce();
        let last = self.log.last();
        let ticket = self.cursor.log_at();
        if let Some(held) = self.cursor.hold(ticket, Held::OwnVote { term }) {
            self.release(held);
        }
        for to in self.other_voters() {
            self.send_after(ticket, to, Body::Vote { last, transfer });
        }
    }

    fn other_voters(&self) -> impl Iterator<Item = ServerId> + use<> {
        let mut voters = self.members.latest().voters.clone();
        voters.remove(&self.config.id);
        voters.into_iter()
    }

    /// Would we vote for `from` in `term`? Binds nobody, so it is answered without the disk.
    pub(super) fn on_pre_vote(&mut self, from: ServerId, term: Term, last: LogId) {
        if self.is_led() {
            return;
        }
        let granted = term > self.hard.term && last >= self.log.last();
        if granted {
            let message = Message { term, body: Body::PreVoteReply { granted } };
            self.effects.push_back(Effect::Send { to: from, message });
        } else {
            self.promise_term(from, Body::PreVoteReply { granted });
        }
    }

    pub(super) fn on_pre_vote_granted(&mut self, from: ServerId, term: Term) {
        if let State::PreCandidate(ballot) = &mut self.state
            && term.0 == self.hard.term.0 + 1
        {
            ballot.record(from, true);
            self.count_ballot();
        }
    }

    pub(super) fn on_pre_vote_refused(&mut self, from: ServerId) {
        if let State::PreCandidate(ballot) = &mut self.state {
            ballot.record(from, false);
            self.count_ballot();
        }
    }

    /// A vote in this very term. It goes to the first who asks with a log as good as ours (sections
    /// 3.4 and 3.6.1), whatever our membership says of them: we may not know the newest.
    pub(super) fn on_vote(&mut self, from: ServerId, last: LogId) {
        let free = match &self.hard.voted_for {
            Some(other) => *other == from,
            None => self.leader.is_none(),
        };
        let granted = free && last >= self.log.last();
        if granted && self.hard.voted_for.is_none() {
            self.hard.voted_for = Some(from.clone());
            self.cursor.write_hard(self.hard.clone());
            self.reset_election_timer();
        }
        if mutant!(self.config, VoteBeforeFlush) {
            return self.send(from, Body::VoteReply { granted });
        }
        self.promise_term(from, Body::VoteReply { granted });
    }

    pub(super) fn on_vote_reply(&mut self, from: ServerId, granted: bool) {
        if let State::Candidate(ballot) = &mut self.state {
            ballot.record(from, granted);
            self.count_ballot();
        }
    }

    /// Our own vote of `term` is on disk.
    pub(super) fn on_own_vote(&mut self, term: Term) {
        if term == self.hard.term {
            self.on_vote_reply(self.config.id.clone(), true);
        }
    }

    fn count_ballot(&mut self) {
        let (State::PreCandidate(ballot) | State::Candidate(ballot)) = &self.state else { return };
        let outcome = tally(&self.members.latest().voters, &ballot.granted, &ballot.refused);
        match (self.role(), outcome) {
            (Role::PreCandidate, Tally::Won) => self.become_candidate(false),
            (Role::Candidate, Tally::Won) => self.become_leader(),
            (_, Tally::Lost) => self.become_follower(self.hard.term, None),
            (_, Tally::Won | Tally::Open) => {}
        }
    }
}
