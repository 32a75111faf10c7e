//! `lictor-agent`: `lictor agent` that always runs as a client of the servers it joins.

use std::process::ExitCode;

fn main() -> ExitCode {
    lictor_bins::agent_main(false)
}
