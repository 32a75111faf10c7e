//! Names outside our domains: questions for recursors, and what they told.
//!
//! Forwarding is the driver's work; what to ask, which reply counts and what becomes of it is decided
//! here, by Consul's rules of recursion: a forwarded question is answered by the first
//! recursor that says "here" or "no such name"; a host name that stands for an instance is looked up
//! for its IPv4 addresses, and whatever the first recursor says of it is taken.

use super::encode::{Encoder, Head};
use super::names::Names;
use super::qname::QName;
use super::query::{Question, Rcode, flag, qtype, read};
use super::record::Sections;
use super::remote::Need;
use super::wire::Reader;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// So many records of one host are kept.
const MAX_RECORDS: usize = 64;
/// So many hosts are looked up for one question.
const MAX_HOSTS: usize = 8;

/// What recursors have told for one question, and what is still to be asked.
#[derive(Clone, Default)]
pub struct Recursion {
    known: BTreeMap<String, Vec<Foreign>>,
    wanted: Vec<String>,
    needs: Vec<Need>,
}

/// A record from outside.
#[derive(Clone)]
pub(super) struct Foreign {
    pub(super) owner: QName,
    pub(super) ttl: u32,
    pub(super) data: ForeignData,
}

#[derive(Clone)]
pub(super) enum ForeignData {
    Ip(IpAddr),
    Cname(Box<QName>),
}

/// What a recursor's packet is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not a reply to this question: go on waiting.
    Foreign,
    /// The answer.
    Accepted,
    /// A reply that answers nothing: ask the next recursor.
    Refused,
}

impl Recursion {
    /// The hosts that the last answer would have liked to know more about.
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// Takes in a recursor's reply about `host`; a reply that cannot be read says nothing.
    pub fn learn(&mut self, host: &str, reply: &[u8]) {
        self.known.insert(String::from(host), records(reply).unwrap_or_default());
    }

    /// No recursor knew anything of `host`.
    pub fn give_up(&mut self, host: &str) {
        self.known.insert(String::from(host), Vec::new());
    }

    pub(super) fn begin(&mut self) {
        self.wanted.clear();
        self.needs.clear();
    }

    /// What of the catalog the last answer was made from.
    pub(super) fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// The answer depends on this part of the catalog.
    pub(super) fn need(&mut self, need: Need) {
        if self.needs.len() < MAX_HOSTS && !self.needs.contains(&need) {
            self.needs.push(need);
        }
    }

    /// What is known of `host`; if nothing was asked yet, it will be.
    pub(super) fn of(&mut self, host: &str) -> Vec<Foreign> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if let Some(known) = self.known.get(&host) {
            return known.clone();
        }
        if self.known.len() + self.wanted.len() < MAX_HOSTS && !self.wanted.contains(&host) {
            self.wanted.push(host);
        }
        Vec::new()
    }
}

/// The address and alias records in a reply's answer.
fn records(reply: &[u8]) -> Option<Vec<Foreign>> {
    let mut reader = Reader::new(reply);
    let head = reader.take(12)?;
    let count = |i: usize| u16::from_be_bytes([head[i], head[i + 1]]);
    for _ in 0..count(4) {
        QName::read(&mut reader)?;
        reader.take(4)?;
    }
    let mut found = Vec::new();
    for _ in 0..count(6) {
        let owner = QName::read(&mut reader)?;
        let kind = reader.u16()?;
        reader.take(2)?;
        let ttl = <[u8; 4]>::try_from(reader.take(4)?).map(u32::from_be_bytes).ok()?;
        let len = usize::from(reader.u16()?);
        let at = reader.at();
        let bytes = reader.take(len)?;
        let data = match (kind, bytes) {
            (qtype::A, &[a, b, c, d]) => Some(ForeignData::Ip(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))),
            (qtype::AAAA, bytes) => <[u8; 16]>::try_from(bytes)
                .ok()
                .map(|bytes| ForeignData::Ip(IpAddr::V6(Ipv6Addr::from(bytes)))),
            (qtype::CNAME, _) => {
                let mut inside = Reader::new(reply);
                inside.seek(at);
                Some(ForeignData::Cname(Box::new(QName::read(&mut inside)?)))
            }
            _ => None,
        };
        found.extend(data.map(|data| Foreign { owner, ttl, data }));
        if found.len() == MAX_RECORDS {
            break;
        }
    }
    Some(found)
}

