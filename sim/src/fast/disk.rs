//! One server's disk: tickets in order, group commit, and what a crash leaves.

use super::luck::Luck;
use bytes::Bytes;
use lictor_core::ids::{Index, Ticket};
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::{Batch, Entry, HardState, Image, Membership, Payload, SnapshotMeta};
use std::collections::{BTreeMap, VecDeque};

/// No flush takes longer, however slow the disk: three seconds.
const LONGEST_FLUSH: u64 = 3_000_000_000;

/// What is on the platter.
#[derive(Clone, Debug, Default)]
pub(super) struct Platter {
    pub(super) hard: HardState,
    pub(super) snapshot: Option<(SnapshotMeta, Bytes)>,
    pub(super) log: VecDeque<Entry>,
    local: BTreeMap<String, Bytes>,
}

impl Platter {
    /// Carries out one batch, in the order that `raft::Batch` documents.
    pub(super) fn write(&mut self, batch: DiskBatch) {
        for write in batch.local {
            match write {
                LocalWrite::Put { key, value } => self.local.insert(key, value),
                LocalWrite::Delete { key } => self.local.remove(&key),
            };
        }
        let Some(batch) = batch.raft else { return };
        let Batch { hard, truncate_from, append, snapshot, compact_to } = batch;
        if let Some(hard) = hard {
            self.hard = hard;
        }
        if let Some(from) = truncate_from {
            while self.log.back().is_some_and(|e| e.index >= from) {
                self.log.pop_back();
            }
        }
        self.log.extend(append);
        if let Some(snapshot) = snapshot {
            self.snapshot = Some(snapshot);
        }
        if let Some(to) = compact_to {
            while self.log.front().is_some_and(|e| e.index <= to) {
                self.log.pop_front();
            }
        }
    }

    /// The entry at `index`, unless it was compacted away or never written.
    pub(super) fn entry(&self, index: u64) -> Option<&Entry> {
        let first = self.log.front()?.index.0;
        self.log.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// Whether the disk holds the entry, in its log or within its snapshot.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        let covered = self.snapshot.as_ref().is_some_and(|(meta, _)| meta.index >= entry.index);
        covered || self.entry(entry.index.0).is_some_and(|mine| mine.term == entry.term)
    }

    /// The newest membership, in the log or else in the snapshot.
    pub(super) fn membership(&self) -> Option<&Membership> {
        let in_log = self.log.iter().rev().find_map(|e| match &e.payload {
            Payload::Membership(membership) => Some(membership),
            _ => None,
        });
        in_log.or(self.snapshot.as_ref().map(|(meta, _)| &meta.membership))
    }

