//! The messages of packets: one type byte, then one msgpack map.
//!
//! Field names are memberlist's; they stand in the order of their bytes, which is how its codec writes
//! them. Readers take any order, skip what they do not know and read what is absent as zero.

use super::{MAX_META, MAX_NAME, WireError, ip_from};
use crate::Str;
use crate::wire::{msgpack, raw};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use serde::{Deserialize, Serialize};

pub(super) const PING: u8 = 0;
pub(super) const INDIRECT_PING: u8 = 1;
pub(super) const ACK: u8 = 2;
const SUSPECT: u8 = 3;
const ALIVE: u8 = 4;
const DEAD: u8 = 5;
pub(super) const USER: u8 = 8;
const NACK: u8 = 11;

/// Protocol versions: memberlist's lowest, highest, current; then serf's.
pub type Vsn = [u8; 6];

/// Are you there?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ping {
    /// Who is meant. Empty: whoever is at the address.
    pub node: Str,
    /// Ties the ack to the ping.
    pub seq_no: u32,
    /// Where the ack should go: raw address. Empty: where the packet came from.
    #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
    pub source_addr: Bytes,
    /// Who asks.
    #[serde(skip_serializing_if = "is_empty")]
    pub source_node: Str,
    /// Where the ack should go: port.
    #[serde(skip_serializing_if = "is_zero")]
    pub source_port: u16,
}

/// Ping somebody for me.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IndirectPing {
    /// Whether a nack is wanted when the target does not answer.
    pub nack: bool,
    /// Who is meant.
    pub node: Str,
    /// The target's port.
    pub port: u16,
    /// Ties the ack to this request.
    pub seq_no: u32,
    /// Where the answer should go: raw address. Empty: where the packet came from.
    #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
    pub source_addr: Bytes,
    /// Who asks.
    #[serde(skip_serializing_if = "is_empty")]
    pub source_node: Str,
    /// Where the answer should go: port.
    #[serde(skip_serializing_if = "is_zero")]
    pub source_port: u16,
    /// The target's raw address.
    #[serde(with = "raw")]
    pub target: Bytes,
}

/// I am here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ack {
    /// What the layer above adds: serf's coordinate.
    #[serde(with = "raw")]
    pub payload: Bytes,
    /// The ping's.
    pub seq_no: u32,
}

/// The target did not answer, but I did hear you.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Nack {
    /// The request's.
    pub seq_no: u32,
}

/// A member does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Suspect {
    /// Who says so.
    pub from: Str,
    /// The member's life that is doubted.
    pub incarnation: u32,
    /// The member.
    pub node: Str,
}

/// A member is there, at this address, with this metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Alive {
    /// Its raw address.
    #[serde(with = "raw")]
    pub addr: Bytes,
    /// Counts how often it had to contradict a rumour, or changed its metadata.
    pub incarnation: u32,
    /// Opaque here; serf's tags.
    #[serde(with = "raw")]
    pub meta: Bytes,
    /// The member.
    pub node: Str,
    /// Its port.
    pub port: u16,
    /// Its versions: [`Vsn`], or nothing from ancient members.
    #[serde(with = "raw")]
    pub vsn: Bytes,
}

/// A member is gone; by its own will if it says so itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Dead {
    /// Who says so.
    pub from: Str,
    /// The member's life that ended.
    pub incarnation: u32,
    /// The member.
    pub node: Str,
}

/// One message of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Message {
    Ping(Ping),
    IndirectPing(IndirectPing),
    Ack(Ack),
    Nack(Nack),
    Suspect(Suspect),
    Alive(Alive),
    Dead(Dead),
    /// The layer above reads it.
    User(Bytes),
}

fn is_empty(text: &Str) -> bool {
    text.is_empty()
}

fn is_zero(port: &u16) -> bool {
    *port == 0
}

fn typed<T: Serialize>(kind: u8, body: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.push(kind);
    msgpack::append(&mut out, body);
    out
}

/// Bytes after the value are let pass, as memberlist does.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, WireError> {
    Ok(msgpack::from_slice_prefix(body)?.0)
}

/// The address that a raw address and a port name together, if both are there.
fn reply_to(addr: &[u8], port: u16) -> Option<SocketAddr> {
    let ip: IpAddr = ip_from(addr)?;
    (port != 0).then(|| SocketAddr::new(ip, port))
}

pub(super) fn check_name(name: &str) -> Result<(), WireError> {
    if name.is_empty() || name.len() > MAX_NAME {
        Err(WireError::Field("a member's name is empty or longer than 255 bytes"))
    } else {
        Ok(())
    }
}

pub(super) fn check_member(meta: &[u8], vsn: &[u8]) -> Result<(), WireError> {
    if meta.len() > MAX_META {
        Err(WireError::Field("a member's metadata exceeds 512 bytes"))
    } else if !vsn.is_empty() && vsn.len() != 6 {
        Err(WireError::Field("a member's versions are not six bytes"))
    } else {
        Ok(())
    }
}

impl Ping {
    /// Where the sender wants the ack, if it says.
    pub fn reply_to(&self) -> Option<SocketAddr> {
        reply_to(&self.source_addr, self.source_port)
    }
}

impl IndirectPing {
    /// Where the sender wants the answer, if it says.
    pub fn reply_to(&self) -> Option<SocketAddr> {
        reply_to(&self.source_addr, self.source_port)
    }
}

impl Message {
    /// The type byte and the body.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Message::Ping(body) => typed(PING, body),
            Message::IndirectPing(body) => typed(INDIRECT_PING, body),
            Message::Ack(body) => typed(ACK, body),
            Message::Nack(body) => typed(NACK, body),
            Message::Suspect(body) => typed(SUSPECT, body),
            Message::Alive(body) => typed(ALIVE, body),
            Message::Dead(body) => typed(DEAD, body),
            Message::User(body) => {
                let mut out = Vec::with_capacity(1 + body.len());
                out.push(USER);
                out.extend_from_slice(body);
                out
            }
        }
    }

    /// Reads one message that is not a wrapping.
    pub fn decode(bytes: &[u8]) -> Result<Message, WireError> {
        let (&kind, body) = bytes.split_first().ok_or(WireError::Empty)?;
        let message = match kind {
            PING => Message::Ping(read(body)?),
            INDIRECT_PING => Message::IndirectPing(read(body)?),
            ACK => Message::Ack(read(body)?),
            NACK => Message::Nack(read(body)?),
            SUSPECT => Message::Suspect(read(body)?),
            ALIVE => Message::Alive(read(body)?),
            DEAD => Message::Dead(read(body)?),
            USER => Message::User(Bytes::copy_from_slice(body)),
            other => return Err(WireError::Type(other)),
        };
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), WireError> {
        match self {
            Message::Suspect(Suspect { node, from, .. }) | Message::Dead(Dead { node, from, .. }) => {
                check_name(node)?;
                check_name(from)
            }
            Message::Alive(alive) => {
                check_name(&alive.node)?;
                check_member(&alive.meta, &alive.vsn)
            }
            Message::IndirectPing(ping) => check_name(&ping.node),
            Message::Ping(_) | Message::Ack(_) | Message::Nack(_) | Message::User(_) => Ok(()),
        }
    }
}
