//! Owners of services: each looks after some services at its own agent, as programs do, and remembers what
//! must be there.
//!
//! An answered request binds. One without an answer leaves open whether it was done: all that the service may
//! be is remembered, until an answer settles it.

use super::event::Event;
use super::invariant::cluster::Presence;
use super::luck::Luck;
use super::world::{MS, World};
use lictor_core::front::{FrontInput, HttpReply, HttpRequest};
use lictor_core::ids::ReqId;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Mean time between two requests of an owner.
const PAUSE: u64 = 1500 * MS;

/// One owner.
#[derive(Debug)]
pub(super) struct Owner {
    luck: Luck,
    /// What each service may be.
    services: BTreeMap<String, Vec<Presence>>,
    /// The service that the request under way is about, and what it is to be.
    under: Option<(String, Option<Presence>)>,
    count: u16,
    /// When the request under way was made.
    asked_at: u64,
}

impl Owner {
    pub(super) fn new(luck: Luck) -> Owner {
        Owner { luck, services: BTreeMap::new(), under: None, count: 0, asked_at: 0 }
    }

    /// What each service may be.
    pub(super) fn services(&self) -> impl Iterator<Item = (&str, &[Presence])> {
        self.services.iter().map(|(id, may)| (&**id, &**may))
    }

    /// When the last request was made.
    pub(super) fn asked_at(&self) -> u64 {
        self.asked_at
    }

    /// The agent has lost its disk, and with it everything.
    pub(super) fn forget(&mut self) {
        self.services.clear();
        self.under = None;
    }

    /// The next request.
    fn next(&mut self, services: u64) -> HttpRequest {
        let id = format!("own-{}", self.luck.below(services));
        let (target, body, then) = match self.luck.below(10) {
            0..4 => {
                self.count += 1;
                let port = 10_000 + self.count;
                let ttl = *self.luck.pick(&["20s", "1h"]);
                let mut body = format!("{{\"ID\":\"{id}\",\"Name\":\"own\",\"Port\":{port}");
                if self.luck.ratio(3, 4) {
                    let _ = write!(body, ",\"Check\":{{\"TTL\":\"{ttl}\"}}");
                }
                body.push('}');
                ("/v1/agent/service/register".into(), body, Some(Presence::Port(port)))
            }
            4..6 => (format!("/v1/agent/service/deregister/{id}"), String::new(), Some(Presence::Absent)),
            n => {
                let what = ["pass", "pass", "warn", "fail"][n as usize - 6];
                (format!("/v1/agent/check/{what}/service:{id}"), String::new(), None)
            }
        };
        if let Some(then) = then {
            let may = self.services.entry(id.clone()).or_insert_with(|| vec![Presence::Absent]);
            if !may.contains(&then) {
                may.push(then);
            }
        }
        self.under = Some((id, then));
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        HttpRequest {
            method: "PUT".into(),
            target,
            headers: Vec::new(),
            body: body.into(),
            remote: Some(remote),
        }
    }

    fn heard(&mut self, reply: &HttpReply) {
        let Some((id, Some(then))) = self.under.take() else { return };
        // What is to go and is unknown is gone.
        if reply.status == 200 || (reply.status, then) == (404, Presence::Absent) {
            self.services.insert(id, vec![then]);
        }
    }
}

impl World {
    /// An owner does the next thing, if its agent runs.
    pub(super) fn on_chore(&mut self, slot: usize) {
        if self.quiet {
            return;
        }
        let pause = self.owners[slot].luck.around(PAUSE);
        self.heap.push(self.now + pause, Event::Chore { slot });
        if self.servers[slot].up.is_none() || self.servers[slot].chore.is_some() {
            return;
        }
        let request = self.owners[slot].next(self.plan.knobs.services.max(1));
        self.next_req += 1;
        let req = ReqId(self.next_req);
        self.servers[slot].chore = Some(req);
        self.owners[slot].asked_at = self.now;
        self.line(slot, || format!("owner: {} {}", request.method, request.target));
        self.feed_front(slot, FrontInput::Http { req, request });
    }

    /// An agent has answered its owner.
    pub(super) fn on_chore_done(&mut self, slot: usize, reply: &HttpReply) {
        self.servers[slot].chore = None;
        self.mark_alone(slot);
        self.owners[slot].heard(reply);
    }
}
