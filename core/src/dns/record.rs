//! Records of one reply, borrowed from the view and small enough to copy.

use super::edns::Edns;
use super::names::NameId;
use super::query::qtype;
use alloc::vec::Vec;
use core::net::IpAddr;

/// One resource record of class IN.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) owner: NameId,
    pub(super) ttl: u32,
    pub(super) data: Data<'a>,
}

/// What a record says.
#[derive(Clone, Copy)]
pub(super) enum Data<'a> {
    Ip(IpAddr),
    Cname(NameId),
    Ns(NameId),
    Ptr(NameId),
    Srv {
        weight: u16,
        port: u16,
        target: NameId,
    },
    /// A pair of a node's metadata, encoded on the way out (RFC 1464).
    Meta {
        key: &'a str,
        value: &'a str,
    },
    /// Names of the server and its keeper; serial, refresh, retry, expire, minimum.
    Soa {
        server: NameId,
        keeper: NameId,
        numbers: [u32; 5],
    },
}

impl Data<'_> {
    /// The type code.
    pub(super) fn kind(&self) -> u16 {
        match self {
            Data::Ip(IpAddr::V4(_)) => qtype::A,
            Data::Ip(IpAddr::V6(_)) => qtype::AAAA,
            Data::Cname(_) => qtype::CNAME,
            Data::Ns(_) => qtype::NS,
            Data::Ptr(_) => qtype::PTR,
            Data::Srv { .. } => qtype::SRV,
            Data::Meta { .. } => qtype::TXT,
            Data::Soa { .. } => qtype::SOA,
        }
    }
}

/// The three sections and the OPT record.
#[derive(Clone, Default)]
pub(super) struct Sections<'a> {
    pub(super) answer: Vec<Record<'a>>,
    pub(super) authority: Vec<Record<'a>>,
    pub(super) additional: Vec<Record<'a>>,
    /// Written as the last additional record.
    pub(super) edns: Option<Edns>,
}
