//! What agents and servers say to each other on port 8300, as Consul says it.
//!
//! A connection begins with one byte, [`FirstByte`], that names what follows. Calls travel on byte 4:
//! a [`yamux`] session, and on each of its streams one call after the other ([`message`]).
//!
//! [`Calling`] is the end of such a connection that asks, [`Serving`] the one that answers.
//!
//! Nothing here owns a socket: bytes come in, bytes and events go out, time is handed in. What a
//! method does is not known here.

pub mod answer;
pub mod arguments;
mod calling;
pub mod message;
pub mod operator;
mod serving;
pub mod snapshot;
pub mod yamux;

pub use calling::{Calling, Done};
pub use serving::{MAX_HELD, MAX_UNSENT, Output, Serving};

use alloc::string::String;

/// Why a call to a server has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpcError {
    /// No connection: nothing was sent. The words are the operating system's.
    NotConnected(String),
    /// The connection ended, or time was up, before the answer came: it may have been carried out.
    Lost(String),
    /// The server's own words.
    Server(String),
}

/// The byte that a connection to the server port begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstByte {
    /// One stream of calls without multiplexing.
    Calls,
    /// Raft between Consul's own servers.
    Raft,
    /// A multiplexer older than any supported agent.
    OldMux,
    /// A TLS handshake follows, and inside it another first byte.
    Tls,
    /// A [`yamux`] session whose streams carry calls.
    Mux,
    /// Saving or restoring a snapshot.
    Snapshot,
    /// Gossip over the server port (Enterprise).
    Gossip,
    /// TLS without a client's certificate, for agents that ask for one.
    InsecureTls,
    /// HTTP/2 with gRPC.
    Grpc,
    /// Raft forwarded between servers.
    RaftForwarding,
    /// The first byte of a TLS record: the handshake begins at once, ALPN names what follows.
    NativeTls,
    /// Frames between our own servers.
    Servers,
}

impl FirstByte {
    /// What `byte` announces; `None` for what no version knows.
    pub fn of(byte: u8) -> Option<FirstByte> {
        Some(match byte {
            0 => FirstByte::Calls,
            1 => FirstByte::Raft,
            2 => FirstByte::OldMux,
            3 => FirstByte::Tls,
            4 => FirstByte::Mux,
            5 => FirstByte::Snapshot,
            6 => FirstByte::Gossip,
            7 => FirstByte::InsecureTls,
            8 => FirstByte::Grpc,
            9 => FirstByte::RaftForwarding,
            0x16 => FirstByte::NativeTls,
            b'L' => FirstByte::Servers,
            _ => return None,
        })
    }
}
