//! What the agent prints before its log starts, in Consul's form.

use lictor_core::COMPATIBLE_VERSION;
use lictor_core::config::RuntimeConfig;

/// The lines.
pub(super) fn banner(config: &RuntimeConfig, node_id: &str) -> String {
    let port = |p: Option<u16>| p.map_or_else(|| "-1".to_owned(), |p| p.to_string());
    let clients: Vec<String> = config.client_addrs.iter().map(ToString::to_string).collect();
    let rows = [
        ("Version", format!("'{COMPATIBLE_VERSION}' (Lictor {})", env!("CARGO_PKG_VERSION"))),
        ("Node ID", format!("'{node_id}'")),
        ("Node name", format!("'{}'", config.node_name)),
        ("Datacenter", format!("'{}' (Segment: '<all>')", config.datacenter)),
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
        ("Cluster Addr", format!("{}", config.advertise_addr)),
    ];
    let mut out = String::from("==> Starting Lictor agent...\n");
    for (name, value) in rows {
        out.push_str(&format!("{name:>22}: {value}\n"));
    }
    out.push_str("\n==> Log data will now stream in as it occurs:\n\n");
    out
}
