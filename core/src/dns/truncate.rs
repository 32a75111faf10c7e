//! Making an answer fit.
//!
//! The rules are Consul's, quirks included, because resolvers have been tuned against them: without
//! EDNS a fixed number of answers, and if there were more, measured as if uncompressed; once
//! anything is cut, only what the remaining SRV targets need stays in the additional section, and
//! the OPT record goes too.

use super::Transport;
use super::encode::{Encoder, Head};
use super::names::Names;
use super::query::{flag, qtype};
use super::record::{Data, Record, Sections};
use crate::config::DnsConfig;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What every resolver takes (RFC 1035 4.2.1).
const PLAIN_UDP: usize = 512;
/// The largest datagram we send, whatever the client says it takes.
const MAX_UDP: usize = 65_467;
/// Left free in a datagram.
const UDP_SPARE: usize = 8;
/// The most bytes an answer over TCP may have before it is cut.
const MAX_TCP: usize = 65_523;
/// The most answers over TCP, and the most of type SRV.
const MAX_TCP_ANSWERS: usize = 4096;
const MAX_TCP_SRV: usize = 1024;
/// The most answers to a client without EDNS, whatever is configured.
const MAX_PLAIN_ANSWERS: usize = 8;
/// An excess above this is cut by halving, one below it record by record.
const HALVING_EXCESS: usize = 100;
/// No record is shorter than this: pointer, type, class, TTL, length and an IPv4 address.
const MIN_RECORD: usize = 16;

/// The limits for one reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    transport: Transport,
    /// Bytes of a whole packet.
    size: usize,
    /// Answers to a client without EDNS.
    plain_answers: usize,
    enable_truncate: bool,
}

impl Limits {
    /// For a client that said it takes `udp_size`, if it said anything.
    pub(super) fn new(config: &DnsConfig, transport: Transport, udp_size: Option<u16>) -> Limits {
        let size = match transport {
            Transport::Udp => usize::from(udp_size.unwrap_or(0)).clamp(PLAIN_UDP, MAX_UDP),
            Transport::Tcp => MAX_TCP,
        };
        Limits {
            transport,
            size,
            plain_answers: config.udp_answer_limit.min(MAX_PLAIN_ANSWERS),
            enable_truncate: config.enable_truncate,
        }
    }

    fn is_plain(&self) -> bool {
        self.transport == Transport::Udp && self.size == PLAIN_UDP
    }

    /// No answer can hold more records than this. Collecting more changes nothing: what is beyond is
    /// cut, and there is enough to see that something was.
    pub(super) fn room(&self) -> usize {
        match self.transport {
            Transport::Udp if self.is_plain() => self.plain_answers + 1,
            Transport::Udp => (self.size + HALVING_EXCESS) / MIN_RECORD + 2,
            Transport::Tcp => MAX_TCP_ANSWERS,
        }
    }

    /// What the packet must never exceed, even where Consul would: bytes.
    pub(super) fn hard(&self) -> usize {
        match self.transport {
            Transport::Udp => self.size,
            Transport::Tcp => usize::from(u16::MAX),
        }
    }
}

/// Cuts `sections` to `limits`. Returns whether answers were left out.
pub(super) fn cut(
    names: &Names,
    head: Head<'_>,
    sections: &mut Sections<'_>,
    limits: Limits,
    compress: bool,
) -> bool {
    let before = sections.answer.len();
    match limits.transport {
        Transport::Udp => {
            // Once answers were cut by number, the size counts as if nothing were compressed.
            let by_number = limits.is_plain() && sections.answer.len() > limits.plain_answers;
            let mut cutter = Cutter::new(names, head, sections, compress && !by_number);
            if by_number {
                sections.answer.truncate(limits.plain_answers);
                cutter.sync(sections);
            }
            cutter.shrink(sections, limits.size, limits.size - UDP_SPARE);
            sections.answer.len() < before
        }
        Transport::Tcp => {
            let is_srv = head.question.is_some_and(|q| q.kind == qtype::SRV);
            sections.answer.truncate(if is_srv { MAX_TCP_SRV } else { MAX_TCP_ANSWERS });
            let mut cutter = Cutter::new(names, head, sections, compress);
            cutter.shrink(sections, limits.size, limits.size)
        }
    }
}

