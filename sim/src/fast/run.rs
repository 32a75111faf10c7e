//! One run from its plan to its report.

use super::marks::Marks;
use super::plan::Plan;
use super::trace::Trace;
use super::verdict::{Kind, Violation};
use super::world::{SECOND, World};
use crate::oracle::{Run, indexed, linear};

/// One seed in so many is judged without the log too: that takes ten times as long as the run.
const BLACK_BOX_EVERY: u64 = 32;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What was wrong, if anything.
    pub violation: Option<Violation>,
    /// What was met on the way.
    pub marks: Marks,
    /// Everything that happened, in one number.
    pub hash: u64,
    /// Events.
    pub events: u64,
    /// The hash after each event, if it was asked for.
    pub hashes: Vec<u64>,
    /// Nanoseconds that servers were up, summed over servers.
    pub server_ns: u64,
    /// Requests of clients.
    pub operations: usize,
    /// Reads and writes that the oracle confirmed.
    pub confirmed: usize,
}

/// Runs a plan: faults and safety, then healing and liveness, then the oracles.
pub fn run(plan: &Plan, trace: Trace) -> Report {
    let mut world = World::new(plan.clone(), trace);
    world.run_until(plan.knobs.seconds * SECOND);
    if world.violation.is_none() {
        world.recover();
    }
    let mut confirmed = 0;
    if world.violation.is_none() {
        for centre in 0..world.centres.len() {
            match judge(&world.centres[centre].run, plan.seed) {
                Ok(count) => confirmed += count,
                Err(violation) => world.fail(violation),
            }
        }
    }
    Report {
        hash: world.trace.hash(),
        events: world.trace.events,
        hashes: world.trace.hashes,
        violation: world.violation,
        marks: world.marks,
        server_ns: world.server_ns,
        operations: world.centres.iter().map(|centre| centre.run.operations.len()).sum(),
        confirmed,
    }
}

fn judge(run: &Run, seed: u64) -> Result<usize, Violation> {
    let wrong = |found: crate::oracle::Violation| {
        Violation::new(Kind::Linearizability, found.rule, found.to_string())
    };
    let summary = indexed::check(run).map_err(wrong)?;
    if seed.is_multiple_of(BLACK_BOX_EVERY) {
        linear::check(&run.operations).map_err(wrong)?;
    }
    Ok(summary.reads + summary.writes)
}
