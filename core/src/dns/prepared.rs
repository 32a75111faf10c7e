//! Prepared queries: what they find, in the order in which they found it.

use super::lookup::At;
use super::query::qtype;
use super::record::Sections;
use super::remote::{Need, Part};
use super::responder::{Ask, Miss, Responder};
use super::service::Instance;
use super::{Lasting, ttl};
use crate::Str;
use crate::duration;
use crate::store::QueryError;
use crate::types::{PreparedQuery, QueryDns, QueryFound};
use crate::wire::msgpack;
use alloc::vec::Vec;

/// So far behind the nearest, the node itself is still found.
const NODE_ITSELF_WITHIN: usize = 10;

impl<'a> Responder<'a, '_> {
    /// `<name or ID>.query`, the name in lower case.
    pub(super) fn query(
        &mut self,
        ask: &Ask<'_>,
        name: &str,
        at: &At,
        out: &mut Sections<'a>,
    ) -> Result<(), Miss> {
        self.lasting = Lasting::Once;
        let datacenter = match at {
            At::Here if self.config.server => return self.query_here(ask, name, out),
            At::Here => Str::from(self.datacenter),
            At::There(there) => Str::from(there.as_str()),
        };
        let need = Need { datacenter, part: Part::Query(Str::from(name)) };
        match self.executed.get(&need) {
            Some(found) => self.found(ask, found, out),
            None => {
                self.recursion.need(need);
                Err(Miss::Name)
            }
        }
    }

    /// A query that this datacenter defines.
    fn query_here(&mut self, ask: &Ask<'_>, name: &str, out: &mut Sections<'a>) -> Result<(), Miss> {
        let query = match self.store.resolve_query(name, "") {
            Ok(query) => query,
            Err(QueryError::NotFound) => return Err(Miss::Name),
            Err(QueryError::Failed(_)) => return Err(Miss::Failure),
        };
        let mut found: Vec<Instance<'a>> = Vec::new();
        if query.service.peer.is_empty() {
            found.extend(self.store.query_instances(&query.service, false).into_iter().map(|entry| &**entry));
        }
        if found.is_empty() {
            return self.query_elsewhere(ask, &query, out);
        }
        self.rng.shuffle(&mut found);
        self.sort_near(&query, &mut found);
        self.records(ask, &query.service.service, &query.dns, found, out)
    }

    /// The nearest first, if the query says to what; its node itself before all.
    fn sort_near(&self, query: &PreparedQuery, found: &mut Vec<Instance<'a>>) {
        let near = match &*query.service.near {
            // Who asks is not told here.
            "" | "_ip" => return,
            "_agent" => &*self.config.node_name,
            node => node,
        };
        if self.store.node_coordinates(near).next().is_some() {
            let far = |entry: &Instance<'_>| self.store.distance(near, &entry.node.node);
            let mut placed: Vec<(f64, Instance<'a>)> = found.drain(..).map(|e| (far(&e), e)).collect();
            placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            found.extend(placed.into_iter().map(|(_, entry)| entry));
        }
        let itself = |entry: &Instance<'_>| entry.node.node.eq_ignore_ascii_case(near);
        if let Some(at) = found.iter().take(NODE_ITSELF_WITHIN).position(itself) {
            found.swap(0, at);
        }
    }

    /// Asks the datacenters that the query names, one after the other. Which ones are near is not known here.
    fn query_elsewhere(
        &mut self,
        ask: &Ask<'_>,
        query: &PreparedQuery,
        out: &mut Sections<'a>,
    ) -> Result<(), Miss> {
        let failover = &query.service.failover;
        let targets = failover.targets.iter().flatten().map(|target| &target.datacenter);
        let named: Vec<&Str> = match failover.datacenters.is_empty() {
            false => failover.datacenters.iter().collect(),
            true => targets.collect(),
        };
        let elsewhere = named.into_iter().filter(|name| !name.is_empty() && ***name != *self.datacenter);
        for datacenter in elsewhere {
            let part = Part::QueryOf(msgpack::to_vec(query).into());
            let need = Need { datacenter: datacenter.clone(), part };
            match self.executed.get(&need) {
                Some(found) if found.nodes.is_empty() => {}
                Some(found) => return self.found(ask, found, out),
                None => {
                    self.recursion.need(need);
                    return Err(Miss::Name);
                }
            }
        }
        Err(Miss::Name)
    }

    /// What other servers found.
    fn found(&mut self, ask: &Ask<'_>, found: &'a QueryFound, out: &mut Sections<'a>) -> Result<(), Miss> {
        let home = core::mem::replace(&mut self.datacenter, &*found.datacenter);
        let nodes = found.nodes.iter().map(|entry| &**entry).collect();
        let made = self.records(ask, &found.service, &found.dns, nodes, out);
        self.datacenter = home;
        made
    }

    fn records(
        &mut self,
        ask: &Ask<'_>,
        service: &str,
        dns: &QueryDns,
        found: Vec<Instance<'a>>,
        out: &mut Sections<'a>,
    ) -> Result<(), Miss> {
        if found.is_empty() {
            return Err(Miss::Name);
        }
        let ttl = match &*dns.ttl {
            "" => ttl::of_service(&self.config.dns, &service.to_lowercase()),
            text => {
                let seconds = duration::parse(text).unwrap_or(0) / 1_000_000_000;
                u32::try_from(seconds).unwrap_or(u32::MAX)
            }
        };
        let ordered = core::mem::replace(&mut self.in_order, true);
        match ask.kind {
            qtype::SRV => self.srv_records(ask, ttl, found, out),
            _ => self.address_records(ask, ttl, found, out),
        };
        self.in_order = ordered;
        if out.answer.is_empty() { Err(Miss::Data) } else { Ok(()) }
    }
}
