//! What the system knows of a process (Linux's `/proc`).

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

/// Bytes of memory that a process holds, or `None` where the system does not tell.
pub fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// How many file descriptors a process has open, or `None` where the system does not tell.
pub fn open_files(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Where the TCP connections of a process lead (IPv4). Empty where the system does not tell.
pub fn connections(pid: u32) -> Vec<SocketAddr> {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let sockets: BTreeSet<String> = files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // 01: established.
    rows.filter(|row| row.len() > 9 && row[3] == "01" && sockets.contains(row[9]))
        .filter_map(|row| {
            let (ip, port) = row[2].split_once(':')?;
            // In the machine's own order of bytes.
            let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
            Some(SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?)))
        })
        .collect()
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
