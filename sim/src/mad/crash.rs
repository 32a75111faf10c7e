//! The storage layer alone, on a disk that fails: no node, no clock, only batches.
//!
//! [`run`] writes random batches through [`LogStorage`] and lets the disk fail at a random operation;
//! then it opens what is left and compares it with a model, plain maps in memory. What must hold:
//!
//! - a batch whose write returned is there, whole;
//! - the batches of the write that failed are all there or none of them;
//! - nothing else is there, and the directory opens without anybody's help.

use super::batches::{Comparable, Model, comparable, difference};
use super::directory::SimDirectory;
use super::disk::{FullOn, SimDisk};
use lictor_core::node::DiskBatch;
use lictor_core::rng::{Rng, Seed};
use lictor_io::storage::log::LogStorage;

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
