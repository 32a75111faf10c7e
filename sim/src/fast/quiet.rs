//! When everything is healed and nobody wants anything: gossip, catalog and agents must come to agree.

use super::invariant::Checked;
use super::invariant::cluster::{self, Host};
use super::marks::Mark;
use super::verdict::{Kind, Violation};
use super::world::{SECOND, World};
use std::collections::BTreeSet;

/// Members that lost sight of each other look for each other every half minute, one of those that are gone at a
/// time (serf's reconnect), and exchange tables as often.
const GOSSIP_BOUND: u64 = 120 * SECOND;
/// For so long after its start an observer may show the second owner of a name: it asks within a probe interval, and
/// a claim that it has refused is looked into again after ten seconds.
const NEW: u64 = 15 * SECOND;
/// In the pool of all servers tables are exchanged every minute, suspicions last up to 36 s times the logarithm, and
/// members that are gone are tried as often as in the other pools.
const WAN_BOUND: u64 = 240 * SECOND;
/// An agent compares itself with the catalog every minute, and tries again within half of one.
const CATALOG_BOUND: u64 = 180 * SECOND;

impl World {
    pub(super) fn gossips(&self) -> bool {
        self.plan.knobs.gossip == 1
    }

    /// Everybody must come to see everybody as they are.
    pub(super) fn demand_gossip(&mut self) {
        if self.gossips() {
            self.demand_quiet(GOSSIP_BOUND, World::gossip_agrees);
            self.detection.agreed = self.violation.is_none().then_some(self.now);
            self.demand_quiet(WAN_BOUND, World::wide_gossip_agrees);
        }
    }

    /// The catalog must come to be what gossip says, and what agents hold.
    pub(super) fn demand_catalog(&mut self) {
        if !self.gossips() {
            return;
        }
        self.demand_quiet(CATALOG_BOUND, World::catalog_agrees);
        let checked = self.owners_are_heard().and_then(|()| self.outsiders_are_told());
        self.check(checked);
        self.mark_the_end();
    }

    fn demand_quiet(&mut self, bound: u64, agrees: fn(&World) -> Checked) {
        let end = self.now + bound;
        while self.violation.is_none() {
            match agrees(self) {
                Ok(()) => return,
                Err(Violation { rule, what, .. }) if self.now >= end => {
                    let what = format!("not within {} s of quiet; {what}", bound / SECOND);
                    return self.fail(Violation::new(Kind::Liveness, rule, what));
                }
                Err(_) => self.run_until(self.now + SECOND / 2),
            }
        }
    }

    pub(super) fn hosts(&self) -> Vec<Host> {
        let host = |server: &super::server::Server| Host {
            id: server.id.clone(),
            centre: self.centre_of(server.slot),
            name: server.name().clone(),
            ip: self.addresses.of(server.slot),
            serves: server.serves(),
            up: server.up.is_some(),
        };
        self.servers.iter().map(host).collect()
    }

    /// Of hosts that bear the same name, all but the one that most others hold for its owner; and the dead whose name
    /// a living host bears.
    pub(super) fn outsiders(&self) -> BTreeSet<usize> {
        let mut outside = BTreeSet::new();
        let alike = |a: usize, b: usize| self.servers[a].name().eq_ignore_ascii_case(self.servers[b].name());
        for slot in 0..self.servers.len() {
            let rivals: Vec<usize> = (0..self.servers.len()).filter(|other| alike(slot, *other)).collect();
            if rivals.len() < 2 {
                continue;
            }
            let votes = |rival: usize| {
                let ip = self.addresses.of(rival);
                let others = self.servers.iter().filter(|other| !rivals.contains(&other.slot));
                let shows = |other: &&super::server::Server| {
                    let seen = other
                        .up
                        .as_ref()
                        .map(|p| cluster::address_of(&p.view.members, self.servers[rival].name()));
                    seen.flatten() == Some(ip)
                };
                (self.servers[rival].up.is_some(), others.filter(shows).count())
            };
            let owner = rivals.iter().copied().max_by_key(|rival| (votes(*rival), std::cmp::Reverse(*rival)));
            if owner != Some(slot) {
                outside.insert(slot);
            }
        }
        outside
    }

    /// Whoever waits outside knows why.
    fn outsiders_are_told(&mut self) -> Checked {
        let hosts = self.hosts();
        for slot in self.outsiders() {
            let server = &self.servers[slot];
            if server.up.is_none() {
                continue;
            }
            let rival = hosts
                .iter()
                .enumerate()
                .find(|(other, host)| *other != slot && host.name == hosts[slot].name);
            let Some((_, rival)) = rival else { continue };
            cluster::told_of_its_rival(&hosts[slot], rival, server.refused.as_deref())?;
            self.marks.hit(Mark::NameRefused);
        }
        Ok(())
    }

