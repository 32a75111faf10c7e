//! Membership: one server at a time (thesis chapter 4).
//!
//! A membership takes effect when its entry is appended and is undone when that entry is truncated.
//! The next change waits until the last is committed, so that any two majorities overlap.

use super::codec::{MAX_SERVERS, valid_id};
use super::effect::{Change, Effect, ProposeError};
use super::entry::{Membership, Payload};
use super::message::Body;
use super::progress::Progress;
use super::{Raft, State};
use crate::ids::{CallId, Index, ServerId};
use alloc::vec;
use alloc::vec::Vec;

/// The memberships of the snapshot and of the log behind it.
#[derive(Debug)]
pub(super) struct Memberships {
    /// By index, oldest first; never empty.
    history: Vec<(Index, Membership)>,
}

impl Memberships {
    pub(super) fn new(index: Index, membership: Membership) -> Memberships {
        Memberships { history: vec![(index, membership)] }
    }

    fn newest(&self) -> &(Index, Membership) {
        self.history.last().expect("there is always a membership, if an empty one")
    }

    /// The one in effect.
    pub(super) fn latest(&self) -> &Membership {
        &self.newest().1
    }

    /// Where it stands.
    pub(super) fn latest_index(&self) -> Index {
        self.newest().0
    }

    /// The one before: committed, since changes are made one at a time.
    pub(super) fn previous(&self) -> Option<&Membership> {
        self.history.len().checked_sub(2).map(|place| &self.history[place].1)
    }

    /// The one in effect at `index`, which is not before the snapshot.
    pub(super) fn at(&self, index: Index) -> &Membership {
        let place = self.history.partition_point(|(i, _)| *i <= index);
        &self.history[place.saturating_sub(1)].1
    }

    pub(super) fn push(&mut self, index: Index, membership: Membership) {
        invariant!(index > self.latest_index(), "membership {} after {}", index, self.latest_index());
        self.history.push((index, membership));
    }

    /// Undoes what stood at or above `from`; whether another one is in effect now.
    pub(super) fn truncate_from(&mut self, from: Index) -> bool {
        let before = self.history.len();
        self.history.retain(|(index, _)| *index < from);
        invariant!(!self.history.is_empty(), "truncated the snapshot's membership");
        self.history.len() != before
    }

    /// Forgets what was superseded at or before `index`.
    pub(super) fn compact_to(&mut self, index: Index) {
        let place = self.history.partition_point(|(i, _)| *i <= index);
        self.history.drain(..place.saturating_sub(1));
    }
}

impl Raft {
    pub(super) fn on_change(&mut self, call: CallId, change: Change) {
        match self.changed(change) {
            Ok(membership) => {
                if matches!(&self.state, State::Leader(leader) if leader.peers.is_empty()) {
                    // Alone it sent no heartbeats; those that join have an election timeout from now.
                    self.heartbeat();
                }
                self.append_call(call, Payload::Membership(membership));
                self.advance_commit();
            }
            Err(error) => self.effects.push_back(Effect::Rejected { call, error }),
        }
    }

    /// The membership that `change` asks for, when it may be made now.
    fn changed(&self, change: Change) -> Result<Membership, ProposeError> {
        self.may_append()?;
        if !self.is_ready() {
            return Err(ProposeError::NotReady);
        }
        if self.members.latest_index() > self.commit && !mutant!(self.config, TwoChangesAtOnce) {
            return Err(ProposeError::ChangePending);
        }
        apply_change(self.members.latest(), change)
    }

    /// Another membership is in effect: lead exactly those in it.
    pub(super) fn on_members_changed(&mut self) {
        let index = self.members.latest_index();
        let membership = self.members.latest().clone();
        if let State::Leader(leader) = &mut self.state {
            let last = self.log.last().index;
            leader.peers.retain(|id, _| membership.contains(id));
            for id in membership.others(&self.config.id) {
                leader.peers.entry(id).or_insert_with(|| Progress::new(last));
            }
        }
        self.effects.push_back(Effect::MembershipChanged { index, membership });
    }

    /// A leader whose own removal is committed has done its last duty (section 4.2.2). It spreads
    /// the news and names a successor, so that nobody has to wait out an election timeout.
    pub(super) fn maybe_retire(&mut self) {
        let committed = self.members.latest_index() <= self.commit;
        if !committed || self.members.latest().is_voter(&self.config.id) {
            return;
        }
        self.replicate();
        if let Some(successor) = self.best_successor() {
            self.send(successor, Body::TimeoutNow);
        }
        // Whoever asked for it is to hear that it is done: what comes of calls after leadership nobody says.
        self.apply();
        self.become_follower(self.hard.term, None);
    }

