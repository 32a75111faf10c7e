//! Ports are looked at before anything is written: a taken port is the commonest reason not to start.

use crate::go_error::cause;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Binds each address once without sharing it, and lets go again.
///
/// # Errors
/// Names the address and the way out.
pub(super) fn check(
    tcp: &[(&'static str, SocketAddr)],
    udp: &[(&'static str, SocketAddr)],
) -> Result<(), String> {
    for (what, address) in tcp {
        TcpListener::bind(address).map_err(|e| taken(what, "tcp", *address, &e))?;
    }
    for (what, address) in udp {
        UdpSocket::bind(address).map_err(|e| taken(what, "udp", *address, &e))?;
    }
    Ok(())
}

fn taken(what: &str, network: &str, address: SocketAddr, e: &std::io::Error) -> String {
    let key = match what {
        "LAN Serf" => "serf_lan",
        "WAN Serf" => "serf_wan",
        "RPC" => "server",
        "DNS" => "dns",
        _ => "http",
    };
    format!(
        "failed to start {what} server: listen {network} {address}: bind: {}; free the port or set ports.{key} in the configuration",
        cause(e)
    )
}
