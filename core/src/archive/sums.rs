//! `SHA256SUMS`: a line for each of the other files, in the form of `sha256sum`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use sha2::{Digest, Sha256};

fn hex(body: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The file for these names and bodies.
pub(super) fn write(files: &[(&str, &[u8])]) -> Vec<u8> {
    files.iter().map(|(name, body)| format!("{}  {name}\n", hex(body))).collect::<String>().into_bytes()
}

/// Checks that `listed` names exactly these files, each with its hash. The text of a refusal is Consul's.
pub(super) fn check(listed: &[u8], files: &[(&str, &[u8])]) -> Result<(), String> {
    let listed = core::str::from_utf8(listed).map_err(|_| String::from("input does not match format"))?;
    let mut seen = Vec::new();
    for line in listed.lines() {
        let Some((hash, name)) = line.split_once("  ") else {
            return Err("input does not match format".into());
        };
        let Some((_, body)) = files.iter().find(|(file, _)| *file == name) else {
            return Err(format!("list missing hash for {name:?}"));
        };
        if !hash.eq_ignore_ascii_case(&hex(body)) {
            return Err(format!("hash check failed for {name:?}"));
        }
        seen.push(name);
    }
    match files.iter().find(|(name, _)| !seen.contains(name)) {
        Some((name, _)) => Err(format!("file missing for {name:?}")),
        None => Ok(()),
    }
}
