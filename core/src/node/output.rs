//! Outputs: orders that the driver carries out.

use super::{Reply, StopKind};
use crate::agent::{CheckSpec, LocalWrite};
use crate::event::Event;
use crate::ids::{CallId, FrontId, Index, RunId, ServerId, Term, Ticket};
use crate::raft;
use crate::store::Store;
use crate::view::View;
use crate::watch::ChangeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

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
        /// The receiver's persisted ID.
        to: ServerId,
        /// The message.
        bytes: Bytes,
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
        store: Store,
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

/// Why the node stopped itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltReason {
    /// A disk batch could not be written. The words are the operating system's.
    PersistFailed(String),
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
