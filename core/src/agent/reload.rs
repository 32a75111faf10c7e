//! Services and checks from configuration files, at boot and on reload.

use super::Agent;
use super::checks::Runner;
use super::validate::{self, Source};
use crate::Str;
use crate::config::RuntimeConfig;
use crate::event::Level;
use crate::time::Now;
use crate::types::{CheckDefinition, ServiceDefinition};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Why an agent so configured does not start here, although Consul would: the first service of a kind that this version
/// does not have.
pub fn unsupported(config: &RuntimeConfig) -> Option<String> {
    let refused = |service: &ServiceDefinition| {
        let why = validate::kind(service).err()?;
        Some(refusal(&service.name, &why.to_string()))
    };
    config.services.iter().find_map(refused)
}

fn refusal(service: &str, why: &str) -> String {
    format!("Failed to register service {service:?}: {why}")
}

impl Agent {
    /// Takes up a new configuration: files' services and checks are added, changed and removed; what
    /// was registered over HTTP stays, and so does every status.
    pub(super) fn reload(&mut self, now: Now, config: Arc<RuntimeConfig>) {
        self.config = config;
        self.apply_output_limits();
        self.install_files(now);
        self.node_info_changed();
    }

    /// Makes the services and checks from files what the configuration says.
    pub(super) fn install_files(&mut self, now: Now) {
        let config = self.config.clone();
        self.refused = None;
        let (mut services, mut checks) = (BTreeSet::new(), BTreeSet::new());
        for definition in &config.services {
            let name = definition.name.clone();
            match self.install_service(now, definition.clone(), Source::File) {
                Ok((id, ids)) => {
                    services.insert(id);
                    checks.extend(ids);
                }
                Err(why) => {
                    let why = why.to_string();
                    self.refused.get_or_insert_with(|| refusal(&name, &why));
                    self.event(
                        Level::Error,
                        "Failed to register service",
                        &[("service", &name), ("error", &why)],
                    );
                }
            }
        }
        for definition in &config.checks {
            match self.install_file_check(now, definition.clone()) {
                Ok(id) => drop(checks.insert(id)),
                Err(why) => {
                    let name = &definition.name;
                    self.refused.get_or_insert_with(|| format!("Failed to register check '{name}': {why}"));
                    self.event(Level::Error, "Failed to register check", &[("check", name), ("error", &why)]);
                }
            }
        }
        self.remove_file_leftovers(&services, &checks);
    }

    fn install_file_check(&mut self, now: Now, mut definition: CheckDefinition) -> Result<Str, String> {
        validate::check(&definition, Source::File, &self.abilities()).map_err(|e| e.to_string())?;
        if definition.id.is_empty() {
            definition.id = definition.name.clone();
        }
        if !definition.service_id.is_empty() && self.local.service(&definition.service_id).is_none() {
            return Err(alloc::format!("ServiceID {:?} does not exist", definition.service_id));
        }
        let id = Str::from(definition.id.as_str());
        self.install_check(now, definition, Source::File, false);
        Ok(id)
    }

    /// Removes what came from a file that no longer says so.
    fn remove_file_leftovers(&mut self, services: &BTreeSet<Str>, checks: &BTreeSet<Str>) {
        let gone: Vec<Str> = self
            .services
            .iter()
            .filter(|(id, state)| state.source == Source::File && !services.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            // It is there: it was just listed.
            let _ = self.deregister_service(&id);
        }
        let gone: Vec<Str> = self
            .checks
            .iter()
            .filter(|(id, state)| state.source == Source::File && !checks.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.remove_check(&id);
        }
    }

    /// A changed `check_output_max_size` counts from each check's next run.
    fn apply_output_limits(&mut self) {
        for state in self.checks.values_mut() {
            if let Runner::Probe { spec, .. } = &mut state.runner {
                let limit = super::checks::output_max(
                    self.config.check_output_max_size,
                    state.definition.output_max_size,
                );
                if spec.output_max != limit {
                    Arc::make_mut(spec).output_max = limit;
                }
            }
        }
    }
}
