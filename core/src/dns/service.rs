//! Services: which instances may be named, and their records.

use super::address::{Address, Family, choose};
use super::names::NameId;
use super::node::node_address;
use super::query::qtype;
use super::record::{Data, Record, Sections};
use super::remote::Part;
use super::responder::{Ask, Miss, Responder, answers};
use super::ttl;
use crate::Str;
use crate::types::{CheckServiceNode, Node, NodeService, status};
use alloc::vec::Vec;
use core::net::IpAddr;

/// An instance with its node and checks.
pub(super) type Instance<'a> = &'a CheckServiceNode;

/// How well an instance is, of those that are well enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Passing,
    Warning,
    /// Some check has a status that is none of the three.
    Odd,
}

impl<'a> Responder<'a, '_> {
    /// `[tag.]<service>.service`, and SRV questions in RFC 2782's form. `name` is in lower case.
    pub(super) fn service(
        &mut self,
        ask: &Ask<'_>,
        name: &str,
        tag: Option<&str>,
        out: &mut Sections<'a>,
    ) -> Result<(), Miss> {
        self.need(|| Part::Service(Str::from(name)));
        let found = self.instances(name, tag);
        let ttl = ttl::of_service(&self.config.dns, name);
        let any = if ask.kind == qtype::SRV {
            self.srv_records(ask, ttl, found, out)
        } else {
            self.address_records(ask, ttl, found, out)
        };
        match any {
            false => Err(Miss::Name),
            true if out.answer.is_empty() => Err(Miss::Data),
            true => Ok(()),
        }
    }

    /// Every local instance of a service with this tag, whatever its health.
    pub(super) fn instances(&self, name: &str, tag: Option<&str>) -> Vec<Instance<'a>> {
        let store = self.store;
        let tagged = |service: &NodeService| {
            tag.is_none_or(|tag| service.tags.iter().any(|t| t.eq_ignore_ascii_case(tag)))
        };
        let listed = store.service_health(name).map(|entry| &**entry);
        listed.filter(|e| e.service.peer_name.is_empty() && tagged(&e.service)).collect()
    }

    /// The worst status of an instance's and its node's checks; `None` if it must not be named.
    pub(super) fn health(&self, entry: Instance<'_>) -> Option<Health> {
        let mut health = Health::Passing;
        for check in &entry.checks {
            health = match &*check.status {
                status::CRITICAL => return None,
                status::PASSING => health,
                _ if self.config.dns.only_passing => return None,
                status::WARNING if health != Health::Odd => Health::Warning,
                _ => Health::Odd,
            };
        }
        Some(health)
    }

    /// The healthy ones of `found` in random order, drawn one at a time: most answers need few.
    fn draw(&mut self, found: &mut [Instance<'a>], drawn: &mut usize) -> Option<(Instance<'a>, Health)> {
        if self.in_order {
            let entry = *found.get(*drawn)?;
            *drawn += 1;
            let has = |status: &str| entry.checks.iter().any(|check| *check.status == *status);
            return Some(match (has(status::CRITICAL), has(status::WARNING)) {
                (true, _) => (entry, Health::Odd),
                (_, true) => (entry, Health::Warning),
                _ => (entry, Health::Passing),
            });
        }
        while *drawn < found.len() {
            let at = *drawn + self.rng.below((found.len() - *drawn) as u64) as usize;
            found.swap(*drawn, at);
            let entry = found[*drawn];
            *drawn += 1;
            if let Some(health) = self.health(entry) {
                return Some((entry, health));
            }
        }
        None
    }

    /// A, AAAA, ANY and what else is asked in vain. Returns whether any instance may be named.
    pub(super) fn address_records(
        &mut self,
        ask: &Ask<'_>,
        ttl: u32,
        mut found: Vec<Instance<'a>>,
        out: &mut Sections<'a>,
    ) -> bool {
        let want = match ask.kind {
            qtype::A => Family::V4,
            qtype::AAAA => Family::V6,
            _ => Family::Any,
        };
        let limit = match self.config.dns.a_record_limit {
            0 => ask.room,
            limit => limit.min(ask.room),
        };
        let mut seen: Vec<IpAddr> = Vec::new();
        let mut host = None;
        let (mut drawn, mut any) = (0, false);
        while seen.len() < limit.max(1) {
            let Some((entry, _)) = self.draw(&mut found, &mut drawn) else { break };
            let (node, service) = (&entry.node, &entry.service);
            any = true;
            let address = match Address::of(instance_address(node, service, want)) {
                Some(Address::Host(host)) if self.is_itself(ask, host) => {
                    Address::of(node_address(node, want))
                }
                address => address,
            };
            match address.filter(|address| answers(ask.kind, *address)) {
                Some(Address::Ip(ip)) => {
                    if let Err(at) = seen.binary_search(&ip) {
                        seen.insert(at, ip);
                        out.answer.push(Record { owner: ask.id, ttl, data: Data::Ip(ip) });
                    }
                }
                // A name can have one CNAME, and that only beside nothing else.
                Some(Address::Host(name)) => host = host.or(Some(name)),
                None => {}
            }
        }
        // Of several hosts one is drawn.
        self.drawn(drawn < found.len() || host.is_some());
        if let (true, Some(host)) = (out.answer.is_empty(), host) {
            out.answer = self.cname(ask, host, ttl, false).unwrap_or_default();
        }
        any
    }

    /// SRV records, and what their targets stand for. Returns whether any instance may be named.
    pub(super) fn srv_records(
        &mut self,
        ask: &Ask<'_>,
        ttl: u32,
        mut found: Vec<Instance<'a>>,
        out: &mut Sections<'a>,
    ) -> bool {
        let mut seen: Vec<(&str, &str, i64)> = Vec::new();
        let mut node_names: Vec<(&str, NameId)> = Vec::new();
        let (mut drawn, mut any) = (0, false);
        while out.answer.len() < ask.room {
            let Some((entry, health)) = self.draw(&mut found, &mut drawn) else { break };
            let (node, service) = (&entry.node, &entry.service);
            any = true;
            let own = own_address(service, Family::Any);
            let key = (&*node.node, own, service.port);
            match seen.binary_search(&key) {
                Ok(_) => continue,
                Err(at) => seen.insert(at, key),
            }
            let node_name = match node_names.binary_search_by_key(&&*node.node, |(name, _)| name) {
                Ok(at) => node_names[at].1,
                Err(at) => {
                    let Some(id) = self.node_name(node, ask.domain) else { continue };
                    node_names.insert(at, (&node.node, id));
                    id
                }
            };
            let Some(target) = self.srv_target(ask, ttl, node, node_name, own, &mut out.additional) else {
                continue;
            };
            // Ports and weights outside of 16 bits are cut as Consul cuts them.
            let data = Data::Srv { weight: weight(service, health), port: service.port as u16, target };
            out.answer.push(Record { owner: ask.id, ttl, data });
            if self.config.dns.enable_additional_node_meta_txt {
                self.meta(node_name, ttl, node, &mut out.additional);
            }
        }
        self.drawn(drawn < found.len());
        any
    }

    /// Where an SRV record points, with the target's addresses appended to `out`.
    fn srv_target(
        &mut self,
        ask: &Ask<'_>,
        ttl: u32,
        node: &'a Node,
        node_name: NameId,
        own: &'a str,
        out: &mut Vec<Record<'a>>,
    ) -> Option<NameId> {
        let own = match Address::of(own) {
            Some(Address::Host(host)) if self.is_itself(ask, host) => None,
            own => own,
        };
        let node_address = node_address(node, Family::Any);
        let (target, ip) = match own.or(Address::of(node_address))? {
            // The node's main address has a name of its own.
            Address::Ip(ip) if own.is_none() && *node_address == *node.address => (node_name, ip),
            Address::Ip(ip) => (self.address_name(ip, ask.domain)?, ip),
            Address::Host(host) => {
                let target = self.host(host)?;
                out.append(&mut self.chain(ask, host, ttl, false));
                return Some(target);
            }
        };
        out.push(Record { owner: target, ttl, data: Data::Ip(ip) });
        Some(target)
    }

    /// `<hex>.addr.<dc>.<domain>`.
    fn address_name(&mut self, ip: IpAddr, domain: NameId) -> Option<NameId> {
        let datacenter = self.names.child(domain, self.datacenter.as_bytes())?;
        let base = self.names.child(datacenter, b"addr")?;
        let (digits, bits) = match ip {
            IpAddr::V4(ip) => (8, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (32, ip.to_bits()),
        };
        let mut label = [0; 32];
        for (i, digit) in label[..digits].iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(bits >> (4 * i)) as usize & 15];
        }
        self.names.leaf(base, &label[..digits])
    }

    /// Whether a host name is the very name asked for, in the same spelling: then only the node's
    /// address is left.
    fn is_itself(&self, ask: &Ask<'_>, host: &str) -> bool {
        ask.name.spelled(host)
    }
}

/// The address an instance has for itself; empty if none of the wanted family.
fn own_address(service: &NodeService, want: Family) -> &str {
    let tagged = |tag: &str| service.tagged_addresses.get(tag).map(|address| &*address.address);
    choose(&service.address, tagged("lan_ipv4"), tagged("lan_ipv6"), want)
}

/// The address to give for an instance: its own, or its node's if it has none at all.
fn instance_address<'a>(node: &'a Node, service: &'a NodeService, want: Family) -> &'a str {
    let own = own_address(service, want);
    if own.is_empty() && service.address.is_empty() { node_address(node, want) } else { own }
}

/// The weight for SRV; 1 where the registered ones make no sense.
fn weight(service: &NodeService, health: Health) -> u16 {
    let valid = |weight: i64, least: i64| u16::try_from(weight).ok().filter(|_| weight >= least);
    match (valid(service.weights.passing, 1), valid(service.weights.warning, 0), health) {
        (Some(passing), Some(_), Health::Passing) => passing,
        (Some(_), Some(warning), Health::Warning) => warning,
        _ => 1,
    }
}
