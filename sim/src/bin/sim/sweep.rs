//! `sim sweep` and `sim canary`.

use super::args::Args;
use super::cpu::Cpu;
use super::failure;
use lictor_sim::fast::marks::Mark;
use lictor_sim::fast::scenario::CANARY;
#[cfg(feature = "mutants")]
use lictor_sim::fast::scenario::Scenario;
use lictor_sim::fast::sweep::Sweep;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) const HELP: &str = "\
usage: sim sweep [--from SEED|COMMIT] [--seconds N | --seeds N] [--scenario NAME]

Runs one seed of each scenario after the other, then the next seed, for N seconds (60) or N seeds each.
--from takes a number, or any text such as a commit's hash, so that every commit tries other seeds:

    sim sweep --from $(git rev-parse HEAD) --seconds 300

Ends at the first violation, with a report and its exit code. When the time is over, scenarios that have not met all
marks that they exist for are run on, for up to four times as long; a sweep that met no violation fails all the same,
with exit code 1, if a mark is missing even then.
";

pub(crate) const CANARY_HELP: &str = "\
usage: sim canary [--from SEED] [--seeds N]

Runs seeds of a scenario in which a client claims writes that it never sent. Each must end in a violation
of linearizability; exit code 1 if one does not.
";

pub(crate) fn sweep(args: &Args) -> Result<ExitCode, String> {
    let scenarios = args.scenarios()?;
    let began = Instant::now();
    let cpu = Cpu::start();
    let budget = Duration::from_secs(args.seconds.unwrap_or(60));
    let mut sweep = Sweep::default();
    let mut seed = args.from;
    loop {
        let late = args.seeds.is_none() && began.elapsed() >= budget;
        let missing = sweep.missing();
        let over = match args.seeds {
            Some(seeds) => seed >= args.from + seeds,
            None => late && (missing.is_empty() || began.elapsed() >= budget * 4),
        };
        if over {
            break;
        }
        let wanted = |name: &str| !late || missing.iter().any(|(misses, _)| *misses == name);
        for scenario in scenarios.iter().filter(|scenario| wanted(scenario.name)) {
            failure::running(failure::command_of(&scenario.plan(seed)));
            if let Err((plan, violation)) = sweep.one(scenario, seed) {
                failure::report(&plan, &violation);
                return Ok(ExitCode::from(violation.kind.code()));
            }
            if args.seeds.is_none() && !late && began.elapsed() >= budget {
                break;
            }
        }
        seed += 1;
    }
    summary(&sweep, args.from, &cpu);
    let missing = sweep.missing();
    for (scenario, mark) in &missing {
        println!("MISSED     {scenario}: {}", mark.text());
    }
    Ok(ExitCode::from(u8::from(!missing.is_empty())))
}

fn summary(sweep: &Sweep, from: u64, cpu: &Cpu) {
    let used = cpu.elapsed().as_secs_f64().max(0.01);
    println!("runs       {} from seed {from}", sweep.runs);
    println!("requests   {} ({} confirmed by the oracle)", sweep.operations, sweep.confirmed);
    println!("events     {} ({:.0} per CPU second)", sweep.events, sweep.events as f64 / used);
    println!(
        "rate       {:.0} simulated server seconds in {used:.2} CPU seconds: {:.0} per CPU second",
        sweep.server_seconds(),
        sweep.server_seconds() / used
    );
    let marks = sweep.marks();
    for mark in Mark::ALL {
        println!("mark       {:>8} {}", marks.count(*mark), mark.text());
    }
}

pub(crate) fn canary(args: &Args) -> Result<ExitCode, String> {
    let mut lived = 0;
    for seed in args.from..args.from + args.seeds.unwrap_or(10) {
        match Sweep::default().one(&CANARY, seed) {
            Ok(()) => {
                lived += 1;
                println!("seed {seed}: the lie was not found");
            }
            Err((_, violation)) => {
                println!("seed {seed}: found, {}: {}", violation.kind.name(), violation.rule)
            }
        }
    }
    Ok(ExitCode::from(u8::from(lived > 0)))
}

pub(crate) const MUTANTS_HELP: &str = "\
usage: sim mutants [--from SEED] [--seeds N] [--scenario NAME] [--mutant NAME]

