//! `keyring`: the keys that gossip is encrypted with.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::client::Method;
use crate::flags::Flag;
use crate::sets;

pub(super) static COMMAND: Command = Command {
    name: "keyring",
    synopsis: "Manages gossip layer encryption keys",
    usage: "[options]",
    about: "
Shows and changes the keys that gossip is encrypted with, on all members of all
pools at once. To change the key without a stop: install the new one, use it,
and when every member has it, remove the old one.

    $ {prog} keyring -install=$({prog} keygen)
    $ {prog} keyring -list
    $ {prog} keyring -use=KEY
    $ {prog} keyring -remove=OLD_KEY

Exit code 1 says that a member failed or did not answer: repeat the command.",
    body: Body::Leaf {
        api: sets::TO_AGENT,
        own: &[&[
            Flag::text("install", "key", "Give a new key to all members; it is not used yet."),
            Flag::switch("list", "Show all keys and how many members have each."),
            Flag::switch("list-primary", "Show the keys in use and how many members use each."),
            Flag::switch("local-only", "Do not ask other datacenters; with -list only."),
            Flag::int("relay-factor", "Members that repeat each answer, against loss: 0 to 5."),
            Flag::text("remove", "key", "Take a key that is not in use from all members."),
            Flag::text("use", "key", "Have all members encrypt with an installed key."),
        ]],
        run,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pool {
    #[serde(rename = "WAN")]
    wan: bool,
    datacenter: String,
    keys: BTreeMap<String, usize>,
    #[serde(default)]
    primary_keys: BTreeMap<String, usize>,
    num_nodes: usize,
}

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let key = |name: &str| cx.flags.text(name).filter(|key| !key.is_empty()).map(str::to_owned);
    let changes = [
        (Method::Post, key("install"), "Installing new gossip encryption key..."),
        (Method::Put, key("use"), "Changing primary gossip encryption key..."),
        (Method::Delete, key("remove"), "Removing gossip encryption key..."),
    ];
    let (list, primary) = (cx.flags.on("list"), cx.flags.on("list-primary"));
    let chosen = changes.iter().filter(|(_, key, _)| key.is_some()).count();
    match chosen + usize::from(list) + usize::from(primary) {
        1 => {}
        0 => return Err(cx.help()),
        _ => return Err("Only a single action is allowed".to_owned()),
    }
    let relay = cx.flags.int("relay-factor");
    if !(0..=5).contains(&relay) {
        return Err("Error parsing relay factor: Relay factor must be in range: [0, 5]".to_owned());
    }
    let local = cx.flags.on("local-only");
    if local && chosen > 0 {
        return Err("Error validating local-only: local-only can only be set for list requests".to_owned());
    }
    let relay = relay.to_string();
    let mut query = vec![("relay-factor", relay.as_str())];
    if local {
        query.push(("local-only", "true"));
    }
    let client = cx.client()?;
    let path = "/v1/operator/keyring";
    for (method, key, doing) in changes {
        let Some(key) = key else { continue };
        cx.shell.say(format!("==> {doing}"));
        let body = serde_json::json!({ "Key": key }).to_string();
        let answer = client.call(method, path, &query, Bytes::from(body)).and_then(|answer| answer.ok());
        answer.map_err(|e| format!("error: {e}"))?;
    }
    if list || primary {
        let which = if list { "encryption" } else { "primary encryption" };
        cx.shell.say(format!("==> Gathering installed {which} keys..."));
        let pools: Vec<Pool> = client.get(path, &query).map_err(|e| format!("error: {e}"))?;
        for pool in pools {
            let name = if pool.wan { "WAN".to_owned() } else { format!("{} (LAN)", pool.datacenter) };
            cx.shell.say(format!("\n{name}:"));
            for (key, count) in if list { pool.keys } else { pool.primary_keys } {
                cx.shell.say(format!("  {key} [{count}/{}]", pool.num_nodes));
            }
        }
    }
    Ok(0)
}
