//! The log on disk: frames with any content, and files whose bytes are not what they were.
//!
//! What is opened is one of the states that were written, or the directory is refused with the file's name; a second
//! start finds what the first one found, and what is written then is there at the third.

use bytes::Bytes;
use lictor_core::ids::{Index, Term};
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::{Batch, Entry, HardState, Membership, Payload, SnapshotMeta};
use lictor_io::storage::directory::Directory;
use lictor_io::storage::log::LogStorage;
use lictor_io::storage::{Space, StorageError};
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

const SEGMENT: u64 = 4096;
const FIRST: &str = "log-0000000001";
/// Where frames begin, and how they are laid out: see the tables in `io/src/storage`.
const FRAMES: usize = 64;
const HEAD: usize = 16;

/// Names and bytes.
type Files = BTreeMap<String, Vec<u8>>;

/// A directory without anything in it, once it was opened.
static NEW: LazyLock<Files> = LazyLock::new(|| {
    let dir = Memory::default();
    drop(LogStorage::open(dir.clone(), SEGMENT).expect("an empty directory"));
    dir.copy()
});

/// The first byte says whether the rest is content or damage.
pub(crate) fn segment(data: &[u8]) {
    match data.split_first() {
        Some((how, rest)) if how % 2 == 0 => frames(rest),
        Some((_, rest)) => damage(rest),
        None => {}
    }
}

