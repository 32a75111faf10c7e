//! Questions that come in: each is told once, passed on, and answered straight to whoever asks.

use super::super::wire::{Message, WireError, ip_bytes, ip_from};
use super::super::{Effect, Gossip};
use super::asked::MAX_TIMEOUT;
use super::clock::Lamport;
use super::event::BUFFER;
use super::member::Status;
use super::message::{self, Query, QueryResponse, RelayAddr, RelayHeader};
use super::{conflict, filter, keys};
use crate::Str;
use crate::time::{Duration, Instant};
use crate::wire::msgpack;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// Questions of one Lamport time that are remembered.
const MAX_AT_ONCE: usize = 256;
/// Members that repeat one answer at most, whatever is asked for: the most that Consul asks for. Whoever asks may name
/// any address, and everybody answers.
const MAX_RELAYS: usize = 5;
/// Questions that may wait for an answer from here.
const MAX_INCOMING: usize = 1024;
/// Serf's own questions begin with this.
pub(super) const INTERNAL: &str = "_serf_";

/// Who is asked, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// Only these members; all, if it is empty.
    pub nodes: Vec<Str>,
    /// Only members whose tags match these patterns.
    pub tags: BTreeMap<Str, Str>,
    /// Whether each receipt is acknowledged.
    pub ack: bool,
    /// How many other members repeat each answer, against loss.
    pub relay_factor: u8,
    /// How long answers count; the usual time, if it is zero.
    pub timeout: Duration,
}

/// The questions of late.
#[derive(Debug, Default)]
pub(super) struct Seen {
    by_time: BTreeMap<u64, Vec<u32>>,
}

impl Seen {
    /// Remembers a question; says whether it was not told yet.
    fn remember(&mut self, ltime: u64, id: u32, now: u64) -> bool {
        if ltime + BUFFER < now {
            return false;
        }
        self.by_time = self.by_time.split_off(&now.saturating_sub(BUFFER));
        let told = self.by_time.entry(ltime).or_default();
        if told.len() == MAX_AT_ONCE || told.contains(&id) {
            return false;
        }
        told.push(id);
        true
    }
}

/// A question that may still be answered from here.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    ltime: u64,
    id: u32,
    asker: SocketAddr,
    name: Str,
    relay_factor: u8,
    until: Instant,
}

impl Gossip {
    /// Queues a question to be spread.
    pub(super) fn queue_query(&mut self, encoded: &[u8]) {
        if !self.can_spread(encoded) {
            return;
        }
        self.eager_wanted = true;
        self.serf.query_queue.push(None, &message::wrap(encoded));
        let max = self.queue_depth();
        self.serf.query_queue.prune(max);
    }

    /// A question was heard. Says whether to pass it on.
    pub(super) fn on_query(&mut self, query: &Query) -> bool {
        if !Lamport::believes(query.ltime) {
            return false;
        }
        if filter::are_too_many(&query.filters) {
            self.refuse("query", "a query has too many filters");
            return false;
        }
        self.serf.query_clock.witness(query.ltime);
        let now = self.serf.query_clock.time();
        if !self.serf.seen_queries.remember(query.ltime, query.id, now) {
            return false;
        }
        let pass_on = query.flags & message::FLAG_NO_BROADCAST == 0;
        let own = &self.config.name;
        if !filter::passes(&query.filters, own, &self.config.tags) {
            return pass_on;
        }
        let asker = ip_from(&query.addr).map(|ip| SocketAddr::new(ip, query.port));
        let Some(asker) = asker.filter(|asker| asker.port() != 0) else {
            self.refuse("query", "a query does not say where its answer should go");
            return pass_on;
        };
        let incoming = Incoming {
            ltime: query.ltime,
            id: query.id,
            asker,
            name: query.source_node.clone(),
            relay_factor: query.relay_factor,
            until: self.now
                + Duration::from_nanos(u64::try_from(query.timeout).unwrap_or(0)).min(MAX_TIMEOUT),
        };
        if query.flags & message::FLAG_ACK != 0 {
            self.send_answer(&incoming, message::FLAG_ACK, Bytes::new());
        }
        match query.name.strip_prefix(INTERNAL) {
            Some(conflict::CONFLICT) => self.answer_conflict(&incoming, &query.payload),
            Some(command) if keys::is_command(command) => {
                self.answer_key_command(&incoming, command, &query.payload);
            }
            // A ping: its ack is all.
            Some(_) => {}
            None => self.deliver(incoming, query),
        }
        pass_on
    }