/// The packet that asks for the IPv4 addresses of `host`; `None` if DNS cannot hold the name.
pub fn host_query(id: u16, host: &str) -> Option<Vec<u8>> {
    let question = Question { name: QName::parse(host)?, kind: qtype::A, class: 1 };
    let mut names = Names::new();
    names.qname(&question.name, 0);
    let head = Head { id, flags: flag::RECURSION_DESIRED, question: Some(&question) };
    let mut out = Vec::new();
    Encoder::new(false).packet(&names, head, &Sections::default(), &mut out);
    Some(out)
}

/// What `reply` is worth to whoever sent `query`. A cut reply counts: the client asks again over TCP.
pub fn judge(query: &[u8], reply: &[u8]) -> Verdict {
    let (Some(asked), Some(told)) = (Opening::read(query), Opening::read(reply)) else {
        return Verdict::Foreign;
    };
    if told.id != asked.id || told.flags & flag::RESPONSE == 0 || !told.same_question(&asked) {
        return Verdict::Foreign;
    }
    let code = told.flags & 0x000f;
    if code == Rcode::NoError as u16 || code == Rcode::NxDomain as u16 {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

/// Header and question of a packet.
struct Opening {
    id: u16,
    flags: u16,
    name: QName,
    kind: u16,
    class: u16,
}

impl Opening {
    fn read(packet: &[u8]) -> Option<Opening> {
        let mut reader = Reader::new(packet);
        let head = reader.take(12)?;
        let word = |i: usize| u16::from_be_bytes([head[i], head[i + 1]]);
        let (id, flags) = (word(0), word(2));
        (word(4) == 1).then_some(())?;
        let name = QName::read(&mut reader)?;
        Some(Opening { id, flags, name, kind: reader.u16()?, class: reader.u16()? })
    }

    fn same_question(&self, other: &Opening) -> bool {
        let (ours, theirs) = (self.name.lowered(self.name.count()), other.name.lowered(other.name.count()));
        (self.kind, self.class) == (other.kind, other.class)
            && ours.count() == theirs.count()
            && (0..ours.count()).all(|i| ours.label(i) == theirs.label(i))
    }
}

/// The reply when every recursor has failed.
pub fn server_failure(packet: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let Ok(query) = read(packet) else { return };
    let mut names = Names::new();
    if let Some(question) = &query.question {
        names.qname(&question.name, 0);
    }
    let flags = query.flags | flag::RECURSION_AVAILABLE | Rcode::ServFail as u16;
    let head = Head { id: query.id, flags, question: query.question.as_ref() };
    let sections = Sections { edns: query.edns, ..Sections::default() };
    Encoder::new(false).packet(&names, head, &sections, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_reply_to_the_very_question_counts() {
        let query = host_query(7, "a.example.com").expect("a name");
        let mut reply = query.clone();
        assert_eq!(judge(&query, &reply), Verdict::Foreign, "a question is no reply");
        reply[2] |= 0x80;
        assert_eq!(judge(&query, &reply), Verdict::Accepted);
        reply[3] |= 3;
        assert_eq!(judge(&query, &reply), Verdict::Accepted, "no such name is an answer");
        reply[3] = 2;
        assert_eq!(judge(&query, &reply), Verdict::Refused);
        reply[1] ^= 1;
        assert_eq!(judge(&query, &reply), Verdict::Foreign, "another number");
        let mut other = host_query(7, "b.example.com").expect("a name");
        other[2] |= 0x80;
        assert_eq!(judge(&query, &other), Verdict::Foreign, "another name");
    }

    proptest! {
        #[test]
        fn any_reply_is_read_or_not_but_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let mut recursion = Recursion::default();
            recursion.learn("a", &bytes);
            let query = host_query(7, "a.example.com").expect("a name");
            let mut reply = query.clone();
            reply[2] |= 0x80;
            reply[7] = 3;
            reply.extend(bytes);
            recursion.learn("b", &reply);
            judge(&query, &reply);
            server_failure(&reply, &mut Vec::new());
        }
    }
}
