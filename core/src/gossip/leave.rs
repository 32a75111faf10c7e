//! Leaving gracefully: say so, make sure it was sent, stay a moment to spread it.
//!
//! Two rumours go out one after the other: serf's intent, so that the end is known to be wanted, then
//! memberlist's own death notice. Each phase has a bound, so that leaving always ends.

use super::queue::RumourId;
use super::wire::{Dead, WireState};
use super::{Effect, Gossip};
use crate::ids::CallId;
use crate::time::Instant;

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Not at all.
    #[default]
    No,
    /// The intent is being spread.
    Intent { call: CallId, rumour: Option<RumourId>, until: Instant },
    /// The death notice is being spread.
    Notice { call: CallId, until: Instant },
    /// Others are given time to pass it on.
    Lingering { call: CallId, until: Instant },
    /// It is done.
    Left,
}

impl Leaving {
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Leaving::Intent { until, .. }
            | Leaving::Notice { until, .. }
            | Leaving::Lingering { until, .. } => Some(until),
            Leaving::No | Leaving::Left => None,
        }
    }
}

impl Gossip {
    /// Whether the death notice is out: from then on nothing is refuted.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.leaving, Leaving::Notice { .. } | Leaving::Lingering { .. } | Leaving::Left)
    }

    pub(super) fn on_leave(&mut self, call: CallId) {
        match self.leaving {
            Leaving::No => {
                // Set first: an intent about ourselves is refuted otherwise.
                self.leaving =
                    Leaving::Intent { call, rumour: None, until: self.now + self.config.broadcast_timeout };
                let rumour = self.broadcast_leave();
                self.leaving =
                    Leaving::Intent { call, rumour, until: self.now + self.config.broadcast_timeout };
            }
            Leaving::Left => self.effects.push(Effect::Left { call }),
            // The call that came first is answered when it is done; this one learns the same now or then.
            Leaving::Intent { .. } | Leaving::Notice { .. } | Leaving::Lingering { .. } => {
                self.leave_calls.push(call);
            }
        }
    }

    /// Goes on to the next phase when this one is over.
    pub(super) fn check_leaving(&mut self) {
        if let Leaving::Intent { call, rumour, until } = self.leaving {
            let sending = rumour.is_some_and(|id| self.serf.intent_queue.holds(id));
            if sending && self.now < until {
                return;
            }
            self.leaving = Leaving::Notice { call, until: self.now + self.config.broadcast_timeout };
            let (name, incarnation) = (self.config.name.clone(), self.incarnation);
            self.on_dead(&Dead { from: name.clone(), incarnation, node: name });
        }
        if let Leaving::Notice { call, until } = self.leaving {
            let own = &self.config.name;
            let others = self.table.iter().any(|peer| peer.name != *own && peer.state == WireState::Alive);
            if others && self.rumours.holds_named(own) && self.now < until {
                return;
            }
            self.leaving = Leaving::Lingering { call, until: self.now + self.config.leave_propagate_delay };
        }
        if let Leaving::Lingering { call, until } = self.leaving
            && self.now >= until
        {
            self.leaving = Leaving::Left;
            self.effects.push(Effect::Left { call });
            for call in core::mem::take(&mut self.leave_calls) {
                self.effects.push(Effect::Left { call });
            }
        }
    }
}
