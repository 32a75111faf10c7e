//! The state on disk: a log of segments, and a checkpoint that lets go of old ones.
//!
//! | file | what |
//! |---|---|
//! | `log-0000000001`, ... | [`super::segment`]: every batch, in order |
//! | `state.redb` | [`super::checkpoint`]: snapshots, and what removed segments said |
//!
//! A run of batches is one frame: one write and one flush, on bytes that were zeroed before. Whether it
//! counts is decided by that frame alone. The state is the checkpoint and, on top of it, what the frames
//! say from the first segment that is left; a frame that the checkpoint has taken up already changes
//! nothing, because all that follow it are read too.
//!
//! A segment is removed when every raft entry in it is compacted away and the checkpoint holds the rest
//! of what it says. Nothing is changed in a directory that is refused.

mod open;

use super::checkpoint::{Checkpoint, Position};
use super::directory::{DataDirectory, Directory, remove_if_there};
use super::frame;
use super::record::{self, SnapshotRef};
use super::segment;
use super::trouble::Trouble;
use super::{Space, Storage, StorageError};
use bytes::Bytes;
use lictor_core::ids::Index;
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::HardState;
use redb::StorageBackend;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// The checkpoint's file.
pub const STATE: &str = "state.redb";
/// The usual length of a segment.
pub const SEGMENT_BYTES: u64 = 4 << 20;

/// What a frame was built in is kept for the next one up to this size.
const KEPT_BYTES: usize = 1 << 20;

/// State in a directory.
pub struct LogStorage<D: Directory> {
    dir: D,
    checkpoint: Checkpoint<D::File>,
    segment_bytes: u64,
    /// Segments that are full, oldest first.
    closed: VecDeque<Closed>,
    current: Current<D::File>,
    spare: Spare<D::File>,
    /// The last frame's number.
    number: u64,
    hard: HardState,
    snapshot: Option<SnapshotRef>,
    compacted: Index,
    /// The agent's records that the checkpoint does not have as they are now. Put in order when it takes them up.
    local: HashMap<String, Option<Bytes>>,
    frame: Vec<u8>,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    number: u64,
    first_frame: u64,
    /// No entry in it has a greater index; 0 when it has none.
    last_index: Index,
}

struct Current<F> {
    number: u64,
    first_frame: u64,
    file: F,
    size: u64,
    /// Behind the last frame.
    end: u64,
    last_index: Index,
}

/// The segment after the current one.
enum Spare<F> {
    None,
    Coming(Receiver<io::Result<F>>),
    Ready(F, u64),
}

impl LogStorage<DataDirectory> {
    /// Opens or makes the state in the directory at `path` and reads what it holds.
    ///
    /// # Errors
    /// See [`LogStorage::open`].
    pub fn open_at(path: &Path) -> Result<(LogStorage<DataDirectory>, DiskImage), StorageError> {
        LogStorage::open(DataDirectory::new(path), SEGMENT_BYTES)
    }
}

impl<D: Directory> LogStorage<D> {
    /// Opens or makes the state in `dir` and reads what it holds. Segments have `segment_bytes`, more
    /// where a single frame needs more.
    ///
    /// # Errors
    /// A file is damaged, missing, of a newer format, or cannot be read.
    pub fn open(dir: D, segment_bytes: u64) -> Result<(LogStorage<D>, DiskImage), StorageError> {
        Ok(open::open(dir, segment_bytes)?)
    }

    /// Writes all of `batches`, in order, or none of them, flushed.
    ///
    /// # Errors
    /// See [`Storage::write`].
    pub fn commit(&mut self, batches: &[DiskBatch]) -> Result<(), StorageError> {
        if self.failed {
            return Err(Trouble::Given(self.dir.path(&segment::name(self.current.number))).into());
        }
        self.failed = true;
        let (turned, switched) = self.write_frame(batches)?;
        if turned || switched {
            self.let_go(switched)?;
        }
        self.prepare_spare();
        self.failed = false;
        Ok(())
    }

    /// Whether it went on to another segment, and whether there is a new snapshot.
    fn write_frame(&mut self, batches: &[DiskBatch]) -> Result<(bool, bool), Trouble> {
        let snapshot = batches.iter().rposition(|b| b.raft.as_ref().is_some_and(|r| r.snapshot.is_some()));
        if self.frame.capacity() > KEPT_BYTES {
            self.frame = Vec::new();
        }
        self.frame.clear();
        self.frame.resize(frame::HEAD, 0);
        for (i, batch) in batches.iter().enumerate() {
            record::encode(batch, snapshot == Some(i), &mut self.frame);
        }
        if self.frame.len() == frame::HEAD {
            return Ok((false, false));
        }
        let turned = self.make_room(frame::length(self.frame.len() - frame::HEAD))?;
        let switch = snapshot.and_then(|i| batches[i].raft.as_ref()?.snapshot.as_ref());
        if let Some((meta, data)) = switch {
            let id = self.number + 1;
            self.checkpoint.put_snapshot(id, data, self.snapshot.as_ref().map(|s| s.id))?;
            self.snapshot = Some(SnapshotRef { id, meta: meta.clone(), length: data.len() as u64 });
        }
        self.append()?;
        batches.iter().for_each(|batch| self.note(batch));
        Ok((turned, switch.is_some()))
    }

