//! Gossip alone: many members on one event heap, without the nodes around them.
//!
//! Small enough for a thousand members. Every hop is encoded bytes; packets are lost, late and reordered;
//! groups are cut off from each other; members crash and come back. The same seed gives the same run.

mod bounds;
mod measure;
mod net;
mod world;

pub use bounds::Bounds;
pub use measure::{Spread, measure_spread};
pub use net::Net;
pub use world::{Happened, World};
