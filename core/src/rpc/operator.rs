//! What operators ask for: `Operator` and the keyring.

use crate::Str;
use crate::time::WallTime;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// Seconds from Go's year 1 to 1970.
const GO_EPOCH: i64 = 62_135_596_800;
const NANOS: i64 = 1_000_000_000;
/// Go's zero time, as seconds since 1970.
const ZERO: WallTime = WallTime(i64::MIN);

/// A moment as Go writes it: a version, seconds since year 1, nanoseconds, and the zone, which is UTC here.
/// What is before or after the years that [`WallTime`] holds becomes its first or last moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoTime(pub WallTime);

impl Default for GoTime {
    fn default() -> GoTime {
        GoTime(ZERO)
    }
}

impl Serialize for GoTime {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [0; 15];
        bytes[0] = 1;
        if self.0 != ZERO {
            let seconds = self.0.0.div_euclid(NANOS) + GO_EPOCH;
            bytes[1..9].copy_from_slice(&seconds.to_be_bytes());
            bytes[9..13].copy_from_slice(&(self.0.0.rem_euclid(NANOS) as u32).to_be_bytes());
        }
        bytes[13..].copy_from_slice(&[0xff, 0xff]);
        s.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for GoTime {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<GoTime, D::Error> {
        struct Moment;

        impl Visitor<'_> for Moment {
            type Value = GoTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of 15 bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<GoTime, E> {
                if bytes.is_empty() {
                    return Ok(GoTime::default());
                }
                let (Some(seconds), Some(nanos)) = (
                    bytes.get(1..).and_then(<[u8]>::first_chunk),
                    bytes.get(9..).and_then(<[u8]>::first_chunk),
                ) else {
                    return Err(E::invalid_length(bytes.len(), &self));
                };
                let nanos = i64::from(u32::from_be_bytes(*nanos));
                Ok(GoTime(match i64::from_be_bytes(*seconds) {
                    0 => ZERO,
                    seconds => {
                        WallTime(seconds.saturating_sub(GO_EPOCH).saturating_mul(NANOS).saturating_add(nanos))
                    }
                }))
            }
        }

        d.deserialize_bytes(Moment)
    }
}

/// `Operator.ServerHealth`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Health {
    pub healthy: bool,
    pub failure_tolerance: i64,
    pub servers: Vec<ServerHealth>,
}

/// How one server does.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct ServerHealth {
    #[serde(rename = "ID")]
    pub id: Str,
    pub name: Str,
    pub address: Str,
    /// Serf's number for where the member stands.
    pub serf_status: i64,
    pub version: Str,
    pub leader: bool,
    /// In nanoseconds; negative: never.
    pub last_contact: i64,
    pub last_term: u64,
    pub last_index: u64,
    pub healthy: bool,
    pub voter: bool,
    pub stable_since: GoTime,
}

/// `Operator.AutopilotState`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct State {
    pub healthy: bool,
    pub failure_tolerance: i64,
    pub servers: BTreeMap<Str, ServerState>,
    pub leader: Str,
    pub voters: Vec<Str>,
    /// Of the Enterprise edition.
    pub ext: Option<()>,
}

/// One server of it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct ServerState {
    pub server: Server,
    /// `leader`, `voter`, `non-voter`.
    pub state: Str,
    pub stats: Stats,
    pub health: Stable,
}

/// Who it is.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Server {
    #[serde(rename = "ID")]
    pub id: Str,
    pub name: Str,
    pub address: Str,
    /// `alive`, `left`, `failed`, `unknown`.
    pub node_status: Str,
    pub version: Str,
    pub meta: Option<BTreeMap<Str, Str>>,
    pub raft_version: i64,
    pub is_leader: bool,
    pub node_type: Str,
    /// Of the Enterprise edition.
    pub ext: Option<()>,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Stats {
    pub last_contact: i64,
    pub last_term: u64,
    pub last_index: u64,
}

/// Since when it has been so.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Stable {
    pub healthy: bool,
    pub stable_since: GoTime,
}

/// `Operator.RaftGetConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct RaftConfiguration {
    pub servers: Vec<RaftServer>,
    pub index: u64,
}

/// One server of it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct RaftServer {
    #[serde(rename = "ID")]
    pub id: Str,
    pub node: Str,
    pub address: Str,
    pub leader: bool,
    pub protocol_version: Str,
    pub voter: bool,
    pub last_index: u64,
}

/// Arguments of `Operator.RaftRemovePeerByID`, `Operator.RaftRemovePeerByAddress` and of our own
/// `Operator.TransferLeader`, for which Consul has gRPC.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Peer {
    pub datacenter: Str,
    pub address: Str,
    #[serde(rename = "ID")]
    pub id: Str,
}

/// Arguments of `Internal.KeyringOperation`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct KeyringArguments {
    /// `list`, `install`, `use`, `remove`.
    pub operation: Str,
    /// In base64.
    pub key: Str,
    pub datacenter: Str,
    /// Another server has passed it on: nobody else is asked.
    pub forwarded: bool,
    pub relay_factor: u8,
    /// Only the members of this datacenter.
    pub local_only: bool,
}

/// Its answer.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct KeyringAnswers {
    pub responses: Vec<KeyringAnswer>,
}

/// What the members of one pool said.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct KeyringAnswer {
    #[serde(rename = "WAN")]
    pub wan: bool,
    pub datacenter: Str,
    pub segment: Str,
    pub messages: BTreeMap<String, String>,
    pub keys: BTreeMap<String, i64>,
    pub primary_keys: BTreeMap<String, i64>,
    pub num_nodes: i64,
    pub error: String,
}

/// Arguments of `Internal.EventFire`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct EventArguments {
    pub datacenter: Str,
    pub name: Str,
    /// The event as it travels.
    #[serde(with = "crate::wire::raw")]
    pub payload: bytes::Bytes,
    pub allow_stale: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::msgpack;

    #[test]
    fn a_time_is_gos_fifteen_bytes_and_comes_back() {
        // 2021-01-01T00:00:00.5Z.
        let at = GoTime(WallTime(1_609_459_200_500_000_000));
        let bytes = msgpack::to_vec(&at);
        let mut go = std::vec![0xaf, 1];
        go.extend_from_slice(&63_745_056_000_i64.to_be_bytes());
        go.extend_from_slice(&500_000_000_u32.to_be_bytes());
        go.extend_from_slice(&[0xff, 0xff]);
        assert_eq!(bytes, go);
        assert_eq!(msgpack::from_slice::<GoTime>(&bytes), Ok(at));
        let zero = msgpack::to_vec(&GoTime::default());
        assert_eq!(zero, [&[0xaf, 1][..], &[0; 12], &[0xff, 0xff]].concat());
        assert_eq!(msgpack::from_slice::<GoTime>(&zero), Ok(GoTime::default()));
        assert_eq!(msgpack::from_slice::<GoTime>(&[0xc0]), Ok(GoTime::default()));
        assert!(msgpack::from_slice::<GoTime>(&[0xa2, 1, 0]).is_err());
    }
}
