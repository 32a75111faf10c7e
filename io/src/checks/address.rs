//! `host:port` as Go reads it, and its words for what it cannot read.

use std::net::SocketAddr;

/// Host without brackets, and port.
pub(super) fn split<'a>(network: &str, address: &'a str) -> Result<(&'a str, u16), String> {
    let wrong = |why: &str| Err(format!("dial {network}: address {address}: {why}"));
    let Some((host, port)) = address.rsplit_once(':') else { return wrong("missing port in address") };
    let host = if let Some(inner) = host.strip_prefix('[') {
        match inner.strip_suffix(']') {
            Some(inner) => inner,
            None if address.contains(']') => return wrong("missing port in address"),
            None => return wrong("missing ']' in address"),
        }
    } else if host.contains(':') {
        return wrong("too many colons in address");
    } else {
        host
    };
    match port.parse::<u16>() {
        Ok(number) => Ok((host, number)),
        Err(_) if port.is_empty() => Ok((host, 0)),
        Err(_) if port.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("dial {network}: address {port}: invalid port"))
        }
        Err(_) => Err(format!("dial {network}: lookup {network}/{port}: unknown port")),
    }
}

/// The socket addresses of `host:port`; never empty. No host means this one.
pub(super) async fn resolve(network: &str, address: &str) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = split(network, address)?;
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let found: Vec<SocketAddr> =
        tokio::net::lookup_host((host, port)).await.map(Iterator::collect).unwrap_or_default();
    match found.is_empty() {
        true => Err(format!("dial {network}: lookup {host}: no such host")),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_refused_as_go_does() {
        assert_eq!(split("tcp", "a:1"), Ok(("a", 1)));
        assert_eq!(split("tcp", "[::1]:80"), Ok(("::1", 80)));
        assert_eq!(split("tcp", ":80"), Ok(("", 80)));
        for (address, why) in [
            ("127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"),
            ("[::1]", "dial tcp: address [::1]: missing port in address"),
            ("::1:80", "dial tcp: address ::1:80: too many colons in address"),
            ("h:99999", "dial tcp: address 99999: invalid port"),
            ("h:abc", "dial tcp: lookup tcp/abc: unknown port"),
        ] {
            assert_eq!(split("tcp", address), Err(why.to_owned()));
        }
    }
}
