//! Part of another server's store: what it told, to be read like a store of our own.

use super::Store;
use super::key::{Key, fold_str};
use super::queries::Queries;
use super::sessions::Sessions;
use crate::Str;
use crate::map::Map;
use crate::rpc::answer;
use crate::types::{
    CheckServiceNode, Coordinate, HealthCheck, KvEntry, Node, NodeCoordinate, NodeService, PreparedQuery,
    QueryFound, Session,
};
use crate::wire::msgpack;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Records of another server, as they come. Memory is in proportion to what is put in.
#[derive(Clone, Debug, Default)]
pub struct Excerpt {
    nodes: BTreeMap<Str, Arc<Node>>,
    services: BTreeMap<(Str, Str), Arc<NodeService>>,
    checks: BTreeMap<(Str, Str), Arc<HealthCheck>>,
    kv: BTreeMap<Str, Arc<KvEntry>>,
    coordinates: BTreeMap<(Str, Str), Arc<NodeCoordinate>>,
    sessions: Vec<Session>,
    queries: Vec<Arc<PreparedQuery>>,
    found: Option<QueryFound>,
    /// The nodes, as they came first.
    order: Vec<Str>,
}

/// Where something is reached from another datacenter: Consul takes the address of IPv6 first, and one of the LAN where
/// the WAN has none of its kind. `None`: nowhere else.
fn seen_from_far<'a>(tagged: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    let of = |kind: [&str; 2]| kind.into_iter().find_map(&tagged).filter(|at| !at.is_empty());
    of(["wan_ipv6", "lan_ipv6"]).or_else(|| of(["wan_ipv4", "lan_ipv4"])).or_else(|| tagged("wan"))
}

fn translate_node(node: &mut Arc<Node>) {
    let at = seen_from_far(|tag| node.tagged_addresses.get(tag).map(|at| &**at));
    if let Some(at) = at.filter(|at| **at != *node.address).map(Str::from) {
        Arc::make_mut(node).address = at;
    }
}

fn translate_service(service: &mut Arc<NodeService>) {
    let tagged = &service.tagged_addresses;
    let at = seen_from_far(|tag| tagged.get(tag).map(|tagged| &*tagged.address)).map(Str::from);
    let port = tagged.get("wan").map(|tagged| tagged.port).filter(|port| *port != 0);
    let changed = (at.unwrap_or_else(|| service.address.clone()), port.unwrap_or(service.port));
    if changed != (service.address.clone(), service.port) {
        let service = Arc::make_mut(service);
        (service.address, service.port) = changed;
    }
}

/// Puts an instance where it is reached from other datacenters, if it or its node says so.
pub fn translate_instance(instance: &mut Arc<CheckServiceNode>) {
    let instance = Arc::make_mut(instance);
    translate_node(&mut instance.node);
    translate_service(&mut instance.service);
}

impl Excerpt {
    fn add_node(&mut self, node: Arc<Node>) {
        let (key, name) = (fold_str(&node.node), node.node.clone());
        if self.nodes.insert(key, node).is_none() {
            self.order.push(name);
        }
    }

    fn add_service(&mut self, node: &Str, mut service: Arc<NodeService>) {
        service.forget_blank_mesh();
        self.services.insert((fold_str(node), fold_str(&service.id)), service);
    }

    fn add_check(&mut self, check: Arc<HealthCheck>) {
        self.checks.insert((fold_str(&check.node), fold_str(&check.check_id)), check);
    }

    fn add_entry(&mut self, entry: Arc<KvEntry>) {
        self.kv.insert(entry.key.clone(), entry);
    }

    /// `Catalog.ListNodes`.
    pub fn nodes(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        msgpack::from_slice::<answer::Nodes>(body)?.nodes.into_iter().for_each(|node| self.add_node(node));
        Ok(())
    }

    /// Adds what `Catalog.ListServices` answered: one instance of each, on a node without a name.
    pub fn services(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        self.add_node(Arc::default());
        for (name, tags) in msgpack::from_slice::<answer::Services>(body)?.services {
            let service =
                NodeService { id: name.clone(), service: name, tags: tags.into(), ..NodeService::default() };
            self.add_service(&Str::default(), Arc::new(service));
        }
        Ok(())
    }

    /// Adds what `Catalog.ServiceNodes` answered.
    pub fn service_nodes(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        for record in msgpack::from_slice::<answer::ServiceNodes>(body)?.service_nodes {
            let (node, service) = record.split();
            let name = node.node.clone();
            self.add_node(Arc::new(node));
            self.add_service(&name, Arc::new(service));
        }
        Ok(())
    }

    /// Adds what `Catalog.NodeServices` answered.
    pub fn node_services(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        let found = msgpack::from_slice::<answer::NodeServices>(body)?.node_services;
        if let Some(answer::NodeAndServices { node: Some(node), services }) = found {
            let name = node.node.clone();
            self.add_node(node);
            services.into_values().for_each(|service| self.add_service(&name, service));
        }
        Ok(())
    }

