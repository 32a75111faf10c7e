//! Random batches, and plain maps that say what a storage must hold after them.

use super::disk::SimDisk;
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::ids::{Index, Term};
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::{Batch, Entry, HardState, Membership, Payload, SnapshotMeta};
use lictor_core::rng::Rng;
use lictor_io::storage::directory::Directory;
use redb::TableDefinition;
use std::collections::BTreeMap;

/// What a directory holds, in a shape that can be compared.
pub type Comparable = (HardState, Option<SnapshotMeta>, Option<Bytes>, Vec<Entry>, BTreeMap<String, Bytes>);

/// An image in that shape.
pub fn comparable(image: &DiskImage) -> Comparable {
    (
        image.raft.hard.clone(),
        image.raft.snapshot.clone(),
        image.snapshot.clone(),
        image.raft.log.clone(),
        image.local.iter().cloned().collect(),
    )
}

pub(super) fn difference(old: &Comparable, new: &Comparable, found: &Comparable) -> String {
    let part = |name, old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
        let (old, new, found) = (format!("{old:?}"), format!("{new:?}"), format!("{found:?}"));
        if found == old && found == new {
            String::new()
        } else {
            format!("\n{name}: acknowledged {old}\n  or in flight {new}\n  found {found}")
        }
    };
    let keys = |c: &Comparable| c.3.iter().map(|e| (e.index.0, e.term.0)).collect::<Vec<_>>();
    format!(
        "neither the acknowledged state nor the one in flight was found{}{}{}{}",
        part("hard state", &old.0, &new.0, &found.0),
        part("snapshot", &old.1, &new.1, &found.1),
        part("log", &keys(old), &keys(new), &keys(found)),
        part("local", &old.4, &new.4, &found.4),
    )
}

/// What the disk must hold, as plain maps.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    hard: HardState,
    snapshot: Option<(SnapshotMeta, Bytes)>,
    log: BTreeMap<u64, Entry>,
    local: BTreeMap<String, Bytes>,
}

impl Model {
    pub(super) fn image(&self) -> Comparable {
        let (meta, data) = self.snapshot.clone().unzip();
        (self.hard.clone(), meta, data, self.log.values().cloned().collect(), self.local.clone())
    }

    fn last(&self) -> u64 {
        let snapshot = self.snapshot.as_ref().map_or(0, |(meta, _)| meta.index.0);
        self.log.keys().next_back().copied().unwrap_or(0).max(snapshot)
    }

    /// Leaves it on a disk as format 1 did: all in one redb file.
    pub(super) fn write_format1(&self, disk: &SimDisk) -> Result<(), redb::Error> {
        let file = disk.directory().create("state.redb")?;
        let db = redb::Builder::new().create_with_backend(file)?;
        let write = db.begin_write()?;
        let seal = |value: &[u8]| [&crc32c::crc32c(value).to_be_bytes()[..], value].concat();
        {
            let mut meta = write.open_table(TableDefinition::<&str, &[u8]>::new("meta"))?;
            let mut log = write.open_table(TableDefinition::<u64, &[u8]>::new("log"))?;
            let mut chunks = write.open_table(TableDefinition::<u64, &[u8]>::new("snapshot"))?;
            let mut local = write.open_table(TableDefinition::<&str, &[u8]>::new("local"))?;
            meta.insert("format", seal(&1u32.to_be_bytes()).as_slice())?;
            let mut hard = Vec::new();
            self.hard.encode(&mut hard);
            meta.insert("hard", seal(&hard).as_slice())?;
            if let Some((head, data)) = &self.snapshot {
                let mut value = (data.len() as u64).to_be_bytes().to_vec();
                head.encode(&mut value);
                meta.insert("snapshot", seal(&value).as_slice())?;
                for (i, chunk) in data.chunks(1 << 20).enumerate() {
                    chunks.insert(i as u64, seal(chunk).as_slice())?;
                }
            }
            for (index, entry) in &self.log {
                let mut value = Vec::new();
                entry.encode(&mut value);
                log.insert(index, seal(&value).as_slice())?;
            }
            for (key, value) in &self.local {
                local.insert(key.as_str(), seal(value).as_slice())?;
            }
        }
        write.commit()?;
        drop(db);
        disk.directory().sync()?;
        Ok(())
    }

    /// A batch as raft makes them, already applied to the model.
    pub(super) fn random_batch(&mut self, rng: &mut Rng) -> DiskBatch {
        let mut batch = Batch::default();
        if rng.ratio(1, 6) {
            self.hard.term = Term(self.hard.term.0 + 1);
            self.hard.voted_for = rng.ratio(1, 2).then(|| Str::from("n1"));
            batch.hard = Some(self.hard.clone());
        }
        // Never into the snapshot: what it covers was committed.
        let loose = self.last() - self.snapshot.as_ref().map_or(0, |(meta, _)| meta.index.0);
        if rng.ratio(1, 10) && loose > 0 {
            let from = self.last() - rng.below(loose.min(5));
            self.log.split_off(&from);
            batch.truncate_from = Some(Index(from));
        }
        let sizes = [10, 300, 300, 3000, 60_000];
        for _ in 0..rng.below(4) {
            let index = self.last() + 1;
            let size = sizes[rng.below(sizes.len() as u64) as usize];
            let entry = Entry {
                index: Index(index),
                term: Term(self.hard.term.0),
                payload: Payload::Command(random_bytes(rng, size)),
            };
            self.log.insert(index, entry.clone());
            batch.append.push(entry);
        }
        if rng.ratio(1, 12) && !self.log.is_empty() {
            let meta = SnapshotMeta {
                index: Index(self.last()),
                term: self.hard.term,
                membership: Membership::of_voters([Str::from("n1")]),
            };
            let size = [0, 5000, 1 << 20, (1 << 20) + 1][rng.below(4) as usize];
            let data = random_bytes(rng, size);
            self.snapshot = Some((meta.clone(), data.clone()));
            batch.snapshot = Some((meta, data));
            let upto = self.last().saturating_sub(rng.below(10));
            self.log = self.log.split_off(&(upto + 1));
            batch.compact_to = Some(Index(upto));
        }
        let mut local = Vec::new();
        for _ in 0..rng.below(3) {
            let key = format!("check/{}", rng.below(12));
            if rng.ratio(1, 3) {
                self.local.remove(&key);
                local.push(LocalWrite::Delete { key });
            } else {
                let size = rng.below(500) as usize;
                let value = random_bytes(rng, size);
                self.local.insert(key.clone(), value.clone());
                local.push(LocalWrite::Put { key, value });
            }
        }
        DiskBatch { raft: (!batch.is_empty()).then_some(batch), local }
    }
}

/// Half of it compresses to nothing, as state does.
fn random_bytes(rng: &mut Rng, len: usize) -> Bytes {
    let mut bytes = vec![rng.next_u64() as u8; len];
    for chunk in bytes.chunks_exact_mut(64) {
        chunk[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
    }
    Bytes::from(bytes)
}
