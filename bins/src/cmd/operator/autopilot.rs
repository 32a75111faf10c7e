//! `operator autopilot`: its settings, and how the servers do.

use std::collections::BTreeMap;

use bytes::Bytes;
use lictor_core::duration;
use lictor_core::json::pretty as pretty_json;
use serde::{Deserialize, Serialize};

use super::super::{Body, Command, Context, Outcome};
use crate::client::{Answer, Method};
use crate::flags::Flag;
use crate::sets;

pub(super) static COMMAND: Command = Command {
    name: "autopilot",
    synopsis: "Shows and changes how servers are looked after",
    usage: "<subcommand> [options]",
    about: "
Shows how the servers do, and the settings by which they are taken in and out.

    $ {prog} operator autopilot state
    $ {prog} operator autopilot set-config -min-quorum=3",
    body: Body::Group(&[&GET, &SET, &STATE]),
};

static GET: Command = Command {
    name: "get-config",
    synopsis: "Display the current Autopilot configuration",
    usage: "[options]",
    about: "
Shows the settings.

    $ {prog} operator autopilot get-config",
    body: Body::Leaf { api: sets::TO_SERVERS, own: &[], run: get },
};

static SET: Command = Command {
    name: "set-config",
    synopsis: "Modify the current Autopilot configuration",
    usage: "[options]",
    about: "
Changes the settings named, and leaves the others.

    $ {prog} operator autopilot set-config -cleanup-dead-servers=false",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[&[
            Flag::text("cleanup-dead-servers", "bool", "Take servers that are gone out of raft."),
            Flag::text("disable-upgrade-migration", "bool", "Consul Enterprise only: kept, without effect."),
            Flag::text("last-contact-threshold", "duration", "How late a healthy server's answer may be."),
            Flag::text("max-trailing-logs", "n", "Entries that a healthy server may be behind."),
            Flag::text("min-quorum", "n", "Fewer voters than this are never left by taking out the dead."),
            Flag::text("redundancy-zone-tag", "string", "Consul Enterprise only: kept, without effect."),
            Flag::text(
                "server-stabilization-time",
                "duration",
                "How long a server is healthy before it votes.",
            ),
            Flag::text("upgrade-version-tag", "string", "Consul Enterprise only: kept, without effect."),
        ]],
        run: set,
    },
};

static STATE: Command = Command {
    name: "state",
    synopsis: "Display the current Autopilot state",
    usage: "[options]",
    about: "
Shows how many servers may fail, and how each does.

    $ {prog} operator autopilot state -format=json",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[&[Flag::text("format", "string", "How to show it: pretty or json.").or("pretty")]],
        run: state,
    },
};

const PATH: &str = "/v1/operator/autopilot/configuration";

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    cleanup_dead_servers: bool,
    last_contact_threshold: String,
    max_trailing_logs: u64,
    min_quorum: u64,
    server_stabilization_time: String,
    #[serde(default)]
    redundancy_zone_tag: String,
    #[serde(default)]
    disable_upgrade_migration: bool,
    #[serde(default)]
    upgrade_version_tag: String,
    #[serde(default, skip_serializing)]
    modify_index: u64,
}

fn get(cx: &mut Context<'_, '_>) -> Outcome {
    let c: Config =
        cx.client()?.get(PATH, &[]).map_err(|e| format!("Error querying Autopilot configuration: {e}"))?;
    cx.shell.say(format!(
        "CleanupDeadServers = {}\nLastContactThreshold = {}\nMaxTrailingLogs = {}\nMinQuorum = {}\n\
         ServerStabilizationTime = {}\nRedundancyZoneTag = {:?}\nDisableUpgradeMigration = {}\n\
         UpgradeVersionTag = {:?}",
        c.cleanup_dead_servers,
        c.last_contact_threshold,
        c.max_trailing_logs,
        c.min_quorum,
        c.server_stabilization_time,
        c.redundancy_zone_tag,
        c.disable_upgrade_migration,
        c.upgrade_version_tag
    ));
    Ok(0)
}

fn set(cx: &mut Context<'_, '_>) -> Outcome {
    let client = cx.client()?;
    let mut config: Config =
        client.get(PATH, &[]).map_err(|e| format!("Error querying Autopilot configuration: {e}"))?;
    change(&mut config, &|name| cx.flags.text(name).map(str::to_owned))?;
    let index = config.modify_index.to_string();
    let body = serde_json::to_vec(&config).map_err(|e| e.to_string())?;
    let done: bool = client
        .put(PATH, &[("cas", &index)], Bytes::from(body))
        .and_then(|answer| answer.json())
        .map_err(|e| format!("Error setting Autopilot configuration: {e}"))?;
    if done {
        cx.shell.say("Configuration updated!");
        return Ok(0);
    }
    cx.shell.say("Configuration could not be atomically updated, please try again");
    Ok(1)
}

