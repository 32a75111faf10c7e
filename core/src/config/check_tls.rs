//! `enable_agent_tls_for_checks`: which of the agent's TLS files checks use.

use super::runtime::AgentTls;
use super::tree::{self, Tree};
use alloc::format;

const GROUPS: [&str; 2] = ["internal_rpc", "defaults"];
const KEYS: [&str; 4] = ["ca_file", "ca_path", "cert_file", "key_file"];

/// Whether a key's path is one that [`build`] reads.
pub(super) fn is_read(path: &str) -> bool {
    let own = path.strip_prefix("tls.").and_then(|rest| rest.split_once('.'));
    own.is_some_and(|(group, key)| GROUPS.contains(&group) && KEYS.contains(&key))
}

/// `tls.internal_rpc`, and `tls.defaults` for what that leaves out.
pub(super) fn build(tree: &Tree) -> AgentTls {
    let [ca_file, ca_path, cert_file, key_file] = KEYS.map(|key| {
        let of = |group: &str| tree::owned(tree, &format!("tls.{group}.{key}"));
        GROUPS.iter().map(|group| of(group)).find(|path| !path.is_empty()).unwrap_or_default()
    });
    AgentTls { ca_file, ca_path, cert_file, key_file }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_internal_protocols_files_come_first_and_the_defaults_fill_in() {
        let tree = json!({"tls": {
            "defaults": {"ca_file": "/ca", "cert_file": "/cert", "key_file": "/key"},
            "internal_rpc": {"ca_file": "/own"},
            "https": {"ca_path": "/other"},
        }});
        let files = build(tree.as_object().expect("an object"));
        let got = [files.ca_file, files.ca_path, files.cert_file, files.key_file];
        assert_eq!(got, ["/own", "", "/cert", "/key"]);
        assert!(is_read("tls.defaults.ca_file") && is_read("tls.internal_rpc.key_file"));
        assert!(!is_read("tls.https.ca_file") && !is_read("tls.defaults.tls_min_version"));
    }
}
