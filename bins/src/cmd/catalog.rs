//! `catalog`: what is registered in the datacenter, whichever agent registered it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Body, Command, Context, Outcome, health};
use crate::flags::Flag;
use crate::sets;
use crate::table::{self, row};
use lictor_core::plan::escape_path;

pub(super) static COMMAND: Command = Command {
    name: "catalog",
    synopsis: "Interact with the catalog",
    usage: "<subcommand> [options] [args]",
    about: "
Shows what is registered in a datacenter: the servers' view, where `services`
and `maint` show and change the view of one agent.

    $ {prog} catalog services
    $ {prog} catalog service web
    $ {prog} catalog nodes -service=web",
    body: Body::Group(&[&CHECKS, &DATACENTERS, &NODES, &SERVICE, &SERVICES]),
};

static DATACENTERS: Command = Command {
    name: "datacenters",
    synopsis: "Lists all known datacenters",
    usage: "[options]",
    about: "
Lists the datacenters that the servers know, nearest first.

    $ {prog} catalog datacenters",
    body: Body::Leaf { api: sets::TO_SERVERS, own: &[], run: datacenters },
};

static NODES: Command = Command {
    name: "nodes",
    synopsis: "Lists all nodes in the given datacenter",
    usage: "[options]",
    about: "
Lists the nodes of a datacenter.

    $ {prog} catalog nodes
    $ {prog} catalog nodes -service=web -detailed",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::switch("detailed", "Show whole IDs, all addresses and the metadata of each node."),
                Flag::text("filter", "expression", "Filter expression that the servers apply."),
                Flag::text(
                    "near",
                    "node",
                    "Sort by estimated round trip from this node; _agent is the agent asked.",
                ),
                Flag::pairs("node-meta", "Only nodes with this metadata."),
                Flag::text("service", "name", "Only nodes that provide this service."),
            ],
            sets::PARTITION,
        ],
        run: nodes,
    },
};

static SERVICES: Command = Command {
    name: "services",
    synopsis: "Lists all registered services in a datacenter",
    usage: "[options]",
    about: "
Lists the names of the services of a datacenter.

    $ {prog} catalog services
    $ {prog} catalog services -tags -node=web-1",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::text("node", "name", "Only services of this node."),
                Flag::pairs("node-meta", "Only services of nodes with this metadata."),
                Flag::switch("tags", "Show each service's tags beside its name."),
            ],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: services,
    },
};

static SERVICE: Command = Command {
    name: "service",
    synopsis: "Lists the instances of one service",
    usage: "[options] NAME",
    about: "
Lists the instances of a service, healthy or not, with address, port and tags.
For their health see `{prog} health service`.

    $ {prog} catalog service web",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::text("filter", "expression", "Filter expression that the servers apply."),
                Flag::pairs("node-meta", "Only instances on nodes with this metadata."),
                Flag::list("tag", "tag", "Only instances with this tag."),
            ],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: service,
    },
};

static CHECKS: Command = Command {
    name: "checks",
    synopsis: "Lists all health checks in a datacenter",
    usage: "[options]",
    about: "
Lists every health check of a datacenter with its state. For one state only
see `{prog} health state`.

    $ {prog} catalog checks",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[health::STATE_FLAGS, sets::NAMESPACE, sets::PARTITION],
        run: checks,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "ID", default)]
    id: String,
    node: String,
    address: String,
    #[serde(default)]
    datacenter: String,
    tagged_addresses: Option<BTreeMap<String, String>>,
    #[serde(alias = "NodeMeta")]
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: String,
    address: String,
    #[serde(rename = "ServiceID")]
    id: String,
    service_address: String,
    service_port: i64,
    service_tags: Option<Vec<String>>,
}

fn datacenters(cx: &mut Context<'_, '_>) -> Outcome {
    cx.no_args()?;
    let client = cx.client()?;
    let names: Vec<String> =
        client.get("/v1/catalog/datacenters", &[]).map_err(|e| format!("Error listing datacenters: {e}"))?;
    names.iter().for_each(|name| cx.shell.say(name));
    Ok(0)
}

fn nodes(cx: &mut Context<'_, '_>) -> Outcome {
    cx.no_args()?;
    let client = cx.client()?;
    let meta: Vec<String> = cx.flags.all("node-meta").map(meta_query).collect();
    let mut query: Vec<(&str, &str)> = meta.iter().map(|m| ("node-meta", m.as_str())).collect();
    for name in ["filter", "near"] {
        query.extend(cx.flags.text(name).filter(|v| !v.is_empty()).map(|v| (name, v)));
    }
    let path = match cx.flags.text("service").filter(|s| !s.is_empty()) {
        Some(service) => format!("/v1/catalog/service/{}", escape_path(service)),
        None => "/v1/catalog/nodes".to_owned(),
    };
    let found: Vec<Node> = client.get(&path, &query).map_err(|e| format!("Error listing nodes: {e}"))?;
    let mut seen = BTreeSet::new();
    let found: Vec<Node> = found.into_iter().filter(|n| seen.insert(n.node.clone())).collect();
    if found.is_empty() {
        cx.shell.warn("No nodes match the given query - try expanding your search.");
        return Ok(0);
    }
    let rows = if cx.flags.on("detailed") { detailed(&found) } else { plain(&found) };
    cx.shell.say(table::columns(&rows, table::GAP));
    Ok(0)
}

