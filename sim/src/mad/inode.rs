//! The content of one file on a simulated disk: what reads see, what is flushed, and what lies between.

use super::disk::{SECTOR, outside};
use lictor_core::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Result;

/// A file without its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What reads see.
    pub(super) cache: Vec<u8>,
    /// What is flushed.
    pub(super) durable: Vec<u8>,
    /// Every content that a sector had since the last flush, oldest first.
    unsynced: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    /// Sectors that take space.
    allocated: BTreeSet<usize>,
}

impl Inode {
    /// A file whose whole content is flushed.
    pub(super) fn flushed(content: Vec<u8>) -> Inode {
        let allocated = (0..content.len().div_ceil(SECTOR)).collect();
        Inode { cache: content.clone(), durable: content, allocated, ..Inode::default() }
    }

    /// Bytes that are allocated one by one.
    pub(super) fn allocated(&self) -> u64 {
        (self.allocated.len() * SECTOR) as u64
    }

    /// Bytes that a write there would allocate.
    pub(super) fn would_allocate(&self, at: usize, len: usize) -> u64 {
        let sectors = at / SECTOR..(at + len).div_ceil(SECTOR);
        (sectors.filter(|s| !self.allocated.contains(s)).count() * SECTOR) as u64
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.cache.resize(len, 0);
        self.unsynced.retain(|sector, _| sector * SECTOR < len);
        self.allocated.retain(|sector| sector * SECTOR < len);
    }

    pub(super) fn read(&self, at: usize, out: &mut [u8]) -> Result<()> {
        let end = at.checked_add(out.len()).ok_or_else(outside)?;
        out.copy_from_slice(self.cache.get(at..end).ok_or_else(outside)?);
        Ok(())
    }

    pub(super) fn write(&mut self, at: usize, data: &[u8]) -> Result<()> {
        let end = at.checked_add(data.len()).filter(|end| *end <= self.cache.len()).ok_or_else(outside)?;
        self.cache[at..end].copy_from_slice(data);
        for sector in at / SECTOR..end.div_ceil(SECTOR) {
            let content = sector_of(&self.cache, sector);
            self.allocated.insert(sector);
            self.unsynced.entry(sector).or_default().push(content);
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.cache.len(), 0);
        for sector in std::mem::take(&mut self.unsynced).into_keys() {
            put_sector(&mut self.durable, sector, &sector_of(&self.cache, sector));
        }
    }

    /// Chance decides what became of everything that was not flushed.
    pub(super) fn settle(&mut self, rng: &mut Rng) {
        // Sometimes all of it is there, sometimes none, mostly some.
        let kept_of_8 = [0, 1, 4, 7, 8][rng.below(5) as usize];
        if rng.ratio(kept_of_8, 8) {
            self.durable.resize(self.cache.len(), 0);
        }
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            if rng.ratio(kept_of_8, 8) {
                let version = rng.below(versions.len() as u64) as usize;
                put_sector(&mut self.durable, sector, &versions[version]);
            }
        }
        self.cache.clone_from(&self.durable);
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
