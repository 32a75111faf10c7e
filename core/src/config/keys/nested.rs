//! The keys inside the top level's objects.

use super::Kind::{self, Any, AnyList, Bool, Duration, Object, ObjectList, Text, TextList, TextMap};
use super::{FLOAT, INT, Key, UINT32, UINT64, enterprise, later, old, switch, used};

pub(super) static ACL: &[Key] = &[
    switch("enabled", false),
    later("token_ttl", Duration),
    later("policy_ttl", Duration),
    later("role_ttl", Duration),
    later("down_policy", Text),
    later("default_policy", Text),
    switch("enable_key_list_policy", false),
    used("tokens", Object(ACL_TOKENS)),
    switch("enable_token_persistence", false),
    switch("enable_token_replication", false),
    enterprise("msp_disable_bootstrap", Bool),
];

static ACL_TOKENS: &[Key] = &[
    later("initial_management", Text),
    later("replication", Text),
    later("agent_recovery", Text),
    later("default", Text),
    later("agent", Text),
    later("config_file_service_registration", Text),
    later("dns", Text),
    enterprise("managed_service_provider", ObjectList(MANAGED_SERVICE_PROVIDER)),
    old("agent_master", Text, "acl.tokens.agent_recovery"),
    old("master", Text, "acl.tokens.initial_management"),
];

static MANAGED_SERVICE_PROVIDER: &[Key] = &[used("accessor_id", Text), used("secret_id", Text)];

pub(super) static ADDRESSES: &[Key] = &[
    used("dns", Text),
    used("http", Text),
    later("https", Text),
    later("grpc", Text),
    later("grpc_tls", Text),
];

pub(super) static AUDIT: &[Key] =
    &[used("enabled", Bool), used("rpc_enabled", Bool), used("sink", Kind::ObjectMap(AUDIT_SINK))];

static AUDIT_SINK: &[Key] = &[
    used("type", Text),
    used("delivery_guarantee", Text),
    used("format", Text),
    used("mode", Text),
    used("path", Text),
    used("rotate_bytes", INT),
    used("rotate_duration", Text),
    used("rotate_max_files", INT),
];

pub(super) static AUTO_CONFIG: &[Key] = &[
    switch("enabled", false),
    later("intro_token", Text),
    later("intro_token_file", Text),
    later("server_addresses", TextList),
    later("dns_sans", TextList),
    later("ip_sans", TextList),
    used("authorization", Object(AUTO_CONFIG_AUTHORIZATION)),
];

static AUTO_CONFIG_AUTHORIZATION: &[Key] =
    &[switch("enabled", false), used("static", Object(AUTO_CONFIG_STATIC))];

static AUTO_CONFIG_STATIC: &[Key] = &[
    switch("allow_reuse", false),
    later("claim_assertions", TextList),
    later("jwt_supported_algs", TextList),
    later("bound_audiences", TextList),
    later("claim_mappings", TextMap),
    later("list_claim_mappings", TextMap),
    later("oidc_discovery_url", Text),
    later("oidc_discovery_ca_cert", Text),
    later("jwks_url", Text),
    later("jwks_ca_cert", Text),
    later("jwt_validation_pub_keys", TextList),
    later("bound_issuer", Text),
    later("expiration_leeway", Duration),
    later("not_before_leeway", Duration),
    later("clock_skew_leeway", Duration),
];

pub(super) static AUTO_ENCRYPT: &[Key] = &[
    switch("tls", false),
    later("dns_san", TextList),
    later("ip_san", TextList),
    switch("allow_tls", false),
];

pub(super) static AUTOPILOT: &[Key] = &[
    used("cleanup_dead_servers", Bool),
    enterprise("disable_upgrade_migration", Bool),
    used("last_contact_threshold", Duration),
    used("max_trailing_logs", INT),
    used("min_quorum", Kind::Number("uint")),
    enterprise("redundancy_zone_tag", Text),
    used("server_stabilization_time", Duration),
    enterprise("upgrade_version_tag", Text),
];

pub(super) static CACHE: &[Key] = &[used("entry_fetch_max_burst", INT), used("entry_fetch_rate", FLOAT)];

