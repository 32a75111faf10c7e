//! What founding a cluster means to the rest of the node; the decisions are in `server/founding.rs`.

use super::forward::Frame;
use super::{Node, cluster};
use crate::agent::LocalWrite;
use crate::config::RuntimeConfig;
use crate::ids::ServerId;
use crate::raft;
use crate::rng::Rng;
use crate::server::founding::{Effect, Founding, Message, Promise};
use crate::time::{Instant, Now};
use alloc::format;
use alloc::string::String;
use bytes::Bytes;

/// Where the promise stands among the local records.
const PROMISE: &str = "founding/promise";

/// The founding of this server, with the promise that its disk holds. `may_found`: nothing else makes it
/// found a cluster or waits to.
pub(super) fn boot(
    config: &RuntimeConfig,
    id: &ServerId,
    may_found: bool,
    records: &[(String, Bytes)],
    rng: Rng,
    now: Instant,
) -> Founding {
    let expect = if may_found && config.server { config.bootstrap_expect } else { 0 };
    let record = records.iter().find(|(key, _)| key == PROMISE);
    let promised = record.and_then(|(_, value)| read_promise(value));
    let founding = Founding::new(id.clone(), expect, promised, rng, now);
    if may_found && config.server && expect == 0 { founding.waiting(now) } else { founding }
}

fn read_promise(value: &[u8]) -> Option<Promise> {
    let mut lines = core::str::from_utf8(value).ok()?.split('\n');
    let ballot = lines.next()?.parse().ok()?;
    Some(Promise { ballot, to: lines.next()?.into(), name: lines.next()?.into() })
}

impl Node {
    /// Looks at who is there.
    pub(super) fn found(&mut self, now: Now) {
        if !self.founding.is_over() {
            self.founding.step(now.mono, &self.pools.servers(), self.raft.is_fresh());
        }
    }

    pub(super) fn about_founding(&mut self, now: Now, from: ServerId, message: Message) {
        self.founding.handle(now.mono, from, message, &self.pools.servers(), self.raft.is_fresh());
    }

    pub(super) fn on_founding(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                let frame = Frame::Founding(message);
                // A promise must survive a crash before anybody hears of it.
                match self.tickets.unflushed_local() {
                    Some(ticket) => self.promises.push_back((ticket, to, frame)),
                    None => self.send(to, frame),
                }
            }
            Effect::Keep(promise) => {
                self.tickets.local_in_next();
                let key = PROMISE.into();
                self.records.push(match promise {
                    Some(Promise { ballot, to, name }) => {
                        let value = Bytes::from(format!("{ballot}\n{to}\n{name}").into_bytes());
                        LocalWrite::Put { key, value }
                    }
                    None => LocalWrite::Delete { key },
                });
            }
            Effect::Found(membership) => {
                let id = cluster::of_founders(&membership);
                let membership = membership.in_cluster(id);
                self.to_raft.push_back(raft::Input::Bootstrap(membership));
            }
            Effect::Log(event) => self.log(event),
        }
    }

    /// Sends what waited for the disk.
    pub(super) fn send_promises(&mut self) {
        while let Some((ticket, _, _)) = self.promises.front()
            && self.tickets.flushed(*ticket)
        {
            if let Some((_, to, frame)) = self.promises.pop_front() {
                self.send(to, frame);
            }
        }
    }
}
