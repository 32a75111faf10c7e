//! `leave`, `reload`, `join`, `force-leave`: an agent's place in the cluster, and its configuration.

use bytes::Bytes;

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use crate::sets;
use lictor_core::plan::escape_path;

pub(super) static LEAVE: Command = Command {
    name: "leave",
    synopsis: "Gracefully leaves the cluster and shuts down",
    usage: "[options]",
    about: "
Makes an agent leave the cluster and stop. Other members then know that it went
on purpose and do not wait for it.

    $ {prog} leave",
    body: Body::Leaf { api: sets::TO_AGENT, own: &[], run: leave },
};

pub(super) static RELOAD: Command = Command {
    name: "reload",
    synopsis: "Triggers the agent to reload configuration files",
    usage: "[options]",
    about: "
Makes an agent read its configuration files again, as SIGHUP does. Refused with
the reason when they do not load; the agent then keeps what it has.

    $ {prog} reload",
    body: Body::Leaf { api: sets::TO_AGENT, own: &[], run: reload },
};

pub(super) static JOIN: Command = Command {
    name: "join",
    synopsis: "Tell an agent to join a cluster",
    usage: "[options] ADDRESS...",
    about: "
Makes a running agent join a cluster through one or more of its members.

    $ {prog} join 10.0.0.1 10.0.0.2:8301",
    body: Body::Leaf {
        api: sets::TO_AGENT,
        own: &[&[Flag::switch("wan", "Join the WAN pool, server to server.")], sets::PARTITION],
        run: join,
    },
};

pub(super) static FORCE_LEAVE: Command = Command {
    name: "force-leave",
    synopsis: "Forces a member of the cluster to enter the \"left\" state",
    usage: "[options] NODE",
    about: "
Declares a failed member as left, so that nobody tries to reach it any more. A
member that is in fact alive comes back by itself.

    $ {prog} force-leave web-3",
    body: Body::Leaf {
        api: sets::TO_AGENT,
        own: &[
            &[
                Flag::switch("prune", "Remove the member from the list at once."),
                Flag::switch("wan", "Only from the WAN pool."),
            ],
            sets::PARTITION,
        ],
        run: force_leave,
    },
};

fn leave(cx: &mut Context<'_, '_>) -> Outcome {
    if !cx.flags.args.is_empty() {
        let help = cx.help();
        cx.shell.say(help);
        return Err(format!("Error found unexpected args: [{}]", cx.flags.args.join(" ")));
    }
    let client = cx.client()?;
    client.put("/v1/agent/leave", &[], Bytes::new()).map_err(|e| format!("Error leaving: {e}"))?;
    cx.shell.say("Graceful leave complete");
    Ok(0)
}

fn reload(cx: &mut Context<'_, '_>) -> Outcome {
    let client = cx.client()?;
    client.put("/v1/agent/reload", &[], Bytes::new()).map_err(|e| format!("Error reloading: {e}"))?;
    cx.shell.say("Configuration reload triggered");
    Ok(0)
}

fn join(cx: &mut Context<'_, '_>) -> Outcome {
    if cx.flags.args.is_empty() {
        return Err(cx.with_help("At least one address to join must be specified."));
    }
    let client = cx.client()?;
    let query: &[(&str, &str)] = if cx.flags.on("wan") { &[("wan", "1")] } else { &[] };
    let mut joined = 0;
    for address in &cx.flags.args {
        match client.put(&format!("/v1/agent/join/{}", escape_path(address)), query, Bytes::new()) {
            Ok(_) => joined += 1,
            Err(e) => cx.shell.warn(format!("Error joining address '{address}': {e}")),
        }
    }
    if joined == 0 {
        return Err("Failed to join any nodes.".to_owned());
    }
    cx.shell.say(format!("Successfully joined cluster by contacting {joined} nodes."));
    Ok(0)
}

fn force_leave(cx: &mut Context<'_, '_>) -> Outcome {
    let [node] = cx.flags.args.as_slice() else {
        return Err(cx.with_help("A single node name must be specified to force leave."));
    };
    let node = escape_path(node);
    let client = cx.client()?;
    let query: Vec<(&str, &str)> =
        ["prune", "wan"].into_iter().filter(|f| cx.flags.on(f)).map(|f| (f, "1")).collect();
    client
        .put(&format!("/v1/agent/force-leave/{node}"), &query, Bytes::new())
        .map_err(|e| format!("Error force leaving: {e}"))?;
    Ok(0)
}
