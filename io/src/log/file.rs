//! The log file and its rotation, with Consul's names: `consul.log` is written to, `consul-<nanoseconds>.log` is full.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `log_rotate_duration` when it is 0.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// One log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    period: Duration,
    max_files: i64,
    file: File,
    bytes: u64,
    opened: SystemTime,
    /// A failure was told; the next one is not, until something works again.
    failing: bool,
}

impl LogFile {
    /// Opens `path` to append to it; a path that ends in a slash names the directory of `consul.log`. The file is
    /// rotated at `max_bytes` (0: never) and after `period`; of the full files the newest `max_files` are kept (0: all,
    /// negative: none).
    ///
    /// # Errors
    /// As Consul words them. The directory must exist.
    pub fn open(path: &str, max_bytes: u64, period: Duration, max_files: i64) -> Result<LogFile, String> {
        let path = if path.ends_with('/') { Path::new(path).join("consul.log") } else { PathBuf::from(path) };
        let (file, bytes, opened) = append(&path).map_err(|e| {
            let why = match e.kind() {
                std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
                _ => e.to_string(),
            };
            format!("Failed to setup logging: open {}: {why}", path.display())
        })?;
        let period = if period.is_zero() { A_DAY } else { period };
        let log = LogFile { path, max_bytes, period, max_files, file, bytes, opened, failing: false };
        log.prune().map_err(|e| format!("Failed to prune log files: {e}"))?;
        Ok(log)
    }

    /// Appends a line, to a new file if the old one is full or old. What cannot be written is told once on standard
    /// error.
    pub(super) fn write(&mut self, line: &[u8], now: SystemTime) {
        let full = self.max_bytes > 0 && self.bytes >= self.max_bytes;
        let age = now.duration_since(self.opened).unwrap_or_default();
        let rotated = if full || age >= self.period { self.rotate(now) } else { Ok(()) };
        let written = self.file.write_all(line);
        self.bytes += line.len() as u64;
        match rotated.and(written) {
            Ok(()) => self.failing = false,
            Err(_) if self.failing => {}
            Err(e) => {
                eprintln!("==> the log file {} cannot be written or rotated: {e}", self.path.display());
                self.failing = true;
            }
        }
    }

    fn rotate(&mut self, now: SystemTime) -> std::io::Result<()> {
        let nanos = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let (stem, extension) = self.pattern();
        let full = self.path.with_file_name(format!("{stem}-{nanos}{extension}"));
        // Not again for every line, should it fail.
        self.bytes = 0;
        self.opened = now;
        fs::rename(&self.path, full)?;
        (self.file, self.bytes, self.opened) = append(&self.path)?;
        self.prune()
    }

    /// The name without its extension, and the extension with its dot; `.log` where there is none.
    fn pattern(&self) -> (String, String) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.rfind('.') {
            Some(dot) => (name[..dot].to_owned(), name[dot..].to_owned()),
            None => (name, ".log".to_owned()),
        }
    }

    fn prune(&self) -> std::io::Result<()> {
        if self.max_files == 0 {
            return Ok(());
        }
        let (stem, extension) = self.pattern();
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let is_full = |name: &str| {
            let number = name.strip_prefix(&stem).and_then(|n| n.strip_prefix('-'));
            number
                .and_then(|n| n.strip_suffix(&extension))
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        let mut full: Vec<String> = fs::read_dir(directory)?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| is_full(name))
            .collect();
        full.sort();
        let kept = usize::try_from(self.max_files).unwrap_or(0);
        for name in full.iter().take(full.len().saturating_sub(kept)) {
            fs::remove_file(directory.join(name))?;
        }
        Ok(())
    }
}

fn append(path: &Path) -> std::io::Result<(File, u64, SystemTime)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
    let facts = file.metadata()?;
    let created = facts.created().or_else(|_| facts.modified())?;
    Ok((file, facts.len(), created))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let dir = std::env::temp_dir().join(format!("lictor-log-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).expect("a directory");
            Scratch(dir)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).display().to_string()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("a directory");
            let mut names: Vec<String> =
                entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn soon(seconds: u64) -> SystemTime {
        SystemTime::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn full_files_get_consuls_names_and_only_the_newest_stay() {
        let dir = Scratch::new("bytes");
        fs::write(dir.path("my-notes.log"), "not a log of ours").expect("written");
        let mut log = LogFile::open(&dir.path("my.log"), 10, Duration::ZERO, 2).expect("a file");
        for n in 0..5 {
            log.write(b"twelve bytes", soon(n));
        }
        let names = dir.names();
        assert_eq!(names.len(), 4, "{names:?}");
        assert!(names.contains(&"my.log".to_owned()) && names.contains(&"my-notes.log".to_owned()));
        for name in names.iter().filter(|n| !n.ends_with("notes.log") && *n != "my.log") {
            let number = name.strip_prefix("my-").and_then(|n| n.strip_suffix(".log")).expect(name);
            assert_eq!(number.len(), 19, "nanoseconds since the epoch: {name}");
            assert_eq!(fs::read(dir.path(name)).expect("a file"), b"twelve bytes");
        }
    }

    #[test]
    fn an_old_file_is_full_and_a_negative_number_keeps_none() {
        let dir = Scratch::new("age");
        let mut log = LogFile::open(&dir.path(""), 0, Duration::from_secs(60), -1).expect("a file");
        log.write(b"a", soon(1));
        log.write(b"b", soon(62));
        assert_eq!(dir.names(), ["consul.log"]);
        assert_eq!(fs::read(dir.path("consul.log")).expect("a file"), b"b");
    }

    #[test]
    fn a_restart_appends_and_counts_what_is_there_already() {
        let dir = Scratch::new("restart");
        for expected in [1, 2] {
            let mut log = LogFile::open(&dir.path("plain"), 15, Duration::ZERO, 0).expect("a file");
            log.write(b"ten bytes.", soon(0));
            log.write(b"ten bytes.", soon(1));
            assert_eq!(dir.names().len(), expected, "{:?}", dir.names());
        }
        assert!(dir.names().iter().any(|n| n.starts_with("plain-") && n.ends_with(".log")));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let why = LogFile::open("/nonexistent/x.log", 0, Duration::ZERO, 0).expect_err("no directory");
        assert_eq!(why, "Failed to setup logging: open /nonexistent/x.log: no such file or directory");
    }
}
