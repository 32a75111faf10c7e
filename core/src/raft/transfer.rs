//! Handing leadership over (section 3.10): stop taking proposals, bring the target up to date, tell it
//! to campaign at once. Abandoned after an election timeout.

use super::effect::{Effect, TransferError};
use super::message::Body;
use super::{Raft, State};
use crate::ids::{CallId, ServerId};
use crate::time::Instant;

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) call: CallId,
    to: ServerId,
    pub(super) ends: Instant,
}

impl Raft {
    pub(super) fn on_transfer(&mut self, call: CallId, to: Option<ServerId>) {
        match self.begin_handover(call, to) {
            Ok(to) => self.advance_handover(&to),
            Err(error) => self.effects.push_back(Effect::TransferEnded { call, result: Err(error) }),
        }
    }

    fn begin_handover(&mut self, call: CallId, to: Option<ServerId>) -> Result<ServerId, TransferError> {
        let target = to.or_else(|| self.best_successor());
        let is_voter = |id: &ServerId| *id != self.config.id && self.members.latest().is_voter(id);
        let target = target.filter(is_voter);
        let State::Leader(leader) = &mut self.state else {
            return Err(TransferError::NotLeader { leader: self.leader.clone() });
        };
        if leader.handover.is_some() {
            return Err(TransferError::InProgress);
        }
        let to = target.ok_or(TransferError::NoTarget)?;
        leader.handover =
            Some(Handover { call, to: to.clone(), ends: self.now + self.config.election_timeout });
        Ok(to)
    }

    /// Tells the target to campaign once it has everything; again at each of its answers (`heard`),
    /// in case the order was lost. From then on it may win at any time, in spite of the lease.
    pub(super) fn advance_handover(&mut self, heard: &ServerId) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(handover) = leader.handover.as_ref().filter(|h| h.to == *heard) else { return };
        let Some(target) = leader.peers.get(&handover.to) else { return };
        if target.matched == self.log.last().index {
            leader.lease_given_up = true;
            let to = handover.to.clone();
            self.send(to, Body::TimeoutNow);
        }
    }
}
