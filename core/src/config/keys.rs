//! The table of every configuration key: its name, its type, and what this version does with it.
//!
//! Order is Consul's: errors about several keys come out in table order. Names match without regard
//! to case. A key that is not in the table is refused.

mod definition;
mod nested;

use Kind::{Any, AnyList, Bool, Duration, Object, ObjectList, Text, TextList, TextMap};
use nested::*;

pub(super) use definition::{CHECK, SERVICE};

/// One key of an object.
#[derive(Debug)]
pub(super) struct Key {
    /// Lower-case name as documented.
    pub(super) name: &'static str,
    /// Another lower-case name it goes by; empty: none.
    pub(super) alias: &'static str,
    pub(super) kind: Kind,
    pub(super) state: State,
}

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Bool,
    /// A number of the Go type named: `int`, `uint64`, `uint32`, `float64`.
    Number(&'static str),
    Text,
    /// A text that must be a duration.
    Duration,
    TextList,
    TextMap,
    /// Header-like: each value a list of texts.
    TextListMap,
    /// An object with keys of its own choosing.
    Any,
    AnyList,
    Object(&'static [Key]),
    ObjectList(&'static [Key]),
    ObjectMap(&'static [Key]),
}

/// What this version does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Read by the build, or accepted because it asks for what is always so.
    Used,
    /// Known, not built yet: accepted with one warning, unless the value is empty.
    Later,
    /// As `Later`, but silent for this value too, which is what this version does anyway.
    LaterUnless(bool),
    /// Consul Enterprise: warned about and ignored, as Consul does.
    Enterprise,
    /// Deprecated for the key named: warned about, then read as that key.
    Deprecated(&'static str),
    /// Deprecated without a successor: warned about, then ignored.
    Removed,
}

pub(super) const INT: Kind = Kind::Number("int");
pub(super) const UINT64: Kind = Kind::Number("uint64");
pub(super) const UINT32: Kind = Kind::Number("uint32");
pub(super) const FLOAT: Kind = Kind::Number("float64");

const fn key(name: &'static str, kind: Kind, state: State) -> Key {
    Key { name, alias: "", kind, state }
}

/// A key that is read.
const fn used(name: &'static str, kind: Kind) -> Key {
    key(name, kind, State::Used)
}

/// A key whose feature comes later.
const fn later(name: &'static str, kind: Kind) -> Key {
    key(name, kind, State::Later)
}

/// A switch whose feature comes later, silent when it is `quiet`.
const fn switch(name: &'static str, quiet: bool) -> Key {
    key(name, Bool, State::LaterUnless(quiet))
}

const fn enterprise(name: &'static str, kind: Kind) -> Key {
    key(name, kind, State::Enterprise)
}

const fn old(name: &'static str, kind: Kind, successor: &'static str) -> Key {
    key(name, kind, State::Deprecated(successor))
}

const fn removed(name: &'static str, kind: Kind) -> Key {
    key(name, kind, State::Removed)
}

const fn aliased(name: &'static str, alias: &'static str, kind: Kind) -> Key {
    Key { name, alias, kind, state: State::Used }
}

/// The top level.
pub(super) static ROOT: &[Key] = &[
    used("acl", Object(ACL)),
    used("addresses", Object(ADDRESSES)),
    used("advertise_addr", Text),
    later("advertise_addr_ipv4", Text),
    later("advertise_addr_ipv6", Text),
    used("advertise_addr_wan", Text),
    later("advertise_addr_wan_ipv4", Text),
    later("advertise_addr_wan_ipv6", Text),
    used("advertise_reconnect_timeout", Duration),
    used("alt_domain", Text),
    enterprise("audit", Object(AUDIT)),
    used("auto_config", Object(AUTO_CONFIG)),
    used("auto_encrypt", Object(AUTO_ENCRYPT)),
    switch("auto_reload_config", false),
    used("autopilot", Object(AUTOPILOT)),
    used("bind_addr", Text),
    used("bootstrap", Bool),
    used("bootstrap_expect", INT),
    used("cache", Object(CACHE)),
    used("check", Object(CHECK)),
    used("check_output_max_size", INT),
    used("check_update_interval", Duration),
    used("checks", ObjectList(CHECK)),
    used("client_addr", Text),
    used("cloud", Object(CLOUD)),
    used("config_entries", Object(CONFIG_ENTRIES)),
    used("connect", Object(CONNECT)),
    used("data_dir", Text),
    used("datacenter", Text),
    later("default_intention_policy", Text),
    used("default_query_time", Duration),
    used("disable_anonymous_signature", Bool),
    used("disable_coordinates", Bool),
    used("disable_host_node_id", Bool),
    used("disable_http_unprintable_char_filter", Bool),
    used("disable_keyring_file", Bool),
    switch("disable_remote_exec", true),
    used("disable_update_check", Bool),
    used("discard_check_output", Bool),
    used("discovery_max_stale", Duration),
    used("dns_config", Object(DNS)),
    used("domain", Text),
    used("enable_agent_tls_for_checks", Bool),
    switch("enable_central_service_config", false),
    used("enable_debug", Bool),
    used("enable_local_script_checks", Bool),
    used("enable_script_checks", Bool),
    switch("enable_syslog", false),
    used("encrypt", Text),
    used("encrypt_verify_incoming", Bool),
    used("encrypt_verify_outgoing", Bool),
    later("experiments", TextList),
    used("gossip_lan", Object(GOSSIP)),
    used("gossip_wan", Object(GOSSIP)),
    used("http_config", Object(HTTP)),
    used("leave_on_terminate", Bool),
    enterprise("license_path", Text),
    used("limits", Object(LIMITS)),
    used("locality", Object(LOCALITY)),
    used("log_file", Text),
    used("log_json", Bool),
    used("log_level", Text),
    used("log_rotate_bytes", INT),
    used("log_rotate_duration", Duration),
    used("log_rotate_max_files", INT),
    used("max_query_time", Duration),
    used("node_id", Text),
    used("node_meta", TextMap),
    used("node_name", Text),
    used("peering", Object(PEERING)),
    used("performance", Object(PERFORMANCE)),
    used("pid_file", Text),
    used("ports", Object(PORTS)),
    used("primary_datacenter", Text),
    later("primary_gateways", TextList),
    later("primary_gateways_interval", Duration),
    used("protocol", INT),
    used("raft_logstore", Object(RAFT_LOGSTORE)),
    switch("raft_prevote_disabled", false),
    used("raft_protocol", INT),
    later("raft_snapshot_interval", Duration),
    used("raft_snapshot_threshold", INT),
    used("raft_trailing_logs", INT),
    used("reconnect_timeout", Duration),
    used("reconnect_timeout_wan", Duration),
    used("recursors", TextList),
    used("rejoin_after_leave", Bool),
    used("reporting", Object(REPORTING)),
    used("retry_interval", Duration),
    used("retry_interval_wan", Duration),
    used("retry_join", TextList),
    used("retry_join_wan", TextList),
    used("retry_max", INT),
    used("retry_max_wan", INT),
    used("rpc", Object(RPC)),
    used("serf_lan", Text),
    used("serf_lan_allowed_cidrs", TextList),
    used("serf_wan", Text),
    used("serf_wan_allowed_cidrs", TextList),
    used("server", Bool),
    later("server_name", Text),
    later("server_rejoin_age_max", Duration),
    used("service", Object(SERVICE)),
    used("services", ObjectList(SERVICE)),
    used("session_ttl_min", Duration),
    used("skip_leave_on_interrupt", Bool),
    later("snapshot_agent", Any),
    later("syslog_facility", Text),
    used("tagged_addresses", TextMap),
    used("telemetry", Object(TELEMETRY)),
    used("tls", Object(TLS)),
    used("translate_wan_addrs", Bool),
    used("ui_config", Object(UI)),
    used("unix_sockets", Object(UNIX_SOCKETS)),
    used("use_streaming_backend", Bool),
    used("watches", AnyList),
    used("xds", Object(XDS)),
    // For Consul's own tests.
    used("ae_interval", Text),
    used("build_date", Any),
    used("check_deregister_interval_min", Text),
    used("check_reap_interval", Text),
    used("consul", Object(INTERNAL)),
    used("license_poll_base_time", Text),
    used("license_poll_max_time", Text),
    used("license_update_base_time", Text),
    used("license_update_max_time", Text),
    enterprise("partition", Text),
    Key { name: "read_replica", alias: "non_voting_server", kind: Bool, state: State::Enterprise },
    used("revision", Text),
    used("segment", Text),
    used("segment_limit", INT),
    used("segment_name_limit", INT),
    used("segments", ObjectList(SEGMENT)),
    used("sync_coordinate_interval_min", Text),
    used("sync_coordinate_rate_target", FLOAT),
    used("version", Text),
    used("version_metadata", Text),
    used("version_prerelease", Text),
    // Deprecated.
    old("acl_agent_master_token", Text, "acl.tokens.agent_recovery"),
    old("acl_agent_token", Text, "acl.tokens.agent"),
    old("acl_datacenter", Text, "primary_datacenter"),
    old("acl_default_policy", Text, "acl.default_policy"),
    old("acl_down_policy", Text, "acl.down_policy"),
    old("acl_enable_key_list_policy", Bool, "acl.enable_key_list_policy"),
    old("acl_master_token", Text, "acl.tokens.initial_management"),
    old("acl_replication_token", Text, "acl.tokens.replication"),
    old("acl_token", Text, "acl.tokens.default"),
    old("acl_ttl", Text, "acl.token_ttl"),
    old("ca_file", Text, "tls.defaults.ca_file"),
    old("ca_path", Text, "tls.defaults.ca_path"),
    old("cert_file", Text, "tls.defaults.cert_file"),
    old("enable_acl_replication", Bool, "acl.enable_token_replication"),
    old("key_file", Text, "tls.defaults.key_file"),
    old("raft_boltdb", Object(OLD_BOLTDB), "raft_logstore.boltdb"),
    old("start_join", TextList, "retry_join"),
    old("start_join_wan", TextList, "retry_join_wan"),
    old("tls_cipher_suites", Text, "tls.defaults.tls_cipher_suites"),
    old("tls_min_version", Text, "tls.defaults.tls_min_version"),
    removed("tls_prefer_server_cipher_suites", Bool),
    old("ui", Bool, "ui_config.enabled"),
    old("ui_content_path", Text, "ui_config.content_path"),
    old("ui_dir", Text, "ui_config.dir"),
    old("verify_incoming", Bool, "tls.defaults.verify_incoming"),
    old("verify_incoming_https", Bool, "tls.https.verify_incoming"),
    old("verify_incoming_rpc", Bool, "tls.internal_rpc.verify_incoming"),
    old("verify_outgoing", Bool, "tls.defaults.verify_outgoing"),
    old("verify_server_hostname", Bool, "tls.internal_rpc.verify_server_hostname"),
];
