//! One simulated disk: what redb wrote, what of it is flushed, and what a crash leaves.
//!
//! The unit is the sector of 512 bytes, the largest piece that a disk writes whole. Between two
//! flushes a sector may be written several times; a power cut leaves any of the versions it had since
//! the last flush, each sector on its own. The length of the file is such a piece too. A killed
//! process loses nothing: what it wrote is in the page cache.

use lictor_core::rng::{Rng, Seed};
use redb::StorageBackend;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are written together or not at all.
pub const SECTOR: usize = 512;

/// A disk with one file on it. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<Disk>>);

/// Where the disk refuses once it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullOn {
    /// Growing the file takes the space, as on file systems that allocate at once.
    Grow,
    /// The file grows as a hole, and the write that first touches a sector finds no space.
    Write,
}

/// What the disk has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, changes of length and flushes.
    pub ops: u64,
    /// Flushes that succeeded.
    pub syncs: u64,
    /// Over every operation with its bytes: two runs that did the same have the same.
    pub hash: u64,
}

#[derive(Debug)]
struct Disk {
    rng: Rng,
    /// What reads see.
    cache: Vec<u8>,
    /// What is flushed.
    durable: Vec<u8>,
    /// Every content that a sector had since the last flush, oldest first.
    unsynced: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    /// Sectors that take space.
    allocated: BTreeSet<usize>,
    counts: Counts,
    /// Operations until the process and its disk stop.
    stop_after: Option<u64>,
    stopped: bool,
    /// Counts the processes that had the file; only the newest one reaches it.
    life: u64,
    /// Flushes until one fails.
    sync_fails_after: Option<u64>,
    full_on: FullOn,
    /// Bytes on the whole disk, and how many of them others hold.
    capacity: u64,
    others: u64,
}

impl SimDisk {
    /// An empty disk of 1 GiB. Everything that is left to chance is drawn from `seed`.
    pub fn new(seed: Seed) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(Disk {
            rng: Rng::new(seed).fork("sim.disk"),
            cache: Vec::new(),
            durable: Vec::new(),
            unsynced: BTreeMap::new(),
            allocated: BTreeSet::new(),
            counts: Counts::default(),
            stop_after: None,
            stopped: false,
            life: 0,
            sync_fails_after: None,
            full_on: FullOn::Grow,
            capacity: 1 << 30,
            others: 0,
        })))
    }

    /// The file, for a new process: what an older one still does to it fails.
    pub fn file(&self) -> SimFile {
        let mut disk = self.disk();
        disk.life += 1;
        SimFile { disk: self.clone(), life: disk.life }
    }

    /// Another disk with the content that this one has flushed, bit for bit.
    pub fn copy(&self, seed: Seed) -> SimDisk {
        let copy = SimDisk::new(seed);
        copy.put(self);
        copy
    }

    /// Renames the file of `other` over this one's, and flushes that.
    pub fn put(&self, other: &SimDisk) {
        let durable = other.disk().durable.clone();
        let mut disk = self.disk();
        disk.allocated = (0..durable.len().div_ceil(SECTOR)).collect();
        disk.cache.clone_from(&durable);
        disk.durable = durable;
        disk.unsynced.clear();
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

    /// Flips one bit of what is flushed, as a disk does that has gone bad.
    ///
    /// # Panics
    /// The byte is not there.
    pub fn flip_bit(&self, byte: usize, bit: u8) {
        let mut disk = self.disk();
        disk.durable[byte] ^= 1 << (bit & 7);
        disk.cache = disk.durable.clone();
        disk.unsynced.clear();
    }

    /// Cuts the file short, as a failed copy does.
    pub fn cut_short(&self, len: usize) {
        let mut disk = self.disk();
        disk.durable.truncate(len);
        disk.cache = disk.durable.clone();
        disk.unsynced.clear();
    }

    /// Length of what is flushed.
    pub fn len(&self) -> usize {
        self.disk().durable.len()
    }

    /// Whether nothing was ever flushed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.disk().counts
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Counts an operation of a process, if that process can still do any.
    fn begin(&mut self, life: u64, what: u64, at: u64, data: &[u8]) -> Result<()> {
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

    fn reach(&self, life: u64) -> Result<()> {
        if self.stopped || life != self.life { Err(stopped()) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        match self.full_on {
            FullOn::Grow => self.cache.len() as u64,
            FullOn::Write => (self.allocated.len() * SECTOR) as u64,
        }
    }

    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.others).saturating_sub(self.used())
    }

    fn set_len(&mut self, len: usize) -> Result<()> {
        let grown = len.saturating_sub(self.cache.len()) as u64;
        if self.full_on == FullOn::Grow && grown > self.free() {
            return Err(no_space());
        }
        self.cache.resize(len, 0);
        self.unsynced.retain(|sector, _| sector * SECTOR < len);
        self.allocated.retain(|sector| sector * SECTOR < len);
        Ok(())
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Result<()> {
        let end = at.checked_add(data.len()).filter(|end| *end <= self.cache.len()).ok_or_else(outside)?;
        let sectors = at / SECTOR..end.div_ceil(SECTOR);
        let new = sectors.clone().filter(|s| !self.allocated.contains(s)).count() * SECTOR;
        if self.full_on == FullOn::Write && new as u64 > self.free() {
            return Err(no_space());
        }
        self.cache[at..end].copy_from_slice(data);
        for sector in sectors {
            let content = sector_of(&self.cache, sector);
            self.allocated.insert(sector);
            self.unsynced.entry(sector).or_default().push(content);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if let Some(left) = &mut self.sync_fails_after {
            if *left == 0 {
                self.sync_fails_after = None;
                self.settle_unsynced();
                return Err(Error::other("Input/output error (os error 5)"));
            }
            *left -= 1;
        }
        self.durable.resize(self.cache.len(), 0);
        for sector in std::mem::take(&mut self.unsynced).into_keys() {
            put_sector(&mut self.durable, sector, &sector_of(&self.cache, sector));
        }
        self.counts.syncs += 1;
        Ok(())
    }

    /// Chance decides what became of everything that was not flushed.
    fn settle_unsynced(&mut self) {
        // Sometimes all of it is there, sometimes none, mostly some.
        let kept_of_8 = [0, 1, 4, 7, 8][self.rng.below(5) as usize];
        if self.rng.ratio(kept_of_8, 8) {
            self.durable.resize(self.cache.len(), 0);
        }
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            if self.rng.ratio(kept_of_8, 8) {
                let version = self.rng.below(versions.len() as u64) as usize;
                put_sector(&mut self.durable, sector, &versions[version]);
            }
        }
        self.cache = self.durable.clone();
    }
}

/// The disk's file as one process sees it.
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    life: u64,
}

