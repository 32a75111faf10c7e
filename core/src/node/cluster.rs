//! Which cluster this server is of: two that were founded apart must never become one by meeting in gossip.
//!
//! The ID is made when a cluster is founded, and is part of raft's membership: in the log, in snapshots, in every
//! later membership. Servers show it in gossip, and autopilot takes in only servers of no cluster. Messages of raft
//! carry it too, and those of another cluster are dropped.

use super::Node;
use super::pools;
use crate::Str;
use crate::event::{Event, Level};
use crate::gossip::Input;
use crate::gossip::consul::NO_CLUSTER;
use crate::ids::{Pool, ServerId};
use crate::raft::{Membership, Raft};
use crate::time::{Duration, Now};
use alloc::format;

/// Between two lines of log about messages of another cluster.
const TELL_EVERY: Duration = Duration::from_secs(300);

/// What a server shows of its cluster; empty: it has a log that tells of none.
pub(super) fn tag(raft: &Raft) -> Str {
    match raft.membership().cluster {
        // Who voted and got nothing of the log before it was taken out can be of any cluster.
        0 if raft.has_no_log() => Str::from(NO_CLUSTER),
        0 => Str::default(),
        cluster => Str::from(format!("{cluster:016x}")),
    }
}

/// The ID of a cluster of several founders: FNV-1a of their node IDs. Whoever of them founds, and however often it
/// crashes over it, the entry is the same. (A sole founder draws one: it may found anew after it lost its disk.)
pub(super) fn of_founders(founders: &Membership) -> u64 {
    let bytes = founders.voters.iter().flat_map(|id| id.bytes().chain([0]));
    bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl Node {
    /// Shows in gossip which cluster this server is of, once that has changed.
    pub(super) fn show_cluster(&mut self, now: Now) {
        if !self.config.server {
            return;
        }
        let shown = tag(&self.raft);
        if shown != self.shown_cluster && self.pools.get(Pool::Lan).is_some() {
            let tags = pools::tags(&self.config, &self.id, Pool::Lan, &shown);
            self.shown_cluster = shown;
            self.pools.handle(now.mono, Pool::Lan, Input::SetTags { tags });
        }
    }

    /// Whether a message of raft comes from another cluster. The log is told now and then.
    pub(super) fn is_stranger(&mut self, now: Now, from: &ServerId, cluster: u64) -> bool {
        let own = self.raft.membership().cluster;
        if own == 0 || cluster == 0 || own == cluster {
            return false;
        }
        if self.stranger_told.is_none_or(|at| now.mono >= at + TELL_EVERY) {
            self.stranger_told = Some(now.mono);
            let text = "dropped messages of a server of another cluster: two clusters cannot become one; stop the \
                        servers of one, empty their data directories, and start them again with retry_join";
            let event = Event::new(Level::Error, "agent.server.raft", text).with("from", &**from);
            let event = event.with("cluster", format!("{own:016x}"));
            self.log(event.with("other_cluster", format!("{cluster:016x}")));
        }
        true
    }
}
