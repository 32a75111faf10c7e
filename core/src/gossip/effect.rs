//! What gossip is told ([`Input`]) and what it orders ([`Effect`]).

use super::serf::{Coordinate, KeyCommand, KeyReport, Member, MemberChange, QueryOptions};
use super::wire::Key;
use crate::Str;
use crate::event::Event;
use crate::ids::CallId;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// A connection. The driver numbers those it accepts, this machine those it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Somebody opened it to us.
    Accepted(u64),
    /// We ordered it with [`Effect::Open`].
    Opened(u64),
}

/// One past event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A deadline may have passed.
    Wake,
    /// A datagram arrived.
    Packet {
        /// Where it came from.
        from: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// Somebody connected.
    StreamAccepted {
        /// Its number, never used before.
        stream: Stream,
        /// Who.
        from: SocketAddr,
    },
    /// Somebody connected, and the driver had no room for it.
    StreamTurnedAway {
        /// Who.
        from: SocketAddr,
    },
    /// A connection that was ordered is there.
    StreamOpened {
        /// Which.
        stream: Stream,
    },
    /// Bytes came in on a connection.
    StreamBytes {
        /// Which.
        stream: Stream,
        /// Some of what the other side sent.
        bytes: Bytes,
    },
    /// A connection failed, or the other side closed it. Not told after [`Effect::Close`].
    StreamClosed {
        /// Which.
        stream: Stream,
        /// Why, for operators.
        reason: String,
    },
    /// Join the clusters at these addresses. Answered by [`Effect::Joined`].
    Join {
        /// Whose call.
        call: CallId,
        /// Whom to contact.
        addrs: Vec<SocketAddr>,
        /// Whether user events from before the join are left out.
        ignore_old: bool,
    },
    /// Leave for good, gracefully. Answered by [`Effect::Left`], within a bounded time.
    Leave {
        /// Whose call.
        call: CallId,
    },
    /// Declare a failed member to have left.
    ForceLeave {
        /// Who.
        name: Str,
        /// Forget it at once, rather than after the tombstone's time.
        prune: bool,
    },
    /// Shout. Answered by [`Effect::UserEventRefused`] if it cannot be done.
    UserEvent {
        /// Whose call.
        call: CallId,
        /// The event's name.
        name: Str,
        /// Its content.
        payload: Bytes,
        /// Whether receivers may keep only the newest of this name.
        coalesce: bool,
    },
    /// Ask all members. Answered by any number of [`Effect::QueryAck`] and [`Effect::QueryResponse`],
    /// then one [`Effect::QueryDone`].
    Query {
        /// Whose call.
        call: CallId,
        /// The question's name. Those that begin with `_serf_` are serf's own.
        name: Str,
        /// Its content.
        payload: Bytes,
        /// Who is asked, for how long.
        options: QueryOptions,
    },
    /// Answer a question that [`Effect::Query`] brought.
    Respond {
        /// The question's number.
        query: u64,
        /// The answer.
        payload: Bytes,
    },
    /// Show other tags from now on. Answered by [`Effect::TagsRefused`] if they are too long.
    SetTags {
        /// All tags.
        tags: BTreeMap<Str, Str>,
    },
    /// Change or list the keys of all members. Answered by [`Effect::KeysDone`].
    Keys {
        /// Whose call.
        call: CallId,
        /// What to do.
        command: KeyCommand,
        /// How many members repeat each answer, against loss.
        relay_factor: u8,
    },
    /// The keys of the oldest [`Effect::PersistKeys`] that this was not said for are kept.
    KeysKept,
}

/// One order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a datagram. It may be lost, doubled or late.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// Open a connection: [`Input::StreamOpened`] or [`Input::StreamClosed`] follows.
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
    /// Close a connection once all was sent. Nothing more is heard of it.
    Close {
        /// Which.
        stream: Stream,
    },
    /// A member came, went or changed.
    Member {
        /// What happened.
        change: MemberChange,
        /// The member as it is now.
        member: Member,
    },
    /// Somebody shouted; each event once.
    UserEvent {
        /// Its place in the order of events, as far as there is one.
        ltime: u64,
        /// Its name.
        name: Str,
        /// Its content.
        payload: Bytes,
        /// Whether only the newest of this name matters.
        coalesce: bool,
    },
    /// Somebody asks; each question once. To be answered by [`Input::Respond`], or not at all.
    Query {
        /// Its number here.
        query: u64,
        /// Its name.
        name: Str,
        /// Its content.
        payload: Bytes,
        /// Who asks.
        from: Str,
    },
    /// A join came to its end.
    Joined {
        /// Whose call.
        call: CallId,
        /// How many addresses answered.
        contacted: usize,
        /// The others, with the reason.
        failed: Vec<(SocketAddr, String)>,
    },
    /// Leaving came to its end: this machine may be dropped.
    Left {
        /// Whose call.
        call: CallId,
    },
    /// The event was not sent.
    UserEventRefused {
        /// Whose call.
        call: CallId,
        /// Why.
        reason: String,
    },
    /// The tags stay as they were.
    TagsRefused {
        /// Why.
        reason: String,
    },
    /// A member received the question.
    QueryAck {
        /// Whose call.
        call: CallId,
        /// Who.
        from: Str,
    },
    /// A member answered the question.
    QueryResponse {
        /// Whose call.
        call: CallId,
        /// Who.
        from: Str,
        /// What.
        payload: Bytes,
    },
    /// The time for answers is over.
    QueryDone {
        /// Whose call.
        call: CallId,
        /// Why the question was not even sent, if so.
        refused: Option<String>,
    },
    /// All members dealt with a command about keys, or had time to.
    KeysDone {
        /// Whose call.
        call: CallId,
        /// What they said.
        report: KeyReport,
    },
    /// The keyring changed: keep it, the primary key first, and say [`Input::KeysKept`]. The member's answer waits
    /// for that. A driver that cannot keep it must stop: the new keys are in use.
    PersistKeys {
        /// All keys.
        keys: Vec<Key>,
    },
    /// The round trip to a member was measured, and our coordinate moved.
    Coordinate {
        /// Where this node now is.
        own: Coordinate,
    },
    /// Another member has our name and most members side with it: this node must stop.
    NameLost,
    /// Somebody with our node ID answers elsewhere, and was there before us: this node must stop.
    Twin {
        /// Its name: ours, as a rule.
        name: Str,
        /// Where.
        at: SocketAddr,
    },
    /// Tell the log.
    Log(Event),
}
