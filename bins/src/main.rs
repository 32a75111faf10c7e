//! `lictor`: one binary with every command; a link named `consul` makes it a drop-in.

use std::process::ExitCode;

fn main() -> ExitCode {
    lictor_bins::main(&[])
}
