//! One address of an interface with its network, and what can be asked of it.

use super::super::addr::Interface;
use super::super::network::{bits, number};
use super::ranges;
use crate::strconv;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addr {
    pub(super) name: String,
    pub(super) ip: IpAddr,
    /// Length of its network's prefix.
    pub(super) length: u8,
    /// The interface's flags, as Go names them.
    pub(super) flags: Vec<&'static str>,
    pub(super) default_route: bool,
    pub(super) index: u32,
    pub(super) mtu: u32,
    /// The address of its network card, empty where it has none.
    pub(super) hardware: String,
}

impl Addr {
    pub(super) fn of(interface: &Interface) -> Addr {
        let flags = [
            (interface.up, "up"),
            (interface.broadcast, "broadcast"),
            (interface.loopback, "loopback"),
            (interface.point_to_point, "pointtopoint"),
            (interface.multicast, "multicast"),
            (interface.running, "running"),
        ];
        Addr {
            name: interface.name.clone(),
            ip: interface.address,
            length: interface.length.min(bits(interface.address)),
            flags: flags.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect(),
            default_route: interface.default_route,
            index: interface.index,
            mtu: interface.mtu,
            hardware: interface.hardware.clone(),
        }
    }

    /// The address and its interface.
    pub(super) fn described(&self) -> String {
        format!("{self} {}", self.interface())
    }

    /// The interface: number, most bytes of a packet, name, card and flags.
    pub(super) fn interface(&self) -> String {
        let flags = if self.flags.is_empty() { "0".into() } else { self.flags.join("|") };
        format!("{{{} {} {} {} {flags}}}", self.index, self.mtu, self.name, self.hardware)
    }

    /// The flags as the number that Go makes of them.
    pub(super) fn flag_bits(&self) -> u64 {
        let known = ["up", "broadcast", "loopback", "pointtopoint", "multicast", "running"];
        known.iter().enumerate().filter(|(_, name)| self.flags.contains(name)).map(|(n, _)| 1 << n).sum()
    }

    fn width(&self) -> u8 {
        bits(self.ip)
    }

    /// The bits that belong to the host rather than to the network.
    pub(super) fn host_bits(&self) -> u128 {
        let free = u32::from(self.width() - self.length);
        1_u128.checked_shl(free).unwrap_or(0).wrapping_sub(1)
    }

    pub(super) fn first(&self) -> u128 {
        number(self.ip) & !self.host_bits()
    }

    pub(super) fn last(&self) -> u128 {
        number(self.ip) | self.host_bits()
    }