    fn deliver(&mut self, incoming: Incoming, query: &Query) {
        let now = self.now;
        self.serf.incoming.retain(|_, incoming| incoming.until > now);
        if self.serf.incoming.len() >= MAX_INCOMING {
            return self.refuse("query", "too many queries wait for an answer");
        }
        self.serf.last_incoming += 1;
        self.effects.push(Effect::Query {
            query: self.serf.last_incoming,
            name: query.name.clone(),
            payload: query.payload.clone(),
            from: query.source_node.clone(),
        });
        self.serf.incoming.insert(self.serf.last_incoming, incoming);
    }

    /// Answers a question that was delivered, once, while answers count.
    pub(in super::super) fn on_respond(&mut self, query: u64, payload: Bytes) {
        if let Some(incoming) = self.serf.incoming.remove(&query).filter(|query| query.until > self.now) {
            self.send_answer(&incoming, 0, payload);
        }
    }

    /// An answer in its final form.
    fn encode_answer(&self, incoming: &Incoming, flags: u32, payload: Bytes) -> Vec<u8> {
        let Incoming { ltime, id, .. } = *incoming;
        let from = self.config.name.clone();
        message::encode(message::QUERY_RESPONSE, &QueryResponse { flags, from, id, ltime, payload })
    }

    /// Whether an answer of this content would be sent.
    pub(super) fn fits(&self, incoming: &Incoming, payload: &Bytes) -> bool {
        self.encode_answer(incoming, 0, payload.clone()).len() <= self.config.response_bytes
    }

    /// Sends an answer straight to whoever asks, and through others if that is wanted.
    pub(super) fn send_answer(&mut self, incoming: &Incoming, flags: u32, payload: Bytes) {
        let answer = self.encode_answer(incoming, flags, payload);
        let limit = self.config.response_bytes;
        if answer.len() > limit {
            return self.refuse("response", &format!("response exceeds limit of {limit} bytes"));
        }
        self.relay(incoming, &answer);
        self.send(incoming.asker, &Message::User(Bytes::from(answer)));
    }

    fn relay(&mut self, incoming: &Incoming, answer: &[u8]) {
        let copies = usize::from(incoming.relay_factor).min(MAX_RELAYS);
        if copies == 0 || self.serf.members.len() < copies + 1 {
            return;
        }
        let header = RelayHeader {
            dest_addr: RelayAddr {
                ip: ip_bytes(incoming.asker.ip()),
                port: incoming.asker.port(),
                zone: "".into(),
            },
            dest_name: incoming.name.clone(),
        };
        let mut relayed = message::encode(message::RELAY, &header);
        relayed.extend_from_slice(answer);
        if relayed.len() > self.config.response_bytes {
            return self.refuse("response", "a relayed response exceeds the limit");
        }
        let own = &self.config.name;
        let mut through: Vec<SocketAddr> = self
            .serf
            .members
            .values()
            .map(|known| &known.member)
            .filter(|m| m.status == Status::Alive && m.vsn[1] >= 5 && m.name != *own)
            .map(|member| member.addr)
            .collect();
        self.rng.query.shuffle(&mut through);
        let relayed = Message::User(Bytes::from(relayed));
        through.into_iter().take(copies).for_each(|to| self.send(to, &relayed));
    }

    /// Passes an answer on to whoever asked. Only an answer: this is no way to speak in our name.
    pub(super) fn on_relay(&mut self, body: &[u8]) -> Result<(), WireError> {
        let (header, answer): (RelayHeader, _) = msgpack::from_slice_prefix(body)?;
        if answer.first() != Some(&message::QUERY_RESPONSE) {
            return Err(WireError::Type(answer.first().copied().unwrap_or_default()));
        }
        if answer.len() > self.config.response_bytes {
            return Err(WireError::TooLong);
        }
        let ip = ip_from(&header.dest_addr.ip).filter(|_| header.dest_addr.port != 0);
        let ip = ip.ok_or(WireError::Field("a relayed response does not say where to"))?;
        let to = SocketAddr::new(ip, header.dest_addr.port);
        self.send(to, &Message::User(Bytes::copy_from_slice(answer)));
        Ok(())
    }
}
