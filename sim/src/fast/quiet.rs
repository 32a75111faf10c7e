//! When everything is healed and nobody wants anything: gossip, catalog and agents must come to agree.

use super::invariant::Checked;
use super::invariant::cluster::{self, Host};
use super::marks::Mark;
use super::verdict::{Kind, Violation};
use super::world::{SECOND, World};

/// Members that lost sight of each other look for each other every half minute, one of those that are gone at a
/// time (serf's reconnect), and exchange tables as often.
const GOSSIP_BOUND: u64 = 120 * SECOND;
/// An agent compares itself with the catalog every minute, and tries again within half of one (wire.md E10).
const CATALOG_BOUND: u64 = 180 * SECOND;

impl World {
    pub(super) fn gossips(&self) -> bool {
        self.plan.knobs.gossip == 1
    }

    /// Everybody must come to see everybody as they are.
    pub(super) fn demand_gossip(&mut self) {
        if self.gossips() {
            self.demand_quiet(GOSSIP_BOUND, World::gossip_agrees);
            self.detection.agreed = self.violation.is_none();
        }
    }

    /// The catalog must come to be what gossip says, and what agents hold.
    pub(super) fn demand_catalog(&mut self) {
        if !self.gossips() {
            return;
        }
        self.demand_quiet(CATALOG_BOUND, World::catalog_agrees);
        let checked = self.owners_are_heard();
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
            name: server.name().clone(),
            ip: self.addresses.of(server.slot),
            serves: server.serves(),
            up: server.up.is_some(),
        };
        self.servers.iter().map(host).collect()
    }

    /// In a run in which packets are lost, a few, and nothing else happens.
    pub(super) fn loss_is_borne(&self) -> Checked {
        let lossy =
            self.gossips() && self.plan.steps.is_empty() && self.plan.knobs.packet_loss_permille <= 50;
        if !lossy || self.quiet {
            return Ok(());
        }
        let hosts = self.hosts();
        for (host, server) in hosts.iter().zip(&self.servers) {
            if let Some(process) = &server.up {
                cluster::nobody_fails_by_loss(host, &process.view.members, &hosts)?;
            }
        }
        Ok(())
    }

    pub(super) fn gossip_agrees(&self) -> Checked {
        let hosts = self.hosts();
        for (host, server) in hosts.iter().zip(&self.servers) {
            if let Some(process) = &server.up {
                cluster::members_are_as_they_are(host, &process.view.members, &hosts)?;
            }
        }
        Ok(())
    }

    fn catalog_agrees(&self) -> Checked {
        self.gossip_agrees()?;
        let hosts = self.hosts();
        let Some(leader) = self.leader().and_then(|slot| self.servers[slot].up.as_ref()) else {
            return Err(Violation::invariant("one leader in quiet", "there is none"));
        };
        let store = &leader.view.store;
        cluster::catalog_is_gossip(store, &hosts)?;
        for (host, server) in hosts.iter().zip(&self.servers) {
            if let Some(process) = &server.up {
                cluster::catalog_is_the_agents(store, host, &process.view.local)?;
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
