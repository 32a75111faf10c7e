//! Watch plans: which view of the registry to wait for, and what to do when it changes.
//!
//! The `watches` of a configuration and the `watch` command are the same thing with another driver: a
//! [`View`] says what to ask for, [`Progress`] what is news, [`Handler`] what to do about it.

mod progress;
mod url;
mod view;

pub use progress::{Progress, retry_after};
pub use url::{escape, escape_path};
pub use view::View;

use crate::duration;
use crate::json;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::{Map, Value};

/// One watch of a configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to wait for.
    pub view: View,
    /// What to do with it.
    pub handler: Handler,
    /// The token to ask with; empty: the agent's own.
    pub token: String,
}

/// What to do with a view that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// Give it to a command of the shell. Deprecated for [`Handler::Program`].
    Script(String),
    /// Give it to a program with its arguments.
    Program(Vec<String>),
    /// Send it.
    Http(HttpHandler),
}

/// Where to send a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHandler {
    /// The whole URL.
    pub url: String,
    /// `POST` unless given.
    pub method: String,
    /// For all of it; 10 s unless given.
    pub timeout: Duration,
    /// Headers besides the usual ones.
    pub headers: BTreeMap<String, Vec<String>>,
}

impl Plan {
    /// Reads one of the `watches` of a configuration.
    ///
    /// # Errors
    /// Consul's text; names the watch.
    pub fn parse(watch: &Map<String, Value>) -> Result<Plan, String> {
        let given = |name: &str| watch.get(name).and_then(Value::as_str).unwrap_or("");
        match given("handler_type") {
            "" | "script" | "http" => {}
            other => return Err(format!("Handler type '{other}' not recognized")),
        }
        if given("type").starts_with("connect_") {
            return Err(format!("Watch type {} is not allowed in agent config", given("type")));
        }
        let mut params = watch.clone();
        let (script, args) = (params.remove("handler"), params.remove("args"));
        let (token, http, view) = Plan::take(&mut params).map_err(|why| {
            let shown = Value::Object(watch.clone());
            format!("Failed to parse watch ({shown}): {why}")
        })?;
        let script = match script {
            None => None,
            Some(Value::String(script)) => Some(script),
            Some(_) => return Err("Watch handler must be a string".into()),
        };
        let args = match args {
            None => None,
            Some(args) => Some(list(args).map_err(|_| "Watch args must be a list of strings")?),
        };
        let handler = match (script, args, http) {
            (Some(script), None, None) => Handler::Script(script),
            (None, Some(args), None) => Handler::Program(args),
            (None, None, Some(http)) => Handler::Http(http),
            (None, None, None) => return Err("Must define a watch handler".into()),
            _ => return Err("Only one watch handler allowed".into()),
        };
        Ok(Plan { view, handler, token })
    }

    /// Everything but the handlers that run on this host.
    fn take(params: &mut Map<String, Value>) -> Result<(String, Option<HttpHandler>, View), String> {
        let token = text(params, "token")?;
        let http = match text(params, "handler_type")?.as_str() {
            "http" => {
                let config = params.remove("http_handler_config");
                let config = config.ok_or("Handler type 'http' requires 'http_handler_config' to be set")?;
                let read = HttpHandler::parse(config);
                Some(read.map_err(|why| format!("Failed to parse 'http_handler_config': {why}"))?)
            }
            _ => None,
        };
        let view = View::take(params)?;
        surplus(params)?;
        Ok((token, http, view))
    }
}

impl HttpHandler {
    fn parse(config: Value) -> Result<HttpHandler, String> {
        let Value::Object(mut config) = config else { return Err("expected a map".into()) };
        let url = text(&mut config, "path")?;
        if url.is_empty() {
            return Err("Requires 'path' to be set".into());
        }
        let method = Some(text(&mut config, "method")?).filter(|method| !method.is_empty());
        let timeout = match text(&mut config, "timeout")?.as_str() {
            "" => Duration::from_secs(10),
            given => {
                let nanos =
                    duration::parse(given).map_err(|why| format!("Failed to parse timeout: {why}"))?;
                Duration::from_nanos(nanos.max(0).unsigned_abs())
            }
        };
        let mut headers = BTreeMap::new();
        match config.remove("header") {
            None => {}
            Some(Value::Object(mut given)) => {
                let names: Vec<String> = given.keys().cloned().collect();
                for name in names {
                    let values = texts(&mut given, &name)?;
                    headers.insert(name, values);
                }
            }
            Some(_) => return Err("'header' expected a map".into()),
        }
        Ok(HttpHandler { url, method: method.unwrap_or_else(|| "POST".into()), timeout, headers })
    }
}

/// Whatever is left of the parameters is none of this kind of watch.
///
/// # Errors
/// Consul's text, with the names in order.
pub fn surplus(params: &Map<String, Value>) -> Result<(), String> {
    let mut names: Vec<&str> = params.keys().map(String::as_str).collect();
    names.sort_unstable();
    if names.is_empty() { Ok(()) } else { Err(format!("Invalid parameters: [{}]", names.join(" "))) }
}

/// Takes a text; empty if it is not there.
fn text(params: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    match params.remove(name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("Expecting {name} to be a string")),
    }
}

/// Takes a switch; off if it is not there.
fn switch(params: &mut Map<String, Value>, name: &str) -> Result<bool, String> {
    match params.remove(name) {
        None => Ok(false),
        Some(Value::Bool(on)) => Ok(on),
        Some(_) => Err(format!("Expecting {name} to be a boolean")),
    }
}

