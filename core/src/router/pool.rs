//! The servers in the order in which they are asked.

use crate::Str;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

/// A server stays preferred at least so long, plus up to half of it at random (Consul's).
const REUSE: Duration = Duration::from_secs(120);
/// All clients together change to another server at most so often per second and server.
const CHANGES_PER_SECOND: u32 = 64;

/// A server that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: Str,
    /// Its datacenter.
    pub datacenter: Str,
    /// Where it takes RPC.
    pub addr: SocketAddr,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (Addr: tcp/{}) (DC: {})", self.name, self.addr, self.datacenter)
    }
}

/// The servers, the preferred one first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    servers: Vec<Server>,
    members: usize,
    shuffle_at: Option<Instant>,
}

/// How the servers differ from before.
#[derive(Debug, Default)]
pub(super) struct News {
    added: Vec<Server>,
    removed: Vec<Server>,
}

impl News {
    pub(super) fn appeared(&self) -> bool {
        !self.added.is_empty()
    }

    pub(super) fn log(&self) -> impl Iterator<Item = (&'static str, &Server)> {
        let added = self.added.iter().map(|server| ("adding server", server));
        added.chain(self.removed.iter().map(|server| ("removing server", server)))
    }
}

impl Pool {
    /// Takes over who is there now. New ones come in at random places.
    pub(super) fn update(&mut self, now: Instant, rng: &mut Rng, servers: &[Server], members: usize) -> News {
        let mut news = News::default();
        self.members = members;
        self.servers.retain(|known| {
            let stays = servers.contains(known);
            if !stays {
                news.removed.push(known.clone());
            }
            stays
        });
        for server in servers {
            if !self.servers.contains(server) {
                let at = rng.below(self.servers.len() as u64 + 1) as usize;
                self.servers.insert(at, server.clone());
                news.added.push(server.clone());
            }
        }
        match self.servers.len() {
            0 | 1 => self.shuffle_at = None,
            _ if self.shuffle_at.is_none() => self.schedule(now, rng),
            _ => {}
        }
        news
    }

    fn schedule(&mut self, now: Instant, rng: &mut Rng) {
        let least = REUSE + rng.duration(Duration::ZERO, REUSE / 2);
        let changes = CHANGES_PER_SECOND * self.servers.len().max(1) as u32;
        let spread = Duration::from_secs(self.members as u64) / changes;
        self.shuffle_at = Some(now + least.max(spread));
    }

    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter()
    }

    pub(super) fn preferred(&self) -> Option<&Server> {
        self.servers.first()
    }

    /// The server at `addr` goes to the end, if it is the preferred one: of those who failed at once, only
    /// the first moves it.
    pub(super) fn failed(&mut self, addr: SocketAddr) {
        if self.preferred().is_some_and(|server| server.addr == addr) {
            self.servers.rotate_left(1);
        }
    }

    pub(super) fn shuffle_at(&self) -> Option<Instant> {
        self.shuffle_at
    }

    /// Shuffles if it is time.
    pub(super) fn shuffle(&mut self, now: Instant, rng: &mut Rng) {
        if self.shuffle_at.is_some_and(|at| at <= now) {
            rng.shuffle(&mut self.servers);
            self.schedule(now, rng);
        }
    }
}
