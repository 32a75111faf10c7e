//! What a frame says: the changes of its batches, one after the other, and what they add up to.
//!
//! A record is a kind, one byte, and then, numbers little-endian:
//!
//! | kind | what follows |
//! |---|---|
//! | 1 | term and vote, with a length |
//! | 2 | remove every entry at or above this index (8 bytes) |
//! | 3 | an entry, with a length |
//! | 4 | the snapshot is the one stored under this frame's number: its length (8 bytes), its head with a length |
//! | 5 | remove every entry at or below this index (8 bytes) |
//! | 6 | a record of the agent: key and value, each with a length |
//! | 7 | the agent's record of this key is gone, with a length |
//! | 8 | the log goes on in the next segment; alone in its frame |
//!
//! A length has 4 bytes. The bytes of entries, heads, term and vote are those of `lictor_core::raft`.

use bytes::{Buf, Bytes};
use lictor_core::ids::Index;
use lictor_core::node::{DiskBatch, LocalWrite};
use lictor_core::raft::{Entry, HardState, SnapshotMeta};
use std::collections::BTreeMap;

const HARD: u8 = 1;
const TRUNCATE: u8 = 2;
const ENTRY: u8 = 3;
const SNAPSHOT: u8 = 4;
const COMPACT: u8 = 5;
const PUT: u8 = 6;
const DELETE: u8 = 7;
const TURN: u8 = 8;

/// Where a snapshot lies and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SnapshotRef {
    /// The frame that made it the snapshot; its data is stored under that number.
    pub(super) id: u64,
    /// What it covers.
    pub(super) meta: SnapshotMeta,
    /// Bytes of data.
    pub(super) length: u64,
}

/// Appends the records of a batch. Of several snapshots in one frame only the last one counts.
pub(super) fn encode(batch: &DiskBatch, snapshot_counts: bool, out: &mut Vec<u8>) {
    if let Some(raft) = &batch.raft {
        if let Some(hard) = &raft.hard {
            out.push(HARD);
            sized(out, |out| hard.encode(out));
        }
        if let Some(from) = raft.truncate_from {
            out.push(TRUNCATE);
            out.extend_from_slice(&from.0.to_le_bytes());
        }
        for entry in &raft.append {
            encode_entry(entry, out);
        }
        if let Some((meta, data)) = raft.snapshot.as_ref().filter(|_| snapshot_counts) {
            out.push(SNAPSHOT);
            out.extend_from_slice(&(data.len() as u64).to_le_bytes());
            sized(out, |out| meta.encode(out));
        }
        if let Some(upto) = raft.compact_to {
            out.push(COMPACT);
            out.extend_from_slice(&upto.0.to_le_bytes());
        }
    }
    for change in &batch.local {
        match change {
            LocalWrite::Put { key, value } => {
                out.push(PUT);
                sized(out, |out| out.extend_from_slice(key.as_bytes()));
                sized(out, |out| out.extend_from_slice(value));
            }
            LocalWrite::Delete { key } => {
                out.push(DELETE);
                sized(out, |out| out.extend_from_slice(key.as_bytes()));
            }
        }
    }
}

/// Appends one entry.
pub(super) fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    out.push(ENTRY);
    sized(out, |out| entry.encode(out));
}

/// Appends the mark that ends a segment.
pub(super) fn encode_turn(out: &mut Vec<u8>) {
    out.push(TURN);
}

/// Whether a payload is that mark.
pub(super) fn is_turn(payload: &[u8]) -> bool {
    payload == [TURN]
}

fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - at - 4).expect("a record is shorter than 4 GiB");
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// What frames add up to.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) hard: Option<HardState>,
    pub(super) snapshot: Option<SnapshotRef>,
    /// Every entry at or below it is gone.
    pub(super) compacted: Index,
    /// Contiguous. May begin at or below `compacted`; [`Replay::log`] takes that off.
    entries: Vec<Entry>,
    /// The agent's records that changed: what they are now, or that they are gone.
    pub(super) local: BTreeMap<String, Option<Bytes>>,
}

impl Replay {
    /// Nothing but that every entry at or below `compacted` is gone.
    pub(super) fn new(compacted: Index) -> Replay {
        Replay { compacted, ..Replay::default() }
    }

    /// Takes up the frame of this number.
    pub(super) fn frame(&mut self, mut payload: Bytes, number: u64) -> Result<(), &'static str> {
        while payload.has_remaining() {
            self.record(&mut payload, number).ok_or("a record cannot be read")?;
        }
        Ok(())
    }

    fn record(&mut self, from: &mut Bytes, number: u64) -> Option<()> {
        match from.get_u8() {
            HARD => self.hard = Some(HardState::decode(take(from)?).ok()?),
            TRUNCATE => {
                let at = from.try_get_u64_le().ok()?;
                while self.entries.last().is_some_and(|entry| entry.index.0 >= at) {
                    self.entries.pop();
                }
            }
            ENTRY => self.append(Entry::decode(take(from)?).ok()?)?,
            SNAPSHOT => {
                let length = from.try_get_u64_le().ok()?;
                let meta = SnapshotMeta::decode(take(from)?).ok()?;
                self.snapshot = Some(SnapshotRef { id: number, meta, length });
            }
            COMPACT => {
                self.compacted = self.compacted.max(Index(from.try_get_u64_le().ok()?));
                // What follows may begin anywhere behind it.
                if self.entries.last().is_some_and(|entry| entry.index <= self.compacted) {
                    self.entries.clear();
                }
            }
            PUT => {
                let key = text(take(from)?)?;
                self.local.insert(key, Some(take(from)?));
            }
            DELETE => {
                self.local.insert(text(take(from)?)?, None);
            }
            _ => return None,
        }
        Some(())
    }

    fn append(&mut self, entry: Entry) -> Option<()> {
        if self.entries.last().is_some_and(|last| last.index.0 + 1 != entry.index.0) {
            return None;
        }
        self.entries.push(entry);
        Some(())
    }

    /// The index of the last entry, 0 where there is none.
    pub(super) fn last_index(&self) -> Index {
        self.entries.last().map_or(Index(0), |entry| entry.index)
    }

    /// The entries that count.
    pub(super) fn log(self) -> Vec<Entry> {
        let mut entries = self.entries;
        let gone = entries.partition_point(|entry| entry.index <= self.compacted);
        if gone > 0 {
            entries.drain(..gone);
        }
        entries
    }
}

fn take(from: &mut Bytes) -> Option<Bytes> {
    let length = from.try_get_u32_le().ok()? as usize;
    (length <= from.remaining()).then(|| from.split_to(length))
}

fn text(bytes: Bytes) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
