//! Cargo, run by a program that cargo runs.

use std::process::Command;

/// Cargo at the root of this workspace, as if started by hand.
///
/// What cargo tells a program about its own package is taken away: build scripts look at it, and every second run
/// would build half of the dependencies again.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}
