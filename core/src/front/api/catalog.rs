//! `/v1/catalog`: nodes and services as registered.

use super::super::blocking::{Answer, Cx};
use super::super::decode::catalog as bodies;
use super::super::errors::HttpError;
use super::super::lately;
use super::super::message::HttpReply;
use super::super::near::Near;
use super::super::remote::{self, Remote};
use super::super::render;
use super::super::request::{CacheControl, Options, Request};
use super::super::respond;
use super::super::route::{Finish, Read, Step, Style};
use super::{MetaFilter, folded, has_tags, index_of_peer, unexpected};
use crate::Str;
use crate::call;
use crate::command::Command;
use crate::filter::{Record, Subject};
use crate::json::Writer;
use crate::store::{Applied, Excerpt, Store};
use crate::types::{CheckServiceNode, Node};
use crate::view::View;
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec;

const STYLE: Style = Style::Catalog { meta_on_error: true };

/// `GET /v1/catalog/datacenters`: the nearest first. A client asks a server.
pub(in crate::front) fn datacenters(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    // Nothing here waits.
    let waitless = Request { query: rq.query.without(&["index", "wait"]), ..rq.clone() };
    Options::parse(&waitless, &cx.view.config)?;
    if cx.view.config.server {
        return Ok(Step::Call(Box::new(call::Request::Datacenters), |cx, rq, reply| match reply {
            call::Reply::Datacenters(known) => {
                let names: vec::Vec<Str> = known.into_iter().map(|datacenter| datacenter.name).collect();
                let mut reply = list(cx, rq, &names);
                if is_cached(cx, rq) {
                    // It was read before.
                    let control = CacheControl::of(rq).unwrap_or_default();
                    lately::put_fetched(&mut reply, &cx.memory.lately, rq, control, cx.now.mono);
                }
                Ok(reply)
            }
            other => Err(unexpected(other)),
        }));
    }
    let finish: Finish = |cx, rq, reply| {
        let age = remote::age(&reply);
        let body = remote::body(reply)?;
        let names: vec::Vec<Str> = remote::value(&body)?;
        let mut reply = list(cx, rq, &names);
        if is_cached(cx, rq) {
            lately::put(&mut reply, age);
        }
        Ok(reply)
    };
    Ok(match is_cached(cx, rq) {
        true => remote::to_server_cached("Catalog.ListDatacenters", cx, CacheControl::of(rq)?, finish),
        false => remote::to_server("Catalog.ListDatacenters", cx, finish),
    })
}

fn is_cached(cx: &Cx<'_>, rq: &Request) -> bool {
    rq.query.has("cached") && cx.view.config.http.use_cache
}

fn list(cx: &Cx<'_>, rq: &Request, names: &[Str]) -> HttpReply {
    respond::json(cx.view, rq, |w| w.strs(names.iter().map(|name| &**name)))
}

/// `GET /v1/catalog/nodes`.
pub(in crate::front) static NODES: Read = Read {
    answer: |cx, rq| {
        let store = &cx.view.store;
        let meta = MetaFilter::of(rq);
        Ok(Answer::json(cx, store.nodes_index(), |w| {
            let wanted = store.nodes().filter(|n| meta.matches(n) && cx.passes(Record::Node(n)));
            match Near::of_request(cx, rq) {
                None => w.array(|w| wanted.for_each(|n| render::node::node(w, n))),
                Some(near) => {
                    let mut sorted: vec::Vec<_> = wanted.collect();
                    near.sort(&mut sorted, |node| &node.node);
                    w.array(|w| sorted.iter().for_each(|n| render::node::node(w, n)));
                }
            }
        }))
    },
    watch: |_, _| vec![WatchKey::Nodes],
    style: STYLE,
    cacheable: false,
    filter: Some(Subject::Node),
    remote: Remote {
        ask: |_, _, _| "Catalog.ListNodes",
        take: Excerpt::nodes,
        finish: |cx, rq, reply| remote::finish(&NODES, cx, rq, reply),
    },
};

