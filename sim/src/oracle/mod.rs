//! Judges of a run: each takes what clients asked and were answered, and says what cannot be.
//!
//! The engine records one [`Operation`] per request into a history, and the committed log of any server.
//! The judges know nothing of the engine, of raft or of the store under test.

pub mod history;

pub use history::{Call, Committed, Entry, Found, Instance, Mode, Operation, Outcome, Target, Wait};
pub use history::{Deregistration, ReadAnswer, Registration, TxnAnswer, TxnStep, Verb, Write};
