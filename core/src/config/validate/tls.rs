//! Rules of `tls`, and of what rests on it.

use super::super::runtime::RuntimeConfig;
use super::super::tree::{self, Tree};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const VERSIONS: [&str; 5] = ["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"];

/// What the agent may be told to use; those of TLS 1.3 are not for choosing.
const SUITES: [&str; 10] = [
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
];

/// The version under the names of before 1.12.
pub(in super::super) fn version_of_old(name: &str) -> Option<&'static str> {
    ["", "tls10", "tls11", "tls12", "tls13"].iter().position(|old| *old == name).map(|at| VERSIONS[at])
}

/// Keys in sections where they mean nothing are refused at once; versions and suites that nobody knows are told
/// with other mistakes.
pub(super) fn judge(config: &RuntimeConfig, tree: &Tree, errors: &mut Vec<String>) -> Result<(), String> {
    let given = |group: &str, key: &str| tree::get(tree, &format!("tls.{group}.{key}")).is_some();
    if given("grpc", "verify_outgoing") {
        return Err("verify_outgoing is not valid in the tls.grpc stanza".into());
    }
    if ["grpc", "https"].iter().any(|group| given(group, "verify_server_hostname")) {
        return Err(
            "verify_server_hostname is only valid in the tls.defaults and tls.internal_rpc stanzas".into()
        );
    }
    if ["defaults", "https", "internal_rpc"].iter().any(|group| given(group, "use_auto_cert")) {
        return Err("use_auto_cert is only valid in the tls.grpc stanza".into());
    }
    let default = version("defaults", tree, errors).unwrap_or("TLSv1_2");
    suites("defaults", default, tree, errors);
    for group in ["internal_rpc", "https", "grpc"] {
        let version = version(group, tree, errors).unwrap_or(default);
        suites(group, version, tree, errors);
    }
    grpc(config, tree)
}

/// The least version of a group, were it one that nobody knows; `None`: nothing is said.
fn version<'a>(group: &str, tree: &'a Tree, errors: &mut Vec<String>) -> Option<&'a str> {
    let path = format!("tls.{group}.tls_min_version");
    let version = tree::text(tree, &path)?;
    if !version.is_empty() && !VERSIONS.contains(&version) {
        let known = VERSIONS.join(", ");
        errors.push(format!(
            "{path}: invalid TLS version: no matching TLS version found for {version}, please specify one of [{known}]"
        ));
    }
    Some(version)
}

fn suites(group: &str, version: &str, tree: &Tree, errors: &mut Vec<String>) {
    let path = format!("tls.{group}.tls_cipher_suites");
    let Some(given) = tree::text(tree, &path) else { return };
    if version == "TLSv1_3" {
        errors.push(format!("{path}: TLS 1.3 cipher suites are not configurable"));
        return;
    }
    let unknown = |suite: &&str| !SUITES.contains(suite);
    let unknown: Vec<&str> = given.trim().split(',').filter(unknown).collect();
    if !given.trim().is_empty() && !unknown.is_empty() {
        errors.push(format!(
            "{path}: invalid TLS cipher suites: no matching Consul Agent TLS cipher suite found for {}",
            unknown.join(",")
        ));
    }
}

/// Since 1.14 there is no TLS at the plain port.
fn grpc(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    let own = tree::text(tree, "tls.grpc.cert_file").or_else(|| tree::text(tree, "tls.defaults.cert_file"));
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    let auto = on("auto_encrypt.tls") || on("auto_config.enabled");
    let encrypted = own.is_some_and(|path| !path.is_empty()) || auto && on("tls.grpc.use_auto_cert");
    if encrypted && config.ports.grpc.is_some() && tree::int(tree, "ports.grpc_tls").is_none() {
        return Err(
            "the `ports.grpc` listener no longer supports TLS. Use `ports.grpc_tls` instead. This message \
                    is appearing because GRPC is configured to use TLS, but `ports.grpc_tls` is not defined"
                .into(),
        );
    }
    Ok(())
}

/// Which of the two kinds of node may ask for certificates, and which may give them.
pub(super) fn roles(config: &RuntimeConfig, tree: &Tree) -> Result<(), String> {
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    match config.server {
        true if on("auto_encrypt.tls") => Err("auto_encrypt.tls can only be used on a client.".into()),
        false if on("auto_encrypt.allow_tls") => {
            Err("auto_encrypt.allow_tls can only be used on a server.".into())
        }
        _ => Ok(()),
    }
}

/// Rules of `auto_config`, but for those of the tokens that an authorizer takes.
pub(super) fn auto_config(
    config: &RuntimeConfig,
    tree: &Tree,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    let text = |key: &str| tree::text(tree, key).unwrap_or("");
    let inherited = |key: &str| tree::get(tree, &format!("tls.internal_rpc.{key}")).is_some();
    let group = |key: &str| if inherited(key) { "internal_rpc" } else { "defaults" };
    let internal = |key: &str| format!("tls.{}.{key}", group(key));
    if on("auto_config.enabled") && on("auto_encrypt.tls") {
        return Err("both auto_encrypt.tls and auto_config.enabled cannot be set to true.".into());
    }
    if on("auto_config.authorization.enabled") {
        if on("acl.enabled")
            && config.primary_datacenter != config.datacenter
            && !on("acl.enable_token_replication")
        {
            return Err(
                "Enabling auto-config authorization (auto_config.authorization.enabled) in non primary \
                        datacenters with ACLs enabled (acl.enabled) requires also enabling ACL token replication \
                        (acl.enable_token_replication)"
                    .into(),
            );
        }
        if !config.server {
            return Err("auto_config.authorization.enabled cannot be set to true for client agents".into());
        }
        if text(&internal("cert_file")).is_empty() {
            return Err(
                "auto_config.authorization.enabled cannot be set without providing a TLS certificate for \
                        the server"
                    .into(),
            );
        }
    }
    if !on("auto_config.enabled") {
        return Ok(());
    }
    if !on(&internal("verify_outgoing")) && !on(&internal("verify_server_hostname")) {
        return Err(
            "auto_config.enabled cannot be set without configuring TLS for server communications".into()
        );
    }
    if config.server {
        return Err("auto_config.enabled cannot be set to true for server agents.".into());
    }
    match (text("auto_config.intro_token"), text("auto_config.intro_token_file")) {
        ("", "") => {
            return Err("One of auto_config.intro_token, auto_config.intro_token_file or the CONSUL_INTRO_TOKEN \
                        environment variable must be set to enable auto_config"
                .into());
        }
        (_, "") | ("", _) => {}
        _ => warnings.push(
            "Both an intro token and intro token file are set. The intro token will be used instead of the file"
                .into(),
        ),
    }
    if tree::texts(tree, "auto_config.server_addresses").iter().all(String::is_empty) {
        return Err("auto_config.enabled is set without providing a list of addresses".into());
    }
    Ok(())
}
