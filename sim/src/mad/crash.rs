//! The storage layer alone, on a disk that fails: no node, no clock, only batches.
//!
//! [`run`] writes random batches through [`LogStorage`] and lets the disk fail at a random operation;
//! then it opens what is left and compares it with a model, plain maps in memory. What must hold:
//!
//! - a batch whose write returned is there, whole;
//! - the batches of the write that failed are all there or none of them;
//! - nothing else is there, and the directory opens without anybody's help.

use super::disk::{FullOn, SimDirectory, SimDisk};
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::ids::{Index, Term};
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::{Batch, Entry, HardState, Membership, Payload, SnapshotMeta};
use lictor_core::rng::{Rng, Seed};
use lictor_io::storage::directory::Directory;
use lictor_io::storage::log::LogStorage;
use redb::TableDefinition;
use std::collections::BTreeMap;

/// Small, so that a run has many; larger frames have segments of their own.
pub const SEGMENT_BYTES: u64 = 48 << 10;

/// How the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed at a random operation, also while the directory is opened.
    Kill,
    /// The power goes at a random operation, also while the directory is opened.
    PowerCut,
    /// The one or the other: what a killed process left unflushed may go later.
    KillOrPowerCut,
    /// A flush fails, and the process starts again.
    SyncFails,
    /// The disk is full, and the process starts again once there is room.
    Full(FullOn),
}

type Storage = LogStorage<SimDirectory>;

/// What a run has seen, so that a sweep can tell whether it met what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Writes that returned.
    pub acknowledged: u64,
    /// Failures, by what was left of the write that failed: nothing, or all of it.
    pub failed_absent: u64,
    /// See [`Seen::failed_absent`].
    pub failed_present: u64,
    /// Failures while the directory was being opened.
    pub failed_opening: u64,
}

