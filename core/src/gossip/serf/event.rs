//! User events: shouted once, told once at every member.
//!
//! Those of the last 512 Lamport times are remembered, to know what was told already and to bring
//! members that were away up to date when tables are exchanged.

use super::super::{Effect, Gossip};
use super::clock::Lamport;
use super::message::{self, PastEvent, PastEvents, UserEvent};
use crate::Str;
use crate::ids::CallId;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Lamport times that are remembered.
pub(super) const BUFFER: u64 = 512;
/// Events of one Lamport time that are remembered; a pool of honest members has a few.
const MAX_AT_ONCE: usize = 256;
/// The longest event of all, whatever is configured: serf's limit.
const MAX_EVENT: usize = 9 << 10;
/// Bytes of events that are remembered; beyond, the oldest are forgotten. Exchanges of tables carry all of them.
const MAX_BYTES: usize = 4 << 20;

/// The events of late.
#[derive(Debug, Default)]
pub(super) struct EventBuffer {
    by_time: BTreeMap<u64, Vec<PastEvent>>,
    /// Of all of them.
    bytes: usize,
    /// Events before this are not told: they happened before a join that does not want them.
    min: u64,
}

fn size(event: &PastEvent) -> usize {
    event.name.len() + event.payload.len()
}

impl EventBuffer {
    /// Remembers an event; says whether it was not told yet.
    fn remember(&mut self, event: &UserEvent, now: u64) -> bool {
        if event.ltime < self.min || event.ltime + BUFFER < now {
            return false;
        }
        let oldest = now.saturating_sub(BUFFER);
        while self.by_time.first_key_value().is_some_and(|(time, _)| *time < oldest) {
            self.forget_first();
        }
        let told = self.by_time.entry(event.ltime).or_default();
        let past = PastEvent { name: event.name.clone(), payload: event.payload.clone() };
        if told.len() == MAX_AT_ONCE || told.contains(&past) {
            return false;
        }
        self.bytes += size(&past);
        told.push(past);
        while self.bytes > MAX_BYTES {
            // What is forgotten must not be told again.
            self.min = self.forget_first() + 1;
        }
        true
    }

    /// Forgets the events of the oldest time, and says which that was.
    fn forget_first(&mut self) -> u64 {
        let Some((time, events)) = self.by_time.pop_first() else { return 0 };
        self.bytes -= events.iter().map(size).sum::<usize>();
        time
    }

    /// What was told, for members that were away.
    pub(super) fn to_wire(&self) -> Vec<Option<PastEvents>> {
        let events =
            |(&ltime, events): (&u64, &Vec<PastEvent>)| Some(PastEvents { events: events.clone(), ltime });
        self.by_time.iter().map(events).collect()
    }

    /// Leaves out what happened before `time`.
    pub(super) fn start_at(&mut self, time: u64) {
        self.min = self.min.max(time);
    }
}

impl Gossip {
    /// Queues an event to be spread.
    pub(super) fn queue_event(&mut self, encoded: &[u8]) {
        if !self.can_spread(encoded) {
            return;
        }
        self.eager_wanted = true;
        self.serf.event_queue.push(None, &message::wrap(encoded));
        let max = self.queue_depth();
        self.serf.event_queue.prune(max);
    }

    /// Shouts.
    pub(in super::super) fn shout(&mut self, call: CallId, name: Str, payload: Bytes, coalesce: bool) {
        let limit = self.config.user_event_bytes.min(MAX_EVENT);
        let refuse = |reason: String| Effect::UserEventRefused { call, reason };
        if name.len() + payload.len() > limit {
            let reason = format!("user event exceeds configured limit of {limit} bytes before encoding");
            return self.effects.push(refuse(reason));
        }
        let event = UserEvent { coalesce, ltime: self.serf.event_clock.time(), name, payload };
        let encoded = message::encode(message::USER_EVENT, &event);
        if encoded.len() > limit {
            let reason =
                format!("encoded user event exceeds configured limit of {limit} bytes after encoding");
            return self.effects.push(refuse(reason));
        }
        self.serf.event_clock.tick();
        self.on_user_event(&event);
        self.queue_event(&encoded);
    }

    /// An event was heard. Says whether for the first time.
    pub(super) fn on_user_event(&mut self, event: &UserEvent) -> bool {
        if !Lamport::believes(event.ltime) {
            return false;
        }
        if event.name.len() + event.payload.len() > MAX_EVENT {
            self.refuse("event", "a user event is longer than any may be");
            return false;
        }
        self.serf.event_clock.witness(event.ltime);
        let now = self.serf.event_clock.time();
        if !self.serf.events.remember(event, now) {
            return false;
        }
        let UserEvent { coalesce, ltime, name, payload } = event.clone();
        self.effects.push(Effect::UserEvent { ltime, name, payload, coalesce });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ltime: u64, name: &str) -> UserEvent {
        UserEvent { coalesce: false, ltime, name: name.into(), payload: Bytes::new() }
    }

    #[test]
    fn an_event_is_told_once_and_an_old_one_never() {
        let mut buffer = EventBuffer::default();
        assert!(buffer.remember(&event(5, "a"), 6));
        assert!(!buffer.remember(&event(5, "a"), 6));
        assert!(buffer.remember(&event(5, "b"), 6));
        assert!(buffer.remember(&event(600, "c"), 601));
        assert!(!buffer.remember(&event(88, "d"), 601), "older than the buffer");
        assert!(buffer.remember(&event(89, "d"), 601));
        assert_eq!(buffer.to_wire().len(), 2, "the oldest were forgotten");
        buffer.start_at(700);
        assert!(!buffer.remember(&event(699, "e"), 701));
    }

    #[test]
    fn a_flood_at_one_time_is_bounded() {
        let mut buffer = EventBuffer::default();
        let told = (0..1000).filter(|i| buffer.remember(&event(5, &format!("e{i}")), 6)).count();
        assert_eq!(told, MAX_AT_ONCE);
    }
}
