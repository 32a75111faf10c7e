//! What a reload may change while the node runs.

use super::RuntimeConfig;
use crate::event::{Event, Level};
use alloc::vec::Vec;

/// The configuration to go on with, and one warning for each key whose change needs a restart or means nothing.
///
/// Everything takes the new value except what is bound, joined or elected at start: those keys keep
/// the old one, and the warning says so. A key that did not change gives no warning.
pub fn reload(old: &RuntimeConfig, new: RuntimeConfig) -> (RuntimeConfig, Vec<Event>) {
    let mut next = new;
    let mut warnings = Vec::new();
    if Level::parse(&next.log_level).is_none() {
        warnings.push(
            Event::new(Level::Warn, "agent", "Invalid log level in new configuration")
                .with("level", &*next.log_level),
        );
        next.log_level = old.log_level.clone();
    }
    macro_rules! keep {
        ($($key:literal => $($field:ident).+;)*) => {$(
            if next.$($field).+ != old.$($field).+ {
                next.$($field).+ = old.$($field).+.clone();
                let text = concat!($key, " was changed; the change takes effect after a restart");
                warnings.push(Event::new(Level::Warn, "agent", text));
            }
        )*};
    }
    keep! {
        "node_name" => node_name;
        "node_id" => node_id;
        "datacenter" => datacenter;
        "primary_datacenter" => primary_datacenter;
        "domain" => domain;
        "alt_domain" => alt_domain;
        "data_dir" => data_dir;
        "dev" => dev_mode;
        "server" => server;
        "bootstrap" => bootstrap;
        "bootstrap_expect" => bootstrap_expect;
        "bind_addr" => bind_addr;
        "advertise_addr" => advertise_addr;
        "client_addr" => client_addrs;
        "addresses.http" => http_addrs;
        "addresses.http" => http_sockets;
        "unix_sockets" => unix_sockets;
        "addresses.dns" => dns_addrs;
        "ports" => ports;
        "performance.raft_multiplier" => performance.raft_multiplier;
        "http_config.response_headers" => http.response_headers;
        "http_config.max_header_bytes" => http.max_header_bytes;
        "ui_config.enabled" => ui_enabled;
        "enable_script_checks" => enable_script_checks;
        "enable_local_script_checks" => enable_local_script_checks;
        "check_update_interval" => check_update_interval;
        "check_output_max_size" => check_output_max_size;
        "default_query_time" => default_query_time;
        "max_query_time" => max_query_time;
        "discovery_max_stale" => http.discovery_max_stale;
        "limits.kv_max_value_size" => kv_max_value_size;
        "limits.txn_max_req_len" => txn_max_req_len;
        "use_streaming_backend" => use_streaming_backend;
        "rpc.enable_streaming" => enable_streaming;
        "translate_wan_addrs" => translate_wan_addrs;
        "leave_on_terminate" => leave_on_terminate;
        "skip_leave_on_interrupt" => skip_leave_on_interrupt;
        "log_json" => log_json;
        "log_file" => log_file;
        "log_rotate_bytes" => log_rotate_bytes;
        "log_rotate_duration" => log_rotate_duration;
        "log_rotate_max_files" => log_rotate_max_files;
        "telemetry.prometheus_retention_time" => prometheus_retention_time;
        "telemetry.disable_hostname" => disable_hostname;
        "telemetry.metrics_prefix" => metrics_prefix;
        "pid_file" => pid_file;
        "the gossip pools or whom they join" => gossip;
        "session_ttl_min" => session_ttl_min;
    }
    (next, warnings)
}