/// Each frame's length in a byte, in units of its first bit, and its content.
fn frames(mut data: &[u8]) {
    let dir = Memory::of(&NEW);
    let mut bytes = dir.bytes(FIRST);
    bytes.truncate(FRAMES);
    let mut number = 0;
    while let Some((length, rest)) = data.split_first() {
        let (content, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data = rest;
        let frame = sealed(content, number + 1);
        // The mark that ends it must fit, too.
        if bytes.len() + frame.len() + 2 * HEAD > SEGMENT as usize {
            break;
        }
        bytes.extend(frame);
        number += 1;
    }
    bytes.resize(SEGMENT as usize, 0);
    dir.replace(FIRST, bytes);
    lives(&dir);
}

/// A frame as segment 1 has it under that number.
fn sealed(content: &[u8], number: u32) -> Vec<u8> {
    let mut frame = vec![0; HEAD];
    frame.extend_from_slice(content);
    frame.push(0xff);
    let length = (frame.len() - HEAD) as u32;
    let sum = crc32c::crc32c(&frame[HEAD..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
    frame[8..12].copy_from_slice(&number.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&1_u64.to_le_bytes()), &frame[..12]);
    frame[12..HEAD].copy_from_slice(&sum.to_le_bytes());
    frame.resize(frame.len().next_multiple_of(HEAD), 0);
    frame
}

/// The contents of the frames of segment 1, as they were written.
pub(crate) fn contents(batches: &[DiskBatch]) -> Vec<Vec<u8>> {
    let dir = Memory::of(&NEW);
    write(&dir, batches).expect("it takes batches");
    let bytes = dir.bytes(FIRST);
    let (mut at, mut found) = (FRAMES, Vec::new());
    while let Some(length) = bytes[at..].first_chunk().map(|l| u32::from_le_bytes(*l) as usize)
        && length > 0
    {
        found.push(bytes[at + HEAD..at + HEAD + length - 1].to_vec());
        at = (at + HEAD + length).next_multiple_of(HEAD);
    }
    found
}

/// Batches of everything that a batch may say.
pub(crate) fn batches() -> Vec<DiskBatch> {
    let entry = |index| Entry {
        index: Index(index),
        term: Term(1),
        payload: Payload::Command(Bytes::from(vec![index as u8; 20 * index as usize])),
    };
    let raft = |batch| DiskBatch { raft: Some(batch), ..DiskBatch::default() };
    let hard = HardState { term: Term(1), voted_for: Some("a".into()), commit: Index(1) };
    let meta =
        SnapshotMeta { index: Index(3), term: Term(1), membership: Membership::of_voters(["a".into()]) };
    let put = |value: &'static [u8]| LocalWrite::Put { key: "service/web".into(), value: value.into() };
    let local = |change| DiskBatch { local: vec![change], ..DiskBatch::default() };
    vec![
        raft(Batch { hard: Some(hard), append: vec![entry(1), entry(2)], ..Batch::default() }),
        local(put(b"one")),
        raft(Batch { append: vec![entry(3), entry(4)], ..Batch::default() }),
        raft(Batch { truncate_from: Some(Index(4)), append: vec![entry(4)], ..Batch::default() }),
        local(put(b"two")),
        raft(Batch { snapshot: Some((meta, Bytes::from_static(b"all"))), ..Batch::default() }),
        raft(Batch { compact_to: Some(Index(2)), append: vec![entry(5)], ..Batch::default() }),
        local(LocalWrite::Delete { key: "service/web".into() }),
        raft(Batch { append: (6..20).map(entry).collect(), ..Batch::default() }),
        raft(Batch { append: (20..30).map(entry).collect(), ..Batch::default() }),
    ]
}

/// How many batches are written, then changes: file, place, length and what happens there.
fn damage(data: &[u8]) {
    static STATES: LazyLock<Vec<(Files, String)>> = LazyLock::new(|| {
        let all = batches();
        let state = |count| {
            let dir = Memory::of(&NEW);
            write(&dir, &all[..count]).expect("it takes batches");
            let (_, image) = LogStorage::open(dir.clone(), SEGMENT).expect("what it has written");
            (dir.copy(), format!("{image:?}"))
        };
        (0..=all.len()).map(state).collect()
    });
    let Some((count, changes)) = data.split_first() else { return };
    let count = usize::from(*count) % STATES.len();
    let dir = Memory::of(&STATES[count].0);
    let mut lost = false;
    for change in changes.chunks_exact(6).take(4) {
        let [file, high, low, length, kind, value] = change else { continue };
        let names: Vec<String> = dir.copy().into_keys().filter(|name| name.starts_with("log-")).collect();
        let name = &names[usize::from(*file) % names.len()];
        let mut bytes = dir.bytes(name);
        let from = usize::from(u16::from_be_bytes([*high, *low])) % bytes.len().max(1);
        let length = usize::from(*length) * if kind & 8 == 0 { 1 } else { 64 };
        let to = (from + length).min(bytes.len());
        match kind % 4 {
            // What was never flushed.
            0 => {
                bytes[from..to].fill(0);
                lost = true;
            }
            1 => bytes[from..to].iter_mut().for_each(|b| *b ^= value | 1),
            // A part of it from elsewhere.
            2 => {
                let source = usize::from(*value) * 16 % bytes.len().max(1);
                let part = bytes[source..].iter().copied().take(to - from).collect::<Vec<_>>();
                // Zeroes are what was never flushed.
                lost |= part.contains(&0);
                bytes[from..from + part.len()].copy_from_slice(&part);
            }
            _ => bytes.truncate(to),
        }
        dir.replace(name, bytes);
    }
    if let Some(found) = lives(&dir) {
        let known = STATES[..=count].iter().rposition(|(_, image)| *image == found);
        assert!(known.is_some(), "a state that was never written: {found}");
        assert!(known == Some(count) || lost, "acknowledged, and gone without a word");
    }
}

/// Starts from the directory, three times. What it finds, if anything.
fn lives(dir: &Memory) -> Option<String> {
    let before = dir.copy();
    let (storage, image) = match LogStorage::open(dir.clone(), SEGMENT) {
        Ok(opened) => opened,
        Err(StorageError(why)) => {
            assert!(why.contains("/memory/log-00") || why.contains("/memory/state.redb"), "{why}");
            assert!(why.len() < 1024 && dir.copy() == before, "refused, and changed");
            return None;
        }
    };
    let found = format!("{image:?}");
    let log = &image.raft.log;
    assert!(log.windows(2).all(|pair| pair[1].index.0 == pair[0].index.0 + 1), "a gap");
    drop(storage);
    let (mut storage, again) = LogStorage::open(dir.clone(), SEGMENT).expect("it was good before");
    assert_eq!(format!("{again:?}"), found);
    let new = LocalWrite::Put { key: "new".into(), value: Bytes::from_static(b"new") };
    let batch = DiskBatch { local: vec![new], ..DiskBatch::default() };
    storage.commit(&[batch]).expect("there is room");
    drop(storage);
    let (_, last) = LogStorage::open(dir.clone(), SEGMENT).expect("it was good before");
    let DiskImage { local, .. } = &last;
    assert!(local.iter().any(|(key, value)| key == "new" && value == "new"), "written, and gone");
    assert_eq!(format!("{:?}", last.raft), format!("{:?}", again.raft));
    Some(found)
}

fn write(dir: &Memory, batches: &[DiskBatch]) -> std::result::Result<(), StorageError> {
    let (mut storage, _) = LogStorage::open(dir.clone(), SEGMENT)?;
    batches.iter().try_for_each(|batch| storage.commit(std::slice::from_ref(batch)))
}

/// Files in memory. Clones are the same directory.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, MemoryFile>>>);

#[derive(Clone, Debug, Default)]
struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn of(files: &Files) -> Memory {
        let file = |bytes: &Vec<u8>| MemoryFile(Arc::new(Mutex::new(bytes.clone())));
        Memory(Arc::new(Mutex::new(files.iter().map(|(name, bytes)| (name.clone(), file(bytes))).collect())))
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, MemoryFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy(&self) -> Files {
        self.files().iter().map(|(name, file)| (name.clone(), file.bytes().clone())).collect()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.files()[name].bytes().clone()
    }

    fn replace(&self, name: &str, bytes: Vec<u8>) {
        *self.files()[name].bytes() = bytes;
    }
}

impl Directory for Memory {
    type File = MemoryFile;

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/memory").join(name)
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<MemoryFile> {
        self.files().get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> Result<MemoryFile> {
        self.files().insert(name.to_owned(), MemoryFile::default());
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let file = self.files().remove(from).ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        self.files().insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn space(&self) -> Option<Space> {
        None
    }

    fn aside(&self, work: impl FnOnce() + Send + 'static) {
        work();
    }
}

impl MemoryFile {
    fn bytes(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for MemoryFile {
    fn len(&self) -> Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let bytes = self.bytes();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let part = bytes[from..].get(..out.len()).ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(part);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.bytes().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let (mut bytes, from) = (self.bytes(), offset as usize);
        let to = from + data.len();
        if bytes.len() < to {
            bytes.resize(to, 0);
        }
        bytes[from..to].copy_from_slice(data);
        Ok(())
    }
}
