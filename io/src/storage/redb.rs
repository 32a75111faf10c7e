//! The state on disk: one redb file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `hard`, `snapshot` | format number; term and vote; snapshot metadata and length |
//! | `log` | raft index | one encoded entry |
//! | `snapshot` | chunk number | up to 1 MiB of the encoded store |
//! | `local` | record key | one record of the agent |
//!
//! Every value carries a CRC-32C of itself: redb checks its own structure, this finds a flipped bit
//! inside a value. redb commits are atomic, so a torn write shows as the last commit missing, never
//! as half of one.
//!
//! A new file is made under another name and gets its own when it is whole, so a file that is empty or
//! cut off has lost something and is refused. A file that is refused is not changed ([`HeldFile`]).

use super::held::HeldFile;
use super::{Space, Storage, StorageError};
use bytes::Bytes;
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use lictor_core::raft::{Entry, HardState, Image, SnapshotMeta};
use redb::backends::FileBackend;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Written by this version; a higher number is refused.
pub const FORMAT: u32 = 1;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const SNAPSHOT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("snapshot");
const LOCAL: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("local");

const CHUNK: usize = 1 << 20;
/// redb's page cache. The log is read only at start, so a small one does.
const CACHE_BYTES: usize = 4 << 20;

/// State in a redb file.
#[derive(Debug)]
pub struct RedbStorage {
    db: Database,
    /// For error texts and free space.
    path: PathBuf,
}

