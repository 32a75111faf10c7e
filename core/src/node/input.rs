//! Inputs: past events that the driver reports, one at a time.

use crate::agent::CheckOutcome;
use crate::call::Request;
use crate::config::RuntimeConfig;
use crate::ids::{CallId, FrontId, Index, RunId, ServerId, Ticket};
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;

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
