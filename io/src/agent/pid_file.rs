//! `pid_file`: the process ID for whoever starts and stops this agent.

use crate::go_error::cause;
use crate::log::Log;
use lictor_core::event::{Event, Level};
use std::fs;
use std::sync::Arc;

/// A file with this process's ID. It goes when this does.
pub(super) struct PidFile {
    path: String,
    log: Arc<Log>,
}

impl PidFile {
    /// Writes the file; nothing for an empty path.
    ///
    /// # Errors
    /// It cannot be written, in Consul's words.
    pub(super) fn write(path: &str, log: &Arc<Log>) -> Result<Option<PidFile>, String> {
        if path.is_empty() {
            return Ok(None);
        }
        fs::write(path, std::process::id().to_string())
            .map_err(|e| format!("Could not open pid file: open {path}: {}", cause(&e)))?;
        Ok(Some(PidFile { path: path.to_owned(), log: log.clone() }))
    }

    fn remove(&self) -> Result<(), String> {
        let path = &self.path;
        let failed = |call: &str, e| format!("Could not remove pid file: {call} {path}: {}", cause(&e));
        if fs::metadata(path).map_err(|e| failed("stat", e))?.is_dir() {
            return Err("Specified pid file path is directory".to_owned());
        }
        fs::remove_file(path).map_err(|e| failed("remove", e))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(why) = self.remove() {
            let event = Event::new(Level::Warn, "agent", "could not delete pid file");
            self.log.write(&event.with("error", why));
        }
    }
}
