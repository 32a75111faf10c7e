//! `health`: which instances answer and which checks fail. Consul has these only as HTTP endpoints;
//! the commands are ours, under the names that users already try.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use crate::sets;
use crate::table::{self, row};
use lictor_core::plan::escape_path;

pub(super) static COMMAND: Command = Command {
    name: "health",
    synopsis: "Shows the health of services and nodes",
    usage: "<subcommand> [options] [args]",
    about: "
Shows what the health checks of a datacenter say.

    $ {prog} health service web
    $ {prog} health state critical",
    body: Body::Group(&[&SERVICE, &STATE]),
};

static SERVICE: Command = Command {
    name: "service",
    synopsis: "Shows the health of one service's instances",
    usage: "[options] NAME",
    about: "
Lists the instances of a service with the worst state among the checks of each
instance and its node, and names the checks that do not pass.

    $ {prog} health service web
    $ {prog} health service -passing -tag=v2 web",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::text("filter", "expression", "Filter expression that the servers apply."),
                Flag::switch("passing", "Only instances whose checks all pass."),
                Flag::list("tag", "tag", "Only instances with this tag."),
            ],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: service,
    },
};

static STATE: Command = Command {
    name: "state",
    synopsis: "Lists the checks in one state",
    usage: "[options] STATE",
    about: "
Lists the checks that are in one state: passing, warning, critical or any.

    $ {prog} health state critical",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[STATE_FLAGS, sets::NAMESPACE, sets::PARTITION],
        run: state,
    },
};

/// Own flags of the commands that list checks.
pub(super) const STATE_FLAGS: &[Flag] = &[
    Flag::text("filter", "expression", "Filter expression that the servers apply."),
    Flag::pairs("node-meta", "Only checks of nodes with this metadata."),
];

/// States a check can be asked for by.
const STATES: [&str; 4] = ["any", "passing", "warning", "critical"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(default)]
    node: String,
    #[serde(rename = "CheckID")]
    id: String,
    name: String,
    status: String,
    #[serde(default)]
    output: String,
    #[serde(default)]
    service_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: i64,
}

/// The only positional of a command that wants exactly one name.
pub(super) fn one_name(cx: &Context<'_, '_>) -> Result<String, String> {
    match cx.flags.args.as_slice() {
        [name] if !name.is_empty() => Ok(name.clone()),
        [] | [_] => Err("Missing NAME argument".to_owned()),
        more => Err(cx.late_flag(format!("Too many arguments (expected 1, got {})", more.len()))),
    }
}

fn service(cx: &mut Context<'_, '_>) -> Outcome {
    let name = one_name(cx)?;
    let client = cx.client()?;
    let mut query: Vec<(&str, &str)> = cx.flags.all("tag").map(|t| ("tag", t)).collect();
    query.extend(cx.flags.text("filter").map(|f| ("filter", f)));
    if cx.flags.on("passing") {
        query.push(("passing", "1"));
    }
    let entries: Vec<Entry> = client
        .get(&format!("/v1/health/service/{}", escape_path(&name)), &query)
        .map_err(|e| format!("Error querying health of {name:?}: {e}"))?;
    if entries.is_empty() {
        cx.shell.warn(format!("No instances of {name:?} match the given query - try expanding your search."));
        return Ok(0);
    }
    let mut rows = vec![row(["Node", "ID", "Address", "Port", "Status", "Failing Checks"])];
    for entry in entries {
        let checks = entry.checks.unwrap_or_default();
        let failing: Vec<&str> =
            checks.iter().filter(|c| c.status != "passing").map(|c| c.id.as_str()).collect();
        let worst = checks.iter().map(|c| c.status.as_str()).max_by_key(|s| severity(s)).unwrap_or("passing");
        let address =
            if entry.service.address.is_empty() { entry.node.address } else { entry.service.address };
        rows.push(vec![
            entry.node.node,
            entry.service.id,
            address,
            entry.service.port.to_string(),
            worst.to_owned(),
            failing.join(","),
        ]);
    }
    cx.shell.say(table::columns(&rows, table::GAP));
    Ok(0)
}

/// The order in which one check outweighs another in an instance's status.
fn severity(status: &str) -> u8 {
    match status {
        "passing" => 0,
        "warning" => 1,
        "critical" => 2,
        _ => 3,
    }
}

fn state(cx: &mut Context<'_, '_>) -> Outcome {
    let state = match cx.flags.args.as_slice() {
        [state] => state.clone(),
        [] => return Err(format!("Missing STATE argument: one of {}", STATES.join(", "))),
        more => return Err(cx.late_flag(format!("Too many arguments (expected 1, got {})", more.len()))),
    };
    if !STATES.contains(&state.as_str()) {
        return Err(format!("Unknown state {state:?}: one of {}", STATES.join(", ")));
    }
    print_state(cx, &state)
}

/// Prints the checks in `state` as a table, ordered by node, service and check.
pub(super) fn print_state(cx: &mut Context<'_, '_>, state: &str) -> Outcome {
    let client = cx.client()?;
    let meta: Vec<String> = cx.flags.all("node-meta").map(|m| m.replacen('=', ":", 1)).collect();
    let mut query: Vec<(&str, &str)> = meta.iter().map(|m| ("node-meta", m.as_str())).collect();
    query.extend(cx.flags.text("filter").map(|f| ("filter", f)));
    let checks: Vec<Check> = client
        .get(&format!("/v1/health/state/{state}"), &query)
        .map_err(|e| format!("Error listing checks: {e}"))?;
    if checks.is_empty() {
        cx.shell.warn("No checks match the given query - try expanding your search.");
        return Ok(0);
    }
    let sorted: BTreeMap<(&str, &str, &str), &Check> =
        checks.iter().map(|c| ((c.node.as_str(), c.service_name.as_str(), c.id.as_str()), c)).collect();
    let mut rows = vec![row(["Node", "CheckID", "Name", "Service", "Status", "Output"])];
    for c in sorted.values() {
        let service = if c.service_name.is_empty() { "-" } else { &c.service_name };
        let output = c.output.lines().next().unwrap_or_default();
        rows.push(row([&c.node, &c.id, &c.name, service, &c.status, output]));
    }
    cx.shell.say(table::columns(&rows, table::GAP));
    Ok(0)
}
