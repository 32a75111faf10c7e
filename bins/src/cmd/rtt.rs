//! `rtt`: how far two nodes are from each other.

use lictor_core::types::Coordinate;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::client::Client;
use crate::flags::Flag;
use crate::sets;

pub(super) static COMMAND: Command = Command {
    name: "rtt",
    synopsis: "Estimates network round trip time between nodes",
    usage: "[options] node1 [node2]",
    about: "
Estimates how long a packet takes between two nodes and back, from where each
says it is. Without a second node, from this agent's.

    $ {prog} rtt n1 n2

Between servers of different datacenters:

    $ {prog} rtt -wan s1.dc1 s2.dc2",
    body: Body::Leaf {
        api: sets::TO_AGENT,
        own: &[&[Flag::switch(
            "wan",
            "Between servers, named NODE.DATACENTER, by what the WAN pool measured.",
        )]],
        run,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct At {
    node: String,
    #[serde(default)]
    segment: String,
    coord: Coordinate,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datacenter {
    datacenter: String,
    #[serde(rename = "AreaID")]
    area_id: String,
    coordinates: Vec<At>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Agent {
    config: AgentConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentConfig {
    datacenter: String,
    node_name: String,
}

type Found = (Option<Coordinate>, Option<Coordinate>);

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let mut nodes = cx.flags.args.clone();
    if nodes.is_empty() || nodes.len() > 2 {
        return Err(cx.with_help(&cx.late_flag("One or two node names must be specified".to_owned())));
    }
    let client = cx.client()?;
    let wan = cx.flags.on("wan");
    if nodes.len() < 2 {
        let own: Agent =
            client.get("/v1/agent/self", &[]).map_err(|e| format!("Unable to look up agent info: {e}"))?;
        let AgentConfig { datacenter, node_name } = own.config;
        nodes.push(if wan { format!("{node_name}.{datacenter}") } else { node_name });
    }
    let names = [nodes[0].as_str(), nodes[1].as_str()];
    let (one, two) = if wan { between_servers(&client, names)? } else { between_nodes(&client, names)? };
    let (Some(one), Some(two)) = (&one, &two) else {
        let missing = if one.is_none() { names[0] } else { names[1] };
        return Err(format!("Could not find a coordinate for node {missing:?}"));
    };
    let pool = if wan { "WAN" } else { "LAN" };
    let distance = one.distance(two) * 1000.0;
    let [from, to] = names;
    cx.shell.say(format!("Estimated {from} <-> {to} rtt: {distance:.3} ms (using {pool} coordinates)"));
    Ok(0)
}

fn between_servers(client: &Client, names: [&str; 2]) -> Result<Found, String> {
    let parts = names.map(|name| match name.split_once('.') {
        Some((node, datacenter)) if !datacenter.contains('.') => Some((node, datacenter)),
        _ => None,
    });
    let [Some(one), Some(two)] = parts else {
        return Err("Node names must be specified as <node name>.<datacenter> with -wan".to_owned());
    };
    let known: Vec<Datacenter> = client
        .get("/v1/coordinate/datacenters", &[])
        .map_err(|e| format!("Error getting coordinates: {e}"))?;
    let find = |(node, datacenter): (&str, &str)| {
        let there = known.iter().filter(|known| known.datacenter == datacenter);
        let mut all = there.flat_map(|known| known.coordinates.iter().map(|at| (&known.area_id, at)));
        all.find(|(_, at)| at.node.eq_ignore_ascii_case(node))
    };
    Ok(match (find(one), find(two)) {
        // Those of different areas cannot be compared.
        (Some((area, one)), Some((other, two))) if area == other => {
            (Some(one.coord.clone()), Some(two.coord.clone()))
        }
        _ => (None, None),
    })
}

fn between_nodes(client: &Client, names: [&str; 2]) -> Result<Found, String> {
    let known: Vec<At> =
        client.get("/v1/coordinate/nodes", &[]).map_err(|e| format!("Error getting coordinates: {e}"))?;
    let of = |name: &str| known.iter().filter(|at| at.node.eq_ignore_ascii_case(name)).collect::<Vec<_>>();
    let [ones, twos] = names.map(of);
    // A client is in one segment only, servers are in all.
    let segment = match (&ones[..], &twos[..]) {
        (_, [only]) | ([only], _) => only.segment.as_str(),
        _ => "",
    };
    let coord = |all: &[&At]| all.iter().find(|at| at.segment == segment).map(|at| at.coord.clone());
    Ok((coord(&ones), coord(&twos)))
}
