//! What serf adds to SWIM: who left by will, events, questions, keys, distances.
//!
//! SWIM says who is reachable. Serf's messages ride in its packets as opaque bytes, each ordered by one
//! of three Lamport clocks, so that an old message never undoes a newer one.
//!
//! | file | decides |
//! |---|---|
//! | `member`, `tags` | what a member is, and how tags are written |
//! | `clock`, `message`, `filter` | the shapes of messages and their order |
//! | `intent` | who means to join or leave; force-leave |
//! | `membership` | what SWIM's news make of a member |
//! | `event` | user events, each told once |
//! | `query`, `asked` | questions: those that come in, those that we ask |
//! | `keys` | the keyring of the whole pool |
//! | `conflict` | two members of one name |
//! | `coordinate`, `vivaldi` | where members are in the space of round-trip times |
//! | `state` | what is exchanged with whole tables |
//! | `reap` | forgetting the gone, and trying to reach the failed |

mod asked;
mod clock;
mod conflict;
mod coordinate;
mod event;
mod filter;
mod intent;
mod keys;
mod member;
mod membership;
mod message;
mod query;
mod reap;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod vivaldi;

pub use crate::types::{Coordinate, DIMENSIONS};
pub use keys::{KeyCommand, KeyReport};
pub use member::{Member, MemberChange, Status};
pub use query::QueryOptions;
pub use tags::{TagsTooLong, decode_tags, encode_tags};

use super::names::NameMap;
use super::queue::Queue;
use crate::Str;
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use asked::Asked;
use bytes::Bytes;
use clock::Lamport;
use event::EventBuffer;
use intent::Intents;
use member::Known;
use query::{Incoming, Seen};
use vivaldi::Vivaldi;

/// Serf's part of the machine.
#[derive(Debug)]
pub(super) struct Serf {
    /// Boxed, for the nodes of the map are half empty.
    pub(super) members: NameMap<Box<Known>>,
    pub(super) intent_queue: Queue,
    pub(super) event_queue: Queue,
    pub(super) query_queue: Queue,
    pub(super) clock: Lamport,
    pub(super) event_clock: Lamport,
    pub(super) query_clock: Lamport,
    intents: Intents,
    events: EventBuffer,
    seen_queries: Seen,
    /// Questions that may still be answered, by their number here.
    incoming: BTreeMap<u64, Incoming>,
    last_incoming: u64,
    /// Answers that wait until the keys they speak of are kept, oldest first.
    unkept: VecDeque<(Incoming, Bytes)>,
    /// Questions of ours that run, by their Lamport time.
    asked: BTreeMap<u64, Asked>,
    /// When members may be asked next whom they know by our name.
    conflict_from: Instant,
    /// Members to be erased once their leave has spread.
    prunes: BTreeMap<Str, Instant>,
    pub(super) vivaldi: Vivaldi,
    /// Where other members said they are.
    pub(super) coordinates: BTreeMap<Str, Coordinate>,
    pub(super) reap_at: Instant,
    pub(super) reconnect_at: Instant,
}

impl Serf {
    pub(super) fn new(reap_at: Instant, reconnect_at: Instant) -> Serf {
        Serf {
            members: NameMap::default(),
            intent_queue: Queue::default(),
            event_queue: Queue::default(),
            query_queue: Queue::default(),
            clock: Lamport::default(),
            event_clock: Lamport::default(),
            query_clock: Lamport::default(),
            intents: Intents::default(),
            events: EventBuffer::default(),
            seen_queries: Seen::default(),
            incoming: BTreeMap::new(),
            last_incoming: 0,
            unkept: VecDeque::new(),
            asked: BTreeMap::new(),
            conflict_from: Instant::ZERO,
            prunes: BTreeMap::new(),
            vivaldi: Vivaldi::default(),
            coordinates: BTreeMap::new(),
            reap_at,
            reconnect_at,
        }
    }

    /// The earliest of serf's deadlines.
    pub(super) fn deadline(&self) -> Instant {
        let asked = self.asked.values().map(|asked| asked.until);
        asked.chain(self.prunes.values().copied()).chain([self.reap_at, self.reconnect_at]).min().unwrap_or(
            // Unreachable: there are two in the array.
            self.reap_at,
        )
    }
}