fn plain(nodes: &[Node]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["Node", "ID", "Address", "DC"])];
    for n in nodes {
        let id = n.id.split('-').next().unwrap_or_default();
        rows.push(row([&n.node, id, &n.address, &n.datacenter]));
    }
    rows
}

fn detailed(nodes: &[Node]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"])];
    for n in nodes {
        let (addresses, meta) = (listed(&n.tagged_addresses), listed(&n.meta));
        rows.push(row([&n.node, &n.id, &n.address, &n.datacenter, &addresses, &meta]));
    }
    rows
}

fn listed(map: &Option<BTreeMap<String, String>>) -> String {
    let pairs: Vec<String> = map.iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(", ")
}

/// The command line says `key=value`, the API says `key:value`.
fn meta_query(pair: &str) -> String {
    pair.replacen('=', ":", 1)
}

fn services(cx: &mut Context<'_, '_>) -> Outcome {
    cx.no_args()?;
    let client = cx.client()?;
    let names = match cx.flags.text("node").filter(|n| !n.is_empty()) {
        Some(node) => services_of(&client, node)?,
        None => {
            let meta: Vec<String> = cx.flags.all("node-meta").map(meta_query).collect();
            let query: Vec<(&str, &str)> = meta.iter().map(|m| ("node-meta", m.as_str())).collect();
            client.get("/v1/catalog/services", &query).map_err(|e| format!("Error listing services: {e}"))?
        }
    };
    if names.is_empty() {
        cx.shell.warn("No services match the given query - try expanding your search.");
        return Ok(0);
    }
    if !cx.flags.on("tags") {
        names.keys().for_each(|name| cx.shell.say(name));
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = names
        .into_iter()
        .map(|(name, mut tags)| {
            tags.sort_unstable();
            vec![name, tags.join(",")]
        })
        .collect();
    cx.shell.say(table::columns(&rows, table::WIDE_GAP).trim_end());
    Ok(0)
}

/// Names of the services of `node`, each with the tags of all its instances there.
fn services_of(client: &crate::client::Client, node: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    #[derive(Deserialize)]
    struct Held {
        #[serde(rename = "Services")]
        services: Option<BTreeMap<String, Service>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Service {
        service: String,
        tags: Option<Vec<String>>,
    }
    let held: Option<Held> = client
        .get(&format!("/v1/catalog/node/{}", escape_path(node)), &[])
        .map_err(|e| format!("Error listing services for node: {e}"))?;
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for service in held.and_then(|h| h.services).into_iter().flatten().map(|(_, s)| s) {
        names.entry(service.service).or_default().extend(service.tags.unwrap_or_default());
    }
    names.values_mut().for_each(|tags| {
        tags.sort_unstable();
        tags.dedup();
    });
    Ok(names)
}

fn service(cx: &mut Context<'_, '_>) -> Outcome {
    let name = health::one_name(cx)?;
    let client = cx.client()?;
    let meta: Vec<String> = cx.flags.all("node-meta").map(meta_query).collect();
    let mut query: Vec<(&str, &str)> = meta.iter().map(|m| ("node-meta", m.as_str())).collect();
    query.extend(cx.flags.all("tag").map(|t| ("tag", t)));
    query.extend(cx.flags.text("filter").map(|f| ("filter", f)));
    let found: Vec<Instance> = client
        .get(&format!("/v1/catalog/service/{}", escape_path(&name)), &query)
        .map_err(|e| format!("Error listing instances of {name:?}: {e}"))?;
    if found.is_empty() {
        cx.shell.warn(format!("No instances of {name:?} match the given query - try expanding your search."));
        return Ok(0);
    }
    let mut rows = vec![row(["Node", "ID", "Address", "Port", "Tags"])];
    for i in found {
        let address = if i.service_address.is_empty() { i.address } else { i.service_address };
        let tags = i.service_tags.unwrap_or_default().join(",");
        rows.push(vec![i.node, i.id, address, i.service_port.to_string(), tags]);
    }
    cx.shell.say(table::columns(&rows, table::GAP));
    Ok(0)
}

fn checks(cx: &mut Context<'_, '_>) -> Outcome {
    cx.no_args()?;
    health::print_state(cx, "any")
}
