//! Who means to join, who means to leave.
//!
//! The newest intent of a member decides, by its Lamport time. One about a member that is not known yet
//! is kept for a while, for the member may come later than the word about it.

use super::super::leave::Leaving;
use super::super::names::NameMap;
use super::super::queue::RumourId;
use super::super::wire::{COMPOUND_PART, MAX_NAME};
use super::super::{Effect, Gossip};
use super::clock::Lamport;
use super::member::{MemberChange, Status};
use super::message::{self, Join, Leave};
use crate::Str;
use crate::time::{Duration, Instant};
use bytes::Bytes;

/// Intents kept for members that are not known yet.
const MAX_INTENTS: usize = 65_536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Join,
    Leave,
}

#[derive(Debug)]
struct Intent {
    kind: Kind,
    ltime: u64,
    heard: Instant,
}

/// The newest intent of each member that is not known yet.
#[derive(Debug, Default)]
pub(super) struct Intents {
    newest: NameMap<Intent>,
}

impl Intents {
    /// Keeps an intent; says whether it is news.
    fn keep(&mut self, node: &Str, kind: Kind, ltime: u64, now: Instant) -> bool {
        // No member will ever have such a name.
        if node.is_empty() || node.len() > MAX_NAME {
            return false;
        }
        let full = self.newest.len() >= MAX_INTENTS;
        match self.newest.get_mut(node) {
            Some(known) if ltime <= known.ltime => false,
            Some(known) => {
                *known = Intent { kind, ltime, heard: now };
                true
            }
            None if full => false,
            None => {
                self.newest.insert(node.clone(), Intent { kind, ltime, heard: now });
                true
            }
        }
    }

    /// The Lamport time of a member's newest intent, and whether it is to leave.
    pub(super) fn of(&self, node: &str) -> Option<(u64, bool)> {
        self.newest.get(node).map(|intent| (intent.ltime, intent.kind == Kind::Leave))
    }

    pub(super) fn forget_old(&mut self, now: Instant, timeout: Duration) {
        self.newest.retain(|_, intent| now.since(intent.heard) <= timeout);
    }
}

impl Gossip {
    /// Queues a message of serf's about members.
    fn queue_intent(&mut self, encoded: &[u8]) -> RumourId {
        self.eager_wanted = true;
        let id = self.serf.intent_queue.push(None, &message::wrap(encoded));
        let max = self.queue_depth();
        self.serf.intent_queue.prune(max);
        id
    }

    /// The rumours that a queue of serf's may hold.
    pub(super) fn queue_depth(&self) -> usize {
        self.config.min_queue_depth.max(2 * self.serf.members.len())
    }

    /// Whether a packet has room for a message of serf's: what can never be said is not kept.
    pub(super) fn can_spread(&self, encoded: &[u8]) -> bool {
        COMPOUND_PART + 1 + encoded.len() <= self.envelope.room(self.config.packet_bytes, 0)
    }

    /// Says that this member means to be there.
    pub(in super::super) fn broadcast_join(&mut self) {
        // One more than needed: serf takes whom a table calls left to have left one later than the table says.
        self.serf.clock.tick();
        let join = Join { ltime: self.serf.clock.time(), node: self.config.name.clone() };
        self.serf.clock.witness(join.ltime);
        self.on_join_intent(&join);
        self.queue_intent(&message::encode(message::JOIN, &join));
    }

    /// Says that this member means to leave; gives the rumour to wait for, if there is anybody to hear it.
    pub(in super::super) fn broadcast_leave(&mut self) -> Option<RumourId> {
        let name = self.config.name.clone();
        self.spread_leave(name, false)
    }

    /// Declares a failed member to have left.
    pub(in super::super) fn on_force_leave(&mut self, name: Str, prune: bool) {
        self.spread_leave(name, prune);
    }

    fn spread_leave(&mut self, node: Str, prune: bool) -> Option<RumourId> {
        let leave = Leave { ltime: self.serf.clock.time(), node, prune };
        self.serf.clock.tick();
        self.on_leave_intent(&leave);
        let own = &self.config.name;
        let heard =
            self.serf.members.iter().any(|(name, known)| name != own && known.member.status == Status::Alive);
        heard.then(|| self.queue_intent(&message::encode(message::LEAVE, &leave)))
    }

    /// Passes an intent on as it came.
    pub(super) fn pass_on_intent(&mut self, news: bool, encoded: &[u8]) {
        if news {
            self.queue_intent(encoded);
        }
    }

