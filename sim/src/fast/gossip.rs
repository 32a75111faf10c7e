//! Gossip's sockets: packets as UDP carries them, streams as connections.

use super::event::Event;
use super::marks::Mark;
use super::stream::Carries;
use super::world::World;
use bytes::Bytes;
use lictor_core::gossip::Input as Told;
use lictor_core::ids::Pool;
use lictor_core::node::{Input, NetOrder};
use std::net::SocketAddr;

/// The ports of the pools.
pub(super) const LAN: u16 = 8301;
pub(super) const WAN: u16 = 8302;

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) slot: usize,
    life: u32,
    sender: usize,
    pool: Pool,
    from: SocketAddr,
    bytes: Bytes,
}

impl World {
    /// Carries out what gossip wants of its sockets.
    pub(super) fn net_order(&mut self, slot: usize, pool: Pool, order: NetOrder) {
        match order {
            NetOrder::Packet { to, bytes } => self.packet(slot, pool, to, bytes),
            NetOrder::Open { stream, to } => {
                self.dial(slot, to, Carries::Gossip(pool), Some(stream));
            }
            NetOrder::Write { stream, bytes } => {
                if let Some(conn) = self.conns.of_stream(slot, pool, stream) {
                    self.say(conn, slot, bytes);
                }
            }
            NetOrder::Close { stream } => {
                if let Some(conn) = self.conns.of_stream(slot, pool, stream) {
                    self.hang_up(conn, slot);
                }
            }
        }
    }

    fn packet(&mut self, sender: usize, pool: Pool, to: SocketAddr, bytes: Bytes) {
        let Some(slot) = self.addresses.host(to.ip()) else { return };
        let port = if pool == Pool::Lan { LAN } else { WAN };
        let from = SocketAddr::new(self.addresses.of(sender), port);
        let fate = self.net.packet(self.now, sender, slot);
        if fate.first.is_none() {
            self.marks.hit(Mark::PacketLost);
        }
        let packet = Packet { slot, life: self.servers[slot].life, sender, pool, from, bytes };
        for at in fate.first.into_iter().chain(fate.second) {
            self.heap.push(at, Event::Packet(Box::new(packet.clone())));
        }
    }

    pub(super) fn on_packet(&mut self, packet: Packet) {
        let Packet { slot, life, sender, pool, from, bytes } = packet;
        if self.servers[slot].life != life || !self.net.is_open(sender, slot) {
            return;
        }
        self.trace.bytes(&bytes);
        self.feed(slot, Input::Gossip { pool, input: Told::Packet { from, bytes } });
    }
}