Puts the known bugs of core/src/mutant.rs back (or the one of that name), one at a time, and runs up to N seeds (40)
of every scenario, the likeliest first, until one finds it; as many bugs at once as there are processors. Exit code 1 if
one lives. Build with the bugs in:

    cargo run --release -p lictor-sim --features mutants --bin sim -- mutants
";

#[cfg(not(feature = "mutants"))]
pub(crate) fn mutants(_: &Args) -> Result<ExitCode, String> {
    Err("this build holds no mutants: build with --features mutants".into())
}

#[cfg(feature = "mutants")]
pub(crate) fn mutants(args: &Args) -> Result<ExitCode, String> {
    use lictor_core::Mutant;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let scenarios = args.scenarios()?;
    let mutants = match &args.mutant {
        None => Mutant::ALL.to_vec(),
        Some(name) => vec![Mutant::named(name).ok_or_else(|| format!("no mutant is called {name:?}"))?],
    };
    let seeds = args.from..args.from + args.seeds.unwrap_or(40);
    let (next, lived) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Each run is a process of its own, and no mutant waits for another.
    let hunt = || {
        while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
            match hunted(*mutant, &scenarios, seeds.clone()) {
                (runs, Some(how)) => println!("{:<28} found in run {runs:>4}: {how}", mutant.name()),
                (runs, None) => {
                    lived.fetch_add(1, Ordering::Relaxed);
                    println!("{:<28} LIVES after {runs} runs", mutant.name());
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let hands = std::thread::available_parallelism().map_or(1, usize::from);
        (0..hands).for_each(|_| drop(scope.spawn(hunt)));
    });
    Ok(ExitCode::from(u8::from(lived.into_inner() > 0)))
}

/// Runs seeds of all scenarios, the likeliest first, until one finds the mutant: how many, and what was found.
#[cfg(feature = "mutants")]
fn hunted(
    mutant: lictor_core::Mutant,
    scenarios: &[Scenario],
    mut seeds: std::ops::Range<u64>,
) -> (usize, Option<String>) {
    let mut ordered: Vec<&Scenario> = scenarios.iter().collect();
    ordered.sort_by_key(|scenario| scenario.name != likeliest(mutant));
    let number = 1 + lictor_core::Mutant::ALL.iter().position(|other| *other == mutant).unwrap_or(0);
    let mut runs = 0;
    let found = seeds.find_map(|seed| {
        ordered.iter().find_map(|scenario| {
            let mut plan = scenario.plan(seed);
            plan.knobs.mutant = number as u64;
            runs += 1;
            let violation = super::one::judge(&plan)?;
            Some(format!("{}: {} ({} seed {seed})", violation.kind.name(), violation.rule, scenario.name))
        })
    });
    (runs, found)
}

/// The scenario that a mutant is made for; any may find it.
#[cfg(feature = "mutants")]
fn likeliest(mutant: lictor_core::Mutant) -> &'static str {
    use lictor_core::Mutant::*;
    match mutant {
        VoteBeforeFlush | AckBeforeFlush | LeaseForEver | NoPreVote | TruncatesWithoutConflict => "partition",
        CommitsOldTerm => "torn-writes",
        ReadBeforeCaughtUp => "quorum-loss",
        ReadIndexAlone | VotesAgainstLease => "handover",
        TwoChangesAtOnce => "membership",
        LeaseBeforeNoop | UnknownAsFailed => "quorum-loss",
        DefaultReadsAnywhere | DeletesWakeNobody | IdenticalWriteRaises => "calm",
        KeepsLocksOfTheEnded | RenewsNothing | WatchesNoNewSessions => "calm",
        RestoresWithoutTheLastPart | FollowersSkipRestores | RestoreWakesNobody => "restores",
        WatchesNoRestoredSessions => "restores",
        SnapshotWakesNobody | SnapshotLosesIndexes | InstallsUnread => "snapshot",
        FoundsWhatItSees => "cluster-founding",
        RefutesNothing => "cluster-faults",
        TellsTheDeadNothing => "cluster-alone",
        SuspectsForEver => "cluster-deaths",
        UseForgetsKeys => "cluster-keys",
        TwinsGoOn => "cluster-clones",
        ClaimsForEver => "cluster-names",
        NeverFloods => "cluster-wan",
    }
}
