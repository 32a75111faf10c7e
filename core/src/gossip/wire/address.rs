//! IP addresses as memberlist writes them: 4 or 16 raw bytes.

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The raw form: 4 bytes for IPv4, 16 for IPv6.
pub fn ip_bytes(ip: IpAddr) -> Bytes {
    match ip {
        IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
    }
}

/// Reads the raw form. An IPv4 address in 16 bytes is the IPv4 address; any other length is none.
pub fn ip_from(raw: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(raw) {
        return Some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    let octets = <[u8; 16]>::try_from(raw).ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
}
