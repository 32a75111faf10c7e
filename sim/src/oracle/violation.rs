//! What a judge found.

use super::Operation;
use core::fmt;

/// An answer, or the lack of one, that no correct registry could have given.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The rule that is broken, in a few words that stay the same from run to run.
    pub rule: &'static str,
    /// What happened: keys, indexes, times.
    pub what: String,
    /// The operations concerned, in order of their begin.
    pub operations: Vec<Operation>,
}

impl Violation {
    pub(super) fn new<'a>(
        rule: &'static str,
        what: String,
        operations: impl IntoIterator<Item = &'a Operation>,
    ) -> Violation {
        let mut operations: Vec<Operation> = operations.into_iter().cloned().collect();
        operations.sort_by_key(|o| (o.begin, o.end));
        Violation { rule, what, operations }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)?;
        self.operations.iter().try_for_each(|o| write!(f, "\n  {o}"))
    }
}

impl core::error::Error for Violation {}

/// One line: times in milliseconds, who, what, and the answer.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3}..", self.begin as f64 / 1e6)?;
        match self.end {
            Some(end) => write!(f, "{:<10.3}", end as f64 / 1e6)?,
            None => write!(f, "{:<10}", "never")?,
        }
        write!(f, " client {} server {}  {:?} -> {:?}", self.client, self.server, self.call, self.outcome)
    }
}
