//! One simulated disk with one directory: what was written, what of it is flushed, and what a crash leaves.
//!
//! The unit is the sector of 512 bytes, the largest piece that a disk writes whole. Between two
//! flushes a sector may be written several times; a power cut leaves any of the versions it had since
//! the last flush, each sector on its own. The length of a file is such a piece too. Files that were
//! made, renamed or removed are so for good once the directory is flushed; a power cut keeps the first
//! few of the changes since, as a journal does. A killed process loses nothing: what it wrote is in the
//! page cache.

use super::directory::SimDirectory;
use super::inode::Inode;
use lictor_core::rng::{Rng, Seed};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are written together or not at all.
pub const SECTOR: usize = 512;

/// A disk with one directory on it. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<Disk>>);

/// Where the disk refuses once it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullOn {
    /// Growing a file takes the space, as on file systems that allocate at once.
    Grow,
    /// A file grows as a hole, and the write that first touches a sector finds no space.
    Write,
}

/// What the disk has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, changes of length, changes of the directory, and flushes.
    pub ops: u64,
    /// Flushes of files that succeeded.
    pub syncs: u64,
    /// Over every operation with its bytes: two runs that did the same have the same.
    pub hash: u64,
}

type Names = BTreeMap<String, u64>;

#[derive(Debug)]
pub(super) struct Disk {
    rng: Rng,
    pub(super) files: BTreeMap<u64, Inode>,
    pub(super) made: u64,
    /// What processes see.
    pub(super) names: Names,
    /// What is flushed, and what happened since, in order.
    durable_names: Names,
    unsynced_names: Vec<NameChange>,
    counts: Counts,
    /// Operations until the process and its disk stop.
    stop_after: Option<u64>,
    stopped: bool,
    /// Counts the processes that had the directory; only the newest one reaches it.
    life: u64,
    /// Flushes until one fails.
    sync_fails_after: Option<u64>,
    /// Flushes report success and do nothing.
    lies: bool,
    full_on: FullOn,
    /// Bytes on the whole disk, and how many of them others hold.
    capacity: u64,
    others: u64,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Make(String, u64),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut Names) -> Result<()> {
        match self {
            NameChange::Make(name, file) => drop(names.insert(name.clone(), *file)),
            NameChange::Rename(from, to) => {
                let file = names.remove(from).ok_or_else(not_there)?;
                names.insert(to.clone(), file);
            }
            NameChange::Remove(name) => drop(names.remove(name).ok_or_else(not_there)?),
        }
        Ok(())
    }
}

