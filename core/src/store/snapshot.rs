//! The store as bytes, and back.
//!
//! The form is that of the `state.bin` inside a Consul snapshot archive: a header, then
//! records, each a type byte and one msgpack value, in Consul's order. Records of kinds that have no table
//! here are kept as they are and written back.

mod read;
#[cfg(test)]
mod tests;
mod write;

use super::restore::Unfinished;
use alloc::string::String;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Record types that have a table here.
const REGISTER: u8 = 0;
const KVS: u8 = 2;
const SESSION: u8 = 3;
const TOMBSTONE: u8 = 5;
const COORDINATES: u8 = 6;
const PREPARED_QUERY: u8 = 7;
const AUTOPILOT: u8 = 9;
const INDEX: u8 = 16;
/// Of ours, in snapshots between servers and never in archives: what restoring archives has left behind.
const RESTORES: u8 = 127;

/// Records that real servers expect to find, if only to say that there is nothing.
const CHUNKING: u8 = 29;
const METADATA: u8 = 31;

/// The order in which Consul writes record types; those not listed come before the last.
const ORDER: [u8; 29] = [
    32, 33, 0, 6, 3, 17, 19, 23, 25, 27, 2, 5, 7, 9, 12, 13, 14, 15, 22, 30, 31, 16, 35, 38, 40, 42, 43, 44,
    29,
];

/// Where a record type stands in a snapshot.
fn rank(kind: u8) -> usize {
    ORDER.iter().position(|k| *k == kind).map_or(2 * ORDER.len() - 3, |at| 2 * at)
}

/// A record kept as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Carried {
    kind: u8,
    /// Its msgpack value.
    value: Bytes,
}

/// What a snapshot begins with.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Header {
    last_index: u64,
}

/// One entry of the index table.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexRecord<'a> {
    #[serde(borrow)]
    key: alloc::borrow::Cow<'a, str>,
    value: u64,
}

/// What restoring archives has left behind.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Restores {
    /// How far the store's index is ahead of the log's.
    ahead: u64,
    /// The one that has come in part.
    unfinished: Option<alloc::sync::Arc<Unfinished>>,
}

/// An entry of Consul's own about its data.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    key: &'static str,
    value: &'static str,
    create_index: u64,
    modify_index: u64,
}

/// What Consul's servers have received of large writes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Chunking {
    chunk_map: alloc::collections::BTreeMap<u64, ()>,
}

/// Why bytes are not a snapshot of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// The header is missing or is not one.
    Header,
    /// The record that begins at this offset cannot be read.
    Record {
        /// Offset in bytes.
        at: usize,
        /// Why.
        why: String,
    },
    /// A service or check belongs to nothing that the snapshot holds.
    Dangling(String),
}

impl core::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SnapshotError::Header => f.write_str("not a snapshot: the header cannot be read"),
            SnapshotError::Record { at, why } => write!(f, "snapshot record at byte {at}: {why}"),
            SnapshotError::Dangling(what) => write!(f, "snapshot: {what}"),
        }
    }
}

impl core::error::Error for SnapshotError {}