impl RedbStorage {
    /// Opens or makes the file at `path` and reads what it holds.
    ///
    /// # Errors
    /// The file is damaged, of a newer format, held by another process, or cannot be read.
    pub fn open(path: &Path) -> Result<(RedbStorage, DiskImage), StorageError> {
        let io_error = |e: std::io::Error| explain(path, &Trouble::Redb(redb::Error::Io(e)));
        // Of the name itself: a link that leads nowhere, or a directory that may not be looked into, is not
        // a state that was never made.
        match fs::symlink_metadata(path) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => create(path).map_err(|e| explain(path, &e))?,
            Err(e) => return Err(io_error(e)),
        }
        let file = File::options().read(true).write(true).open(path).map_err(io_error)?;
        let file = FileBackend::new(file).map_err(|e| open_error(path, &e))?;
        RedbStorage::believe(file, path.to_owned())
    }

    /// Opens a file that [`RedbStorage::lay_down`] has made, on a simulated disk.
    ///
    /// # Errors
    /// As [`RedbStorage::open`].
    pub fn open_backend(file: impl StorageBackend) -> Result<(RedbStorage, DiskImage), StorageError> {
        RedbStorage::believe(file, PathBuf::from("the simulated disk"))
    }

    /// Makes an empty state in an empty file on a simulated disk.
    ///
    /// # Errors
    /// The file cannot be written; it is of no use then.
    pub fn lay_down(file: impl StorageBackend) -> Result<(), StorageError> {
        let made = builder().create_with_backend(file).map_err(Trouble::from).and_then(|db| prepare(&db));
        made.map_err(|e| explain(Path::new("the simulated disk"), &e))
    }

    /// Reads all of it before anything is written to it.
    fn believe(file: impl StorageBackend, path: PathBuf) -> Result<(RedbStorage, DiskImage), StorageError> {
        let io_error = |e: std::io::Error| explain(&path, &Trouble::Redb(redb::Error::Io(e)));
        if file.len().map_err(io_error)? == 0 {
            return Err(damaged(&path, "it is empty"));
        }
        let file = HeldFile::new(file);
        let db = builder().create_with_backend(file.clone()).map_err(|e| open_error(&path, &e))?;
        let storage = RedbStorage { db, path: path.clone() };
        let image = storage.read().map_err(|e| storage.explain(&e))?;
        file.release().map_err(io_error)?;
        Ok((storage, image))
    }

    fn read(&self) -> Result<DiskImage, Trouble> {
        let read = self.db.begin_read()?;
        let meta = read.open_table(META)?;
        let format = meta.get("format")?.ok_or_else(|| Trouble::damage("meta", "format"))?;
        match format_of(format.value())? {
            FORMAT => {}
            other => return Err(Trouble::Newer(other)),
        }
        let hard = match meta.get("hard")? {
            None => HardState::default(),
            Some(value) => HardState::decode(Bytes::copy_from_slice(unseal(value.value(), "meta", "hard")?))
                .map_err(|_| Trouble::damage("meta", "hard"))?,
        };
        let (snapshot, data) = match meta.get("snapshot")? {
            None => (None, None),
            Some(value) => {
                let sealed = unseal(value.value(), "meta", "snapshot")?;
                let (meta, length) =
                    decode_snapshot_meta(sealed).ok_or(Trouble::damage("meta", "snapshot"))?;
                let mut data = Vec::with_capacity(length.min(1 << 30));
                for chunk in read.open_table(SNAPSHOT)?.iter()? {
                    let (key, value) = chunk?;
                    data.extend_from_slice(unseal(value.value(), "snapshot", &key.value().to_string())?);
                }
                if data.len() != length {
                    return Err(Trouble::damage("snapshot", "length"));
                }
                (Some(meta), Some(Bytes::from(data)))
            }
        };
        let mut log = Vec::new();
        for row in read.open_table(LOG)?.iter()? {
            let (key, value) = row?;
            let index = key.value();
            let sealed = unseal(value.value(), "log", &index.to_string())?;
            let entry = Entry::decode(Bytes::copy_from_slice(sealed))
                .map_err(|_| Trouble::damage("log", &index.to_string()))?;
            if entry.index.0 != index {
                return Err(Trouble::damage("log", &index.to_string()));
            }
            log.push(entry);
        }
        let mut local = Vec::new();
        for row in read.open_table(LOCAL)?.iter()? {
            let (key, value) = row?;
            // A record of the agent that cannot be read is left to the agent to set aside: an empty
            // value decodes as nothing.
            let sealed = unseal(value.value(), "local", key.value()).unwrap_or(&[]);
            local.push((key.value().to_owned(), Bytes::copy_from_slice(sealed)));
        }
        Ok(DiskImage { raft: Image { hard, snapshot, log }, snapshot: data, local })
    }

    /// Writes all of `batches`, in order, or none of them, flushed.
    ///
    /// # Errors
    /// See [`Storage::write`].
    pub fn commit(&mut self, batches: &[DiskBatch]) -> Result<(), StorageError> {
        self.transaction(batches).map_err(|e| self.explain(&e))
    }

    fn transaction(&self, batches: &[DiskBatch]) -> Result<(), Trouble> {
        let mut write = self.db.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        {
            let mut meta = write.open_table(META)?;
            let mut log = write.open_table(LOG)?;
            let mut buffer = Vec::new();
            for batch in batches {
                if let Some(raft) = &batch.raft {
                    if let Some(hard) = &raft.hard {
                        let mut value = Vec::new();
                        hard.encode(&mut value);
                        meta.insert("hard", seal(&value).as_slice())?;
                    }
                    if let Some(from) = raft.truncate_from {
                        log.retain_in(from.0.., |_, _| false)?;
                    }
                    for entry in &raft.append {
                        buffer.clear();
                        buffer.extend_from_slice(&[0; 4]);
                        entry.encode(&mut buffer);
                        let sum = crc32c(&buffer[4..]);
                        buffer[..4].copy_from_slice(&sum.to_be_bytes());
                        log.insert(entry.index.0, buffer.as_slice())?;
                    }
                    if let Some((snapshot, data)) = &raft.snapshot {
                        let mut chunks = write.open_table(SNAPSHOT)?;
                        chunks.retain(|_, _| false)?;
                        for (i, chunk) in data.chunks(CHUNK).enumerate() {
                            chunks.insert(i as u64, seal(chunk).as_slice())?;
                        }
                        meta.insert(
                            "snapshot",
                            seal(&encode_snapshot_meta(snapshot, data.len())).as_slice(),
                        )?;
                    }
                    if let Some(upto) = raft.compact_to {
                        log.retain_in(..=upto.0, |_, _| false)?;
                    }
                }
                if !batch.local.is_empty() {
                    let mut local = write.open_table(LOCAL)?;
                    for change in &batch.local {
                        match change {
                            LocalWrite::Put { key, value } => {
                                local.insert(key.as_str(), seal(value).as_slice())?;
                            }
                            LocalWrite::Delete { key } => {
                                local.remove(key.as_str())?;
                            }
                        }
                    }
                }
            }
        }
        write.commit()?;
        Ok(())
    }

    fn explain(&self, trouble: &Trouble) -> StorageError {
        explain(&self.path, trouble)
    }
}

impl Storage for RedbStorage {
    /// Blocks: the disk task has a thread to itself.
    async fn write(&mut self, batches: &[DiskBatch]) -> Result<(), StorageError> {
        self.commit(batches)
    }

    fn free_bytes(&self) -> Option<Space> {
        let stat = rustix::fs::statvfs(self.path.parent()?).ok()?;
        Some(Space { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    // Without this a file that was altered may be trusted, and end in a panic later.
    builder.set_check_integrity_on_open(true);
    builder
}

/// Makes a file with empty tables: whole under its name, or not there.
fn create(path: &Path) -> Result<(), Trouble> {
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Trouble::Redb(redb::Error::Io(e))),
        _ => {}
    }
    prepare(&builder().create(&unfinished)?)?;
    let io = |e| Trouble::Redb(redb::Error::Io(e));
    fs::rename(&unfinished, path).map_err(io)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|d| d.sync_all()).map_err(io)
}

