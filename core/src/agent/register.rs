//! Registration and deregistration of services and checks.

use super::checks::{CheckState, Runner, probe_of};
use super::validate::{self, Abilities, Source};
use super::{Agent, AgentError, AgentReply, LocalService, Timer};
use crate::Str;
use crate::duration;
use crate::event::Level;
use crate::time::Now;
use crate::types::{
    CheckDefinition, CheckKind, HealthCheck, NodeService, ServiceAddress, ServiceDefinition, status,
};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// Services that one agent takes; one more is refused. Far beyond what Consul recommends.
const SERVICES_MAX: usize = 100_000;
/// Checks that one agent takes; one more is refused.
const CHECKS_MAX: usize = 200_000;

/// A service's registration beyond what the catalog sees.
#[derive(Clone, Debug)]
pub(super) struct ServiceState {
    /// As registered, with its ID and without its checks.
    pub(super) definition: ServiceDefinition,
    pub(super) source: Source,
}

/// Consul's 404 for a check.
pub(super) fn unknown_check(id: &str) -> String {
    format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name.")
}

/// Consul's 404 for a service.
pub(super) fn unknown_service(id: &str) -> String {
    format!("Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name.")
}

impl Agent {
    pub(super) fn abilities(&self) -> Abilities {
        Abilities {
            remote_scripts: self.config.enable_script_checks,
            local_scripts: self.config.enable_local_script_checks,
        }
    }

    /// Registers a service with its checks, or updates it. Checks that were there keep status and
    /// output; one whose definition is the same also keeps its schedule.
    pub(super) fn register_service(
        &mut self,
        now: Now,
        definition: ServiceDefinition,
        replace_existing_checks: bool,
    ) -> AgentReply {
        let (id, check_ids) = self.install_service(now, definition, Source::Http)?;
        self.persist_service(&id);
        for check in &check_ids {
            self.persist_check(check);
        }
        if replace_existing_checks {
            self.remove_checks_of(&id, |check, _| !check_ids.contains(check));
        }
        Ok(())
    }

    /// Everything of a registration but persistence: the service's ID and its checks' IDs.
    pub(super) fn install_service(
        &mut self,
        now: Now,
        mut definition: ServiceDefinition,
        source: Source,
    ) -> Result<(Str, BTreeSet<Str>), AgentError> {
        validate::service(&definition, source, &self.abilities())?;
        if definition.id.is_empty() {
            definition.id = definition.name.clone();
        }
        let id = Str::from(definition.id.as_str());
        let checks = with_defaults(&definition);
        definition.checks = Vec::new();
        self.room_for(!self.services.contains_key(&id), &checks)?;
        self.warn_undiscoverable(&definition);

        let unchanged = self.services.get(&id).is_some_and(|old| old.definition == definition);
        if !unchanged {
            let service = LocalService {
                service: Arc::new(record_of(&definition)),
                token: Str::from(definition.token.as_str()),
            };
            self.put_service(&id, service);
        }
        let old = self.services.insert(id.clone(), ServiceState { definition, source });
        if source == Source::File && old.is_some_and(|old| old.source == Source::Http) {
            self.forget_service(&id);
        }
        let ids = checks.iter().map(|c| Str::from(c.id.as_str())).collect();
        for check in checks {
            self.install_check(now, check, source, true);
        }
        Ok((id, ids))
    }

    fn room_for(&self, new_service: bool, checks: &[CheckDefinition]) -> AgentReply {
        let new_checks = checks.iter().filter(|c| !self.checks.contains_key(c.id.as_str())).count();
        if new_service && self.services.len() >= SERVICES_MAX {
            return Err(AgentError::Failed(format!("this agent holds {SERVICES_MAX} services already")));
        }
        if self.checks.len() + new_checks > CHECKS_MAX {
            return Err(AgentError::Failed(format!("this agent cannot hold more than {CHECKS_MAX} checks")));
        }
        Ok(())
    }

    fn warn_undiscoverable(&mut self, definition: &ServiceDefinition) {
        if let Some(why) = validate::undiscoverable("Service name", &definition.name) {
            self.event(Level::Warn, &why, &[("service", &definition.name)]);
        }
        for tag in &definition.tags {
            if let Some(why) = validate::undiscoverable("Service tag", tag) {
                self.event(Level::Debug, &why, &[("tag", tag)]);
            }
        }
    }

    /// Shows a service; a change goes to the catalog, with those of its checks that it changes.
    pub(super) fn put_service(&mut self, id: &Str, service: LocalService) {
        if self.local.service(id) == Some(&service) {
            return;
        }
        let record = service.service.clone();
        self.local.put_service(service);
        self.changed = true;
        self.service_changed(id);
        self.rederive_checks(&record);
    }

    /// A check carries its service's name and tags.
    pub(super) fn rederive_checks(&mut self, service: &NodeService) {
        let stale: Vec<HealthCheck> = self
            .local
            .checks_of(&service.id)
            .filter(|c| c.service_name != service.service || c.service_tags != service.tags)
            .map(|c| HealthCheck::clone(c))
            .collect();
        for mut check in stale {
            let id = check.check_id.clone();
            check.service_name = service.service.clone();
            check.service_tags = service.tags.clone();
            self.put_check(check);
            self.check_changed(&id);
        }
    }

