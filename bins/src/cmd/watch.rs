//! `watch`: waits for changes of one view of the registry, and shows it or runs a command with it.

use std::io::Write;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use bytes::Bytes;

use super::{Body, Command, Context, Outcome};
use crate::client::{Answer, CallError, Client, Method};
use crate::flags::{Flag, bool_of};
use crate::sets;
use crate::view::View;
use lictor_core::{duration, json};

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
            Flag::text("name", "name", "For type event, which is not supported."),
            Flag::text("passingonly", "bool", "Only instances whose checks all pass. For type service.")
                .or("false"),
            Flag::text("prefix", "prefix", "Prefix of the keys to watch. For type keyprefix."),
            Flag::text("service", "name", "Service to watch. For types service and checks."),
            Flag::switch("shell", "Run the child in a shell, $SHELL or else /bin/sh.").or("true"),
            Flag::text("state", "state", "State of the checks to watch. For type checks."),
            Flag::list("tag", "tag", "Only instances with this tag, repeatable. For type service."),
            Flag::text("type", "type", "key, keyprefix, services, nodes, service or checks."),
        ]],
        run,
    },
};

/// What `-type=event` is told.
const EVENTS: &str = "Type event is not supported: Lictor has no user events (/v1/event is not built)";

/// The wait after the first failure; it grows with the square of their number.
const RETRY: Duration = Duration::from_secs(5);
/// The longest wait after failures.
const RETRY_MAX: Duration = Duration::from_secs(180);

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    if cx.flags.text("type").is_none_or(str::is_empty) {
        return Err("Watch type must be specified\n\nSee -h for the types.".into());
    }
    let view = view(cx)?;
    let client = cx.client()?;
    // Fails at once where the agent cannot be reached at all; later failures are waited out.
    client
        .get::<serde_json::Value>("/v1/status/leader", &[])
        .map_err(|e| format!("Error querying Consul agent: {e}"))?;
    let child = cx.flags.args.clone();
    let mut last = Last::default();
    let mut failures = 0_u32;
    loop {
        let (index, shown) = match look(&client, &view, last.index) {
            Ok(found) => found,
            Err(why) => {
                failures = failures.saturating_add(1);
                let wait = wait_after(failures);
                // A server that starts anew may count from below: ask for everything again.
                last.index = None;
                let retry = duration::format(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX));
                cx.shell.warn(format!("Watch errored: type={} error={why:?} retry={retry}", view.kind));
                std::thread::sleep(wait);
                continue;
            }
        };
        failures = 0;
        if !last.is_news(index, &shown) {
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

/// How long to wait after so many failures in a row.
fn wait_after(failures: u32) -> Duration {
    RETRY.saturating_mul(failures.saturating_mul(failures)).min(RETRY_MAX)
}

/// What was last seen.
#[derive(Default)]
struct Last {
    index: Option<u64>,
    shown: Option<Vec<u8>>,
}

impl Last {
    /// Remembers an answer; whether it is to be shown.
    fn is_news(&mut self, index: u64, shown: &[u8]) -> bool {
        if self.index == Some(index) {
            return false;
        }
        // An index that goes back starts from the beginning.
        let back = self.index.is_some_and(|last| index < last);
        self.index = Some(if back { 0 } else { index });
        if self.shown.as_deref() == Some(shown) {
            return false;
        }
        self.shown = Some(shown.to_vec());
        true
    }
}

/// The view that the flags describe, with Consul's refusals.
fn view(cx: &Context<'_, '_>) -> Result<View, String> {
    let flags = &cx.flags;
    let text = |name: &str| flags.text(name).filter(|v| !v.is_empty()).map(str::to_owned);
    let passing = match text("passingonly") {
        None => false,
        Some(word) => bool_of(&word).ok_or_else(|| {
            format!("Failed to parse passingonly flag: strconv.ParseBool: parsing {word:?}: invalid syntax")
        })?,
    };
    let tags: Vec<String> = flags.all("tag").map(str::to_owned).collect();
    let mut given: Vec<(&str, bool)> = ["key", "prefix", "service", "filter", "state", "name"]
        .into_iter()
        .map(|name| (name, text(name).is_some()))
        .collect();
    given.push(("tag", !tags.is_empty()));
    given.push(("passingonly", text("passingonly").is_some()));
    let kind = text("type").unwrap_or_default();
    let (view, takes): (View, &[&str]) = match kind.as_str() {
        "key" => (View::key(&text("key").ok_or("Must specify a single key to watch")?), &["key"]),
        "keyprefix" => {
            (View::prefix(&text("prefix").ok_or("Must specify a single prefix to watch")?), &["prefix"])
        }
        "services" => (View::services(), &["filter"]),
        "nodes" => (View::nodes(), &["filter"]),
        "service" => {
            let name = text("service").ok_or("Must specify a single service to watch")?;
            (View::service(&name, &tags, passing), &["service", "filter", "tag", "passingonly"])
        }
        "checks" => match (text("service"), text("state")) {
            (Some(_), Some(_)) => return Err("Cannot specify service and state".into()),
            (Some(name), None) => (View::checks_of(&name), &["service", "filter", "state"]),
            (None, state) => {
                (View::checks_in(&state.unwrap_or_else(|| "any".into())), &["service", "filter", "state"])
            }
        },
        "event" => return Err(EVENTS.into()),
        other if other.starts_with("connect_") || other.starts_with("agent_") => {
            return Err(format!("Type {other} is not supported in the CLI tool"));
        }
        other => return Err(format!("Unsupported watch type: {other}")),
    };
    let surplus: Vec<&str> =
        given.iter().filter(|(name, set)| *set && !takes.contains(name)).map(|(name, _)| *name).collect();
    if !surplus.is_empty() {
        return Err(format!("Invalid parameters: [{}]", surplus.join(" ")));
    }
    Ok(view.with_filter(text("filter").as_deref()))
}

/// Asks once; blocks while nothing is newer than `after`.
fn look(client: &Client, view: &View, after: Option<u64>) -> Result<(u64, Vec<u8>), String> {
    let after = after.map(|index| index.to_string());
    let mut query: Vec<(&str, &str)> = view.query.iter().map(|(k, v)| (*k, v.as_str())).collect();
    query.extend(after.as_deref().map(|index| ("index", index)));
    let answer = client.call(Method::Get, &view.path, &query, Bytes::new()).map_err(|e| e.to_string())?;
    let index = answer.index.unwrap_or(0);
    let missing = view.may_be_missing && answer.status == 404;
    let shown = if missing { b"null".to_vec() } else { render(view, answer).map_err(|e| e.to_string())? };
    Ok((index, shown))
}

fn render(view: &View, answer: Answer) -> Result<Vec<u8>, CallError> {
    let answer = answer.ok()?;
    let value = json::parse(&answer.body).map_err(|e| CallError::Json(e.to_string()))?;
    Ok(view.render(&value))
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
    let mut running = process.spawn().map_err(|e| format!("Error starting handler: {e}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_square_of_the_failures_up_to_its_end() {
        assert_eq!([1, 2, 3].map(wait_after), [5, 20, 45].map(Duration::from_secs));
        for many in [7, 65_536, u32::MAX] {
            assert_eq!(wait_after(many), RETRY_MAX);
        }
    }

    #[test]
    fn events_which_no_agent_has_are_refused_at_once() {
        let mut err = Vec::new();
        let mut shell = crate::shell::Shell {
            program: "lictor".into(),
            vars: std::collections::BTreeMap::new(),
            stdin: &mut std::io::empty(),
            out: &mut std::io::sink(),
            err: &mut err,
        };
        let args = ["watch", "-type=event", "-name=deploy"].map(str::to_owned);
        assert_eq!(crate::cmd::run(&mut shell, &args), 1);
        assert!(String::from_utf8_lossy(&err).contains(EVENTS), "{}", String::from_utf8_lossy(&err));
    }

    #[test]
    fn an_answer_is_news_when_index_and_content_differ_and_an_index_that_goes_back_starts_anew() {
        let mut last = Last::default();
        assert!(last.is_news(5, b"a"));
        assert!(!last.is_news(5, b"b"), "the same index is no news, whatever comes with it");
        assert!(!last.is_news(6, b"a"), "the same content is no news");
        assert!(last.is_news(7, b"b"));
        assert!(last.is_news(3, b"c"));
        assert_eq!(last.index, Some(0));
    }
}
