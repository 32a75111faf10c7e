//! Rules between keys, with Consul's texts, in Consul's order.

mod authority;
mod entries;
mod mesh;
pub(super) mod tls;
mod ui;
mod url;

use super::build::DataDirectory;
use super::runtime::RuntimeConfig;
use super::source;
use super::tree::{self, Tree};
use crate::types::rules;
use crate::{b64, strconv};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The first rule that is broken before addresses are read.
pub(super) fn before(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    if config.ports.server == 0 {
        return Err("server-port must be greater than zero".into());
    }
    if config.ports.serf_lan.is_none() {
        return Err("serf-lan-port must be greater than zero".into());
    }
    for range in ["proxy", "sidecar", "expose"] {
        let edge = |end: &str| tree::int(tree, &format!("ports.{range}_{end}_port"));
        let (min, max) = (edge("min"), edge("max"));
        let start = range_start(range);
        if (min.is_some() || max.is_some()) && min.unwrap_or(start) > max.unwrap_or(start + 255) {
            return Err(format!(
                "{range}_min_port must be less than {range}_max_port. To disable, set both to zero."
            ));
        }
    }
    Ok(())
}

/// The first rule that is broken once there are addresses, and before gossip is read.
pub(super) fn between(tree: &Tree) -> Result<(), String> {
    if let Some(n) = tree::int(tree, "performance.raft_multiplier").filter(|n| !(1..=10).contains(n)) {
        return Err(format!("performance.raft_multiplier cannot be {n}. Must be between 1 and 10"));
    }
    mesh::before(tree)
}

fn range_start(range: &str) -> i64 {
    match range {
        "proxy" => 20000,
        "sidecar" => 21000,
        _ => 21500,
    }
}

/// The first broken rule; what is allowed but unwise goes to `warnings`. Mistakes that Consul lists
/// together, those in `errors` among them, come after most rules and before those of definitions.
pub(super) fn validate(
    config: &RuntimeConfig,
    tree: &Tree,
    data_dir: &DataDirectory,
    warnings: &mut Vec<String>,
    errors: &mut Vec<String>,
) -> Result<(), String> {
    if config.client_addrs.is_empty() {
        warnings.push(
            "client_addr is empty, client services (DNS, HTTP, HTTPS, GRPC) will not be listening for \
             connections"
                .into(),
        );
    }
    for text in tree::texts(tree, "auto_encrypt.ip_san") {
        if text.parse::<IpAddr>().is_err() {
            let text = strconv::quote(text.as_bytes());
            warnings.push(format!("Cannot parse ip {text} from AutoEncrypt.IPSAN"));
        }
    }
    tls::judge(config, tree, errors)?;
    cache(tree)?;
    if let Some(version) = tree::int(tree, "raft_protocol").filter(|version| *version != 3) {
        return Err(format!("raft_protocol version {version} is not supported by this version of Consul"));
    }
    basic_name("datacenter", &config.datacenter, false)?;
    if config.data_dir.is_empty() && !config.dev_mode {
        return Err("data_dir cannot be empty".into());
    }
    ui::judge(tree)?;
    if !config.dev_mode {
        data_directory(config, data_dir)?;
    }
    node_name(config, warnings)?;
    if config.locality.as_ref().is_some_and(|l| l.region.is_empty() && !l.zone.is_empty()) {
        return Err("locality is invalid: zone cannot be set without region".into());
    }
    names(config, tree)?;
    bootstrap(config, tree)?;
    numbers(tree)?;
    basic_name("primary_datacenter", &config.primary_datacenter, true)?;
    if !config.dev_mode {
        ui::directory(tree)?;
    }
    for key in ["dns_config.udp_answer_limit", "dns_config.a_record_limit"] {
        not_negative(tree, key)?;
    }
    rules::metadata(rules::pairs(&config.node_meta)).map_err(|why| format!("node_meta invalid: {why}"))?;
    encryption(tree)?;
    if config.server && *data_dir == DataDirectory::BeforeRaft {
        return Err(data_before_raft(&config.data_dir));
    }
    mesh::gateways(config, tree)?;
    if config.server {
        raft_logstore(tree)?;
    }
    listeners(config, tree)?;
    values(config, errors);
    if let Some(mode) = tree::text(tree, "limits.request_limits.mode")
        && !["", "disabled", "permissive", "enforcing"].contains(&mode)
    {
        errors.push(format!("limits.request_limits.mode: invalid mode: {mode:?}"));
    }
    if !errors.is_empty() {
        return Err(source::several(errors));
    }
    definitions(config)?;
    authority::judge(tree)?;
    tls::roles(config, tree)?;
    if config.server && tree::text(tree, "advertise_reconnect_timeout").is_some_and(|text| !text.is_empty()) {
        return Err("advertise_reconnect_timeout can only be used on a client".into());
    }
    few_servers(tree, warnings);
    streaming(config, tree, warnings);
    tls::auto_config(config, tree, warnings)?;
    scripts(config, tree, warnings);
    Ok(())
}