pub(super) static CLOUD: &[Key] = &[
    later("resource_id", Text),
    later("client_id", Text),
    later("client_secret", Text),
    later("hostname", Text),
    later("auth_url", Text),
    later("scada_address", Text),
];

pub(super) static CONFIG_ENTRIES: &[Key] = &[later("bootstrap", AnyList)];

pub(super) static CONNECT: &[Key] = &[
    switch("enabled", false),
    later("ca_provider", Text),
    later("ca_config", Any),
    switch("enable_mesh_gateway_wan_federation", false),
    later("test_ca_leaf_root_change_spread", Text),
];

pub(super) static DNS: &[Key] = &[
    used("allow_stale", Bool),
    used("a_record_limit", INT),
    used("disable_compression", Bool),
    used("enable_truncate", Bool),
    used("max_stale", Duration),
    used("node_ttl", Duration),
    used("only_passing", Bool),
    used("recursor_strategy", Text),
    used("recursor_timeout", Duration),
    used("service_ttl", TextMap),
    used("udp_answer_limit", INT),
    used("enable_additional_node_meta_txt", Bool),
    used("soa", Object(SOA)),
    switch("use_cache", false),
    later("cache_max_age", Duration),
    enterprise("prefer_namespace", Bool),
];

static SOA: &[Key] =
    &[used("refresh", UINT32), used("retry", UINT32), used("expire", UINT32), used("min_ttl", UINT32)];

pub(super) static GOSSIP: &[Key] = &[
    used("gossip_nodes", INT),
    used("gossip_interval", Duration),
    used("probe_interval", Duration),
    used("probe_timeout", Duration),
    used("suspicion_mult", INT),
    used("retransmit_mult", INT),
];

pub(super) static HTTP: &[Key] = &[
    used("block_endpoints", TextList),
    used("allow_write_http_from", TextList),
    used("response_headers", TextMap),
    used("use_cache", Bool),
    used("max_header_bytes", INT),
];

pub(super) static LIMITS: &[Key] = &[
    used("http_max_conns_per_client", INT),
    later("https_handshake_timeout", Duration),
    used("request_limits", Object(REQUEST_LIMITS)),
    later("rpc_client_timeout", Duration),
    used("rpc_handshake_timeout", Duration),
    later("rpc_max_burst", INT),
    used("rpc_max_conns_per_client", INT),
    later("rpc_rate", FLOAT),
    used("kv_max_value_size", UINT64),
    used("txn_max_req_len", UINT64),
];

static REQUEST_LIMITS: &[Key] = &[later("mode", Text), later("read_rate", FLOAT), later("write_rate", FLOAT)];

pub(super) static LOCALITY: &[Key] = &[used("region", Text), used("zone", Text)];

pub(super) static PEERING: &[Key] = &[switch("enabled", false), used("test_allow_peer_registrations", Bool)];

pub(super) static PERFORMANCE: &[Key] = &[
    used("leave_drain_time", Duration),
    used("raft_multiplier", INT),
    used("rpc_hold_timeout", Duration),
    later("grpc_keepalive_interval", Duration),
    later("grpc_keepalive_timeout", Duration),
    switch("enable_xds_load_balancing", false),
];

pub(super) static PORTS: &[Key] = &[
    used("dns", INT),
    used("http", INT),
    later("https", INT),
    used("serf_lan", INT),
    used("serf_wan", INT),
    used("server", INT),
    later("grpc", INT),
    later("grpc_tls", INT),
    later("proxy_min_port", INT),
    later("proxy_max_port", INT),
    later("sidecar_min_port", INT),
    later("sidecar_max_port", INT),
    later("expose_min_port", INT),
    later("expose_max_port", INT),
];

pub(super) static RAFT_LOGSTORE: &[Key] = &[
    later("backend", Text),
    switch("disable_log_cache", false),
    used("verification", Object(RAFT_VERIFICATION)),
    used("boltdb", Object(BOLTDB)),
    used("wal", Object(RAFT_WAL)),
];

static RAFT_VERIFICATION: &[Key] = &[switch("enabled", false), later("interval", Duration)];

