//! Which differences are told next.

use super::{CALL_TIMEOUT, Fetch, Flight, NodeState};
use crate::Str;
use crate::agent::{Agent, AgentEffect, CatalogCall, Timer};
use crate::command::{Deregister, Register};
use crate::ids::CallId;
use crate::time::Now;
use crate::types::{HealthCheck, NodeService};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Calls in flight at most.
const FLIGHTS_MAX: usize = 32;
/// Checks that one registration carries at most: with outputs of 4 KiB each, half a raft entry.
const CHECKS_PER_CALL: usize = 64;

impl Agent {
    /// Fetches the node from the catalog, to compare.
    pub(in crate::agent) fn start_full_sync(&mut self, now: Now) {
        if self.sync.fetch.is_some() {
            return;
        }
        let node = self.sync.node.name.clone();
        let call = self.send(now, Flight::Fetch, CatalogCall::NodeServices { node });
        self.sync.fetch = Some(Fetch {
            call,
            touched_services: self.sync.busy_services.clone(),
            touched_checks: self.sync.busy_checks.clone(),
            touched_node: matches!(self.sync.node_state, NodeState::InFlight(_)),
        });
    }

    /// Tells as many differences as may be in flight: the node's record first and alone, because
    /// nothing can be registered on a node that the catalog does not know.
    pub(in crate::agent) fn dispatch(&mut self, now: Now) {
        if !self.sync.started {
            return;
        }
        match self.sync.node_state {
            NodeState::InSync => {}
            NodeState::Dirty => {
                let register = CatalogCall::Register(Box::new(self.sync.node.register()));
                let call = self.send(now, Flight::Node, register);
                self.sync.node_state = NodeState::InFlight(call);
                self.sync.touch_node();
                return;
            }
            NodeState::InFlight(_) | NodeState::Failed => return,
        }
        while self.sync.flights.len() < FLIGHTS_MAX {
            let Some(id) = self.next_service() else { break };
            self.send_service(now, &id);
        }
        while self.sync.flights.len() < FLIGHTS_MAX {
            let Some((id, service)) = self.next_check() else { break };
            if self.local.check(&id).is_some() {
                self.send_checks(now, service);
            } else {
                self.send_check_removal(now, id, service);
            }
        }
    }

    fn next_service(&self) -> Option<Str> {
        let sync = &self.sync;
        sync.dirty_services.iter().find(|id| !sync.busy_services.contains(*id)).cloned()
    }

    /// A check goes alone when its service is in sync and idle; with its service otherwise.
    fn next_check(&self) -> Option<(Str, Str)> {
        let sync = &self.sync;
        let idle = |(id, marked): &(&Str, &Str)| {
            let service = self.local.check(id).map_or(*marked, |c| &c.service_id);
            !sync.busy_checks.contains(*id)
                && !sync.busy_services.contains(service)
                && !sync.dirty_services.contains(service)
                && !sync.failed_services.contains(service)
        };
        let (id, marked) = sync.dirty_checks.iter().find(idle)?;
        let service = self.local.check(id).map_or(marked, |c| &c.service_id);
        Some((id.clone(), service.clone()))
    }

    fn send_service(&mut self, now: Now, id: &Str) {
        let service = self.local.service(id).map(|s| NodeService::clone(&s.service));
        let removed = service.is_none();
        let checks = self.checks_to_carry(id, removed);
        let call = match service {
            Some(service) => {
                let records =
                    checks.iter().filter_map(|c| self.local.check(c)).map(|c| HealthCheck::clone(c));
                self.register_call(Some(service), records.collect())
            }
            None => CatalogCall::Deregister(Deregister {
                service_id: id.to_string(),
                ..self.sync.node.deregister()
            }),
        };
        self.sync.dirty_services.remove(id);
        self.service_busy(id);
        for check in &checks {
            self.check_leaves(check);
        }
        self.send(now, Flight::Service { id: id.clone(), checks, removed }, call);
    }

