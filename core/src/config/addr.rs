//! Addresses in the configuration: lists, go-sockaddr templates, and the one to advertise.

use super::build::HostFacts;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// One address of one network interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// One of its addresses; an interface with several is listed several times.
    pub address: IpAddr,
    /// A loopback interface.
    pub loopback: bool,
    /// The default route goes through it.
    pub default_route: bool,
}

/// Where a listener binds: an address, or a socket file for HTTP and gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Ip(IpAddr),
    Unix(String),
}

/// A space-separated list of addresses, templates and `unix://` paths. `key` is for messages.
pub(super) fn list(key: &str, text: &str, host: &HostFacts) -> Result<Vec<Place>, String> {
    let expanded = expand(key, text, host)?;
    let mut places: Vec<Place> = Vec::new();
    for word in expanded.split_whitespace() {
        let place = match word.strip_prefix("unix://") {
            Some(path) => Place::Unix(path.into()),
            None => Place::Ip(ip(word).ok_or_else(|| format!("{key}: invalid ip address: {word}"))?),
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

/// The first address of a list that must hold exactly one.
pub(super) fn single(key: &str, text: &str, host: &HostFacts) -> Result<Option<IpAddr>, String> {
    let places = list(key, text, host)?;
    match places.as_slice() {
        [] => Ok(None),
        [Place::Ip(ip)] => Ok(Some(*ip)),
        [Place::Unix(_)] => Err(format!("{key} cannot be a unix socket")),
        several => {
            let all = several.iter().map(Place::to_string).collect::<Vec<_>>().join(" ");
            Err(format!("{key}: multiple addresses found: {all}"))
        }
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Place::Ip(ip) => ip.fmt(f),
            Place::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

/// An address, with or without the brackets of IPv6.
fn ip(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

/// The address to advertise when none is configured: `bind` itself, or for "any" the host's only
/// private IPv4 (or public IPv6) address.
pub(super) fn advertise_for(bind: IpAddr, host: &HostFacts) -> Result<IpAddr, String> {
    if !bind.is_unspecified() {
        return Ok(bind);
    }
    let outside: Vec<IpAddr> = host.interfaces.iter().filter(|i| !i.loopback).map(|i| i.address).collect();
    let all = if outside.is_empty() { host.interfaces.iter().map(|i| i.address).collect() } else { outside };
    let (what, mut found): (_, Vec<IpAddr>) = match bind {
        IpAddr::V4(_) => {
            ("private IPv4", all.into_iter().filter(|a| a.is_ipv4() && is_private(*a)).collect())
        }
        IpAddr::V6(_) => {
            ("public IPv6", all.into_iter().filter(|a| a.is_ipv6() && !is_private(*a)).collect())
        }
    };
    found.dedup();
    match found.as_slice() {
        [] => Err(format!("No {what} address found")),
        [one] => Ok(*one),
        _ => Err(format!(
            "Multiple {what} addresses found. Please configure one with 'bind' and/or 'advertise'."
        )),
    }
}

/// Addresses not routed on the internet (RFC 6890).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            matches!((a, b, c), (10 | 127, _, _) | (169, 254, _) | (192, 168, _) | (192, 0, 0 | 2))
                || (a == 172 && (16..32).contains(&b))
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            v6.is_loopback()
                || first & 0xffc0 == 0xfe80
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfec0
                || (first == 0x2001 && second == 0xdb8)
        }
    }
}

/// Replaces every `{{ ... }}`.
pub(super) fn expand(key: &str, text: &str, host: &HostFacts) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let fail = |why: String| format!("{key}: error parsing {}: {why}", quoted(text));
        let (expression, after) = after.split_once("}}").ok_or_else(|| fail("unclosed action".into()))?;
        out.push_str(before);
        out.push_str(&template(expression.trim(), host).map_err(fail)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The few templates of go-sockaddr that configurations use; an empty answer is not an error.
fn template(expression: &str, host: &HostFacts) -> Result<String, String> {
    let mut words = expression.split_whitespace();
    let (name, argument) = (words.next().unwrap_or(""), words.next());
    if words.next().is_some() {
        return Err(not_built(expression));
    }
    let matching = |wanted: &dyn Fn(&Interface) -> bool| -> Vec<String> {
        let mut found: Vec<IpAddr> =
            host.interfaces.iter().filter(|i| wanted(i)).map(|i| i.address).collect();
        found.sort_by_key(IpAddr::is_ipv6);
        found.iter().map(IpAddr::to_string).collect()
    };
    let on_default = |private: bool| {
        matching(&|i| i.default_route && !i.loopback && is_forwardable_private(i.address) == private)
    };
    let found = match (name, argument) {
        ("GetPrivateIP" | "GetPrivateIPs", None) => on_default(true),
        ("GetPublicIP" | "GetPublicIPs", None) => on_default(false),
        ("GetInterfaceIP" | "GetInterfaceIPs", Some(quoted)) => {
            let name = quoted.trim_matches('"');
            matching(&|i| i.name == name)
        }
        _ => return Err(not_built(expression)),
    };
    let found =
        if name.ends_with('s') { found.join(" ") } else { found.into_iter().next().unwrap_or_default() };
    Ok(found)
}

/// What go-sockaddr calls private: RFC 1918, RFC 6598 and RFC 4193.
fn is_forwardable_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xfe00 == 0xfc00,
    }
}

fn not_built(expression: &str) -> String {
    format!(
        "template {} is not built yet in this version (built: GetPrivateIP, GetPrivateIPs, GetPublicIP, \
         GetPublicIPs, GetInterfaceIP \"name\", GetInterfaceIPs \"name\")",
        quoted(expression)
    )
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// `address/length`.
pub(super) fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
}
