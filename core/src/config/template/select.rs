//! `include` and `exclude`: addresses that have something, and those that have not.
//!
//! Where several things are asked for at once, an address may come out several times, or on both sides: that
//! is how go-sockaddr does it, and configurations count on the first one only.

use super::addr::{Addr, decimal_unsigned};
use super::{ranges, sort};
use crate::{pattern, strconv};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Those that fit, and the others.
type Parted = (Vec<Addr>, Vec<Addr>);

/// Memory that a compiled pattern may take, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// The addresses that have what is asked for, or those that have not.
pub(super) fn select(include: bool, by: &str, what: &str, all: &[Addr]) -> Result<Vec<Addr>, String> {
    let (fitting, others) = match by.to_lowercase().as_str() {
        "address" => by_pattern("address", what, all, |a| format!("{a}"))?,
        "flag" | "flags" => by_flags(what, all)?,
        "name" => by_name(what, all)?,
        "network" => by_networks(what, all)?,
        "port" => by_pattern("port", what, all, |_| String::from("0"))?,
        "rfc" | "rfcs" => by_rfcs(what, all)?,
        "size" => by_size(what, all)?,
        "type" => by_types(what, all)?,
        _ => {
            let verb = if include { "include" } else { "exclude" };
            return Err(format!("invalid {verb} selector {}", quoted(by)));
        }
    };
    Ok(if include { fitting } else { others })
}

fn quoted(text: &str) -> String {
    strconv::quote(text.as_bytes())
}

fn part(all: &[Addr], fits: impl Fn(&Addr) -> bool) -> Parted {
    all.iter().cloned().partition(|a| fits(a))
}

/// Private or public addresses of interfaces that are up, those of the default route first.
pub(super) fn routable(all: &[Addr], private: bool) -> Vec<Addr> {
    let up: Vec<Addr> = all.iter().filter(|a| a.is_forwardable() && a.is_up()).cloned().collect();
    let mut sorted = sort::by("default,type,size", &up).unwrap_or_default();
    sorted.retain(|a| a.is_private() == private);
    sorted
}

/// Private or public addresses of any interface.
pub(super) fn everywhere(all: &[Addr], private: bool) -> Vec<Addr> {
    let mut sorted = sort::by("type,size", all).unwrap_or_default();
    sorted.retain(|a| a.is_private() == private && (!private || a.is_forwardable()));
    sorted
}

/// By a pattern that the interface's name matches.
pub(super) fn by_name(what: &str, all: &[Addr]) -> Result<Parted, String> {
    by_pattern("name", what, all, |a| a.name.clone())
}

fn by_pattern(kind: &str, what: &str, all: &[Addr], of: impl Fn(&Addr) -> String) -> Result<Parted, String> {
    let mut limits = pattern::Limits { compiled: PATTERN_BYTES, folds: 8 * pattern::ALL_CHARACTERS };
    let compiled = pattern::compile(what.as_bytes(), &mut limits)
        .map_err(|why| format!("Unable to compile {kind} regexp {}: {why}", quoted(what)))?;
    Ok(part(all, |a| compiled.is_match(of(a).as_bytes())))
}

fn by_networks(what: &str, all: &[Addr]) -> Result<Parted, String> {
    each(what, all, |text| {
        let network = Addr::parse(text);
        let network = network.ok_or_else(|| {
            format!("unable to create an IP address from {}: invalid IPAddr {text}", quoted(text))
        })?;
        Ok(part(all, |a| network.contains(a)))
    })
}

fn by_rfcs(what: &str, all: &[Addr]) -> Result<Parted, String> {
    each(what, all, |text| {
        let failed = |why: String| format!("unable to lookup RFC number {}: {why}", quoted(text));
        let rfc = decimal_unsigned(text)
            .map_err(|why| failed(format!("unable to parse RFC number {}: {why}", quoted(text))))?;
        let ranges = ranges::of(rfc).ok_or_else(|| failed(format!("unsupported RFC {rfc}")))?;
        Ok(part(all, |a| ranges::hold(ranges, a)))
    })
}

