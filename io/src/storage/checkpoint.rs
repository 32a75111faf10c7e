//! The small keyed state, in one redb file: snapshots, and what the log's older segments said.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `hard`, `snapshot`, `position` | format number; term and vote; which snapshot counts; how far the log is taken up here |
//! | `snapshots` | snapshot, chunk number | up to 1 MiB of the encoded store |
//! | `local` | record key | one record of the agent |
//!
//! It is written rarely: for a snapshot, and before segments of the log are removed. What the segments
//! that are left say comes on top of it. A snapshot is stored here before the log makes it count; one
//! that the log never mentions is overwritten by the next.
//!
//! Every value carries a CRC-32C of itself: redb checks its own structure, this finds a flipped bit
//! inside a value. A new file is made under another name and gets its own when it is whole, so a file
//! that is empty or cut off has lost something and is refused. A file that is refused is not changed
//! ([`HeldFile`]).

use super::format1;
use super::held::HeldFile;
use super::record::SnapshotRef;
use super::trouble::Trouble;
use bytes::Bytes;
use lictor_core::ids::Index;
use lictor_core::node::DiskImage;
use lictor_core::raft::{HardState, SnapshotMeta};
use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, WriteTransaction,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Written by this version; a higher number is refused.
pub const FORMAT: u32 = 2;

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const LOCAL: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("local");
const SNAPSHOTS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("snapshots");

const CHUNK: usize = 1 << 20;
/// redb's page cache. All of it is read at start and hardly anything later, so a small one does.
const CACHE_BYTES: usize = 1 << 20;

/// The open file.
#[derive(Debug)]
pub(super) struct Checkpoint<F> {
    db: Database,
    file: HeldFile<F>,
    path: PathBuf,
}

/// What it holds.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) hard: HardState,
    pub(super) snapshot: Option<SnapshotRef>,
    pub(super) local: BTreeMap<String, Bytes>,
    pub(super) position: Position,
}

/// How far the log is taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The first segment that is still needed.
    pub(super) first: u64,
    /// The number of that segment's first frame. Not in a file that was written before it was kept.
    pub(super) first_frame: Option<u64>,
    /// The last frame whose small state is here.
    pub(super) number: u64,
    /// Every entry at or below this index is gone.
    pub(super) compacted: Index,
}

/// What was found.
pub(super) enum Stored {
    /// Of this version's format.
    Current(Kept),
    /// Of format 1, which kept everything in this file.
    Format1(DiskImage),
}

impl<F: StorageBackend> Checkpoint<F> {
    /// Fills an empty file: nothing taken up yet, the log begins with segment 1.
    pub(super) fn create(file: F, path: PathBuf) -> Result<(), Trouble> {
        let fill = || {
            let db = builder().create_with_backend(file)?;
            let write = db.begin_write()?;
            write.open_table(META)?.insert("format", seal(&FORMAT.to_be_bytes()).as_slice())?;
            let position = Position { first: 1, first_frame: Some(1), ..Position::default() };
            write.open_table(META)?.insert("position", seal(&position.encode()).as_slice())?;
            write.open_table(LOCAL)?;
            write.open_table(SNAPSHOTS)?;
            write.commit()?;
            Ok(())
        };
        fill().map_err(|fault: Fault| fault.at(path))
    }

    /// Reads all of it; nothing is written to it before [`Checkpoint::release`].
    pub(super) fn open(file: F, path: PathBuf) -> Result<(Checkpoint<F>, Stored), Trouble> {
        if file.len().map_err(|e| Trouble::Io(path.clone(), e))? == 0 {
            return Err(Trouble::Damage(path, "it is empty".into()));
        }
        let file = HeldFile::new(file);
        let db = builder().create_with_backend(file.clone()).map_err(|e| Fault::from(e).at(path.clone()))?;
        let checkpoint = Checkpoint { db, file, path };
        let stored = checkpoint.read().map_err(|fault| checkpoint.explain(fault))?;
        Ok((checkpoint, stored))
    }

    /// Believes what was read: carries out what opening has held back, and flushes.
    pub(super) fn release(&self) -> Result<(), Trouble> {
        let io = |e| Trouble::Io(self.path.clone(), e);
        self.file.release().map_err(io)?;
        // What a killed process left may be in the page cache only.
        self.file.sync_data().map_err(io)
    }