    /// `PUT /v1/agent/check/register`.
    pub(super) fn register_check(&mut self, now: Now, mut definition: CheckDefinition) -> AgentReply {
        validate::check(&definition, Source::Http, &self.abilities())?;
        if definition.id.is_empty() {
            definition.id = definition.name.clone();
        }
        if !definition.service_id.is_empty() && self.local.service(&definition.service_id).is_none() {
            let why = format!("ServiceID {:?} does not exist", definition.service_id);
            return Err(AgentError::NotFound(why));
        }
        let id = Str::from(definition.id.as_str());
        self.room_for(false, core::slice::from_ref(&definition))?;
        self.install_check(now, definition, Source::Http, false);
        self.persist_check(&id);
        Ok(())
    }

    /// Adds or updates one valid check whose ID is filled in and whose service, if any, exists.
    pub(super) fn install_check(
        &mut self,
        now: Now,
        definition: CheckDefinition,
        source: Source,
        with_service: bool,
    ) {
        let id = Str::from(definition.id.as_str());
        let kind = definition.shown_kind().map_or("", CheckKind::as_str);
        self.show_check(&id, &definition, kind, with_service);
        let deregister_after = self.deregister_after(&definition);
        if source == Source::File && self.checks.get(&id).is_some_and(|old| old.source == Source::Http) {
            self.forget_check(&id);
        }
        let same_run = self.checks.get(&id).is_some_and(|old| same_run(&old.definition, &definition));
        if same_run {
            if let Some(state) = self.checks.get_mut(&id) {
                state.definition = Arc::new(definition);
                state.source = source;
                state.with_service = with_service;
                state.deregister_after = deregister_after;
                // A TTL starts anew, as in Consul: services that register again instead of reporting
                // must not expire.
                if matches!(state.runner, Runner::Ttl { .. }) {
                    self.start_check(now, &id);
                }
            }
            return;
        }
        self.halt_check(&id);
        let runner = match probe_of(&definition, &self.config) {
            Some(probe) => probe,
            None if definition.ttl > 0 => Runner::Ttl {
                ttl: Duration::from_nanos(definition.ttl.max(0) as u64),
                last_output: String::new(),
            },
            None => self.alias_of(&definition),
        };
        if matches!(runner, Runner::Alias { .. }) {
            self.aliases.insert(id.clone());
        } else {
            self.aliases.remove(&id);
        }
        if matches!(runner, Runner::Probe { interval, .. } if interval.as_nanos() as i64 > definition.interval)
        {
            self.event(
                Level::Warn,
                "check has interval below minimum",
                &[("check", &id), ("minimum_interval", "1s")],
            );
        }
        let state = CheckState {
            definition: Arc::new(definition),
            source,
            with_service,
            runner,
            critical_since: None,
            deregister_after,
        };
        if let Some(CheckState { runner: Runner::Ttl { .. }, .. }) = self.checks.insert(id.clone(), state) {
            self.forget_check_state(&id);
        }
        self.start_check(now, &id);
    }

    fn alias_of(&self, definition: &CheckDefinition) -> Runner {
        let service = Str::from(definition.alias_service.as_str());
        let node = Str::from(definition.alias_node.as_str());
        match node.is_empty() || node.eq_ignore_ascii_case(&self.config.node_name) {
            true => Runner::Alias { service, node },
            false => Runner::FarAlias { service, node, failures: 0, call: None },
        }
    }

    /// Puts the catalog's record of a check into the local view; status and output stay as they are.
    fn show_check(&mut self, id: &Str, definition: &CheckDefinition, kind: &str, with_service: bool) {
        let old = self.local.check(id);
        let (status, output) = match old {
            Some(old) => (old.status.clone(), old.output.clone()),
            None if definition.status.is_empty() => (Str::from(status::CRITICAL), Str::from("")),
            None => (Str::from(definition.status.as_str()), Str::from("")),
        };
        let service = self.local.service(&definition.service_id).map(|s| s.service.clone());
        let time = |nanos: i64| match nanos {
            0 if with_service => Str::from(""),
            n => Str::from(duration::format(n)),
        };
        let check = HealthCheck {
            node: self.config.node_name.clone(),
            check_id: id.clone(),
            name: Str::from(definition.name.as_str()),
            status,
            notes: Str::from(definition.notes.as_str()),
            output,
            service_id: Str::from(definition.service_id.as_str()),
            service_name: service.as_ref().map_or_else(|| Str::from(""), |s| s.service.clone()),
            service_tags: service.map_or_else(Default::default, |s| s.tags.clone()),
            kind: Str::from(kind),
            interval: time(definition.interval),
            timeout: time(definition.timeout),
            ..HealthCheck::default()
        };
        if old.is_some_and(|old| **old == check) {
            return;
        }
        self.put_check(check);
        self.check_changed(id);
    }

