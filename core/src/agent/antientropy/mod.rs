//! Anti-entropy: the catalog is made to show what the agent holds.
//!
//! The agent is right about its own services and checks. A full sync fetches the node from the
//! catalog and compares; a local change is told at once. One thing has at most one call in flight,
//! and nothing is forgotten: whatever changes during a call is marked again and told after it.
//!
//! Invariant: an ID that differs from the catalog, as far as the agent can know, is in `dirty_*`, in
//! `failed_*` or in flight.

mod diff;
mod dispatch;
mod node_info;

use super::{Agent, CatalogReply, Timer};
use crate::Str;
use crate::event::{Event, Level};
use crate::ids::CallId;
use crate::time::Now;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::slice;
use core::time::Duration;
pub(super) use node_info::NodeInfo;

/// Wait after a failure, plus as much again at random.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Agents that hear of a new server come within this time, at random. A server's own agent at once.
const SERVER_UP_STAGGER: Duration = Duration::from_secs(3);
/// A call whose reply does not come within this time is taken for failed (Consul's
/// `rpc_client_timeout`).
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the node's own record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeState {
    InSync,
    Dirty,
    InFlight(CallId),
    /// Waits for a retry.
    Failed,
}

/// What is being told to the catalog.
#[derive(Clone, Debug, PartialEq)]
enum Flight {
    Fetch,
    Node,
    /// A service with checks of its own, or its removal, with that of its checks.
    Service {
        id: Str,
        checks: Vec<Str>,
        removed: bool,
    },
    /// Checks of one service, or of the node.
    Checks {
        checks: Vec<Str>,
        service: Str,
    },
    CheckRemoval {
        id: Str,
        service: Str,
    },
}

/// A fetch under way.
#[derive(Clone, Debug)]
struct Fetch {
    call: CallId,
    /// Changed, or in flight, since it was sent.
    touched_services: BTreeSet<Str>,
    touched_checks: BTreeSet<Str>,
    touched_node: bool,
}

/// What is known, and being done, about the difference to the catalog.
#[derive(Clone, Debug)]
pub(super) struct Sync {
    pub(super) node: NodeInfo,
    node_state: NodeState,
    /// A full sync has succeeded; before that nothing is told.
    started: bool,
    fetch: Option<Fetch>,
    /// To be told, or to be removed there if not held here.
    dirty_services: BTreeSet<Str>,
    /// With the service that each belongs to, or belonged to.
    dirty_checks: BTreeMap<Str, Str>,
    /// As `dirty_*`, but not before the next retry.
    failed_services: BTreeSet<Str>,
    failed_checks: BTreeMap<Str, Str>,
    flights: BTreeMap<CallId, Flight>,
    busy_services: BTreeSet<Str>,
    busy_checks: BTreeSet<Str>,
    next_call: u64,
}

/// Up to so many members nothing is stretched (Consul's).
const SCALE_THRESHOLD: usize = 128;

/// How many times as long syncs are spread among so many members: one time more for each doubling.
fn scale(members: usize) -> u32 {
    match members {
        0..=SCALE_THRESHOLD => 1,
        _ => (members - 1).ilog2() - SCALE_THRESHOLD.ilog2() + 2,
    }
}

impl Sync {
    pub(super) fn new(node: NodeInfo) -> Sync {
        Sync {
            node,
            node_state: NodeState::Dirty,
            started: false,
            fetch: None,
            dirty_services: BTreeSet::new(),
            dirty_checks: BTreeMap::new(),
            failed_services: BTreeSet::new(),
            failed_checks: BTreeMap::new(),
            flights: BTreeMap::new(),
            busy_services: BTreeSet::new(),
            busy_checks: BTreeSet::new(),
            next_call: 0,
        }
    }

    /// Makes everything that waits for a retry due.
    fn revive(&mut self) {
        self.dirty_services.append(&mut self.failed_services);
        for (id, service) in core::mem::take(&mut self.failed_checks) {
            self.dirty_checks.entry(id).or_insert(service);
        }
        if self.node_state == NodeState::Failed {
            self.node_state = NodeState::Dirty;
        }
    }

    fn touch_node(&mut self) {
        if let Some(fetch) = &mut self.fetch {
            fetch.touched_node = true;
        }
    }

    fn touch_service(&mut self, id: &Str) {
        if let Some(fetch) = &mut self.fetch {
            fetch.touched_services.insert(id.clone());
        }
    }