/// There is no free list here to sync or not.
static BOLTDB: &[Key] = &[used("no_freelist_sync", Bool)];

/// Under its deprecated name the key has no underscores.
pub(super) static OLD_BOLTDB: &[Key] = &[used("nofreelistsync", Bool)];

static RAFT_WAL: &[Key] = &[later("segment_size_mb", INT)];

pub(super) static REPORTING: &[Key] = &[used("license", Object(REPORTING_LICENSE))];

static REPORTING_LICENSE: &[Key] = &[enterprise("enabled", Bool)];

pub(super) static RPC: &[Key] = &[used("enable_streaming", Bool)];

pub(super) static SEGMENT: &[Key] = &[
    used("advertise", Text),
    used("bind", Text),
    used("name", Text),
    used("port", INT),
    used("rpc_listener", Bool),
];

pub(super) static TELEMETRY: &[Key] = &[
    later("circonus_api_app", Text),
    later("circonus_api_token", Text),
    later("circonus_api_url", Text),
    later("circonus_broker_id", Text),
    later("circonus_broker_select_tag", Text),
    later("circonus_check_display_name", Text),
    later("circonus_check_force_metric_activation", Text),
    later("circonus_check_id", Text),
    later("circonus_check_instance_id", Text),
    later("circonus_check_search_tag", Text),
    later("circonus_check_tags", Text),
    later("circonus_submission_interval", Text),
    later("circonus_submission_url", Text),
    used("disable_hostname", Bool),
    switch("enable_host_metrics", false),
    later("dogstatsd_addr", Text),
    later("dogstatsd_tags", TextList),
    switch("retry_failed_connection", true),
    used("filter_default", Bool),
    used("prefix_filter", TextList),
    used("metrics_prefix", Text),
    used("prometheus_retention_time", Duration),
    later("statsd_address", Text),
    later("statsite_address", Text),
    used("disable_per_tenancy_usage_metrics", Bool),
];

pub(super) static TLS: &[Key] = &[
    used("defaults", Object(TLS_PROTOCOL)),
    used("internal_rpc", Object(TLS_PROTOCOL)),
    used("https", Object(TLS_PROTOCOL)),
    used("grpc", Object(TLS_PROTOCOL)),
];

static TLS_PROTOCOL: &[Key] = &[
    later("ca_file", Text),
    later("ca_path", Text),
    later("cert_file", Text),
    later("key_file", Text),
    later("tls_min_version", Text),
    later("tls_cipher_suites", Text),
    switch("verify_incoming", false),
    switch("verify_outgoing", false),
    switch("verify_server_hostname", false),
    switch("use_auto_cert", false),
];

pub(super) static UI: &[Key] = &[
    switch("enabled", false),
    later("dir", Text),
    later("content_path", Text),
    later("metrics_provider", Text),
    later("metrics_provider_files", TextList),
    later("metrics_provider_options_json", Text),
    used("metrics_proxy", Object(UI_PROXY)),
    later("dashboard_url_templates", TextMap),
];

static UI_PROXY: &[Key] = &[
    later("base_url", Text),
    later("add_headers", ObjectList(UI_PROXY_HEADER)),
    later("path_allowlist", TextList),
];

static UI_PROXY_HEADER: &[Key] = &[used("name", Text), used("value", Text)];

pub(super) static UNIX_SOCKETS: &[Key] = &[used("group", Text), used("mode", Text), used("user", Text)];

pub(super) static XDS: &[Key] = &[later("update_max_per_second", FLOAT)];

/// Timings of Consul's own tests: accepted, without effect.
pub(super) static INTERNAL: &[Key] = &[
    used("coordinate", Object(INTERNAL_COORDINATE)),
    used("raft", Object(INTERNAL_RAFT)),
    used("server", Object(INTERNAL_SERVER)),
];

static INTERNAL_COORDINATE: &[Key] =
    &[used("update_batch_size", INT), used("update_max_batches", INT), used("update_period", Text)];

static INTERNAL_RAFT: &[Key] =
    &[used("election_timeout", Text), used("heartbeat_timeout", Text), used("leader_lease_timeout", Text)];

static INTERNAL_SERVER: &[Key] = &[used("health_interval", Text)];