/// `GET /v1/catalog/services`: every name with its tags.
pub(in crate::front) static SERVICES: Read = Read {
    answer: |cx, rq| {
        let store = &cx.view.store;
        let meta = MetaFilter::of(rq);
        let index = match meta.is_empty() {
            true => store.services_index(),
            false => store.services_index().max(store.nodes_index()),
        };
        Ok(Answer::json(cx, index, |w| {
            let services = match meta.is_empty() && cx.filter.is_none() {
                true => store.services(),
                false => services_where(cx, &meta),
            };
            w.object(|w| services.iter().for_each(|(name, tags)| w.field_strs(name, tags)));
        }))
    },
    watch: |_, _| vec![WatchKey::Services, WatchKey::Nodes],
    style: STYLE,
    cacheable: true,
    filter: Some(Subject::ServiceNode),
    remote: Remote {
        ask: |_, _, _| "Catalog.ListServices",
        take: Excerpt::services,
        finish: |cx, rq, reply| remote::finish(&SERVICES, cx, rq, reply),
    },
};

/// The names and tags of the services on nodes that `meta` lets through, as far as the filter does.
fn services_where(cx: &Cx<'_>, meta: &MetaFilter<'_>) -> BTreeMap<Str, vec::Vec<Str>> {
    let mut services: BTreeMap<Str, BTreeSet<Str>> = BTreeMap::new();
    for (node, service) in cx.view.store.instances().filter(|(node, _)| meta.matches(node)) {
        let passes = match (cx.filter.is_some(), meta.is_empty()) {
            (false, _) => true,
            (true, true) => cx.passes(Record::ServiceNode(node, service)),
            // Consul looks no further than the services then: of the node there is only the name.
            (true, false) => {
                let named = Node { node: node.node.clone(), ..Node::default() };
                cx.passes(Record::ServiceNode(&named, service))
            }
        };
        if passes {
            services.entry(service.service.clone()).or_default().extend(service.tags.iter().cloned());
        }
    }
    services.into_iter().map(|(name, tags)| (name, tags.into_iter().collect())).collect()
}

/// `GET /v1/catalog/service/:service`.
pub(in crate::front) static SERVICE: Read = Read {
    answer: |cx, rq| {
        let name = rq.named("service name")?;
        let (meta, peer) = (MetaFilter::of(rq), rq.query.get("peer"));
        let shown = |entry: &CheckServiceNode| {
            let asked = *entry.service.peer_name == *peer
                && meta.matches(&entry.node)
                && has_tags(rq, &entry.service);
            asked && cx.passes(Record::ServiceNode(&entry.node, &entry.service))
        };
        let write = |w: &mut Writer<'_>, entry: &CheckServiceNode| {
            render::service::with_node(w, &entry.node, &entry.service);
        };
        let index = index_of_peer(peer, cx.view.store.service_instances_index(name));
        Ok(Answer::instances(cx, rq, index, name, shown, write))
    },
    watch: watch_service,
    style: STYLE,
    cacheable: true,
    filter: Some(Subject::ServiceNode),
    remote: Remote {
        ask: |_, rq, arguments| {
            remote::with_tags(rq, arguments);
            arguments.peer_name = Str::from(rq.query.get("peer"));
            "Catalog.ServiceNodes"
        },
        take: Excerpt::service_nodes,
        finish: |cx, rq, reply| remote::finish(&SERVICE, cx, rq, reply),
    },
};

/// The index of a service without instances moves when services come and go, and news is what moves the index.
pub(super) fn watch_service(view: &View, rq: &Request) -> vec::Vec<WatchKey> {
    let own = WatchKey::Service(folded(rq.arg()));
    match view.store.service_instances(rq.arg()).next() {
        Some(_) => vec![own],
        None => vec![own, WatchKey::Services],
    }
}

/// The node of this name, else the one whose ID begins so.
pub(in crate::front) fn node_named<'a>(store: &'a Store, name: &str) -> Option<&'a Arc<Node>> {
    store.node(name).or_else(|| store.node_by_id_prefix(name))
}

/// What a node's own index is; for a node that is not there, when one last went.
pub(in crate::front) fn node_index(store: &Store, node: Option<&Arc<Node>>, name: &str) -> u64 {
    store.node_index(node.map_or(name, |n| &n.node))
}

