//! How much work one answer may be.

use core::cell::Cell;

/// For one answer. A unit is a byte of a text under one character of a pattern, 10 to 20 ns when pattern and text are made
/// for each other: some tenths of a second of the thread at the very worst. What people ask takes a small part of that.
const FUEL: u64 = 25_000_000;
/// One comparison, whatever it compares.
pub(super) const COMPARISON: u64 = 2;
/// Bytes that are compared in the time of one unit.
pub(super) const BYTES: usize = 16;

/// What is left.
#[derive(Clone, Debug)]
pub(super) struct Fuel(Cell<u64>);

impl Default for Fuel {
    fn default() -> Fuel {
        Fuel(Cell::new(FUEL))
    }
}

impl Fuel {
    pub(super) fn fill(&self) {
        self.0.set(FUEL);
    }

    /// Takes off what something costs; `false`: it is not to be done.
    pub(super) fn spend(&self, units: u64) -> bool {
        self.0.set(self.0.get().saturating_sub(units));
        !self.is_spent()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}