    /// Writes and flushes the frame, which fits.
    fn append(&mut self) -> Result<(), Trouble> {
        let current = &mut self.current;
        let path = || self.dir.path(&segment::name(current.number));
        frame::finish(&mut self.frame, current.number, self.number + 1);
        current.file.write(current.end, &self.frame).map_err(|e| Trouble::Io(path(), e))?;
        current.file.sync_data().map_err(|e| Trouble::Io(path(), e))?;
        self.number += 1;
        current.end += self.frame.len() as u64;
        Ok(())
    }

    /// Keeps what later checkpoints need of a batch that is on disk.
    fn note(&mut self, batch: &DiskBatch) {
        if let Some(raft) = &batch.raft {
            if let Some(hard) = &raft.hard {
                self.hard = hard.clone();
            }
            if let Some(last) = raft.append.last() {
                self.current.last_index = self.current.last_index.max(last.index);
            }
            self.compacted = self.compacted.max(raft.compact_to.unwrap_or_default());
        }
        for change in &batch.local {
            match change {
                LocalWrite::Put { key, value } => self.local.insert(key.clone(), Some(value.clone())),
                LocalWrite::Delete { key } => self.local.insert(key.clone(), None),
            };
        }
    }

    /// Goes on to the next segment if a frame of `length` and the mark behind it do not fit.
    fn make_room(&mut self, length: u64) -> Result<bool, Trouble> {
        let mark = frame::length(1);
        if self.current.end + length + mark <= self.current.size {
            return Ok(false);
        }
        let frame = std::mem::take(&mut self.frame);
        self.frame.resize(frame::HEAD, 0);
        record::encode_turn(&mut self.frame);
        // The next one exists before this one says so.
        let number = self.current.number + 1;
        let size = self.segment_bytes.max(segment::FRAMES + length + mark);
        let file = self.take_spare(number, size)?;
        self.append()?;
        self.frame = frame;
        let Current { number: full, first_frame, last_index, .. } = self.current;
        self.closed.push_back(Closed { number: full, first_frame, last_index });
        let (first_frame, (file, size)) = (self.number + 1, file);
        self.current =
            Current { number, first_frame, file, size, end: segment::FRAMES, last_index: Index(0) };
        Ok(true)
    }

    /// The segment of this number, with room for `size` bytes at least.
    fn take_spare(&mut self, number: u64, size: u64) -> Result<(D::File, u64), Trouble> {
        match std::mem::replace(&mut self.spare, Spare::None) {
            Spare::Ready(file, have) if have >= size => return Ok((file, have)),
            Spare::Coming(made) => {
                // A failure is found again here, where it matters.
                if let Ok(Ok(file)) = made.recv()
                    && self.segment_bytes >= size
                {
                    return Ok((file, self.segment_bytes));
                }
            }
            Spare::None | Spare::Ready(..) => {}
        }
        let made = segment::make(&self.dir, number, size);
        Ok((made.map_err(|e| Trouble::Io(self.dir.path(&segment::name(number)), e))?, size))
    }

    /// Has the next segment made before it is needed, unless the disk has better use for the room.
    fn prepare_spare(&mut self) {
        let full = |space: Space| space.free < 4 * self.segment_bytes;
        if matches!(self.spare, Spare::None)
            && self.current.end > self.current.size / 2
            && !self.dir.space().is_some_and(full)
        {
            let (dir, number, size) = (self.dir.clone(), self.current.number + 1, self.segment_bytes);
            let (tell, made) = channel();
            self.dir.aside(move || drop(tell.send(segment::make(&dir, number, size))));
            self.spare = Spare::Coming(made);
        }
    }

    /// How far the log is taken up when the oldest `gone` segments are.
    fn position(&self, gone: usize) -> Position {
        let current = (self.current.number, self.current.first_frame);
        let (first, frame) = self.closed.get(gone).map_or(current, |s| (s.number, s.first_frame));
        Position { first, first_frame: Some(frame), number: self.number, compacted: self.compacted }
    }

    /// Checkpoints and removes the segments that nothing but small state is needed of; checkpoints in
    /// any case after a new snapshot, so that the one before gives back its room.
    fn let_go(&mut self, new_snapshot: bool) -> Result<(), Trouble> {
        let gone = self.closed.iter().take_while(|s| s.last_index <= self.compacted).count();
        if gone == 0 && !new_snapshot {
            return Ok(());
        }
        let position = self.position(gone);
        let local: BTreeMap<_, _> = self.local.drain().collect();
        self.checkpoint.write(&self.hard, self.snapshot.as_ref(), position, &local)?;
        for segment in self.closed.drain(..gone) {
            let name = segment::name(segment.number);
            remove_if_there(&self.dir, &name).map_err(|e| Trouble::Io(self.dir.path(&name), e))?;
        }
        Ok(())
    }
}

impl<D: Directory> Drop for LogStorage<D> {
    /// Nobody works on the directory any more when the storage is gone.
    fn drop(&mut self) {
        if let Spare::Coming(made) = &self.spare {
            let _ = made.recv();
        }
    }
}

impl<D: Directory> Storage for LogStorage<D> {
    /// Blocks: the disk task has a thread to itself.
    async fn write(&mut self, batches: &[DiskBatch]) -> Result<(), StorageError> {
        self.commit(batches)
    }

    fn free_bytes(&self) -> Option<Space> {
        self.dir.space()
    }
}
