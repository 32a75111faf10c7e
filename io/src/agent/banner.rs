//! What the agent prints before its log starts, in Consul's form.

use lictor_core::COMPATIBLE_VERSION;
use lictor_core::config::RuntimeConfig;
use serde_json::Value;

/// The lines. `encrypted`: gossip has keys.
pub(super) fn banner(config: &RuntimeConfig, node_id: &str, encrypted: bool) -> String {
    let port = |p: Option<u16>| p.map_or_else(|| "-1".to_owned(), |p| p.to_string());
    let clients: Vec<String> = config.client_addrs.iter().map(ToString::to_string).collect();
    let segment = if config.server { "<all>" } else { "" };
    let policy = config.written.get("acl.default_policy").and_then(Value::as_str).unwrap_or("allow");
    // An agent that is to verify anything does not start: there is no TLS yet.
    let none = "Verify Incoming: false, Verify Outgoing: false";
    let rows = [
        ("Version", format!("'{COMPATIBLE_VERSION}' (Lictor {})", env!("CARGO_PKG_VERSION"))),
        ("Build Date", "'1970-01-01 00:00:01 +0000 UTC'".to_owned()),
        ("Node ID", format!("'{node_id}'")),
        ("Node name", format!("'{}'", config.node_name)),
        ("Datacenter", format!("'{}' (Segment: '{segment}')", config.datacenter)),
        (
            "Server",
            format!("{} (Bootstrap: {})", config.server, config.server && config.bootstrap_expect == 1),
        ),
        (
            "Client Addr",
            format!(
                // This version has no HTTPS and no gRPC listener, whatever the ports say.
                "[{}] (HTTP: {}, HTTPS: -1, gRPC: -1, gRPC-TLS: -1, DNS: {})",
                clients.join(" "),
                port(config.ports.http),
                port(config.ports.dns)
            ),
        ),
        (
            "Cluster Addr",
            format!(
                "{} (LAN: {}, WAN: {})",
                config.advertise_addr,
                port(config.ports.serf_lan),
                port(config.ports.serf_wan)
            ),
        ),
        ("Gossip Encryption", encrypted.to_string()),
        ("Auto-Encrypt-TLS", "false".to_owned()),
        ("ACL Enabled", "false".to_owned()),
        ("ACL Default Policy", policy.to_owned()),
        ("HTTPS TLS", format!("{none}, Min Version: {}", min_version(config, "https"))),
        ("gRPC TLS", format!("Verify Incoming: false, Min Version: {}", min_version(config, "grpc"))),
        (
            "Internal RPC TLS",
            format!("{none} (Verify Hostname: false), Min Version: {}", min_version(config, "internal_rpc")),
        ),
    ];
    let mut out = String::from("==> Starting Lictor agent...\n");
    for (name, value) in rows {
        // Consul's servers tell of reports to HashiCorp before the policy.
        if config.server && name == "ACL Default Policy" {
            out.push_str("     Reporting Enabled: false\n");
        }
        out.push_str(&format!("{name:>22}: {value}\n"));
    }
    out.push_str("\n==> Log data will now stream in as it occurs:\n\n");
    out
}

/// The least version of TLS that a group asks for.
fn min_version<'a>(config: &'a RuntimeConfig, group: &str) -> &'a str {
    let of =
        |group: &str| config.written.get(&format!("tls.{group}.tls_min_version")).and_then(Value::as_str);
    let written = of(group).or_else(|| of("defaults")).unwrap_or("TLSv1_2");
    if written.is_empty() { "TLS_AUTO" } else { written }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_consuls_in_their_order_and_layout() {
        let mut config = RuntimeConfig { server: true, bootstrap_expect: 1, ..RuntimeConfig::default() };
        config.ports.serf_lan = Some(8301);
        let text = banner(&config, "6a5f", true);
        let (first, rest) = text.split_once("\n            Build Date").expect("two lines before");
        assert!(first.starts_with("==> Starting Lictor agent...\n               Version: '"), "{first}");
        let expected = [
            ": '1970-01-01 00:00:01 +0000 UTC'",
            "               Node ID: '6a5f'",
            "             Node name: 'node'",
            "            Datacenter: 'dc1' (Segment: '<all>')",
            "                Server: true (Bootstrap: true)",
            "           Client Addr: [127.0.0.1] (HTTP: 8500, HTTPS: -1, gRPC: -1, gRPC-TLS: -1, DNS: 8600)",
            "          Cluster Addr: 127.0.0.1 (LAN: 8301, WAN: -1)",
            "     Gossip Encryption: true",
            "      Auto-Encrypt-TLS: false",
            "           ACL Enabled: false",
            "     Reporting Enabled: false",
            "    ACL Default Policy: allow",
            "             HTTPS TLS: Verify Incoming: false, Verify Outgoing: false, Min Version: TLSv1_2",
            "              gRPC TLS: Verify Incoming: false, Min Version: TLSv1_2",
            "      Internal RPC TLS: Verify Incoming: false, Verify Outgoing: false (Verify Hostname: false), Min Version: TLSv1_2",
            "",
            "==> Log data will now stream in as it occurs:",
        ];
        assert_eq!(rest.lines().take(expected.len()).collect::<Vec<_>>(), expected);
        let client = banner(&RuntimeConfig::default(), "6a5f", false);
        assert!(client.contains("(Segment: '')") && client.contains("Gossip Encryption: false"));
        assert!(!client.contains("Reporting"), "{client}");
    }
}
