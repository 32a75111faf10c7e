//! How a place in the space of round-trip times travels: in the payload of acks.

use super::super::{Effect, Gossip};
use crate::Str;
use crate::time::Duration;
use crate::types::Coordinate;
use crate::wire::msgpack;
use alloc::format;
use bytes::Bytes;

/// The version byte before a coordinate in an ack.
const VERSION: u8 = 1;

impl Gossip {
    /// What an ack says beside "I am here": where that is.
    pub(in super::super) fn ack_payload(&self) -> Bytes {
        let mut out = alloc::vec![VERSION];
        msgpack::append(&mut out, self.serf.vivaldi.own());
        Bytes::from(out)
    }

    /// A direct ack came after `rtt`.
    pub(in super::super) fn on_round_trip(&mut self, name: &Str, rtt: Duration, payload: &[u8]) {
        let Some((&version, body)) = payload.split_first() else { return };
        if version != VERSION {
            return self.refuse("coordinate", &format!("Unsupported ping version: {version}"));
        }
        let other: Coordinate = match msgpack::from_slice_prefix(body) {
            Ok((other, _)) => other,
            Err(error) => {
                let text = format!("Failed to decode coordinate from ping: {error}");
                return self.refuse("coordinate", &text);
            }
        };
        if let Err(why) = self.serf.vivaldi.update(name, &other, rtt, &mut self.rng.coordinate) {
            return self.refuse("coordinate", &format!("Rejected coordinate from {name}: {why}"));
        }
        let own = self.serf.vivaldi.own().clone();
        self.serf.coordinates.insert(name.clone(), other);
        self.effects.push(Effect::Coordinate { own });
    }
}
