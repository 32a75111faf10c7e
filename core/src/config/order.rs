//! In which order Consul complains of several keys: that in which it looks at them.

/// Durations, as our tree spells their paths. Those of services and checks come before, others behind.
const DURATIONS: &[&str] = &[
    "ae_interval",
    "check_deregister_interval_min",
    "check_reap_interval",
    "sync_coordinate_interval_min",
    "gossip_lan.gossip_interval",
    "gossip_lan.probe_interval",
    "gossip_lan.probe_timeout",
    "gossip_wan.gossip_interval",
    "gossip_wan.probe_interval",
    "gossip_wan.probe_timeout",
    "acl.policy_ttl",
    "acl.token_ttl",
    "acl.role_ttl",
    "autopilot.last_contact_threshold",
    "autopilot.server_stabilization_time",
    "dns_config.max_stale",
    "dns_config.node_ttl",
    "dns_config.recursor_timeout",
    "dns_config.cache_max_age",
    "telemetry.prometheus_retention_time",
    "advertise_reconnect_timeout",
    "check_update_interval",
    "connect.test_ca_leaf_root_change_spread",
    "default_query_time",
    "discovery_max_stale",
    "performance.grpc_keepalive_interval",
    "performance.grpc_keepalive_timeout",
    "limits.https_handshake_timeout",
    "performance.leave_drain_time",
    "log_rotate_duration",
    "max_query_time",
    "primary_gateways_interval",
    "limits.rpc_handshake_timeout",
    "performance.rpc_hold_timeout",
    "limits.rpc_client_timeout",
    "raft_snapshot_interval",
    "reconnect_timeout",
    "reconnect_timeout_wan",
    "retry_interval",
    "retry_interval_wan",
    "server_rejoin_age_max",
    "session_ttl_min",
];

/// Keys of the Enterprise edition.
const ENTERPRISE: &[&str] = &[
    "read_replica",
    "segment",
    "segments",
    "partition",
    "autopilot.redundancy_zone_tag",
    "autopilot.upgrade_version_tag",
    "autopilot.disable_upgrade_migration",
    "dns_config.prefer_namespace",
    "acl.msp_disable_bootstrap",
    "acl.tokens.managed_service_provider",
    "audit",
    "license_path",
    "reporting.license.enabled",
];

/// The place of a duration's key.
pub(super) fn of_duration(path: &str) -> usize {
    place(DURATIONS, path)
}

/// The place of a key of the Enterprise edition.
pub(super) fn of_enterprise(path: &str) -> usize {
    place(ENTERPRISE, path)
}

fn place(order: &[&str], path: &str) -> usize {
    order.iter().position(|key| *key == path).unwrap_or(order.len())
}
