//! A place in the space of round-trip times, and how it travels: in the payload of acks.

use super::super::{Effect, Gossip};
use crate::Str;
use crate::time::Duration;
use crate::wire::msgpack;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Dimensions of the space.
pub const DIMENSIONS: usize = 8;
/// The version byte before a coordinate in an ack.
const VERSION: u8 = 1;

/// A place. Units are seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Coordinate {
    /// What the model lacks, learnt over time.
    pub adjustment: f64,
    /// How little it is to be trusted: 1.5 at first, towards 0 as it settles.
    pub error: f64,
    /// The way to the network itself, which no direction shortens.
    pub height: f64,
    /// The place in Euclidean space.
    pub vec: Vec<f64>,
}

impl Default for Coordinate {
    /// The origin, not to be trusted.
    fn default() -> Coordinate {
        Coordinate { adjustment: 0.0, error: 1.5, height: 1e-5, vec: alloc::vec![0.0; DIMENSIONS] }
    }
}

impl Coordinate {
    /// Whether it has the right dimensions and only finite numbers.
    pub fn is_valid(&self) -> bool {
        let numbers = [self.adjustment, self.error, self.height];
        self.vec.len() == DIMENSIONS && self.vec.iter().chain(&numbers).all(|number| number.is_finite())
    }

    /// The round-trip time to expect, in seconds, without adjustments.
    pub(super) fn raw_distance(&self, other: &Coordinate) -> f64 {
        let square: f64 = self.vec.iter().zip(&other.vec).map(|(a, b)| (a - b) * (a - b)).sum();
        libm::sqrt(square) + self.height + other.height
    }

    /// The round-trip time to expect, in seconds.
    pub fn distance(&self, other: &Coordinate) -> f64 {
        let raw = self.raw_distance(other);
        let adjusted = raw + self.adjustment + other.adjustment;
        if adjusted > 0.0 { adjusted } else { raw }
    }
}

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
