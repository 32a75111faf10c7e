//! Streams: whole tables against whole tables, pings where packets fail, and joining.
//!
//! Each stream carries one message each way. Its deadline is ours: the driver needs no timers.

use super::challenge::Source;
use super::serf::{Member, Status};
use super::wire::{Dead, Ping, PushPull, StreamMessage, StreamReader, Suspect, Vsn, WireError, WireState};
use super::{Effect, Gossip, Stream};
use crate::event::Level;
use crate::ids::CallId;
use crate::time::Instant;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

/// Streams that others may have open to us at once: memberlist's limit.
const MAX_ACCEPTED: usize = 128;
/// Of them, those of one address: nobody shuts out all others.
const MAX_OF_ADDRESS: usize = 16;
/// Streams that one join opens at most.
const MAX_JOIN: usize = 256;

/// What a stream is for.
#[derive(Debug)]
pub(super) enum Talk {
    /// Somebody wants something.
    Accepted { from: IpAddr, until: Instant },
    /// A probe that packets did not answer.
    Pinging { ping: Ping, until: Instant },
    /// Tables are exchanged.
    Exchanging { with: SocketAddr, purpose: Purpose, until: Instant },
}

/// Why tables are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A call wants to join.
    Join(CallId),
    /// A failed member may be back.
    Reconnect,
    /// Once in a while.
    KeepUp,
}

/// A stream with what came in so far.
#[derive(Debug)]
pub(super) struct Open {
    talk: Talk,
    reader: StreamReader,
}

impl Open {
    fn until(&self) -> Instant {
        match self.talk {
            Talk::Accepted { until, .. } | Talk::Pinging { until, .. } | Talk::Exchanging { until, .. } => {
                until
            }
        }
    }
}

/// A join that is going on.
#[derive(Debug, Default)]
pub(super) struct Joining {
    left: usize,
    contacted: usize,
    failed: Vec<(SocketAddr, String)>,
    pub(super) ignore_old: bool,
}

impl Gossip {
    /// Orders a stream.
    pub(super) fn open(&mut self, to: SocketAddr, talk: Talk) {
        self.last_stream += 1;
        let stream = Stream::Opened(self.last_stream);
        self.streams.insert(stream, Open { talk, reader: StreamReader::new(false) });
        self.effects.push(Effect::Open { stream, to });
    }

    /// Says the message on the stream.
    pub(super) fn write(&mut self, stream: Stream, message: &StreamMessage) {
        let dialled = matches!(stream, Stream::Opened(_));
        let bytes = Bytes::from(self.envelope.seal_stream(message, dialled, &mut self.rng.nonce));
        self.effects.push(Effect::Write { stream, bytes });
    }

    pub(super) fn on_accepted(&mut self, stream: Stream, from: SocketAddr) {
        let (mut accepted, mut own) = (0, 0);
        for open in self.streams.values() {
            if let Talk::Accepted { from: other, .. } = open.talk {
                accepted += 1;
                own += usize::from(other == from.ip());
            }
        }
        if accepted >= MAX_ACCEPTED || own >= MAX_OF_ADDRESS {
            self.on_stream_turned_away(from);
            return self.effects.push(Effect::Close { stream });
        }
        let talk = Talk::Accepted { from: from.ip(), until: self.now + self.config.tcp_timeout };
        self.streams.insert(stream, Open { talk, reader: StreamReader::new(true) });
    }

    /// There was no room for a stream.
    pub(super) fn on_stream_turned_away(&mut self, from: SocketAddr) {
        self.refuse("streams", &format!("Too many pending streams, closing the one from {from}"));
    }

    pub(super) fn on_opened(&mut self, stream: Stream) {
        let message = match self.streams.get(&stream).map(|open| &open.talk) {
            Some(Talk::Pinging { ping, .. }) => StreamMessage::Ping(ping.clone()),
            Some(Talk::Exchanging { purpose, .. }) => {
                StreamMessage::PushPull(self.own_tables(*purpose != Purpose::KeepUp))
            }
            Some(Talk::Accepted { .. }) | None => return,
        };
        self.write(stream, &message);
    }

    pub(super) fn on_bytes(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        match open.reader.push(bytes, &self.envelope) {
            Ok(None) => {}
            Ok(Some(message)) => {
                let Some(open) = self.streams.remove(&stream) else { return };
                self.on_stream_message(stream, open.talk, message);
            }
            Err(error) => {
                let Some(open) = self.streams.remove(&stream) else { return };
                self.on_stream_refused(stream, open.talk, &error);
            }
        }
    }

    pub(super) fn on_closed(&mut self, stream: Stream, reason: &str) {
        if let Some(open) = self.streams.remove(&stream) {
            self.on_stream_failed(open.talk, reason);
        }
    }

    /// When the first stream must be done.
    pub(super) fn streams_until(&self) -> Option<Instant> {
        self.streams.values().map(Open::until).min()
    }