    fn deregister_after(&mut self, definition: &CheckDefinition) -> Option<Duration> {
        let given = Duration::from_nanos(definition.deregister_critical_service_after.max(0) as u64);
        let least = self.config.check_deregister_interval_min;
        if given.is_zero() {
            return None;
        }
        if given < least {
            self.event(
                Level::Warn,
                "check has deregister interval below minimum",
                &[
                    ("check", &definition.id),
                    ("minimum_interval", &duration::format(least.as_nanos() as i64)),
                ],
            );
        }
        Some(given.max(least))
    }

    /// `PUT /v1/agent/service/deregister/:id`, and what reaping does.
    pub(super) fn deregister_service(&mut self, id: &str) -> AgentReply {
        let id = Str::from(id);
        if self.local.remove_service(&id).is_none() {
            return Err(AgentError::NotFound(unknown_service(&id)));
        }
        self.changed = true;
        self.remove_checks_of(&id, |_, _| true);
        if let Some(ServiceState { source: Source::Http, .. }) = self.services.remove(&id) {
            self.forget_service(&id);
        }
        self.service_changed(&id);
        self.event(Level::Debug, "removed service", &[("service", &id)]);
        Ok(())
    }

    /// `PUT /v1/agent/check/deregister/:id`.
    pub(super) fn deregister_check(&mut self, id: &str) -> AgentReply {
        let id = Str::from(id);
        if self.local.check(&id).is_none() {
            return Err(AgentError::NotFound(unknown_check(&id)));
        }
        self.remove_check(&id);
        Ok(())
    }

    /// Removes those checks of a service that `choose` names by their IDs and states.
    pub(super) fn remove_checks_of(&mut self, service: &str, choose: impl Fn(&Str, &CheckState) -> bool) {
        let ids: Vec<Str> = self.local.checks_of(service).map(|c| c.check_id.clone()).collect();
        for id in ids {
            if self.checks.get(&id).is_some_and(|state| choose(&id, state)) {
                self.remove_check(&id);
            }
        }
    }

    /// Removes a check that exists.
    pub(super) fn remove_check(&mut self, id: &Str) {
        self.halt_check(id);
        self.timers.cancel(&Timer::Defer(id.clone()));
        let Some(record) = self.local.remove_check(id) else { return };
        self.changed = true;
        self.aliases.remove(id);
        if let Some(state) = self.checks.remove(id) {
            if state.source == Source::Http {
                self.forget_check(id);
            }
            if matches!(state.runner, Runner::Ttl { .. }) {
                self.forget_check_state(id);
            }
        }
        self.check_removed(id, &record.service_id);
        self.log_check(Level::Debug, "removed check", id);
    }
}

/// Whether two definitions of a check are probed in the same way, so that its schedule can go on.
fn same_run(a: &CheckDefinition, b: &CheckDefinition) -> bool {
    let bare = |d: &CheckDefinition| CheckDefinition {
        name: String::new(),
        notes: String::new(),
        service_id: String::new(),
        token: String::new(),
        status: String::new(),
        deregister_critical_service_after: 0,
        ..d.clone()
    };
    bare(a) == bare(b)
}

/// A service's checks with IDs, names and service filled in as Consul does.
fn with_defaults(definition: &ServiceDefinition) -> Vec<CheckDefinition> {
    let several = definition.checks.len() > 1;
    let mut checks = definition.checks.clone();
    for (n, check) in checks.iter_mut().enumerate() {
        check.service_id = definition.id.clone();
        if check.id.is_empty() {
            check.id = match several {
                true => format!("service:{}:{}", definition.id, n + 1),
                false => format!("service:{}", definition.id),
            };
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", definition.name);
        }
    }
    checks
}

/// The catalog's record of a service.
fn record_of(d: &ServiceDefinition) -> NodeService {
    let mut tagged_addresses = d.tagged_addresses.clone();
    let keys = match d.address.parse::<IpAddr>() {
        Ok(ip) if ip.to_canonical().is_ipv4() => ["lan_ipv4", "wan_ipv4"].as_slice(),
        Ok(_) => ["lan_ipv6", "wan_ipv6"].as_slice(),
        Err(_) => [].as_slice(),
    };
    for key in keys {
        tagged_addresses
            .entry(Str::from(*key))
            .or_insert_with(|| ServiceAddress { address: d.address.to_string(), port: d.port });
    }
    NodeService {
        kind: Str::from(d.kind.as_str()),
        id: Str::from(d.id.as_str()),
        service: Str::from(d.name.as_str()),
        tags: d.tags.iter().map(|t| Str::from(t.as_str())).collect(),
        address: Str::from(d.address.as_str()),
        tagged_addresses: tagged_addresses.into(),
        meta: d.meta.clone().into(),
        port: d.port,
        socket_path: Str::from(d.socket_path.as_str()),
        weights: d.weights.unwrap_or_default(),
        enable_tag_override: d.enable_tag_override,
        locality: d.locality.clone().map(Box::new),
        ..NodeService::default()
    }
}
