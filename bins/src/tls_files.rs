//! The files that a client is told to use for TLS. They are looked at whatever the address is, as Consul does: a
//! mistake in them is told at once, and not when the agent's address changes.

use crate::client::reason;
use crate::flags::Parsed;
use crate::shell::Shell;
use std::fs;

/// Whether the files of flags and environment can be read and hold what they should.
///
/// # Errors
/// The first that cannot, in Go's words.
pub(crate) fn check(shell: &Shell<'_>, flags: &Parsed) -> Result<(), String> {
    let named = |flag: &str, var: &str| {
        flags.text(flag).filter(|v| !v.is_empty()).or(shell.var(var)).map(str::to_owned)
    };
    match (named("client-cert", "CONSUL_CLIENT_CERT"), named("client-key", "CONSUL_CLIENT_KEY")) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (read(&cert)?, read(&key)?);
            for (bytes, marks, what) in
                [(cert, "CERTIFICATE-----", "certificate"), (key, "PRIVATE KEY-----", "key")]
            {
                if !holds(&bytes, marks) {
                    return Err(format!("tls: failed to find any PEM data in {what} input"));
                }
            }
        }
        (None, None) => {}
        _ => return Err("both client cert and client key must be provided".to_owned()),
    }
    if let Some(path) = named("ca-file", "CONSUL_CACERT") {
        return authority(&path).map_err(|why| format!("Error loading CA File: {why}"));
    }
    let Some(path) = named("ca-path", "CONSUL_CAPATH") else { return Ok(()) };
    let kind = fs::metadata(&path).map_err(|e| format!("lstat {path}: {}", reason(&e)))?;
    let mut files = Vec::new();
    if kind.is_dir() {
        let entries = fs::read_dir(&path).map_err(|e| format!("open {path}: {}", reason(&e)))?;
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        files.extend(paths.filter(|path| path.is_file()).map(|path| path.display().to_string()));
        files.sort();
    } else {
        files.push(path);
    }
    files.iter().try_for_each(|file| authority(file)).map_err(|why| format!("Error loading CA Path: {why}"))
}

fn authority(path: &str) -> Result<(), String> {
    match holds(&read(path)?, "CERTIFICATE-----") {
        true => Ok(()),
        false => Err(format!("Couldn't parse PEM in: {path}")),
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| {
        let call = if fs::metadata(path).is_ok_and(|kind| kind.is_dir()) { "read" } else { "open" };
        format!("{call} {path}: {}", reason(&e))
    })
}

fn holds(pem: &[u8], mark: &str) -> bool {
    pem.windows(mark.len()).any(|window| window == mark.as_bytes())
}
