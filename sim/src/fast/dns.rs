//! The name server that nodes ask whom to join: it may be late, and it may lie.

use super::event::Event;
use super::luck::Luck;
use super::marks::Mark;
use super::world::{MS, World};
use lictor_core::node::Input;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The name under which the first server of each datacenter is found.
pub(super) const EVERYWHERE: &str = "everywhere.sim";
/// The name under which all servers of the own datacenter are found.
pub(super) const SERVERS: &str = "servers.sim";
/// Mean time until an answer.
const ANSWERS_AFTER: u64 = 10 * MS;

/// The name server.
#[derive(Debug)]
pub(super) struct NameServer {
    luck: Luck,
    /// How old its answers are, in nanoseconds.
    lag: u64,
    /// Answers in a thousand that are wrong.
    lies: u64,
}

impl NameServer {
    pub(super) fn new(luck: Luck, lag: u64, lies: u64) -> NameServer {
        NameServer { luck, lag, lies }
    }

    /// From now on it knows everything, and tells the truth.
    pub(super) fn calm(&mut self) {
        self.lag = 0;
        self.lies = 0;
    }
}

impl World {
    /// Finds the addresses of names: literally given, or those of all servers.
    pub(super) fn resolve(&mut self, slot: usize, lookup: u64, names: &[String], port: u16) {
        let delay = self.names.luck.around(ANSWERS_AFTER);
        let found = names.iter().map(|name| self.addresses_of(slot, name, port)).collect();
        let life = self.servers[slot].life;
        self.heap.push(self.now + delay, Event::Resolved { slot, life, lookup, found });
    }

    pub(super) fn on_resolved(
        &mut self,
        slot: usize,
        life: u32,
        lookup: u64,
        found: Vec<Result<Vec<SocketAddr>, String>>,
    ) {
        if self.servers[slot].life == life {
            self.feed(slot, Input::Resolved { lookup, found });
        }
    }

    fn addresses_of(&mut self, asker: usize, name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        if let Ok(ip) = name.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if name != SERVERS && name != EVERYWHERE {
            return Err("no such host".into());
        }
        if self.names.luck.permille(self.names.lies) {
            self.marks.hit(Mark::NamesLied);
            return self.lie(port);
        }
        let at = self.now.saturating_sub(self.names.lag);
        let meant = |server: &&super::server::Server| match name {
            SERVERS => server.serves() && self.centre_of(server.slot) == self.centre_of(asker),
            _ => self.plan.knobs.is_first(server.slot),
        };
        let servers = self.servers.iter().filter(meant).map(|server| server.slot);
        let all: Vec<IpAddr> = servers.map(|slot| self.addresses.then(at, slot)).collect();
        Ok(all.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// Nothing, nobody's address, or that of some host, which need be no server.
    fn lie(&mut self, port: u16) -> Result<Vec<SocketAddr>, String> {
        let luck = &mut self.names.luck;
        match luck.below(4) {
            0 => Err("no such host".into()),
            1 => Ok(Vec::new()),
            2 => {
                let nobody = Ipv4Addr::new(10, 9, 0, luck.below(250) as u8);
                Ok(vec![SocketAddr::new(nobody.into(), port)])
            }
            _ => {
                let host = luck.below(self.servers.len() as u64) as usize;
                Ok(vec![SocketAddr::new(self.addresses.of(host), port)])
            }
        }
    }
}
