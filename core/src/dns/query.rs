//! From packet to query: what is accepted, what is refused and how.
//!
//! The rules are those of the server Consul uses, found by asking it (`testdata/dns/main.json`):
//! a packet that ends early between records counts as complete, one that ends inside a record is a
//! format error.

use super::edns::Edns;
use super::qname::QName;
use super::wire::Reader;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// Query type codes that we treat specially.
#[allow(missing_docs)]
pub(super) mod qtype {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;

    /// Whether a node has records of this type.
    pub(crate) fn of_nodes(kind: u16) -> bool {
        matches!(kind, A | AAAA | ANY | TXT)
    }
}

/// Response codes we give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
}

/// Bits of the header's second word.
pub(super) mod flag {
    pub(crate) const RESPONSE: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AUTHORITATIVE: u16 = 0x0400;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    pub(crate) const RECURSION_DESIRED: u16 = 0x0100;
    pub(crate) const RECURSION_AVAILABLE: u16 = 0x0080;
    pub(crate) const AUTHENTIC: u16 = 0x0020;
    pub(crate) const CHECKING_DISABLED: u16 = 0x0010;
}

const OPCODE_QUERY: u16 = 0;
const OPCODE_NOTIFY: u16 = 4;

/// A query worth answering.
pub(super) struct Query {
    pub(super) id: u16,
    /// Response bit, opcode and the bits that are echoed; no code yet.
    pub(super) flags: u16,
    /// `None` if the packet promised one but ended.
    pub(super) question: Option<Question>,
    pub(super) edns: Option<Edns>,
}

/// A question. Type and class are 0 if the packet ended before them.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) name: QName,
    pub(super) kind: u16,
    pub(super) class: u16,
}

/// Why a packet gets no real answer.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one answer")]
pub(super) enum Rejected {
    /// Not a query at all: any reply could be used to amplify.
    Silent,
    /// A header with this code, and the question if it could be read.
    Reply { id: u16, flags: u16, question: Option<Question>, code: Rcode },
}

/// Reads a query.
#[expect(clippy::result_large_err, reason = "a question is as large in the refusal as in the query")]
pub(super) fn read(packet: &[u8]) -> Result<Query, Rejected> {
    let mut reader = Reader::new(packet);
    let Some(head) = reader.take(12) else { return Err(Rejected::Silent) };
    let word = |i: usize| u16::from_be_bytes([head[2 * i], head[2 * i + 1]]);
    let (id, bits) = (word(0), word(1));
    if bits & flag::RESPONSE != 0 {
        return Err(Rejected::Silent);
    }
    let opcode = (bits & flag::OPCODE) >> 11;
    // What a rejection echoes: all but the authoritative and the reserved bit.
    let echoed = bits
        & (flag::TRUNCATED
            | flag::RECURSION_DESIRED
            | flag::RECURSION_AVAILABLE
            | flag::AUTHENTIC
            | flag::CHECKING_DISABLED);
    let reject = |code: Rcode, question: Option<Question>| {
        let opcode = if code == Rcode::NotImp { bits & flag::OPCODE } else { 0 };
        Rejected::Reply { id, flags: flag::RESPONSE | opcode | echoed, question, code }
    };
    if opcode != OPCODE_QUERY && opcode != OPCODE_NOTIFY {
        return Err(reject(Rcode::NotImp, None));
    }
    // One question; a NOTIFY may carry one answer, an IXFR one authority record; OPT and TSIG.
    let (answers, authorities, additionals) = (word(3), word(4), word(5));
    if word(2) != 1 || answers > 1 || authorities > 1 || additionals > 2 {
        return Err(reject(Rcode::FormErr, None));
    }
    let Some(question) = read_question(&mut reader) else { return Err(reject(Rcode::FormErr, None)) };
    let mut edns = None;
    for section in 0..3 {
        for _ in 0..[answers, authorities, additionals][section] {
            if reader.is_done() {
                break;
            }
            match read_record(&mut reader) {
                // The last one counts.
                Some(Some(found)) if section == 2 => edns = Some(found),
                Some(_) => {}
                None => return Err(reject(Rcode::FormErr, question)),
            }
        }
    }
    let mut flags = flag::RESPONSE | (bits & flag::OPCODE);
    if opcode == OPCODE_QUERY {
        flags |= bits & (flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
    }
    Ok(Query { id, flags, question, edns })
}

fn read_question(reader: &mut Reader<'_>) -> Option<Option<Question>> {
    if reader.is_done() {
        return Some(None);
    }
    let mut question = Question { name: QName::read(reader)?, kind: 0, class: 0 };
    if !reader.is_done() {
        question.kind = reader.u16()?;
    }
    if !reader.is_done() {
        question.class = reader.u16()?;
    }
    Some(Some(question))
}

/// Reads one record: `None` if it is malformed, `Some(Some(..))` if it is an OPT.
fn read_record(reader: &mut Reader<'_>) -> Option<Option<Edns>> {
    let start = reader.at();
    QName::read(reader)?;
    let kind = reader.u16()?;
    let class = reader.u16()?;
    let _ttl = reader.take(4)?;
    let len = reader.u16()?;
    let data = reader.take(usize::from(len))?;
    if kind == qtype::OPT {
        return Edns::read(class, data).map(Some);
    }
    // Anything else has no bearing on the answer: only its form matters.
    let mut decoder = BinDecoder::new(reader.packet()).clone(u16::try_from(start).ok()?);
    Record::read(&mut decoder).ok()?;
    Some(None)
}
