//! Rules of the service mesh: gateways between datacenters, and entries to begin with.

use super::super::runtime::RuntimeConfig;
use super::super::tree::{self, Tree};
use super::entries;
use alloc::format;
use alloc::string::String;

const FEDERATION: &str = "connect.enable_mesh_gateway_wan_federation";

/// What is judged before anything is put together.
pub(super) fn before(tree: &Tree) -> Result<(), String> {
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    let mesh = tree::flag(tree, "connect.enabled").unwrap_or(true);
    if on(FEDERATION) && !mesh && !on("auto_encrypt.allow_tls") && !on("auto_config.enabled") {
        return Err(format!("'{FEDERATION}=true' requires 'connect.enabled=true'"));
    }
    entries::judge(tree)
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
