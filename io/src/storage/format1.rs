//! Format 1, which kept the log in the redb file too. Directories of it are taken over when they are
//! opened: the entries move to segments, and then one transaction makes the file one of today's format.
//!
//! | table | key | value |
//! |---|---|---|
//! | `log` | raft index | one encoded entry |
//! | `snapshot` | chunk number | up to 1 MiB of the encoded store |
//!
//! `meta` and `local` are as in [`super::checkpoint`]; `snapshot` in `meta` has no number.

use super::checkpoint::{Fault, META, join, long, read_hard, read_local, unseal};
use bytes::Bytes;
use lictor_core::node::DiskImage;
use lictor_core::raft::{Entry, Image, SnapshotMeta};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const SNAPSHOT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("snapshot");

/// Reads all of it.
pub(super) fn read(read: &ReadTransaction) -> Result<DiskImage, Fault> {
    let meta = read.open_table(META)?;
    let hard = read_hard(&meta)?.unwrap_or_default();
    let (snapshot, data) = match meta.get("snapshot")? {
        None => (None, None),
        Some(value) => {
            let damage = || Fault::damage("meta", "snapshot");
            let (length, meta) = long(unseal(value.value(), "meta", "snapshot")?).ok_or_else(damage)?;
            let meta = SnapshotMeta::decode(Bytes::copy_from_slice(meta)).map_err(|_| damage())?;
            let table = read.open_table(SNAPSHOT)?;
            let chunks = table.iter()?.map(|chunk| chunk.map(|(key, value)| (key.value(), value)));
            (Some(meta), Some(join(chunks, length)?))
        }
    };
    let mut log = Vec::new();
    for row in read.open_table(LOG)?.iter()? {
        let (key, value) = row?;
        let name = key.value().to_string();
        let entry = Bytes::copy_from_slice(unseal(value.value(), "log", &name)?);
        let entry = Entry::decode(entry).ok().filter(|entry| entry.index.0 == key.value());
        log.push(entry.ok_or_else(|| Fault::damage("log", &name))?);
    }
    let local = read_local(read)?.into_iter().collect();
    Ok(DiskImage { raft: Image { hard, snapshot, log }, snapshot: data, local })
}

/// Removes the tables that are no more.
pub(super) fn remove(write: &WriteTransaction) -> Result<(), Fault> {
    write.delete_table(LOG)?;
    write.delete_table(SNAPSHOT)?;
    Ok(())
}
