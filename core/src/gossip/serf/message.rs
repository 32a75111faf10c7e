//! Serf's messages: one type byte, then one msgpack map with serf's field names.

use super::super::wire::WireError;
use crate::Str;
use crate::wire::{msgpack, raw};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Memberlist's type byte for everything of serf's.
pub(super) const USER: u8 = 8;

pub(super) const LEAVE: u8 = 0;
pub(super) const JOIN: u8 = 1;
pub(super) const PUSH_PULL: u8 = 2;
pub(super) const USER_EVENT: u8 = 3;
pub(super) const QUERY: u8 = 4;
pub(super) const QUERY_RESPONSE: u8 = 5;
pub(super) const CONFLICT_RESPONSE: u8 = 6;
pub(super) const KEY_REQUEST: u8 = 7;
pub(super) const KEY_RESPONSE: u8 = 8;
pub(super) const RELAY: u8 = 9;

/// A query whose receipt is to be acknowledged; a response that only does that.
pub(super) const FLAG_ACK: u32 = 1;
/// A query that is not passed on.
pub(super) const FLAG_NO_BROADCAST: u32 = 2;

/// A member means to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Join {
    #[serde(rename = "LTime")]
    pub(super) ltime: u64,
    #[serde(rename = "Node")]
    pub(super) node: Str,
}

/// A member means to leave, or is declared to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Leave {
    #[serde(rename = "LTime")]
    pub(super) ltime: u64,
    #[serde(rename = "Node")]
    pub(super) node: Str,
    #[serde(rename = "Prune")]
    pub(super) prune: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct UserEvent {
    #[serde(rename = "CC")]
    pub(super) coalesce: bool,
    #[serde(rename = "LTime")]
    pub(super) ltime: u64,
    #[serde(rename = "Name")]
    pub(super) name: Str,
    #[serde(rename = "Payload", with = "raw")]
    pub(super) payload: Bytes,
}

/// Bytes as one item of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Raw(#[serde(with = "raw")] pub(super) Bytes);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Query {
    #[serde(with = "raw")]
    pub(super) addr: Bytes,
    pub(super) filters: Vec<Raw>,
    pub(super) flags: u32,
    #[serde(rename = "ID")]
    pub(super) id: u32,
    #[serde(rename = "LTime")]
    pub(super) ltime: u64,
    pub(super) name: Str,
    #[serde(with = "raw")]
    pub(super) payload: Bytes,
    pub(super) port: u16,
    pub(super) relay_factor: u8,
    pub(super) source_node: Str,
    /// Nanoseconds.
    pub(super) timeout: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct QueryResponse {
    pub(super) flags: u32,
    pub(super) from: Str,
    #[serde(rename = "ID")]
    pub(super) id: u32,
    #[serde(rename = "LTime")]
    pub(super) ltime: u64,
    #[serde(with = "raw")]
    pub(super) payload: Bytes,
}

/// A name and content of an event, in the exchange of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct PastEvent {
    pub(super) name: Str,
    #[serde(with = "raw")]
    pub(super) payload: Bytes,
}

/// The events of one Lamport time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PastEvents {
    #[serde(rename = "Events")]
    pub(super) events: Vec<PastEvent>,
    #[serde(rename = "LTime")]
    pub(super) ltime: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PushPull {
    #[serde(rename = "EventLTime")]
    pub(super) event_ltime: u64,
    #[serde(rename = "Events")]
    pub(super) events: Vec<Option<PastEvents>>,
    #[serde(rename = "LTime")]
    pub(super) ltime: u64,
    #[serde(rename = "LeftMembers")]
    pub(super) left_members: Vec<Str>,
    #[serde(rename = "QueryLTime")]
    pub(super) query_ltime: u64,
    #[serde(rename = "StatusLTimes")]
    pub(super) status_ltimes: BTreeMap<Str, u64>,
}

/// Where a relayed message is to go. The message follows the map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct RelayHeader {
    pub(super) dest_addr: RelayAddr,
    pub(super) dest_name: Str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct RelayAddr {
    #[serde(rename = "IP", with = "raw")]
    pub(super) ip: Bytes,
    pub(super) port: u16,
    pub(super) zone: Str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct KeyRequest {
    #[serde(with = "raw")]
    pub(super) key: Bytes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct KeyResponse {
    /// In base64.
    pub(super) keys: Vec<String>,
    pub(super) message: String,
    pub(super) primary_key: String,
    pub(super) result: bool,
}

/// What a member says about a name that two claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ConflictResponse {
    #[serde(with = "raw")]
    pub(super) addr: Bytes,
    pub(super) delegate_cur: u8,
    pub(super) delegate_max: u8,
    pub(super) delegate_min: u8,
    pub(super) name: Str,
    pub(super) port: u16,
    pub(super) protocol_cur: u8,
    pub(super) protocol_max: u8,
    pub(super) protocol_min: u8,
    pub(super) status: u8,
    pub(super) tags: BTreeMap<Str, Str>,
}

/// The type byte and the body.
pub(super) fn encode<T: Serialize>(kind: u8, body: &T) -> Vec<u8> {
    let mut out = alloc::vec![kind];
    msgpack::append(&mut out, body);
    out
}

/// The same, as memberlist carries it.
pub(super) fn wrap(message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(1 + message.len());
    out.push(USER);
    out.extend_from_slice(message);
    Bytes::from(out)
}

/// Reads a body; bytes after it are let pass.
pub(super) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, WireError> {
    Ok(msgpack::from_slice_prefix(body)?.0)
}
