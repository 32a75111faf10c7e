//! How the binary is linked.

use std::path::Path;
use std::process::Command;

/// LLD, with which the toolchains of rustup link on this target unless told otherwise.
const LLD: &str = "lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld";

/// The first glibc whose loader reads relative relocations in packed form (its release notes of 2.36).
const PACKED: (u32, u32) = (2, 36);

/// In release builds, functions whose code is the same are kept once: generic code is compiled for many types that look
/// alike, and every page of code that is touched counts as memory of the agent. So does the table of what the loader
/// must relocate, which is a hundredth of its size when packed; the binary then wants the glibc that it was built with,
/// or a later one.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let target = "x86_64-unknown-linux-gnu";
    if is("TARGET", target) && is("HOST", target) && is("PROFILE", "release") && has_lld() {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=safe");
        if glibc().is_some_and(|version| version >= PACKED) {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// Another linker may not know the option.
fn has_lld() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(told) = Command::new(rustc).args(["--print", "sysroot"]).output() else { return false };
    Path::new(String::from_utf8_lossy(&told.stdout).trim()).join(LLD).exists()
}

/// The version of the C library here.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
