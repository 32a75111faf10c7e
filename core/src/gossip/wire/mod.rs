//! Memberlist's bytes: messages, packets, streams.
//!
//! A packet is, from the outside: a label in clear, an AES-GCM envelope, a CRC, a compression, a
//! compound of messages, each but the last optional. A stream carries one message each way in much the
//! same wrapping. Nothing here panics on what a peer sent, and nothing grows beyond the limits below.
//!
//! | file | holds |
//! |---|---|
//! | `message` | the messages and their bodies |
//! | `compound`, `compress`, `label` | one wrapping each |
//! | `keyring` | keys, and the envelope made with them |
//! | `packet` | a whole datagram |
//! | `stream` | the one message on a connection, as its bytes come in |
//! | `push_pull` | the exchange of whole tables |
//! | `address` | addresses as raw bytes |

mod address;
mod compound;
mod compress;
mod keyring;
mod label;
mod message;
mod packet;
mod push_pull;
mod stream;
#[cfg(test)]
mod tests;

pub use address::{ip_bytes, ip_from};
pub use compound::{COMPOUND_HEAD, COMPOUND_PART, compound};
pub use keyring::{Key, KeyError, Keyring};
pub use label::{Label, LabelError};
pub use message::{Ack, Alive, Dead, IndirectPing, Message, Nack, Ping, Suspect, Vsn};
pub use packet::{Envelope, Opened};
pub use push_pull::{PushNode, PushPull, WireState};
pub use stream::{StreamMessage, StreamReader};

use crate::wire::msgpack;
use core::fmt;

/// The longest datagram taken in.
pub const MAX_PACKET: usize = 65_536;
/// The most bytes that all compressed parts of one datagram may unfold to.
pub const MAX_UNFOLDED: usize = 256 << 10;
/// The deepest nesting of compound and compressed parts in a datagram.
pub const MAX_DEPTH: usize = 4;
/// The most messages in one datagram.
pub const MAX_MESSAGES: usize = 1024;
/// The longest message on a stream, sealed or not: memberlist's limit.
pub const MAX_STREAM: usize = 20 << 20;
/// The most members in one exchange of tables.
pub const MAX_NODES: usize = 65_536;
/// The longest name of a member.
pub const MAX_NAME: usize = 255;
/// The longest metadata of a member: memberlist's limit.
pub const MAX_META: usize = 512;

/// Why bytes from a peer were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// No byte where a message type belongs.
    Empty,
    /// A type that does not belong here.
    Type(u8),
    /// The bytes end too early.
    Truncated,
    /// A part, or all of it, exceeds its limit.
    TooLong,
    /// Wrapped too often.
    TooDeep,
    /// The body is not what the type says.
    Body(msgpack::Error),
    /// A field has an impossible value.
    Field(&'static str),
    /// The label is not ours, or damaged.
    Label,
    /// The checksum does not match.
    Checksum,
    /// A compression other than LZW.
    Algorithm(u8),
    /// The compressed data is damaged.
    Compression,
    /// In clear where encryption is required.
    Plaintext,
    /// Encrypted where no key is known.
    Encrypted,
    /// An unknown version of the encryption.
    Encryption(u8),
    /// No key of the keyring opens it.
    NoKey,
}

impl WireError {
    /// A short name for counters; one per kind.
    pub fn kind(&self) -> &'static str {
        match self {
            WireError::Empty => "empty",
            WireError::Type(_) => "type",
            WireError::Truncated => "truncated",
            WireError::TooLong => "too_long",
            WireError::TooDeep => "too_deep",
            WireError::Body(_) => "body",
            WireError::Field(_) => "field",
            WireError::Label => "label",
            WireError::Checksum => "checksum",
            WireError::Algorithm(_) => "algorithm",
            WireError::Compression => "compression",
            WireError::Plaintext => "plaintext",
            WireError::Encrypted => "encrypted",
            WireError::Encryption(_) => "encryption",
            WireError::NoKey => "no_key",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Empty => f.write_str("missing message type byte"),
            WireError::Type(kind) => write!(f, "message type {kind} is not supported here"),
            WireError::Truncated => f.write_str("message is truncated"),
            WireError::TooLong => f.write_str("message exceeds its limit"),
            WireError::TooDeep => f.write_str("message is nested too deep"),
            WireError::Body(error) => write!(f, "failed to decode message: {error}"),
            WireError::Field(what) => f.write_str(what),
            WireError::Label => f.write_str("label is missing, damaged or not ours"),
            WireError::Checksum => f.write_str("checksum does not match"),
            WireError::Algorithm(algorithm) => write!(f, "unknown compression algorithm {algorithm}"),
            WireError::Compression => f.write_str("compressed data is damaged"),
            WireError::Plaintext => f.write_str(
                "encryption is configured but the message is not encrypted (is `encrypt` set there?)",
            ),
            WireError::Encrypted => {
                f.write_str("the message is encrypted but encryption is not configured (set `encrypt` here)")
            }
            WireError::Encryption(version) => write!(f, "unsupported encryption version {version}"),
            WireError::NoKey => f.write_str("no installed key could decrypt the message"),
        }
    }
}

impl core::error::Error for WireError {}

impl From<msgpack::Error> for WireError {
    fn from(error: msgpack::Error) -> WireError {
        match error {
            msgpack::Error::Truncated => WireError::Truncated,
            other => WireError::Body(other),
        }
    }
}