    /// The voter whose log is the furthest ahead, of those that answered of late.
    pub(super) fn best_successor(&self) -> Option<ServerId> {
        let State::Leader(leader) = &self.state else { return None };
        let voters = &self.members.latest().voters;
        let recent = |at| self.now < at + self.config.election_timeout;
        leader
            .peers
            .iter()
            .filter(|(id, peer)| voters.contains(*id) && peer.last_heard.is_some_and(recent))
            .max_by_key(|(_, peer)| peer.matched)
            .map(|(id, _)| id.clone())
    }
}

/// `membership` after `change`.
fn apply_change(membership: &Membership, change: Change) -> Result<Membership, ProposeError> {
    let mut m = membership.clone();
    match change {
        Change::AddVoter(id) | Change::AddLearner(id) if !valid_id(&id) => return Err(ProposeError::BadId),
        Change::AddVoter(id) => {
            m.learners.remove(&id);
            if !m.voters.insert(id) {
                return Err(ProposeError::AlreadyDone);
            }
        }
        Change::AddLearner(id) => {
            if m.contains(&id) {
                return Err(ProposeError::AlreadyDone);
            }
            m.learners.insert(id);
        }
        Change::Promote(id) => {
            if m.is_voter(&id) {
                return Err(ProposeError::AlreadyDone);
            }
            let id = m.learners.take(&id).ok_or(ProposeError::NoSuchServer)?;
            m.voters.insert(id);
        }
        Change::Demote(id) => {
            if m.learners.contains(&id) {
                return Err(ProposeError::AlreadyDone);
            }
            let id = m.voters.take(&id).ok_or(ProposeError::NoSuchServer)?;
            m.learners.insert(id);
        }
        Change::Remove(id) => {
            if !m.voters.remove(&id) && !m.learners.remove(&id) {
                return Err(ProposeError::NoSuchServer);
            }
        }
    }
    if m.voters.is_empty() {
        return Err(ProposeError::LastVoter);
    }
    if m.voters.len() + m.learners.len() > MAX_SERVERS {
        return Err(ProposeError::TooManyServers);
    }
    Ok(m)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(voters: &[&str], learners: &[&str]) -> Membership {
        let set = |ids: &[&str]| ids.iter().map(|id| ServerId::from(*id)).collect();
        Membership { voters: set(voters), learners: set(learners), cluster: 7 }
    }

    #[test]
    fn a_truncated_membership_gives_way_to_the_one_before() {
        let mut m = Memberships::new(Index(3), of(&["a"], &[]));
        m.push(Index(5), of(&["a", "b"], &[]));
        m.push(Index(9), of(&["b"], &[]));
        assert_eq!(m.at(Index(8)), &of(&["a", "b"], &[]));
        assert!(!m.truncate_from(Index(10)));
        assert!(m.truncate_from(Index(6)));
        assert_eq!((m.latest_index(), m.latest()), (Index(5), &of(&["a", "b"], &[])));
        m.compact_to(Index(7));
        assert_eq!(m.history.len(), 1);
        assert_eq!(m.latest_index(), Index(5));
    }

    #[test]
    fn each_change_does_one_thing_or_says_why_not() {
        let m = of(&["a", "b"], &["l"]);
        let id = |s: &str| ServerId::from(s);
        let ok = [
            (Change::AddVoter(id("c")), of(&["a", "b", "c"], &["l"])),
            (Change::AddVoter(id("l")), of(&["a", "b", "l"], &[])),
            (Change::AddLearner(id("c")), of(&["a", "b"], &["c", "l"])),
            (Change::Promote(id("l")), of(&["a", "b", "l"], &[])),
            (Change::Demote(id("b")), of(&["a"], &["b", "l"])),
            (Change::Remove(id("b")), of(&["a"], &["l"])),
            (Change::Remove(id("l")), of(&["a", "b"], &[])),
        ];
        for (change, expected) in ok {
            assert_eq!(apply_change(&m, change), Ok(expected));
        }
        let refused = [
            (Change::AddVoter(id("a")), ProposeError::AlreadyDone),
            (Change::AddVoter(id("")), ProposeError::BadId),
            (Change::AddLearner(id("a")), ProposeError::AlreadyDone),
            (Change::Promote(id("a")), ProposeError::AlreadyDone),
            (Change::Promote(id("x")), ProposeError::NoSuchServer),
            (Change::Demote(id("l")), ProposeError::AlreadyDone),
            (Change::Demote(id("x")), ProposeError::NoSuchServer),
            (Change::Remove(id("x")), ProposeError::NoSuchServer),
        ];
        for (change, error) in refused {
            assert_eq!(apply_change(&m, change), Err(error));
        }
        assert_eq!(apply_change(&of(&["a"], &["l"]), Change::Remove(id("a"))), Err(ProposeError::LastVoter));
    }
}
