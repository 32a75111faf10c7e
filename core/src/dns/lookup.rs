//! What a name inside our domain asks for.

use super::qname::{QName, Text};
use super::query::qtype;
use core::net::IpAddr;

/// Which datacenter a name is in.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one answer")]
pub(super) enum At {
    /// Ours.
    Here,
    /// This one, in lower case.
    There(Text),
}

/// A name, understood.
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one answer: the hot path allocates nothing"
)]
pub(super) enum Lookup {
    /// `[tag.]<service>.service[.<dc>]`, or the form of RFC 2782.
    Service { name: Text, tag: Option<Text>, at: At },
    /// `<node>.node[.<dc>]`; the name may hold dots.
    Node { name: Text, at: At },
    /// `<name or ID>.query[.<dc>]`, and SRV questions in the form of RFC 2782; the name may hold dots.
    Query { name: Text, at: At },
    /// `<hex>.addr`.
    Address { ip: IpAddr },
    /// Neither records nor an error. `<service>.virtual`: there are no virtual addresses without the mesh;
    /// nodes of another datacenter, asked for something that no node has.
    Empty,
    /// Nothing of ours; mesh and ingress names end here until they exist.
    Nothing,
}

/// Reads the labels of `name` before `end`, where our domain begins. `datacenter` is our own. Names of peers are
/// not found: there are none.
pub(super) fn understand(name: &QName, end: usize, kind: u16, datacenter: &str) -> Lookup {
    let found = (0..end).rev().find_map(|i| Some((i, Word::of(name.label(i), kind)?)));
    match found {
        Some((i, Word::Service)) => service(name, i, Place::of(name, i + 1, end, datacenter)),
        // The word may be left out: the label is part of the name.
        Some((i, Word::Underscored)) => service(name, i + 1, Place::of(name, i + 1, end, datacenter)),
        Some((i, Word::Node)) => match (Place::of(name, i + 1, end, datacenter), name.text(0, i)) {
            (Place::Here, Some(text)) if i > 0 => Lookup::Node { name: text, at: At::Here },
            (Place::There(_) | Place::Peer, Some(_)) if i > 0 && !qtype::of_nodes(kind) => Lookup::Empty,
            (Place::There(there), Some(text)) if i > 0 => Lookup::Node { name: text, at: At::There(there) },
            _ => Lookup::Nothing,
        },
        Some((i @ 1.., Word::Query)) => query(name, i, end, datacenter),
        // Wherever it is said to be: the answer is in the question.
        Some((1, Word::Addr)) => address(name.label(0)).map_or(Lookup::Nothing, |ip| Lookup::Address { ip }),
        Some((1.., Word::Virtual)) => match Place::of(name, i_after(found), end, datacenter) {
            Place::Nowhere => Lookup::Nothing,
            Place::Here | Place::There(_) | Place::Peer => Lookup::Empty,
        },
        _ => Lookup::Nothing,
    }
}

fn i_after(found: Option<(usize, Word)>) -> usize {
    found.map_or(0, |(i, _)| i + 1)
}

#[derive(Clone, Copy)]
enum Word {
    Service,
    Underscored,
    Node,
    Addr,
    Virtual,
    Query,
    /// Known to Consul, not built here.
    Other,
}

impl Word {
    fn of(label: &[u8], kind: u16) -> Option<Word> {
        let is = |word: &str| label.eq_ignore_ascii_case(word.as_bytes());
        Some(match label.len() {
            7 if is("service") => Word::Service,
            4 if is("node") => Word::Node,
            4 if is("addr") => Word::Addr,
            7 if is("virtual") => Word::Virtual,
            7 if is("connect") || is("ingress") => Word::Other,
            5 if is("query") => Word::Query,
            _ if kind == qtype::SRV && label.first() == Some(&b'_') => Word::Underscored,
            _ => return None,
        })
    }
}

#[expect(clippy::large_enum_variant, reason = "lives on the stack for one answer")]
enum Place {
    Here,
    /// In this datacenter.
    There(Text),
    /// At a peer.
    Peer,
    /// Not a place at all.
    Nowhere,
}

impl Place {
    /// Reads what follows the kind of a name: nothing, `<dc>`, `<dc>.dc`, `<peer>.peer`.
    fn of(name: &QName, from: usize, end: usize, datacenter: &str) -> Place {
        let here = |i: usize| name.label(i).eq_ignore_ascii_case(datacenter.as_bytes());
        let is = |i: usize, word: &str| name.label(i).eq_ignore_ascii_case(word.as_bytes());
        let there = |i| name.text(i, i + 1).map_or(Place::Nowhere, |label| Place::There(label.lower()));
        match end - from {
            0 => Place::Here,
            1 if here(from) => Place::Here,
            2 if is(from + 1, "dc") && here(from) => Place::Here,
            1 => there(from),
            2 if is(from + 1, "dc") => there(from),
            2 if is(from + 1, "peer") => Place::Peer,
            _ => Place::Nowhere,
        }
    }
}

/// The labels before `n` name a prepared query. What follows is a datacenter or nothing.
fn query(name: &QName, n: usize, end: usize, datacenter: &str) -> Lookup {
    let at = match end - n - 1 {
        0 => At::Here,
        1 if name.label(n + 1).eq_ignore_ascii_case(datacenter.as_bytes()) => At::Here,
        1 => match name.text(n + 1, end) {
            Some(there) => At::There(there.lower()),
            None => return Lookup::Nothing,
        },
        _ => return Lookup::Nothing,
    };
    let underscored = |i: usize| name.label(i).first() == Some(&b'_');
    let text = match n >= 2 && underscored(0) && underscored(n - 1) {
        true => name.text(0, n - 1).map(Text::skip_first),
        false => name.text(0, n),
    };
    text.map_or(Lookup::Nothing, |text| Lookup::Query { name: text.lower(), at })
}

/// The labels before `n` name a service, perhaps with a tag.
fn service(name: &QName, n: usize, place: Place) -> Lookup {
    let underscored = |i: usize| name.label(i).first() == Some(&b'_');
    let at = match place {
        Place::Here if n > 0 => At::Here,
        Place::There(there) if n > 0 => At::There(there),
        _ => return Lookup::Nothing,
    };
    if n == 2 && underscored(0) && underscored(1) {
        let (Some(service), Some(tag)) = (name.text(0, 1), name.text(1, 2)) else { return Lookup::Nothing };
        let tag = Some(tag.skip_first()).filter(|tag| !tag.as_str().eq_ignore_ascii_case("tcp"));
        return Lookup::Service { name: service.skip_first().lower(), tag, at };
    }
    let Some(service) = name.text(n - 1, n) else { return Lookup::Nothing };
    let tag = match n {
        1 => None,
        // A label that holds a dot itself can be no tag.
        _ => match name.text(0, n - 1) {
            Some(tag) => Some(tag),
            None => return Lookup::Nothing,
        },
    };
    Lookup::Service { name: service.lower(), tag, at }
}

/// `0a000001`, or 32 digits for IPv6.
fn address(hex: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(hex).ok()?;
    if !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    match hex.len() {
        8 => u32::from_str_radix(text, 16).ok().map(|n| IpAddr::from(n.to_be_bytes())),
        32 => u128::from_str_radix(text, 16).ok().map(|n| IpAddr::from(n.to_be_bytes())),
        _ => None,
    }
}
