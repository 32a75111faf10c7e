//! Maintenance mode: a critical check that takes a service, or the whole node, out of answers.

use super::checks::{CheckState, Runner};
use super::register::unknown_service;
use super::validate::Source;
use super::{Agent, AgentError, AgentReply};
use crate::Str;
use crate::event::Level;
use crate::time::Now;
use crate::types::{CheckDefinition, HealthCheck, status};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

impl Agent {
    /// `PUT /v1/agent/service/maintenance/:id`. Turning on what is on keeps the first reason.
    pub(super) fn service_maintenance(
        &mut self,
        now: Now,
        service: &str,
        enable: bool,
        reason: String,
    ) -> AgentReply {
        if self.local.service(service).is_none() {
            return Err(AgentError::NotFound(unknown_service(service)));
        }
        let id = format!("{}{service}", status::SERVICE_MAINTENANCE_PREFIX);
        if !self.switch_maintenance(now, &id, "Service Maintenance Mode", service, enable, reason) {
            return Ok(());
        }
        let what = if enable { "Service entered maintenance mode" } else { "Service left maintenance mode" };
        self.event(Level::Info, what, &[("service", service)]);
        Ok(())
    }

    /// `PUT /v1/agent/maintenance`.
    pub(super) fn node_maintenance(&mut self, now: Now, enable: bool, reason: String) -> AgentReply {
        if self.switch_maintenance(now, status::NODE_MAINTENANCE, "Node Maintenance Mode", "", enable, reason)
        {
            let what = if enable { "Node entered maintenance mode" } else { "Node left maintenance mode" };
            self.event(Level::Info, what, &[]);
        }
        Ok(())
    }

    /// Whether anything changed.
    fn switch_maintenance(
        &mut self,
        now: Now,
        id: &str,
        name: &str,
        service: &str,
        enable: bool,
        reason: String,
    ) -> bool {
        let id = Str::from(id);
        if enable == self.local.check(&id).is_some() {
            return false;
        }
        if !enable {
            self.remove_check(&id);
            return true;
        }
        let what = if service.is_empty() { "node" } else { "service" };
        let notes = match reason.as_str() {
            "" => format!(
                "Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."
            ),
            _ => reason,
        };
        let definition = CheckDefinition {
            id: id.to_string(),
            name: name.to_string(),
            notes,
            service_id: service.to_string(),
            ..CheckDefinition::default()
        };
        self.install_maintenance(now, definition, Source::Http);
        self.persist_check(&id);
        true
    }

    /// Adds the check of a maintenance mode; it is critical from now on.
    pub(super) fn install_maintenance(&mut self, now: Now, definition: CheckDefinition, source: Source) {
        let id = Str::from(definition.id.as_str());
        let service = self.local.service(&definition.service_id).map(|s| s.service.clone());
        self.put_check(HealthCheck {
            node: self.config.node_name.clone(),
            check_id: id.clone(),
            name: Str::from(definition.name.as_str()),
            status: Str::from(status::CRITICAL),
            notes: Str::from(definition.notes.as_str()),
            service_id: Str::from(definition.service_id.as_str()),
            service_name: service.as_ref().map_or_else(|| Str::from(""), |s| s.service.clone()),
            service_tags: service.map_or_else(Default::default, |s| s.tags.clone()),
            kind: Str::from("maintenance"),
            ..HealthCheck::default()
        });
        self.check_changed(&id);
        let state = CheckState {
            definition: Arc::new(definition),
            source,
            with_service: true,
            runner: Runner::Maintenance,
            critical_since: Some(now.mono),
            deregister_after: None,
        };
        self.checks.insert(id, state);
    }
}
