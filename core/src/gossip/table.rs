//! Who is known, and in which order they are probed.

use super::names::NameMap;
use super::wire::{PushNode, Vsn, WireState, ip_bytes};
use crate::Str;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// A member as SWIM sees it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) name: Str,
    pub(super) addr: SocketAddr,
    pub(super) meta: Arc<[u8]>,
    pub(super) vsn: Vsn,
    pub(super) incarnation: u32,
    pub(super) state: WireState,
    /// When `state` last changed.
    pub(super) changed: Instant,
}

impl Peer {
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, WireState::Dead | WireState::Left)
    }

    /// The highest memberlist protocol it speaks; its features depend on that.
    pub(super) fn protocol_max(&self) -> u8 {
        self.vsn[1]
    }

    /// Whether it reads checksums.
    pub(super) fn reads_checksums(&self) -> bool {
        self.protocol_max() >= 5
    }

    pub(super) fn to_wire(&self) -> PushNode {
        PushNode {
            addr: ip_bytes(self.addr.ip()),
            incarnation: self.incarnation,
            meta: Bytes::copy_from_slice(&self.meta),
            name: self.name.clone(),
            port: self.addr.port(),
            state: self.state.number(),
            vsn: Bytes::copy_from_slice(&self.vsn),
        }
    }
}

/// The members. This node is one of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Boxed, for the nodes of the map are half empty.
    peers: NameMap<Box<Peer>>,
    /// Their names in the order of probing: shuffled whenever it was gone through.
    ring: Vec<Str>,
    next: usize,
}

impl Table {
    /// How many are known, the gone included that are still gossiped to.
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Peer> {
        self.peers.get(name).map(|peer| &**peer)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Peer> {
        self.peers.get_mut(name).map(|peer| &mut **peer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().map(|peer| &**peer)
    }

    /// Adds a member at a random place in the ring.
    pub(super) fn insert(&mut self, peer: Peer, rng: &mut Rng) {
        let at = rng.below(self.ring.len() as u64 + 1) as usize;
        self.ring.push(peer.name.clone());
        let last = self.ring.len() - 1;
        self.ring.swap(at, last);
        self.peers.insert(peer.name.clone(), Box::new(peer));
    }

    /// Up to `k` different members that `wanted` lets through, at random.
    pub(super) fn pick(&self, k: usize, rng: &mut Rng, wanted: impl Fn(&Peer) -> bool) -> Vec<&Peer> {
        let wanted = |name: &Str| self.get(name).filter(|peer| wanted(peer));
        if self.ring.len() <= 8 * k {
            let mut all: Vec<&Peer> = self.ring.iter().filter_map(wanted).collect();
            rng.shuffle(&mut all);
            all.truncate(k);
            return all;
        }
        let mut picked: Vec<&Peer> = Vec::with_capacity(k);
        for _ in 0..3 * self.ring.len() {
            if picked.len() == k {
                break;
            }
            let name = &self.ring[rng.below(self.ring.len() as u64) as usize];
            if let Some(peer) = wanted(name).filter(|_| picked.iter().all(|other| other.name != *name)) {
                picked.push(peer);
            }
        }
        picked
    }

    /// The next member to probe, if any but this node is there. When the ring was gone through, those
    /// gone for longer than `to_the_dead` are forgotten and the rest is shuffled anew.
    pub(super) fn next_to_probe(
        &mut self,
        own: &str,
        now: Instant,
        to_the_dead: Duration,
        rng: &mut Rng,
    ) -> Option<&Peer> {
        let (mut looked_at, mut wrapped) = (0, false);
        while looked_at < self.ring.len() {
            let Some(name) = self.ring.get(self.next).cloned() else {
                if wrapped {
                    return None;
                }
                wrapped = true;
                self.forget_gone(now, to_the_dead);
                rng.shuffle(&mut self.ring);
                self.next = 0;
                continue;
            };
            (self.next, looked_at) = (self.next + 1, looked_at + 1);
            if &*name != own && self.peers.get(&name).is_some_and(|peer| !peer.is_gone()) {
                return self.get(&name);
            }
        }
        None
    }

    pub(super) fn forget_gone(&mut self, now: Instant, to_the_dead: Duration) {
        self.peers.retain(|_, peer| !peer.is_gone() || now.since(peer.changed) <= to_the_dead);
        self.ring.retain(|name| self.peers.contains_key(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use alloc::collections::BTreeSet;
    use alloc::format;

    fn table(n: usize) -> (Table, Rng) {
        let (mut table, mut rng) = (Table::default(), Rng::new(Seed::from_u64(3)));
        for i in 0..n {
            let peer = Peer {
                name: format!("n{i}").as_str().into(),
                addr: "127.0.0.1:8301".parse().expect("an address"),
                meta: Arc::default(),
                vsn: [1, 5, 2, 2, 5, 4],
                incarnation: 1,
                state: WireState::Alive,
                changed: Instant::ZERO,
            };
            table.insert(peer, &mut rng);
        }
        (table, rng)
    }

    #[test]
    fn every_other_member_is_probed_once_a_round() {
        let (mut table, mut rng) = table(10);
        for _ in 0..20 {
            // A round starts at a shuffle, which is right after the last of the previous.
            table.next = table.ring.len();
            let mut round = BTreeSet::new();
            for _ in 0..9 {
                let next = table.next_to_probe("n0", Instant::ZERO, Duration::ZERO, &mut rng);
                round.extend(next.map(|peer| peer.name.clone()));
            }
            assert_eq!(round.len(), 9);
            assert!(!round.contains("n0"));
        }
    }

    #[test]
    fn the_gone_are_forgotten_at_the_end_of_a_round_but_not_before_their_time() {
        let (mut table, mut rng) = table(3);
        let died = Instant::ZERO + Duration::from_secs(100);
        let peer = table.get_mut("n1").expect("known");
        (peer.state, peer.changed) = (WireState::Dead, died);
        let day = Duration::from_secs(30);
        for (seconds, known) in [(110, true), (130, true), (131, false)] {
            table.next = table.ring.len();
            let now = Instant::ZERO + Duration::from_secs(seconds);
            let next = table.next_to_probe("n0", now, day, &mut rng).map(|peer| peer.name.clone());
            assert_eq!(next.as_deref(), Some("n2"));
            assert_eq!(table.get("n1").is_some(), known, "after {seconds} s");
        }
    }

    #[test]
    fn picks_are_different_and_wanted() {
        for n in [4, 100] {
            let (table, mut rng) = table(n);
            for _ in 0..50 {
                let picked = table.pick(3, &mut rng, |peer| &*peer.name != "n0");
                let names: BTreeSet<&str> = picked.iter().map(|peer| &*peer.name).collect();
                assert_eq!(names.len(), 3, "of {n}");
                assert!(!names.contains("n0"));
            }
        }
    }

    #[test]
    fn alone_there_is_nobody_to_probe() {
        let (mut table, mut rng) = table(1);
        assert!(table.next_to_probe("n0", Instant::ZERO, Duration::ZERO, &mut rng).is_none());
    }
}
