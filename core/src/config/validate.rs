//! Rules between keys, with Consul's texts, in Consul's order.

use super::runtime::RuntimeConfig;
use super::tree::{self, Tree};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The first broken rule; what is allowed but unwise goes to `warnings`.
pub(super) fn validate(
    config: &RuntimeConfig,
    tree: &Tree,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    ports(config)?;
    identity(config, warnings)?;
    dns_and_raft(tree)?;
    bootstrap(config, tree, warnings)?;
    if config.enable_script_checks
        && config.http.allow_write_http_from.is_empty()
        && !tree::flag(tree, "acl.enabled").unwrap_or(false)
    {
        warnings.push(
            "using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, use \
             enable-local-script-checks instead, see https://www.hashicorp.com/blog/protecting-consul-from-\
             rce-risk-in-specific-configurations/"
                .into(),
        );
    }
    Ok(())
}

fn ports(config: &RuntimeConfig) -> Result<(), String> {
    if config.ports.server == 0 {
        return Err("server-port must be greater than zero".into());
    }
    if config.ports.serf_lan.is_none() {
        return Err("serf-lan-port must be greater than zero".into());
    }
    let dns = config.ports.dns.map(|port| (port, &config.dns_addrs));
    let http = config.ports.http.map(|port| (port, &config.http_addrs));
    if let (Some((dns, dns_addrs)), Some((http, http_addrs))) = (dns, http)
        && dns == http
        && let Some(ip) = http_addrs.iter().find(|ip| dns_addrs.contains(ip))
    {
        let address = core::net::SocketAddr::new(*ip, http);
        return Err(format!("HTTP address {address} already configured for DNS"));
    }
    Ok(())
}

fn identity(config: &RuntimeConfig, warnings: &mut Vec<String>) -> Result<(), String> {
    if config.datacenter.is_empty() {
        return Err("datacenter cannot be empty".into());
    }
    if !config.datacenter.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    {
        return Err(format!(
            "datacenter can only contain lowercase alphanumeric, - or _ characters. received: {:?}",
            config.datacenter
        ));
    }
    if config.data_dir.is_empty() && !config.dev_mode {
        return Err("data_dir cannot be empty".into());
    }
    let name = &config.node_name;
    if name.is_empty() {
        return Err("node_name cannot be empty".into());
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        warnings.push(format!(
            "Node name {name:?} will not be discoverable via DNS due to invalid characters. Valid characters \
             include all alpha-numerics and dashes."
        ));
    } else if name.len() > 63 {
        warnings.push(format!(
            "Node name {name:?} will not be discoverable via DNS due to it being too long. Valid lengths are \
             between 1 and 63 bytes."
        ));
    }
    Ok(())
}

fn dns_and_raft(tree: &Tree) -> Result<(), String> {
    for key in ["dns_config.udp_answer_limit", "dns_config.a_record_limit", "autopilot.max_trailing_logs"] {
        if let Some(number) = tree::int(tree, key).filter(|n| *n < 0) {
            return Err(format!("{key} cannot be {number}. Must be greater than or equal to zero"));
        }
    }
    if let Some(n) = tree::int(tree, "performance.raft_multiplier").filter(|n| !(1..=10).contains(n)) {
        return Err(format!("performance.raft_multiplier cannot be {n}. Must be between 1 and 10"));
    }
    if tree::int(tree, "check_output_max_size").is_some_and(|n| n < 1) {
        return Err("check_output_max_size must be positive, to discard check output use the \
                    discard_check_output flag"
            .into());
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
