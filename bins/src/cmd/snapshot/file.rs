//! A file that gets its name only once it is known to be good.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::client::reason;

/// A file on the disk that is not known to be good yet. Dropping it removes it.
pub(super) struct Unverified {
    path: PathBuf,
    wanted: PathBuf,
}

impl Unverified {
    /// Writes and flushes `bytes` beside `wanted`, for the owner's eyes only: who has a snapshot has everything.
    pub(super) fn write(wanted: &str, bytes: &[u8]) -> Result<Unverified, String> {
        let path = PathBuf::from(format!("{wanted}.unverified"));
        let failed = |e: io::Error| format!("open {}: {}", path.display(), reason(&e));
        // One that was left behind may have another mode.
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let unverified = Unverified { path: path.clone(), wanted: PathBuf::from(wanted) };
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(unverified)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in the place of a file that has it.
    pub(super) fn verified(self) -> Result<(), (String, String)> {
        let parent = self.wanted.parent().filter(|parent| !parent.as_os_str().is_empty());
        let renamed = fs::rename(&self.path, &self.wanted)
            .and_then(|()| File::open(parent.unwrap_or(Path::new(".")))?.sync_all());
        renamed.map_err(|e| {
            // Go's word for a directory in the way.
            let why = if self.wanted.is_dir() { "file exists".to_owned() } else { reason(&e) };
            let (from, to) = (self.path.display().to_string(), self.wanted.display());
            let text = format!("rename {from} {to}: {why}");
            (from, text)
        })
    }
}

impl Drop for Unverified {
    fn drop(&mut self) {
        // It is not there any more if all went well.
        let _ = fs::remove_file(&self.path);
    }
}