/// What each of the words between bars gives, one behind the other.
fn each(what: &str, all: &[Addr], one: impl Fn(&str) -> Result<Parted, String>) -> Result<Parted, String> {
    let mut parted: Parted = (Vec::with_capacity(all.len()), Vec::new());
    for word in what.split('|').take(MAX_WORDS) {
        let (fitting, others) = one(word)?;
        parted.0.extend(fitting);
        parted.1.extend(others);
    }
    Ok(parted)
}

/// More words between bars are not looked at.
const MAX_WORDS: usize = 64;

fn by_size(what: &str, all: &[Addr]) -> Result<Parted, String> {
    let size = decimal_unsigned(what)
        .map_err(|why| format!("invalid exclude size argument ({}): {why}", quoted(what)))?;
    for addr in all {
        let (family, most) = if addr.ip.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
        if size > most {
            return Err(format!("mask size out of bounds for {family} address: {size}"));
        }
    }
    Ok(part(all, |a| u64::from(a.length) == size))
}

fn by_types(what: &str, all: &[Addr]) -> Result<Parted, String> {
    let lower = what.to_lowercase();
    let types: Vec<&str> = lower.split('|').take(MAX_WORDS).collect();
    if let Some(bad) = types.iter().find(|t| !matches!(**t, "ip" | "ipv4" | "ipv6" | "unix")) {
        return Err(format!("unsupported type {} {}", quoted(bad), quoted(what)));
    }
    let mut parted: Parted = (Vec::new(), Vec::new());
    for addr in all {
        for kind in &types {
            let fits = match *kind {
                "ip" => true,
                "ipv4" => addr.ip.is_ipv4(),
                "ipv6" => addr.ip.is_ipv6(),
                _ => false,
            };
            if fits { parted.0.push(addr.clone()) } else { parted.1.push(addr.clone()) }
        }
    }
    Ok(parted)
}

/// What an address itself may be.
type Property = fn(&Addr) -> bool;

/// Flags of the interface must all be there, or one of the address's own properties.
fn by_flags(what: &str, all: &[Addr]) -> Result<Parted, String> {
    let lower = what.to_lowercase();
    let (mut flags, mut properties) = (None::<Vec<&str>>, Vec::<Property>::new());
    for word in lower.split('|').take(MAX_WORDS) {
        let (flag, property): (Option<&str>, Option<Property>) = match word {
            "broadcast" | "up" => (Some(word), None),
            // Asks for nothing, as in go-sockaddr.
            "down" => (Some(""), None),
            "point-to-point" => (Some("pointtopoint"), None),
            "loopback" => (Some(word), Some(|a| a.ip.is_loopback())),
            "multicast" => (Some(word), Some(|a| a.ip.is_multicast())),
            "forwardable" => (None, Some(Addr::is_forwardable)),
            "global unicast" => (None, Some(is_global_unicast)),
            "interface-local multicast" => (None, Some(|a| multicast_scope(a.ip) == Some(1))),
            "link-local multicast" => (None, Some(is_link_local_multicast)),
            "link-local unicast" => (None, Some(is_link_local)),
            "unspecified" => (None, Some(|a| a.ip.is_unspecified())),
            _ => return Err(format!("Unknown interface flag: {}", quoted(word))),
        };
        if let Some(flag) = flag {
            flags.get_or_insert_default().extend((!flag.is_empty()).then_some(flag));
        }
        properties.extend(property);
    }
    Ok(part(all, |a| {
        flags.as_ref().is_some_and(|flags| flags.iter().all(|flag| a.flags.contains(flag)))
            || properties.iter().any(|has| has(a))
    }))
}

fn is_link_local(addr: &Addr) -> bool {
    match addr.ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(addr: &Addr) -> bool {
    match addr.ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(_) => multicast_scope(addr.ip) == Some(2),
    }
}

/// The scope of an IPv6 multicast address.
fn multicast_scope(ip: IpAddr) -> Option<u16> {
    match ip {
        IpAddr::V6(ip) if ip.is_multicast() => Some(ip.segments()[0] & 0xf),
        _ => None,
    }
}

fn is_global_unicast(addr: &Addr) -> bool {
    let ip = addr.ip;
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(broadcast || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_link_local(addr))
}