/// Writes the reply into `out`, cut as needed, with the TC bit where it belongs. Whether no answer was cut.
pub(super) fn finish(
    names: &Names,
    mut head: Head<'_>,
    mut sections: Sections<'_>,
    limits: Limits,
    compress: bool,
    out: &mut Vec<u8>,
) -> bool {
    let mut whole = !cut(names, head, &mut sections, limits, compress);
    if !whole && limits.enable_truncate {
        head.flags |= flag::TRUNCATED;
    }
    let mut encoder = Encoder::new(compress);
    encoder.packet(names, head, &sections, out);
    // Consul sends a single answer however large its company is. We do not exceed what the client
    // takes: first the company goes, which is only a courtesy, then the answer, with TC.
    whole &= out.len() <= limits.hard();
    while out.len() > limits.hard() && !sections.additional.is_empty() {
        sections.additional.truncate(sections.additional.len() * 3 / 4);
        encoder.packet(names, head, &sections, out);
    }
    if out.len() > limits.hard() {
        head.flags |= flag::TRUNCATED;
        sections.answer.clear();
        encoder.packet(names, head, &sections, out);
    }
    if out.len() > limits.hard() {
        sections.edns = None;
        encoder.packet(names, head, &sections, out);
    }
    whole
}

struct Cutter<'n, 'q, 'a> {
    names: &'n Names,
    head: Head<'q>,
    encoder: Encoder,
    scratch: Vec<u8>,
    /// The additional section before anything was cut.
    company: Vec<Record<'a>>,
    has_company: bool,
    /// The first record of each owner name in `company`; built when first needed.
    first: Option<BTreeMap<Vec<u8>, usize>>,
}

impl<'n, 'q, 'a> Cutter<'n, 'q, 'a> {
    fn new(names: &'n Names, head: Head<'q>, sections: &Sections<'a>, compress: bool) -> Self {
        Cutter {
            names,
            head,
            encoder: Encoder::new(compress),
            scratch: Vec::new(),
            company: Vec::new(),
            has_company: !sections.additional.is_empty() || sections.edns.is_some(),
            first: None,
        }
    }

    fn len(&mut self, sections: &Sections<'a>) -> usize {
        self.encoder.measure(self.names, self.head, sections, &mut self.scratch)
    }

    /// Drops answers until the packet is at most `goal` bytes or one answer is left. Returns whether
    /// it had to. The halving aims at `size`.
    fn shrink(&mut self, sections: &mut Sections<'a>, size: usize, goal: usize) -> bool {
        let mut had_to = false;
        while sections.answer.len() > 1 {
            let len = self.len(sections);
            if len <= goal {
                break;
            }
            had_to = true;
            sections.authority.clear();
            let keep = match self.len(sections).checked_sub(size) {
                Some(excess) if excess > HALVING_EXCESS => self.halve(sections, size),
                _ => sections.answer.len() - 1,
            };
            sections.answer.truncate(keep);
            self.sync(sections);
        }
        had_to
    }

    /// How many answers fit into `size`.
    fn halve(&mut self, sections: &Sections<'a>, size: usize) -> usize {
        let mut attempt = sections.clone();
        let (mut low, mut high) = (0, sections.answer.len() + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            attempt.answer.clear();
            attempt.answer.extend_from_slice(&sections.answer[..middle]);
            self.sync(&mut attempt);
            if self.len(&attempt) <= size {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Keeps in the additional section what the SRV targets among the answers need.
    fn sync(&mut self, sections: &mut Sections<'a>) {
        if !self.has_company {
            return;
        }
        sections.edns = None;
        let names = self.names;
        let company = &mut self.company;
        let first = self.first.get_or_insert_with(|| {
            *company = core::mem::take(&mut sections.additional);
            let mut first = BTreeMap::new();
            for (i, record) in company.iter().enumerate() {
                first.entry(names.key(record.owner)).or_insert(i);
            }
            first
        });
        sections.additional.clear();
        let mut resolved = BTreeSet::new();
        for answer in &sections.answer {
            let Data::Srv { target, .. } = answer.data else { continue };
            let mut target = target;
            while resolved.insert(names.key(target)) {
                let Some(record) = first.get(&names.key(target)).map(|i| company[*i]) else { break };
                sections.additional.push(record);
                let Data::Cname(next) = record.data else { break };
                target = next;
            }
        }
    }
}
