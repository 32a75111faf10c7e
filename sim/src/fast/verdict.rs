//! What can be wrong with a run.

use std::fmt;

/// The kinds of violation, each with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A node panicked, refused its own disk, or stopped without cause.
    Crash,
    /// An invariant does not hold.
    Invariant,
    /// Clients saw what no correct registry answers.
    Linearizability,
    /// Everything was healed, and still something did not work in time.
    Liveness,
    /// The same plan gave two different runs.
    NonDeterminism,
}

impl Kind {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Kind::Crash => 101,
            Kind::Invariant => 102,
            Kind::Linearizability => 103,
            Kind::Liveness => 104,
            Kind::NonDeterminism => 105,
        }
    }

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Crash => "crash",
            Kind::Invariant => "invariant",
            Kind::Linearizability => "linearizability",
            Kind::Liveness => "liveness",
            Kind::NonDeterminism => "non-determinism",
        }
    }
}

/// What was found, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its kind.
    pub kind: Kind,
    /// The rule that is broken, in words that stay the same from run to run.
    pub rule: String,
    /// What happened: node, index, term, values.
    pub what: String,
    /// Virtual time in nanoseconds.
    pub at: u64,
}

impl Violation {
    /// A violation at a time that the world fills in.
    pub(super) fn new(kind: Kind, rule: impl Into<String>, what: impl Into<String>) -> Violation {
        Violation { kind, rule: rule.into(), what: what.into(), at: 0 }
    }

    /// An invariant does not hold.
    pub(super) fn invariant(rule: &str, what: impl Into<String>) -> Violation {
        Violation::new(Kind::Invariant, rule, what)
    }

    /// Whether both are the same failure for the purpose of shrinking.
    pub fn is_like(&self, other: &Violation) -> bool {
        self.kind == other.kind && self.rule == other.rule
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at as f64 / 1e9;
        write!(f, "VIOLATION {}: {} after {seconds:.3}s\n  {}", self.kind.name(), self.rule, self.what)
    }
}
