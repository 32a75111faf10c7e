//! Opening: all of it is read and believed before anything is changed.

use super::{Closed, Current, LogStorage, STATE, Spare};
use crate::storage::checkpoint::{Checkpoint, Kept, Stored};
use crate::storage::directory::{Directory, remove_if_there};
use crate::storage::record::{Replay, SnapshotRef};
use crate::storage::segment::{self, Count};
use crate::storage::trouble::Trouble;
use lictor_core::ids::Index;
use lictor_core::node::{DiskBatch, DiskImage};
use lictor_core::raft::{Batch, Image};
use redb::StorageBackend;
use std::collections::{HashMap, VecDeque};

/// Under this name until it is whole.
const NEW_STATE: &str = "state.new";

pub(super) fn open<D: Directory>(dir: D, segment_bytes: u64) -> Result<(LogStorage<D>, DiskImage), Trouble> {
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
    let read = segment::read(dir, number, Count::From(1), |_, _| Ok(()));
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
    let mut count = kept.position.first_frame.map_or(Count::AtMost(kept.position.number + 1), Count::From);
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
        // The numbers of frames say what is missing, where there are any.
        if segment == first && read.end == segment::FRAMES && kept.position.number > 0 {
            let what = format!("it holds no record, but {STATE} knows record {}", kept.position.number);
            return Err(Trouble::damage(&path, what));
        }
        count = Count::From(read.next_frame);
        if open.is_none() {
            if read.closed {
                closed.push_back(Closed { number: segment, first_frame: read.first_frame, last_index });
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
    let current = Current {
        number: read.number,
        first_frame: read.first_frame,
        file: read.file,
        size: read.size,
        end: read.end,
        last_index,
    };
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
        local: local.into_iter().collect(),
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
        current: Current {
            number: 1,
            first_frame: 1,
            file,
            size: segment_bytes,
            end: segment::FRAMES,
            last_index: Index(0),
        },
        spare: Spare::None,
        number: 0,
        hard: image.raft.hard.clone(),
        snapshot: None,
        compacted: Index(0),
        local: HashMap::new(),
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
    storage.checkpoint.leave_format1(&image, storage.position(0))?;
    let snapshot = image.raft.snapshot.as_ref().zip(image.snapshot.as_ref());
    storage.snapshot =
        snapshot.map(|(meta, data)| SnapshotRef { id: 0, meta: meta.clone(), length: data.len() as u64 });
    Ok((storage, image))
}
