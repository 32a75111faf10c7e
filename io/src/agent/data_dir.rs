//! The data directory: one process at a time, one identity, one format.
//!
//! | path | what it is |
//! |---|---|
//! | `node-id` | this node's UUID, as Consul keeps it |
//! | `lictor/lock` | held while a process uses the directory |
//! | `lictor/state.redb`, `lictor/log-*` | see [`crate::storage::log`] |

use crate::storage::StorageError;
use crate::storage::log::STATE;
use lictor_core::Str;
use lictor_core::rng::{Rng, Seed};
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// A data directory that this process holds.
#[derive(Debug)]
pub(super) struct DataDir {
    /// Held as long as the process lives.
    _lock: File,
    /// This node's identity.
    pub(super) node_id: Str,
    /// Where the state is.
    pub(super) own: PathBuf,
}

impl DataDir {
    /// Makes the directory if need be, locks it, and reads or makes the identity.
    pub(super) fn open(path: &Path, configured_id: &str, seed: Seed) -> Result<DataDir, StorageError> {
        let own = path.join("lictor");
        // Looked at before anything is made: what is refused stays as it is.
        if !own.join(STATE).exists()
            && let Some(consul) = consul_state(path)
        {
            return Err(StorageError(format!(
                "{} holds the state of a Consul server, which this program does not read: give the agent an \
                 empty data_dir and bring the data over with a snapshot",
                consul.display()
            )));
        }
        fs::create_dir_all(&own).map_err(|e| {
            StorageError(format!(
                "data_dir {} cannot be used: {} could not be made: {e}; make it a directory that this user \
                 may write to, or set another data_dir",
                path.display(),
                own.display()
            ))
        })?;
        let lock = take_lock(&own.join("lock"), path)?;
        let node_id = node_id(&path.join("node-id"), configured_id, seed)?;
        Ok(DataDir { _lock: lock, node_id, own })
    }
}

/// What a Consul server has left in this data directory: its log, by raft-wal (1.20 and later by default) or by
/// raft-boltdb, or a snapshot.
fn consul_state(path: &Path) -> Option<PathBuf> {
    let raft = path.join("raft");
    let logs = ["wal/wal-meta.db", "raft.db"].map(|log| raft.join(log));
    let snapshots = fs::read_dir(raft.join("snapshots")).into_iter().flatten().filter_map(Result::ok);
    let mut left = logs.into_iter().chain(snapshots.map(|snapshot| snapshot.path().join("state.bin")));
    left.find(|file| file.exists())
}

fn take_lock(lock_path: &Path, dir: &Path) -> Result<File, StorageError> {
    let file = File::create(lock_path).map_err(|e| {
        StorageError(format!(
            "data_dir {} cannot be used: {} could not be opened: {e}; let this user write to it, or set another \
             data_dir",
            dir.display(),
            lock_path.display()
        ))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError(format!(
            "data_dir {} is in use by another process (it holds {}): stop it, or give this agent its own data_dir",
            dir.display(),
            lock_path.display()
        ))),
        Err(TryLockError::Error(e)) => Err(trouble("could not be locked", lock_path, &e)),
    }
}

fn node_id(path: &Path, configured: &str, seed: Seed) -> Result<Str, StorageError> {
    if !configured.is_empty() {
        write_whole(path, configured)?;
        return Ok(Str::from(configured));
    }
    // A UUID and the end of a line; more is something else.
    let read = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(64).read_to_end(&mut bytes).map(|_| bytes)
    });
    match read {
        Ok(bytes) => {
            let id = core::str::from_utf8(&bytes).map_or("", str::trim);
            if uuid(id).is_ok() {
                return Ok(Str::from(id));
            }
            Err(StorageError(format!(
                "{} does not hold a UUID: restore it, or remove it to give this node a new identity",
                path.display()
            )))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let id = Rng::new(seed).fork("node-id").uuid();
            write_whole(path, &id)?;
            Ok(Str::from(id))
        }
        Err(e) => Err(trouble("could not be read", path, &e)),
    }
}

/// Whether `text` is hexadecimal in groups of 8-4-4-4-12, or Consul's word for what it is instead.
pub(super) fn uuid(text: &str) -> Result<(), String> {
    if text.len() != 36 {
        return Err("uuid string is wrong length".to_owned());
    }
    let dashes = [8, 13, 18, 23];
    if dashes.iter().any(|i| text.as_bytes()[*i] != b'-') {
        return Err("uuid is improperly formatted".to_owned());
    }
    let digits = text.bytes().enumerate().filter(|(i, _)| !dashes.contains(i));
    match digits.map(|(_, b)| b).find(|b| !b.is_ascii_hexdigit()) {
        Some(b) => Err(format!("encoding/hex: invalid byte: U+{b:04X} {:?}", char::from(b))),
        None => Ok(()),
    }
}

/// tmp + fsync + rename + fsync of the directory: the file is the old one or the new one, whole.
fn write_whole(path: &Path, text: &str) -> Result<(), StorageError> {
    let tmp = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&tmp)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&tmp, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|e: std::io::Error| trouble("could not be written", path, &e))
}

fn trouble(what: &str, path: &Path, e: &std::io::Error) -> StorageError {
    StorageError(format!("{} {what}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lictor-data-dir-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn the_identity_outlives_the_process_and_a_second_process_is_refused() {
        let dir = scratch("identity");
        let first = DataDir::open(&dir, "", Seed::from_u64(1)).unwrap();
        let refused = DataDir::open(&dir, "", Seed::from_u64(2)).unwrap_err();
        assert!(refused.0.contains("in use by another process"), "{refused}");
        let id = first.node_id.clone();
        drop(first);
        assert_eq!(DataDir::open(&dir, "", Seed::from_u64(3)).unwrap().node_id, id);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_broken_identity_and_a_consul_directory_are_refused_by_name() {
        let dir = scratch("broken");
        fs::create_dir_all(dir.join("raft")).unwrap();
        fs::write(dir.join("node-id"), "nonsense").unwrap();
        let refused = DataDir::open(&dir, "", Seed::from_u64(1)).unwrap_err();
        assert!(refused.0.contains("node-id"), "{refused}");
        for state in ["raft/raft.db", "raft/wal/wal-meta.db", "raft/snapshots/2-40-1764403200000/state.bin"] {
            let file = dir.join(state);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            let refused = DataDir::open(&dir, "", Seed::from_u64(1)).unwrap_err();
            assert!(
                refused.0.contains(state) && refused.0.contains("holds the state of a Consul"),
                "{refused}"
            );
            fs::remove_file(&file).unwrap();
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
