//! Leading: taking office, heartbeats, deadlines, leaving office.

use super::entry::{Entry, LogId, Payload};
use super::message::{Body, Message};
use super::progress::{Mode, Progress};
use super::read_index::{Reads, Rounds};
use super::transfer::Handover;
use super::{Config, Effect, Raft, State};
use crate::ids::{Index, ServerId};
use crate::time::Instant;
use alloc::collections::BTreeMap;

/// What only a leader keeps.
#[derive(Debug)]
pub(super) struct Leader {
    /// The no-op that opened its term. Until that is committed it serves no read and changes no
    /// membership.
    pub(super) first: LogId,
    /// Everyone else in the membership.
    pub(super) peers: BTreeMap<ServerId, Progress>,
    pub(super) heartbeat_at: Instant,
    pub(super) rounds: Rounds,
    pub(super) reads: Reads,
    pub(super) handover: Option<Handover>,
    /// Someone was told to campaign in spite of the lease, and may still do so: no lease in this term.
    pub(super) lease_given_up: bool,
}

impl Leader {
    /// When it must act next.
    pub(super) fn deadline(&self, config: &Config, sole: bool) -> Instant {
        let deposed_at =
            if sole || mutant!(config, LeaseForEver) { Instant::FAR_FUTURE } else { self.deposed_at(config) };
        let handover_ends = self.handover.as_ref().map_or(Instant::FAR_FUTURE, |h| h.ends);
        // A heartbeat that nobody hears need not wake anyone.
        let heartbeat_at = if self.peers.is_empty() { Instant::FAR_FUTURE } else { self.heartbeat_at };
        heartbeat_at.min(deposed_at).min(handover_ends)
    }

    /// When it must assume that the others have elected someone else (check-quorum, section 6.2).
    fn deposed_at(&self, config: &Config) -> Instant {
        self.rounds.contact() + config.election_timeout
    }
}

impl Raft {
    /// Takes office: the one way up. Everyone's log is unknown, the term opens with a no-op.
    pub(super) fn become_leader(&mut self) {
        invariant!(matches!(self.state, State::Candidate(_)), "only a candidate is elected");
        invariant!(self.hard.voted_for.as_ref() == Some(&self.config.id), "a leader voted for itself");
        let last = self.log.last();
        let first = LogId { index: Index(last.index.0 + 1), term: self.hard.term };
        let others = self.members.latest().others(&self.config.id);
        self.state = State::Leader(Leader {
            first,
            peers: others.into_iter().map(|id| (id, Progress::new(last.index))).collect(),
            heartbeat_at: self.now,
            rounds: Rounds::new(self.now),
            reads: Reads::default(),
            handover: None,
            lease_given_up: false,
        });
        self.leader = Some(self.config.id.clone());
        self.announce();
        self.append(Entry { index: first.index, term: first.term, payload: Payload::Noop });
        self.heartbeat();
    }

    /// Leaves office: every waiting read and transfer is answered. Accepted proposals stay open, the
    /// next leader may commit them.
    pub(super) fn end_leadership(&mut self, before: Leader, newer_term: bool) {
        for call in before.reads.into_calls() {
            let error = super::ReadError::LostLeadership { leader: self.leader.clone() };
            self.effects.push_back(Effect::ReadRejected { call, error });
        }
        if let Some(handover) = before.handover {
            let result = if newer_term { Ok(()) } else { Err(super::TransferError::LostLeadership) };
            self.effects.push_back(Effect::TransferEnded { call: handover.call, result });
        }
        self.snapshots.forget_outgoing();
    }

    /// Whether this server leads and has committed an entry of its own term (section 6.4).
    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.state, State::Leader(leader) if self.commit >= leader.first.index)
    }

    /// Starts a heartbeat round, for every read that waits for one.
    pub(super) fn heartbeat(&mut self) {
        let ready = self.is_ready();
        let State::Leader(leader) = &mut self.state else { return };
        leader.heartbeat_at = self.now + self.config.heartbeat;
        let round = leader.rounds.start(self.now);
        if ready {
            leader.reads.ask(round, self.commit);
        }
        let silent = |at: Instant| self.now >= at + self.config.election_timeout;
        for (id, peer) in &mut leader.peers {
            if matches!(peer.mode, Mode::Snapshot(Some(_))) && peer.last_heard.is_none_or(silent) {
                // It is gone: let go of the snapshot, and find out anew when it answers again.
                peer.mode = Mode::Probe { asked: Some(self.now) };
            }
            let commit = self.commit.min(peer.matched);
            peer.told_commit = peer.told_commit.max(commit);
            let message = Message { term: self.hard.term, body: Body::Heartbeat { round, commit } };
            self.effects.push_back(Effect::Send { to: id.clone(), message });
        }
        self.confirm_rounds();
    }

    pub(super) fn check_leader_deadlines(&mut self) {
        let due = |state: &State, at: fn(&Leader) -> Instant| matches!(state, State::Leader(leader) if self.now >= at(leader));
        if due(&self.state, |leader| leader.heartbeat_at) {
            self.heartbeat();
        }
        let sole = self.is_sole_voter();
        let State::Leader(leader) = &mut self.state else { return };
        if !sole && !mutant!(self.config, LeaseForEver) && self.now >= leader.deposed_at(&self.config) {
            return self.become_follower(self.hard.term, None);
        }
        if let Some(handover) = leader.handover.take_if(|handover| self.now >= handover.ends) {
            let result = Err(super::TransferError::TimedOut);
            self.effects.push_back(Effect::TransferEnded { call: handover.call, result });
        }
    }
}
