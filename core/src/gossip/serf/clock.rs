//! Lamport clocks: a number that grows with every message and never lags behind one that was seen.

/// Times beyond this are not believed: counting on from them could overflow.
const MAX_TIME: u64 = 1 << 62;

/// One clock. It starts at 1, for 0 is "no time".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Lamport(u64);

impl Default for Lamport {
    fn default() -> Lamport {
        Lamport(1)
    }
}

impl Lamport {
    /// The time now, for the next message.
    pub(in super::super) fn time(self) -> u64 {
        self.0
    }

    /// Moves on after a message of our own.
    pub(super) fn tick(&mut self) {
        self.0 += 1;
    }

    /// Moves past a time that was seen.
    pub(super) fn witness(&mut self, seen: u64) {
        if seen >= self.0 && seen < MAX_TIME {
            self.0 = seen + 1;
        }
    }

    /// Whether a message of that time can be believed.
    pub(super) fn believes(time: u64) -> bool {
        time < MAX_TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_passes_what_it_saw_and_nothing_turns_it_back() {
        let mut clock = Lamport::default();
        clock.witness(41);
        assert_eq!(clock.time(), 42);
        clock.witness(7);
        clock.witness(u64::MAX);
        assert_eq!(clock.time(), 42);
        clock.tick();
        assert_eq!(clock.time(), 43);
    }
}
