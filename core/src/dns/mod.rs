//! The DNS responder: one packet in, one packet out, from a published view.
//!
//! [`answer`] is a pure function, so every front thread can call it without asking the node. Names
//! and rules are those of Consul 1.21, checked against recordings of it in
//! `testdata/dns`.
//!
//! The way of a query: `query` reads the packet, `lookup` understands the name, `service`, `node`
//! and `reverse` collect records of the view without copying them, `truncate` makes them fit and
//! `encode` writes them. Names outside our domains are left to recursors: `recursion`. [`Cache`] stands
//! before all of it and gives again what was given before.

mod address;
mod asked;
mod cache;
mod edns;
mod encode;
mod lookup;
mod names;
mod node;
mod prepared;
mod qname;
mod query;
mod record;
mod recursion;
mod remote;
mod responder;
mod reverse;
mod service;
mod text;
mod truncate;
mod ttl;
mod wire;

pub use asked::{Asked, asked};
pub use cache::{Cache, Lasting};
pub use recursion::{Recursion, Verdict, host_query, judge, server_failure};
pub use remote::{Need, Order, Part, Remote, Told};

use crate::Str;
use crate::config::RuntimeConfig;
use crate::rng::Rng;
use crate::store::Store;
use crate::time::Now;
use crate::types::QueryFound;
use crate::view::View;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use encode::{Encoder, Head};
use names::Names;
use query::{Query, Question, Rcode, Rejected, flag, qtype};
use record::Sections;
use responder::{Ask, MAX_DEPTH, Miss, Responder};
use truncate::Limits;

/// What carried the query: it decides how large the answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram: 512 bytes, or what the client's EDNS option allows.
    Udp,
    /// A stream: up to 64 KiB. The two-byte length prefix is the driver's.
    Tcp,
}

/// What to do with the buffer [`answer`] filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Send it.
    Reply,
    /// Send nothing: the packet was no query.
    Drop,
    /// The name lies outside our domains and recursors are configured: ask them. The buffer holds
    /// a refusal (for reverse names, not found), to send if this driver cannot forward.
    Recurse,
    /// The answer names hosts outside our domains, and recursors are configured: ask them, and answer
    /// again with [`answer_knowing`]. The buffer holds the answer without what they would say.
    Resolve,
    /// On a server: the name is in another datacenter. Ask [`Remote`]. The buffer holds an answer as if there were
    /// nothing of that name.
    Elsewhere,
}

/// What answers are made from.
#[derive(Clone, Copy)]
struct Stores<'a> {
    /// The catalog of this datacenter.
    own: &'a Store,
    /// What is known of others.
    others: &'a BTreeMap<Str, Store>,
    /// What others found for prepared queries.
    executed: &'a BTreeMap<Need, QueryFound>,
}

/// Answers one packet from `view`; `out` is cleared first and holds the whole reply afterwards.
///
/// `now` stamps the SOA serial, `rng` orders the instances. No input panics or loops.
pub fn answer(
    view: &View,
    now: Now,
    rng: &mut Rng,
    query: &[u8],
    transport: Transport,
    out: &mut Vec<u8>,
) -> Outcome {
    answer_from(&view.store, &view.config, now, rng, query, transport, out).0
}

/// [`answer`] with what recursors told; afterwards `recursion` says what else to ask them.
pub fn answer_knowing(
    view: &View,
    now: Now,
    rng: &mut Rng,
    query: &[u8],
    transport: Transport,
    recursion: &mut Recursion,
    out: &mut Vec<u8>,
) -> Outcome {
    let stores = Stores { own: &view.store, others: &BTreeMap::new(), executed: &BTreeMap::new() };
    answer_with(stores, &view.config, now, rng, query, transport, recursion, out).0
}

/// [`answer`] from the two parts of a view that matter to it, and how long the answer is good.
pub fn answer_from(
    store: &Store,
    config: &RuntimeConfig,
    now: Now,
    rng: &mut Rng,
    query: &[u8],
    transport: Transport,
    out: &mut Vec<u8>,
) -> (Outcome, Lasting) {
    let stores = Stores { own: store, others: &BTreeMap::new(), executed: &BTreeMap::new() };
    answer_with(stores, config, now, rng, query, transport, &mut Recursion::default(), out)
}

