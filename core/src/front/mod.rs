//! The HTTP front: requests in, answers out, from a published view.
//!
//! A [`Front`] parses, routes and answers. Reads come from the [`View`] that is handed to every
//! [`Front::handle`]; a read whose answer has not changed yet is parked; writes, agent changes and read
//! barriers go to the node as [`FrontOutput::Call`] and are finished when [`FrontInput::Reply`] comes.
//! A front never waits for another front, and holds no state that must survive.

mod message;

pub use message::{FrontInput, FrontOutput, HttpReply, HttpRequest};

use crate::ids::FrontId;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::view::View;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

/// One front: one per worker thread in production, one per node in simulation.
#[derive(Debug)]
pub struct Front {
    id: FrontId,
    rng: Rng,
    outputs: VecDeque<FrontOutput>,
}

impl Front {
    /// A front that answers nothing yet. `rng` draws the jitter of blocking reads.
    pub fn new(id: FrontId, rng: Rng) -> Front {
        Front { id, rng, outputs: VecDeque::new() }
    }

    /// The number that calls of this front carry.
    pub fn id(&self) -> FrontId {
        self.id
    }

    /// Takes one input. `view` is the newest published view; it must not go back.
    pub fn handle(&mut self, now: Now, view: &Arc<View>, input: FrontInput) {
        let _ = (now, view, &mut self.rng);
        if let FrontInput::Http { req, .. } = input {
            let reply = HttpReply::text(404, "not built yet");
            self.outputs.push_back(FrontOutput::HttpReply { req, reply });
        }
    }

    /// The next output; drain to `None` after every [`Front::handle`].
    pub fn poll_output(&mut self) -> Option<FrontOutput> {
        self.outputs.pop_front()
    }

    /// When to hand in [`FrontInput::Wake`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
