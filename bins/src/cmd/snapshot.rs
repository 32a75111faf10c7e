//! `snapshot`: everything that the servers keep, as one file, and back.

mod decode;
mod file;
mod inspect;

use std::fs;
use std::path::Path;

use bytes::Bytes;
use lictor_core::archive;
use lictor_core::store::Store;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome};
use crate::client::{Answer, Client, Method, reason};
use crate::flags::Flag;
use crate::sets;

pub(super) static COMMAND: Command = Command {
    name: "snapshot",
    synopsis: "Saves, restores and inspects snapshots of the servers' state",
    usage: "<subcommand> [options] [args]",
    about: "
Saves what the servers keep (keys, the catalog and all the rest) to a file, brings
it back, and shows what a file holds. The files are those of Consul, either way.

    $ {prog} snapshot save backup.snap
    $ {prog} snapshot inspect backup.snap
    $ {prog} snapshot restore backup.snap",
    body: Body::Group(&[&decode::COMMAND, &inspect::COMMAND, &RESTORE, &SAVE]),
};

static SAVE: Command = Command {
    name: "save",
    synopsis: "Saves a snapshot of the servers' state to a file",
    usage: "[options] FILE",
    about: "
Saves one moment of everything that the servers keep. The file is read back and
loaded before it gets its name: what is said to be saved can be restored.

From the leader, or with -stale from whichever server there is, even without a leader:

    $ {prog} snapshot save backup.snap
    $ {prog} snapshot save -stale backup.snap",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[&[Flag::text(
            "append-filename",
            "value",
            "Put these, separated by commas, behind the name of the file: version, dc.",
        )
        .strictly()]],
        run: save,
    },
};

static RESTORE: Command = Command {
    name: "restore",
    synopsis: "Restores a snapshot of the servers' state from a file",
    usage: "[options] FILE",
    about: "
Puts what a file holds in the place of everything that the servers keep, at once and
on all of them: keys and services that the file does not have are gone. The servers
themselves stay who they are. A restore that is cut off is whole or has not happened:
it can be done again.

    $ {prog} snapshot restore backup.snap",
    body: Body::Leaf { api: sets::TO_SERVERS, own: &[], run: restore },
};

/// The one argument.
fn named(cx: &Context<'_, '_>) -> Result<String, String> {
    match &*cx.flags.args {
        [] => Err("Missing FILE argument".to_owned()),
        [file] => Ok(file.clone()),
        more => Err(cx.late_flag(format!("Too many arguments (expected 1, got {})", more.len()))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Health {
    servers: Vec<Server>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Server {
    leader: bool,
    version: String,
}

#[derive(Deserialize)]
struct Agent {
    #[serde(rename = "Config")]
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "Datacenter")]
    datacenter: String,
}

/// The name of the file with what is to be put behind it, in Consul's order.
fn with_more(client: &Client, file: &str, more: &str) -> Result<String, String> {
    let wanted = |what: &str| more.split(',').any(|word| word == what);
    let name = Path::new(file).file_name().map_or(0, |name| file.len() - name.len());
    let dot = file[name..].rfind('.').map_or(file.len(), |dot| name + dot);
    let (stem, extension) = file.split_at(dot);
    let mut stem = stem.to_owned();
    if wanted("version") {
        let health = client.call(Method::Get, "/v1/operator/autopilot/health", &[], Bytes::new());
        // Without enough servers the answer is 429, and still tells.
        let health: Health = health
            .and_then(|answer| if answer.status == 429 { answer.json() } else { answer.ok()?.json() })
            .map_err(|e| format!("Error fetching version of Consul agent Leader: {e}"))?;
        let leader = health.servers.into_iter().find(|server| server.leader);
        stem = format!("{stem}-{}", leader.unwrap_or_default().version);
    }
    if wanted("dc") {
        let agent: Agent = client
            .get("/v1/agent/self", &[])
            .map_err(|e| format!("Error connecting to Consul agent and fetching datacenter/version: {e}"))?;
        stem = format!("{stem}-{}", agent.config.datacenter);
    }
    Ok(format!("{stem}{extension}"))
}

fn save(cx: &mut Context<'_, '_>) -> Outcome {
    let mut path = named(cx)?;
    let more = cx.flags.text("append-filename").unwrap_or_default().to_owned();
    let client = cx.client()?;
    if !more.is_empty() {
        path = with_more(&client, &path, &more)?;
    }
    let answer = client
        .call(Method::Get, "/v1/snapshot", &[], Bytes::new())
        .and_then(Answer::ok)
        .map_err(|e| format!("Error saving snapshot: {e}"))?;
    let unverified = file::Unverified::write(&path, &answer.body)
        .map_err(|e| format!("Error writing unverified snapshot file: {e}"))?;
    let back = fs::read(unverified.path())
        .map_err(|e| format!("Error opening snapshot file for verify: {}", reason(&e)))?;
    let verify = |why: String| format!("Error verifying snapshot file: {why}");
    let archive = archive::read(&back).map_err(|e| verify(e.to_string()))?;
    Store::from_archive(&archive.state).map_err(verify)?;
    unverified.verified().map_err(|(from, e)| format!("Error renaming {from:?} to {path:?}: {e}"))?;
    cx.shell.say(format!("Saved and verified snapshot to index {}", answer.index.unwrap_or(0)));
    Ok(0)
}

fn restore(cx: &mut Context<'_, '_>) -> Outcome {
    let path = named(cx)?;
    // Taken, and without effect, as in Consul.
    cx.flags.given.retain(|(flag, _)| flag.name != "stale");
    let client = cx.client()?;
    let archive =
        fs::read(&path).map_err(|e| format!("Error opening snapshot file: open {path}: {}", reason(&e)))?;
    client.put("/v1/snapshot", &[], archive.into()).map_err(|e| format!("Error restoring snapshot: {e}"))?;
    cx.shell.say("Restored snapshot");
    Ok(0)
}