    /// Adds what `Catalog.NodeServiceList` answered.
    pub fn node_service_list(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        let found = msgpack::from_slice::<answer::NodeServiceList>(body)?.node_services;
        if let answer::NodeAndList { node: Some(node), services } = found {
            let name = node.node.clone();
            self.add_node(node);
            services.into_iter().for_each(|service| self.add_service(&name, service));
        }
        Ok(())
    }

    /// Adds checks, by whatever they were asked for. The nodes and services that they are of are made up.
    pub fn checks(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        for check in msgpack::from_slice::<answer::HealthChecks>(body)?.health_checks {
            let HealthCheck { node, service_id, service_name, .. } = &*check;
            self.add_node(Arc::new(Node { node: node.clone(), ..Node::default() }));
            if !service_id.is_empty() {
                let (id, service) = (service_id.clone(), service_name.clone());
                self.add_service(node, Arc::new(NodeService { id, service, ..NodeService::default() }));
            }
            self.add_check(check);
        }
        Ok(())
    }

    /// Adds what `Health.ServiceNodes` answered.
    pub fn instances(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        for answer::HealthNode { node, service, checks } in
            msgpack::from_slice::<answer::CheckServiceNodes>(body)?.nodes
        {
            let name = node.node.clone();
            self.add_node(node);
            self.add_service(&name, service);
            checks.into_iter().for_each(|check| self.add_check(check));
        }
        Ok(())
    }

    /// Adds what `KVS.Get`, `KVS.List` or `KVS.ListKeys` answered.
    pub fn keys(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        msgpack::from_slice::<answer::DirEntries>(body)?.entries.into_iter().for_each(|e| self.add_entry(e));
        for key in msgpack::from_slice::<answer::KeyList>(body)?.keys {
            self.add_entry(Arc::new(KvEntry { key, ..KvEntry::default() }));
        }
        Ok(())
    }

    /// Adds what `Session.Get`, `Session.List` or `Session.NodeSessions` answered.
    pub fn sessions(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        self.sessions.extend(msgpack::from_slice::<answer::Sessions>(body)?.sessions);
        Ok(())
    }

    /// Adds what `Coordinate.ListNodes` or `Coordinate.Node` answered.
    pub fn coordinates(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        for at in msgpack::from_slice::<answer::Coordinates>(body)?.coordinates {
            self.coordinates.insert((fold_str(&at.node), fold_str(&at.segment)), Arc::new(at));
        }
        Ok(())
    }

    /// Adds what `PreparedQuery.Get` or `PreparedQuery.List` answered.
    pub fn queries(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        self.queries.extend(msgpack::from_slice::<answer::Queries>(body)?.queries);
        Ok(())
    }

    /// Keeps what `PreparedQuery.Execute` or `PreparedQuery.ExecuteRemote` answered.
    pub fn executed(&mut self, body: &[u8]) -> Result<(), msgpack::Error> {
        self.found = Some(msgpack::from_slice::<answer::Executed>(body)?.into());
        Ok(())
    }

    /// What a prepared query found.
    pub fn found(&self) -> Option<&QueryFound> {
        self.found.as_ref()
    }

    /// Makes up coordinates by which the nodes are in the order in which they came; the first of them.
    pub fn keep_order(&mut self) -> Option<Str> {
        for (rank, node) in self.order.iter().enumerate() {
            let mut coord = Coordinate::default();
            coord.vec[0] = rank as f64;
            let at = NodeCoordinate { node: node.clone(), coord, ..NodeCoordinate::default() };
            self.coordinates.insert((fold_str(node), Str::default()), Arc::new(at));
        }
        self.order.first().cloned()
    }

    /// Puts nodes and services where they are reached from other datacenters, if they say so (`tagged_addresses`).
    pub fn translate(&mut self) {
        self.nodes.values_mut().for_each(translate_node);
        self.services.values_mut().for_each(translate_service);
    }

    /// Adds everything of `other`, which wins.
    pub fn merge(&mut self, other: &Excerpt) {
        self.nodes.extend(other.nodes.iter().map(|(k, v)| (k.clone(), v.clone())));
        self.services.extend(other.services.iter().map(|(k, v)| (k.clone(), v.clone())));
        self.checks.extend(other.checks.iter().map(|(k, v)| (k.clone(), v.clone())));
        self.kv.extend(other.kv.iter().map(|(k, v)| (k.clone(), v.clone())));
    }

    /// A store that holds nothing else. Its indexes say nothing: those of the answers count.
    pub fn into_store(self) -> Store {
        let key = |(node, id)| Key([node, id]);
        let mut store = Store {
            node_ids: (self.nodes.iter().filter(|(_, node)| !node.id.is_empty()))
                .map(|(name, node)| (fold_str(&node.id), name.clone()))
                .collect(),
            nodes: Map::from_sorted(self.nodes),
            services: Map::from_sorted(self.services.into_iter().map(|(k, v)| (key(k), v))),
            checks: Map::from_sorted(self.checks.into_iter().map(|(k, v)| (key(k), v))),
            kv: Map::from_sorted(self.kv),
            sessions: Sessions::of(self.sessions, core::iter::empty()),
            queries: Queries::shown(self.queries),
            coordinates: Map::from_sorted(self.coordinates.into_iter().map(|(k, v)| (key(k), v))),
            ..Store::default()
        };
        store.list_all();
        store
    }
}
