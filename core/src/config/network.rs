//! Networks: an address and how many of its leading bits count.

use core::net::IpAddr;

/// All addresses that begin like this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address in it.
    pub address: IpAddr,
    /// How many bits an address must share: at most 32, or 128 for IPv6.
    pub length: u8,
}

impl Network {
    /// `address/length`, as Go's `net.ParseCIDR` reads it.
    pub(super) fn parse(text: &str) -> Option<Network> {
        let (address, length) = text.split_once('/')?;
        let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
        (digits && length <= bits(address)).then_some(Network { address, length })
    }

    /// Whether `ip` is in it. IPv4 written as IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.address.is_ipv4() && self.first(ip) == self.first(self.address)
    }

    /// The bits of `ip` that count.
    fn first(&self, ip: IpAddr) -> u128 {
        let rest = u32::from(bits(ip) - self.length);
        number(ip).checked_shr(rest).unwrap_or(0)
    }
}

/// How many bits an address of this family has.
pub(super) fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The address as a number.
pub(super) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_leading_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("192.168.5.9/23", "192.168.4.1", "192.168.6.1"),
            ("0.0.0.0/0", "::ffff:1.2.3.4", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "::1", "1.2.3.4"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network:?} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "::/129", "a/8", "10.0.0.0/", "/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
