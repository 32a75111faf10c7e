//! `Catalog`: nodes and services as registered.

use super::super::api::catalog::{node_index, node_named};
use super::super::api::index_of_peer;
use super::super::blocking::Cx;
use super::super::decode::catalog as bodies;
use super::super::errors::HttpError;
use super::result::{bytes, indexed, list, nothing};
use super::{Arguments, Failure, Read, Step, decode, missing, near, refuse_other_datacenter, unexpected};
use crate::Str;
use crate::call;
use crate::command::{Command, Deregister, Register};
use crate::filter::{Record, Subject};
use crate::rpc::answer::ServiceNode;
use crate::store::Applied;
use crate::types::{Node, NodeService};
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;

/// `Catalog.ListDatacenters`: the nearest first.
pub(super) fn datacenters(_: &Cx<'_>, _: &[u8]) -> Result<Step, Failure> {
    Ok(Step::Call(Box::new(call::Request::Datacenters), |reply| match reply {
        call::Reply::Datacenters(known) => {
            Ok(bytes(&known.iter().map(|datacenter| &datacenter.name).collect::<Vec<_>>()))
        }
        other => Err(unexpected(other)),
    }))
}

/// `Catalog.ListNodes`.
pub(super) static NODES: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let wanted = || store.nodes().filter(|n| args.wants_node(n) && cx.passes(Record::Node(n)));
        let nodes = || near(cx, args, wanted(), |node| &node.node);
        Ok(indexed(cx, store.nodes_index(), "Nodes", nodes))
    },
    watch: |_| vec![WatchKey::Nodes],
    filter: Some(Subject::Node),
};

/// The index of an answer that names services, by what may change it.
fn services_index(cx: &Cx<'_>, args: &Arguments) -> u64 {
    let store = &cx.view.store;
    match args.read.node_meta_filters.is_empty() {
        true => store.services_index(),
        false => store.services_index().max(store.nodes_index()),
    }
}

/// Every name with the tags of the instances that the arguments let through.
fn services(cx: &Cx<'_>, args: &Arguments) -> BTreeMap<Str, Vec<Str>> {
    if args.read.node_meta_filters.is_empty() && cx.filter.is_none() {
        return cx.view.store.services();
    }
    let mut names: BTreeMap<Str, BTreeSet<Str>> = BTreeMap::new();
    for (node, service) in cx.view.store.instances() {
        if args.wants_node(node) && cx.passes(Record::ServiceNode(node, service)) {
            names.entry(service.service.clone()).or_default().extend(service.tags.iter().cloned());
        }
    }
    names.into_iter().map(|(name, tags)| (name, tags.into_iter().collect())).collect()
}

/// `Catalog.ListServices`.
pub(super) static SERVICES: Read = Read {
    answer: |cx, args| Ok(indexed(cx, services_index(cx, args), "Services", || services(cx, args))),
    watch: |_| vec![WatchKey::Services, WatchKey::Nodes],
    filter: Some(Subject::ServiceNode),
};

/// A name in a list of its own.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceName {
    name: Str,
}

/// `Catalog.ServiceList`.
pub(super) static SERVICE_LIST: Read = Read {
    answer: |cx, args| {
        let names = || list(services(cx, args).into_keys().map(|name| ServiceName { name }));
        Ok(indexed(cx, services_index(cx, args), "Services", names))
    },
    watch: |_| vec![WatchKey::Services, WatchKey::Nodes],
    filter: None,
};

/// `Catalog.ServiceNodes`, by name or by address.
pub(super) static SERVICE_NODES: Read = Read {
    answer: |cx, args| {
        let store = &cx.view.store;
        let asked = |node: &Node, service: &NodeService| {
            args.wants_node(node) && cx.passes(Record::ServiceNode(node, service))
        };
        if !args.read.service_address.is_empty() {
            let at = |node: &Node, service: &NodeService| match service.address.is_empty() {
                true => *node.address == *args.read.service_address,
                false => *service.address == *args.read.service_address,
            };
            let found = store.instances().filter(|(n, s)| at(n, s) && asked(n, s));
            let nodes = || near(cx, args, found.map(|(n, s)| ServiceNode::of(n, s)), |found| &found.node);
            return Ok(indexed(cx, store.services_index().max(store.nodes_index()), "ServiceNodes", nodes));
        }
        refuse_mesh(args)?;
        let name = named(args)?;
        let wanted = |s: &NodeService| args.wants_peer(s) && args.wants_tags(s);
        let found = store.service_instances(name).filter(|(n, s)| wanted(s) && asked(n, s));
        let nodes = || near(cx, args, found.map(|(n, s)| ServiceNode::of(n, s)), |found| &found.node);
        let index = index_of_peer(&args.read.peer_name, store.service_instances_index(name));
        Ok(indexed(cx, index, "ServiceNodes", nodes))
    },
    watch: |args| match args.read.service_address.is_empty() {
        true => vec![WatchKey::Service(Str::from(args.read.service_name.to_lowercase()))],
        false => vec![WatchKey::Services, WatchKey::Nodes],
    },
    filter: Some(Subject::ServiceNode),
};