/// Takes a text or a list of them; empty if it is not there.
fn texts(params: &mut Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let Some(value) = params.remove(name) else { return Ok(Vec::new()) };
    list(value).map_err(|at| match at {
        Some(i) => format!("Index {i} of {name} expected to be string"),
        None => format!("Expecting {name} to be a string or []string"),
    })
}

/// A text or a list of them; else what in the list is none.
fn list(value: Value) -> Result<Vec<String>, Option<usize>> {
    match value {
        Value::String(text) => Ok(Vec::from([text])),
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(i, item)| if let Value::String(text) = item { Ok(text) } else { Err(Some(i)) })
            .collect(),
        _ => Err(None),
    }
}

/// The body of an answer, to the question for what is newer than `after`, as the view shows it.
///
/// # Errors
/// The answer is no success, or no JSON.
pub fn shown(view: &View, after: Option<u64>, status: u16, body: &[u8]) -> Result<Vec<u8>, String> {
    match status {
        404 if view.may_be_missing => Ok(b"null".to_vec()),
        200 => Ok(view.render(&json::parse(body).map_err(|why| why.to_string())?, after)),
        _ => Err(format!("Unexpected response code: {status} ({})", String::from_utf8_lossy(body).trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use serde_json::json;

    fn parse(watch: Value) -> Result<Plan, String> {
        let Value::Object(watch) = watch else { panic!("a watch is an object") };
        Plan::parse(&watch)
    }

    #[test]
    fn a_watch_has_a_view_and_one_handler() {
        let plan = parse(json!({
            "type": "service", "service": "web", "tag": ["a", "b"], "passingonly": true, "stale": true,
            "datacenter": "dc1", "filter": "x", "token": "t", "args": ["/bin/h", "x"]
        }))
        .unwrap();
        assert_eq!(plan.handler, Handler::Program(vec!["/bin/h".into(), "x".into()]));
        assert_eq!(plan.token, "t");
        assert_eq!(
            plan.view.target(Some(7)),
            "/v1/health/service/web?dc=dc1&filter=x&index=7&passing=1&stale=&tag=a&tag=b"
        );
        let plan = parse(json!({
            "type": "key", "key": "a b", "handler_type": "http",
            "http_handler_config": {"path": "http://h/", "header": {"X": ["1"], "Y": "2"}, "timeout": "5s"}
        }))
        .unwrap();
        assert_eq!(plan.view.target(None), "/v1/kv/a%20b");
        let local = parse(json!({"type": "agent_service", "service_id": "web-1", "args": "x"})).unwrap();
        assert_eq!(local.view.target(Some(0xfe)), "/v1/agent/service/web-1?hash=fe");
        let Handler::Http(http) = plan.handler else { panic!("an HTTP handler") };
        assert_eq!((http.method.as_str(), http.timeout), ("POST", Duration::from_secs(5)));
        assert_eq!(http.headers["X"], ["1"]);
        assert_eq!(http.headers["Y"], ["2"]);
        assert_eq!(
            parse(json!({"type": "nodes", "handler": "a | b"})).unwrap().handler,
            Handler::Script("a | b".into())
        );
    }

    #[test]
    fn what_is_wrong_with_a_watch_is_said_in_consuls_words() {
        for (watch, why) in [
            (json!({"type": "nodes"}), "Must define a watch handler"),
            (json!({"type": "nodes", "args": "x", "handler": "y"}), "Only one watch handler allowed"),
            (json!({"type": "nodes", "handler": 1}), "Watch handler must be a string"),
            (json!({"type": "nodes", "args": 1}), "Watch args must be a list of strings"),
            (json!({"type": "nodes", "args": ["x", 1]}), "Watch args must be a list of strings"),
            (json!({"type": "nodes", "handler_type": "x", "args": "x"}), "Handler type 'x' not recognized"),
            (
                json!({"type": "connect_roots", "args": "x"}),
                "Watch type connect_roots is not allowed in agent config",
            ),
        ] {
            assert_eq!(parse(watch.clone()).unwrap_err(), why, "{watch}");
        }
        for (watch, why) in [
            (json!({}), "Watch type must be specified"),
            (json!({"type": "foo", "args": "x"}), "Unsupported watch type: foo"),
            (json!({"type": 1}), "Expecting type to be a string"),
            (json!({"type": "nodes", "args": "x", "b": 1, "a": 2}), "Invalid parameters: [a b]"),
            (json!({"type": "nodes", "handler_type": "http"}), "requires 'http_handler_config' to be set"),
            (
                json!({"type": "nodes", "handler_type": "http", "http_handler_config": {}}),
                "Requires 'path' to be set",
            ),
            (json!({"type": "key", "args": "x"}), "Must specify a single key to watch"),
            (json!({"type": "service", "args": "x"}), "Must specify a single service to watch"),
            (json!({"type": "service", "service": "a", "tag": [1]}), "Index 0 of tag expected to be string"),
            (
                json!({"type": "service", "service": "a", "passingonly": "x"}),
                "Expecting passingonly to be a boolean",
            ),
            (json!({"type": "checks", "service": "a", "state": "b"}), "Cannot specify service and state"),
            (
                json!({"type": "agent_service", "service_id": "a", "stale": true, "args": "x"}),
                "Invalid parameters: [stale]",
            ),
        ] {
            let error = parse(watch.clone()).unwrap_err();
            assert!(error.starts_with("Failed to parse watch (") && error.ends_with(why), "{watch}: {error}");
        }
    }
}
