//! `sim`: runs, replays, shrinks and explains simulations.

mod args;
mod cpu;
mod failure;
mod gossip;
mod one;
mod sweep;

use args::Args;
use std::process::ExitCode;

const HELP: &str = "\
sim - simulate clusters of Lictor under faults, deterministically

usage: sim COMMAND [OPTIONS]

  sweep     run seeds until time or count is up; ends at the first violation
  replay    run one seed or one plan file, with its column log
  shrink    make a failing seed or plan smaller, as long as it fails the same way
  diff      run the same plan twice and name the first difference
  explain   the whole column log of a run, or of one server of it
  gossip    pools of gossip alone, measured against memberlist's formulas
  canary    a scenario that must fail: shows that the checkers see
  mutants   known bugs put back one by one: each must be found (needs --features mutants)
  list      scenarios, knobs and marks

A run is decided by its plan alone. `sim sweep` draws plans from seeds; when one fails, it prints what is
wrong, the knobs, the last lines of the column log and the command that replays it.

Exit codes: 0 fine, 101 crash, 102 invariant, 103 linearizability, 104 liveness, 105 non-determinism,
1 a sweep that missed a mark or a canary that lived, 2 bad usage.

`sim COMMAND -h` says more.
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let args = match Args::parse(words) {
        Ok(args) => args,
        Err(why) => return usage(&why),
    };
    failure::install_panic_report();
    let done = match &*command {
        "sweep" if args.help => help(sweep::HELP),
        "sweep" => sweep::sweep(&args),
        "canary" if args.help => help(sweep::CANARY_HELP),
        "canary" => sweep::canary(&args),
        "replay" | "shrink" | "diff" | "explain" if args.help => help(one::HELP),
        "replay" => one::replay(&args),
        "shrink" => one::shrink(&args),
        "diff" => one::diff(&args),
        "explain" => one::explain(&args),
        "gossip" if args.help => help(gossip::HELP),
        "gossip" => gossip::gossip(&args),
        "mutants" if args.help => help(sweep::MUTANTS_HELP),
        "mutants" => sweep::mutants(&args),
        "list" => one::list(),
        "" | "-h" | "--help" | "help" => help(HELP),
        other => Err(format!("no command is called {other:?}")),
    };
    done.unwrap_or_else(|why| usage(&why))
}

fn help(text: &str) -> Result<ExitCode, String> {
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn usage(why: &str) -> ExitCode {
    eprintln!("sim: {why}\nsim -h lists the commands");
    ExitCode::from(2)
}
