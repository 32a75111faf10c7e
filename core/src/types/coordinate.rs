//! A place in the space of round-trip times.

use crate::Str;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Dimensions of the space.
pub const DIMENSIONS: usize = 8;
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
    pub(crate) fn raw_distance(&self, other: &Coordinate) -> f64 {
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

/// Where a node of the catalog is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NodeCoordinate {
    /// The node.
    pub node: Str,
    /// The network segment, of Consul's Enterprise edition; else empty.
    pub segment: Str,
    /// The partition, of the same; else empty.
    pub partition: Str,
    /// Where.
    pub coord: Coordinate,
}
