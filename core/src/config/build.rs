//! A merged tree to the [`RuntimeConfig`]: defaults, what follows from what, and addresses.

use super::addr::{self, Interface, Place};
use super::network::Network;
use super::runtime::{
    Coordinates, DnsConfig, FetchRate, HttpLimits, Performance, Ports, RuntimeConfig, UnixSockets, Written,
};
use super::survey::Survey;
use super::tree::{self, Tree};
use super::{check_tls, definition, gossip, unprotected};
use super::{source, template, validate};
use crate::metrics::Filter;
use crate::types::AutopilotConfig;
use crate::{Str, duration, strconv};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use serde_json::Value;

/// What the configuration needs to know about the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The node's name unless configured.
    pub hostname: String,
    /// Every address of every interface that is up.
    pub interfaces: Vec<Interface>,
    /// What is at the path that [`super::data_dir`] tells.
    pub data_dir: DataDirectory,
}

/// What is at the path of the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataDirectory {
    /// A directory, or nothing yet.
    #[default]
    Usable,
    /// A directory that holds `mdb`, in which Consul before 0.6 kept its state.
    BeforeRaft,
    /// Something that is no directory.
    Other,
    /// The system does not tell; its words.
    Unreadable(String),
}

/// Builds and validates. `Err`: the message as Consul prints it, possibly of several lines.
pub(super) fn build(
    tree: &Tree,
    dev: bool,
    host: &HostFacts,
    mut warnings: Vec<String>,
) -> Result<RuntimeConfig, String> {
    let survey = Survey::of(tree);
    let mut config = RuntimeConfig { dev_mode: dev, ..RuntimeConfig::default() };
    let mut errors = Vec::new();
    config.dns = dns(tree, &mut errors);
    errors.extend(survey.bad_durations.into_iter().map(|(_, why)| why));
    identity(&mut config, tree, host);
    if !addresses(&mut config, tree, host, &mut errors)? {
        return Err(source::several(&errors));
    }
    validate::between(tree)?;
    servers(&mut config, tree);
    gossip::read(&mut config.gossip, tree, dev)?;
    config.http = http(tree, &mut errors);
    config.coordinates = coordinates(tree, dev);
    config.cache = fetch_rate(tree);
    config.autopilot = autopilot(tree);
    checks(&mut config, tree, &mut errors);
    limits(&mut config, tree);
    logging(&mut config, tree);
    config.watches = tree::objects(tree, "watches").cloned().collect();
    telemetry(&mut config, tree, &mut warnings);
    validate::validate(&config, tree, &host.data_dir, &mut warnings, &mut errors)?;
    warnings.extend(survey.enterprise.into_iter().map(|(_, warning)| warning));
    config.unprotected = unprotected::of(&config, tree);
    config.not_built_yet = survey.not_built;
    config.not_built_yet.retain(|key| key != unprotected::LIMITS || !unprotected::limits_are_off(tree));
    if config.tls_for_checks.is_some() {
        config.not_built_yet.retain(|key| !check_tls::is_read(key));
    }
    warnings.extend(without_sidecar(tree));
    config.not_built_yet.retain(|key| !key.ends_with(SIDECAR));
    config.warnings = warnings;
    config.written = Written::of(tree);
    Ok(config)
}

/// Asks for a proxy beside a service.
const SIDECAR: &str = "connect.sidecar_service";

/// A warning for each service that asks for a sidecar, were it an empty one: it runs without.
fn without_sidecar(tree: &Tree) -> impl Iterator<Item = String> {
    let asking = tree::objects(tree, "services")
        .filter(|service| tree::get(service, SIDECAR).is_some_and(Value::is_object));
    asking.map(|service| {
        let name = tree::owned(service, "name");
        format!("service {name:?}: connect.sidecar_service has no effect: sidecars are not built yet in this version of Lictor")
    })
}

