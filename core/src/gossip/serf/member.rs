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

    /// Whatever it shows like this node itself, it shares with it: in most pools all but the node ID.
    pub(super) fn share_with(&mut self, own: &BTreeMap<Str, Str>) {
        let shared = |(name, value): (Str, Str)| match own.get_key_value(&name) {
            Some((name, same)) if *same == value => (name.clone(), same.clone()),
            Some((name, _)) => (name.clone(), value),
            None => (name, value),
        };
        self.tags = core::mem::take(&mut self.tags).into_iter().map(shared).collect();
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
    /// When it began to leave, failed or left. Says nothing of a member that is alive.
    pub(super) since: Instant,
}

#[cfg(test)]
mod tests {
    use super::super::encode_tags;
    use super::*;

    fn tags(id: &str) -> BTreeMap<Str, Str> {
        let pairs = [("dc", "dc1"), ("id", id), ("role", "node")];
        pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn what_a_member_shows_like_this_node_is_in_memory_once() {
        let (own, other) = (tags("a"), tags("b"));
        let meta = encode_tags(&other).expect("short");
        let addr = SocketAddr::from(([10, 0, 0, 1], 8301));
        let mut member = Member::new("m".into(), addr, &meta, [1, 5, 2, 2, 5, 4], Status::Alive);
        member.share_with(&own);
        assert_eq!(member.tags, other);
        let shared = |name: &str| {
            let (own, its) = (own.get_key_value(name), member.tags.get_key_value(name));
            let both = own.zip(its).expect("both have it");
            (Str::ptr_eq(both.0.0, both.1.0), Str::ptr_eq(both.0.1, both.1.1))
        };
        assert_eq!((shared("dc"), shared("id")), ((true, true), (true, false)));
    }
}
