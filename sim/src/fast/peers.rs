//! Frames between servers: whom they reach, and who notices that nobody sends them any more.

use super::event::Event;
use super::server::slot_of;
use super::world::World;
use lictor_core::ids::ServerId;
use std::net::SocketAddr;

impl World {
    /// The host that a message for `to` reaches. Where nodes gossip that is whoever has the address, if it has
    /// the ID too: a connection begins with both (io/src/peers.rs).
    pub(super) fn peer_at(&self, to: &ServerId, at: Option<SocketAddr>) -> Option<usize> {
        if self.gossips() {
            let host = self.addresses.host(at?.ip())?;
            return (self.servers[host].id == *to).then_some(host);
        }
        slot_of(to).filter(|target| *target < self.servers.len())
    }

    /// A process is gone: those whom it sent messages see the connection end, if they can.
    pub(super) fn peers_lost(&mut self, slot: usize) {
        let here = self.servers[slot].is_at(self.addresses.of(slot));
        if !self.gossips() || !self.servers[slot].serves() || !here {
            return;
        }
        let from = self.servers[slot].id.clone();
        for other in 0..self.servers.len() {
            let it = &self.servers[other];
            let connected = self.servers[slot].spoke_to.contains(&other);
            if connected && it.serves() && it.up.is_some() && self.net.is_open(slot, other) {
                let at = self.now + self.net.stream_delay(self.now, slot, other);
                let life = it.life;
                self.heap.push(at, Event::PeerLost { from: from.clone(), slot: other, life });
            }
        }
    }
}