    /// The same place in the family of this address, whatever does not fit cut off.
    pub(super) fn at(&self, number: u128) -> IpAddr {
        match self.ip {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }

    /// Whether all of the other's network lies in this one.
    pub(super) fn contains(&self, other: &Addr) -> bool {
        self.ip.is_ipv4() == other.ip.is_ipv4()
            && self.first() <= other.first()
            && self.last() >= other.last()
    }

    /// `address/length`, or an address by itself.
    pub(super) fn parse(text: &str) -> Option<Addr> {
        let (ip, length) = match super::super::network::Network::parse(text) {
            Some(network) => (network.address, network.length),
            None => {
                let ip: IpAddr = text.parse().ok()?;
                (ip, bits(ip))
            }
        };
        Some(Addr {
            name: String::new(),
            ip,
            length,
            flags: Vec::new(),
            default_route: false,
            index: 0,
            mtu: 0,
            hardware: String::new(),
        })
    }

    /// Not routed on the internet, in the sense of RFC 6890.
    pub(super) fn is_private(&self) -> bool {
        ranges::of(6890).is_some_and(|ranges| ranges::hold(ranges, self))
    }

    /// Routers may pass it on.
    pub(super) fn is_forwardable(&self) -> bool {
        !ranges::hold(ranges::NOT_FORWARDED, self)
    }

    pub(super) fn is_up(&self) -> bool {
        self.flags.contains(&"up")
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length == self.width() {
            true => self.ip.fmt(f),
            false => write!(f, "{}/{}", self.ip, self.length),
        }
    }
}

/// What an address has under this name, or that it has no such thing.
pub(super) fn attribute(name: &str, addr: &Addr) -> Result<String, String> {
    let v4 = addr.ip.is_ipv4();
    let inner = u128::from(v4 && addr.length < 31);
    Ok(match name.to_lowercase().as_str() {
        "name" => addr.name.clone(),
        // An interface without flags has no such attribute, as in go-sockaddr.
        "flags" => addr.flags.join("|"),
        "address" | "host" => addr.ip.to_string(),
        "port" => "0".into(),
        "netmask" => addr.at(!addr.host_bits()).to_string(),
        "network" => addr.at(addr.first()).to_string(),
        "mask_bits" => addr.length.to_string(),
        "binary" => format!("{:0width$b}", number(addr.ip), width = usize::from(addr.width())),
        "hex" => format!("{:0width$x}", number(addr.ip), width = usize::from(addr.width() / 4)),
        "first_usable" => addr.at(addr.first() + inner).to_string(),
        "last_usable" => addr.at(addr.last() - inner).to_string(),
        "octets" => {
            let bytes = match addr.ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
        }
        "size" => match addr.host_bits().checked_add(1) {
            Some(size) => size.to_string(),
            // Two to the power of 128.
            None => "340282366920938463463374607431768211456".into(),
        },
        "broadcast" if v4 => addr.at(addr.last()).to_string(),
        "uint32" if v4 => number(addr.ip).to_string(),
        "uint128" if !v4 => number(addr.ip).to_string(),
        "string" => addr.to_string(),
        "type" => if v4 { "IPv4" } else { "IPv6" }.into(),
        name => return Err(format!("unsupported attribute name {}", strconv::quote(name.as_bytes()))),
    })
}

/// `math`: another address, counted from this one or from the edges of its network.
pub(super) fn math(operation: &str, value: &str, addr: &Addr) -> Result<Addr, String> {
    let shown = strconv::quote(operation.as_bytes());
    let convert = |why: String| {
        format!("unable to convert {} to int for operation {shown}: {why}", strconv::quote(value.as_bytes()))
    };
    let v4 = addr.ip.is_ipv4();
    match operation.to_lowercase().as_str() {
        kind @ ("address" | "network") => {
            if !value.trim_start().starts_with(['+', '-']) {
                return Err(format!("sign (+/-) is required for operation {shown}"));
            }
            let by = decimal(value, if v4 { 33 } else { 64 }).map_err(convert)?;
            let to = match kind {
                "address" => number(addr.ip).wrapping_add_signed(i128::from(by)),
                _ if by >= 0 => addr.first() + (u128::from(by.unsigned_abs()) & addr.host_bits()),
                _ => addr.last() - (u128::from(by.unsigned_abs() - 1) & addr.host_bits()),
            };
            Ok(Addr { ip: addr.at(to), ..addr.clone() })
        }
        "mask" => {
            let length = decimal_unsigned(value).map_err(convert)?;
            if length > u64::from(addr.width()) {
                let (family, most) = if v4 { ("ipv4", 32) } else { ("ipv6", 64) };
                return Err(format!(
                    "parameter for operation {shown} on {family} addresses must be between 0 and {most}"
                ));
            }
            let masked = Addr { length: length as u8, ..addr.clone() };
            Ok(Addr { ip: addr.at(masked.first()), length: addr.length.min(length as u8), ..addr.clone() })
        }
        _ => Err(format!("unsupported math operation: {shown}")),
    }
}

/// `strconv.ParseInt(text, 10, bits)`.
fn decimal(text: &str, bits: u32) -> Result<i64, String> {
    let why = |what| format!("strconv.ParseInt: parsing {}: {what}", strconv::quote(text.as_bytes()));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(why("invalid syntax"));
    }
    let most = 1_i128 << (bits - 1);
    match text.parse::<i128>() {
        Ok(n) if n >= -most && n < most => Ok(n as i64),
        _ => Err(why("value out of range")),
    }
}

/// `strconv.ParseUint(text, 10, 32)`.
pub(super) fn decimal_unsigned(text: &str) -> Result<u64, String> {
    let why = |what| format!("strconv.ParseUint: parsing {}: {what}", strconv::quote(text.as_bytes()));
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(why("invalid syntax"));
    }
    text.parse::<u64>().map_err(|_| why("value out of range"))
}
