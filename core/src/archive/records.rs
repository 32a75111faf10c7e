//! The records of a `state.bin`, without what they mean.

use crate::wire::msgpack;
use alloc::format;
use alloc::string::{String, ToString};
use serde::Deserialize;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// Its type byte.
    pub kind: u8,
    /// Its msgpack value.
    pub value: &'a [u8],
    /// Bytes that it takes, the type byte among them; the first has the header before it.
    pub size: usize,
}

/// What a state begins with.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "LastIndex")]
    _last_index: u64,
}

/// The records of a state, in order, up to the first that cannot be read.
pub fn records(state: &[u8]) -> impl Iterator<Item = Result<Record<'_>, String>> {
    let mut rest = Some(state);
    let mut first = true;
    core::iter::from_fn(move || {
        let before = rest.take()?;
        let mut begin = before;
        if core::mem::take(&mut first) {
            match msgpack::from_slice_prefix::<Header>(before) {
                Ok((_, after)) => begin = after,
                Err(error) => return Some(Err(error.to_string())),
            }
        }
        let (kind, body) = begin.split_first()?;
        Some(match msgpack::skip(body) {
            Ok(after) => {
                rest = Some(after);
                let value = &body[..body.len() - after.len()];
                Ok(Record { kind: *kind, value, size: before.len() - after.len() })
            }
            Err(error) => Err(format!("failed to decode msg type {}, error {error}", name(*kind))),
        })
    })
}

/// What Consul calls the records of a type.
pub fn name(kind: u8) -> String {
    match NAMES.get(usize::from(kind)) {
        Some(name) => (*name).into(),
        None => format!("Unknown({kind})"),
    }
}

/// By type byte.
const NAMES: [&str; 44] = [
    "Register",
    "Deregister",
    "KVS",
    "Session",
    "ACL",
    "Tombstone",
    "CoordinateBatchUpdate",
    "PreparedQuery",
    "Txn",
    "Autopilot",
    "Area",
    "ACLBootstrap",
    "Intention",
    "ConnectCA",
    "ConnectCAProviderState",
    "ConnectCAConfig",
    "Index",
    "ACLToken",
    "ACLTokenDelete",
    "ACLPolicy",
    "ACLPolicyDelete",
    "ConnectCALeaf",
    "ConfigEntry",
    "ACLRole",
    "ACLRoleDelete",
    "ACLBindingRule",
    "ACLBindingRuleDelete",
    "ACLAuthMethod",
    "ACLAuthMethodDelete",
    "ChunkingState",
    "FederationState",
    "SystemMetadata",
    "ServiceVirtualIP",
    "FreeVirtualIP",
    "KindServiceName",
    "Peering",
    "PeeringDelete",
    "Unknown(37)",
    "PeeringTrustBundle",
    "PeeringTrustBundleDelete",
    "PeeringSecret",
    "RaftLogVerifierCheckpoint",
    "Resource",
    "UpdateManualVirtualIPRequestType",
];
