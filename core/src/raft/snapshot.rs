//! Snapshots: when to build one, what to compact on disk and to let go of in memory, sending and receiving
//! (chapter 5).
//!
//! Raft keeps a snapshot's data only while some follower is being sent it; a server that restarted
//! asks its state machine for a fresh one when it needs one.

use super::cursor::Held;
use super::effect::Effect;
use super::entry::{LogId, SnapshotMeta};
use super::membership::Memberships;
use super::message::Body;
use super::progress::Mode;
use super::{MAX_NUMBER, Raft, State};
use crate::ids::{Index, ServerId};
use crate::time::Instant;
use alloc::vec::Vec;
use bytes::Bytes;

/// Election timeouts until a snapshot that could not be read is taken from the same leader again: it may have been
/// damaged on its way.
const REFUSED_FOR: u32 = 10;

/// Everything about snapshots but the transfers, which belong to their followers.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// The newest: on disk, or on its way there.
    last: LogId,
    /// [`super::log::Log::end_at`] its last entry.
    last_end: u64,
    /// The one that the state machine is encoding, and the same for it.
    building: Option<(SnapshotMeta, u64)>,
    /// A follower waits for one to be built.
    wanted: bool,
    /// The one being sent.
    outgoing: Option<(SnapshotMeta, Bytes)>,
    /// The one being received.
    incoming: Option<Incoming>,
    /// Received from this server, and being read.
    checking: Option<(ServerId, SnapshotMeta, Bytes)>,
    /// The last one that could not be read, whose it was, and until when it is not taken again.
    refused: Option<(ServerId, LogId, Instant)>,
    /// Received, not flushed yet: nothing is applied until it is restored.
    restoring: Option<Index>,
}

#[derive(Debug)]
struct Incoming {
    meta: SnapshotMeta,
    total: u64,
    data: Vec<u8>,
}

impl Snapshots {
    pub(super) fn new(last: LogId, last_end: u64) -> Snapshots {
        Snapshots {
            last,
            last_end,
            building: None,
            wanted: false,
            outgoing: None,
            incoming: None,
            checking: None,
            refused: None,
            restoring: None,
        }
    }

    pub(super) fn last(&self) -> LogId {
        self.last
    }

    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// One to send to a follower when the log begins behind `base`.
    pub(super) fn outgoing(&self, base: Index) -> Option<(SnapshotMeta, Bytes)> {
        self.outgoing.as_ref().filter(|(meta, _)| meta.index >= base).cloned()
    }

    /// Whether a follower waits for one to be built.
    pub(super) fn set_wanted(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    pub(super) fn forget_outgoing(&mut self) {
        self.outgoing = None;
        self.wanted = false;
    }

    pub(super) fn forget_incoming(&mut self) {
        self.incoming = None;
        self.checking = None;
    }

    /// Whether there is nothing to be taken of this one now: it is being read, or could not be read.
    fn is_settled(&self, now: Instant, from: &ServerId, id: LogId) -> bool {
        let checking = self.checking.as_ref().is_some_and(|(_, meta, _)| meta.id() == id);
        let refused = self.refused.as_ref();
        checking || refused.is_some_and(|(whose, what, until)| whose == from && *what == id && now < *until)
    }
}

impl Raft {
    /// Orders a snapshot when the log has grown enough since the last, or a follower needs one.
    pub(super) fn maybe_build_snapshot(&mut self) {
        let s = &self.snapshots;
        if s.building.is_some() || s.restoring.is_some() || self.applied.0 == 0 {
            return;
        }
        let applied = self.applied.0 - s.last.index.0;
        let log_bytes = self.log.end_at(self.log.last().index) - s.last_end;
        let sooner = |much| sooner(&self.config.id, much);
        let due = applied >= sooner(self.config.snapshot_threshold)
            || (applied > 0 && log_bytes > sooner(self.config.max_log_bytes as u64));
        if !due && !s.wanted {
            return;
        }
        let index = self.applied;
        let term = self.log.term_at(index).expect("the last applied entry's position is held");
        let meta = SnapshotMeta { index, term, membership: self.members.at(index).clone() };
        self.snapshots.building = Some((meta, self.log.end_at(index)));
        self.effects.push_back(Effect::BuildSnapshot { at: LogId { index, term } });
    }

