//! The seam to the disk: one directory and the files in it.
//!
//! Everything that [`super::log`] and [`super::checkpoint`] do to a disk goes through a [`Directory`], so
//! that a simulated disk can lose, tear, refuse and count any of it.

use super::Space;
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A directory that holds plain files only. Clones are the same directory.
pub trait Directory: Clone + Send + Sync + 'static {
    /// A file in it: what redb asks of one is what the log needs, too.
    type File: StorageBackend;

    /// Where a file is, for error texts.
    fn path(&self, name: &str) -> PathBuf;
    /// The names in it, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Makes an empty file, in place of one of that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, in place of the one that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a file away.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Flushes what was made, renamed and removed.
    fn sync(&self) -> io::Result<()>;
    /// Room on the file system; `None` where nobody knows.
    fn space(&self) -> Option<Space>;
    /// Does work that nobody waits for yet, away from the caller's thread where there are threads.
    fn aside(&self, work: impl FnOnce() + Send + 'static);
}

/// Room on the file system of a path; `None` if the system does not tell.
pub fn space_at(path: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Space { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
}

/// Takes a file away if it is there.
pub(super) fn remove_if_there<D: Directory>(dir: &D, name: &str) -> io::Result<()> {
    match dir.remove(name) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A directory of the operating system.
#[derive(Clone, Debug)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// The directory at `path`, which is there.
    pub fn new(path: &Path) -> DataDirectory {
        DataDirectory(path.to_owned())
    }
}

impl Directory for DataDirectory {
    type File = FileBackend;

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<FileBackend> {
        backend(File::options().read(true).write(true).open(self.path(name))?)
    }

    fn create(&self, name: &str) -> io::Result<FileBackend> {
        let mut options = File::options();
        backend(options.read(true).write(true).create(true).truncate(true).open(self.path(name))?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn space(&self) -> Option<Space> {
        space_at(&self.0)
    }

    /// Where no thread is given the work is dropped: whoever asked for it notices and does it himself.
    fn aside(&self, work: impl FnOnce() + Send + 'static) {
        let _ = std::thread::Builder::new().name("segment".into()).spawn(work);
    }
}

fn backend(file: File) -> io::Result<FileBackend> {
    FileBackend::new(file).map_err(io::Error::other)
}
