//! `lictor-server`: `lictor agent` that always runs as a server.

use std::process::ExitCode;

fn main() -> ExitCode {
    lictor_bins::agent_main(true)
}