    fn touch_check(&mut self, id: &Str) {
        if let Some(fetch) = &mut self.fetch {
            fetch.touched_checks.insert(id.clone());
        }
    }
}

impl Agent {
    /// A service was added, changed or removed here.
    pub(super) fn service_changed(&mut self, id: &Str) {
        self.sync.failed_services.remove(id);
        self.sync.dirty_services.insert(id.clone());
        self.sync.touch_service(id);
    }

    /// A check was added or changed here and is to be told at once.
    pub(super) fn check_changed(&mut self, id: &Str) {
        let Some(check) = self.local.check(id) else { return };
        let service = check.service_id.clone();
        self.check_removed(id, &service);
    }

    /// A check of this service (empty: of the node) was removed here.
    pub(super) fn check_removed(&mut self, id: &Str, service: &Str) {
        self.timers.cancel(&Timer::Defer(id.clone()));
        self.sync.failed_checks.remove(id);
        self.sync.dirty_checks.insert(id.clone(), service.clone());
        self.sync.touch_check(id);
    }

    /// Only a check's output changed: told after half to one and a half of `check_update_interval`,
    /// counted from the first such change.
    pub(super) fn check_output_changed(&mut self, now: Now, id: &Str) {
        let interval = self.config.check_update_interval;
        if interval.is_zero() || self.sync.dirty_checks.contains_key(id) {
            self.check_changed(id);
            return;
        }
        self.sync.touch_check(id);
        let timer = Timer::Defer(id.clone());
        if !self.timers.contains(&timer) {
            let wait = interval / 2 + self.sync_rng.duration(Duration::ZERO, interval);
            self.timers.set(timer, now.mono + wait);
        }
    }

    /// A server can be asked: everything is compared again, soon.
    pub(super) fn on_server_up(&mut self, now: Now) {
        let stagger = match self.config.server {
            true => Duration::ZERO,
            false => self.stagger(SERVER_UP_STAGGER),
        };
        self.sync.revive();
        self.timers.cancel(&Timer::Retry);
        if let Some(fetch) = self.sync.fetch.take() {
            self.sync.flights.remove(&fetch.call);
            self.timers.cancel(&Timer::Call(fetch.call));
        }
        self.timers.set(Timer::FullSync, now.mono + stagger);
    }

    /// Another try for what failed.
    pub(super) fn on_retry(&mut self) {
        self.sync.revive();
    }

    /// No reply in time. Whether it happened is unknown; telling it twice does no harm.
    pub(super) fn on_call_timeout(&mut self, now: Now, call: CallId) {
        self.on_catalog_reply(now, call, CatalogReply::Failed(String::from("no reply from the server")));
    }

    /// A call's answer; one that was given up is ignored.
    pub(super) fn on_catalog_reply(&mut self, now: Now, call: CallId, reply: CatalogReply) {
        let Some(flight) = self.sync.flights.remove(&call) else {
            return self.on_alias_reply(now, call, reply);
        };
        self.timers.cancel(&Timer::Call(call));
        if let Flight::Fetch = flight {
            self.on_fetched(now, reply);
            return;
        }
        self.land(call, &flight);
        match reply {
            CatalogReply::Done | CatalogReply::Node(_) => self.log_done(&flight),
            CatalogReply::Denied(why) => self.log_failed(&flight, "blocked by ACLs", &why),
            CatalogReply::Failed(why) => {
                self.log_failed(&flight, "failed.", &why);
                self.keep_for_retry(flight);
                self.schedule_retry(now);
            }
        }
    }

    fn on_fetched(&mut self, now: Now, reply: CatalogReply) {
        let Some(fetch) = self.sync.fetch.take() else { return };
        match reply {
            CatalogReply::Node(remote) => {
                self.sync.revive();
                self.timers.cancel(&Timer::Retry);
                self.compare(remote, &fetch);
                self.sync.started = true;
                let interval = self.config.ae_interval.max(Duration::from_secs(1));
                let stagger = self.stagger(interval);
                self.timers.set(Timer::FullSync, now.mono + interval + stagger);
            }
            CatalogReply::Denied(why) | CatalogReply::Failed(why) => {
                self.effects.push_back(super::AgentEffect::Event(
                    Event::new(Level::Error, "agent.anti_entropy", "failed to sync remote state")
                        .with("error", why),
                ));
                let stagger = self.stagger(RETRY_INTERVAL);
                self.timers.set(Timer::FullSync, now.mono + RETRY_INTERVAL + stagger);
            }
            CatalogReply::Done => {
                // A server that answers a question with "written" is not to be believed; ask again.
                self.timers.set(Timer::FullSync, now.mono + RETRY_INTERVAL);
            }
        }
    }

