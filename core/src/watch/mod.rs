//! What changed, and who waits for it.
//!
//! A read records [`WatchKey`]s; a batch of applied commands yields one [`ChangeSet`]; a waiter is
//! woken when the two meet. No lost wake-up is the rule: a change that could alter an answer always
//! meets the keys which that answer recorded.

mod change;
mod parked;

pub use change::{ChangeSet, WatchKey};
pub use parked::Parked;