    /// Closes the streams that took too long.
    pub(super) fn check_streams(&mut self) {
        while let Some((&stream, _)) = self.streams.iter().find(|(_, open)| open.until() <= self.now) {
            let Some(open) = self.streams.remove(&stream) else { return };
            self.effects.push(Effect::Close { stream });
            self.on_stream_failed(open.talk, "i/o timeout");
        }
    }

    fn on_stream_message(&mut self, stream: Stream, talk: Talk, message: StreamMessage) {
        match talk {
            Talk::Accepted { .. } => return self.answer(stream, message),
            Talk::Pinging { ping, .. } => self.on_stream_ack(ping.seq_no, &message),
            Talk::Exchanging { with, purpose, .. } => {
                let outcome = match message {
                    StreamMessage::PushPull(tables) => {
                        let join = purpose != Purpose::KeepUp;
                        let source = match purpose {
                            Purpose::Join(_) => Source::Joined,
                            Purpose::Reconnect | Purpose::KeepUp => Source::Of(with),
                        };
                        self.merge(&tables, join, self.ignores_old(purpose), source)
                    }
                    StreamMessage::Error(text) => Err(format!("remote error: {text}")),
                    _ => Err("the answer to an exchange of tables was something else".to_string()),
                };
                self.on_exchanged(with, purpose, outcome);
            }
        }
        self.effects.push(Effect::Close { stream });
    }

    /// Answers what somebody wants.
    fn answer(&mut self, stream: Stream, message: StreamMessage) {
        match message {
            StreamMessage::Ping(ping) => return self.on_stream_ping(stream, &ping),
            StreamMessage::User(bytes) => self.on_user(&bytes),
            StreamMessage::PushPull(tables) => {
                // The answer is what was known before.
                let own = self.own_tables(tables.join);
                self.write(stream, &StreamMessage::PushPull(own));
                if let Err(why) = self.merge(&tables, tables.join, false, Source::Unknown) {
                    self.refuse("merge", &format!("Failed push/pull merge: {why}"));
                }
            }
            StreamMessage::Ack(_) | StreamMessage::Error(_) => {
                self.refuse("stream", "a stream began with an answer");
            }
        }
        self.effects.push(Effect::Close { stream });
    }

    fn on_stream_refused(&mut self, stream: Stream, talk: Talk, error: &WireError) {
        self.refuse(error.kind(), &format!("failed to receive: {error}"));
        if let Talk::Accepted { .. } = talk {
            self.write(stream, &StreamMessage::Error(error.to_string()));
        }
        self.effects.push(Effect::Close { stream });
        self.on_stream_failed(talk, &error.to_string());
    }

    fn on_stream_failed(&mut self, talk: Talk, reason: &str) {
        match talk {
            Talk::Exchanging { with, purpose, .. } => {
                self.on_exchanged(with, purpose, Err(reason.to_string()));
            }
            Talk::Pinging { .. } => self.log(Level::Debug, format!("Failed fallback TCP ping: {reason}")),
            Talk::Accepted { .. } => {}
        }
    }

    /// Exchanges tables with somebody at random.
    pub(super) fn exchange_with_any(&mut self) {
        let own = &self.config.name;
        let picked = self
            .table
            .pick(1, &mut self.rng.spread, |peer| peer.name != *own && peer.state == WireState::Alive);
        if let Some(with) = picked.first().map(|peer| peer.addr) {
            self.exchange(with, Purpose::KeepUp);
        }
    }

    pub(super) fn exchange(&mut self, with: SocketAddr, purpose: Purpose) {
        let until = self.now + self.config.tcp_timeout;
        self.open(with, Talk::Exchanging { with, purpose, until });
    }

    /// Whether tables are being exchanged with whoever is there, at this node's wish.
    pub(super) fn is_exchanging_with(&self, at: SocketAddr) -> bool {
        self.streams.values().any(|open| matches!(open.talk, Talk::Exchanging { with, .. } if with == at))
    }

    fn own_tables(&self, join: bool) -> PushPull {
        // Whoever is silent does not claim its name.
        let hidden = |peer: &&super::table::Peer| self.is_silent() && peer.name == self.config.name;
        let nodes = self.table.iter().filter(|peer| !hidden(peer)).map(super::table::Peer::to_wire).collect();
        PushPull { join, nodes, state: self.serf_state() }
    }

    /// Takes in another's table, or nothing of it.
    fn merge(
        &mut self,
        tables: &PushPull,
        join: bool,
        ignore_old: bool,
        source: Source,
    ) -> Result<(), String> {
        self.check_versions(tables)?;
        if join {
            let admitted = self.config.admission.admit(&self.members_of(tables)?);
            if admitted.is_err() {
                self.look_for_its_id(tables, source);
            }
            admitted?;
        }
        for node in &tables.nodes {
            match node.state() {
                Some(WireState::Alive) => self.on_alive(&node.alive(), source),
                Some(WireState::Left) => self.on_dead(&Dead {
                    from: node.name.clone(),
                    incarnation: node.incarnation,
                    node: node.name.clone(),
                }),
                // Nobody is killed by hearsay: a suspicion gives it the chance to speak.
                Some(WireState::Dead | WireState::Suspect) => self.on_suspect(&Suspect {
                    from: self.config.name.clone(),
                    incarnation: node.incarnation,
                    node: node.name.clone(),
                }),
                None => self.refuse("field", "a table has a member in an unknown state"),
            }
        }
        self.merge_serf_state(&tables.state, join && ignore_old);
        Ok(())
    }