#[expect(clippy::too_many_arguments, reason = "the whole of what an answer depends on")]
fn answer_with(
    Stores { own: store, others, executed }: Stores<'_>,
    config: &RuntimeConfig,
    now: Now,
    rng: &mut Rng,
    query: &[u8],
    transport: Transport,
    recursion: &mut Recursion,
    out: &mut Vec<u8>,
) -> (Outcome, Lasting) {
    recursion.begin();
    out.clear();
    let query = match query::read(query) {
        Ok(query) => query,
        Err(Rejected::Silent) => return (Outcome::Drop, Lasting::Once),
        Err(Rejected::Reply { id, flags, question, code }) => {
            refuse(id, flags, question.as_ref(), code, out);
            return (Outcome::Reply, Lasting::Once);
        }
    };
    let Some(question) = &query.question else {
        refuse(query.id, query.flags, None, Rcode::Refused, out);
        return (Outcome::Reply, Lasting::Once);
    };
    let lasting = Lasting::Whole;
    let (datacenter, names) = (&*config.datacenter, Names::new());
    let mut responder = Responder {
        store,
        datacenter,
        others,
        executed,
        config,
        now,
        rng,
        recursion,
        names,
        lasting,
        in_order: false,
    };
    if question.name.ends_with("arpa").is_some() {
        return (reverse(responder, &query, question, out), Lasting::Once);
    }
    let Some(end) = responder.domain_of(&question.name) else {
        refuse(query.id, query.flags, Some(question), Rcode::Refused, out);
        return (if config.recursors.is_empty() { Outcome::Reply } else { Outcome::Recurse }, Lasting::Once);
    };
    let limits = Limits::new(&config.dns, transport, query.edns.map(|edns| edns.udp_size));
    let id = responder.names.qname(&question.name, 0);
    let ask = Ask {
        name: &question.name,
        id,
        end,
        domain: responder.names.qname(&question.name, end),
        kind: question.kind,
        edns: query.edns.is_some(),
        room: limits.room(),
        depth: MAX_DEPTH,
    };
    let mut sections = Sections::default();
    let code = fill(&mut responder, &ask, &mut sections);
    sections.edns = query.edns;
    let head = head(&responder, &query, question, code);
    let compress = !config.dns.disable_compression;
    let whole = truncate::finish(&responder.names, head, sections, limits, compress, out);
    responder.drawn(!whole);
    let outcome = match (&responder.recursion.needs(), &responder.recursion.wanted()) {
        ([_, ..], _) if config.server => Outcome::Elsewhere,
        (_, []) => Outcome::Reply,
        _ => Outcome::Resolve,
    };
    (outcome, responder.lasting)
}

/// Fills the sections for a name in one of our domains.
fn fill<'a>(responder: &mut Responder<'a, '_>, ask: &Ask<'_>, sections: &mut Sections<'a>) -> Rcode {
    match ask.kind {
        qtype::AXFR => return Rcode::NotImp,
        qtype::NS => *sections = responder.name_servers(ask),
        qtype::SOA => {
            let servers = responder.name_servers(ask);
            sections.answer.push(responder.soa(Some(ask.name)));
            sections.authority = servers.answer;
            sections.additional = servers.additional;
        }
        _ => {
            if let Err(miss) = responder.look_up(ask, sections) {
                if miss == Miss::Failure {
                    return Rcode::ServFail;
                }
                sections.authority.push(responder.soa(Some(ask.name)));
                return if miss == Miss::Name { Rcode::NxDomain } else { Rcode::NoError };
            }
        }
    }
    Rcode::NoError
}

/// Answers a name below `arpa`.
fn reverse(
    mut responder: Responder<'_, '_>,
    query: &Query,
    question: &Question,
    out: &mut Vec<u8>,
) -> Outcome {
    let owner = responder.names.qname(&question.name, 0);
    let found = reverse::address(&question.name).and_then(|ip| responder.reverse(owner, ip));
    let mut sections = Sections { edns: query.edns, ..Sections::default() };
    if found.is_none() || question.kind == qtype::SOA {
        sections.authority.push(responder.soa(None));
    }
    sections.answer.extend(found);
    let code = if found.is_some() { Rcode::NoError } else { Rcode::NxDomain };
    let head = head(&responder, query, question, code);
    Encoder::new(!responder.config.dns.disable_compression).packet(&responder.names, head, &sections, out);
    let recurse = found.is_none() && !responder.config.recursors.is_empty();
    if recurse { Outcome::Recurse } else { Outcome::Reply }
}

fn head<'q>(responder: &Responder<'_, '_>, query: &Query, question: &'q Question, code: Rcode) -> Head<'q> {
    let recursion = if responder.config.recursors.is_empty() { 0 } else { flag::RECURSION_AVAILABLE };
    let flags = query.flags | flag::AUTHORITATIVE | recursion | code as u16;
    Head { id: query.id, flags, question: Some(question) }
}

/// A reply without records.
fn refuse(id: u16, flags: u16, question: Option<&Question>, code: Rcode, out: &mut Vec<u8>) {
    let mut names = Names::new();
    if let Some(question) = question {
        names.qname(&question.name, 0);
    }
    let head = Head { id, flags: flags | code as u16, question };
    Encoder::new(false).packet(&names, head, &Sections::default(), out);
}