/// Eight lives of one disk, each ended by `fault`.
///
/// # Errors
/// What does not hold, in words.
pub fn run(seed: u64, fault: Fault) -> Result<Seen, String> {
    let mut rng = Rng::new(Seed::from_u64(seed)).fork("sim.crash");
    let disk = SimDisk::new(Seed::from_u64(seed));
    let (mut model, mut seen) = (Model::default(), Seen::default());
    for life in 0..8 {
        arm(&disk, fault, &mut rng);
        let Some(mut storage) =
            open(&disk, fault, &model, &mut seen, &mut rng).map_err(|e| format!("life {life}: {e}"))?
        else {
            continue;
        };
        loop {
            let mut next = model.clone();
            let batches: Vec<DiskBatch> = (0..=rng.below(3)).map(|_| next.random_batch(&mut rng)).collect();
            if storage.commit(&batches).is_ok() {
                model = next;
                seen.acknowledged += 1;
                if fault == Fault::SyncFails && !disk.sync_will_fail() {
                    // It hit a segment that was being made ahead, which is made again when it is needed.
                    arm(&disk, fault, &mut rng);
                }
                continue;
            }
            drop(storage);
            heal(&disk, fault, &mut rng);
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

/// The same 25 batches for every `seed`, and the power goes before operation `stop`; the content is
/// judged as in [`run`]. `false` once all batches are written before that operation.
///
/// # Errors
/// What does not hold, in words.
pub fn run_until(script: u64, seed: u64, stop: u64) -> Result<bool, String> {
    let mut rng = Rng::new(Seed::from_u64(script)).fork("sim.crash");
    let disk = SimDisk::new(Seed::from_u64(seed));
    disk.stop_after(stop);
    let (mut model, mut next) = (Model::default(), Model::default());
    let opened = LogStorage::open(disk.directory(), SEGMENT_BYTES);
    if let Ok((mut storage, _)) = opened {
        for _ in 0..25 {
            let batch = next.random_batch(&mut rng);
            if storage.commit(&[batch]).is_err() {
                break;
            }
            model = next.clone();
        }
    }
    let stopped = disk.is_stopped();
    disk.start_after_power_cut();
    let found = reopen(&disk)?;
    // Opening again, after another cut, finds the same.
    disk.start_after_power_cut();
    if (found == model.image() || found == next.image()) && reopen(&disk)? == found {
        Ok(stopped)
    } else {
        Err(difference(&model.image(), &next.image(), &found))
    }
}

/// A disk that reports flushes and makes none, for a while, and then loses power. What can be read must be
/// an earlier state, whole; `None` where it is refused.
///
/// # Errors
/// It reads as something that never was.
pub fn run_lying(seed: u64) -> Result<Option<usize>, String> {
    let mut rng = Rng::new(Seed::from_u64(seed)).fork("sim.lies");
    let disk = SimDisk::new(Seed::from_u64(seed));
    let (mut storage, _) = LogStorage::open(disk.directory(), SEGMENT_BYTES).map_err(|e| e.to_string())?;
    let (mut model, mut states) = (Model::default(), vec![Model::default().image()]);
    let (honest, lying) = (rng.below(40), 1 + rng.below(20));
    for i in 0..honest + lying {
        if i == honest {
            disk.lie();
        }
        storage.commit(&[model.random_batch(&mut rng)]).map_err(|e| e.to_string())?;
        states.push(model.image());
    }
    disk.stop();
    drop(storage);
    disk.start_after_power_cut();
    match LogStorage::open(disk.directory(), SEGMENT_BYTES) {
        Err(_) => Ok(None),
        Ok((_, image)) => {
            let found = comparable(&image);
            let age = states.iter().rev().position(|state| *state == found);
            let age = age.ok_or_else(|| difference(&states[0], &model.image(), &found))?;
            if age as u64 <= lying {
                Ok(Some(age))
            } else {
                Err(format!("{age} batches are gone, {lying} were lied about"))
            }
        }
    }
}

fn arm(disk: &SimDisk, fault: Fault, rng: &mut Rng) {
    match fault {
        Fault::Kill | Fault::PowerCut | Fault::KillOrPowerCut => disk.stop_after(rng.below(150)),
        Fault::SyncFails => disk.fail_sync_after(rng.below(20)),
        Fault::Full(on) => {
            disk.set_capacity(1 << 30, on);
            disk.leave_free(rng.below(1 << 20));
        }
    }
}

fn heal(disk: &SimDisk, fault: Fault, rng: &mut Rng) {
    match fault {
        Fault::PowerCut => disk.start_after_power_cut(),
        Fault::KillOrPowerCut if rng.ratio(1, 2) => disk.start_after_power_cut(),
        Fault::Kill | Fault::KillOrPowerCut | Fault::SyncFails | Fault::Full(_) => disk.start_after_kill(),
    }
    disk.leave_free(256 << 20);
}

/// Opens the directory while it may fail; `None` if it did, and what was left is as it must be.
fn open(
    disk: &SimDisk,
    fault: Fault,
    model: &Model,
    seen: &mut Seen,
    rng: &mut Rng,
) -> Result<Option<Storage>, String> {
    match LogStorage::open(disk.directory(), SEGMENT_BYTES) {
        Ok((storage, image)) if comparable(&image) == model.image() => Ok(Some(storage)),
        Ok((_, image)) => Err(difference(&model.image(), &model.image(), &comparable(&image))),
        Err(_) => {
            seen.failed_opening += 1;
            heal(disk, fault, rng);
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
    let (storage, image) = LogStorage::open(disk.directory(), SEGMENT_BYTES).map_err(|e| e.to_string())?;
    drop(storage);
    Ok(comparable(&image))
}

/// A directory of format 1, as the version before left it, is taken over, and the power goes before
/// operation `stop`. Whatever is left reads as before. `false` once it is taken over before that.
///
/// # Errors
/// What does not hold, in words.
pub fn run_taking_over(seed: u64, stop: u64) -> Result<bool, String> {
    let mut rng = Rng::new(Seed::from_u64(1)).fork("sim.crash");
    let mut model = Model::default();
    (0..40).for_each(|_| drop(model.random_batch(&mut rng)));
    let disk = SimDisk::new(Seed::from_u64(seed));
    model.write_format1(&disk).map_err(|e| e.to_string())?;
    disk.stop_after(stop);
    let opened = LogStorage::open(disk.directory(), SEGMENT_BYTES);
    let stopped = disk.is_stopped();
    if let Ok((mut storage, image)) = opened {
        if comparable(&image) != model.image() {
            return Err(difference(&model.image(), &model.image(), &comparable(&image)));
        }
        if !stopped {
            let batch = model.random_batch(&mut rng);
            disk.stop_after(1 << 32);
            storage.commit(&[batch]).map_err(|e| e.to_string())?;
        }
    }
    disk.start_after_power_cut();
    let found = reopen(&disk)?;
    if found == model.image() { Ok(stopped) } else { Err(difference(&model.image(), &model.image(), &found)) }
}

/// A directory of `batches` random batches, closed properly, and what it holds.
///
/// # Panics
/// A healthy disk is refused.
pub fn healthy(seed: u64, batches: u64) -> (SimDisk, Comparable) {
    let mut rng = Rng::new(Seed::from_u64(seed)).fork("sim.crash");
    let disk = SimDisk::new(Seed::from_u64(seed));
    let (mut storage, _) =
        LogStorage::open(disk.directory(), SEGMENT_BYTES).expect("an empty disk takes a state");
    let mut model = Model::default();
    for _ in 0..batches {
        let batch = model.random_batch(&mut rng);
        storage.commit(&[batch]).expect("a healthy disk takes a batch");
    }
    (disk, model.image())
}

/// What a directory holds, in a shape that can be compared.
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

    /// Leaves it on a disk as format 1 did: all in one redb file.
    fn write_format1(&self, disk: &SimDisk) -> Result<(), redb::Error> {
        let file = disk.directory().create("state.redb")?;
        let db = redb::Builder::new().create_with_backend(file)?;
        let write = db.begin_write()?;
        let seal = |value: &[u8]| [&crc32c::crc32c(value).to_be_bytes()[..], value].concat();
        {
            let mut meta = write.open_table(TableDefinition::<&str, &[u8]>::new("meta"))?;
            let mut log = write.open_table(TableDefinition::<u64, &[u8]>::new("log"))?;
            let mut chunks = write.open_table(TableDefinition::<u64, &[u8]>::new("snapshot"))?;
            let mut local = write.open_table(TableDefinition::<&str, &[u8]>::new("local"))?;
            meta.insert("format", seal(&1u32.to_be_bytes()).as_slice())?;
            let mut hard = Vec::new();
            self.hard.encode(&mut hard);
            meta.insert("hard", seal(&hard).as_slice())?;
            if let Some((head, data)) = &self.snapshot {
                let mut value = (data.len() as u64).to_be_bytes().to_vec();
                head.encode(&mut value);
                meta.insert("snapshot", seal(&value).as_slice())?;
                for (i, chunk) in data.chunks(1 << 20).enumerate() {
                    chunks.insert(i as u64, seal(chunk).as_slice())?;
                }
            }
            for (index, entry) in &self.log {
                let mut value = Vec::new();
                entry.encode(&mut value);
                log.insert(index, seal(&value).as_slice())?;
            }
            for (key, value) in &self.local {
                local.insert(key.as_str(), seal(value).as_slice())?;
            }
        }
        write.commit()?;
        drop(db);
        disk.directory().sync()?;
        Ok(())
    }

    /// A batch as raft makes them, already applied to the model.
    fn random_batch(&mut self, rng: &mut Rng) -> DiskBatch {
        let mut batch = Batch::default();
        if rng.ratio(1, 6) {
            self.hard.term = Term(self.hard.term.0 + 1);
            self.hard.voted_for = rng.ratio(1, 2).then(|| Str::from("n1"));
            batch.hard = Some(self.hard.clone());
        }
        // Never into the snapshot: what it covers was committed.
        let loose = self.last() - self.snapshot.as_ref().map_or(0, |(meta, _)| meta.index.0);
        if rng.ratio(1, 10) && loose > 0 {
            let from = self.last() - rng.below(loose.min(5));
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
