//! Service and check definitions in files: tree to [`ServiceDefinition`] and [`CheckDefinition`].

use super::tree::{self, Tree};
use crate::duration;
use crate::types::{CheckDefinition, Locality, ServiceAddress, ServiceDefinition, Weights};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::Value;

/// A service of a file. Durations that cannot be read go to `errors`.
pub(super) fn service(tree: &Tree, errors: &mut Vec<String>) -> ServiceDefinition {
    let single = tree.get("check").and_then(Value::as_object).into_iter();
    let checks = tree::objects(tree, "checks").chain(single).map(|t| check(t, errors)).collect();
    ServiceDefinition {
        kind: tree::owned(tree, "kind"),
        id: tree::owned(tree, "id"),
        name: tree::owned(tree, "name"),
        tags: tree::texts(tree, "tags"),
        address: tree::owned(tree, "address"),
        tagged_addresses: tagged_addresses(tree),
        meta: tree::text_map(tree, "meta"),
        port: tree::int(tree, "port").unwrap_or(0),
        socket_path: tree::owned(tree, "socket_path"),
        weights: tree.get("weights").and_then(Value::as_object).map(weights),
        enable_tag_override: tree::flag(tree, "enable_tag_override").unwrap_or(false),
        token: tree::owned(tree, "token"),
        locality: locality(tree),
        checks,
    }
}

/// The `locality` of a service or of the node.
pub(super) fn locality(tree: &Tree) -> Option<Locality> {
    let inner = tree.get("locality")?.as_object()?;
    Some(Locality {
        region: tree::owned(inner, "region").as_str().into(),
        zone: tree::owned(inner, "zone").as_str().into(),
    })
}

fn tagged_addresses(tree: &Tree) -> BTreeMap<crate::Str, ServiceAddress> {
    let Some(Value::Object(entries)) = tree.get("tagged_addresses") else { return BTreeMap::new() };
    let read = |inner: &Tree| ServiceAddress {
        address: tree::owned(inner, "address").as_str().into(),
        port: tree::int(inner, "port").unwrap_or(0),
    };
    entries.iter().filter_map(|(name, v)| Some((name.as_str().into(), read(v.as_object()?)))).collect()
}

fn weights(tree: &Tree) -> Weights {
    Weights {
        passing: tree::int(tree, "passing").unwrap_or(1),
        warning: tree::int(tree, "warning").unwrap_or(1),
    }
}

/// A check of a file. Durations that cannot be read go to `errors`.
pub(super) fn check(tree: &Tree, errors: &mut Vec<String>) -> CheckDefinition {
    let mut duration = |key: &str| {
        let Some(text) = tree::text(tree, key) else { return 0 };
        duration::parse(text).unwrap_or_else(|why| {
            errors.push(format!("check[].{key}: invalid duration: \"{text}\": {why}"));
            0
        })
    };
    let (interval, timeout, ttl) = (duration("interval"), duration("timeout"), duration("ttl"));
    let deregister_critical_service_after = duration("deregister_critical_service_after");
    let flag = |key: &str| tree::flag(tree, key).unwrap_or(false);
    let int = |key: &str| tree::int(tree, key).unwrap_or(0);
    CheckDefinition {
        id: tree::owned(tree, "id"),
        name: tree::owned(tree, "name"),
        notes: tree::owned(tree, "notes"),
        service_id: tree::owned(tree, "service_id"),
        token: tree::owned(tree, "token"),
        status: tree::owned(tree, "status"),
        script_args: tree::texts(tree, "args"),
        http: tree::owned(tree, "http"),
        header: headers(tree),
        method: tree::owned(tree, "method"),
        body: tree::owned(tree, "body"),
        disable_redirects: flag("disable_redirects"),
        tcp: tree::owned(tree, "tcp"),
        tcp_use_tls: flag("tcp_use_tls"),
        udp: tree::owned(tree, "udp"),
        grpc: tree::owned(tree, "grpc"),
        grpc_use_tls: flag("grpc_use_tls"),
        h2ping: tree::owned(tree, "h2ping"),
        h2ping_use_tls: tree::flag(tree, "h2ping_use_tls"),
        tls_server_name: tree::owned(tree, "tls_server_name"),
        tls_skip_verify: flag("tls_skip_verify"),
        os_service: tree::owned(tree, "os_service"),
        docker_container_id: tree::owned(tree, "docker_container_id"),
        shell: tree::owned(tree, "shell"),
        alias_node: tree::owned(tree, "alias_node"),
        alias_service: tree::owned(tree, "alias_service"),
        interval,
        timeout,
        ttl,
        success_before_passing: int("success_before_passing"),
        failures_before_warning: int("failures_before_warning"),
        failures_before_critical: int("failures_before_critical"),
        deregister_critical_service_after,
        output_max_size: int("output_max_size"),
    }
}

fn headers(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    let Some(Value::Object(entries)) = tree.get("header") else { return BTreeMap::new() };
    entries
        .keys()
        .map(|name| {
            let values = entries[name].as_array().map(Vec::as_slice).unwrap_or_default();
            (name.clone(), values.iter().filter_map(Value::as_str).map(String::from).collect())
        })
        .collect()
}