impl SimDisk {
    /// An empty disk of 1 GiB. Everything that is left to chance is drawn from `seed`.
    pub fn new(seed: Seed) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(Disk {
            rng: Rng::new(seed).fork("sim.disk"),
            files: BTreeMap::new(),
            made: 0,
            names: Names::new(),
            durable_names: Names::new(),
            unsynced_names: Vec::new(),
            counts: Counts::default(),
            stop_after: None,
            stopped: false,
            life: 0,
            sync_fails_after: None,
            lies: false,
            full_on: FullOn::Grow,
            capacity: 1 << 30,
            others: 0,
        })))
    }

    /// The directory, for a new process: what an older one still does to it fails.
    pub fn directory(&self) -> SimDirectory {
        let mut disk = self.disk();
        disk.life += 1;
        SimDirectory::of(self.clone(), disk.life)
    }

    /// Another disk with the content that this one has flushed, bit for bit.
    pub fn copy(&self, seed: Seed) -> SimDisk {
        let copy = SimDisk::new(seed);
        for (name, content) in self.contents() {
            copy.put(&name, content);
        }
        copy
    }

    /// A file with this content, flushed, in place of one of that name.
    pub fn put(&self, name: &str, content: Vec<u8>) {
        let mut disk = self.disk();
        disk.made += 1;
        let file = disk.made;
        disk.files.insert(file, Inode::flushed(content));
        disk.names.insert(name.to_owned(), file);
        disk.durable_names.insert(name.to_owned(), file);
    }

    /// What is flushed of every file.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.disk();
        disk.durable_names
            .iter()
            .map(|(name, file)| (name.clone(), disk.files[file].durable.clone()))
            .collect()
    }

    /// Everything stops before the `ops`-th operation from now: it and all after it fail.
    pub fn stop_after(&self, ops: u64) {
        self.disk().stop_after = Some(ops);
    }

    /// Everything stops now.
    pub fn stop(&self) {
        self.disk().stopped = true;
    }

    /// Whether everything has stopped.
    pub fn is_stopped(&self) -> bool {
        self.disk().stopped
    }

    /// The disk again, after its process was killed: nothing is lost.
    pub fn start_after_kill(&self) {
        let mut disk = self.disk();
        disk.stop_after = None;
        disk.sync_fails_after = None;
        disk.lies = false;
        disk.stopped = false;
        disk.life += 1;
    }

    /// The disk again, after the power had gone: each sector that was not flushed has one of the
    /// contents that it had since the last flush.
    pub fn start_after_power_cut(&self) {
        self.start_after_kill();
        self.disk().settle_unsynced();
    }

    /// The `syncs`-th flush from now fails with EIO (0: the next one). Linux gives up the dirty pages
    /// of a failed flush: some reached the disk, some did not, and no later flush tries again.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.disk().sync_fails_after = Some(syncs);
    }

    /// Whether a flush is still to fail.
    pub fn sync_will_fail(&self) -> bool {
        self.disk().sync_fails_after.is_some()
    }

    /// From now on flushes succeed and do nothing, until the process ends.
    pub fn lie(&self) {
        self.disk().lies = true;
    }

    /// The disk's size, and where it refuses when it is full.
    pub fn set_capacity(&self, bytes: u64, full_on: FullOn) {
        let mut disk = self.disk();
        disk.capacity = bytes;
        disk.full_on = full_on;
    }

    /// Others fill the disk, or make room, until this many bytes are left.
    pub fn leave_free(&self, bytes: u64) {
        let mut disk = self.disk();
        disk.others = disk.capacity.saturating_sub(disk.used()).saturating_sub(bytes);
    }

    /// Bytes left, and the disk's size.
    pub fn space(&self) -> (u64, u64) {
        let disk = self.disk();
        (disk.free(), disk.capacity)
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.disk().counts
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Counts an operation of a process, if that process can still do any.
    pub(super) fn begin(&mut self, life: u64, what: u64, at: u64, data: &[u8]) -> Result<()> {
        self.reach(life)?;
        if let Some(left) = &mut self.stop_after {
            if *left == 0 {
                self.stopped = true;
                return Err(stopped());
            }
            *left -= 1;
        }
        self.counts.ops += 1;
        self.counts.hash = hash(hash(hash(self.counts.hash, &what.to_be_bytes()), &at.to_be_bytes()), data);
        Ok(())
    }

    pub(super) fn reach(&self, life: u64) -> Result<()> {
        if self.stopped || life != self.life { Err(stopped()) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        let files = self.names.values().map(|file| &self.files[file]);
        match self.full_on {
            FullOn::Grow => files.map(|file| file.cache.len() as u64).sum(),
            FullOn::Write => files.map(Inode::allocated).sum(),
        }
    }

    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.others).saturating_sub(self.used())
    }

    pub(super) fn file(&mut self, file: u64) -> Result<&mut Inode> {
        self.files.get_mut(&file).ok_or_else(not_there)
    }

    pub(super) fn set_len(&mut self, file: u64, len: usize) -> Result<()> {
        let grown = len.saturating_sub(self.file(file)?.cache.len()) as u64;
        if self.full_on == FullOn::Grow && grown > self.free() {
            return Err(no_space());
        }
        self.file(file)?.set_len(len);
        Ok(())
    }

    pub(super) fn write(&mut self, file: u64, at: usize, data: &[u8]) -> Result<()> {
        let new = self.file(file)?.would_allocate(at, data.len());
        if self.full_on == FullOn::Write && new > self.free() {
            return Err(no_space());
        }
        self.file(file)?.write(at, data)
    }

    pub(super) fn sync(&mut self, file: u64) -> Result<()> {
        if let Some(left) = &mut self.sync_fails_after {
            if *left == 0 {
                self.sync_fails_after = None;
                let mut rng = self.rng.clone();
                self.file(file)?.settle(&mut rng);
                self.rng = rng;
                return Err(Error::other("Input/output error (os error 5)"));
            }
            *left -= 1;
        }
        if !self.lies {
            self.file(file)?.sync();
        }
        self.counts.syncs += 1;
        Ok(())
    }

    pub(super) fn change(&mut self, change: NameChange) -> Result<()> {
        change.apply(&mut self.names)?;
        self.unsynced_names.push(change);
        Ok(())
    }

    pub(super) fn sync_names(&mut self) {
        if !self.lies {
            self.durable_names.clone_from(&self.names);
            self.unsynced_names.clear();
        }
    }

    /// Chance decides what became of everything that was not flushed.
    fn settle_unsynced(&mut self) {
        let changes = std::mem::take(&mut self.unsynced_names);
        let kept = self.rng.below(changes.len() as u64 + 1) as usize;
        for change in &changes[..kept] {
            change.apply(&mut self.durable_names).expect("a journal is played in order");
        }
        self.names.clone_from(&self.durable_names);
        let names = &self.names;
        self.files.retain(|file, _| names.values().any(|named| named == file));
        for file in self.files.values_mut() {
            file.settle(&mut self.rng);
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::NotConnected, "this process has no disk any more")
}

pub(super) fn not_there() -> Error {
    Error::new(ErrorKind::NotFound, "No such file or directory (os error 2)")
}

fn no_space() -> Error {
    Error::new(ErrorKind::StorageFull, "No space left on device (os error 28)")
}

pub(super) fn outside() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "outside of the file")
}

