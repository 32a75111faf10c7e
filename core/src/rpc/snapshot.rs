//! Snapshots between agents and servers: a connection of its own, which begins with [`super::FirstByte::Snapshot`], then
//! a request and, for a restore, the archive behind it until the side that asks closes its half; then a response and,
//! for a save, the archive behind that until the other half closes.

use super::answer::QueryMeta;
use crate::Str;
use crate::wire::msgpack;
use alloc::string::String;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What routers and drivers call it. It is no method of Consul's: the request names what is to be done.
pub const METHOD: &str = "Snapshot";
/// The largest request without its archive.
pub const MAX_REQUEST: usize = 8 << 10;

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum Op {
    /// Save.
    #[default]
    Save,
    /// Restore.
    Restore,
}

impl From<Op> for i64 {
    fn from(op: Op) -> i64 {
        match op {
            Op::Save => 0,
            Op::Restore => 1,
        }
    }
}

impl TryFrom<i64> for Op {
    type Error = String;

    fn try_from(op: i64) -> Result<Op, String> {
        match op {
            0 => Ok(Op::Save),
            1 => Ok(Op::Restore),
            // Go prints the number as a character that it has no name for.
            other => Err(alloc::format!("unrecognized snapshot op {other}")),
        }
    }
}

/// What the side that asks says first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct SnapshotRequest {
    pub allow_stale: bool,
    pub datacenter: Str,
    pub op: Op,
    pub token: Str,
}

impl SnapshotRequest {
    /// The request with an archive behind it.
    pub fn with(&self, archive: &[u8]) -> Bytes {
        let mut out = msgpack::to_vec(self);
        out.extend_from_slice(archive);
        out.into()
    }
}

/// What the other side says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct SnapshotResponse {
    /// Why not; empty if it was done.
    pub error: String,
    // How a save came about, as in [`QueryMeta`].
    pub index: u64,
    pub last_contact: i64,
    pub known_leader: bool,
}

impl SnapshotResponse {
    /// How a save came about.
    pub fn meta(&self) -> QueryMeta {
        let SnapshotResponse { index, last_contact, known_leader, .. } = *self;
        QueryMeta { index, last_contact, known_leader }
    }

    /// The response with an archive behind it.
    pub fn with(&self, archive: &[u8]) -> Bytes {
        let mut out = msgpack::to_vec(self);
        out.extend_from_slice(archive);
        out.into()
    }
}

/// A request, and the archive behind it.
pub fn split_request(bytes: &Bytes) -> Result<(SnapshotRequest, Bytes), msgpack::Error> {
    split(bytes)
}

/// A response, and the archive behind it.
pub fn split_response(bytes: &Bytes) -> Result<(SnapshotResponse, Bytes), msgpack::Error> {
    split(bytes)
}

fn split<'a, T: Deserialize<'a>>(bytes: &'a Bytes) -> Result<(T, Bytes), msgpack::Error> {
    let (head, rest) = msgpack::from_slice_prefix(bytes)?;
    Ok((head, bytes.slice_ref(rest)))
}
