//! Forgetting those that are gone for long, and trying to reach those that failed.

use super::super::exchange::Purpose;
use super::super::{Effect, Gossip};
use super::member::{Known, MemberChange, Status};
use crate::Str;
use crate::duration;
use crate::time::Duration;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The tag by which a member says how long it may be failed before it is forgotten.
const RECONNECT_TAG: &str = "rc_tm";

/// A leave is over long before: the word is spread for 5 s, and 5 s more go by until the member is gone.
const LEAVING_FOR: Duration = Duration::from_secs(60);

impl Gossip {
    /// How long this member may be gone.
    fn patience(&self, known: &Known) -> Duration {
        let timeout = match known.member.status {
            Status::Failed => self.config.reconnect_timeout,
            _ => self.config.tombstone_timeout,
        };
        let own = known.member.tags.get(RECONNECT_TAG).and_then(|text| duration::parse(text).ok());
        own.and_then(|nanos| u64::try_from(nanos).ok())
            .filter(|nanos| *nanos > 0)
            .map_or(timeout, Duration::from_nanos)
    }

    pub(in super::super) fn reap(&mut self) {
        let gone = |known: &Known| {
            matches!(known.member.status, Status::Failed | Status::Left)
                && self.now.since(known.since) > self.patience(known)
        };
        let names: Vec<Str> =
            self.serf.members.iter().filter(|(_, known)| gone(known)).map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.erase(name));
        self.take_back();
        let (now, timeout) = (self.now, self.config.recent_intent_timeout);
        self.serf.intents.forget_old(now, timeout);
    }

    /// Who meant to leave and is still there does not leave: somebody forced it out when it was failed, it came back,
    /// and nothing newer than that intent was ever said. (serf shows such a member as leaving for good.)
    fn take_back(&mut self) {
        for (name, known) in &mut self.serf.members {
            let long = self.now.since(known.since) > LEAVING_FOR;
            if known.member.status == Status::Leaving && long && *name != self.config.name {
                known.member.status = Status::Alive;
                let member = known.member.clone();
                self.effects.push(Effect::Member { change: MemberChange::Update, member });
            }
        }
    }

    /// Tries one failed member: the likelier, the more of them there are.
    pub(in super::super) fn reconnect(&mut self) {
        let members = || self.serf.members.values().map(|known| &known.member);
        let failed: Vec<SocketAddr> =
            members().filter(|member| member.status == Status::Failed).map(|member| member.addr).collect();
        let living =
            members().filter(|member| matches!(member.status, Status::Alive | Status::Leaving)).count();
        if failed.is_empty() || !self.rng.spread.ratio(failed.len() as u64, living.max(1) as u64) {
            return;
        }
        let with = failed[self.rng.spread.below(failed.len() as u64) as usize];
        // A ping of it may have begun the same.
        if !self.is_exchanging_with(with) {
            self.exchange(with, Purpose::Reconnect);
        }
    }
}
