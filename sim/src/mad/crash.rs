//! The storage layer alone, on a disk that fails: no node, no clock, only batches.
//!
//! [`run`] writes random batches through [`RedbStorage`] and lets the disk fail at a random operation;
//! then it opens what is left and compares it with a model. What must hold:
//!
//! - a batch whose write returned is there, whole;
//! - the batches of the write that failed are all there or none of them;
//! - nothing else is there, and the file opens without anybody's help.

use super::disk::{FullOn, SimDisk};
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::ids::{Index, Term};
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::{Batch, Entry, HardState, Membership, Payload, SnapshotMeta};
use lictor_core::rng::{Rng, Seed};
use lictor_io::storage::StorageError;
use lictor_io::storage::redb::RedbStorage;
use std::collections::BTreeMap;

/// How the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed at a random operation, also while a file is opened.
    Kill,
    /// The power goes at a random operation, also while a file is opened.
    PowerCut,
    /// A flush fails, and the process starts again.
    SyncFails,
    /// The disk is full, and the process starts again once there is room.
    Full(FullOn),
}

/// What a run has seen, so that a sweep can tell whether it met what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Writes that returned.
    pub acknowledged: u64,
    /// Failures, by what was left of the write that failed: nothing, or all of it.
    pub failed_absent: u64,
    /// See [`Seen::failed_absent`].
    pub failed_present: u64,
    /// Failures while the file was being opened.
    pub failed_opening: u64,
}

/// Eight lives of one disk, each ended by `fault`.
///
/// # Errors
/// What does not hold, in words.
pub fn run(seed: u64, fault: Fault) -> Result<Seen, String> {
    let mut rng = Rng::new(Seed::from_u64(seed)).fork("sim.crash");
    let disk = SimDisk::new(Seed::from_u64(seed));
    lay_down(&disk).map_err(|e| e.to_string())?;
    let (mut model, mut seen) = (Model::default(), Seen::default());
    for life in 0..8 {
        arm(&disk, fault, &mut rng);
        let Some(mut storage) =
            open(&disk, fault, &model, &mut seen).map_err(|e| format!("life {life}: {e}"))?
        else {
            continue;
        };
        loop {
            let mut next = model.clone();
            let batches: Vec<DiskBatch> = (0..=rng.below(3)).map(|_| next.random_batch(&mut rng)).collect();
            if storage.commit(&batches).is_ok() {
                model = next;
                seen.acknowledged += 1;
                continue;
            }
            drop(storage);
            heal(&disk, fault);
            let found = reopen(&disk).map_err(|e| format!("life {life}: after a failed write: {e}"))?;
            if found == model.image() {
                seen.failed_absent += 1;
            } else if found == next.image() {
                seen.failed_present += 1;
                model = next;
            } else {
                return Err(format!("life {life}: {}", difference(&model.image(), &next.image(), &found)));
            }
            break;
        }
    }
    Ok(seen)
}

fn arm(disk: &SimDisk, fault: Fault, rng: &mut Rng) {
    match fault {
        Fault::Kill | Fault::PowerCut => disk.stop_after(rng.below(150)),
        Fault::SyncFails => disk.fail_sync_after(rng.below(20)),
        Fault::Full(on) => {
            disk.set_capacity(1 << 30, on);
            disk.leave_free(rng.below(1 << 20));
        }
    }
}

fn heal(disk: &SimDisk, fault: Fault) {
    match fault {
        Fault::PowerCut => disk.start_after_power_cut(),
        Fault::Kill | Fault::SyncFails | Fault::Full(_) => disk.start_after_kill(),
    }
    disk.leave_free(256 << 20);
}

/// Makes the file as `RedbStorage::open` does: whole in another place, then renamed.
///
/// # Errors
/// A healthy disk is refused.
pub fn lay_down(disk: &SimDisk) -> Result<(), StorageError> {
    let new = SimDisk::new(Seed::from_u64(0));
    RedbStorage::lay_down(new.file())?;
    disk.put(&new);
    Ok(())
}

/// Opens the file while it may fail; `None` if it did, and what was left is as it must be.
fn open(disk: &SimDisk, fault: Fault, model: &Model, seen: &mut Seen) -> Result<Option<RedbStorage>, String> {
    match RedbStorage::open_backend(disk.file()) {
        Ok((storage, image)) if comparable(&image) == model.image() => Ok(Some(storage)),
        Ok((_, image)) => Err(difference(&model.image(), &model.image(), &comparable(&image))),
        Err(_) => {
            seen.failed_opening += 1;
            heal(disk, fault);
            let found = reopen(disk).map_err(|e| format!("after a failed opening: {e}"))?;
            if found == model.image() {
                Ok(None)
            } else {
                Err(difference(&model.image(), &model.image(), &found))
            }
        }
    }
}

fn reopen(disk: &SimDisk) -> Result<Comparable, String> {
    let (storage, image) = RedbStorage::open_backend(disk.file()).map_err(|e| e.to_string())?;
    drop(storage);
    Ok(comparable(&image))
}

