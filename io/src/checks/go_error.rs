//! Network errors in Go's words, which Consul's users read and search for.

use std::io::{Error, ErrorKind};

/// `dial tcp 127.0.0.1:1: connect: connection refused` and its relatives.
pub(super) fn dial(address: &str, e: &Error) -> String {
    let cause = match e.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::TimedOut => "i/o timeout".to_owned(),
        ErrorKind::InvalidInput => "missing port in address".to_owned(),
        // A failed lookup has no error code of its own.
        _ if e.raw_os_error().is_none() => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            return format!("dial tcp: lookup {host}: no such host");
        }
        _ => e.to_string(),
    };
    format!("dial tcp {address}: {cause}")
}
