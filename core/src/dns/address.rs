//! Which of an instance's or a node's addresses an answer gives.

use core::net::IpAddr;

/// The families a question wants. Host names are always welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
    Any,
}

impl Family {
    fn has(self, ip: IpAddr) -> bool {
        self == Family::Any || self == if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// An address of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address<'a> {
    Ip(IpAddr),
    Host(&'a str),
}

impl<'a> Address<'a> {
    /// Reads one; `None` if there is none. An IPv4 address in IPv6's clothes is IPv4.
    pub(super) fn of(text: &'a str) -> Option<Address<'a>> {
        if text.is_empty() {
            return None;
        }
        Some(match text.parse::<IpAddr>() {
            Ok(ip) => Address::Ip(ip.to_canonical()),
            Err(_) => Address::Host(text),
        })
    }
}

/// Chooses among the main address and the tagged `lan_ipv4` and `lan_ipv6`: a tagged address of a
/// wanted family wins, IPv6 first, over the main one. Empty if none will do.
pub(super) fn choose<'a>(main: &'a str, v4: Option<&'a str>, v6: Option<&'a str>, want: Family) -> &'a str {
    let tagged = |text: Option<&'a str>, family| {
        text.filter(|text| !text.is_empty() && (want == Family::Any || want == family))
    };
    if let Some(text) = tagged(v6, Family::V6).or(tagged(v4, Family::V4)) {
        return text;
    }
    match Address::of(main) {
        Some(Address::Ip(ip)) if !want.has(ip) => "",
        _ => main,
    }
}
