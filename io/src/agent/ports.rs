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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_named_with_the_systems_words_and_the_key_to_change() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (tcp, udp) =
            (listener.local_addr().expect("an address"), socket.local_addr().expect("an address"));
        let refused = |what, network: &str, at: SocketAddr, key: &str| {
            let (streams, datagrams) = ([(what, tcp)], [(what, udp)]);
            let said = if network == "tcp" { check(&streams, &[]) } else { check(&[], &datagrams) };
            let why = format!(
                "failed to start {what} server: listen {network} {at}: bind: address already in use; free the port \
                 or set ports.{key} in the configuration"
            );
            assert_eq!(said, Err(why));
        };
        for (what, key) in [("HTTP", "http"), ("DNS", "dns"), ("LAN Serf", "serf_lan")] {
            refused(what, "tcp", tcp, key);
        }
        for (what, key) in [("DNS", "dns"), ("WAN Serf", "serf_wan")] {
            refused(what, "udp", udp, key);
        }
        refused("RPC", "tcp", tcp, "server");
        drop(listener);
        assert_eq!(check(&[("HTTP", tcp)], &[]), Ok(()), "looking at it does not keep it");
    }
}
