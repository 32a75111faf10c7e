//! Telling the servers where this node is in the space of round-trip times, again and again.

use super::Node;
use super::calls::Caller;
use super::remote::Waiting;
use crate::call::{CallError, Reply};
use crate::config::Coordinates;
use crate::event::{Event, Level};
use crate::gossip::Gossip;
use crate::ids::Pool;
use crate::rng::Rng;
use crate::router::{Ask, Kind, To};
use crate::rpc::arguments::CoordinateArguments;
use crate::time::{Duration, Instant, Now};
use crate::types::NodeCoordinate;
use crate::wire::msgpack;
use alloc::string::String;

/// Below this nobody tells anything at that rate, and the least interval counts (Consul's).
const RATE_MIN: f64 = 1.0 / 86_400.0;

/// When this node tells the next time.
#[derive(Debug)]
pub(super) struct Placing {
    rng: Rng,
    at: Instant,
}

impl Placing {
    /// `members` are those of the datacenter.
    pub(super) fn new(rng: Rng, now: Instant, settings: &Coordinates) -> Placing {
        let mut placing = Placing { rng, at: now };
        placing.schedule(now, settings, 1);
        placing
    }

    /// After an interval, and up to as much again.
    fn schedule(&mut self, now: Instant, settings: &Coordinates, members: usize) {
        let interval = interval(settings, members);
        self.at = now + interval + self.rng.duration(Duration::ZERO, interval);
    }
}

/// How often each of so many members tells, for all together to keep to the rate.
fn interval(settings: &Coordinates, members: usize) -> Duration {
    if settings.rate_target <= RATE_MIN {
        return settings.interval_min;
    }
    Duration::from_secs_f64(members as f64 / settings.rate_target).max(settings.interval_min)
}

impl Node {
    /// When [`Node::tell_place`] has something to do.
    pub(super) fn place_due(&self) -> Option<Instant> {
        let tells = !self.config.coordinates.disabled && self.pools.get(Pool::Lan).is_some();
        tells.then_some(self.placing.at)
    }

    /// Tells the servers where this node is, if it is time.
    pub(super) fn tell_place(&mut self, now: Now) {
        if self.place_due().is_none_or(|at| at > now.mono) {
            return;
        }
        let Some(lan) = self.pools.get(Pool::Lan) else { return };
        let said = NodeCoordinate {
            node: self.config.node_name.clone(),
            coord: lan.coordinate().clone(),
            ..NodeCoordinate::default()
        };
        let members = self.pools.get(Pool::Lan).into_iter().flat_map(Gossip::members).count();
        self.placing.schedule(now.mono, &self.config.coordinates, members);
        // Views show it too.
        self.members_changed = true;
        if self.leader.active() {
            return self.leader.placed(now.mono, said);
        }
        let to = match self.config.server {
            true => To::Leader,
            false => To::Datacenter(self.config.datacenter.clone()),
        };
        let arguments = CoordinateArguments {
            datacenter: self.config.datacenter.clone(),
            node: said.node,
            coord: Some(said.coord),
            ..CoordinateArguments::default()
        };
        let body = msgpack::to_vec(&arguments).into();
        let ask = Ask { to, method: "Coordinate.Update", body, kind: Kind::Write };
        self.make_call(now, Waiting::Place, ask);
    }

    /// A node says where it is.
    pub(super) fn placed(&mut self, now: Now, from: Caller, said: NodeCoordinate) {
        let reply = match self.leader.active() {
            true => {
                self.leader.placed(now.mono, said);
                Reply::Done
            }
            false => Reply::Failed(CallError::NoLeader),
        };
        self.answer(from, reply);
    }

    pub(super) fn place_refused(&mut self, why: String) {
        let event = Event::new(Level::Error, "agent", "Coordinate update error");
        self.log(event.with("error", why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn a_node_of_a_small_datacenter_tells_every_15_to_30_seconds_and_a_thousand_take_turns() {
        let settings = Coordinates::default();
        assert_eq!(interval(&settings, 3), Duration::from_secs(15));
        assert_eq!(interval(&settings, 6400), Duration::from_secs(100));
        assert_eq!(interval(&Coordinates { rate_target: 0.0, ..settings }, 6400), Duration::from_secs(15));
        let placing = Placing::new(Rng::new(Seed::from_u64(1)), Instant(0), &settings);
        assert!((15..=30).contains(&placing.at.since(Instant(0)).as_secs()));
    }
}