/// A name may be an ID prefix: any node's coming or going may change which node is meant.
fn watch_node(_: &View, rq: &Request) -> vec::Vec<WatchKey> {
    vec![WatchKey::Node(folded(rq.arg())), WatchKey::Nodes]
}

/// `GET /v1/catalog/node/:node`: `null` if unknown.
pub(in crate::front) static NODE: Read = Read {
    answer: |cx, rq| {
        let name = rq.named("node name")?;
        let store = &cx.view.store;
        let node = node_named(store, name);
        Ok(Answer::json(cx, node_index(store, node, name), |w| match node {
            None => w.null(),
            Some(node) => w.object(|w| {
                w.field("Node", |w| render::node::node(w, node));
                w.field("Services", |w| {
                    w.object(|w| {
                        let all = store.node_services(&node.node);
                        for service in all.filter(|s| cx.passes(Record::Service(s))) {
                            w.field(&service.id, |w| render::service::instance(w, service, true));
                        }
                    });
                });
            }),
        }))
    },
    watch: watch_node,
    style: STYLE,
    cacheable: false,
    filter: Some(Subject::Service),
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.node = Str::from(rq.arg());
            "Catalog.NodeServices"
        },
        take: Excerpt::node_services,
        finish: |cx, rq, reply| remote::finish(&NODE, cx, rq, reply),
    },
};

/// `GET /v1/catalog/node-services/:node`.
pub(in crate::front) static NODE_SERVICES: Read = Read {
    answer: |cx, rq| {
        let name = rq.named("node name")?;
        let store = &cx.view.store;
        let node = node_named(store, name);
        Ok(Answer::json(cx, node_index(store, node, name), |w| {
            w.object(|w| {
                w.field("Node", |w| match node {
                    Some(node) => render::node::node(w, node),
                    None => w.null(),
                });
                let all = node.into_iter().flat_map(|n| store.node_services(&n.node));
                let mut services = all.filter(|s| cx.passes(Record::Service(s))).peekable();
                w.field("Services", |w| match (services.peek(), rq.query.get("filter")) {
                    // A filter makes a list of nothing, here or at the server that was asked.
                    (None, "") => w.null(),
                    _ => {
                        w.array(|w| services.for_each(|s| render::service::instance(w, s, true)));
                    }
                });
            });
        }))
    },
    watch: watch_node,
    style: STYLE,
    cacheable: false,
    filter: Some(Subject::Service),
    remote: Remote {
        ask: |_, rq, arguments| {
            arguments.node = Str::from(rq.arg());
            "Catalog.NodeServiceList"
        },
        take: Excerpt::node_service_list,
        finish: |cx, rq, reply| remote::finish(&NODE_SERVICES, cx, rq, reply),
    },
};

/// A catalog write that answers `true`.
fn write(cx: &Cx<'_>, datacenter: &str, command: Command) -> Step {
    let finish: Finish = |cx, rq, reply| match reply {
        call::Reply::Applied { result: Applied::Ok | Applied::Bool(_), .. } => {
            Ok(respond::json(cx.view, rq, |w| w.bool(true)))
        }
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    };
    Step::Call(remote::write(Str::from(datacenter), command, &cx.view.config), finish)
}

/// `PUT /v1/catalog/register`. Whoever replicates it looks at what it says.
pub(in crate::front) fn register(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let mut register = bodies::register(&rq.body)?;
    let config = &cx.view.config;
    if bodies::is_own_datacenter(&mut register.datacenter, &config.datacenter) && config.server {
        bodies::prepare(&mut register).map_err(HttpError::Failed)?;
    }
    Ok(write(cx, &register.datacenter.clone(), Command::Register(Box::new(register))))
}

/// `PUT /v1/catalog/deregister`.
pub(in crate::front) fn deregister(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let mut deregister = bodies::deregister(&rq.body)?;
    let config = &cx.view.config;
    let own = bodies::is_own_datacenter(&mut deregister.datacenter, &config.datacenter);
    if own && config.server && deregister.node.is_empty() {
        return Err(HttpError::Failed("Must provide node".into()));
    }
    Ok(write(cx, &deregister.datacenter.clone(), Command::Deregister(deregister)))
}
