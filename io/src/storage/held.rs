//! A file that stays as it is until what it holds has been read and believed.
//!
//! Opening a redb file may repair it, which writes to it. A file that is then found damaged, or of
//! another format, must be left as it was found: it may be all that somebody has. So writes are held
//! back in memory, in order, and reads see them laid over the file. [`HeldFile::release`] carries them
//! out; from then on everything goes straight through.

use redb::{BackendError, StorageBackend};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file whose writes are held back at first. Clones are the same file.
#[derive(Debug)]
pub(super) struct HeldFile<F>(Arc<Inner<F>>);

impl<F> Clone for HeldFile<F> {
    fn clone(&self) -> Self {
        HeldFile(self.0.clone())
    }
}

#[derive(Debug)]
struct Inner<F> {
    file: F,
    released: AtomicBool,
    held: Mutex<Vec<Change>>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

impl<F: StorageBackend> HeldFile<F> {
    /// Holds back all writes to `file`.
    pub(super) fn new(file: F) -> HeldFile<F> {
        HeldFile(Arc::new(Inner { file, released: AtomicBool::new(false), held: Mutex::default() }))
    }

    /// Carries out what was held back, in the same order and with the same flushes, so that a crash in
    /// between leaves what a crash of redb itself would leave.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut held = self.held();
        for change in held.drain(..) {
            match change {
                Change::Write(offset, data) => self.0.file.write(offset, &data)?,
                Change::Length(length) => self.0.file.set_len(length)?,
                Change::Sync => self.0.file.sync_data()?,
            }
        }
        self.0.released.store(true, Ordering::Release);
        Ok(())
    }

    fn is_released(&self) -> bool {
        self.0.released.load(Ordering::Acquire)
    }

    fn held(&self) -> MutexGuard<'_, Vec<Change>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn length(&self, held: &[Change]) -> io::Result<u64> {
        let mut length = self.0.file.len()?;
        for change in held {
            match change {
                Change::Write(offset, data) => length = length.max(offset + data.len() as u64),
                Change::Length(new) => length = *new,
                Change::Sync => {}
            }
        }
        Ok(length)
    }
}

impl<F: StorageBackend> StorageBackend for HeldFile<F> {
    fn len(&self) -> io::Result<u64> {
        if self.is_released() { self.0.file.len() } else { self.length(&self.held()) }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_released() {
            return self.0.file.read(offset, out);
        }
        let held = self.held();
        if offset + out.len() as u64 > self.length(&held)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let inside = self.0.file.len()?.saturating_sub(offset).min(out.len() as u64) as usize;
        self.0.file.read(offset, &mut out[..inside])?;
        out[inside..].fill(0);
        for change in held.iter() {
            match change {
                Change::Write(at, data) => lay_over(out, offset, *at, data),
                // Cut off, and zero if it grows again.
                Change::Length(length) => {
                    let from = length.saturating_sub(offset).min(out.len() as u64) as usize;
                    out[from..].fill(0);
                }
                Change::Sync => {}
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.is_released() {
            return self.0.file.set_len(len);
        }
        self.held().push(Change::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_released() {
            return self.0.file.sync_data();
        }
        self.held().push(Change::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_released() {
            return self.0.file.write(offset, data);
        }
        self.held().push(Change::Write(offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

/// Copies the part of `data`, which starts at `at`, that falls into `out`, which starts at `offset`.
fn lay_over(out: &mut [u8], offset: u64, at: u64, data: &[u8]) {
    let from = at.max(offset);
    let to = (at + data.len() as u64).min(offset + out.len() as u64);
    if from < to {
        let length = (to - from) as usize;
        out[(from - offset) as usize..][..length].copy_from_slice(&data[(from - at) as usize..][..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::FileBackend;
    use std::fs::{self, File};

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Length(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..60u64, proptest::collection::vec(any::<u8>(), 1..20))
                .prop_map(|(at, data)| Step::Write(at, data)),
            (0..80u64).prop_map(Step::Length),
        ]
    }

    proptest! {
        #[test]
        fn reads_see_what_a_plain_file_would_hold_and_release_writes_just_that(
            first in proptest::collection::vec(any::<u8>(), 0..50),
            steps in proptest::collection::vec(step(), 0..12),
        ) {
            let path = std::env::temp_dir().join(format!("lictor-held-{}", std::process::id()));
            fs::write(&path, &first).unwrap();
            let open = || File::options().read(true).write(true).open(&path).unwrap();
            let held = HeldFile::new(FileBackend::new(open()).unwrap());
            let mut model = first.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        held.write(at, &data).unwrap();
                        let end = at as usize + data.len();
                        model.resize(model.len().max(end), 0);
                        model[at as usize..end].copy_from_slice(&data);
                    }
                    Step::Length(length) => {
                        held.set_len(length).unwrap();
                        model.resize(length as usize, 0);
                    }
                }
                prop_assert_eq!(held.len().unwrap(), model.len() as u64);
                for from in [0, model.len() / 3] {
                    let mut out = vec![1; model.len() - from];
                    held.read(from as u64, &mut out).unwrap();
                    prop_assert_eq!(&out[..], &model[from..]);
                }
                prop_assert!(held.read(1, &mut vec![0; model.len()]).is_err(), "past the end");
            }
            prop_assert_eq!(&fs::read(&path).unwrap(), &first, "nothing reached the file");
            held.release().unwrap();
            prop_assert_eq!(&fs::read(&path).unwrap(), &model);
            fs::remove_file(&path).unwrap();
        }
    }
}
