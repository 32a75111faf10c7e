//! `maint`: takes a node or a service of the agent out of discovery, and back.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use crate::sets;
use lictor_core::plan::escape_path;

pub(super) static COMMAND: Command = Command {
    name: "maint",
    synopsis: "Controls node or service maintenance mode",
    usage: "[options]",
    about: "
Puts the agent's node, or one service of it, into maintenance: a critical check
keeps it out of DNS and health answers until maintenance is disabled, restarts
included. Without flags, shows what is in maintenance.

    $ {prog} maint -enable -reason='new disk'
    $ {prog} maint -enable -service=web-1
    $ {prog} maint -disable",
    body: Body::Leaf {
        api: sets::TO_AGENT,
        own: &[&[
            Flag::switch("disable", "End maintenance."),
            Flag::switch("enable", "Begin maintenance."),
            Flag::text("reason", "string", "With -enable: why, shown to whoever looks at the check."),
            Flag::text("service", "id", "ID of one service instead of the whole node."),
        ]],
        run,
    },
};

/// Check IDs by which an agent marks maintenance.
const NODE_CHECK: &str = "_node_maintenance";
const SERVICE_CHECK: &str = "_service_maintenance:";

#[derive(Deserialize)]
struct Itself {
    #[serde(rename = "Config")]
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "NodeName")]
    node_name: String,
}

#[derive(Deserialize)]
struct Check {
    #[serde(rename = "CheckID")]
    id: String,
    #[serde(rename = "Notes", default)]
    notes: String,
    #[serde(rename = "ServiceID", default)]
    service: String,
}

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let (enable, disable) = (cx.flags.on("enable"), cx.flags.on("disable"));
    let service = cx.flags.text("service").unwrap_or_default().to_owned();
    let reason = cx.flags.text("reason").unwrap_or_default().to_owned();
    if enable && disable {
        return Err("Only one of -enable or -disable may be provided".to_owned());
    }
    if !enable && !reason.is_empty() {
        return Err("Reason may only be provided with -enable".to_owned());
    }
    if !enable && !disable {
        if !service.is_empty() {
            return Err("Service requires either -enable or -disable".to_owned());
        }
        return show(cx);
    }
    let client = cx.client()?;
    let query: &[(&str, &str)] =
        if enable { &[("enable", "true"), ("reason", &reason)] } else { &[("enable", "false")] };
    let (path, what) = match service.as_str() {
        "" => ("/v1/agent/maintenance".to_owned(), "node"),
        id => (format!("/v1/agent/service/maintenance/{}", escape_path(id)), "service"),
    };
    let doing = if enable { "enabling" } else { "disabling" };
    client.put(&path, query, Bytes::new()).map_err(|e| format!("Error {doing} {what} maintenance: {e}"))?;
    let now = if enable { "enabled" } else { "disabled" };
    match service.as_str() {
        "" => cx.shell.say(format!("Node maintenance is now {now}")),
        id => cx.shell.say(format!("Service maintenance is now {now} for {id:?}")),
    }
    Ok(0)
}

fn show(cx: &mut Context<'_, '_>) -> Outcome {
    let agent = |e| format!("Error querying Consul agent: {e}");
    let client = cx.client()?;
    let itself: Itself = client.get("/v1/agent/self", &[]).map_err(agent)?;
    let checks: BTreeMap<String, Check> = client.get("/v1/agent/checks", &[]).map_err(agent)?;
    for check in checks.values() {
        let (kind, key, name) = match check.id.as_str() {
            NODE_CHECK => ("Node", "Name:  ", itself.config.node_name.as_str()),
            id if id.starts_with(SERVICE_CHECK) => ("Service", "ID:    ", check.service.as_str()),
            _ => continue,
        };
        cx.shell.say(format!("{kind}:\n  {key} {name}\n  Reason: {}\n", check.notes));
    }
    Ok(0)
}