    /// The state machine's answer. Late ones, overtaken by a snapshot from the leader, are dropped.
    pub(super) fn on_snapshot_built(&mut self, index: Index, data: Bytes) {
        let building = self.snapshots.building.take_if(|(meta, _)| meta.index == index);
        let Some((meta, end)) = building else { return };
        if meta.index > self.snapshots.last.index {
            let compact_to = self.compaction_target(meta.index);
            self.snapshots.last = meta.id();
            self.snapshots.last_end = end;
            self.cursor.snapshot(meta.clone(), data.clone(), compact_to);
            self.log.release_to(compact_to);
            self.members.compact_to(meta.index);
        }
        // Kept only if a follower waits for it: `replicate` lets go of it otherwise.
        self.snapshots.outgoing = Some((meta, data));
    }

    /// How much of the log on disk a snapshot at `index` makes superfluous: all but a trail for followers
    /// slightly behind, and what those receiving an older snapshot will need next; but the trail must
    /// not take more than half the memory allowed, and what is no longer in memory is of no use there.
    /// Never more than the snapshot covers.
    fn compaction_target(&self, index: Index) -> Index {
        let trail = Index(index.0.saturating_sub(self.config.trailing_logs));
        let needed = self.needed_by_followers(false).unwrap_or(trail);
        let half = self.config.max_log_bytes as u64 / 2;
        self.log.index_leaving(trail.min(needed), half).max(self.log.base().index).min(index)
    }

    /// Lets go of applied entries in memory; the disk has them until a snapshot covers them. Kept are
    /// those that followers are known to need, within half of what the log may take, and a tail for any
    /// that fell behind unnoticed. Without followers nobody will ever ask.
    pub(super) fn release_log(&mut self) {
        let me = &self.config.id;
        let members = self.members.latest();
        let alone = members.voters.iter().chain(&members.learners).all(|id| id == me);
        let mut target = self.applied;
        if !alone {
            target = target.min(self.log.index_leaving(Index(0), self.config.tail_bytes as u64));
        }
        if let Some(needed) = self.needed_by_followers(true) {
            let half = self.config.max_log_bytes as u64 / 2;
            target = target.min(self.log.index_leaving(needed, half));
        }
        // While a snapshot is being restored the log begins behind what is applied.
        self.log.release_to(target);
    }

    /// The entry behind which some follower is known to need the log: the end of the snapshot that it is
    /// or will be receiving; and, with `replicating`, where the log matches that of one that follows.
    fn needed_by_followers(&self, replicating: bool) -> Option<Index> {
        let State::Leader(leader) = &self.state else { return None };
        let building = self.snapshots.building.as_ref().map(|(meta, _)| meta.index);
        let of_peer = leader.peers.values().filter_map(|peer| match &peer.mode {
            Mode::Snapshot(Some(transfer)) => Some(transfer.meta.index),
            Mode::Snapshot(None) => building,
            Mode::Replicate(_) if replicating => Some(peer.matched),
            Mode::Replicate(_) | Mode::Probe { .. } => None,
        });
        of_peer.min()
    }

    /// A piece of a snapshot arrived from our leader.
    pub(super) fn on_snapshot_piece(
        &mut self,
        from: ServerId,
        meta: SnapshotMeta,
        total: u64,
        offset: u64,
        chunk: Bytes,
    ) {
        if meta.term <= self.hard.term && self.contradicts(meta.id()) {
            return self.effects.push_back(Effect::Contradicted { at: meta.index });
        }
        if meta.index <= self.commit {
            return self.promise_log(from, Body::AppendOk { upto: self.commit });
        }
        if self.log.contains(meta.id()) {
            // Log matching: everything that the snapshot covers is here already.
            self.follow_commit(meta.index);
            return self.promise_log(from, Body::AppendOk { upto: meta.index });
        }
        if total > self.config.max_snapshot_bytes || meta.index.0 > MAX_NUMBER || meta.term > self.hard.term {
            return;
        }
        let index = meta.index;
        if self.snapshots.is_settled(self.now, &from, meta.id()) {
            // Nothing of it is missing here, so that the leader does not send it all again and again.
            return self.promise_term(from, Body::SnapshotReply { index, received: total });
        }
        let same = |i: &Incoming| i.meta == meta && i.total == total;
        if !self.snapshots.incoming.as_ref().is_some_and(same) {
            self.snapshots.incoming = Some(Incoming { meta, total, data: Vec::new() });
        }
        let incoming = self.snapshots.incoming.as_mut().expect("just made sure of");
        if offset == incoming.data.len() as u64 {
            incoming.data.extend_from_slice(&chunk);
        }
        let received = incoming.data.len() as u64;
        if received < total {
            return self.promise_term(from, Body::SnapshotReply { index, received });
        }
        if let Some(Incoming { meta, data, .. }) = self.snapshots.incoming.take() {
            let data = Bytes::from(data);
            self.snapshots.checking = Some((from, meta.clone(), data.clone()));
            self.effects.push_back(Effect::CheckSnapshot { meta, data });
        }
    }

