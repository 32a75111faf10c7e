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
        for (name, known) in self.serf.members.iter_mut() {
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

#[cfg(test)]
mod tests {
    use super::super::super::wire::{Alive, Dead, Message, ip_bytes};
    use super::super::super::{Config, Input, VSN};
    use super::*;
    use crate::rng::{Rng, Seed};
    use crate::time::Instant;
    use bytes::Bytes;

    #[test]
    fn a_failed_member_is_tried_again_at_every_interval() {
        let at = |ms: u64| Instant::ZERO + Duration::from_millis(1_000_000 + ms);
        let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 8301));
        let config = Config::lan("me".into(), addr(1));
        let interval = config.reconnect_interval.as_millis() as u64;
        let mut me =
            Gossip::boot(config, &Rng::new(Seed::from_u64(1)), at(0), &mut Vec::new()).expect("sound");
        let mut hear = |ms: u64, input: Input| {
            let mut effects = Vec::new();
            me.step(at(ms), input, &mut effects);
            effects
        };
        let alive = Alive {
            addr: ip_bytes(addr(2).ip()),
            incarnation: 5,
            meta: Bytes::new(),
            node: "other".into(),
            port: 8301,
            vsn: Bytes::copy_from_slice(&VSN),
        };
        let dead = Dead { from: "third".into(), incarnation: 5, node: "other".into() };
        for message in [Message::Alive(alive), Message::Dead(dead)] {
            hear(10, Input::Packet { from: addr(9), bytes: Bytes::from(message.encode()) });
        }
        // As many are failed as live, itself: none of the tries is left to luck.
        let mut tries: Vec<(u64, SocketAddr)> = Vec::new();
        for ms in (1..=4 * interval).filter(|ms| ms % 100 == 0) {
            let opened = hear(ms, Input::Wake).into_iter().filter_map(|effect| match effect {
                Effect::Open { to, .. } => Some((ms, to)),
                _ => None,
            });
            tries.extend(opened);
        }
        assert_eq!(tries.len(), 4, "{tries:?}");
        assert!(tries.iter().all(|(_, to)| *to == addr(2)), "{tries:?}");
        assert!(tries.is_sorted_by(|(a, _), (b, _)| b - a == interval), "{tries:?}");
    }
}
