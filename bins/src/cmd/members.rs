//! `members`: who is in the gossip pool.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use crate::sets;
use crate::table::{self, row};
use lictor_core::pattern::{self, ALL_CHARACTERS, Limits};

pub(super) static COMMAND: Command = Command {
    name: "members",
    synopsis: "Lists the members of a cluster",
    usage: "[options]",
    about: "
Lists the members of the cluster that an agent knows of, servers first.

    $ {prog} members

Only those that failed, with all their tags:

    $ {prog} members -status=failed -detailed

Exit code 2 says that no member matches.",
    body: Body::Leaf {
        api: sets::TO_AGENT,
        own: &[
            &[
                Flag::switch("detailed", "Show every tag of each member."),
                Flag::text("filter", "expression", "Filter expression that the agent applies."),
                Flag::text("segment", "string", "Consul Enterprise only: members of this segment.")
                    .or("_all"),
                Flag::text(
                    "status",
                    "regex",
                    "Only members whose status matches: alive, leaving, left or failed.",
                )
                .or(".*"),
                Flag::switch("wan", "Members of the WAN pool, for servers that have one."),
            ],
            sets::PARTITION,
        ],
        run,
    },
};

/// The keyword that asks for the members of every segment.
const ALL_SEGMENTS: &str = "_all";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    addr: String,
    port: u16,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    status: u8,
}

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let mut limits = Limits { compiled: 1 << 20, folds: ALL_CHARACTERS };
    let status = pattern::compile(cx.flags.text("status").unwrap_or(".*").as_bytes(), &mut limits)
        .map_err(|why| format!("Failed to compile status regexp: {why}"))?;
    let client = cx.client()?;
    let mut query = vec![("segment", cx.flags.text("segment").unwrap_or(ALL_SEGMENTS))];
    if let Some(filter) = cx.flags.text("filter").filter(|f| !f.is_empty()) {
        query.push(("filter", filter));
    }
    if cx.flags.on("wan") {
        query.push(("wan", "1"));
    }
    let members: Option<Vec<Member>> =
        client.get("/v1/agent/members", &query).map_err(|e| format!("Error retrieving members: {e}"))?;
    // `null` where there is no such pool.
    let mut members: Vec<Member> = members.unwrap_or_default().into_iter().map(Member::completed).collect();
    members.retain(|m| status.is_match(m.status().as_bytes()));
    if members.is_empty() {
        return Ok(2);
    }
    members.sort_by_cached_key(|m| (!m.serves(), m.tag("segment"), m.tag("ap"), m.name.clone()));
    let rows = if cx.flags.on("detailed") { detailed(&members) } else { plain(&members) };
    cx.shell.say(table::columns(&rows, table::GAP));
    Ok(0)
}

fn plain(members: &[Member]) -> Vec<Vec<String>> {
    let head = ["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Partition", "Segment"];
    let mut rows = vec![row(head)];
    for m in members {
        let (name, address, status) = (m.name.clone(), m.address(), m.status().to_owned());
        let role = match m.tag("role").as_str() {
            "consul" => "server".to_owned(),
            "node" => "client".to_owned(),
            // A member that speaks serf and is no agent: its tags mean nothing here.
            _ => {
                rows.push(row([&name, &address, &status, "unknown", "", "", "", "", ""]));
                continue;
            }
        };
        let build = m.tag("build").split(':').next().unwrap_or_default().to_owned();
        let (protocol, dc, partition, segment) = (m.tag("vsn"), m.tag("dc"), m.tag("ap"), m.tag("segment"));
        rows.push(vec![name, address, status, role, build, protocol, dc, partition, segment]);
    }
    rows
}

fn detailed(members: &[Member]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["Node", "Address", "Status", "Tags"])];
    for m in members {
        let tags: Vec<String> = m.tags.iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
        rows.push(vec![m.name.clone(), m.address(), m.status().to_owned(), tags.join(",")]);
    }
    rows
}

impl Member {
    /// Adds the tags that the community edition leaves out of gossip and still shows.
    fn completed(mut self) -> Member {
        let everywhere = if self.serves() { "<all>" } else { "<default>" };
        let tags = self.tags.get_or_insert_default();
        let segment = tags.entry("segment".to_owned()).or_default();
        if segment.is_empty() {
            *segment = everywhere.to_owned();
        }
        let partition = tags.entry("ap".to_owned()).or_default();
        if partition.is_empty() {
            *partition = "default".to_owned();
        }
        self
    }

    fn tag(&self, name: &str) -> String {
        self.tags.as_ref().and_then(|t| t.get(name)).cloned().unwrap_or_default()
    }

    fn serves(&self) -> bool {
        self.tag("role") == "consul"
    }

    fn address(&self) -> String {
        if self.addr.contains(':') {
            format!("[{}]:{}", self.addr, self.port)
        } else {
            format!("{}:{}", self.addr, self.port)
        }
    }

    /// Serf's names for its member states.
    fn status(&self) -> &'static str {
        match self.status {
            0 => "none",
            1 => "alive",
            2 => "leaving",
            3 => "left",
            4 => "failed",
            _ => "unknown",
        }
    }
}