fn identity(config: &mut RuntimeConfig, tree: &Tree, host: &HostFacts) {
    let name = tree::text(tree, "node_name").filter(|name| !name.is_empty());
    config.node_name = Str::from(name.unwrap_or(&host.hostname).trim());
    config.node_id = tree::owned(tree, "node_id").to_lowercase();
    config.node_meta = tree::text_map(tree, "node_meta");
    if let Some(name) = tree::text(tree, "datacenter") {
        config.datacenter = Str::from(name.to_lowercase());
    }
    let primary = tree::text(tree, "primary_datacenter").filter(|name| !name.is_empty());
    config.primary_datacenter =
        primary.map_or_else(|| config.datacenter.clone(), |n| n.to_lowercase().into());
    if let Some(domain) = tree::text(tree, "domain") {
        config.domain = with_dot(domain);
    }
    config.alt_domain = match tree::text(tree, "alt_domain") {
        None | Some("") => String::new(),
        Some(domain) => with_dot(domain),
    };
    config.data_dir = tree::owned(tree, "data_dir");
    config.pid_file = tree::owned(tree, "pid_file");
    config.protocol = tree::int(tree, "protocol").unwrap_or(config.protocol);
    config.tagged_addresses = tree::text_map(tree, "tagged_addresses");
    config.locality = definition::locality(tree);
    config.ui_enabled = tree::flag(tree, "ui_config.enabled").unwrap_or(false);
    config.enable_debug = tree::flag(tree, "enable_debug").unwrap_or(false);
    config.disable_update_check = tree::flag(tree, "disable_update_check").unwrap_or(false);
    config.disable_http_unprintable_char_filter =
        tree::flag(tree, "disable_http_unprintable_char_filter").unwrap_or(false);
}

fn with_dot(domain: &str) -> String {
    format!("{}.", domain.trim_matches('.').to_lowercase())
}

/// Fails at once where Consul does; other mistakes go to `errors`. False: nothing more can be said.
fn addresses(
    config: &mut RuntimeConfig,
    tree: &Tree,
    host: &HostFacts,
    errors: &mut Vec<String>,
) -> Result<bool, String> {
    config.ports = ports(tree, config.dev_mode, errors);
    let bind = tree::text(tree, "bind_addr").unwrap_or("0.0.0.0");
    let bind = match addr::list("bind_addr", bind, host) {
        Err(why) => {
            errors.push(why);
            return Ok(false);
        }
        Ok(places) => match places.as_slice() {
            [] => return Err("bind_addr cannot be empty".into()),
            [Place::Ip(ip)] => *ip,
            [Place::Unix(_)] => return Err("bind_addr cannot be a unix socket".into()),
            _ => {
                return Err("bind_addr cannot contain multiple addresses. Use \
                            'addresses.{dns,http,https}' instead."
                    .into());
            }
        },
    };
    config.bind_addr = bind;
    validate::before(config, tree)?;
    let (any, text) = (["0.0.0.0", "::", "[::]"], |key: &str| tree::text(tree, key).unwrap_or(""));
    if any.contains(&text("advertise_addr")) {
        return Err("Advertise address cannot be 0.0.0.0, :: or [::]".into());
    }
    if any.contains(&text("advertise_addr_wan")) {
        return Err("Advertise WAN address cannot be 0.0.0.0, :: or [::]".into());
    }
    let mut one = |key: &str| {
        addr::single(key, text(key), host).unwrap_or_else(|why| {
            errors.push(why);
            None
        })
    };
    let advertise = one("advertise_addr").unwrap_or(bind);
    config.advertise_addr = addr::advertise_for(advertise, host)?;
    config.gossip.lan.bind = one("serf_lan").unwrap_or(bind);
    config.gossip.lan.advertise = config.advertise_addr;
    if config.ports.serf_wan.is_some() {
        config.gossip.wan.bind = one("serf_wan").unwrap_or(bind);
    }
    // Consul reads it a second time, and so complains a second time.
    one("advertise_addr");
    for scope in ["advertise_addr", "advertise_addr_wan"] {
        if scope.ends_with("wan") {
            config.gossip.wan.advertise = one(scope).unwrap_or(config.advertise_addr);
        }
        for (family, v4) in [("ipv4", true), ("ipv6", false)] {
            let key = format!("{scope}_{family}");
            if one(&key).is_some_and(|ip| ip.is_ipv4() != v4) {
                return Err(format!("{key} must be an {family} address"));
            }
        }
    }
    let client = tree::text(tree, "client_addr").unwrap_or("127.0.0.1");
    config.client_addrs = only_ips("client_addr", addr::list("client_addr", client, host), errors);
    let mut listen = |key: &str| match tree::text(tree, key).filter(|text| !text.is_empty()) {
        None => config.client_addrs.clone(),
        Some(text) => match addr::list(key, text, host) {
            Ok(places) if key == "addresses.http" => {
                let (sockets, ips) = places.into_iter().partition(|place| matches!(place, Place::Unix(_)));
                config.http_sockets = sockets_of(sockets);
                only_ips(key, Ok(ips), errors)
            }
            places => only_ips(key, places, errors),
        },
    };
    let http = listen("addresses.http");
    config.dns_addrs = listen("addresses.dns");
    config.http_addrs = http;
    config.unix_sockets = UnixSockets {
        user: tree::owned(tree, "unix_sockets.user"),
        group: tree::owned(tree, "unix_sockets.group"),
        mode: tree::owned(tree, "unix_sockets.mode"),
    };
    for key in ["addresses.https", "addresses.grpc", "addresses.grpc_tls"] {
        errors.extend(addr::list(key, tree::text(tree, key).unwrap_or(""), host).err());
    }
    config.recursors = recursors(tree, host)?;
    addr::names("primary_gateways", &tree::texts(tree, "primary_gateways"), host, errors);
    gossip::joins(&mut config.gossip, tree, host, errors);
    Ok(true)
}

