//! `lictor`: one binary with every command; links named `consul`, `lictor-server` and `lictor-agent` give
//! it other names (see the library).

use std::process::ExitCode;

fn main() -> ExitCode {
    lictor_bins::main()
}
