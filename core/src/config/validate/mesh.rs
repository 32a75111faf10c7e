//! Rules of the service mesh: its authority, gateways between datacenters, and entries to begin with.

use super::super::runtime::RuntimeConfig;
use super::super::tree::{self, Tree};
use alloc::format;
use alloc::string::String;
use serde_json::Value;

/// Kinds of configuration entries.
const KINDS: [&str; 18] = [
    "service-defaults",
    "proxy-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "ingress-gateway",
    "terminating-gateway",
    "service-intentions",
    "mesh",
    "exported-services",
    "sameness-group",
    "api-gateway",
    "bound-api-gateway",
    "file-system-certificate",
    "inline-certificate",
    "http-route",
    "tcp-route",
    "jwt-provider",
];

const FEDERATION: &str = "connect.enable_mesh_gateway_wan_federation";

/// What is judged before anything is put together.
pub(super) fn before(tree: &Tree) -> Result<(), String> {
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    let mesh = tree::flag(tree, "connect.enabled").unwrap_or(true);
    if on(FEDERATION) && !mesh && !on("auto_encrypt.allow_tls") && !on("auto_config.enabled") {
        return Err(format!("'{FEDERATION}=true' requires 'connect.enabled=true'"));
    }
    let Some(Value::Array(entries)) = tree::get(tree, "config_entries.bootstrap") else { return Ok(()) };
    for (i, entry) in entries.iter().enumerate() {
        kind(entry).map_err(|why| format!("config_entries.bootstrap[{i}]: {why}"))?;
    }
    Ok(())
}

fn kind(entry: &Value) -> Result<(), String> {
    match entry.get("Kind").or_else(|| entry.get("kind")) {
        None => Err("Payload does not contain a kind/Kind key at the top level".into()),
        Some(Value::String(kind)) if KINDS.contains(&kind.as_str()) => Ok(()),
        Some(Value::String(kind)) => Err(format!("invalid config entry kind: {kind}")),
        Some(_) => Err("Kind value in payload is not a string".into()),
    }
}

/// How datacenters reach each other.
pub(super) fn gateways(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    if tree::flag(tree, FEDERATION).unwrap_or(false) {
        if !config.server {
            return Err(format!("'{FEDERATION} = true' requires 'server = true'"));
        }
        if config.node_name.contains('/') {
            return Err(format!(
                "'{FEDERATION} = true' requires that 'node_name' not contain '/' characters"
            ));
        }
        if !config.gossip.wan.retry_join.is_empty() {
            return Err(format!("'retry_join_wan' is incompatible with '{FEDERATION} = true'"));
        }
    }
    if tree::texts(tree, "primary_gateways").iter().any(|gateway| !gateway.is_empty()) {
        if !config.server {
            return Err("'primary_gateways' requires 'server = true'".into());
        }
        if config.primary_datacenter == config.datacenter {
            return Err("'primary_gateways' should only be configured in a secondary datacenter".into());
        }
    }
    Ok(())
}

/// Who signs certificates; what each of them is told is not judged.
pub(super) fn authority(tree: &Tree) -> Result<(), String> {
    match tree::text(tree, "connect.ca_provider").unwrap_or("") {
        "" | "consul" | "vault" | "aws-pca" => Ok(()),
        other => Err(format!("{other} is not a valid CA provider")),
    }
}