/// Lower-case letters, digits, `-` and `_`, as where names become parts of others.
fn basic_name(key: &str, name: &str, may_be_empty: bool) -> Result<(), String> {
    if name.is_empty() && !may_be_empty {
        return Err(format!("{key} cannot be empty"));
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b)) {
        let name = strconv::quote(name.as_bytes());
        return Err(format!(
            "{key} can only contain lowercase alphanumeric, - or _ characters. received: {name}"
        ));
    }
    Ok(())
}

/// What is at the path may be a directory or nothing.
fn data_directory(config: &RuntimeConfig, found: &DataDirectory) -> Result<(), String> {
    match found {
        DataDirectory::Usable | DataDirectory::BeforeRaft => Ok(()),
        DataDirectory::Other => {
            let path = strconv::quote(config.data_dir.as_bytes());
            Err(format!("data_dir {path} is not a directory"))
        }
        DataDirectory::Unreadable(why) => {
            Err(format!("Error getting info on data_dir: stat {}: {why}", config.data_dir))
        }
    }
}

/// What a server of Consul before 0.6 left.
fn data_before_raft(path: &str) -> String {
    let path = strconv::quote(format!("{}/mdb", path.trim_end_matches('/')).as_bytes());
    format!(
        "CRITICAL: Deprecated data folder found at {path}!\nConsul will refuse to boot with this directory \
         present.\nSee https://www.consul.io/docs/upgrade-specific.html for more information."
    )
}

fn node_name(config: &RuntimeConfig, warnings: &mut Vec<String>) -> Result<(), String> {
    let name = &config.node_name;
    if name.is_empty() {
        return Err("node_name cannot be empty".into());
    }
    // The backslash is in Consul's class by mistake, and so is allowed.
    let unreachable = if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-\\".contains(&b)) {
        "invalid characters. Valid characters include all alpha-numerics and dashes."
    } else if name.len() > 63 {
        "it being too long. Valid lengths are between 1 and 63 bytes."
    } else {
        return Ok(());
    };
    let name = strconv::quote(name.as_bytes());
    warnings.push(format!("Node name {name} will not be discoverable via DNS due to {unreachable}"));
    Ok(())
}

/// Segments, and what DNS is told.
fn names(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    if tree::text(tree, "segment").is_some_and(|name| !name.is_empty())
        || tree::objects(tree, "segments").next().is_some()
    {
        return Err("Network segments are not supported in this version of Consul".into());
    }
    if tree::text(tree, "addresses.dns").is_some_and(|text| text.contains("unix://")) {
        return Err("DNS address cannot be a unix socket".into());
    }
    if config.recursors.iter().any(|recursor| ["0.0.0.0", "::", "[::]"].contains(&recursor.as_str())) {
        return Err("DNS recursor address cannot be 0.0.0.0, :: or [::]".into());
    }
    let datacenter = &config.datacenter;
    let first = config.alt_domain.split('.').next().unwrap_or("");
    if ["service", "connect", "node", "query", "addr", datacenter].contains(&first) {
        return Err(format!("alt_domain cannot start with {{service,connect,node,query,addr,{datacenter}}}"));
    }
    Ok(())
}