fn sockets_of(places: Vec<Place>) -> Vec<String> {
    let path = |place| if let Place::Unix(path) = place { Some(path) } else { None };
    places.into_iter().filter_map(path).collect()
}

fn only_ips(key: &str, places: Result<Vec<Place>, String>, errors: &mut Vec<String>) -> Vec<IpAddr> {
    let mut ips = Vec::new();
    match places {
        Err(why) => errors.push(why),
        Ok(places) => {
            for place in places {
                match place {
                    Place::Ip(ip) => ips.push(ip),
                    Place::Unix(_) => errors.push(format!("{key} cannot be a unix socket")),
                }
            }
        }
    }
    ips
}

fn recursors(tree: &Tree, host: &HostFacts) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = Vec::new();
    for text in tree::texts(tree, "recursors") {
        let expanded = template::expand(&text, host).map_err(|why| {
            format!("Invalid DNS recursor template {}: {why}", strconv::quote(text.as_bytes()))
        })?;
        for word in expanded.split_whitespace() {
            if word.starts_with("unix://") {
                return Err(format!("DNS Recursors cannot be unix sockets: {word}"));
            }
            if !out.iter().any(|known| known == word) {
                out.push(word.into());
            }
        }
    }
    Ok(out)
}

fn ports(tree: &Tree, dev: bool, errors: &mut Vec<String>) -> Ports {
    let server = tree::flag(tree, "server").unwrap_or(false);
    let mut port = |key: &str, default: Option<u16>| {
        let path = format!("ports.{key}");
        match tree::int(tree, &path) {
            None => default,
            Some(number) if number <= 0 => None,
            Some(number) => match u16::try_from(number) {
                Ok(port) => Some(port),
                Err(_) => {
                    errors.push(format!("{path}: invalid port: {number}"));
                    None
                }
            },
        }
    };
    Ports {
        dns: port("dns", Some(8600)),
        http: port("http", Some(8500)),
        https: port("https", None),
        grpc: port("grpc", dev.then_some(8502)),
        grpc_tls: port("grpc_tls", server.then_some(8503)),
        serf_lan: port("serf_lan", Some(8301)),
        serf_wan: port("serf_wan", Some(8302)),
        server: port("server", Some(8300)).unwrap_or(0),
    }
}

fn servers(config: &mut RuntimeConfig, tree: &Tree) {
    config.server = tree::flag(tree, "server").unwrap_or(false);
    let expect = tree::int(tree, "bootstrap_expect").unwrap_or(0);
    let alone = tree::flag(tree, "bootstrap").unwrap_or(false) || expect == 1 || config.dev_mode;
    config.bootstrap = alone;
    config.bootstrap_expect = if alone { 1 } else { u32::try_from(expect).unwrap_or(0) };
    config.use_streaming_backend = tree::flag(tree, "use_streaming_backend").unwrap_or(true);
    config.enable_streaming = tree::flag(tree, "rpc.enable_streaming").unwrap_or(true);
    config.translate_wan_addrs = tree::flag(tree, "translate_wan_addrs").unwrap_or(false);
    config.leave_on_terminate = tree::flag(tree, "leave_on_terminate").unwrap_or(!config.server);
    config.skip_leave_on_interrupt = tree::flag(tree, "skip_leave_on_interrupt").unwrap_or(config.server);
    let performance = &config.performance;
    config.performance = Performance {
        raft_multiplier: tree::int(tree, "performance.raft_multiplier")
            .map_or(performance.raft_multiplier, |n| u32::try_from(n).unwrap_or(0)),
        leave_drain_time: time(tree, "performance.leave_drain_time", performance.leave_drain_time),
        rpc_hold_timeout: time(tree, "performance.rpc_hold_timeout", performance.rpc_hold_timeout),
    };
    config.raft_snapshot_threshold =
        positive(tree, "raft_snapshot_threshold", config.raft_snapshot_threshold);
    config.raft_trailing_logs = positive(tree, "raft_trailing_logs", config.raft_trailing_logs);
    config.session_ttl_min = time(tree, "session_ttl_min", config.session_ttl_min);
}

