//! What a front asks of the node, and what the node answers: the whole of what they know of each other.

use crate::Str;
use crate::agent::{AgentReply, AgentRequest};
use crate::cache::{Found, Wanted};
use crate::command::Command;
use crate::gossip::{Coordinate, KeyCommand};
use crate::ids::{CallId, Index, Pool, ServerId};
use crate::metrics::Report;
use crate::raft::Change;
use crate::router::Ask;
use crate::rpc::operator::KeyringAnswer;
use crate::store::Applied;
use crate::types::{NodeCoordinate, Session};
use crate::user_event::UserEvent;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// What a front asks of the node.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Replicate and apply; answered once applied.
    Write(Command),
    /// Have servers of another datacenter replicate and apply; answered as [`Request::Write`] is, without the index.
    WriteThere {
        /// Which.
        datacenter: Str,
        /// What.
        command: Command,
    },
    /// Which datacenters there are, and how far. Answered by [`Reply::Datacenters`].
    Datacenters,
    /// Have the session of this ID live on; for the leader only. Answered by [`Reply::Session`].
    Renew(Str),
    /// A node says where it is; for the leader only. Answered by [`Reply::Done`].
    Placed(Box<NodeCoordinate>),
    /// Answered with an index once this node may answer a read at that index. `consistent` asks a
    /// quorum now; otherwise the leader's lease is enough.
    ReadBarrier {
        /// `?consistent`.
        consistent: bool,
    },
    /// One of the two above, of an agent that asks another server itself when this one knows no leader: it is not
    /// held for long.
    ForAgent(Box<Request>),
    /// Ask another server. Answered by [`Reply::Answer`].
    Ask(Ask),
    /// The same, unless the answer is kept. Answered by [`Reply::Cached`], or by [`Reply::Answer`] if there is no room
    /// for it.
    AskCached(Box<Wanted>),
    /// Nobody waits any more for what [`Request::Ask`] or [`Request::AskCached`] under this number asked. Not answered.
    Abandon(CallId),
    /// Change the agent's local state.
    Agent(AgentRequest),
    /// Join the gossip pool through these addresses or names. Answered by [`Reply::Joined`].
    Join {
        /// Which pool.
        pool: Pool,
        /// Addresses or names, with or without a port.
        names: Vec<String>,
    },
    /// Declare a failed member to have left, in both pools or in the WAN pool only.
    ForceLeave {
        /// Its name.
        node: Str,
        /// Forget it at once.
        prune: bool,
        /// The WAN pool only.
        wan: bool,
    },
    /// Shout this to a datacenter. Answered by [`Reply::Event`] once it is on its way.
    Event {
        /// What.
        event: Box<UserEvent>,
        /// Where.
        datacenter: Str,
    },
    /// Shout to this datacenter what an agent elsewhere has put together. Answered by [`Reply::Done`].
    Shout {
        /// The name of the event.
        name: Str,
        /// The event as it travels.
        payload: Bytes,
    },
    /// Change or list the keys of the members of both pools, and of all datacenters. Answered by [`Reply::Keys`].
    Keys {
        /// What to do.
        command: KeyCommand,
        /// How many members repeat each answer.
        relay_factor: u8,
        /// Only the members of this datacenter.
        local: bool,
    },
    /// What was counted so far.
    Metrics,
    /// Read the configuration again.
    Reload,
    /// Leave and stop.
    Leave,
    /// Add, promote, demote or remove a server; for operators and simulations.
    Membership(Change),
    /// Hand leadership to a server, or to the most up-to-date one.
    TransferLeadership(Option<ServerId>),
}

/// The node's answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The command was applied at this index, with this result.
    Applied {
        /// Its raft index; 0 for a lock that was refused without being proposed.
        index: Index,
        /// What the store said.
        result: Applied,
    },
    /// A read may be answered from any view that has applied this index.
    Barrier {
        /// The index.
        index: Index,
    },
    /// The session, if there is one.
    Session(Option<Arc<Session>>),
    /// The body of a server's answer.
    Answer(Bytes),
    /// The same, with its age.
    Cached(Found),
    /// The datacenters, the nearest first.
    Datacenters(Vec<Datacenter>),
    /// So many of the members that were asked to let this node in did.
    Joined(usize),
    /// The event with the ID that it was given.
    Event(Box<UserEvent>),
    /// What the members of each pool said about their keys, those of the WAN pool first.
    Keys(Vec<KeyringAnswer>),
    /// The agent's answer.
    Agent(AgentReply),
    /// What the node and its driver have counted.
    Metrics(Box<Report>),
    /// Reload, leave, membership and transfer: done.
    Done,
    /// It did not happen, or nobody knows.
    Failed(CallError),
}

/// A datacenter as the servers know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Datacenter {
    /// Its name.
    pub name: Str,
    /// Those of its servers whose place in the WAN pool is known, by name without the datacenter.
    pub servers: Vec<(Str, Coordinate)>,
}

/// Why a call failed. Only [`CallError::Unknown`], and [`CallError::Remote`] if the answer was lost, may still
/// have changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// No leader was found within `rpc_hold_timeout`. State unchanged.
    NoLeader,
    /// This server is not the leader, and forwarding is not possible. State unchanged.
    NotLeader {
        /// The leader, if known.
        leader: Option<ServerId>,
    },
    /// Too much is in flight. State unchanged.
    Busy,
    /// The command is larger than a log entry may be. State unchanged.
    TooLarge,
    /// The disk is nearly full; writes are refused, reads go on. State unchanged.
    DiskFull,
    /// The outcome is unknown: leadership or time was lost after the command was proposed.
    Unknown,
    /// Refused or failed for the reason given. State unchanged.
    Refused(String),
    /// What another server said, or why none could be asked, in the words of Consul's agents.
    Remote(String),
}

impl core::fmt::Display for CallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CallError::NoLeader => f.write_str("No cluster leader"),
            CallError::NotLeader { leader: None } => {
                f.write_str("No cluster leader: this server is not the leader and knows of none")
            }
            CallError::NotLeader { leader: Some(id) } => {
                write!(f, "node is not the leader: this server cannot forward yet, the leader is server {id}")
            }
            CallError::Busy => f.write_str(
                "rate limit exceeded: this server has too many requests in flight, nothing was changed, try again",
            ),
            CallError::TooLarge => {
                f.write_str("the request is larger than one log entry may be, nothing was changed")
            }
            CallError::DiskFull => f.write_str(
                "the disk of this server is nearly full: writes are refused until space is freed, reads go on",
            ),
            CallError::Unknown => f.write_str(
                "leadership lost while committing log: the outcome is unknown, read before you try again",
            ),
            CallError::Refused(why) | CallError::Remote(why) => f.write_str(why),
        }
    }
}