/// The service asked for.
pub(super) fn named(args: &Arguments) -> Result<&str, HttpError> {
    match &*args.read.service_name {
        "" => Err(missing("Must provide service name")),
        name => Ok(name),
    }
}

/// Nothing here knows which proxies and gateways stand for a service: an empty answer would be a lie.
pub(super) fn refuse_mesh(args: &Arguments) -> Result<(), HttpError> {
    match args.read.connect || args.read.ingress {
        true => Err(HttpError::NotBuilt("finding the proxies and gateways of a service".into())),
        false => Ok(()),
    }
}

/// The node asked for: by name, else by the beginning of its ID.
fn node<'a>(cx: &'a Cx<'_>, args: &Arguments) -> Result<(Option<&'a Arc<Node>>, u64), HttpError> {
    if args.read.node.is_empty() {
        return Err(missing("Must provide node"));
    }
    let store = &cx.view.store;
    let node = node_named(store, &args.read.node);
    Ok((node, node_index(store, node, &args.read.node)))
}

/// A name may be an ID prefix: any node's coming or going may change which node is meant.
fn watch_node(args: &Arguments) -> Vec<WatchKey> {
    vec![WatchKey::Node(Str::from(args.read.node.to_lowercase())), WatchKey::Nodes]
}

/// A node with its instances.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServices<'a, S> {
    node: Option<&'a Node>,
    services: S,
}

/// `Catalog.NodeServices`: the instances by ID.
pub(super) static NODE_SERVICES: Read = Read {
    answer: |cx, args| {
        let (node, index) = node(cx, args)?;
        let services = |node: &Node| -> BTreeMap<Str, Arc<NodeService>> {
            let all = cx.view.store.node_services(&node.node);
            let shown = all.filter(|s| cx.passes(Record::Service(s)));
            shown.map(|s| (s.id.clone(), s.clone())).collect()
        };
        let found = || node.map(|n| NodeServices { node: Some(n), services: services(n) });
        Ok(indexed(cx, index, "NodeServices", found))
    },
    watch: watch_node,
    filter: Some(Subject::Service),
};

/// `Catalog.NodeServiceList`: the instances in a list. Agents compare them with their own.
pub(super) static NODE_SERVICE_LIST: Read = Read {
    answer: |cx, args| {
        let (node, index) = node(cx, args)?;
        let services = |node: &Arc<Node>| {
            let shown =
                list(cx.view.store.node_services(&node.node).filter(|s| cx.passes(Record::Service(s))));
            // A filter makes a list of nothing.
            shown.or_else(|| cx.filter.map(|_| Vec::new()))
        };
        let found = || NodeServices { node: node.map(|n| &**n), services: node.and_then(services) };
        Ok(indexed(cx, index, "NodeServices", found))
    },
    watch: watch_node,
    filter: Some(Subject::Service),
};

/// A write that answers with nothing.
fn write(command: Command) -> Step {
    let request = call::Request::Write(command);
    Step::Call(Box::new(request), |reply| match reply {
        call::Reply::Applied { result: Applied::Ok | Applied::Bool(_), .. } => Ok(nothing()),
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    })
}

/// `Catalog.Register`.
pub(super) fn register(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let mut register: Register = decode(arguments)?;
    refuse_other_datacenter(&register.datacenter, &cx.view.config.datacenter)?;
    bodies::is_own_datacenter(&mut register.datacenter, &cx.view.config.datacenter);
    bodies::prepare(&mut register).map_err(HttpError::Failed)?;
    Ok(write(Command::Register(Box::new(register))))
}

/// `Catalog.Deregister`.
pub(super) fn deregister(cx: &Cx<'_>, arguments: &[u8]) -> Result<Step, Failure> {
    let mut deregister: Deregister = decode(arguments)?;
    refuse_other_datacenter(&deregister.datacenter, &cx.view.config.datacenter)?;
    bodies::is_own_datacenter(&mut deregister.datacenter, &cx.view.config.datacenter);
    if deregister.node.is_empty() {
        return Err(missing("Must provide node").into());
    }
    Ok(write(Command::Deregister(deregister)))
}
