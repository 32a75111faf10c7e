//! How many results in a row it takes to change a status.

use crate::types::{CheckDefinition, status};

/// Counts consecutive results of one check. Consul's rule, quirks included: both counters start at
/// their thresholds, so the very first result applies at once; a warning counts as a success; and
/// while failures lie between the warning and the critical threshold the status is warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::agent) struct Threshold {
    success_before_passing: i64,
    failures_before_warning: i64,
    failures_before_critical: i64,
    successes: i64,
    failures: i64,
}

impl Threshold {
    pub(in crate::agent) fn new(definition: &CheckDefinition) -> Threshold {
        let critical = definition.failures_before_critical;
        let warning = match definition.failures_before_warning {
            0 => critical,
            n => n,
        };
        Threshold {
            success_before_passing: definition.success_before_passing,
            failures_before_warning: warning,
            failures_before_critical: critical,
            successes: definition.success_before_passing,
            failures: critical,
        }
    }

    /// Failures in a row, and how many make a warning and a critical status.
    pub(in crate::agent) fn failures(&self) -> (i64, i64, i64) {
        (self.failures, self.failures_before_warning, self.failures_before_critical)
    }

    /// Successes in a row, and how many make a passing status.
    pub(in crate::agent) fn successes(&self) -> (i64, i64) {
        (self.successes, self.success_before_passing)
    }

    /// Counts one result. `Some`: the status to show from now on, with this result's output; `None`:
    /// not enough results in a row, status and output stay.
    pub(in crate::agent) fn count(&mut self, result: &'static str) -> Option<&'static str> {
        if status::severity(result) < 2 {
            self.successes = self.successes.saturating_add(1);
            self.failures = 0;
            (self.successes >= self.success_before_passing).then_some(result)
        } else {
            self.failures = self.failures.saturating_add(1);
            self.successes = 0;
            if self.failures >= self.failures_before_critical {
                Some(status::CRITICAL)
            } else if self.failures >= self.failures_before_warning {
                Some(status::WARNING)
            } else {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