/// Makes the tables of a new file.
fn prepare(db: &Database) -> Result<(), Trouble> {
    let write = db.begin_write()?;
    write.open_table(META)?.insert("format", seal(&FORMAT.to_be_bytes()).as_slice())?;
    write.open_table(LOG)?;
    write.open_table(SNAPSHOT)?;
    write.open_table(LOCAL)?;
    write.commit()?;
    Ok(())
}

fn format_of(sealed: &[u8]) -> Result<u32, Trouble> {
    let number = unseal(sealed, "meta", "format")?;
    Ok(u32::from_be_bytes(number.try_into().map_err(|_| Trouble::damage("meta", "format"))?))
}

/// What went wrong, before it is put into words.
#[derive(Debug)]
enum Trouble {
    Redb(redb::Error),
    Damage { table: &'static str, key: String },
    Newer(u32),
}

impl Trouble {
    fn damage(table: &'static str, key: &str) -> Trouble {
        Trouble::Damage { table, key: key.to_owned() }
    }
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(e: E) -> Trouble {
        Trouble::Redb(e.into())
    }
}

fn open_error(path: &Path, e: &redb::DatabaseError) -> StorageError {
    let shown = path.display();
    StorageError(match e {
        redb::DatabaseError::DatabaseAlreadyOpen => {
            format!("{shown} is in use by another process: stop it, or give this agent its own data_dir")
        }
        redb::DatabaseError::Storage(redb::StorageError::Io(e))
            if e.kind() != std::io::ErrorKind::InvalidData
                && e.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            return io_trouble(path, e);
        }
        other => return damaged(path, &other.to_string()),
    })
}

fn explain(path: &Path, trouble: &Trouble) -> StorageError {
    let shown = path.display();
    StorageError(match trouble {
        Trouble::Newer(found) => format!(
            "{shown} has format {found}, written by a newer version; this version reads format {FORMAT}: \
             start the newer version, or restore a snapshot into an empty data_dir"
        ),
        Trouble::Damage { table, key } => {
            return damaged(path, &format!("the value of {key:?} in table {table:?} fails its checksum"));
        }
        Trouble::Redb(redb::Error::Io(e)) => return io_trouble(path, e),
        Trouble::Redb(redb::Error::PreviousIo) => {
            format!("{shown} could not be read or written before, and is not touched again: start again")
        }
        Trouble::Redb(e) => return damaged(path, &e.to_string()),
    })
}

fn io_trouble(path: &Path, e: &std::io::Error) -> StorageError {
    let shown = path.display();
    StorageError(if e.kind() == std::io::ErrorKind::StorageFull {
        format!(
            "{shown} could not be written, the disk is full: free some space and start again; nothing acknowledged is lost"
        )
    } else {
        format!("{shown} could not be read or written: {e}")
    })
}

fn damaged(path: &Path, what: &str) -> StorageError {
    StorageError(format!(
        "{} is damaged ({what}): move it aside and restore a snapshot into an empty data_dir, or let this \
         server rejoin the others with an empty data_dir",
        path.display()
    ))
}

fn seal(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 4);
    out.extend_from_slice(&crc32c(value).to_be_bytes());
    out.extend_from_slice(value);
    out
}

fn unseal<'a>(sealed: &'a [u8], table: &'static str, key: &str) -> Result<&'a [u8], Trouble> {
    let (sum, value) = sealed.split_first_chunk::<4>().ok_or_else(|| Trouble::damage(table, key))?;
    if u32::from_be_bytes(*sum) == crc32c(value) { Ok(value) } else { Err(Trouble::damage(table, key)) }
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

fn encode_snapshot_meta(meta: &SnapshotMeta, length: usize) -> Vec<u8> {
    let mut out = (length as u64).to_be_bytes().to_vec();
    meta.encode(&mut out);
    out
}

fn decode_snapshot_meta(bytes: &[u8]) -> Option<(SnapshotMeta, usize)> {
    let (length, meta) = bytes.split_first_chunk::<8>()?;
    Some((
        SnapshotMeta::decode(Bytes::copy_from_slice(meta)).ok()?,
        usize::try_from(u64::from_be_bytes(*length)).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_refused_and_stays() {
        let dir = std::env::temp_dir().join(format!("lictor-link-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        let (path, target) = (dir.join("state.redb"), dir.join("not mounted"));
        std::os::unix::fs::symlink(&target, &path).expect("a link");
        let refused = RedbStorage::open(&path).err().map(|e| e.to_string()).unwrap_or_default();
        let kept = fs::read_link(&path).ok();
        fs::remove_dir_all(&dir).expect("removed");
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        assert_eq!(kept, Some(target));
    }
}
