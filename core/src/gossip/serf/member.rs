//! Members as serf shows them.

use super::super::wire::Vsn;
use super::tags::decode_tags;
use crate::Str;
use crate::time::Instant;
use alloc::collections::BTreeMap;
use core::net::SocketAddr;

/// Where a member stands. The order and the names are serf's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Status {
    #[default]
    None,
    Alive,
    Leaving,
    Left,
    Failed,
}

impl Status {
    /// The name that `members` shows.
    pub fn name(self) -> &'static str {
        match self {
            Status::None => "none",
            Status::Alive => "alive",
            Status::Leaving => "leaving",
            Status::Left => "left",
            Status::Failed => "failed",
        }
    }

    /// The number that the HTTP API shows.
    pub fn number(self) -> u8 {
        match self {
            Status::None => 0,
            Status::Alive => 1,
            Status::Leaving => 2,
            Status::Left => 3,
            Status::Failed => 4,
        }
    }

    /// The one of this number; what is none of ours is [`Status::None`].
    pub fn numbered(number: i64) -> Status {
        let all = [Status::Alive, Status::Leaving, Status::Left, Status::Failed];
        all.into_iter().find(|status| i64::from(status.number()) == number).unwrap_or(Status::None)
    }
}

/// What happened to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberChange {
    /// It is there, for the first time or again.
    Join,
    /// It left by will, or was declared to have.
    Leave,
    /// It is gone without a word.
    Failed,
    /// Its tags or address changed, or it means to leave, or does not any more.
    Update,
    /// It was gone for so long that it is forgotten.
    Reap,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Unique in the pool.
    pub name: Str,
    /// Where it gossips.
    pub addr: SocketAddr,
    /// What it shows.
    pub tags: BTreeMap<Str, Str>,
    /// Where it stands.
    pub status: Status,
    /// The versions it speaks.
    pub vsn: Vsn,
}

impl Member {
    pub(in super::super) fn new(
        name: Str,
        addr: SocketAddr,
        meta: &[u8],
        vsn: Vsn,
        status: Status,
    ) -> Member {
        Member { name, addr, tags: decode_tags(meta), status, vsn }
    }

    /// A tag's value; empty if it has none.
    pub fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", |value| value)
    }
}

/// A member with what decides about it.
#[derive(Debug)]
pub(in super::super) struct Known {
    pub(in super::super) member: Member,
    /// The Lamport time of the newest intent that counts.
    pub(super) status_ltime: u64,
    /// The Lamport time of its newest intent to leave.
    pub(super) leave_ltime: u64,
    /// When it failed or left.
    pub(super) gone_at: Option<Instant>,
    /// When it last began to leave.
    pub(super) leaving_since: Option<Instant>,
}
