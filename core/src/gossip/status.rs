//! What operators may ask, and what they are told without asking.

use super::{Coordinate, Counts, Gossip, Member, Status};
use crate::event::{Event, Level};
use alloc::format;
use alloc::string::String;

/// The numbers that `info` shows of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// All members that are known, the gone included.
    pub members: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that left.
    pub left: usize,
    /// Those under suspicion.
    pub suspected: usize,
    /// 0 is healthy, 7 the worst.
    pub health_score: u32,
    /// Lamport time of membership.
    pub member_time: u64,
    /// Lamport time of user events.
    pub event_time: u64,
    /// Lamport time of queries.
    pub query_time: u64,
    /// Intents still to be spread.
    pub intent_queue: usize,
    /// User events still to be spread.
    pub event_queue: usize,
    /// Queries still to be spread.
    pub query_queue: usize,
    /// Rumours about members still to be spread.
    pub rumour_queue: usize,
    /// Whether messages are encrypted.
    pub encrypted: bool,
    /// How often the coordinate had to start over.
    pub coordinate_resets: u64,
}

impl Gossip {
    /// All members that are known, the gone included, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.serf.members.values().map(|known| &known.member)
    }

    /// Whether no rumour is left that is still to be sent on.
    pub fn has_told_all(&self) -> bool {
        let serf = &self.serf;
        [&self.rumours, &serf.intent_queue, &serf.event_queue, &serf.query_queue]
            .iter()
            .all(|queue| queue.len() == 0)
    }

    /// One member.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.serf.members.get(name).map(|known| &known.member)
    }

    /// Where this member is in the space of round-trip times.
    pub fn coordinate(&self) -> &Coordinate {
        self.serf.vivaldi.own()
    }

    /// Where another member said it is, when it was last probed.
    pub fn coordinate_of(&self, name: &str) -> Option<&Coordinate> {
        self.serf.coordinates.get(name)
    }

    /// What peers sent that was not taken: how often, by kind.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refusals.totals()
    }

    /// What was done since the beginning.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The numbers that `info` shows.
    pub fn stats(&self) -> Stats {
        let with = |status| self.members().filter(|member| member.status == status).count();
        Stats {
            members: self.serf.members.len(),
            failed: with(Status::Failed),
            left: with(Status::Left),
            suspected: self.suspicions.len(),
            health_score: self.health.score(),
            member_time: self.serf.clock.time(),
            event_time: self.serf.event_clock.time(),
            query_time: self.serf.query_clock.time(),
            intent_queue: self.serf.intent_queue.len(),
            event_queue: self.serf.event_queue.len(),
            query_queue: self.serf.query_queue.len(),
            rumour_queue: self.rumours.len(),
            encrypted: !self.envelope.keyring.is_empty(),
            coordinate_resets: self.serf.vivaldi.resets(),
        }
    }

    pub(super) fn log(&mut self, level: Level, text: String) {
        self.effects.push(super::Effect::Log(Event::new(level, self.config.logs.memberlist, text)));
    }

    pub(super) fn log_serf(&mut self, level: Level, text: String) {
        self.effects.push(super::Effect::Log(Event::new(level, self.config.logs.serf, text)));
    }

    /// Counts something that was not taken, and tells the log now and then.
    pub(super) fn refuse(&mut self, kind: &'static str, text: &str) {
        self.counts.refused += 1;
        match self.refusals.count(kind, self.now) {
            None => {}
            Some(0) => self.log(Level::Warn, text.into()),
            Some(more) => self.log(Level::Warn, format!("{text} (and {more} of this kind before)")),
        }
    }
}