/// FNV-1a, eight bytes a step.
pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let step = |h: u64, n: u64| (h ^ n).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let mut h = seed ^ 0xcbf2_9ce4_8422_2325;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        h = step(h, u64::from_le_bytes(chunk.try_into().expect("a chunk of eight")));
    }
    for byte in chunks.remainder() {
        h = step(h, u64::from(*byte));
    }
    step(h, bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::directory::SimFile;
    use super::*;
    use lictor_io::storage::directory::Directory;
    use redb::StorageBackend;
    use std::collections::BTreeSet;

    fn disk() -> (SimDisk, SimFile) {
        let disk = SimDisk::new(Seed::from_u64(1));
        let file = made(&disk, 4 * SECTOR as u64);
        (disk, file)
    }

    /// A file of zeroes, flushed with its name.
    fn made(disk: &SimDisk, len: u64) -> SimFile {
        let dir = disk.directory();
        let file = dir.create("f").unwrap();
        file.set_len(len).unwrap();
        file.sync_data().unwrap();
        dir.sync().unwrap();
        file
    }

    fn again(disk: &SimDisk) -> SimFile {
        disk.directory().open("f").unwrap()
    }

    fn read(file: &SimFile, at: u64) -> u8 {
        let mut out = [0];
        file.read(at, &mut out).unwrap();
        out[0]
    }

    #[test]
    fn a_kill_loses_nothing_and_a_flush_outlives_a_power_cut() {
        let (disk, file) = disk();
        file.write(0, b"a").unwrap();
        file.sync_data().unwrap();
        file.write(600, b"b").unwrap();
        disk.stop();
        assert!(file.read(0, &mut [0]).is_err() && file.write(0, b"c").is_err());
        disk.start_after_kill();
        assert!(file.write(0, b"c").is_err(), "the killed process does not come back");
        let file = again(&disk);
        assert_eq!((read(&file, 0), read(&file, 600)), (b'a', b'b'));
        disk.start_after_power_cut();
        let file = again(&disk);
        assert_eq!(read(&file, 0), b'a');
        assert!([0, b'b'].contains(&read(&file, 600)));
    }

    #[test]
    fn a_power_cut_leaves_each_sector_old_or_new_on_its_own() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::new(Seed::from_u64(seed));
            let file = made(&disk, 1024);
            file.write(0, &[1; 1024]).unwrap();
            file.write(0, &[2; 1024]).unwrap();
            disk.start_after_power_cut();
            let file = again(&disk);
            seen.insert((read(&file, 0), read(&file, 512)));
            let mut sector = [0; SECTOR];
            file.read(0, &mut sector).unwrap();
            assert!(sector.iter().all(|b| *b == sector[0]), "a sector is never torn");
        }
        assert_eq!(seen.len(), 9, "old, first, second, for each of the two");
    }

    #[test]
    fn everything_stops_at_the_chosen_operation() {
        let (disk, file) = disk();
        disk.stop_after(1);
        file.write(0, b"a").unwrap();
        assert!(!disk.is_stopped());
        assert!(file.sync_data().is_err());
        assert!(disk.is_stopped());
    }

    #[test]
    fn a_failed_flush_fails_once_and_is_not_made_good_by_the_next() {
        let mut lost = 0;
        for seed in 0..50 {
            let disk = SimDisk::new(Seed::from_u64(seed));
            let file = made(&disk, 512);
            disk.fail_sync_after(0);
            file.write(0, b"a").unwrap();
            assert!(file.sync_data().is_err());
            file.sync_data().unwrap();
            lost += usize::from(read(&file, 0) == 0);
        }
        assert!((1..50).contains(&lost), "{lost} of 50");
    }

    #[test]
    fn a_full_disk_refuses_to_grow_or_to_fill_holes() {
        let (disk, file) = disk();
        disk.set_capacity(10 * SECTOR as u64, FullOn::Grow);
        disk.leave_free(SECTOR as u64);
        assert_eq!(disk.space().0, SECTOR as u64);
        assert_eq!(file.set_len(6 * SECTOR as u64).unwrap_err().kind(), ErrorKind::StorageFull);
        file.set_len(5 * SECTOR as u64).unwrap();
        disk.set_capacity(10 * SECTOR as u64, FullOn::Write);
        disk.leave_free(SECTOR as u64);
        file.set_len(9 * SECTOR as u64).unwrap();
        file.write(0, b"a").unwrap();
        assert_eq!(file.write(600, b"b").unwrap_err().kind(), ErrorKind::StorageFull);
        file.write(1, b"b").unwrap();
    }

    #[test]
    fn a_power_cut_keeps_the_first_few_changes_of_the_directory() {
        let mut seen = BTreeSet::new();
        for seed in 0..50 {
            let disk = SimDisk::new(Seed::from_u64(seed));
            let file = made(&disk, 512);
            let dir = disk.directory();
            assert!(file.write(0, b"a").is_err(), "an older process");
            dir.create("g").unwrap();
            dir.rename("g", "h").unwrap();
            dir.remove("f").unwrap();
            disk.start_after_power_cut();
            seen.insert(disk.directory().list().unwrap().concat());
        }
        assert_eq!(seen, ["f", "fg", "fh", "h"].map(String::from).into());
    }
}
