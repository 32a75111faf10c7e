//! The whole of Lictor as a pure state machine.
//!
//! Nothing in this crate can name a clock, a socket, a file, a thread or ambient randomness: it is
//! `no_std`, forbids unsafe code, and takes time, randomness and every outside event as input. The
//! same inputs give the same outputs, byte for byte, so a simulator can replay any run.
//!
//! # The contract
//!
//! [`node::Node`] is driven by four calls: `boot` once, then `handle` each input that has come, then
//! `poll_output` until it returns `None`, then sleep until `poll_timeout`. A wake that comes too
//! early or too late is harmless. [`front::Front`] answers HTTP and [`dns`] answers questions from a published
//! [`view::View`], so that a read never queues behind raft.
//!
//! # Where things live
//!
//! Dependencies point downwards only; `tests/tests/direction.rs` checks it.
//!
//! | layer | modules |
//! |---|---|
//! | composition | [`node`] |
//! | answers | [`front`], [`dns`] |
//! | between them | [`view`], [`call`] |
//! | parts | [`agent`], [`server`] |
//! | machines | [`raft`], [`gossip`], [`rpc`], [`store`], [`subscribe`], [`watch`] |
//! | shapes | [`types`], [`archive`], [`command`], [`config`], [`filter`], [`wire`], [`json`], [`metrics`], [`plan`] |
//! | ground | [`time`], [`rng`], [`ids`], [`map`], [`duration`], [`event`] |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[macro_use]
mod invariant;
#[macro_use]
mod mutant;

pub mod b64;
pub mod duration;
pub mod event;
pub mod ids;
pub mod map;
pub mod rng;
pub mod time;

pub mod archive;
pub mod command;
pub mod config;
pub mod filter;
pub mod json;
pub mod metrics;
pub mod pattern;
pub mod plan;
mod strconv;
pub mod types;
pub mod wire;

pub mod dns;
pub mod gossip;
pub mod raft;
pub mod router;
pub mod rpc;
pub mod store;
pub mod subscribe;
pub mod user_event;
pub mod view;
pub mod watch;

pub mod agent;
pub mod cache;
pub mod call;
pub mod front;
pub mod server;

pub mod node;

#[cfg(feature = "mutants")]
pub use mutant::Mutant;

/// A shared, immutable string: names, ids, tags. One pointer; cloning it is a reference count, and the
/// empty one and literals are not counted at all (`docs/decisions/0013-thin-shared-strings.md`).
pub type Str = arcstr::ArcStr;

/// A literal as a [`Str`] that allocates nothing.
macro_rules! word {
    ($text:expr) => {
        arcstr::literal!($text)
    };
}
pub(crate) use word;

/// The version of Consul whose behaviour this is, shown where clients read a version.
pub const COMPATIBLE_VERSION: &str = "1.21.5";
