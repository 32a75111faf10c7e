//! Rules between keys, with Consul's texts, in Consul's order.

use super::runtime::RuntimeConfig;
use super::source;
use super::tree::{self, Tree};
use crate::b64;
use crate::types::rules;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The first rule that is broken before anything is derived.
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
    if let Some(version) = tree::int(tree, "raft_protocol").filter(|version| *version != 3) {
        return Err(format!("raft_protocol version {version} is not supported by this version of Consul"));
    }
    match tree::int(tree, "performance.raft_multiplier") {
        Some(n) if !(1..=10).contains(&n) => {
            Err(format!("performance.raft_multiplier cannot be {n}. Must be between 1 and 10"))
        }
        _ => Ok(()),
    }
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
    warnings: &mut Vec<String>,
    errors: &mut Vec<String>,
) -> Result<(), String> {
    identity(config, warnings)?;
    if config.data_dir.is_empty() && !config.dev_mode {
        return Err("data_dir cannot be empty".into());
    }
    if tree::text(tree, "addresses.dns").is_some_and(|text| text.contains("unix://")) {
        return Err("DNS address cannot be a unix socket".into());
    }
    user_interface(tree)?;
    bootstrap(config, tree, warnings)?;
    roles(config, tree)?;
    numbers(tree)?;
    if config.locality.as_ref().is_some_and(|l| l.region.is_empty() && !l.zone.is_empty()) {
        return Err("locality is invalid: zone cannot be set without region".into());
    }
    rules::metadata(rules::pairs(&config.node_meta)).map_err(|why| format!("node_meta invalid: {why}"))?;
    listeners(config, tree)?;
    if config.client_addrs.is_empty() {
        warnings.push(
            "client_addr is empty, client services (DNS, HTTP, HTTPS, GRPC) will not be listening for \
             connections"
                .into(),
        );
    }
    encryption(tree)?;
    if tree::text(tree, "segment").is_some_and(|name| !name.is_empty())
        || tree::objects(tree, "segments").next().is_some()
    {
        return Err("Network segments are not supported in this version of Consul".into());
    }
    values(config, errors);
    if let Some(mode) = tree::text(tree, "limits.request_limits.mode")
        && !["", "disabled", "permissive", "enforcing"].contains(&mode)
    {
        errors.push(format!("limits.request_limits.mode: invalid mode: {mode:?}"));
    }
    if !errors.is_empty() {
        return Err(source::several(errors));
    }
    roles_of_encryption(config, tree)?;
    definitions(config)?;
    streaming(config, tree, warnings);
    scripts(config, tree, warnings);
    Ok(())
}

fn identity(config: &RuntimeConfig, warnings: &mut Vec<String>) -> Result<(), String> {
    let datacenter = &config.datacenter;
    if datacenter.is_empty() {
        return Err("datacenter cannot be empty".into());
    }
    if !datacenter.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b)) {
        return Err(format!(
            "datacenter can only contain lowercase alphanumeric, - or _ characters. received: {datacenter:?}"
        ));
    }
    let primary = &config.primary_datacenter;
    if !primary.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b)) {
        return Err(format!(
            "primary_datacenter can only contain lowercase alphanumeric, - or _ characters. received: {primary:?}"
        ));
    }
    let first = config.alt_domain.split('.').next().unwrap_or("");
    if ["service", "connect", "node", "query", "addr", datacenter].contains(&first) {
        return Err(format!("alt_domain cannot start with {{service,connect,node,query,addr,{datacenter}}}"));
    }
    let name = &config.node_name;
    if name.is_empty() {
        return Err("node_name cannot be empty".into());
    }
    let unreachable = if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        "invalid characters. Valid characters include all alpha-numerics and dashes."
    } else if name.len() > 63 {
        "it being too long. Valid lengths are between 1 and 63 bytes."
    } else {
        return Ok(());
    };
    warnings.push(format!("Node name {name:?} will not be discoverable via DNS due to {unreachable}"));
    Ok(())
}

fn user_interface(tree: &Tree) -> Result<(), String> {
    let dir = tree::text(tree, "ui_config.dir").is_some_and(|dir| !dir.is_empty());
    if dir && tree::flag(tree, "ui_config.enabled").unwrap_or(false) {
        return Err(
            "Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, please \
                    provide only one.\nIf trying to use your own web UI resources, use ui_config.dir or the \
                    -ui-dir flag.\nThe web UI is included in the binary so use ui_config.enabled or the -ui \
                    flag to enable it"
                .into(),
        );
    }
    let path = tree::text(tree, "ui_config.content_path").unwrap_or("");
    if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/".contains(&b)) {
        let path = format!("/{}/", path.trim_matches('/'));
        return Err(format!("ui-content-path can only contain alphanumeric, -, _, or /. received: {path:?}"));
    }
    Ok(())
}

fn bootstrap(config: &RuntimeConfig, tree: &Tree, warnings: &mut Vec<String>) -> Result<(), String> {
    let expect = tree::int(tree, "bootstrap_expect").unwrap_or(0);
    let alone = tree::flag(tree, "bootstrap").unwrap_or(false) || expect == 1;
    if expect < 0 {
        return Err(format!("bootstrap_expect cannot be {expect}. Must be greater than or equal to zero"));
    }
    if alone && !config.server {
        return Err("'bootstrap = true' requires 'server = true'".into());
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
    Ok(())
}

/// What only a server or only a client may ask for.
fn roles(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    let given = |key: &str| tree::text(tree, key).is_some_and(|text| !text.is_empty());
    if config.server && given("advertise_reconnect_timeout") {
        return Err("advertise_reconnect_timeout can only be used on a client".into());
    }
    if !config.server && !tree::texts(tree, "primary_gateways").is_empty() {
        return Err("'primary_gateways' requires 'server = true'".into());
    }
    if !config.server && on("connect.enable_mesh_gateway_wan_federation") {
        return Err("'connect.enable_mesh_gateway_wan_federation = true' requires 'server = true'".into());
    }
    Ok(())
}

fn numbers(tree: &Tree) -> Result<(), String> {
    let number = |key: &str| tree::get(tree, key).and_then(serde_json::Value::as_f64);
    // A negative rate is none.
    if number("cache.entry_fetch_rate") == Some(0.0) {
        return Err("cache.entry_fetch_rate must be strictly positive, was: 0".into());
    }
    if let Some(burst) = number("cache.entry_fetch_max_burst").filter(|n| *n <= 0.0) {
        return Err(format!("cache.entry_fetch_max_burst must be strictly positive, was: {burst}"));
    }
    for key in ["autopilot.max_trailing_logs", "dns_config.udp_answer_limit", "dns_config.a_record_limit"] {
        if let Some(number) = tree::int(tree, key).filter(|n| *n < 0) {
            return Err(format!("{key} cannot be {number}. Must be greater than or equal to zero"));
        }
    }
    if tree::int(tree, "check_output_max_size").is_some_and(|n| n < 1) {
        return Err("check_output_max_size must be positive, to discard check output use the \
                    discard_check_output flag"
            .into());
    }
    Ok(())
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

fn roles_of_encryption(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    match config.server {
        true if on("auto_encrypt.tls") => Err("auto_encrypt.tls can only be used on a client.".into()),
        false if on("auto_encrypt.allow_tls") => {
            Err("auto_encrypt.allow_tls can only be used on a server.".into())
        }
        _ => Ok(()),
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
