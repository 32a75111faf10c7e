//! One question being answered: what every lookup shares.

use super::address::Address;
use super::cache::Lasting;
use super::lookup::{At, Lookup, understand};
use super::names::{NameId, Names};
use super::qname::QName;
use super::query::qtype;
use super::record::{Data, Record, Sections};
use super::recursion::{ForeignData, Recursion};
use super::remote::{Need, Part};
use super::ttl;
use crate::Str;
use crate::config::RuntimeConfig;
use crate::rng::Rng;
use crate::store::Store;
use crate::time::Now;
use crate::types::{Node, QueryFound};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// How often a host name may lead to another of our own names.
pub(super) const MAX_DEPTH: usize = 3;
/// So many records of a host name's chain are given to a client without EDNS.
const MAX_CHAIN: usize = 5;

/// Why a lookup gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// No such name, or no instance that is fit to be named.
    Name,
    /// The name is there, records of this type are not.
    Data,
    /// Nobody can say: the client is told so.
    Failure,
}

/// A question about a name in one of our domains.
pub(super) struct Ask<'q> {
    pub(super) name: &'q QName,
    /// The same, in the reply's names.
    pub(super) id: NameId,
    /// How many labels stand before our domain.
    pub(super) end: usize,
    /// The domain in the client's spelling: answers repeat it.
    pub(super) domain: NameId,
    pub(super) kind: u16,
    /// The client speaks EDNS.
    pub(super) edns: bool,
    /// More answers than this are of no use.
    pub(super) room: usize,
    /// How many host names may still be followed.
    pub(super) depth: usize,
}

/// Everything lookups read, and the names they write.
pub(super) struct Responder<'a, 'r> {
    /// What is looked at, and the datacenter that it is of.
    pub(super) store: &'a Store,
    pub(super) datacenter: &'a str,
    /// What is known of other datacenters.
    pub(super) others: &'a BTreeMap<Str, Store>,
    /// What others found for prepared queries.
    pub(super) executed: &'a BTreeMap<Need, QueryFound>,
    pub(super) config: &'a RuntimeConfig,
    pub(super) now: Now,
    pub(super) rng: &'r mut Rng,
    pub(super) recursion: &'r mut Recursion,
    pub(super) names: Names,
    /// How long what was looked up so far is good.
    pub(super) lasting: Lasting,
    /// Instances come in the order in which they are to be named, and all of them count.
    pub(super) in_order: bool,
}

