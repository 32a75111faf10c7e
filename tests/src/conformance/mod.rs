//! Scripted scenarios and what a real Consul answered to them.
//!
//! A scenario ([`script`]) runs against a [`subject`]; what comes out is made comparable ([`normal`]) and
//! held against the recording, step by step. The subject is the built `lictor`, or whatever program
//! `SUBJECT_BIN` names; `RECORD=1` rewrites the recordings from its answers.

pub mod compat;
pub mod dns_text;
pub mod normal;
pub mod run;
pub mod script;
pub mod subject;
pub mod synced;
pub mod upstream;

use std::path::PathBuf;

/// Where scenarios, recordings and lists lie.
pub fn home() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance"))
}
