//! Protection that is asked for and that this version does not give.
//!
//! Security is the default: nothing runs with less of it than its configuration says. What asks for protection is
//! refused; what only describes it (tokens, a default policy, certificates that nothing uses) is warned of like any other
//! key whose feature is not built.

use super::runtime::RuntimeConfig;
use super::tree::{self, Tree};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How the rates of requests are limited.
pub(super) const LIMITS: &str = "limits.request_limits.mode";

/// Whether the limits of rates are set to be off.
pub(super) fn limits_are_off(tree: &Tree) -> bool {
    tree::text(tree, LIMITS) == Some("disabled")
}

/// One sentence for each.
pub(super) fn of(config: &RuntimeConfig, tree: &Tree) -> Vec<String> {
    let on = |key: &str| tree::flag(tree, key).unwrap_or(false);
    let mut out = Vec::new();
    if on("acl.enabled") {
        out.push("acl.enabled = true, but ACLs are not built yet: every request is allowed".into());
    }
    let mut no_tls = |what: &str| {
        out.push(format!("{what}, but TLS is not built yet: connections are not encrypted"));
    };
    for group in ["defaults", "internal_rpc", "https", "grpc"] {
        for key in ["verify_incoming", "verify_outgoing", "verify_server_hostname"] {
            let path = format!("tls.{group}.{key}");
            if on(&path) {
                no_tls(&format!("{path} = true"));
            }
        }
    }
    let keys = [
        "auto_encrypt.tls",
        "auto_encrypt.allow_tls",
        "auto_config.enabled",
        "auto_config.authorization.enabled",
    ];
    keys.iter().filter(|key| on(key)).for_each(|key| no_tls(&format!("{key} = true")));
    // Without a certificate Consul listens there too, and answers nobody.
    let certificate = ["https", "defaults"].map(|group| tree::owned(tree, &format!("tls.{group}.cert_file")));
    if let Some(port) = config.ports.https.filter(|_| certificate.iter().any(|path| !path.is_empty())) {
        no_tls(&format!("ports.https = {port} and a certificate are given"));
    }
    if tree::text(tree, LIMITS) == Some("enforcing") {
        out.push(format!(
            "{LIMITS} = \"enforcing\", but limits of rates are not built yet: every request is served"
        ));
    }
    out
}
