//! `operator raft list-peers`: the servers as raft counts them.

use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::sets;
use crate::table::{self, row};

pub(super) static COMMAND: Command = Command {
    name: "operator",
    synopsis: "Provides cluster-level tools for operators",
    usage: "<subcommand> [options]",
    about: "
Tools for the operators of a cluster.

    $ {prog} operator raft list-peers",
    body: Body::Group(&[&RAFT]),
};

static RAFT: Command = Command {
    name: "raft",
    synopsis: "Shows the state of raft",
    usage: "<subcommand> [options]",
    about: "
Shows the servers that keep the registry by raft.

    $ {prog} operator raft list-peers",
    body: Body::Group(&[&LIST_PEERS]),
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
