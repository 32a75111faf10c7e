//! `info`: an agent's own numbers, by section.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::sets;

pub(super) static COMMAND: Command = Command {
    name: "info",
    synopsis: "Provides debugging information for operators.",
    usage: "[options]",
    about: "
Prints what an agent reports about itself: its build, its role, and the state
of raft and gossip.

    $ {prog} info",
    body: Body::Leaf { api: sets::TO_AGENT, own: &[], run },
};

#[derive(Deserialize)]
struct Itself {
    #[serde(rename = "Stats")]
    stats: BTreeMap<String, BTreeMap<String, String>>,
}

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let client = cx.client()?;
    let itself: Itself =
        client.get("/v1/agent/self", &[]).map_err(|e| format!("Error querying agent: {e}"))?;
    for (section, numbers) in &itself.stats {
        cx.shell.say(format!("{section}:"));
        for (key, value) in numbers {
            cx.shell.say(format!("\t{key} = {value}"));
        }
    }
    Ok(0)
}
