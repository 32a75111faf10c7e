//! Commands about one run: `replay`, `shrink`, `diff`, `explain`; and `list`.

use super::args::Args;
use super::failure;
use lictor_sim::fast::knobs::Knobs;
use lictor_sim::fast::marks::Mark;
use lictor_sim::fast::plan::Plan;
use lictor_sim::fast::run::run;
use lictor_sim::fast::scenario::{ALL, CANARY};
use lictor_sim::fast::shrink as shrinking;
use lictor_sim::fast::trace::{HEADING, Trace};
use lictor_sim::fast::verdict::{Kind, Violation};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const HELP: &str = "\
usage: sim replay  FILE.plan | --seed N --scenario NAME
       sim shrink  FILE.plan | --seed N --scenario NAME
       sim diff    FILE.plan | --seed N --scenario NAME
       sim explain FILE.plan | --seed N --scenario NAME [--node N]

replay   runs it once and reports; the exit code is that of the violation.
shrink   drops actions and calms knobs as long as the same rule is broken, and saves the smaller plan below
         target/sim. Plans are text: they can be edited, replayed, and committed to sim/corpus.
diff     runs it twice in this process and compares after every event.
explain  prints every line of the column log as it happens. --node shows the lines of one server.
";

pub(crate) fn replay(args: &Args) -> Result<ExitCode, String> {
    let plan = args.plan()?;
    failure::running(failure::command_of(&plan));
    let report = run(&plan, Trace::new(true, false));
    if let Some(violation) = &report.violation {
        failure::report(&plan, violation);
        return Ok(ExitCode::from(violation.kind.code()));
    }
    println!(
        "passed: {} events, {} requests ({} confirmed), {:.0} server seconds, hash {:016x}",
        report.events,
        report.operations,
        report.confirmed,
        report.server_ns as f64 / 1e9,
        report.hash
    );
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn explain(args: &Args) -> Result<ExitCode, String> {
    let plan = args.plan()?;
    println!("{HEADING}");
    let mut trace = Trace::new(true, false);
    trace.echo = true;
    trace.node = args.node;
    let report = run(&plan, trace);
    match report.violation {
        Some(violation) => {
            println!("{violation}");
            Ok(ExitCode::from(violation.kind.code()))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

pub(crate) fn shrink(args: &Args) -> Result<ExitCode, String> {
    let plan = args.plan()?;
    failure::running(failure::command_of(&plan));
    let Some(violation) = judge(&plan) else {
        println!("this plan passes: there is nothing to shrink");
        return Ok(ExitCode::from(1));
    };
    println!("{violation}");
    let mut tried = 0;
    let small = shrinking::shrink(&plan, &violation, |candidate| {
        tried += 1;
        judge(candidate)
    });
    let path = failure::save(&small, "shrunk").map_err(|e| e.to_string())?;
    println!("shrunk: {} -> {} actions in {tried} runs", plan.steps.len(), small.steps.len());
    print!("{small}");
    println!("REPRODUCE  cargo run --release -p lictor-sim --bin sim -- replay {}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Runs a plan. Whether it panics is told by a process of its own, since a panic ends the process.
pub(super) fn judge(plan: &Plan) -> Option<Violation> {
    let text = plan.to_string();
    static JUDGED: AtomicU64 = AtomicU64::new(0);
    let number = JUDGED.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("lictor-sim-{}-{number}", std::process::id()));
    let path = folder.join("candidate.plan");
    let saved = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
    let exe = std::env::current_exe();
    let (Ok(()), Ok(exe)) = (saved, exe) else { return run(plan, Trace::new(false, false)).violation };
    let output = std::process::Command::new(exe).arg("replay").arg(&path).output().ok();
    let _ = std::fs::remove_dir_all(&folder);
    let output = output?;
    if output.status.code() == Some(i32::from(Kind::Crash.code())) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let what = text.lines().take(2).collect::<Vec<_>>().join(" ");
        // The place of the panic is the rule that is broken.
        let rule = what.split(" invariant broken").next().unwrap_or_default().to_owned();
        return Some(Violation { kind: Kind::Crash, rule, what, at: u64::MAX });
    }
    match output.status.success() {
        true => None,
        false => run(plan, Trace::new(false, false)).violation,
    }
}

pub(crate) fn diff(args: &Args) -> Result<ExitCode, String> {
    let plan = args.plan()?;
    let (one, two) = (run(&plan, Trace::new(false, true)), run(&plan, Trace::new(false, true)));
    let first = one.hashes.iter().zip(&two.hashes).position(|(a, b)| a != b);
    match first {
        None if one.hash == two.hash && one.events == two.events => {
            println!("equal: {} events, hash {:016x}", one.events, one.hash);
            Ok(ExitCode::SUCCESS)
        }
        place => {
            let place = place.unwrap_or(one.hashes.len().min(two.hashes.len()));
            println!("VIOLATION {}: event {place} differs", Kind::NonDeterminism.name());
            Ok(ExitCode::from(Kind::NonDeterminism.code()))
        }
    }
}

pub(crate) fn list() -> Result<ExitCode, String> {
    println!("scenarios");
    for scenario in ALL.iter().chain([&CANARY]) {
        println!("  {:<14} {}", scenario.name, scenario.about);
    }
    println!("knobs");
    for (name, about) in Knobs::ALL {
        println!("  {name:<22} {}", about.trim());
    }
    println!("marks");
    for mark in Mark::ALL {
        println!("  {}", mark.text());
    }
    Ok(ExitCode::SUCCESS)
}