/// Whether the node may elect itself alone, and for how many servers it is to wait.
fn servers_to_wait_for(tree: &Tree) -> (bool, i64) {
    let expect = tree::int(tree, "bootstrap_expect").unwrap_or(0);
    (tree::flag(tree, "bootstrap").unwrap_or(false) || expect == 1, expect)
}

fn bootstrap(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    let (alone, expect) = servers_to_wait_for(tree);
    if alone && !config.server {
        return Err("'bootstrap = true' requires 'server = true'".into());
    }
    if expect < 0 {
        return Err(format!("bootstrap_expect cannot be {expect}. Must be greater than or equal to zero"));
    }
    if expect > 0 && !config.server {
        return Err("'bootstrap_expect > 0' requires 'server = true'".into());
    }
    if expect > 1 && config.dev_mode {
        return Err("'bootstrap_expect > 0' not allowed in dev mode".into());
    }
    if expect > 1 && alone {
        return Err("'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive".into());
    }
    Ok(())
}

fn few_servers(tree: &Tree, warnings: &mut Vec<String>) {
    let (alone, expect) = servers_to_wait_for(tree);
    let advice = "See https://developer.hashicorp.com/docs/internals/consensus.html#deployment-table";
    match expect {
        1 => warnings.push("BootstrapExpect is set to 1; this is the same as Bootstrap mode.".into()),
        2 => warnings.push(format!(
            "bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. {advice}"
        )),
        n if n > 2 && n % 2 == 0 => warnings.push(format!(
            "bootstrap_expect is even number: A cluster with an even number of servers does not achieve \
             optimum fault tolerance. {advice}"
        )),
        _ => {}
    }
    if expect > 1 {
        warnings.push(format!("bootstrap_expect > 0: expecting {expect} servers"));
    } else if alone {
        warnings.push("bootstrap = true: do not enable unless necessary".into());
    }
}

fn cache(tree: &Tree) -> Result<(), String> {
    let number = |key: &str| tree::get(tree, key).and_then(serde_json::Value::as_f64);
    if let Some(burst) = number("cache.entry_fetch_max_burst").filter(|n| *n <= 0.0) {
        return Err(format!("cache.entry_fetch_max_burst must be strictly positive, was: {burst}"));
    }
    // A negative rate is none.
    if number("cache.entry_fetch_rate") == Some(0.0) {
        return Err("cache.entry_fetch_rate must be strictly positive, was: 0".into());
    }
    Ok(())
}

fn numbers(tree: &Tree) -> Result<(), String> {
    if tree::int(tree, "check_output_max_size").is_some_and(|n| n < 1) {
        return Err("check_output_max_size must be positive, to discard check output use the \
                    discard_check_output flag"
            .into());
    }
    not_negative(tree, "autopilot.max_trailing_logs")
}

fn not_negative(tree: &Tree, key: &str) -> Result<(), String> {
    match tree::int(tree, key) {
        Some(number) if number < 0 => {
            Err(format!("{key} cannot be {number}. Must be greater than or equal to zero"))
        }
        _ => Ok(()),
    }
}

/// How Consul would keep the log: judged, though this version keeps it its own way.
fn raft_logstore(tree: &Tree) -> Result<(), String> {
    if let Some(backend) = tree::text(tree, "raft_logstore.backend")
        && !["default", "boltdb", "wal"].contains(&backend)
    {
        return Err("raft_logstore.backend must be one of 'boltdb' or 'wal'".into());
    }
    match tree::int(tree, "raft_logstore.wal.segment_size_mb") {
        Some(size) if size < 1 => Err("raft_logstore.wal.segment_size_mb cannot be less than 1MB".into()),
        Some(size) if size > 1024 => {
            Err("raft_logstore.wal.segment_size_mb cannot be greater than 1024 (1GiB)".into())
        }
        _ => Ok(()),
    }
}