fn dns(tree: &Tree, errors: &mut Vec<String>) -> DnsConfig {
    let default = RuntimeConfig::default().dns;
    let section = tree::get(tree, "dns_config").and_then(Value::as_object).cloned().unwrap_or_default();
    let flag = |key: &str, default: bool| tree::flag(&section, key).unwrap_or(default);
    let mut service_ttl = default.service_ttl;
    for (name, text) in tree::text_map::<String, String>(&section, "service_ttl") {
        match duration::parse(&text) {
            Ok(nanos) => {
                service_ttl.insert(name, Duration::from_nanos(nanos.max(0) as u64));
            }
            Err(why) => {
                errors.push(format!("dns_config.service_ttl[{name:?}]: invalid duration: {text:?}: {why}"));
            }
        }
    }
    let recursor_random = match tree::text(&section, "recursor_strategy").unwrap_or("") {
        "" | "sequential" => false,
        "random" => true,
        other => {
            errors.push(format!("dns_config.recursor_strategy: invalid strategy: {other:?}"));
            false
        }
    };
    let soa = ["refresh", "retry", "expire", "min_ttl"];
    let mut soa_values = default.soa;
    for (slot, key) in soa_values.iter_mut().zip(soa) {
        *slot = tree::int(&section, &format!("soa.{key}")).map_or(*slot, |n| u32::try_from(n).unwrap_or(0));
    }
    DnsConfig {
        allow_stale: flag("allow_stale", default.allow_stale),
        max_stale: time(&section, "max_stale", default.max_stale),
        node_ttl: time(&section, "node_ttl", default.node_ttl),
        service_ttl,
        enable_truncate: flag("enable_truncate", default.enable_truncate),
        only_passing: flag("only_passing", default.only_passing),
        recursor_random,
        recursor_timeout: time(&section, "recursor_timeout", default.recursor_timeout),
        udp_answer_limit: count(&section, "udp_answer_limit", default.udp_answer_limit as u64) as usize,
        a_record_limit: count(&section, "a_record_limit", 0) as usize,
        disable_compression: flag("disable_compression", default.disable_compression),
        enable_additional_node_meta_txt: flag(
            "enable_additional_node_meta_txt",
            default.enable_additional_node_meta_txt,
        ),
        soa: soa_values,
    }
}

fn http(tree: &Tree, errors: &mut Vec<String>) -> HttpLimits {
    let mut networks = Vec::new();
    for text in tree::texts(tree, "http_config.allow_write_http_from") {
        match Network::parse(&text) {
            Some(network) => networks.push(network),
            None => errors.push(format!("allow_write_http_from: invalid cidr: {text}")),
        }
    }
    HttpLimits {
        max_conns_per_client: count(tree, "limits.http_max_conns_per_client", 200) as usize,
        max_header_bytes: count(tree, "http_config.max_header_bytes", 0) as usize,
        use_cache: tree::flag(tree, "http_config.use_cache").unwrap_or(true),
        discovery_max_stale: time(tree, "discovery_max_stale", Duration::ZERO),
        block_endpoints: tree::texts(tree, "http_config.block_endpoints"),
        allow_write_http_from: networks,
        response_headers: tree::text_map(tree, "http_config.response_headers"),
    }
}

fn checks(config: &mut RuntimeConfig, tree: &Tree, errors: &mut Vec<String>) {
    let flag = |key: &str| tree::flag(tree, key).unwrap_or(false);
    config.enable_script_checks = flag("enable_script_checks");
    config.enable_local_script_checks = flag("enable_local_script_checks");
    config.discard_check_output = flag("discard_check_output");
    config.check_update_interval = time(tree, "check_update_interval", config.check_update_interval);
    config.check_output_max_size = count(tree, "check_output_max_size", 4096) as usize;
    config.tls_for_checks = flag("enable_agent_tls_for_checks").then(|| Arc::new(check_tls::build(tree)));
    config.services = tree::objects(tree, "services").map(|t| definition::service(t, errors)).collect();
    config.checks = tree::objects(tree, "checks").map(|t| definition::check(t, errors)).collect();
}

fn limits(config: &mut RuntimeConfig, tree: &Tree) {
    config.default_query_time = time(tree, "default_query_time", config.default_query_time);
    config.max_query_time = time(tree, "max_query_time", config.max_query_time);
    config.kv_max_value_size = count(tree, "limits.kv_max_value_size", 512 * 1024) as usize;
    config.txn_max_req_len = count(tree, "limits.txn_max_req_len", 512 * 1024) as usize;
    config.rpc_max_conns_per_client = count(tree, "limits.rpc_max_conns_per_client", 100) as usize;
    config.rpc_handshake_timeout = time(tree, "limits.rpc_handshake_timeout", config.rpc_handshake_timeout);
}

