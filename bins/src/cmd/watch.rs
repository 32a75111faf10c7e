//! `watch`: waits for changes of one view of the registry, and shows it or runs a command with it.

use std::io::{ErrorKind, Write};
use std::process::{Command as Process, Stdio};

use bytes::Bytes;

use super::{Body, Command, Context, Outcome};
use crate::client::{Answer, CallError, Client, Method, reason};
use crate::flags::{Flag, bool_of};
use crate::sets;
use lictor_core::plan::{self, Progress, View, retry_after};
use lictor_core::{duration, json};
use serde_json::{Map, Value};

pub(super) static COMMAND: Command = Command {
    name: "watch",
    synopsis: "Watch for changes in Consul",
    usage: "[options] [child...]",
    about: "
Waits for a view of the registry to change. With a child command, runs it now and
at every change, the view as JSON on its standard input and the index in
CONSUL_INDEX; without one, prints the view as it is and ends.

    $ {prog} watch -type=service -service=web
    $ {prog} watch -type=key -key=app/mode ./reload.sh
    $ {prog} watch -type=checks -state=critical 'jq -r .[].Name | mail oncall'

A child that fails ends the watch with exit code 1. When the agent does not
answer, the watch tries again, after 5 s at first and 3 min at most.",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[&[
            Flag::text("filter", "expression", "Filter expression; not for keys and events."),
            Flag::text("key", "key", "Key to watch. For type key."),
            Flag::text("name", "name", "Events of this name only. For type event."),
            Flag::text("passingonly", "bool", "Only instances whose checks all pass. For type service.")
                .or("false"),
            Flag::text("prefix", "prefix", "Prefix of the keys to watch. For type keyprefix."),
            Flag::text("service", "name", "Service to watch. For types service and checks."),
            Flag::switch("shell", "Run the child in a shell, $SHELL or else /bin/sh.").or("true"),
            Flag::text("state", "state", "State of the checks to watch. For type checks."),
            Flag::list("tag", "tag", "Only instances with this tag, repeatable. For type service."),
            Flag::text("type", "type", "key, keyprefix, services, nodes, service, checks or event."),
        ]],
        run,
    },
};

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    if cx.flags.text("type").is_none_or(str::is_empty) {
        return Err(cx.with_help("Watch type must be specified"));
    }
    let view = view(cx)?;
    let client = cx.client()?;
    // Fails at once where the agent cannot be reached at all; later failures are waited out.
    client.get::<Value>("/v1/status/leader", &[]).map_err(|e| format!("Error querying Consul agent: {e}"))?;
    let child = cx.flags.args.clone();
    let mut progress = Progress::of(&view);
    let mut failures = 0_u32;
    loop {
        let (index, shown) = match look(&client, &view, progress.index()) {
            Ok(found) => found,
            Err(why) => {
                failures = failures.saturating_add(1);
                let wait = retry_after(failures);
                progress.failed();
                let retry = duration::format(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX));
                cx.shell.warn(format!("Watch errored: type={} error={why:?} retry={retry}", view.kind));
                std::thread::sleep(wait);
                continue;
            }
        };
        failures = 0;
        if !progress.is_news(index, &shown) {
            continue;
        }
        if child.is_empty() {
            cx.shell.say(json::pretty(&shown, "    "));
            return Ok(0);
        }
        if let Err(why) = handle(cx, &child, index, &shown) {
            cx.shell.warn(why);
            return Ok(1);
        }
    }
}

/// The view that the flags describe, with Consul's refusals.
fn view(cx: &Context<'_, '_>) -> Result<View, String> {
    let flags = &cx.flags;
    let mut params = Map::new();
    for name in ["type", "key", "prefix", "service", "filter", "state", "name"] {
        if let Some(text) = flags.text(name).filter(|text| !text.is_empty()) {
            params.insert(name.to_owned(), Value::from(text));
        }
    }
    let tags: Vec<&str> = flags.all("tag").collect();
    if !tags.is_empty() {
        params.insert("tag".to_owned(), Value::from(tags));
    }
    if let Some(word) = flags.text("passingonly").filter(|word| !word.is_empty()) {
        let on = bool_of(word).ok_or_else(|| {
            format!("Failed to parse passingonly flag: strconv.ParseBool: parsing {word:?}: invalid syntax")
        })?;
        params.insert("passingonly".to_owned(), Value::from(on));
    }
    match flags.text("type").unwrap_or_default() {
        kind if kind.starts_with("connect_") || kind.starts_with("agent_") => {
            return Err(format!("Type {kind} is not supported in the CLI tool"));
        }
        _ => {}
    }
    let view = View::take(&mut params)?;
    plan::surplus(&params)?;
    Ok(view)
}

/// Asks once; blocks while nothing is newer than `after`.
fn look(client: &Client, view: &View, after: Option<u64>) -> Result<(u64, Vec<u8>), String> {
    let newer = after.map(|index| index.to_string());
    let mut query: Vec<(&str, &str)> = view.query.iter().map(|(k, v)| (*k, v.as_str())).collect();
    query.extend(newer.as_deref().map(|index| ("index", index)));
    let answer = client.call(Method::Get, &view.path, &query, Bytes::new()).map_err(|e| e.to_string())?;
    let index = answer.index.unwrap_or(0);
    let missing = view.may_be_missing && answer.status == 404;
    let shown =
        if missing { b"null".to_vec() } else { render(view, answer, after).map_err(|e| e.to_string())? };
    Ok((index, shown))
}

fn render(view: &View, answer: Answer, after: Option<u64>) -> Result<Vec<u8>, CallError> {
    let answer = answer.ok()?;
    let value = json::parse(&answer.body).map_err(|e| CallError::Json(e.to_string()))?;
    Ok(view.render(&value, after))
}

/// Runs the child on the view, and waits for it.
fn handle(cx: &Context<'_, '_>, child: &[String], index: u64, shown: &[u8]) -> Result<(), String> {
    let mut process = if cx.flags.text("shell") != Some("false") {
        let mut shell = Process::new(cx.shell.var("SHELL").unwrap_or("/bin/sh"));
        shell.arg("-c").arg(child.join(" "));
        shell
    } else {
        let mut process = Process::new(&child[0]);
        process.args(&child[1..]);
        process
    };
    process.env("CONSUL_INDEX", index.to_string()).stdin(Stdio::piped());
    let mut running = process.spawn().map_err(|e| {
        let program = process.get_program().to_string_lossy();
        match e.kind() {
            ErrorKind::NotFound if !program.contains('/') => {
                format!("Error starting handler: exec: {program:?}: executable file not found in $PATH")
            }
            _ => format!("Error starting handler: fork/exec {program}: {}", reason(&e)),
        }
    })?;
    if let Some(mut stdin) = running.stdin.take() {
        // A child that does not read its input is no failure.
        let _ = stdin.write_all(shown).and_then(|()| stdin.write_all(b"\n"));
    }
    let status = running.wait().map_err(|e| format!("Error executing handler: {e}"))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(format!("Error executing handler: exit status {code}")),
        None => Err(format!("Error executing handler: {status}")),
    }
}
