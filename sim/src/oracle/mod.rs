//! Judges of a run: each takes what clients asked and were answered, and says what cannot be.
//!
//! The engine records one [`Operation`] per request, and the committed log as servers applied it; together
//! with the restarts they make a [`Run`]. The judges know nothing of the engine, of raft or of the store
//! under test.
//!
//! | judge | believes | finds |
//! |---|---|---|
//! | [`indexed`] | the log's order | wrong replies, lost or doubled writes, stale and impossible reads |
//! | `sessions` | the log's order | sessions that nobody asked for, that end too early, or are not found |
//! | [`linear`] | nothing but answers and times | histories that no order of single steps explains |
//! | [`watch`] | the log's order | lost wake-ups, empty wake-ups, indexes that go back |

pub mod history;
pub mod indexed;
pub mod linear;
mod model;
mod sessions;
#[cfg(test)]
mod tests;
mod violation;
pub mod watch;

pub use history::{Call, Committed, Entry, Found, Instance, Mode, Operation, Outcome, Progress, Target};
pub use history::{
    Deregistration, Finally, NewSession, ReadAnswer, Registration, Restart, Run, Saved, TxnAnswer, TxnStep,
    Verb, Wait, Write,
};
pub use violation::Violation;
