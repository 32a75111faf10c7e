//! What may be registered, and Consul's words when it may not.

use super::AgentError;
use crate::types::{CheckDefinition, CheckKind, ServiceDefinition, rules, status};
use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

/// Where a definition came from; decides whether its scripts may run and whether it is persisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A configuration file.
    File,
    /// The HTTP API, or the records that it left in the data directory.
    Http,
}

/// What this agent may run, from the configuration.
#[derive(Clone, Debug)]
pub(super) struct Abilities {
    /// Scripts from anywhere.
    pub(super) remote_scripts: bool,
    /// Scripts from files.
    pub(super) local_scripts: bool,
}

impl Abilities {
    fn allow_script(&self, source: Source) -> Result<(), AgentError> {
        match source {
            Source::Http if !self.remote_scripts => Err(AgentError::Failed(String::from(
                "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
            ))),
            Source::File if !self.remote_scripts && !self.local_scripts => {
                Err(AgentError::Failed(String::from(
                    "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true",
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Checks everything about a service but its ID's uniqueness. The order is Consul's.
pub(super) fn service(
    definition: &ServiceDefinition,
    source: Source,
    abilities: &Abilities,
) -> Result<(), AgentError> {
    if definition.name.is_empty() {
        return Err(invalid("Missing service name"));
    }
    if is_any(&definition.address) {
        return Err(invalid("Invalid service address"));
    }
    if let Some(w) = &definition.weights {
        rules::weights(w).map_err(|why| invalid(&format!("Invalid Weights: {why}")))?;
    }
    rules::metadata(rules::pairs(&definition.meta))
        .map_err(|why| invalid(&format!("Invalid Service Meta: {why}")))?;
    kind(definition)?;
    if let Some(place) = &definition.locality {
        rules::locality(place).map_err(|why| invalid(&format!("Validation failed: {why}")))?;
    }
    for check in &definition.checks {
        rules::check(check).map_err(|why| invalid(&format!("Invalid check: {why}")))?;
    }
    if definition.checks.iter().any(|c| !c.status.is_empty() && !valid_status(&c.status)) {
        return Err(invalid("Status for checks must 'passing', 'warning', 'critical'"));
    }
    definition.checks.iter().try_for_each(|c| runnable(c, source, abilities))
}

/// The kinds that mean something to Consul; any other word is only kept.
const MESH_KINDS: [&str; 5] =
    ["connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];

/// Services that are no part of a mesh are all that this version has.
pub(super) fn kind(definition: &ServiceDefinition) -> Result<(), AgentError> {
    if !MESH_KINDS.contains(&definition.kind.as_str()) {
        return Ok(());
    }
    let why = format!("services of kind {:?} are not supported by this version", definition.kind);
    Err(invalid(&format!("Validation failed: {why}")))
}

/// Checks a check that is registered on its own.
pub(super) fn check(
    definition: &CheckDefinition,
    source: Source,
    abilities: &Abilities,
) -> Result<(), AgentError> {
    if definition.name.is_empty() {
        return Err(invalid("Missing check name"));
    }
    if !definition.status.is_empty() && !valid_status(&definition.status) {
        return Err(invalid("Bad check status"));
    }
    rules::check(definition).map_err(|why| invalid(&format!("Invalid check: {why}")))?;
    runnable(definition, source, abilities)
}

fn invalid(text: &str) -> AgentError {
    AgentError::Invalid(text.to_string())
}

/// `passing`, `warning` or `critical`.
fn valid_status(text: &str) -> bool {
    matches!(text, status::PASSING | status::WARNING | status::CRITICAL)
}

fn is_any(address: &str) -> bool {
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// Whether this agent, so configured, can run it.
fn runnable(c: &CheckDefinition, source: Source, abilities: &Abilities) -> Result<(), AgentError> {
    match c.kind() {
        Some(CheckKind::Script | CheckKind::Docker) => abilities.allow_script(source),
        Some(
            CheckKind::Http
            | CheckKind::Tcp
            | CheckKind::Udp
            | CheckKind::Grpc
            | CheckKind::H2Ping
            | CheckKind::Ttl
            | CheckKind::Alias,
        ) => Ok(()),
        // As Consul everywhere but on Windows, which has services to ask about.
        Some(CheckKind::OsService) => Err(AgentError::Failed("not implemented".to_string())),
        None => Err(invalid("Invalid check: TTL must be > 0 for TTL checks")),
    }
}

/// Why DNS will not find a service of this name, or by this tag; `None` when it will.
pub(super) fn undiscoverable(what: &str, label: &str) -> Option<String> {
    if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        Some(format!(
            "{what} will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes."
        ))
    } else if label.len() > 63 {
        Some(format!(
            "{what} will not be discoverable via DNS due to it being too long. Valid lengths are between 1 and 63 bytes."
        ))
    } else {
        None
    }
}