impl StorageBackend for SimFile {
    fn len(&self) -> Result<u64> {
        Ok(self.disk.disk().cache.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let disk = self.disk.disk();
        disk.reach(self.life)?;
        let from = usize::try_from(offset).map_err(|_| outside())?;
        let end = from.checked_add(out.len()).ok_or_else(outside)?;
        out.copy_from_slice(disk.cache.get(from..end).ok_or_else(outside)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, 1, len, &[])?;
        disk.set_len(usize::try_from(len).map_err(|_| outside())?)
    }

    fn sync_data(&self) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, 2, 0, &[])?;
        disk.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, 3, offset, data)?;
        disk.write(usize::try_from(offset).map_err(|_| outside())?, data)
    }
}

/// The last sector of a file may be cut short.
fn sector_of(bytes: &[u8], sector: usize) -> [u8; SECTOR] {
    let (from, mut content) = (sector * SECTOR, [0; SECTOR]);
    let end = bytes.len().min(from + SECTOR);
    content[..end - from].copy_from_slice(&bytes[from..end]);
    content
}

/// Beyond the end of the file nothing is kept.
fn put_sector(bytes: &mut [u8], sector: usize, content: &[u8; SECTOR]) {
    let from = sector * SECTOR;
    let end = bytes.len().min(from + SECTOR);
    if from < end {
        bytes[from..end].copy_from_slice(&content[..end - from]);
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::NotConnected, "this process has no disk any more")
}

fn no_space() -> Error {
    Error::new(ErrorKind::StorageFull, "No space left on device (os error 28)")
}

fn outside() -> Error {
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
    use super::*;

    fn disk() -> (SimDisk, SimFile) {
        let disk = SimDisk::new(Seed::from_u64(1));
        let file = disk.file();
        file.set_len(4 * SECTOR as u64).unwrap();
        file.sync_data().unwrap();
        (disk, file)
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
        let file = disk.file();
        assert_eq!((read(&file, 0), read(&file, 600)), (b'a', b'b'));
        disk.start_after_power_cut();
        let file = disk.file();
        assert_eq!(read(&file, 0), b'a');
        assert!([0, b'b'].contains(&read(&file, 600)));
    }

    #[test]
    fn a_power_cut_leaves_each_sector_old_or_new_on_its_own() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::new(Seed::from_u64(seed));
            let file = disk.file();
            file.set_len(1024).unwrap();
            file.sync_data().unwrap();
            file.write(0, &[1; 1024]).unwrap();
            file.write(0, &[2; 1024]).unwrap();
            disk.start_after_power_cut();
            let file = disk.file();
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
            let file = disk.file();
            file.set_len(512).unwrap();
            file.sync_data().unwrap();
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
}