    fn read(&self) -> Result<Stored, Fault> {
        let read = self.db.begin_read()?;
        let meta = read.open_table(META)?;
        let format = meta.get("format")?.ok_or_else(|| Fault::damage("meta", "format"))?;
        let format: [u8; 4] = unseal(format.value(), "meta", "format")?
            .try_into()
            .map_err(|_| Fault::damage("meta", "format"))?;
        match u32::from_be_bytes(format) {
            1 => return format1::read(&read).map(Stored::Format1),
            FORMAT => {}
            other => return Err(Fault::Newer(other)),
        }
        let hard = read_hard(&meta)?.unwrap_or_default();
        let snapshot = match meta.get("snapshot")? {
            None => None,
            Some(value) => Some(
                decode_snapshot(unseal(value.value(), "meta", "snapshot")?)
                    .ok_or_else(|| Fault::damage("meta", "snapshot"))?,
            ),
        };
        let position = match meta.get("position")? {
            None => return Err(Fault::damage("meta", "position")),
            Some(value) => Position::decode(unseal(value.value(), "meta", "position")?)
                .ok_or_else(|| Fault::damage("meta", "position"))?,
        };
        Ok(Stored::Current(Kept { hard, snapshot, local: read_local(&read)?, position }))
    }

    /// The data of a snapshot.
    pub(super) fn snapshot_data(&self, snapshot: &SnapshotRef) -> Result<Bytes, Trouble> {
        let read = || {
            let read = self.db.begin_read()?;
            let table = read.open_table(SNAPSHOTS)?;
            let chunks = table.range((snapshot.id, 0)..=(snapshot.id, u64::MAX))?;
            join(chunks.map(|chunk| chunk.map(|(key, value)| (key.value().1, value))), snapshot.length)
        };
        read().map_err(|fault: Fault| self.explain(fault))
    }

    /// Stores the data of a snapshot that does not count yet, and forgets all others but `keep`.
    pub(super) fn put_snapshot(&self, id: u64, data: &[u8], keep: Option<u64>) -> Result<(), Trouble> {
        self.transaction(|write| {
            let mut chunks = write.open_table(SNAPSHOTS)?;
            chunks.retain(|(other, _), _| Some(other) == keep)?;
            store(&mut chunks, id, data)
        })
    }

    /// Takes up the small state of the log up to `position`.
    pub(super) fn write(
        &self,
        hard: &HardState,
        snapshot: Option<&SnapshotRef>,
        position: Position,
        local: &BTreeMap<String, Option<Bytes>>,
    ) -> Result<(), Trouble> {
        self.transaction(|write| {
            write_meta(write, hard, snapshot, position)?;
            let keep = snapshot.map(|s| s.id);
            write.open_table(SNAPSHOTS)?.retain(|(other, _), _| Some(other) == keep)?;
            let mut table = write.open_table(LOCAL)?;
            for (key, value) in local {
                match value {
                    Some(value) => drop(table.insert(key.as_str(), seal(value).as_slice())?),
                    None => drop(table.remove(key.as_str())?),
                }
            }
            Ok(())
        })
    }

    /// Makes a file of format 1 one of this format. Its log has been written to segments by now.
    pub(super) fn leave_format1(&self, image: &DiskImage, position: Position) -> Result<(), Trouble> {
        self.transaction(|write| {
            let mut snapshot = None;
            if let (Some(meta), Some(data)) = (&image.raft.snapshot, &image.snapshot) {
                store(&mut write.open_table(SNAPSHOTS)?, 0, data)?;
                snapshot = Some(SnapshotRef { id: 0, meta: meta.clone(), length: data.len() as u64 });
            }
            write_meta(write, &image.raft.hard, snapshot.as_ref(), position)?;
            write.open_table(META)?.insert("format", seal(&FORMAT.to_be_bytes()).as_slice())?;
            format1::remove(write)
        })
    }

    fn transaction(&self, fill: impl FnOnce(&WriteTransaction) -> Result<(), Fault>) -> Result<(), Trouble> {
        let run = || {
            let mut write = self.db.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            fill(&write)?;
            write.commit()?;
            Ok(())
        };
        run().map_err(|fault: Fault| self.explain(fault))
    }

