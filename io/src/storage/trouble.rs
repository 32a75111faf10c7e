//! What goes wrong with a disk, and the words for it.

use super::StorageError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What went wrong, before it is put into words.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The operating system refuses.
    Io(PathBuf, io::Error),
    /// The database says so.
    Redb(PathBuf, redb::Error),
    /// A file is not what it was.
    Damage(PathBuf, String),
    /// The file's format number is higher than this version knows.
    Newer(PathBuf, u32),
    /// An earlier write failed.
    Given(PathBuf),
}

impl Trouble {
    pub(super) fn damage(path: &Path, what: impl Into<String>) -> Trouble {
        Trouble::Damage(path.to_owned(), what.into())
    }
}

impl From<Trouble> for StorageError {
    fn from(trouble: Trouble) -> StorageError {
        StorageError(match trouble {
            Trouble::Newer(path, found) => format!(
                "{} has format {found}, written by a newer version; this version reads format {}: \
                 start the newer version, or restore a snapshot into an empty data_dir",
                path.display(),
                super::checkpoint::FORMAT
            ),
            Trouble::Damage(path, what) => damaged(&path, &what),
            Trouble::Io(path, e) | Trouble::Redb(path, redb::Error::Io(e)) => refused(&path, &e),
            Trouble::Redb(path, redb::Error::PreviousIo) | Trouble::Given(path) => format!(
                "{} could not be read or written before, and is not touched again: start again",
                path.display()
            ),
            Trouble::Redb(path, redb::Error::DatabaseAlreadyOpen) => format!(
                "{} is in use by another process: stop it, or give this agent its own data_dir",
                path.display()
            ),
            Trouble::Redb(path, e) => damaged(&path, &e.to_string()),
        })
    }
}

fn refused(path: &Path, e: &io::Error) -> String {
    let shown = path.display();
    match e.kind() {
        ErrorKind::StorageFull => format!(
            "{shown} could not be written, the disk is full: free some space and start again; nothing acknowledged is lost"
        ),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => damaged(path, &e.to_string()),
        _ => format!("{shown} could not be read or written: {e}"),
    }
}

/// The files of a state belong together: one of them alone is of no use elsewhere.
fn damaged(path: &Path, what: &str) -> String {
    let all = path.parent().unwrap_or(Path::new("."));
    format!(
        "{} is damaged ({what}): move {} aside and restore a snapshot into an empty data_dir, or let this \
         server rejoin the others with an empty data_dir",
        path.display(),
        all.display()
    )
}
