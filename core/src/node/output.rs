//! Outputs: orders that the driver carries out.

use super::{Reply, StopKind};
use crate::Str;
use crate::agent::{CheckSpec, LocalWrite};
use crate::event::Event;
use crate::gossip::Stream;
use crate::ids::{CallId, FrontId, Index, Pool, RunId, ServerId, Term, Ticket};
use crate::raft;
use crate::store::Store;
use crate::time::Instant;
use crate::view::View;
use crate::watch::ChangeSet;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

/// Something to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Answer a front's call.
    Reply {
        /// The front.
        to: FrontId,
        /// Its number for the call.
        call: CallId,
        /// The answer.
        reply: Reply,
    },
    /// Send an encoded raft message. May be lost, duplicated or reordered.
    Peer {
        /// The receiver's persisted ID. Whoever answers at the address must have it.
        to: ServerId,
        /// Where it was last heard to take RPC; `None`: nowhere, the message is lost.
        at: Option<SocketAddr>,
        /// The message.
        bytes: Bytes,
    },
    /// Something for the sockets of a gossip pool.
    Gossip {
        /// Whose sockets.
        pool: Pool,
        /// What.
        order: NetOrder,
    },
    /// Find the addresses of names and report [`super::Input::Resolved`], in any case.
    Resolve {
        /// Number of the question.
        lookup: u64,
        /// Names or addresses, with or without a port.
        names: Vec<String>,
        /// The port of those without one.
        port: u16,
    },
    /// Call a method of a server (`Service.Method`, net/rpc over msgpack) and report
    /// [`super::Input::RpcDone`] in any case.
    Rpc {
        /// Number of the call.
        call: u64,
        /// The server's RPC address.
        to: SocketAddr,
        /// The method.
        method: &'static str,
        /// The encoded arguments.
        body: Bytes,
        /// When to give up.
        until: Instant,
    },
    /// Nobody wants the answer of this call any more: give it up, report nothing.
    CancelRpc {
        /// Number of the call.
        call: u64,
        /// Where it was sent.
        to: SocketAddr,
    },
    /// This server does not answer: close the connection to it, and report what is still under way there as lost.
    /// Whoever has its address now is reached by a new one.
    DropRpc {
        /// The server's RPC address.
        to: SocketAddr,
    },
    /// Write this batch; batches reach the disk in ticket order.
    Persist {
        /// Numbered without gaps from 1.
        ticket: Ticket,
        /// What to write, all or nothing.
        batch: DiskBatch,
    },
    /// Encode this store and report [`super::Input::SnapshotBuilt`].
    BuildSnapshot {
        /// The store's applied index.
        at: Index,
        /// That entry's term.
        term: Term,
        /// A cheap clone.
        store: Box<Store>,
    },
    /// Run a probe and report [`super::Input::CheckDone`] in any case, timeout included.
    RunCheck {
        /// Number of this run.
        run: RunId,
        /// What to do.
        spec: Arc<CheckSpec>,
    },
    /// Nobody wants this run's outcome any more: kill it, report nothing.
    CancelCheck {
        /// Number of the run.
        run: RunId,
    },
    /// Show this view to every front before carrying out any later output.
    Publish {
        /// The new view.
        view: Arc<View>,
        /// What differs from the one before.
        changes: Arc<ChangeSet>,
    },
    /// Read the configuration files again and report [`super::Input::Reloaded`].
    ReadConfig,
    /// This node has joined others of its datacenter: who waits for it to be ready may go on.
    Joined,
    /// Something for the log and the counters.
    Event(Event),
    /// Flush what was persisted and end the process, gracefully.
    Stopped {
        /// Why.
        kind: StopKind,
        /// Exit code.
        code: u8,
    },
    /// End at once: going on could corrupt or lose data.
    Halt {
        /// For the log.
        why: HaltReason,
    },
}

/// What gossip wants of its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetOrder {
    /// Send a datagram.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// Open a connection: [`crate::gossip::Input::StreamOpened`] or `StreamClosed` follows.
    Open {
        /// Its number.
        stream: Stream,
        /// Where to.
        to: SocketAddr,
    },
    /// Send bytes on a connection.
    Write {
        /// Which.
        stream: Stream,
        /// What.
        bytes: Bytes,
    },
    /// Close a connection once all was sent.
    Close {
        /// Which.
        stream: Stream,
    },
}

/// Why the node stopped itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltReason {
    /// A disk batch could not be written. The words are the operating system's.
    PersistFailed(String),
    /// Another node of this name is there, and most members side with it.
    NameLost {
        /// The name.
        name: Str,
    },
    /// Another process has this node's ID, and was there before: a data directory was copied.
    Twin {
        /// The name of that one: this node's own, as a rule.
        name: Str,
        /// The ID.
        id: ServerId,
        /// Where the other one answers.
        at: SocketAddr,
        /// Where this one is.
        own: IpAddr,
    },
    /// `retry_max` tries to join have failed.
    JoinGivenUp {
        /// Which pool.
        pool: Pool,
    },
    /// The leader's log has something else where this server's is committed.
    Contradicted {
        /// Where they differ, at the latest.
        at: Index,
    },
    /// The log holds an entry that this version cannot read.
    UnreadableEntry {
        /// Its index.
        index: Index,
        /// Why.
        error: String,
    },
}

/// One atomic write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiskBatch {
    /// Vote, log and snapshot.
    pub raft: Option<raft::Batch>,
    /// The agent's own records.
    pub local: Vec<LocalWrite>,
}

/// What the disk held at boot.
#[derive(Clone, Debug, Default)]
pub struct DiskImage {
    /// Vote, log and snapshot metadata.
    pub raft: raft::Image,
    /// The encoded store of the snapshot, if there is one.
    pub snapshot: Option<Bytes>,
    /// The agent's local records by key.
    pub local: Vec<(String, Bytes)>,
}