    fn explain(&self, fault: Fault) -> Trouble {
        fault.at(self.path.clone())
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    // Without this a file that was altered may be trusted, and end in a panic later.
    builder.set_check_integrity_on_open(true);
    builder
}

fn write_meta(
    write: &WriteTransaction,
    hard: &HardState,
    snapshot: Option<&SnapshotRef>,
    position: Position,
) -> Result<(), Fault> {
    let mut meta = write.open_table(META)?;
    let mut value = Vec::new();
    hard.encode(&mut value);
    meta.insert("hard", seal(&value).as_slice())?;
    match snapshot {
        Some(snapshot) => drop(meta.insert("snapshot", seal(&encode_snapshot(snapshot)).as_slice())?),
        None => drop(meta.remove("snapshot")?),
    }
    meta.insert("position", seal(&position.encode()).as_slice())?;
    Ok(())
}

fn store(chunks: &mut redb::Table<'_, (u64, u64), &[u8]>, id: u64, data: &[u8]) -> Result<(), Fault> {
    for (i, chunk) in data.chunks(CHUNK).enumerate() {
        chunks.insert((id, i as u64), seal(chunk).as_slice())?;
    }
    Ok(())
}

pub(super) fn read_hard(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Option<HardState>, Fault> {
    let Some(value) = meta.get("hard")? else { return Ok(None) };
    let value = Bytes::copy_from_slice(unseal(value.value(), "meta", "hard")?);
    HardState::decode(value).map(Some).map_err(|_| Fault::damage("meta", "hard"))
}

pub(super) fn read_local(read: &ReadTransaction) -> Result<BTreeMap<String, Bytes>, Fault> {
    let mut local = BTreeMap::new();
    for row in read.open_table(LOCAL)?.iter()? {
        let (key, value) = row?;
        // A record of the agent that cannot be read is left to the agent to set aside: an empty value
        // decodes as nothing.
        let value = unseal(value.value(), "local", key.value()).unwrap_or(&[]);
        local.insert(key.value().to_owned(), Bytes::copy_from_slice(value));
    }
    Ok(local)
}

/// Puts the chunks of a snapshot together.
pub(super) fn join<'a>(
    chunks: impl Iterator<Item = Result<(u64, redb::AccessGuard<'a, &'static [u8]>), redb::StorageError>>,
    length: u64,
) -> Result<Bytes, Fault> {
    let mut data = Vec::with_capacity(length.min(1 << 30) as usize);
    for chunk in chunks {
        let (number, value) = chunk?;
        data.extend_from_slice(unseal(value.value(), "snapshots", &number.to_string())?);
    }
    if data.len() as u64 == length {
        Ok(Bytes::from(data))
    } else {
        Err(Fault::damage("snapshots", "length"))
    }
}

impl Position {
    fn encode(&self) -> Vec<u8> {
        let kept = [self.first, self.number, self.compacted.0];
        kept.into_iter().chain(self.first_frame).flat_map(u64::to_be_bytes).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Position> {
        let (first, rest) = long(bytes)?;
        let (number, rest) = long(rest)?;
        let (compacted, rest) = long(rest)?;
        let (first_frame, rest) = long(rest).map_or((None, rest), |(frame, rest)| (Some(frame), rest));
        rest.is_empty().then_some(Position { first, first_frame, number, compacted: Index(compacted) })
    }
}

fn encode_snapshot(snapshot: &SnapshotRef) -> Vec<u8> {
    let mut out = [snapshot.id.to_be_bytes(), snapshot.length.to_be_bytes()].concat();
    snapshot.meta.encode(&mut out);
    out
}

fn decode_snapshot(bytes: &[u8]) -> Option<SnapshotRef> {
    let (id, rest) = long(bytes)?;
    let (length, meta) = long(rest)?;
    Some(SnapshotRef { id, length, meta: SnapshotMeta::decode(Bytes::copy_from_slice(meta)).ok()? })
}

pub(super) fn long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), rest))
}

/// What went wrong within the file, whose path is known one level up.
#[derive(Debug)]
pub(super) enum Fault {
    Redb(redb::Error),
    Damage(String),
    Newer(u32),
}

impl Fault {
    pub(super) fn damage(table: &str, key: &str) -> Fault {
        Fault::Damage(format!("the value of {key:?} in table {table:?} fails its checksum"))
    }

    fn at(self, path: PathBuf) -> Trouble {
        match self {
            Fault::Redb(e) => Trouble::Redb(path, e),
            Fault::Damage(what) => Trouble::Damage(path, what),
            Fault::Newer(found) => Trouble::Newer(path, found),
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(e: E) -> Fault {
        Fault::Redb(e.into())
    }
}

pub(super) fn seal(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 4);
    out.extend_from_slice(&crc32c::crc32c(value).to_be_bytes());
    out.extend_from_slice(value);
    out
}

pub(super) fn unseal<'a>(sealed: &'a [u8], table: &str, key: &str) -> Result<&'a [u8], Fault> {
    let (sum, value) = sealed.split_first_chunk::<4>().ok_or_else(|| Fault::damage(table, key))?;
    if u32::from_be_bytes(*sum) == crc32c::crc32c(value) { Ok(value) } else { Err(Fault::damage(table, key)) }
}
