//! `monitor`: shows an agent's log as it is written.

use super::{Body, Command, Context, Outcome};
use crate::client::Ended;
use crate::flags::Flag;
use crate::sets;

pub(super) static COMMAND: Command = Command {
    name: "monitor",
    synopsis: "Stream logs from a Consul agent",
    usage: "[options]",
    about: "
Shows the log of an agent from now on, until interrupted. The level is this
command's own: with -log-level=debug an agent that logs at INFO tells everything
here, and nothing more in its own log.

    $ {prog} monitor -log-level=debug
    $ {prog} monitor -log-json | jq -r '.\"@message\"'

Ends with exit code 1 when the agent ends the stream.",
    body: Body::Leaf {
        api: sets::TO_AGENT,
        own: &[&[
            Flag::switch("log-json", "Each line as a JSON object."),
            Flag::text("log-level", "level", "Lowest level to show: trace, debug, info, warn or err.")
                .or("INFO"),
        ]],
        run,
    },
};

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    cx.no_args()?;
    let level = cx.flags.text("log-level").unwrap_or("INFO").to_owned();
    let mut query = vec![("loglevel", level.as_str())];
    if cx.flags.on("log-json") {
        query.push(("logjson", "true"));
    }
    let client = cx.client()?;
    let out = &mut cx.shell.out;
    let ended = client
        .follow("/v1/agent/monitor", &query, |piece| out.write_all(piece).and_then(|()| out.flush()))
        .map_err(|why| format!("Error starting monitor: {why}"))?;
    match ended {
        Ended::ByAgent => Err("The agent ended the stream: it has stopped, or the connection broke.".into()),
        // Interrupted, or the reader of our output went away: nothing is left to do.
        Ended::Here => Ok(0),
    }
}
