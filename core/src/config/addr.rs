//! Addresses in the configuration: lists, go-sockaddr templates, and the one to advertise.

use super::build::HostFacts;
use super::template;
use crate::strconv;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// One address of one network interface of the host. An interface with several is listed several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// How many leading bits of the address name its network.
    pub length: u8,
    /// It is switched on.
    pub up: bool,
    /// It has a carrier.
    pub running: bool,
    /// A loopback interface.
    pub loopback: bool,
    /// It reaches everybody on its network at once.
    pub broadcast: bool,
    /// It leads to one other end.
    pub point_to_point: bool,
    /// It takes part in multicast.
    pub multicast: bool,
    /// The default route goes through it.
    pub default_route: bool,
    /// The number that the system gave it.
    pub index: u32,
    /// The most bytes that one packet may have.
    pub mtu: u32,
    /// The address of its network card, as `02:00:00:00:00:01`; empty where it has none.
    pub hardware: String,
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

/// An address; in brackets only "any".
fn ip(text: &str) -> Option<IpAddr> {
    if text == "[::]" { Some(IpAddr::from([0; 16])) } else { text.parse().ok() }
}

/// The address to advertise when none is configured: `bind` itself, or for "any" the host's only
/// private IPv4 (or public IPv6) address.
pub(super) fn advertise_for(bind: IpAddr, host: &HostFacts) -> Result<IpAddr, String> {
    if !bind.is_unspecified() {
        return Ok(bind);
    }
    let up = || host.interfaces.iter().filter(|i| i.up);
    let outside: Vec<IpAddr> = up().filter(|i| !i.loopback).map(|i| i.address).collect();
    let all = if outside.is_empty() { up().map(|i| i.address).collect() } else { outside };
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

/// Replaces every `{{ ... }}`. `key` is for messages.
fn expand(key: &str, text: &str, host: &HostFacts) -> Result<String, String> {
    template::expand(text, host)
        .map_err(|why| format!("{key}: error parsing {}: {why}", strconv::quote(text.as_bytes())))
}

/// Names or addresses, each of which may be a template that stands for several.
pub(super) fn names(key: &str, texts: &[String], host: &HostFacts, errors: &mut Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        // What Consul hands to go-discover. The rest of it may hold secrets.
        if let Some((_, provider)) = text.split_once("provider=") {
            let provider = provider.split_whitespace().next().unwrap_or_default();
            errors.push(format!(
                "{key}: cloud join (provider={provider}) is not built: name host names or addresses instead"
            ));
            continue;
        }
        match expand(key, text, host) {
            Err(why) => errors.push(why),
            Ok(same) if same == *text => all.push(same),
            Ok(expanded) => all.extend(expanded.split_whitespace().map(String::from)),
        }
    }
    all
}
