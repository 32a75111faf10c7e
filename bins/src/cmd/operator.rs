//! `operator`: who the servers are, and autopilot.

mod autopilot;

use bytes::Bytes;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::client::{Answer, Method};
use crate::flags::Flag;
use crate::sets;
use crate::table::{self, row};

pub(super) static COMMAND: Command = Command {
    name: "operator",
    synopsis: "Provides cluster-level tools for operators",
    usage: "<subcommand> [options]",
    about: "
Tools for the operators of a cluster. Used without care, they can stop it or lose data.

    $ {prog} operator raft list-peers
    $ {prog} operator autopilot state",
    body: Body::Group(&[&autopilot::COMMAND, &RAFT]),
};

static RAFT: Command = Command {
    name: "raft",
    synopsis: "Shows and changes the servers of raft",
    usage: "<subcommand> [options]",
    about: "
Shows the servers that keep the registry by raft, takes one out, hands leadership over.

    $ {prog} operator raft list-peers",
    body: Body::Group(&[&LIST_PEERS, &REMOVE_PEER, &TRANSFER_LEADER]),
};

static LIST_PEERS: Command = Command {
    name: "list-peers",
    synopsis: "Display the current Raft peer configuration",
    usage: "[options]",
    about: "
Lists the servers, who leads, who votes, and how far each is behind the leader.

    $ {prog} operator raft list-peers",
    body: Body::Leaf { api: sets::TO_SERVERS, own: &[], run: list_peers },
};

static REMOVE_PEER: Command = Command {
    name: "remove-peer",
    synopsis: "Remove a server from the Raft configuration",
    usage: "[options]",
    about: "
Takes a server out of raft that is gone and is not taken out by itself. One that is
still in sight comes back when the leader looks.

    $ {prog} operator raft remove-peer -id=adf4238a-882b-9ddc-4a9d-5b6758e4159e",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[&[
            Flag::text("address", "address", "The server's address, host:port."),
            Flag::text("id", "id", "The server's ID."),
        ]],
        run: remove_peer,
    },
};

static TRANSFER_LEADER: Command = Command {
    name: "transfer-leader",
    synopsis: "Transfer raft leadership to another node",
    usage: "[options]",
    about: "
Hands leadership to the server named, or to the one that is furthest.

    $ {prog} operator raft transfer-leader",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[&[Flag::text("id", "id", "The server's ID.")]],
        run: transfer_leader,
    },
};

#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "Servers")]
    servers: Vec<Server>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    leader: bool,
    #[serde(default)]
    protocol_version: String,
    voter: bool,
    #[serde(default)]
    last_index: u64,
}

fn list_peers(cx: &mut Context<'_, '_>) -> Outcome {
    let client = cx.client()?;
    let found: Configuration = client
        .get("/v1/operator/raft/configuration", &[])
        .map_err(|e| format!("Error getting peers: Failed to retrieve raft configuration: {e}"))?;
    let head =
        ["Node", "ID", "Address", "State", "Voter", "RaftProtocol", "Commit Index", "Trails Leader By"];
    let mut rows = vec![row(head)];
    let leader_index = found.servers.iter().find(|s| s.leader).map(|s| s.last_index);
    for s in &found.servers {
        let state = if s.leader { "leader" } else { "follower" };
        let protocol = if s.protocol_version.is_empty() { "<=1" } else { &s.protocol_version };
        let behind = match leader_index.map(|index| index.saturating_sub(s.last_index)) {
            _ if s.leader => "-".to_owned(),
            None => "-".to_owned(),
            Some(1) => "1 commit".to_owned(),
            Some(n) => format!("{n} commits"),
        };
        let (voter, index) = (s.voter.to_string(), s.last_index.to_string());
        rows.push(row([&s.node, &s.id, &s.address, state, &voter, protocol, &index, &behind]));
    }
    cx.shell.say(table::columns(&rows, table::GAP));
    Ok(0)
}

fn remove_peer(cx: &mut Context<'_, '_>) -> Outcome {
    let address = cx.flags.text("address").unwrap_or_default().to_owned();
    let id = cx.flags.text("id").unwrap_or_default().to_owned();
    let (key, value, said) = match (address.is_empty(), id.is_empty()) {
        (true, true) => {
            return Err("Error removing peer: an address or id is required for the peer to remove".to_owned());
        }
        (false, false) => return Err("Error removing peer: cannot give both an address and id".to_owned()),
        (false, true) => ("address", &address, "address"),
        (true, false) => ("id", &id, "id"),
    };
    let client = cx.client()?;
    client
        .call(Method::Delete, "/v1/operator/raft/peer", &[(key, value)], Bytes::new())
        .and_then(Answer::ok)
        .map_err(|e| format!("Error removing peer: {e}"))?;
    cx.shell.say(format!("Removed peer with {said} \"{value}\""));
    Ok(0)
}

#[derive(Deserialize)]
struct Transferred {
    #[serde(rename = "Success")]
    success: bool,
}

fn transfer_leader(cx: &mut Context<'_, '_>) -> Outcome {
    let id = cx.flags.text("id").unwrap_or_default().to_owned();
    let client = cx.client()?;
    let query: &[(&str, &str)] = if id.is_empty() { &[] } else { &[("id", &id)] };
    let done: Transferred = client
        .call(Method::Post, "/v1/operator/raft/transfer-leader", query, Bytes::new())
        .and_then(Answer::ok)
        .and_then(|answer| answer.json())
        .map_err(|e| format!("Error transfering leadership: Failed to transfer leadership {e}"))?;
    if !done.success {
        return Err("Error transfering leadership: Failed to transfer leadership".to_owned());
    }
    cx.shell.say("Success");
    Ok(0)
}