/// Takes over the flags that were given.
fn change(config: &mut Config, flag: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    let bad = |name: &str, text: &str, why: String| {
        format!("Failed to parse args: invalid value {text:?} for flag -{name}: {why}")
    };
    let truth = |name: &str, field: &mut bool| match flag(name) {
        None => Ok::<(), String>(()),
        Some(text) => {
            *field = crate::flags::bool_of(&text).ok_or_else(|| bad(name, &text, "invalid syntax".into()))?;
            Ok(())
        }
    };
    let number = |name: &str, field: &mut u64| match flag(name) {
        None => Ok::<(), String>(()),
        Some(text) => {
            *field = text.parse().map_err(|_| bad(name, &text, "invalid syntax".into()))?;
            Ok(())
        }
    };
    let time = |name: &str, field: &mut String| match flag(name) {
        None => Ok::<(), String>(()),
        Some(text) => {
            duration::parse(&text).map_err(|e| bad(name, &text, e.to_string()))?;
            *field = text;
            Ok(())
        }
    };
    truth("cleanup-dead-servers", &mut config.cleanup_dead_servers)?;
    truth("disable-upgrade-migration", &mut config.disable_upgrade_migration)?;
    number("max-trailing-logs", &mut config.max_trailing_logs)?;
    number("min-quorum", &mut config.min_quorum)?;
    time("last-contact-threshold", &mut config.last_contact_threshold)?;
    time("server-stabilization-time", &mut config.server_stabilization_time)?;
    for (name, field) in [
        ("redundancy-zone-tag", &mut config.redundancy_zone_tag),
        ("upgrade-version-tag", &mut config.upgrade_version_tag),
    ] {
        if let Some(text) = flag(name) {
            *field = text;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    healthy: bool,
    failure_tolerance: i64,
    optimistic_failure_tolerance: i64,
    servers: BTreeMap<String, Server>,
    leader: String,
    #[serde(default)]
    voters: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    name: String,
    address: String,
    version: String,
    status: String,
    node_type: String,
    node_status: String,
    healthy: bool,
    last_contact: String,
    last_term: u64,
    last_index: u64,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
}

fn state(cx: &mut Context<'_, '_>) -> Outcome {
    let client = cx.client()?;
    let format = cx.flags.text("format").unwrap_or("pretty").to_owned();
    let failed = |e| format!("Error querying Autopilot state: {e}");
    let answer = client
        .call(Method::Get, "/v1/operator/autopilot/state", &[], Bytes::new())
        .and_then(Answer::ok)
        .map_err(failed)?;
    match &*format {
        "json" => cx.shell.say(pretty_json(&answer.body, "    ")),
        "pretty" => cx.shell.say(pretty(&answer.json().map_err(failed)?)),
        _ => return Err(format!("Unknown format: {format}")),
    }
    Ok(0)
}

fn pretty(state: &State) -> String {
    let mut out = format!(
        "Healthy:                      {}\nFailure Tolerance:            {}\n\
         Optimistic Failure Tolerance: {}\nLeader:                       {}\nVoters:\n",
        state.healthy, state.failure_tolerance, state.optimistic_failure_tolerance, state.leader
    );
    for id in state.voters.iter().flatten() {
        out.push_str(&format!("   {id}\n"));
    }
    out.push_str("Servers:\n");
    for (id, s) in &state.servers {
        out.push_str(&format!("   {id}\n"));
        let (healthy, term, index) =
            (s.healthy.to_string(), s.last_term.to_string(), s.last_index.to_string());
        for (name, value) in [
            ("Name", &s.name),
            ("Address", &s.address),
            ("Version", &s.version),
            ("Status", &s.status),
            ("Node Type", &s.node_type),
            ("Node Status", &s.node_status),
            ("Healthy", &healthy),
            ("Last Contact", &s.last_contact),
            ("Last Term", &term),
            ("Last Index", &index),
        ] {
            out.push_str(&format!("      {:<17}{value}\n", format!("{name}:")));
        }
        if let Some(meta) = s.meta.as_ref().filter(|meta| !meta.is_empty()) {
            out.push_str("      Meta\n");
            for (key, value) in meta {
                out.push_str(&format!("         {key:?}: {value:?}\n"));
            }
        }
    }
    out
}
