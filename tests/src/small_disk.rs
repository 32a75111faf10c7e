//! A small disk: a tmpfs in a mount namespace of its own.

use crate::Scratch;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Bytes.
pub const MIB: usize = 1 << 20;

/// A tmpfs that lives as long as the process which holds its namespace; seen from outside through
/// that process's root.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    /// Where it is.
    pub path: PathBuf,
    _scratch: Scratch,
}

impl SmallDisk {
    fn new(megabytes: usize) -> Option<SmallDisk> {
        let scratch = Scratch::new("disk");
        let at = scratch.path().display().to_string();
        let script = format!("mount -t tmpfs -o size={megabytes}m none '{at}' && echo ready && exec cat");
        let mut holder = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let _ = BufReader::new(holder.stdout.take()?).read_line(&mut line);
        if line.trim() != "ready" {
            let _ = holder.kill();
            let _ = holder.wait();
            return None;
        }
        let path = PathBuf::from(format!("/proc/{}/root{at}", holder.id()));
        Some(SmallDisk { holder, path, _scratch: scratch })
    }

    /// A disk, or a printed reason why there is none.
    pub fn or_skip(megabytes: usize) -> Option<SmallDisk> {
        let disk = SmallDisk::new(megabytes);
        if disk.is_none() {
            eprintln!("SKIPPED: no mount namespace with a tmpfs can be made here (unshare -rm)");
        }
        disk
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Writes until the disk is full or `bytes` are written.
pub fn ballast(path: &Path, bytes: usize) {
    let mut file = fs::File::create(path).expect("ballast on the small disk");
    let block = vec![0xa5; MIB / 4];
    for _ in 0..bytes / block.len() {
        if file.write_all(&block).is_err() {
            break;
        }
    }
}
