//! Many runs, and what they met together.

use super::marks::{Mark, Marks};
use super::plan::Plan;
use super::run::run;
use super::scenario::Scenario;
use super::trace::Trace;
use super::verdict::Violation;
use std::collections::BTreeMap;

/// What a sweep has come to so far.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Runs.
    pub runs: u64,
    /// Nanoseconds that servers were up, summed over servers and runs.
    pub server_ns: u64,
    /// Requests of clients.
    pub operations: u64,
    /// Reads and writes that the oracle confirmed.
    pub confirmed: u64,
    /// Events.
    pub events: u64,
    marks: BTreeMap<&'static str, Marks>,
    required: BTreeMap<&'static str, &'static [Mark]>,
}

impl Sweep {
    /// Runs one seed of one scenario.
    pub fn one(&mut self, scenario: &Scenario, seed: u64) -> Result<(), (Box<Plan>, Violation)> {
        let plan = scenario.plan(seed);
        let report = run(&plan, Trace::new(false, false));
        self.runs += 1;
        self.server_ns += report.server_ns;
        self.operations += report.operations as u64;
        self.confirmed += report.confirmed as u64;
        self.events += report.events;
        self.required.insert(scenario.name, scenario.required);
        self.marks.entry(scenario.name).or_default().merge(&report.marks);
        match report.violation {
            Some(violation) => Err((Box::new(plan), violation)),
            None => Ok(()),
        }
    }

    /// Marks that a scenario requires and this sweep has not met.
    pub fn missing(&self) -> Vec<(&'static str, Mark)> {
        let missing = |(name, marks): (&&'static str, &Marks)| {
            let wanted = self.required.get(name).copied().unwrap_or_default();
            let name = *name;
            marks.missing(wanted).into_iter().map(move |mark| (name, mark)).collect::<Vec<_>>()
        };
        self.marks.iter().flat_map(missing).collect()
    }

    /// Everything met, over all scenarios.
    pub fn marks(&self) -> Marks {
        let mut all = Marks::default();
        self.marks.values().for_each(|marks| all.merge(marks));
        all
    }

    /// Seconds of servers, in virtual time.
    pub fn server_seconds(&self) -> f64 {
        self.server_ns as f64 / 1e9
    }
}
