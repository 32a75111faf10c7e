//! The simulated disk's directory and files, as one process sees them.

use super::disk::{Disk, NameChange, SimDisk, not_there, outside};
use super::inode::Inode;
use lictor_io::storage::Space;
use lictor_io::storage::directory::Directory;
use redb::StorageBackend;
use std::io::Result;
use std::path::PathBuf;

/// The directory. Clones are the same process's.
#[derive(Clone, Debug)]
pub struct SimDirectory {
    disk: SimDisk,
    life: u64,
}

impl SimDirectory {
    pub(super) fn of(disk: SimDisk, life: u64) -> SimDirectory {
        SimDirectory { disk, life }
    }

    fn change(&self, what: u64, name: &str, change: impl FnOnce(&mut Disk) -> NameChange) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, what, 0, name.as_bytes())?;
        let change = change(&mut disk);
        disk.change(change)
    }
}

impl Directory for SimDirectory {
    type File = SimFile;

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("the simulated disk").join(name)
    }

    fn list(&self) -> Result<Vec<String>> {
        let disk = self.disk.disk();
        disk.reach(self.life)?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<SimFile> {
        let disk = self.disk.disk();
        disk.reach(self.life)?;
        let file = *disk.names.get(name).ok_or_else(not_there)?;
        Ok(SimFile { disk: self.disk.clone(), life: self.life, file })
    }

    fn create(&self, name: &str) -> Result<SimFile> {
        self.change(4, name, |disk| {
            disk.made += 1;
            disk.files.insert(disk.made, Inode::default());
            NameChange::Make(name.to_owned(), disk.made)
        })?;
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.change(5, to, |_| NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.change(6, name, |_| NameChange::Remove(name.to_owned()))
    }

    fn sync(&self) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, 7, 0, &[])?;
        disk.sync_names();
        Ok(())
    }

    fn space(&self) -> Option<Space> {
        let (free, total) = self.disk.space();
        Some(Space { free, total })
    }

    /// At once, so that every run is the same.
    fn aside(&self, work: impl FnOnce() + Send + 'static) {
        work();
    }
}

/// A file.
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    life: u64,
    file: u64,
}

impl StorageBackend for SimFile {
    fn len(&self) -> Result<u64> {
        Ok(self.disk.disk().file(self.file)?.cache.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.reach(self.life)?;
        disk.file(self.file)?.read(usize::try_from(offset).map_err(|_| outside())?, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, 1, len, &[])?;
        disk.set_len(self.file, usize::try_from(len).map_err(|_| outside())?)
    }

    fn sync_data(&self) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, 2, 0, &[])?;
        disk.sync(self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut disk = self.disk.disk();
        disk.begin(self.life, 3, offset, data)?;
        disk.write(self.file, usize::try_from(offset).map_err(|_| outside())?, data)
    }
}