    /// Takes a call out of the books.
    fn land(&mut self, call: CallId, flight: &Flight) {
        match flight {
            Flight::Fetch => {}
            Flight::Node => {
                if self.sync.node_state == NodeState::InFlight(call) {
                    self.sync.node_state = NodeState::InSync;
                }
            }
            Flight::Service { id, checks, .. } => {
                self.sync.busy_services.remove(id);
                for check in checks {
                    self.sync.busy_checks.remove(check);
                }
            }
            Flight::Checks { checks, service } => {
                self.sync.busy_services.remove(service);
                for check in checks {
                    self.sync.busy_checks.remove(check);
                }
            }
            Flight::CheckRemoval { id, service } => {
                self.sync.busy_services.remove(service);
                self.sync.busy_checks.remove(id);
            }
        }
    }

    /// Marks what a failed call was to tell, unless it was marked again already.
    fn keep_for_retry(&mut self, flight: Flight) {
        match flight {
            Flight::Fetch => {}
            Flight::Node => {
                if self.sync.node_state == NodeState::InSync {
                    self.sync.node_state = NodeState::Failed;
                }
            }
            Flight::Service { id, checks, .. } => {
                self.keep_checks_for_retry(checks, &id);
                if !self.sync.dirty_services.contains(&id) {
                    self.sync.failed_services.insert(id);
                }
            }
            Flight::Checks { checks, service } => self.keep_checks_for_retry(checks, &service),
            Flight::CheckRemoval { id, service } => self.keep_checks_for_retry(Vec::from([id]), &service),
        }
    }

    fn keep_checks_for_retry(&mut self, checks: Vec<Str>, service: &Str) {
        for check in checks {
            if !self.sync.dirty_checks.contains_key(&check) {
                self.sync.failed_checks.insert(check, service.clone());
            }
        }
    }

    /// A random part of this time; in a large datacenter of more, so that not everybody comes at once.
    fn stagger(&mut self, most: Duration) -> Duration {
        self.sync_rng.duration(Duration::ZERO, most * scale(self.members))
    }

    fn schedule_retry(&mut self, now: Now) {
        if !self.timers.contains(&Timer::Retry) {
            let stagger = self.stagger(RETRY_INTERVAL);
            self.timers.set(Timer::Retry, now.mono + RETRY_INTERVAL + stagger);
        }
    }

    fn log_done(&mut self, flight: &Flight) {
        match flight {
            Flight::Fetch => {}
            Flight::Node => self.event(Level::Info, "Synced node info", &[]),
            Flight::Service { id, removed: false, .. } => {
                self.event(Level::Info, "Synced service", &[("service", id)]);
            }
            Flight::Service { id, removed: true, .. } => {
                self.event(Level::Info, "Deregistered service", &[("service", id)]);
            }
            Flight::Checks { checks, .. } => {
                checks.iter().for_each(|id| self.log_check(Level::Info, "Synced check", id));
            }
            Flight::CheckRemoval { id, .. } => self.log_check(Level::Info, "Deregistered check", id),
        }
    }

    fn log_failed(&mut self, flight: &Flight, how: &str, why: &str) {
        let (what, key, ids) = match flight {
            Flight::Fetch => return,
            Flight::Node => ("Syncing node info", "node", slice::from_ref(&self.sync.node.name)),
            Flight::Service { id, removed: false, .. } => ("Syncing service", "service", slice::from_ref(id)),
            Flight::Service { id, removed: true, .. } => {
                ("Deregistering service", "service", slice::from_ref(id))
            }
            Flight::Checks { checks, .. } => ("Syncing check", "check", checks.as_slice()),
            Flight::CheckRemoval { id, .. } => ("Deregistering check", "check", slice::from_ref(id)),
        };
        let (message, ids) = (alloc::format!("{what} {how}"), Vec::from(ids));
        for id in ids {
            self.event(Level::Warn, &message, &[(key, &id), ("error", why)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn syncs_are_spread_further_with_each_doubling_of_the_datacenter() {
        // As Consul's scaleFactor: the logarithm of 2 of n/128, rounded up, and one.
        for (members, factor) in
            [(1, 1), (128, 1), (129, 2), (256, 2), (257, 3), (512, 3), (1000, 4), (8192, 7)]
        {
            assert_eq!(scale(members), factor, "{members}");
        }
    }
}
