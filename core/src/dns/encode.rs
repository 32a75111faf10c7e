//! Writing a reply, with the name compression that Consul's answers have.
//!
//! Owner names and the names in CNAME, NS, PTR and SOA are compressed; an SRV target never is
//! (RFC 2782), though later names may point into it.

use super::names::{NameId, Names};
use super::query::Question;
use super::record::{Data, Record, Sections};
use super::text;
use alloc::vec::Vec;
use core::net::IpAddr;

/// A pointer has 14 bits.
const MAX_POINTER: usize = 1 << 14;
const CLASS_IN: u16 = 1;
/// RFC 2782; Consul gives every instance the same.
const SRV_PRIORITY: u16 = 1;

/// What stands before the sections.
#[derive(Clone, Copy)]
pub(super) struct Head<'q> {
    pub(super) id: u16,
    /// Complete second word of the header.
    pub(super) flags: u16,
    pub(super) question: Option<&'q Question>,
}

/// Writes packets; keeps its table between attempts.
pub(super) struct Encoder {
    /// Where each name was first written; 0 if not yet.
    places: Vec<u16>,
    compress: bool,
}

impl Encoder {
    /// With or without name compression.
    pub(super) fn new(compress: bool) -> Encoder {
        Encoder { places: Vec::new(), compress }
    }

    /// Replaces `out` by the whole packet.
    pub(super) fn packet(
        &mut self,
        names: &Names,
        head: Head<'_>,
        sections: &Sections<'_>,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        self.places.clear();
        self.places.resize(names.count(), 0);
        put(out, head.id);
        put(out, head.flags);
        put(out, u16::from(head.question.is_some()));
        put(out, count(sections.answer.len()));
        put(out, count(sections.authority.len()));
        put(out, count(sections.additional.len() + usize::from(sections.edns.is_some())));
        if let Some(question) = head.question {
            self.question(names, question, out);
        }
        for record in sections.answer.iter().chain(&sections.authority).chain(&sections.additional) {
            self.record(names, record, out);
        }
        if let Some(edns) = &sections.edns {
            edns.write(out);
        }
    }

    /// Like [`Encoder::packet`], into a scratch buffer: how long would it be?
    pub(super) fn measure(
        &mut self,
        names: &Names,
        head: Head<'_>,
        sections: &Sections<'_>,
        scratch: &mut Vec<u8>,
    ) -> usize {
        self.packet(names, head, sections, scratch);
        scratch.len()
    }

    fn question(&mut self, names: &Names, question: &Question, out: &mut Vec<u8>) {
        let mut places = Some(NameId::ROOT);
        let base = out.len();
        for i in 0..question.name.count() {
            let label = question.name.label(i);
            out.push(label.len() as u8);
            out.extend_from_slice(label);
        }
        out.push(0);
        // Walk the tree from the root to note where each suffix of the question stands.
        let mut at = out.len() - 1;
        for i in (0..question.name.count()).rev() {
            at -= 1 + question.name.label(i).len();
            places = places.and_then(|parent| names.shared(parent, question.name.label(i)));
            if let Some(name) = places {
                self.places[name.index()] = at as u16;
            }
        }
        debug_assert!(at == base);
        put(out, question.kind);
        put(out, question.class);
    }

    fn name(&mut self, names: &Names, name: NameId, may_point: bool, out: &mut Vec<u8>) {
        let mut at = name;
        while at != NameId::ROOT {
            let place = self.places[at.index()];
            if place == 0 {
                if out.len() < MAX_POINTER {
                    self.places[at.index()] = out.len() as u16;
                }
            } else if may_point && self.compress {
                put(out, 0xc000 | place);
                return;
            }
            let label = names.label(at);
            out.push(label.len() as u8);
            out.extend_from_slice(label);
            at = names.parent(at);
        }
        out.push(0);
    }

    fn record(&mut self, names: &Names, record: &Record<'_>, out: &mut Vec<u8>) {
        self.name(names, record.owner, true, out);
        put(out, record.data.kind());
        put(out, CLASS_IN);
        out.extend_from_slice(&record.ttl.to_be_bytes());
        let len_at = out.len();
        put(out, 0);
        match record.data {
            Data::Ip(IpAddr::V4(ip)) => out.extend_from_slice(&ip.octets()),
            Data::Ip(IpAddr::V6(ip)) => out.extend_from_slice(&ip.octets()),
            Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => self.name(names, name, true, out),
            Data::Srv { weight, port, target } => {
                put(out, SRV_PRIORITY);
                put(out, weight);
                put(out, port);
                self.name(names, target, false, out);
            }
            Data::Meta { key, value } => text::write(key, value, out),
            Data::Soa { server, keeper, numbers } => {
                self.name(names, server, true, out);
                self.name(names, keeper, true, out);
                for number in numbers {
                    out.extend_from_slice(&number.to_be_bytes());
                }
            }
        }
        let len = count(out.len() - len_at - 2);
        out[len_at..len_at + 2].copy_from_slice(&len.to_be_bytes());
    }
}

fn put(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Section counts and lengths; every caller's number is far below 65,536 after truncation, and an
/// attempt that is not will be found too long.
fn count(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}
