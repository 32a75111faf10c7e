//! Comparing the catalog with the local state, after a full fetch.

use super::{Fetch, NodeState};
use crate::Str;
use crate::agent::{Agent, CatalogNode, LocalService, Timer};
use crate::event::Level;
use crate::types::{HealthCheck, NodeService};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The service that a server registers for itself.
const CONSUL_SERVICE: &str = "consul";
/// The check that the leader registers for every member.
const SERF_HEALTH: &str = "serfHealth";

impl Agent {
    /// Marks what differs. What changed or was in flight while the fetch was under way is left alone:
    /// its own bookkeeping is newer than the answer.
    pub(super) fn compare(&mut self, remote: Option<CatalogNode>, fetch: &Fetch) {
        let in_sync = remote.as_ref().is_some_and(|remote| self.sync.node.same(&remote.node));
        if in_sync {
            self.event(Level::Debug, "Node info in sync", &[]);
        }
        if !fetch.touched_node {
            self.sync.node_state = if in_sync { NodeState::InSync } else { NodeState::Dirty };
        }
        let (services, checks) = remote.map_or_else(Default::default, |r| (r.services, r.checks));
        let services: BTreeMap<_, _> = services.into_iter().map(|s| (s.id.clone(), s)).collect();
        let checks: BTreeMap<_, _> = checks.into_iter().map(|c| (c.check_id.clone(), c)).collect();
        self.compare_services(&services, &fetch.touched_services);
        self.compare_checks(&checks, &fetch.touched_checks);
        let differ = self.sync.dirty_services.len() + self.sync.dirty_checks.len();
        let counts = [services.len(), checks.len(), differ].map(|count| count.to_string());
        let [services, checks, differ] = &counts;
        let fields = [("services", &**services), ("checks", &**checks), ("differ", &**differ)];
        self.event(Level::Debug, "compared with the catalog", &fields);
    }

    fn compare_services(&mut self, remote: &BTreeMap<Str, Arc<NodeService>>, touched: &BTreeSet<Str>) {
        let local: Vec<Str> = self.local.services().map(|s| s.service.id.clone()).collect();
        let stale: Vec<Str> = self.sync.dirty_services.iter().cloned().collect();
        for id in stale.iter().filter(|id| !touched.contains(*id) && !remote.contains_key(*id)) {
            // Gone there; if it is gone here too there is nothing left to do.
            self.sync.dirty_services.remove(id);
        }
        for id in local.iter().filter(|id| !touched.contains(*id)) {
            let theirs = remote.get(id);
            if let Some(theirs) = theirs {
                self.adopt(id, theirs);
            }
            let Some(ours) = self.local.service(id) else { continue };
            if theirs.is_some_and(|theirs| same_service(&ours.service, theirs)) {
                self.sync.dirty_services.remove(id);
            } else {
                self.sync.dirty_services.insert(id.clone());
            }
        }
        for id in remote.keys().filter(|id| !touched.contains(*id) && &***id != CONSUL_SERVICE) {
            if self.local.service(id).is_none() {
                self.sync.dirty_services.insert(id.clone());
            }
        }
    }

    fn compare_checks(&mut self, remote: &BTreeMap<Str, Arc<HealthCheck>>, touched: &BTreeSet<Str>) {
        let stale: Vec<Str> = self.sync.dirty_checks.keys().cloned().collect();
        for id in stale.iter().filter(|id| !touched.contains(*id) && !remote.contains_key(*id)) {
            self.sync.dirty_checks.remove(id);
        }
        let local: Vec<Arc<HealthCheck>> = self.local.checks().cloned().collect();
        for ours in local.iter().filter(|c| !touched.contains(&c.check_id)) {
            let id = &ours.check_id;
            let deferred = self.timers.contains(&Timer::Defer(id.clone()));
            if remote.get(id).is_some_and(|theirs| same_check(ours, theirs, deferred)) {
                self.sync.dirty_checks.remove(id);
            } else {
                self.sync.dirty_checks.insert(id.clone(), ours.service_id.clone());
            }
        }
        for (id, theirs) in remote.iter().filter(|(id, _)| !touched.contains(*id)) {
            if self.local.check(id).is_none() && &**id != SERF_HEALTH {
                self.sync.dirty_checks.insert(id.clone(), theirs.service_id.clone());
            }
        }
    }

    /// Takes over what the catalog decides: tags, when the service says so, and the addresses that
    /// servers assign (`consul-...`).
    fn adopt(&mut self, id: &Str, theirs: &NodeService) {
        let Some(ours) = self.local.service(id) else { return };
        let mut service = NodeService::clone(&ours.service);
        if service.enable_tag_override && theirs.enable_tag_override {
            service.tags = theirs.tags.clone();
        }
        for (key, address) in theirs.tagged_addresses.iter().filter(|(k, _)| k.starts_with("consul-")) {
            if !service.tagged_addresses.contains_key(key) {
                service.tagged_addresses.insert(key.clone(), address.clone());
            }
        }
        if service == *ours.service {
            return;
        }
        let token = ours.token.clone();
        self.rederive_checks(&service);
        self.local.put_service(LocalService { service: Arc::new(service), token });
        self.changed = true;
    }
}

/// Equal in everything that the agent sends; indexes do not count.
fn same_service(ours: &NodeService, theirs: &NodeService) -> bool {
    let NodeService {
        kind,
        id,
        service,
        tags,
        address,
        tagged_addresses,
        meta,
        port,
        socket_path,
        weights,
        enable_tag_override,
        locality,
        locally_registered_as_sidecar: _, // never leaves the agent
        peer_name,
        proxy,
        connect,
        create_index: _,
        modify_index: _,
    } = ours;
    *kind == theirs.kind
        && *proxy == theirs.proxy
        && *connect == theirs.connect
        && *id == theirs.id
        && *service == theirs.service
        && *tags == theirs.tags
        && *address == theirs.address
        && *tagged_addresses == theirs.tagged_addresses
        && *meta == theirs.meta
        && *port == theirs.port
        && *socket_path == theirs.socket_path
        && *weights == theirs.weights
        && *enable_tag_override == theirs.enable_tag_override
        && *locality == theirs.locality
        && *peer_name == theirs.peer_name
}

/// Equal in everything that the agent sends. `deferred`: a newer output is to be told later.
fn same_check(ours: &HealthCheck, theirs: &HealthCheck, deferred: bool) -> bool {
    let HealthCheck {
        node: _, // it was asked for by name, and names differ in case
        check_id,
        name,
        status,
        notes,
        output,
        service_id,
        service_name,
        service_tags,
        kind,
        interval,
        timeout,
        exposed_port,
        peer_name,
        definition: _, // compared below, for none is as good as an empty one
        create_index: _,
        modify_index: _,
    } = ours;
    *check_id == theirs.check_id
        && *name == theirs.name
        && *status == theirs.status
        && *notes == theirs.notes
        && (deferred || *output == theirs.output)
        && *service_id == theirs.service_id
        && *service_name == theirs.service_name
        && *service_tags == theirs.service_tags
        && *kind == theirs.kind
        && *interval == theirs.interval
        && *timeout == theirs.timeout
        && *exposed_port == theirs.exposed_port
        && *peer_name == theirs.peer_name
        && ours.definition() == theirs.definition()
}
