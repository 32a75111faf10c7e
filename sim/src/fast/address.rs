//! Which host has which address, now and before: an address is a hint, and this is where hints go wrong.

use super::luck::Luck;
use std::net::{IpAddr, Ipv4Addr};

/// The addresses of all hosts, and of all times.
#[derive(Debug)]
pub(super) struct Addresses {
    now: Vec<IpAddr>,
    /// When which host got which address, oldest first.
    given: Vec<(u64, usize, IpAddr)>,
    fresh: u32,
}

impl Addresses {
    /// One for each of so many hosts.
    pub(super) fn new(hosts: usize) -> Addresses {
        let now: Vec<IpAddr> = (1..=hosts as u32).map(|n| address(0, n)).collect();
        let given = now.iter().enumerate().map(|(slot, ip)| (0, slot, *ip)).collect();
        Addresses { now, given, fresh: 0 }
    }

    /// Where a host is.
    pub(super) fn of(&self, slot: usize) -> IpAddr {
        self.now[slot]
    }

    /// Who is there.
    pub(super) fn host(&self, ip: IpAddr) -> Option<usize> {
        self.now.iter().position(|own| *own == ip)
    }

    /// Where a host was at `at`.
    pub(super) fn then(&self, at: u64, slot: usize) -> IpAddr {
        let newest = self.given.iter().rev().find(|(given, host, _)| *host == slot && *given <= at);
        newest.map_or(self.now[slot], |(_, _, ip)| *ip)
    }

    /// The host gets an address that nobody ever had.
    pub(super) fn renew(&mut self, now: u64, slot: usize) {
        self.fresh += 1;
        self.give(now, slot, address(1, self.fresh));
    }

    /// These hosts get each other's addresses.
    pub(super) fn permute(&mut self, now: u64, slots: &[usize], luck: &mut Luck) {
        let mut all: Vec<IpAddr> = slots.iter().map(|slot| self.of(*slot)).collect();
        for i in (1..all.len()).rev() {
            all.swap(i, luck.below(i as u64 + 1) as usize);
        }
        for (slot, ip) in slots.iter().zip(all) {
            self.give(now, *slot, ip);
        }
    }

    fn give(&mut self, now: u64, slot: usize, ip: IpAddr) {
        self.now[slot] = ip;
        self.given.push((now, slot, ip));
    }
}

fn address(net: u8, host: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, net, (host >> 8) as u8, host as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_change_hands_and_the_past_is_known() {
        let mut addresses = Addresses::new(3);
        let first = addresses.of(0);
        addresses.renew(10, 0);
        assert_ne!(addresses.of(0), first);
        assert_eq!((addresses.host(first), addresses.host(addresses.of(0))), (None, Some(0)));
        addresses.permute(20, &[0, 1, 2], &mut Luck::new(4));
        assert_eq!(addresses.then(9, 0), first);
        assert_eq!(addresses.then(20, 0), addresses.of(0));
        let mut all: Vec<IpAddr> = (0..3).map(|slot| addresses.of(slot)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 3);
    }
}