/// Two listeners at one address, in the order in which Consul looks. It looks at what is advertised of the server
/// port and of gossip, and not at gRPC.
fn listeners(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    let on = |addresses: &[IpAddr], port: Option<u16>| -> Vec<SocketAddr> {
        port.into_iter().flat_map(|port| addresses.iter().map(move |ip| SocketAddr::new(*ip, port))).collect()
    };
    let https = match tree::text(tree, "addresses.https").filter(|text| !text.is_empty()) {
        Some(text) => text.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
        None => config.client_addrs.clone(),
    };
    let ports = &config.ports;
    let (lan, wan) = (config.advertise_addr, config.gossip.wan.advertise);
    let listeners = [
        ("DNS", on(&config.dns_addrs, ports.dns)),
        ("HTTP", on(&config.http_addrs, ports.http)),
        ("HTTPS", on(&https, ports.https)),
        ("RPC Advertise", on(&[lan], Some(ports.server))),
        ("Serf Advertise LAN", on(&[lan], ports.serf_lan)),
        ("Serf Advertise WAN", on(&[wan], ports.serf_wan)),
    ];
    let mut taken = BTreeMap::new();
    for (name, addresses) in listeners {
        for address in addresses {
            if let Some(other) = taken.insert(address, name) {
                return Err(format!("{name} address {address} already configured for {other}"));
            }
        }
    }
    Ok(())
}

fn encryption(tree: &Tree) -> Result<(), String> {
    let Some(key) = tree::text(tree, "encrypt") else { return Ok(()) };
    match b64::decode(key.as_bytes()) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("encrypt has invalid key: {error}")),
    }
}

/// The values of a service that Consul judges while reading it.
fn values(config: &RuntimeConfig, errors: &mut Vec<String>) {
    for service in &config.services {
        let name = &service.name;
        if let Err(why) = rules::metadata(rules::pairs(&service.meta)) {
            errors.push(format!("invalid meta for service {name}: {why}"));
        }
        if let Some(Err(why)) = service.weights.as_ref().map(rules::weights) {
            errors.push(format!("Invalid weight definition for service {name}: {why}"));
        }
        let path = &service.socket_path;
        if !path.is_empty() && (service.port != 0 || !service.address.is_empty()) {
            errors.push(format!("service {name} cannot have both socket path {path} and address/port"));
        }
    }
}

fn definitions(config: &RuntimeConfig) -> Result<(), String> {
    for service in &config.services {
        let name = &service.name;
        if service.locality.as_ref().is_some_and(|l| l.region.is_empty() && !l.zone.is_empty()) {
            let why = source::several(&["zone cannot be set without region".to_string()]);
            return Err(format!("service {name:?}: {}", why.trim_end()));
        }
        for check in &service.checks {
            rules::check(check).map_err(|why| format!("service {name:?}: check {:?}: {why}", check.name))?;
        }
    }
    for check in &config.checks {
        rules::check(check).map_err(|why| format!("check {:?}: {why}", check.name))?;
    }
    Ok(())
}

fn streaming(config: &RuntimeConfig, tree: &Tree, warnings: &mut Vec<String>) {
    let asked = tree::flag(tree, "rpc.enable_streaming");
    match (config.server, config.use_streaming_backend, asked) {
        (true, true, Some(false)) => warnings.push(
            "use_streaming_backend = true requires rpc.enable_streaming on servers to work properly".into(),
        ),
        (false, _, Some(true)) => {
            warnings.push("rpc.enable_streaming = true has no effect when not running in server mode".into())
        }
        _ => {}
    }
}

fn scripts(config: &RuntimeConfig, tree: &Tree, warnings: &mut Vec<String>) {
    let acl = tree::flag(tree, "acl.enabled").unwrap_or(false);
    if config.enable_script_checks && config.http.allow_write_http_from.is_empty() && !acl {
        warnings.push(
            "using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, use \
             enable-local-script-checks instead, see https://www.hashicorp.com/blog/protecting-consul-from-\
             rce-risk-in-specific-configurations/"
                .into(),
        );
    }
}