fn logging(config: &mut RuntimeConfig, tree: &Tree) {
    if let Some(level) = tree::text(tree, "log_level").filter(|level| !level.is_empty()) {
        config.log_level = level.to_owned();
    }
    config.log_json = tree::flag(tree, "log_json").unwrap_or(false);
    config.log_file = tree::owned(tree, "log_file");
    config.log_rotate_bytes = count(tree, "log_rotate_bytes", 0);
    config.log_rotate_duration = time(tree, "log_rotate_duration", config.log_rotate_duration);
    config.log_rotate_max_files = tree::int(tree, "log_rotate_max_files").unwrap_or(0);
}

fn telemetry(config: &mut RuntimeConfig, tree: &Tree, warnings: &mut Vec<String>) {
    config.disable_hostname = tree::flag(tree, "telemetry.disable_hostname").unwrap_or(false);
    let default = tree::flag(tree, "telemetry.filter_default").unwrap_or(true);
    let (filter, bad) = Filter::parse(&tree::texts(tree, "telemetry.prefix_filter"), default);
    config.metrics_filter = filter;
    warnings.extend(bad);
    config.prometheus_retention_time =
        time(tree, "telemetry.prometheus_retention_time", config.prometheus_retention_time);
    if let Some(prefix) = tree::text(tree, "telemetry.metrics_prefix") {
        config.metrics_prefix = prefix.to_owned();
    }
}

fn autopilot(tree: &Tree) -> AutopilotConfig {
    let default = AutopilotConfig::default();
    let nanos = |key, default: i64| {
        let told = tree::text(tree, key).and_then(|text| duration::parse(text).ok());
        told.unwrap_or(default)
    };
    AutopilotConfig {
        cleanup_dead_servers: tree::flag(tree, "autopilot.cleanup_dead_servers")
            .unwrap_or(default.cleanup_dead_servers),
        last_contact_threshold: nanos("autopilot.last_contact_threshold", default.last_contact_threshold),
        max_trailing_logs: count(tree, "autopilot.max_trailing_logs", default.max_trailing_logs),
        min_quorum: count(tree, "autopilot.min_quorum", default.min_quorum),
        server_stabilization_time: nanos(
            "autopilot.server_stabilization_time",
            default.server_stabilization_time,
        ),
        ..default
    }
}

fn coordinates(tree: &Tree, dev: bool) -> Coordinates {
    let default = Coordinates::default();
    let period = if dev { Duration::from_millis(100) } else { default.update_period };
    let rate = tree::get(tree, "sync_coordinate_rate_target").and_then(serde_json::Value::as_f64);
    Coordinates {
        disabled: tree::flag(tree, "disable_coordinates").unwrap_or(false),
        interval_min: time(tree, "sync_coordinate_interval_min", default.interval_min),
        rate_target: rate.unwrap_or(default.rate_target),
        update_period: time(tree, "consul.coordinate.update_period", period),
        batch_size: positive(tree, "consul.coordinate.update_batch_size", 128) as usize,
        max_batches: positive(tree, "consul.coordinate.update_max_batches", 5) as usize,
    }
}

/// A negative rate is none, as with Consul; what is not positive otherwise is refused by the validation.
fn fetch_rate(tree: &Tree) -> FetchRate {
    let default = FetchRate::default();
    let rate = tree::get(tree, "cache.entry_fetch_rate").and_then(serde_json::Value::as_f64);
    let burst = tree::int(tree, "cache.entry_fetch_max_burst").filter(|burst| *burst > 0);
    FetchRate {
        per_second: rate.filter(|rate| *rate > 0.0).unwrap_or(default.per_second),
        burst: burst.map_or(default.burst, |burst| u32::try_from(burst).unwrap_or(u32::MAX)),
    }
}

/// A duration that the survey has checked already; what is negative counts as zero.
fn time(tree: &Tree, path: &str, default: Duration) -> Duration {
    let nanos = tree::text(tree, path).and_then(|text| duration::parse(text).ok());
    nanos.map_or(default, |nanos| Duration::from_nanos(nanos.max(0) as u64))
}

/// A number; what is negative counts as zero.
pub(super) fn count(tree: &Tree, path: &str, default: u64) -> u64 {
    tree::int(tree, path).map_or(default, |n| n.max(0) as u64)
}

/// A number for which zero and less mean the default.
fn positive(tree: &Tree, path: &str, default: u64) -> u64 {
    tree::int(tree, path).filter(|n| *n > 0).map_or(default, |n| n as u64)
}
