//! Inputs: past events that the driver reports, one at a time.

use crate::agent::CheckOutcome;
use crate::call::Request;
use crate::config::RuntimeConfig;
use crate::gossip;
use crate::ids::{CallId, FrontId, Index, Pool, RunId, ServerId, Ticket};
use crate::rpc::RpcError;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A deadline may have passed.
    Wake,
    /// A front asks for something that its view cannot answer.
    Call {
        /// Who asks; the reply goes back there.
        from: FrontId,
        /// The front's number for it.
        call: CallId,
        /// What it wants.
        request: Request,
    },
    /// A message from another server. Malformed bytes are counted and dropped.
    Peer {
        /// The sender's persisted ID.
        from: ServerId,
        /// One encoded raft message.
        bytes: Bytes,
    },
    /// A server has begun to send messages, and says where it takes answers.
    PeerAt {
        /// Its persisted ID.
        from: ServerId,
        /// Its server port.
        at: SocketAddr,
    },
    /// The connection on which a server sent its messages has ended.
    PeerLost {
        /// Its persisted ID.
        from: ServerId,
    },
    /// Every batch up to and including this ticket is on disk.
    Persisted {
        /// Cumulative.
        upto: Ticket,
    },
    /// A batch could not be written: the node halts.
    PersistFailed {
        /// The batch.
        ticket: Ticket,
        /// The operating system's words.
        error: String,
    },
    /// The disk is (or is no longer) so full that writes must be refused; reads go on.
    DiskFull(bool),
    /// Something from the sockets of a gossip pool: a packet or news of a stream, nothing else.
    Gossip {
        /// Whose sockets.
        pool: Pool,
        /// What.
        input: gossip::Input,
    },
    /// The addresses of names, as asked by [`crate::node::Output::Resolve`].
    Resolved {
        /// The question's number.
        lookup: u64,
        /// For each name, in the order asked: its addresses, or why there are none.
        found: Vec<Result<Vec<SocketAddr>, String>>,
    },
    /// A call to another server has ended, as ordered by [`crate::node::Output::Rpc`].
    RpcDone {
        /// The call's number.
        call: u64,
        /// The body of the answer.
        result: Result<Bytes, RpcError>,
    },
    /// Part of an answer has come from a server, and no whole one for a while: it is there, and has much to say.
    RpcHeard {
        /// Where it answers.
        from: SocketAddr,
    },
    /// The store as of `at`, encoded.
    SnapshotBuilt {
        /// The index that was asked for.
        at: Index,
        /// The encoded store.
        data: Bytes,
    },
    /// A probe ended.
    CheckDone {
        /// Which run.
        run: RunId,
        /// What it found.
        outcome: CheckOutcome,
    },
    /// The driver has read the configuration again, as asked by [`crate::node::Output::ReadConfig`] or a signal.
    Reloaded(Result<Box<RuntimeConfig>, String>),
    /// A signal asks the process to end.
    Stop(StopKind),
}

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// `leave`: tell the others first.
    Leave,
}
