//! Raw flushes: what a durable write waits for at least.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// One flush's bytes.
const BLOCK: usize = 4096;
/// The file that is made before it is written over.
const FILE: usize = 16 << 20;

/// How long flushes of 4 KiB take, one after the other, for `time`: into a file that grows, and over the
/// zeroes of one that was written before.
///
/// # Errors
/// The directory cannot be written.
pub fn flushes(dir: &Path, time: Duration, growing: bool) -> io::Result<Vec<Duration>> {
    let path = dir.join("flushes");
    let mut file = File::create(&path)?;
    if !growing {
        file.write_all(&vec![0; FILE])?;
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
    }
    let block = [0x5a; BLOCK];
    let mut took = Vec::new();
    let mut at = 0;
    let start = Instant::now();
    while start.elapsed() < time {
        let before = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        took.push(before.elapsed());
        at += BLOCK;
        if !growing && at + BLOCK > FILE {
            file.seek(SeekFrom::Start(0))?;
            at = 0;
        }
    }
    fs::remove_file(&path)?;
    took.sort_unstable();
    Ok(took)
}
