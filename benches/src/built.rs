//! The agent that is measured.

use std::io;
use std::path::PathBuf;

/// The release binary of the agent, built if need be, or the one that `LICTOR_BIN` names.
///
/// # Errors
/// It does not build.
pub fn lictor() -> io::Result<PathBuf> {
    if let Some(binary) = std::env::var_os("LICTOR_BIN") {
        return Ok(binary.into());
    }
    let own = std::env::current_exe()?;
    let dir = own.parent().ok_or_else(|| io::Error::other("no directory of its own"))?;
    let mut build = lictor_tests::cargo::cargo();
    build.args(["build", "--quiet", "--workspace", "--bin", "lictor"]);
    if dir.ends_with("release") {
        build.arg("--release");
    } else {
        eprintln!("This is a debug build: its numbers say nothing about a release build.");
    }
    if !build.status()?.success() {
        return Err(io::Error::other("lictor does not build"));
    }
    Ok(dir.join("lictor"))
}
