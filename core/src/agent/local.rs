//! The agent's own services and checks, as a view that costs nothing to clone.

use crate::Str;
use crate::map::Map;
use crate::types::{HealthCheck, NodeService};
use alloc::sync::Arc;

/// A service registered with this agent.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalService {
    /// As it goes to the catalog; indexes are 0.
    pub service: Arc<NodeService>,
    /// Token it was registered with; empty: the agent's.
    pub token: Str,
}

/// Every local service and check by ID. An immutable picture; cloning it shares the maps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Local {
    services: Map<Str, LocalService>,
    checks: Map<Str, Arc<HealthCheck>>,
    /// (service ID, check ID) of every check; the service ID of a node check is empty.
    by_service: Map<(Str, Str), ()>,
}

impl Local {
    /// Services in order of their IDs.
    pub fn services(&self) -> impl DoubleEndedIterator<Item = &LocalService> + Clone {
        self.services.values()
    }

    /// Checks in order of their IDs, maintenance checks included.
    pub fn checks(&self) -> impl DoubleEndedIterator<Item = &Arc<HealthCheck>> + Clone {
        self.checks.values()
    }

    /// The service with this ID; case matters.
    pub fn service(&self, id: &str) -> Option<&LocalService> {
        self.services.get(id)
    }

    /// The check with this ID; case matters.
    pub fn check(&self, id: &str) -> Option<&Arc<HealthCheck>> {
        self.checks.get(id)
    }

    /// The checks of one service in order of their IDs; with `""` the node's own.
    pub fn checks_of<'a>(&'a self, service_id: &'a str) -> impl Iterator<Item = &'a Arc<HealthCheck>> + 'a {
        let from = (Str::from(service_id), Str::from(""));
        self.by_service
            .range_from(&from)
            .take_while(move |((service, _), ())| &**service == service_id)
            .filter_map(|((_, check), ())| self.checks.get(check))
    }

    /// How many services there are.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// How many checks there are.
    pub fn check_count(&self) -> usize {
        self.checks.len()
    }

    pub(super) fn put_service(&mut self, service: LocalService) {
        self.services.insert(service.service.id.clone(), service);
    }

    pub(super) fn remove_service(&mut self, id: &str) -> Option<LocalService> {
        self.services.remove(id)
    }

    pub(super) fn put_check(&mut self, check: Arc<HealthCheck>) {
        let of = |check: &HealthCheck| (check.service_id.clone(), check.check_id.clone());
        let place = of(&check);
        let old = self.checks.insert(check.check_id.clone(), check).map(|old| of(&old));
        if old.as_ref() == Some(&place) {
            return;
        }
        if let Some(old) = old {
            self.by_service.remove(&old);
        }
        self.by_service.insert(place, ());
    }

    pub(super) fn remove_check(&mut self, id: &str) -> Option<Arc<HealthCheck>> {
        let old = self.checks.remove(id)?;
        self.by_service.remove(&(old.service_id.clone(), old.check_id.clone()));
        Some(old)
    }
}