    /// The state machine has read a received snapshot, or cannot. Late answers, overtaken by another leader, are
    /// dropped.
    pub(super) fn on_snapshot_checked(&mut self, at: LogId, readable: bool) {
        let checking = self.snapshots.checking.take_if(|(_, meta, _)| meta.id() == at);
        let Some((from, meta, data)) = checking.filter(|_| at.index > self.commit) else { return };
        if !readable {
            let until = self.now + self.config.election_timeout * REFUSED_FOR;
            self.snapshots.refused = Some((from.clone(), at, until));
            let received = data.len() as u64;
            return self.promise_term(from, Body::SnapshotReply { index: at.index, received });
        }
        self.install(meta, data);
        self.promise_log(from, Body::AppendOk { upto: at.index });
    }

    /// Puts a received and readable snapshot in the place of the whole log, which is not known to follow it. The
    /// state machine is replaced when it is on disk.
    fn install(&mut self, meta: SnapshotMeta, data: Bytes) {
        // Entries that are only on disk lie below the commit, so the snapshot covers them.
        let (id, first) = (meta.id(), Index(self.log.base().index.0 + 1));
        if self.log.last().index >= first {
            self.cursor.truncate_from(first);
        }
        self.log.reset(id);
        self.members = Memberships::new(id.index, meta.membership.clone());
        let ticket = self.cursor.replace_by_snapshot(meta.clone(), data);
        self.commit = id.index;
        self.snapshots.last = id;
        self.snapshots.last_end = 0;
        self.snapshots.building = None;
        self.snapshots.restoring = Some(id.index);
        self.on_members_changed();
        if let Some(held) = self.cursor.hold(ticket, Held::Restore { meta }) {
            self.release(held);
        }
    }

    /// The received snapshot is on disk: the state machine takes it, then applies what is behind it.
    pub(super) fn on_snapshot_flushed(&mut self, meta: SnapshotMeta) {
        self.snapshots.restoring.take_if(|index| *index == meta.index);
        self.applied = meta.index;
        for call in self.calls.take_upto(meta.index) {
            self.effects.push_back(Effect::Unknown { call });
        }
        self.effects.push_back(Effect::RestoreSnapshot { meta });
    }

    /// As leader: how much of a snapshot a follower holds.
    pub(super) fn on_snapshot_reply(&mut self, from: &ServerId, index: Index, received: u64) {
        let State::Leader(leader) = &mut self.state else { return };
        let Some(peer) = leader.peers.get_mut(from) else { return };
        peer.last_heard = Some(self.now);
        if let Mode::Snapshot(Some(transfer)) = &mut peer.mode
            && transfer.meta.index == index
        {
            transfer.on_received(self.now, received);
        }
    }
}

/// So much, or up to a quarter less, as the server's ID has it: a large snapshot keeps a disk busy for seconds, and
/// servers that all write theirs at the same entry would commit nothing meanwhile.
fn sooner(id: &ServerId, much: u64) -> u64 {
    let hash = id.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    much - much / 1024 * (hash % 256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;

    #[test]
    fn servers_do_not_all_write_their_snapshots_at_one_entry_and_none_later_than_configured() {
        let due: BTreeSet<u64> = (0..5)
            .map(|n| sooner(&format!("5e7e0000-0000-4000-8000-00000000000{n}").into(), 16_384))
            .collect();
        assert_eq!(due.len(), 5);
        assert!(due.iter().all(|due| (12_288..=16_384).contains(due)), "{due:?}");
        assert_eq!(sooner(&"n1".into(), 1000), 1000, "who sets few means them");
    }
}