/// A file of `batches` random batches, closed properly, and what it holds.
///
/// # Panics
/// A healthy disk is refused.
pub fn healthy(seed: u64, batches: u64) -> (SimDisk, Comparable) {
    let mut rng = Rng::new(Seed::from_u64(seed)).fork("sim.crash");
    let disk = SimDisk::new(Seed::from_u64(seed));
    lay_down(&disk).expect("a healthy disk takes a file");
    let (mut storage, _) = RedbStorage::open_backend(disk.file()).expect("a new file opens");
    let mut model = Model::default();
    for _ in 0..batches {
        let batch = model.random_batch(&mut rng);
        storage.commit(&[batch]).expect("a healthy disk takes a batch");
    }
    (disk, model.image())
}

/// What a file holds, in a shape that can be compared.
pub type Comparable = (HardState, Option<SnapshotMeta>, Option<Bytes>, Vec<Entry>, BTreeMap<String, Bytes>);

/// An image in that shape.
pub fn comparable(image: &DiskImage) -> Comparable {
    (
        image.raft.hard.clone(),
        image.raft.snapshot.clone(),
        image.snapshot.clone(),
        image.raft.log.clone(),
        image.local.iter().cloned().collect(),
    )
}

fn difference(old: &Comparable, new: &Comparable, found: &Comparable) -> String {
    let part = |name, old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
        let (old, new, found) = (format!("{old:?}"), format!("{new:?}"), format!("{found:?}"));
        if found == old && found == new {
            String::new()
        } else {
            format!("\n{name}: acknowledged {old}\n  or in flight {new}\n  found {found}")
        }
    };
    let keys = |c: &Comparable| c.3.iter().map(|e| (e.index.0, e.term.0)).collect::<Vec<_>>();
    format!(
        "neither the acknowledged state nor the one in flight was found{}{}{}{}",
        part("hard state", &old.0, &new.0, &found.0),
        part("snapshot", &old.1, &new.1, &found.1),
        part("log", &keys(old), &keys(new), &keys(found)),
        part("local", &old.4, &new.4, &found.4),
    )
}

/// What the disk must hold, as plain maps.
#[derive(Clone, Debug, Default)]
struct Model {
    hard: HardState,
    snapshot: Option<(SnapshotMeta, Bytes)>,
    log: BTreeMap<u64, Entry>,
    local: BTreeMap<String, Bytes>,
}

impl Model {
    fn image(&self) -> Comparable {
        let (meta, data) = self.snapshot.clone().unzip();
        (self.hard.clone(), meta, data, self.log.values().cloned().collect(), self.local.clone())
    }

    fn last(&self) -> u64 {
        let snapshot = self.snapshot.as_ref().map_or(0, |(meta, _)| meta.index.0);
        self.log.keys().next_back().copied().unwrap_or(0).max(snapshot)
    }

    /// A batch as raft makes them, already applied to the model.
    fn random_batch(&mut self, rng: &mut Rng) -> DiskBatch {
        let mut batch = Batch::default();
        if rng.ratio(1, 6) {
            self.hard.term = Term(self.hard.term.0 + 1);
            self.hard.voted_for = rng.ratio(1, 2).then(|| Str::from("n1"));
            batch.hard = Some(self.hard.clone());
        }
        if rng.ratio(1, 10) && !self.log.is_empty() {
            let from = self.last() - rng.below(self.log.len().min(5) as u64);
            self.log.split_off(&from);
            batch.truncate_from = Some(Index(from));
        }
        let sizes = [10, 300, 300, 3000, 60_000];
        for _ in 0..rng.below(4) {
            let index = self.last() + 1;
            let size = sizes[rng.below(sizes.len() as u64) as usize];
            let entry = Entry {
                index: Index(index),
                term: Term(self.hard.term.0),
                payload: Payload::Command(random_bytes(rng, size)),
            };
            self.log.insert(index, entry.clone());
            batch.append.push(entry);
        }
        if rng.ratio(1, 12) && !self.log.is_empty() {
            let meta = SnapshotMeta {
                index: Index(self.last()),
                term: self.hard.term,
                membership: Membership::of_voters([Str::from("n1")]),
            };
            let size = [0, 5000, 1 << 20, (1 << 20) + 1][rng.below(4) as usize];
            let data = random_bytes(rng, size);
            self.snapshot = Some((meta.clone(), data.clone()));
            batch.snapshot = Some((meta, data));
            let upto = self.last().saturating_sub(rng.below(10));
            self.log = self.log.split_off(&(upto + 1));
            batch.compact_to = Some(Index(upto));
        }
        let mut local = Vec::new();
        for _ in 0..rng.below(3) {
            let key = format!("check/{}", rng.below(12));
            if rng.ratio(1, 3) {
                self.local.remove(&key);
                local.push(LocalWrite::Delete { key });
            } else {
                let size = rng.below(500) as usize;
                let value = random_bytes(rng, size);
                self.local.insert(key.clone(), value.clone());
                local.push(LocalWrite::Put { key, value });
            }
        }
        DiskBatch { raft: (!batch.is_empty()).then_some(batch), local }
    }
}

/// Half of it compresses to nothing, as state does.
fn random_bytes(rng: &mut Rng, len: usize) -> Bytes {
    let mut bytes = vec![rng.next_u64() as u8; len];
    for chunk in bytes.chunks_exact_mut(64) {
        chunk[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
    }
    Bytes::from(bytes)
}
