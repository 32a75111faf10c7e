//! `event`: shouting to the datacenter.

use bytes::Bytes;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use crate::sets;
use lictor_core::plan::escape_path;

pub(super) static COMMAND: Command = Command {
    name: "event",
    synopsis: "Fire a new event",
    usage: "[options] [payload]",
    about: "
Sends an event to every agent of the datacenter; each keeps the newest 256, and
a watch of type event runs its handler on them. There is no receipt.

    $ {prog} event -name=deploy v2

Only nodes that run an instance of web with the tag canary:

    $ {prog} event -name=deploy -service=web -tag=canary v2",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[&[
            Flag::text("name", "string", "Name of the event."),
            Flag::text("node", "regex", "Only nodes whose name matches."),
            Flag::text("service", "regex", "Only nodes with a service whose name matches."),
            Flag::text("tag", "regex", "Only if a tag of that service matches; needs -service."),
        ]],
        run,
    },
};

#[derive(Deserialize)]
struct Fired {
    #[serde(rename = "ID")]
    id: String,
}

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    let text = |name: &str| cx.flags.text(name).unwrap_or_default().to_owned();
    let (name, node, service, tag) = (text("name"), text("node"), text("service"), text("tag"));
    if name.is_empty() {
        return Err(cx.with_help("Event name must be specified"));
    }
    if !tag.is_empty() && service.is_empty() {
        return Err("Cannot provide tag filter without service filter.".to_owned());
    }
    let payload = match cx.flags.args.as_slice() {
        [] => Bytes::new(),
        [payload] => Bytes::from(payload.clone()),
        _ => return Err(cx.with_help(&cx.late_flag("Too many command line arguments.".to_owned()))),
    };
    let client = cx.client()?;
    let all = [("node", node.as_str()), ("service", service.as_str()), ("tag", tag.as_str())];
    let query: Vec<(&str, &str)> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let fired: Fired = client
        .put(&format!("/v1/event/fire/{}", escape_path(&name)), &query, payload)
        .and_then(|answer| answer.json())
        .map_err(|e| format!("Error firing event: {e}"))?;
    cx.shell.say(format!("Event ID: {}", fired.id));
    Ok(0)
}