    /// The marked checks that go with a service: those held here when it is registered; those no
    /// longer held when it is removed, for the catalog removes them with it.
    fn checks_to_carry(&self, service: &Str, removed: bool) -> Vec<Str> {
        let idle = |id: &Str| !self.sync.busy_checks.contains(id);
        if removed {
            let gone = |id: &Str, of: &Str| of == service && self.local.check(id).is_none();
            let marked = self.sync.dirty_checks.iter().filter(|(id, of)| gone(id, of) && idle(id));
            return marked.map(|(id, _)| id.clone()).collect();
        }
        let held = self.local.checks_of(service).map(|c| &c.check_id);
        held.filter(|id| self.sync.dirty_checks.contains_key(*id) && idle(id))
            .take(CHECKS_PER_CALL)
            .cloned()
            .collect()
    }

    /// Tells of every marked check of one service, or of the node.
    fn send_checks(&mut self, now: Now, service: Str) {
        let checks: Vec<Str> = match &*service {
            "" => {
                let of_node = |id: &Str| self.local.check(id).is_some_and(|c| c.service_id.is_empty());
                let idle = |id: &Str| !self.sync.busy_checks.contains(id);
                let marked = self.sync.dirty_checks.keys().filter(|id| of_node(id) && idle(id));
                marked.take(CHECKS_PER_CALL).cloned().collect()
            }
            _ => self.checks_to_carry(&service, false),
        };
        // The service goes along, in case the catalog has lost it; but not where the catalog's tags
        // win, for ours may be old.
        let record = self.local.service(&service).map(|s| &s.service);
        let record = record.filter(|s| !s.enable_tag_override).map(|s| NodeService::clone(s));
        let call = self.register_call(record, self.records_of(&checks));
        for check in &checks {
            self.check_leaves(check);
        }
        self.service_busy(&service);
        self.send(now, Flight::Checks { checks, service }, call);
    }

    fn send_check_removal(&mut self, now: Now, id: Str, service: Str) {
        let deregister = Deregister { check_id: id.to_string(), ..self.sync.node.deregister() };
        self.check_leaves(&id);
        self.service_busy(&service);
        self.send(now, Flight::CheckRemoval { id, service }, CatalogCall::Deregister(deregister));
    }

    fn records_of(&self, checks: &[Str]) -> Vec<HealthCheck> {
        checks.iter().filter_map(|c| self.local.check(c)).map(|c| HealthCheck::clone(c)).collect()
    }

    /// Nothing else is told about this service until the call has landed. The node's own checks
    /// (empty ID) do not wait for each other.
    fn service_busy(&mut self, id: &Str) {
        if !id.is_empty() {
            self.sync.busy_services.insert(id.clone());
            self.sync.touch_service(id);
        }
    }

    fn check_leaves(&mut self, id: &Str) {
        self.timers.cancel(&Timer::Defer(id.clone()));
        self.sync.dirty_checks.remove(id);
        self.sync.busy_checks.insert(id.clone());
        self.sync.touch_check(id);
    }

    /// One registration carries a service with its checks: `Check` when it is one, else `Checks`.
    fn register_call(&self, service: Option<NodeService>, mut checks: Vec<HealthCheck>) -> CatalogCall {
        let check = if checks.len() == 1 { checks.pop() } else { None };
        CatalogCall::Register(Box::new(Register {
            service,
            check,
            checks,
            skip_node_update: true,
            ..self.sync.node.register()
        }))
    }

    /// A number for a call, and the time to its end.
    pub(in crate::agent) fn next_call(&mut self, now: Now) -> CallId {
        self.sync.next_call += 1;
        let call = CallId(self.sync.next_call);
        self.timers.set(Timer::Call(call), now.mono + CALL_TIMEOUT);
        call
    }

    fn send(&mut self, now: Now, flight: Flight, request: CatalogCall) -> CallId {
        let call = self.next_call(now);
        self.sync.flights.insert(call, flight);
        self.effects.push_back(AgentEffect::Catalog { call, request });
        call
    }
}
