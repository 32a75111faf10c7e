//! Packets out: what is spread, to whom, and what rides along.

use super::Gossip;
use super::scale::retransmit_limit;
use super::table::Peer;
use super::wire::{COMPOUND_HEAD, COMPOUND_PART, Message, WireState, compound};
use super::{Effect, queue::Queue};
use crate::time::Instant;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// Eager rounds come at most this often, as a part of the gossip interval: a burst of rumours shares them.
const EAGER_PART: u32 = 10;

impl Gossip {
    /// Sends a message, and what fits beside it.
    pub(super) fn send(&mut self, to: SocketAddr, message: &Message) {
        let message = message.encode();
        let room = self.envelope.room(self.config.packet_bytes, message.len());
        let mut parts = alloc::vec![Bytes::from(message)];
        parts.extend(self.take_rumours(room));
        self.send_parts(to, false, &parts);
    }

    /// Sends messages as they are. `checksum`: the receiver is known to read it.
    pub(super) fn send_parts(&mut self, to: SocketAddr, checksum: bool, parts: &[Bytes]) {
        for packet in compound(parts) {
            let bytes = Bytes::from(self.envelope.seal(&packet, checksum, &mut self.rng.nonce));
            self.effects.push(Effect::Packet { to, bytes });
        }
    }

    /// The queues in the order in which they fill a packet, each with the sends that a rumour in it has.
    fn queues(&mut self) -> [(&mut Queue, u32); 4] {
        let mult = self.config.retransmit_mult;
        let (peers, members) = (self.table.len(), self.serf.members.len());
        let serf = retransmit_limit(mult, members);
        [
            (&mut self.rumours, retransmit_limit(mult, peers)),
            (&mut self.serf.intent_queue, serf),
            (&mut self.serf.query_queue, serf),
            (&mut self.serf.event_queue, serf),
        ]
    }

    fn take_rumours(&mut self, room: usize) -> Vec<Bytes> {
        let mut used = 0;
        let mut taken = Vec::new();
        for (queue, limit) in self.queues() {
            let some = queue.take(COMPOUND_PART, room - used, limit);
            used += some.iter().map(|bytes| COMPOUND_PART + bytes.len()).sum::<usize>();
            taken.extend(some);
        }
        taken
    }

    fn take_fresh_rumours(&mut self, room: usize, receivers: u32) -> Vec<Bytes> {
        let mut used = 0;
        let mut taken = Vec::new();
        for (queue, limit) in self.queues() {
            let some = queue.take_fresh(COMPOUND_PART, room - used, receivers, limit);
            used += some.iter().map(|bytes| COMPOUND_PART + bytes.len()).sum::<usize>();
            taken.extend(some);
        }
        taken
    }

    fn has_fresh(&mut self) -> bool {
        self.queues().iter().any(|(queue, _)| queue.has_fresh())
    }

    /// Members that a round tells: those thought alive, and those that died lately.
    fn receivers(&mut self) -> Vec<(SocketAddr, bool)> {
        let (own, now, window) = (&self.config.name, self.now, self.config.gossip_to_the_dead);
        let told = |peer: &Peer| {
            peer.name != *own
                && match peer.state {
                    WireState::Alive | WireState::Suspect => true,
                    WireState::Dead => now.since(peer.changed) <= window,
                    WireState::Left => false,
                }
        };
        let picked = self.table.pick(self.config.gossip_nodes, &mut self.rng.spread, told);
        picked.iter().map(|peer| (peer.addr, peer.reads_checksums())).collect()
    }

    /// One round: each receiver gets a packet of its own.
    pub(super) fn gossip_round(&mut self) {
        let room = self.envelope.room(self.config.packet_bytes, 0);
        for (to, checksum) in self.receivers() {
            let parts = self.take_rumours(room);
            if parts.is_empty() {
                return;
            }
            self.send_parts(to, checksum, &parts);
        }
    }

    /// When an eager round is due, if one is.
    pub(super) fn eager_at(&self) -> Option<Instant> {
        (self.config.eager && self.eager_wanted).then_some(self.eager_from)
    }

    /// Sends what was never sent, to all receivers of one round at once.
    pub(super) fn eager_round(&mut self) {
        self.eager_wanted = false;
        if !self.has_fresh() {
            return;
        }
        let receivers = self.receivers();
        if receivers.is_empty() {
            return;
        }
        self.eager_from = self.now + self.config.gossip_interval / EAGER_PART;
        let room = self.envelope.room(self.config.packet_bytes, 0);
        let parts = self.take_fresh_rumours(room, receivers.len() as u32);
        if parts.is_empty() {
            return;
        }
        for (to, checksum) in receivers {
            self.send_parts(to, checksum, &parts);
        }
        self.eager_wanted = self.has_fresh();
    }
}

/// A packet never holds less than this much of what is spread: see [`super::Config::packet_bytes`].
const _: () = assert!(COMPOUND_HEAD + COMPOUND_PART < 512);
