//! Walks a tree beside the table of keys: what is deprecated, Enterprise or not built yet, and which
//! durations cannot be read.

use super::keys::{Key, Kind, ROOT, State};
use super::order;
use super::source::join;
use super::tree::{self, Tree};
use super::validate::tls;
use crate::duration;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::Value;

/// Moves the deprecated keys of one source to the keys that replaced them; the warnings come back.
///
/// A replacement given in the same source wins.
pub(super) fn replace_deprecated(tree: &mut Tree) -> Vec<String> {
    let mut found = Vec::new();
    collect_deprecated(ROOT, tree, "", &mut found);
    let mut warnings = Vec::new();
    for (path, successor, value) in found {
        warnings.push(match successor {
            Some(key) => format!("The '{path}' field is deprecated. Use the '{key}' field instead."),
            None => format!("The '{path}' field is deprecated and will be ignored."),
        });
        let Some(successor) = successor else { continue };
        match path.as_str() {
            // Its successor has other keys; the one that it holds means nothing here.
            "raft_boltdb" => continue,
            "acl_datacenter" if tree::get(tree, "acl.enabled").is_none() => {
                tree::set(tree, "acl.enabled", Value::Bool(true));
            }
            _ => {}
        }
        let version = value.as_str().filter(|_| path == "tls_min_version").and_then(tls::version_of_old);
        match (tree::get(tree, successor), value) {
            (None, Value::String(old)) if version.is_some() => {
                let version = version.unwrap_or_default();
                warnings.push(format!(
                    "'tls_min_version' value '{old}' is deprecated, please specify '{version}' instead"
                ));
                tree::set(tree, successor, version.into());
            }
            (None, value) => tree::set(tree, successor, value),
            (Some(Value::Array(items)), Value::Array(old)) => {
                let all = items.iter().cloned().chain(old).collect();
                tree::set(tree, successor, Value::Array(all));
            }
            (Some(_), _) => {}
        }
    }
    warnings.sort();
    warnings
}

type Deprecated = (String, Option<&'static str>, Value);

fn collect_deprecated(keys: &'static [Key], tree: &mut Tree, path: &str, found: &mut Vec<Deprecated>) {
    for key in keys {
        let path = || join(path, key.name);
        match (key.state, key.kind, tree.get_mut(key.name)) {
            (State::Deprecated(successor), _, Some(value)) => {
                found.push((path(), Some(successor), value.take()));
                tree.remove(key.name);
            }
            (State::Removed, _, Some(value)) => {
                found.push((path(), None, value.take()));
                tree.remove(key.name);
            }
            (_, Kind::Object(keys), Some(Value::Object(inner))) => {
                collect_deprecated(keys, inner, &path(), found);
            }
            _ => {}
        }
    }
}

/// What a walk found.
#[derive(Default)]
pub(super) struct Survey {
    /// Dotted keys whose feature is not built yet, each once.
    pub(super) not_built: Vec<String>,
    /// Enterprise keys, each with Consul's sentence, in Consul's order.
    pub(super) enterprise: Vec<(usize, String)>,
    /// Durations that cannot be read or are too short, each with Consul's sentence, in Consul's order.
    pub(super) bad_durations: Vec<(usize, String)>,
}

impl Survey {
    /// Walks the whole of a merged tree.
    pub(super) fn of(tree: &Tree) -> Survey {
        let mut survey = Survey::default();
        survey.walk(ROOT, tree, "");
        survey.bad_durations.extend(too_short(tree));
        survey.bad_durations.sort_by_key(|(place, _)| *place);
        survey.enterprise.sort_by_key(|(place, _)| *place);
        survey
    }

    fn walk(&mut self, keys: &'static [Key], tree: &Tree, path: &str) {
        for key in keys {
            let Some(value) = tree.get(key.name) else { continue };
            let path = join(path, key.name);
            if let (Kind::Duration, Value::String(text)) = (key.kind, value)
                && let Err(why) = duration::parse(text)
            {
                self.bad_durations.push((order::of_duration(&path), bad_duration(&path, text, &why)));
            }
            let quiet = match key.state {
                State::LaterUnless(quiet) => value == &Value::Bool(quiet),
                _ => is_empty(value),
            };
            match key.state {
                State::Later | State::LaterUnless(_) if !quiet && !self.not_built.contains(&path) => {
                    self.not_built.push(path.clone());
                }
                State::Enterprise => self.enterprise.push((order::of_enterprise(&path), enterprise(&path))),
                _ => {}
            }
            match (key.kind, value) {
                (Kind::Object(keys), Value::Object(inner)) => self.walk(keys, inner, &path),
                (Kind::ObjectList(keys), Value::Array(items)) => {
                    items.iter().filter_map(Value::as_object).for_each(|inner| self.walk(keys, inner, &path));
                }
                _ => {}
            }
        }
    }
}

/// Nothing is asked for: empty, false, zero, or a port that is off.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64().is_some_and(|n| n <= 0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

fn enterprise(path: &str) -> String {
    let name = match path {
        "read_replica" => "read_replica (or the deprecated non_voting_server)".to_string(),
        other => other.to_string(),
    };
    format!("\"{name}\" is a Consul Enterprise configuration and will have no effect")
}

/// Durations below the least that Consul allows.
fn too_short(tree: &Tree) -> Vec<(usize, String)> {
    let second = duration::SECOND;
    let least = [
        ("performance.grpc_keepalive_interval", second),
        ("performance.grpc_keepalive_timeout", second),
        ("server_rejoin_age_max", 6 * 3600 * second),
    ];
    let mut out = Vec::new();
    for (path, least) in least {
        let Some(text) = tree::text(tree, path) else { continue };
        if duration::parse(text).unwrap_or(0) < least {
            let least = duration::format(least);
            let why = format!("{path}: duration '{text}' cannot be less than: {least}");
            out.push((order::of_duration(path), why));
        }
    }
    out
}

/// Consul's sentence; some keys go by another name in it.
pub(super) fn bad_duration(path: &str, text: &str, why: &duration::Error) -> String {
    let name = match path {
        "dns_config.recursor_timeout" => "recursor_timeout".to_string(),
        "telemetry.prometheus_retention_time" => "prometheus_retention_time".to_string(),
        _ if path.starts_with("gossip_") => path.replacen('.', "..", 1),
        _ => path.to_string(),
    };
    format!("{name}: invalid duration: {text:?}: {why}")
}
