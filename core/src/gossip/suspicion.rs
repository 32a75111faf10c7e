//! Members that did not answer, and how long they may still do so.
//!
//! Each suspicion starts with its longest time. Others who suspect the same member confirm it, and the
//! more there are, the shorter it gets (Lifeguard, section IV-B): a lone accuser may be the slow one.

use super::scale;
use crate::Str;
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Suspicion {
    accusers: BTreeSet<Str>,
    /// Accusers after the first.
    confirmations: u32,
    wanted: u32,
    min: Duration,
    max: Duration,
    since: Instant,
    due: Instant,
}

/// A suspicion whose time is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overdue {
    pub(super) name: Str,
    pub(super) confirmations: u32,
}

/// The running suspicions.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    running: BTreeMap<Str, Suspicion>,
    due: BTreeSet<(Instant, Str)>,
}

impl Suspicions {
    /// Starts one. `wanted` confirmations bring it from `max` down to `min`; with none wanted it is `min`.
    pub(super) fn start(
        &mut self,
        name: &Str,
        accuser: Str,
        wanted: u32,
        (min, max): (Duration, Duration),
        now: Instant,
    ) {
        self.clear(name);
        let due = now + if wanted == 0 { min } else { max };
        let accusers = BTreeSet::from([accuser]);
        let suspicion = Suspicion { accusers, confirmations: 0, wanted, min, max, since: now, due };
        self.due.insert((due, name.clone()));
        self.running.insert(name.clone(), suspicion);
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_running(&self, name: &str) -> bool {
        self.running.contains_key(name)
    }

    /// Counts an accuser; says whether it was a new one that is still wanted.
    pub(super) fn confirm(&mut self, name: &Str, accuser: &Str, now: Instant) -> bool {
        let Some(suspicion) = self.running.get_mut(name) else { return false };
        if suspicion.confirmations >= suspicion.wanted || !suspicion.accusers.insert(accuser.clone()) {
            return false;
        }
        suspicion.confirmations += 1;
        let left = scale::suspicion_left(
            suspicion.confirmations,
            suspicion.wanted,
            now.since(suspicion.since),
            suspicion.min,
            suspicion.max,
        );
        self.due.remove(&(suspicion.due, name.clone()));
        suspicion.due = now + left;
        self.due.insert((suspicion.due, name.clone()));
        true
    }

    pub(super) fn clear(&mut self, name: &str) {
        if let Some((name, suspicion)) = self.running.remove_entry(name) {
            self.due.remove(&(suspicion.due, name));
        }
    }

    /// When the next one is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Ends and gives one that is over.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Overdue> {
        let (_, name) = self.due.first().filter(|(due, _)| *due <= now)?.clone();
        let confirmations = self.running.get(&name).map_or(0, |suspicion| suspicion.confirmations);
        self.clear(&name);
        Some(Overdue { name, confirmations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn only_other_accusers_shorten_it_and_only_as_many_as_wanted() {
        let mut suspicions = Suspicions::default();
        let name: Str = "n1".into();
        suspicions.start(&name, "a".into(), 2, SPAN, at(0));
        assert_eq!(suspicions.next_due(), Some(at(30)));
        assert!(!suspicions.confirm(&name, &"a".into(), at(1)));
        assert!(suspicions.confirm(&name, &"b".into(), at(1)));
        assert!(suspicions.next_due() < Some(at(30)));
        assert!(suspicions.confirm(&name, &"c".into(), at(1)));
        assert_eq!(suspicions.next_due(), Some(at(2)));
        assert!(!suspicions.confirm(&name, &"d".into(), at(1)));
        assert_eq!(suspicions.pop_due(at(1)), None);
        assert_eq!(suspicions.pop_due(at(2)), Some(Overdue { name, confirmations: 2 }));
        assert_eq!(suspicions.next_due(), None);
    }

    #[test]
    fn without_enough_others_it_is_the_shortest() {
        let mut suspicions = Suspicions::default();
        suspicions.start(&"n1".into(), "a".into(), 0, SPAN, at(0));
        assert_eq!(suspicions.next_due(), Some(at(2)));
        suspicions.clear("n1");
        assert!(!suspicions.is_running("n1"));
        assert_eq!(suspicions.pop_due(at(9)), None);
    }
}
