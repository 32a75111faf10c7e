//! Raft for N servers over opaque commands.
//!
//! It decides who leads, what is committed, when a read is safe, and what must reach the disk first.
//! It never knows what a command means, where a server lives, or what time it is: a server is its
//! persisted id, time and randomness arrive with the inputs. "Thesis" is Diego Ongaro's
//! "Consensus: bridging theory and practice" (2014).
//!
//! # The contract
//!
//! [`Raft::boot`] once, then [`Raft::handle`] one input, then [`Raft::poll_effect`] until it returns
//! `None`, then sleep until [`Raft::poll_timeout`]. Effects are performed in order.

mod codec;
mod config;
mod describe;
mod effect;
mod entry;
mod message;
mod shim;

pub use codec::{DecodeError, MAX_FRAME, MAX_ID, MAX_SERVERS};
pub use config::{Config, ConfigError};
pub use describe::{PeerStatus, Status};
pub use effect::{Batch, Change, Effect, Input, ProposeError, ReadError, Role, TransferError};
pub use entry::{Entry, HardState, Image, LogId, Membership, Payload, SnapshotMeta};
pub use message::{Body, MESSAGE_VERSION, Message, Round};

use crate::ids::{Index, ServerId, Term};
use crate::rng::Rng;
use crate::time::Instant;
use alloc::collections::VecDeque;

/// One raft server.
#[derive(Debug)]
pub struct Raft {
    config: Config,
    hard: HardState,
    membership: Membership,
    effects: VecDeque<Effect>,
}

/// Why a server cannot start from what its disk held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The settings are unsound.
    Config(ConfigError),
    /// The log on disk does not follow the snapshot, or itself: `index` is missing or misplaced.
    Gap {
        /// The index expected.
        index: Index,
    },
    /// Terms on disk go backwards at `index`.
    Terms {
        /// Where.
        index: Index,
    },
}

impl core::fmt::Display for BootError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BootError::Config(error) => write!(f, "raft settings: {error}"),
            BootError::Gap { index } => write!(f, "the raft log on disk has no entry {index}"),
            BootError::Terms { index } => {
                write!(f, "terms in the raft log on disk go backwards at entry {index}")
            }
        }
    }
}

impl core::error::Error for BootError {}

impl Raft {
    /// Starts from what the disk held; drain the effects afterwards.
    ///
    /// `bootstrap` is written as the first entry when the image is empty, and ignored otherwise. All
    /// founders must be given the same. A server with neither waits for a leader to find it.
    pub fn boot(
        config: Config,
        image: Image,
        bootstrap: Option<Membership>,
        _rng: Rng,
        _now: Instant,
    ) -> Result<Raft, BootError> {
        config.validate().map_err(BootError::Config)?;
        let membership = bootstrap.unwrap_or_default();
        Ok(Raft { config, hard: image.hard, membership, effects: VecDeque::new() })
    }

    /// Takes in one event at `now`.
    pub fn handle(&mut self, _now: Instant, input: Input) {
        let leader = None;
        match input {
            Input::Propose { call, .. } | Input::ChangeMembership { call, .. } => {
                self.effects.push_back(Effect::Rejected { call, error: ProposeError::NotLeader { leader } });
            }
            Input::ReadIndex { call } => {
                self.effects.push_back(Effect::ReadRejected { call, error: ReadError::NotLeader { leader } });
            }
            _ => {}
        }
    }

    /// The next order, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When `Input::Wake` is due next; `None` when only an event can change anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// This server.
    pub fn id(&self) -> &ServerId {
        &self.config.id
    }

    /// The role now.
    pub fn role(&self) -> Role {
        Role::Follower
    }

    /// The term now.
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// The leader of this term, when known.
    pub fn leader(&self) -> Option<&ServerId> {
        None
    }

    /// The membership in effect, committed or not.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Until when reads may be served from the applied state without asking a quorum: `None` unless
    /// this server leads, has committed and applied an entry of its term, and holds its lease.
    pub fn lease_until(&self) -> Option<Instant> {
        None
    }
}