    /// A table that is refused may show who has this node's ID.
    fn look_for_its_id(&mut self, tables: &PushPull, source: Source) {
        for node in tables.nodes.iter().filter(|node| node.state() == Some(WireState::Alive)) {
            if let Some(addr) = self.address_of(&node.addr, node.port) {
                self.meets_its_id(&node.alive(), addr, source);
            }
        }
    }

    fn members_of(&self, tables: &PushPull) -> Result<Vec<Member>, String> {
        let member = |node: &super::wire::PushNode| {
            let vsn = Vsn::try_from(&node.vsn[..])
                .map_err(|_| format!("Node '{}' does not say its protocol versions", node.name))?;
            let addr = self
                .address_of(&node.addr, node.port)
                .ok_or_else(|| format!("Node '{}' has no usable address", node.name))?;
            let status = match node.state() {
                Some(WireState::Left) => Status::Left,
                Some(WireState::Dead) => Status::Failed,
                _ => Status::Alive,
            };
            Ok(Member::new(node.name.clone(), addr, &node.meta, vsn, status))
        };
        tables.nodes.iter().map(member).collect()
    }

    /// Every member's current version must lie in what all living members understand, or nothing is taken.
    fn check_versions(&self, tables: &PushPull) -> Result<(), String> {
        let theirs = tables.nodes.iter().map(|node| {
            let vsn = Vsn::try_from(&node.vsn[..]).ok();
            (&node.name, node.state() == Some(WireState::Alive), vsn)
        });
        let ours = self.table.iter().map(|peer| (&peer.name, peer.state == WireState::Alive, Some(peer.vsn)));
        let all: Vec<_> = theirs.chain(ours).collect();
        for (offset, what) in [(0, "protocol"), (3, "delegate protocol")] {
            let living = || all.iter().filter(|(_, alive, _)| *alive).filter_map(|(.., vsn)| *vsn);
            let lowest = living().map(|vsn| vsn[offset]).max().unwrap_or(0);
            let highest = living().map(|vsn| vsn[offset + 1]).min().unwrap_or(u8::MAX);
            for (name, _, vsn) in &all {
                let current = vsn.map_or(0, |vsn| vsn[offset + 2]);
                if !(lowest..=highest).contains(&current) {
                    return Err(format!(
                        "Node '{name}' {what} version ({current}) is incompatible: [{lowest}, {highest}]"
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn on_join(&mut self, call: CallId, addrs: Vec<SocketAddr>, ignore_old: bool) {
        let mut joining = Joining { ignore_old, ..Joining::default() };
        let mut contact = Vec::new();
        for addr in addrs {
            if self.has_left() {
                joining.failed.push((addr, "this node has left the cluster".to_string()));
            } else if contact.len() == MAX_JOIN {
                joining.failed.push((addr, format!("more than {MAX_JOIN} addresses to join")));
            } else {
                contact.push(addr);
            }
        }
        joining.left = contact.len();
        self.joins.insert(call, joining);
        contact.into_iter().for_each(|addr| self.exchange(addr, Purpose::Join(call)));
        self.maybe_joined(call);
    }

    fn ignores_old(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Join(call) => self.joins.get(&call).is_some_and(|joining| joining.ignore_old),
            Purpose::Reconnect | Purpose::KeepUp => false,
        }
    }

    fn on_exchanged(&mut self, with: SocketAddr, purpose: Purpose, outcome: Result<(), String>) {
        let call = match purpose {
            Purpose::Join(call) => call,
            Purpose::Reconnect | Purpose::KeepUp => {
                if let Err(why) = outcome {
                    self.refuse("exchange", &format!("Push/Pull with {with} failed: {why}"));
                }
                return;
            }
        };
        let Some(joining) = self.joins.get_mut(&call) else { return };
        joining.left -= 1;
        match outcome {
            Ok(()) => joining.contacted += 1,
            Err(why) => joining.failed.push((with, why)),
        }
        self.maybe_joined(call);
    }

    fn maybe_joined(&mut self, call: CallId) {
        if self.joins.get(&call).is_some_and(|joining| joining.left == 0)
            && let Some(joining) = self.joins.remove(&call)
        {
            if joining.contacted > 0 {
                self.broadcast_join();
            }
            let Joining { contacted, failed, .. } = joining;
            self.effects.push(Effect::Joined { call, contacted, failed });
        }
    }
}
