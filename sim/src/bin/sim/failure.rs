//! What is printed when a run fails.

use lictor_sim::fast::plan::Plan;
use lictor_sim::fast::run::run;
use lictor_sim::fast::trace::{self, Trace};
use lictor_sim::fast::verdict::{Kind, Violation};
use std::cell::RefCell;
use std::path::PathBuf;

/// Lines of the column log that a report shows.
const LINES: usize = 60;

thread_local! {
    /// The command that replays what runs now.
    static RUNNING: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Remembers how to replay what runs next, in case it panics.
pub(crate) fn running(how: String) {
    RUNNING.with_borrow_mut(|running| *running = how);
}

/// The command that replays a seed.
pub(crate) fn command_of(plan: &Plan) -> String {
    format!(
        "cargo run --release -p lictor-sim --bin sim -- replay --seed {} --scenario {}",
        plan.seed, plan.scenario
    )
}

/// A panic of a node ends the process: with the log so far, the command and the code for a crash.
pub(crate) fn install_panic_report() {
    std::panic::set_hook(Box::new(|info| {
        println!("VIOLATION crash: {info}");
        print_log();
        RUNNING.with_borrow(|running| println!("REPRODUCE  {running}"));
        std::process::exit(i32::from(Kind::Crash.code()));
    }));
}

fn print_log() {
    let lines = trace::tail(LINES);
    if !lines.is_empty() {
        println!("{}", trace::HEADING);
        lines.iter().for_each(|line| println!("{line}"));
    }
}

/// Prints everything about a violation; the run is run again to get its log.
pub(crate) fn report(plan: &Plan, violation: &Violation) {
    let again = run(plan, Trace::new(true, false));
    println!("{violation}");
    let knobs: Vec<String> = plan.knobs.lines().lines().map(|line| line.replace(' ', "=")).collect();
    println!("seed={} scenario={} actions={}", plan.seed, plan.scenario, plan.steps.len());
    println!("{}", knobs.join(" "));
    print_log();
    if again.violation.as_ref() != Some(violation) {
        println!("a second run of the same plan ended otherwise: {:?}", again.violation);
    }
    match save(plan, "plan") {
        Ok(path) => println!("artifact   {}", path.display()),
        Err(error) => println!("the plan could not be saved: {error}"),
    }
    println!("REPRODUCE  {}", command_of(plan));
}

/// Writes a plan below `target/sim`.
pub(crate) fn save(plan: &Plan, name: &str) -> std::io::Result<PathBuf> {
    let folder = PathBuf::from(format!("target/sim/{}-{}", plan.scenario, plan.seed));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.plan"));
    std::fs::write(&path, plan.to_string())?;
    Ok(path)
}