    /// In a run without cuts and pauses whoever has a name keeps it for as long as it lives, and no ID has two names.
    pub(super) fn names_have_one_owner(&mut self) -> Checked {
        let first_of = self.plan.knobs.slots();
        let late = self.plan.knobs.late();
        if late == self.servers.len() {
            return Ok(());
        }
        let hosts = self.hosts();
        for (slot, server) in self.servers.iter().enumerate() {
            let Some(process) = server.up.as_ref().filter(|_| slot < late) else { continue };
            // Whoever has just started takes the first that it hears of, until it has looked.
            let new = server.since.max(server.resumed) + NEW > self.now;
            cluster::one_name_per_id(&hosts[slot], &process.view.members)?;
            for n in 0..self.plan.knobs.namesakes as usize {
                let (owner, rival) = (first_of + n, late + n);
                let (first, second) = (&self.servers[owner], &self.servers[rival]);
                let seen = cluster::address_of(&process.view.members, first.name());
                let there_first = first.up.is_some() && first.since == 0;
                if there_first && !new {
                    cluster::the_first_keeps_its_name(&hosts[slot], &hosts[owner], seen)?;
                } else if first.up.is_none() && second.up.is_some() && seen == Some(hosts[rival].ip) {
                    self.marks.hit(Mark::NameTakenOver);
                }
            }
        }
        Ok(())
    }

    /// In a run in which packets are lost, a few, and nothing else happens.
    pub(super) fn loss_is_borne(&self) -> Checked {
        let lossy =
            self.gossips() && self.plan.steps.is_empty() && self.plan.knobs.packet_loss_permille <= 50;
        if !lossy || self.quiet {
            return Ok(());
        }
        let (hosts, inside) = (self.hosts(), self.insiders(&BTreeSet::new()));
        for (host, server) in hosts.iter().zip(&self.servers) {
            if let Some(process) = &server.up {
                cluster::nobody_fails_by_loss(host, &process.view.members, &inside[host.centre])?;
            }
        }
        Ok(())
    }

    pub(super) fn gossip_agrees(&self) -> Checked {
        let outside = self.outsiders();
        let (hosts, inside) = (self.hosts(), self.insiders(&outside));
        for (host, server) in hosts.iter().zip(&self.servers) {
            if let Some(process) = server.up.as_ref().filter(|_| !outside.contains(&server.slot)) {
                cluster::members_are_as_they_are(host, &process.view.members, &inside[host.centre])?;
                cluster::datacenters_stay_apart(host, &process.view.members, &hosts)?;
            }
        }
        Ok(())
    }

    /// In the pool of all servers too.
    fn wide_gossip_agrees(&self) -> Checked {
        if self.centres.len() < 2 {
            return Ok(());
        }
        let hosts = self.hosts();
        for (host, server) in hosts.iter().zip(&self.servers) {
            if let Some(process) = server.up.as_ref().filter(|_| host.serves) {
                cluster::servers_see_each_other(host, &process.view.members, &hosts)?;
            }
        }
        Ok(())
    }

    /// All hosts of each datacenter but those that wait outside.
    pub(super) fn insiders(&self, outside: &BTreeSet<usize>) -> Vec<Vec<Host>> {
        let mut inside = vec![Vec::new(); self.centres.len()];
        for (slot, host) in self.hosts().into_iter().enumerate() {
            if !outside.contains(&slot) {
                inside[host.centre].push(host);
            }
        }
        inside
    }

    fn catalog_agrees(&self) -> Checked {
        self.gossip_agrees()?;
        let outside = self.outsiders();
        let (hosts, inside) = (self.hosts(), self.insiders(&outside));
        for (centre, inside) in inside.iter().enumerate() {
            let Some(leader) = self.leader_of(centre).and_then(|slot| self.servers[slot].up.as_ref()) else {
                return Err(Violation::invariant("one leader in quiet", "there is none"));
            };
            let store = &leader.view.store;
            cluster::catalog_is_gossip(store, inside)?;
            let here = hosts.iter().zip(&self.servers).filter(|(host, _)| host.centre == centre);
            for (host, server) in here {
                if let Some(process) = server.up.as_ref().filter(|_| !outside.contains(&server.slot)) {
                    cluster::catalog_is_the_agents(store, host, &process.view.local)?;
                }
            }
        }
        Ok(())
    }

    fn owners_are_heard(&self) -> Checked {
        for ((host, server), owner) in self.hosts().iter().zip(&self.servers).zip(&self.owners) {
            if let Some(process) = &server.up {
                cluster::agents_hold_the_last_word(host, &process.view.local, owner.services())?;
            }
        }
        Ok(())
    }

    fn mark_the_end(&mut self) {
        let synced = |server: &super::server::Server| {
            server.up.as_ref().is_some_and(|p| !server.serves() && p.view.local.service_count() > 0)
        };
        if self.servers.iter().any(synced) {
            self.marks.hit(Mark::ServiceSynced);
        }
        if self.servers.iter().any(|server| server.up.is_none()) {
            self.marks.hit(Mark::DeadSeen);
        }
    }
}
