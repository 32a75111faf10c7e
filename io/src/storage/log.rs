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

use super::checkpoint::{Checkpoint, Kept, Position, Stored};
use super::directory::{DataDirectory, Directory, remove_if_there};
use super::frame;
use super::record::{self, Replay, SnapshotRef};
use super::segment::{self, Count};
use super::trouble::Trouble;
use super::{Space, Storage, StorageError};
use bytes::Bytes;
use lictor_core::ids::Index;
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::{Batch, HardState, Image};
use redb::StorageBackend;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// The checkpoint's file.
pub const STATE: &str = "state.redb";
/// Under this name until it is whole.
const NEW_STATE: &str = "state.new";
/// The usual length of a segment.
pub const SEGMENT_BYTES: u64 = 4 << 20;

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
    /// The agent's records that the checkpoint does not have as they are now.
    local: BTreeMap<String, Option<Bytes>>,
    frame: Vec<u8>,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    number: u64,
    /// No entry in it has a greater index; 0 when it has none.
    last_index: Index,
}

struct Current<F> {
    number: u64,
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
        Ok(open(dir, segment_bytes)?)
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
        self.write_frame(batches)?;
        self.failed = false;
        Ok(())
    }

    fn write_frame(&mut self, batches: &[DiskBatch]) -> Result<(), Trouble> {
        let snapshot = batches.iter().rposition(|b| b.raft.as_ref().is_some_and(|r| r.snapshot.is_some()));
        self.frame.clear();
        self.frame.resize(frame::HEAD, 0);
        for (i, batch) in batches.iter().enumerate() {
            record::encode(batch, snapshot == Some(i), &mut self.frame);
        }
        if self.frame.len() == frame::HEAD {
            return Ok(());
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
        if turned || switch.is_some() {
            self.let_go(switch.is_some())?;
        }
        self.prepare_spare();
        Ok(())
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
        self.closed.push_back(Closed { number: self.current.number, last_index: self.current.last_index });
        let (file, size) = file;
        self.current = Current { number, file, size, end: segment::FRAMES, last_index: Index(0) };
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

    /// Checkpoints and removes the segments that nothing but small state is needed of; checkpoints in
    /// any case after a new snapshot, so that the one before gives back its room.
    fn let_go(&mut self, new_snapshot: bool) -> Result<(), Trouble> {
        let gone = self.closed.iter().take_while(|s| s.last_index <= self.compacted).count();
        if gone == 0 && !new_snapshot {
            return Ok(());
        }
        let first = self.closed.get(gone).map_or(self.current.number, |s| s.number);
        let position = Position { first, number: self.number, compacted: self.compacted };
        self.checkpoint.write(&self.hard, self.snapshot.as_ref(), position, &self.local)?;
        self.local.clear();
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

fn open<D: Directory>(dir: D, segment_bytes: u64) -> Result<(LogStorage<D>, DiskImage), Trouble> {
    let io = |e| Trouble::Io(dir.path(""), e);
    let mut names = dir.list().map_err(io)?;
    if !names.iter().any(|name| name == STATE) {
        create(&dir, &names, segment_bytes)?;
        names = dir.list().map_err(io)?;
    }
    let path = dir.path(STATE);
    let file = dir.open(STATE).map_err(|e| Trouble::Io(path.clone(), e))?;
    match Checkpoint::open(file, path)? {
        (checkpoint, Stored::Current(kept)) => believe(dir, &names, checkpoint, kept, segment_bytes),
        (checkpoint, Stored::Format1(image)) => take_over(dir, &names, checkpoint, image, segment_bytes),
    }
}

/// Makes an empty state. The checkpoint's file comes last: without it there is no state.
fn create<D: Directory>(dir: &D, names: &[String], segment_bytes: u64) -> Result<(), Trouble> {
    for number in segment::numbers(names) {
        let empty = number == 1 && is_empty(dir, 1);
        if !empty {
            let path = dir.path(STATE);
            return Err(Trouble::damage(
                &path,
                format!("it is missing, but {} is there", segment::name(number)),
            ));
        }
    }
    segment::make(dir, 1, segment_bytes).map_err(|e| Trouble::Io(dir.path(&segment::name(1)), e))?;
    let io = |e| Trouble::Io(dir.path(NEW_STATE), e);
    remove_if_there(dir, NEW_STATE).map_err(io)?;
    Checkpoint::create(dir.create(NEW_STATE).map_err(io)?, dir.path(NEW_STATE))?;
    dir.rename(NEW_STATE, STATE).map_err(io)?;
    dir.sync().map_err(io)
}

fn is_empty<D: Directory>(dir: &D, number: u64) -> bool {
    let read = segment::read(dir, number, Count::AtMost(1), |_, _| Ok(()));
    read.is_ok_and(|read| !read.closed && !read.rest && read.end == segment::FRAMES)
}

/// Reads all segments before anything is written.
fn believe<D: Directory>(
    dir: D,
    names: &[String],
    checkpoint: Checkpoint<D::File>,
    kept: Kept,
    segment_bytes: u64,
) -> Result<(LogStorage<D>, DiskImage), Trouble> {
    let numbers = segment::numbers(names);
    let first = kept.position.first;
    let mut replay = Replay::new(kept.position.compacted);
    let (mut closed, mut open, mut spare) = (VecDeque::new(), None, Spare::None);
    let mut count = Count::AtMost(kept.position.number + 1);
    for segment in first.. {
        let path = dir.path(&segment::name(segment));
        if !numbers.contains(&segment) {
            if open.is_none() {
                return Err(Trouble::damage(&path, "it is missing"));
            }
            break;
        }
        let mut last_index = Index(0);
        let read = segment::read(&dir, segment, count, |payload, number| {
            replay.frame(payload, number)?;
            last_index = last_index.max(replay.last_index());
            Ok(())
        })?;
        count = Count::From(read.next_frame);
        if open.is_none() {
            if read.closed {
                closed.push_back(Closed { number: segment, last_index });
            } else {
                open = Some((read, last_index));
            }
        } else if read.closed || read.rest || read.end != segment::FRAMES {
            let before = segment::name(segment - 1);
            return Err(Trouble::damage(&path, format!("it is in use, but {before} has no end")));
        } else {
            spare = Spare::Ready(read.file, read.size);
        }
    }
    let Some((read, last_index)) = open else {
        return Err(Trouble::damage(&dir.path(&segment::name(first)), "it is missing"));
    };
    let number = read.next_frame - 1;
    if number < kept.position.number {
        let path = dir.path(&segment::name(read.number));
        let what =
            format!("the log ends with record {number}, but {STATE} knows record {}", kept.position.number);
        return Err(Trouble::damage(&path, what));
    }
    let hard = replay.hard.take().unwrap_or(kept.hard);
    let snapshot = replay.snapshot.take().or(kept.snapshot);
    let data = snapshot.as_ref().map(|s| checkpoint.snapshot_data(s)).transpose()?;
    let local = std::mem::take(&mut replay.local);
    let mut all_local = kept.local;
    for (key, value) in &local {
        match value {
            Some(value) => drop(all_local.insert(key.clone(), value.clone())),
            None => drop(all_local.remove(key)),
        }
    }
    let compacted = replay.compacted;
    let image = DiskImage {
        raft: Image {
            hard: hard.clone(),
            snapshot: snapshot.as_ref().map(|s| s.meta.clone()),
            log: replay.log(),
        },
        snapshot: data,
        local: all_local.into_iter().collect(),
    };

    // Believed. What a killed process wrote may not be flushed, and what it left half written is cleared.
    checkpoint.release()?;
    let path = dir.path(&segment::name(read.number));
    let io = |e| Trouble::Io(path.clone(), e);
    if read.rest {
        segment::clear_rest(&read).map_err(io)?;
    }
    read.file.sync_data().map_err(io)?;
    if let Some(last) = closed.back() {
        let name = segment::name(last.number);
        dir.open(&name).and_then(|file| file.sync_data()).map_err(|e| Trouble::Io(dir.path(&name), e))?;
    }
    dir.sync().map_err(io)?;
    let old = numbers.iter().filter(|n| **n < first).map(|n| segment::name(*n));
    for name in old.chain([segment::UNFINISHED.into(), NEW_STATE.into()]) {
        remove_if_there(&dir, &name).map_err(|e| Trouble::Io(dir.path(&name), e))?;
    }
    let current =
        Current { number: read.number, file: read.file, size: read.size, end: read.end, last_index };
    let storage = LogStorage {
        dir,
        checkpoint,
        segment_bytes,
        closed,
        current,
        spare,
        number,
        hard,
        snapshot,
        compacted,
        local,
        frame: Vec::new(),
        failed: false,
    };
    Ok((storage, image))
}

/// Takes over a directory of format 1. Until its last step it still is one, and segments are rubbish.
fn take_over<D: Directory>(
    dir: D,
    names: &[String],
    checkpoint: Checkpoint<D::File>,
    image: DiskImage,
    segment_bytes: u64,
) -> Result<(LogStorage<D>, DiskImage), Trouble> {
    checkpoint.release()?;
    for number in segment::numbers(names) {
        let name = segment::name(number);
        remove_if_there(&dir, &name).map_err(|e| Trouble::Io(dir.path(&name), e))?;
    }
    let file =
        segment::make(&dir, 1, segment_bytes).map_err(|e| Trouble::Io(dir.path(&segment::name(1)), e))?;
    let mut storage = LogStorage {
        dir,
        checkpoint,
        segment_bytes,
        closed: VecDeque::new(),
        current: Current { number: 1, file, size: segment_bytes, end: segment::FRAMES, last_index: Index(0) },
        spare: Spare::None,
        number: 0,
        hard: image.raft.hard.clone(),
        snapshot: None,
        compacted: Index(0),
        local: BTreeMap::new(),
        frame: Vec::new(),
        failed: false,
    };
    let mut batch = Batch::default();
    let mut bytes = 0;
    for (i, entry) in image.raft.log.iter().enumerate() {
        bytes += entry.encoded_len() as u64;
        batch.append.push(entry.clone());
        if bytes > segment_bytes / 4 || i + 1 == image.raft.log.len() {
            storage
                .write_frame(&[DiskBatch { raft: Some(std::mem::take(&mut batch)), local: Vec::new() }])?;
            bytes = 0;
        }
    }
    let first = storage.closed.front().map_or(storage.current.number, |s| s.number);
    let position = Position { first, number: storage.number, compacted: Index(0) };
    storage.checkpoint.leave_format1(&image, position)?;
    let snapshot = image.raft.snapshot.as_ref().zip(image.snapshot.as_ref());
    storage.snapshot =
        snapshot.map(|(meta, data)| SnapshotRef { id: 0, meta: meta.clone(), length: data.len() as u64 });
    Ok((storage, image))
}