    /// A member means to be there. Says whether that is news.
    pub(super) fn on_join_intent(&mut self, join: &Join) -> bool {
        if !Lamport::believes(join.ltime) {
            return false;
        }
        self.serf.clock.witness(join.ltime);
        let Some(known) = self.serf.members.get_mut(&join.node) else {
            return self.serf.intents.keep(&join.node, Kind::Join, join.ltime, self.now);
        };
        if join.ltime <= known.status_ltime {
            return false;
        }
        known.status_ltime = join.ltime;
        if known.member.status == Status::Leaving {
            known.member.status = Status::Alive;
            let member = known.member.clone();
            // It is there, whoever wanted it gone: SWIM would never say so again.
            self.serf.prunes.remove(&join.node);
            self.effects.push(Effect::Member { change: MemberChange::Update, member });
        }
        true
    }

    /// A member means to leave, or is declared to have. Says whether that is news.
    pub(super) fn on_leave_intent(&mut self, leave: &Leave) -> bool {
        if !Lamport::believes(leave.ltime) {
            return false;
        }
        self.serf.clock.witness(leave.ltime);
        let Some(known) = self.serf.members.get_mut(&leave.node) else {
            return self.serf.intents.keep(&leave.node, Kind::Leave, leave.ltime, self.now);
        };
        let own = leave.node == self.config.name && self.leaving == Leaving::No;
        if own && leave.ltime >= known.status_ltime {
            // Somebody believes an old intent of ours, from before a restart. That we are there may be known to
            // others at the very time of the leave, when they forced us out and saw us come back.
            self.broadcast_join();
            return false;
        }
        if leave.ltime <= known.status_ltime {
            return false;
        }
        (known.status_ltime, known.leave_ltime) = (leave.ltime, leave.ltime);
        match known.member.status {
            Status::Alive => {
                known.member.status = Status::Leaving;
                known.since = self.now;
                let member = known.member.clone();
                self.effects.push(Effect::Member { change: MemberChange::Update, member });
            }
            Status::Failed => {
                known.member.status = Status::Left;
                let member = known.member.clone();
                self.effects.push(Effect::Member { change: MemberChange::Leave, member });
            }
            Status::Leaving | Status::Left => {}
            Status::None => return false,
        }
        if leave.prune {
            self.prune(&leave.node);
        }
        true
    }

    /// Erases a member, at once or when its leave had time to spread.
    fn prune(&mut self, name: &Str) {
        match self.serf.members.get(name).map(|known| known.member.status) {
            Some(Status::Leaving) => {
                let wait = self.config.broadcast_timeout + self.config.leave_propagate_delay;
                self.serf.prunes.insert(name.clone(), self.now + wait);
            }
            Some(_) => self.erase(name),
            None => {}
        }
    }

    /// Erases the members whose time to be pruned has come.
    pub(in super::super) fn check_prunes(&mut self) {
        while let Some((name, _)) = self.serf.prunes.iter().find(|(_, at)| **at <= self.now) {
            let name = name.clone();
            self.serf.prunes.remove(&name);
            self.erase(&name);
        }
    }

    /// A message of serf's that came in a packet or on a stream.
    pub(in super::super) fn on_user(&mut self, bytes: &Bytes) {
        let Some((&kind, body)) = bytes.split_first() else { return };
        let read = match kind {
            message::LEAVE => message::decode(body).map(|leave| {
                let news = self.on_leave_intent(&leave);
                self.pass_on_intent(news, bytes);
            }),
            message::JOIN => message::decode(body).map(|join| {
                let news = self.on_join_intent(&join);
                self.pass_on_intent(news, bytes);
            }),
            message::USER_EVENT => message::decode(body).map(|event| {
                if self.on_user_event(&event) {
                    self.queue_event(bytes);
                }
            }),
            message::QUERY => message::decode(body).map(|query| {
                if self.on_query(&query) {
                    self.queue_query(bytes);
                }
            }),
            message::QUERY_RESPONSE => message::decode(body).map(|answer| self.on_response(&answer)),
            message::RELAY => self.on_relay(body),
            other => Err(super::super::wire::WireError::Type(other)),
        };
        if let Err(error) = read {
            self.refuse("serf", &alloc::format!("Error decoding a serf message of type {kind}: {error}"));
        }
    }
}
