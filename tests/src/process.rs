//! What the system knows of a process (Linux's `/proc`).

use std::fs;

/// Bytes of memory that a process holds, or `None` where the system does not tell.
pub fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Whether any process has `text` in its command line.
pub fn any_running(text: &str) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.filter_map(Result::ok).any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        // A zombie has an empty command line.
        line.windows(text.len()).any(|w| w == text.as_bytes())
    })
}