impl<'a> Responder<'a, '_> {
    /// What follows is read from this part of the catalog. It has to be fetched first, except by a server the
    /// part of its own datacenter.
    pub(super) fn need(&mut self, part: impl FnOnce() -> Part) {
        if !self.config.server || *self.datacenter != *self.config.datacenter {
            self.recursion.need(Need { datacenter: Str::from(self.datacenter), part: part() });
        }
    }

    /// Looks something up in the datacenter where it is. `part` is what of its catalog that is.
    fn within(
        &mut self,
        at: &At,
        part: impl FnOnce() -> Part,
        look: impl FnOnce(&mut Self) -> Result<(), Miss>,
    ) -> Result<(), Miss> {
        let At::There(there) = at else { return look(self) };
        self.lasting = Lasting::Once;
        let Some((datacenter, store)) = self.others.get_key_value(there.as_str()) else {
            self.recursion.need(Need { datacenter: Str::from(there.as_str()), part: part() });
            return Err(Miss::Name);
        };
        let home = (self.store, self.datacenter);
        (self.store, self.datacenter) = (store, datacenter);
        let found = look(self);
        (self.store, self.datacenter) = home;
        found
    }

    /// What follows was drawn by chance, if so.
    pub(super) fn drawn(&mut self, by_chance: bool) {
        if by_chance {
            self.lasting = self.lasting.min(Lasting::Drawn);
        }
    }

    /// Which of our domains `name` lies in: the number of labels before it.
    pub(super) fn domain_of(&self, name: &QName) -> Option<usize> {
        let main = name.ends_with(&self.config.domain);
        let alt = name.ends_with(&self.config.alt_domain);
        main.max(alt).map(|labels| name.count() - labels)
    }

    /// Answers everything but SOA, NS and AXFR.
    pub(super) fn look_up(&mut self, ask: &Ask<'_>, out: &mut Sections<'a>) -> Result<(), Miss> {
        match understand(ask.name, ask.end, ask.kind, &self.config.datacenter) {
            Lookup::Service { name, tag, at } => {
                let (name, tag) = (name.as_str(), tag.as_ref().map(|tag| tag.as_str()));
                self.within(&at, || Part::Service(Str::from(name)), |r| r.service(ask, name, tag, out))
            }
            // Other types are not looked at, not even for whether the node exists.
            Lookup::Node { name, at } if qtype::of_nodes(ask.kind) => {
                let name = name.as_str();
                let part = || Part::Node(Str::from(name.to_lowercase()));
                self.within(&at, part, |r| r.node(ask, name, out))
            }
            Lookup::Node { .. } => Ok(()),
            Lookup::Query { name, at } => self.query(ask, name.as_str(), &at, out),
            Lookup::Address { ip } => {
                let lowered = ask.name.lowered(ask.end);
                let owner = self.names.qname(&lowered, 0);
                let record = Record { owner, ttl: ttl::of_node(&self.config.dns), data: Data::Ip(ip) };
                // Of no use to another question than its own, but offered.
                if ask.kind == qtype::ANY || ask.kind == record.data.kind() {
                    out.answer.push(record);
                } else {
                    out.additional.push(record);
                }
                Ok(())
            }
            Lookup::Empty => Ok(()),
            Lookup::Nothing => Err(Miss::Name),
        }
    }

    /// The records behind a host name, with the TTL of the answer they belong to: our own names are followed, others
    /// are what recursors told of them. `texts`: behind a node, with its metadata; what recursors told keeps its TTL.
    pub(super) fn chain(&mut self, ask: &Ask<'_>, host: &str, ttl: u32, texts: bool) -> Vec<Record<'a>> {
        let Some(name) = QName::parse(host) else { return Vec::new() };
        let Some(end) = self.domain_of(&name) else {
            return self.foreign(ask, host, (!texts).then_some(ttl));
        };
        if end == 0 {
            return Vec::new();
        }
        let Some(depth) = ask.depth.checked_sub(1) else { return Vec::new() };
        let inner = Ask {
            id: self.names.qname(&name, 0),
            domain: self.names.qname(&name, end),
            name: &name,
            end,
            kind: qtype::ANY,
            edns: false,
            room: if ask.edns { ask.room } else { MAX_CHAIN },
            depth,
        };
        let mut found = Sections::default();
        // A miss leaves nothing found, and the client the name to ask for itself.
        let _ = self.look_up(&inner, &mut found);
        let mut chain = found.answer;
        if !texts {
            chain.retain(|r| matches!(r.data, Data::Ip(_) | Data::Cname(_)));
        }
        if !ask.edns {
            chain.truncate(MAX_CHAIN);
        }
        for record in &mut chain {
            record.ttl = ttl;
        }
        chain
    }

    /// What recursors told of a host outside our domains.
    fn foreign(&mut self, ask: &Ask<'_>, host: &str, ttl: Option<u32>) -> Vec<Record<'a>> {
        if self.config.recursors.is_empty() {
            return Vec::new();
        }
        let told = self.recursion.of(host);
        let limit = if ask.edns { told.len() } else { MAX_CHAIN };
        let record = |foreign: &super::recursion::Foreign| {
            let owner = self.names.qname(&foreign.owner, 0);
            let data = match &foreign.data {
                ForeignData::Ip(ip) => Data::Ip(*ip),
                ForeignData::Cname(name) => Data::Cname(self.names.qname(name, 0)),
            };
            Record { owner, ttl: ttl.unwrap_or(foreign.ttl), data }
        };
        told.iter().take(limit).map(record).collect()
    }

    /// A CNAME to `host` and what lies behind it; `None` if DNS cannot hold the name.
    pub(super) fn cname(
        &mut self,
        ask: &Ask<'_>,
        host: &str,
        ttl: u32,
        texts: bool,
    ) -> Option<Vec<Record<'a>>> {
        let target = self.host(host)?;
        let mut records = Vec::with_capacity(1);
        records.push(Record { owner: ask.id, ttl, data: Data::Cname(target) });
        records.append(&mut self.chain(ask, host, ttl, texts));
        Some(records)
    }

    /// A host name as the catalog holds it.
    pub(super) fn host(&mut self, host: &str) -> Option<NameId> {
        // One of ours will be written again, as the owner of what it stands for.
        if let Some(name) = QName::parse(host).filter(|name| self.domain_of(name).is_some()) {
            return Some(self.names.qname(&name, 0));
        }
        self.names.dotted(NameId::ROOT, host.strip_suffix('.').unwrap_or(host))
    }

    /// `<node>.node.<dc>.<domain>`; `None` if DNS cannot hold the node's name.
    pub(super) fn node_name(&mut self, node: &Node, domain: NameId) -> Option<NameId> {
        let base = self.node_base(domain)?;
        self.names.dotted(base, &node.node)
    }

    /// `node.<dc>.<domain>`, below which every node has its name.
    pub(super) fn node_base(&mut self, domain: NameId) -> Option<NameId> {
        let datacenter = self.names.child(domain, self.datacenter.as_bytes())?;
        self.names.child(datacenter, b"node")
    }

    /// Appends a node's metadata as TXT records.
    pub(super) fn meta(&self, owner: NameId, ttl: u32, node: &'a Node, out: &mut Vec<Record<'a>>) {
        out.extend(node.meta.iter().map(|(key, value)| Record {
            owner,
            ttl,
            data: Data::Meta { key, value },
        }));
    }
}

/// The address types a question wants among IP addresses: which of them answer it.
pub(super) fn answers(kind: u16, address: Address<'_>) -> bool {
    match (kind, address) {
        (qtype::A, Address::Ip(ip)) => ip.is_ipv4(),
        (qtype::AAAA, Address::Ip(ip)) => ip.is_ipv6(),
        // TXT as Consul has it: the address, not a text.
        (qtype::ANY | qtype::TXT, Address::Ip(_)) => true,
        (_, Address::Ip(_)) => false,
        (_, Address::Host(_)) => true,
    }
}