    /// What a process that starts finds.
    pub(super) fn image(&self) -> DiskImage {
        DiskImage {
            raft: Image {
                hard: self.hard.clone(),
                snapshot: self.snapshot.as_ref().map(|(meta, _)| meta.clone()),
                log: self.log.iter().cloned().collect(),
            },
            snapshot: self.snapshot.as_ref().map(|(_, data)| data.clone()),
            local: self.local.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}

/// The disk with its queue.
#[derive(Debug)]
pub(super) struct Disk {
    /// Survives everything but the loss of the disk.
    pub(super) platter: Platter,
    /// Handed out and not on the platter, oldest first; the first `flushing` are on their way.
    queue: VecDeque<(Ticket, DiskBatch)>,
    flushing: usize,
    luck: Luck,
    /// Mean flush time, nanoseconds.
    mean: u64,
    stall_permille: u64,
    pub(super) factor: u64,
    pub(super) fail_next: bool,
}

/// The end of a flush.
pub(super) enum Flushed {
    /// Everything up to the ticket is on the platter; these batches were new.
    Upto(Ticket, Vec<DiskBatch>),
    /// The device failed; of this ticket and all behind it, nothing may be believed.
    Failed(Ticket),
}

impl Disk {
    pub(super) fn new(luck: Luck, mean: u64, stall_permille: u64) -> Disk {
        Disk {
            platter: Platter::default(),
            queue: VecDeque::new(),
            flushing: 0,
            luck,
            mean,
            stall_permille,
            factor: 1,
            fail_next: false,
        }
    }

    /// Queues a batch. `Some` is how long the flush takes that begins now.
    pub(super) fn persist(&mut self, ticket: Ticket, batch: DiskBatch) -> Option<u64> {
        self.queue.push_back((ticket, batch));
        self.start()
    }

    /// Begins a flush of everything queued, unless one is running.
    pub(super) fn start(&mut self) -> Option<u64> {
        if self.flushing > 0 || self.queue.is_empty() {
            return None;
        }
        self.flushing = self.queue.len();
        let stall = if self.luck.permille(self.stall_permille) { 100 } else { 1 };
        let time = self.luck.around(self.mean) * self.factor * stall;
        Some(time.min(LONGEST_FLUSH) + 1)
    }

    /// The running flush ends.
    pub(super) fn finish(&mut self) -> Option<Flushed> {
        let count = std::mem::take(&mut self.flushing);
        let (first, _) = self.queue.front()?;
        if self.fail_next {
            self.fail_next = false;
            return Some(Flushed::Failed(*first));
        }
        let mut upto = *first;
        let mut written = Vec::with_capacity(count);
        for (ticket, batch) in self.queue.drain(..count) {
            upto = ticket;
            // Now and then a batch crosses its binary form, as it does in production.
            let batch = if ticket.0 % 16 == 0 { through_bytes(batch) } else { batch };
            self.platter.write(batch.clone());
            written.push(batch);
        }
        Some(Flushed::Upto(upto, written))
    }

    /// The process ends well: everything reaches the platter.
    pub(super) fn flush(&mut self) -> Vec<DiskBatch> {
        self.flushing = 0;
        let batches: Vec<DiskBatch> = self.queue.drain(..).map(|(_, batch)| batch).collect();
        for batch in &batches {
            self.platter.write(batch.clone());
        }
        batches
    }

    /// The process died: of what was not flushed a prefix reached the platter, batches whole. Returns how
    /// many did and how many did not.
    pub(super) fn crash(&mut self, luck: &mut Luck) -> (Vec<DiskBatch>, usize) {
        self.flushing = 0;
        let queue = std::mem::take(&mut self.queue);
        let total = queue.len();
        let kept = match luck.below(4) {
            0 => 0,
            1 => total,
            _ => luck.between(0, total as u64) as usize,
        };
        let batches: Vec<DiskBatch> = queue.into_iter().take(kept).map(|(_, batch)| batch).collect();
        for batch in &batches {
            self.platter.write(batch.clone());
        }
        (batches, total - kept)
    }

    /// The disk is gone.
    pub(super) fn wipe(&mut self) {
        self.platter = Platter::default();
        self.queue.clear();
        self.flushing = 0;
        self.fail_next = false;
    }

    /// From now on no flush stalls.
    pub(super) fn calm(&mut self) {
        self.stall_permille = 0;
        self.factor = 1;
        self.fail_next = false;
    }

    /// Batches that are not on the platter.
    pub(super) fn backlog(&self) -> usize {
        self.queue.len()
    }
}

fn through_bytes(batch: DiskBatch) -> DiskBatch {
    let raft = batch.raft.map(|raft| {
        let mut bytes = Vec::new();
        raft.encode(&mut bytes);
        Batch::decode(Bytes::from(bytes)).expect("a batch survives its own encoding")
    });
    DiskBatch { raft, local: batch.local }
}

/// The log of a server as it stands in memory: what its disk will hold once everything is flushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadow {
    entries: VecDeque<Entry>,
    /// The position before the first entry.
    base: (u64, u64),
}

impl Shadow {
    /// What a process finds when it starts.
    pub(super) fn of(platter: &Platter) -> Shadow {
        let base = platter.snapshot.as_ref().map_or((0, 0), |(meta, _)| (meta.index.0, meta.term.0));
        let entries = platter.log.iter().filter(|e| e.index.0 > base.0).cloned().collect();
        Shadow { entries, base }
    }

    pub(super) fn truncate_from(&mut self, from: Index) {
        while self.entries.back().is_some_and(|e| e.index >= from) {
            self.entries.pop_back();
        }
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// The term before the next entry, if it is known.
    pub(super) fn last(&self) -> (u64, u64) {
        self.entries.back().map_or(self.base, |e| (e.index.0, e.term.0))
    }

    pub(super) fn install(&mut self, meta: &SnapshotMeta) {
        let keep = self.get(meta.index.0).is_some_and(|e| e.term == meta.term);
        if keep {
            while self.entries.front().is_some_and(|e| e.index <= meta.index) {
                self.entries.pop_front();
            }
        } else {
            self.entries.clear();
        }
        self.base = (meta.index.0, meta.term.0);
    }

    pub(super) fn get(&self, index: u64) -> Option<&Entry> {
        let first = self.entries.front()?.index.0;
        self.entries.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// Everything up to here is within the snapshot.
    pub(super) fn base(&self) -> u64 {
        self.base.0
    }

    /// The entries after `index` that change the membership, newest first.
    pub(super) fn memberships_after(&self, index: u64) -> impl Iterator<Item = &Entry> {
        let newer = self.entries.iter().rev().take_while(move |e| e.index.0 > index);
        newer.filter(|e| matches!(e.payload, Payload::Membership(_)))
    }

    /// The newest membership in the entries up to `index`.
    pub(super) fn membership_at(&self, index: u64) -> Option<&Membership> {
        self.entries.iter().rev().skip_while(|e| e.index.0 > index).find_map(|e| match &e.payload {
            Payload::Membership(membership) => Some(membership),
            _ => None,
        })
    }

    /// The newest membership in the entries.
    pub(super) fn membership(&self) -> Option<&Membership> {
        self.membership_at(u64::MAX)
    }
}
