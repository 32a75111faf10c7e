//! `/v1/kv`: keys.

use super::super::blocking::{Answer, Body, Cx};
use super::super::errors::HttpError;
use super::super::path::{clean_keeping_slash, is_clean};
use super::super::remote::{self, Remote};
use super::super::render;
use super::super::request::{Options, Request, parse_uint};
use super::super::respond;
use super::super::route::{Finish, Read, Step, Style};
use super::unexpected;
use crate::Str;
use crate::call;
use crate::command::{Command, KvCommand};
use crate::config::RuntimeConfig;
use crate::store::{Applied, Excerpt};
use crate::types::{KvEntry, KvOp};
use crate::watch::WatchKey;
use alloc::string::String;
use alloc::vec;

/// The key of a request. Empty stays empty.
///
/// Without the filter switched off, the name is cleaned as a path (a trailing slash stays) and may hold
/// only letters, digits and `,_./-?&=`.
fn key_name(rq: &Request, config: &RuntimeConfig) -> Result<String, HttpError> {
    let raw = rq.arg();
    if raw.is_empty() || config.disable_http_unprintable_char_filter {
        return Ok(raw.into());
    }
    // The cleaned name, without the work for names that are clean, which nearly all are.
    let rooted = rq.path.get(rq.matched.saturating_sub(1)..).unwrap_or("");
    let key = if is_clean(rooted) { raw.into() } else { clean_keeping_slash(raw) };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b",_./-?&=".contains(&b);
    if key.bytes().all(allowed) { Ok(key) } else { Err(HttpError::KeyName) }
}

fn is_tree(rq: &Request) -> bool {
    rq.query.has("keys") || rq.query.has("recurse")
}

/// `GET /v1/kv/:key`, with `?raw`, `?recurse`, `?keys&separator=`.
pub(in crate::front) static GET: Read = Read {
    answer: |cx, rq| {
        let key = key_name(rq, &cx.view.config)?;
        if key.is_empty() && !is_tree(rq) {
            return Err(HttpError::Missing("key name"));
        }
        Ok(if rq.query.has("keys") {
            keys(cx, rq, &key)
        } else if rq.query.has("recurse") {
            tree(cx, &key)
        } else {
            one(cx, rq, &key)
        })
    },
    watch: |view, rq| {
        // A name that is not valid never gets here.
        let key = Str::from(key_name(rq, &view.config).unwrap_or_default());
        vec![if is_tree(rq) { WatchKey::KvPrefix(key) } else { WatchKey::Kv(key) }]
    },
    style: Style::Kv { meta_on_error: false },
    cacheable: false,
    filter: None,
    remote: Remote {
        ask: |cx, rq, arguments| {
            // A name that is not valid never gets here.
            let key = Str::from(key_name(rq, &cx.view.config).unwrap_or_default());
            if rq.query.has("keys") {
                arguments.prefix = key;
                arguments.seperator = Str::from(separator(rq));
                return "KVS.ListKeys";
            }
            arguments.key = key;
            if rq.query.has("recurse") { "KVS.List" } else { "KVS.Get" }
        },
        take: Excerpt::keys,
        finish: |cx, rq, reply| remote::finish(&GET, cx, rq, reply),
    },
};

fn one(cx: &Cx<'_>, rq: &Request, key: &str) -> Answer {
    let store = &cx.view.store;
    let index = store.kv_key_index(key);
    let Some(entry) = store.kv(key) else { return Answer { index, body: Body::Missing } };
    if rq.query.has("raw") {
        let body = if cx.wants(index) { Body::Raw(entry.value.clone()) } else { Body::Unwanted };
        return Answer { index, body };
    }
    Answer::json(cx, index, |w| w.array(|w| render::kv::entry(w, entry)))
}

fn tree(cx: &Cx<'_>, prefix: &str) -> Answer {
    let store = &cx.view.store;
    let index = store.kv_prefix_index(prefix);
    let mut entries = store.kv_prefix(prefix).peekable();
    if entries.peek().is_none() {
        return Answer { index, body: Body::Missing };
    }
    Answer::json(cx, index, |w| w.array(|w| entries.for_each(|e| render::kv::entry(w, e))))
}

fn keys(cx: &Cx<'_>, rq: &Request, prefix: &str) -> Answer {
    let store = &cx.view.store;
    let index = store.kv_prefix_index(prefix);
    if !prefix.is_empty() && store.kv_prefix(prefix).next().is_none() {
        return Answer { index, body: Body::Missing };
    }
    Answer::json(cx, index, |w| w.strs(store.kv_keys(prefix, separator(rq))))
}

fn separator(rq: &Request) -> &str {
    // Consul kept taking the name that it once misspelt.
    match rq.query.get("separator") {
        "" => rq.query.get("seperator"),
        separator => separator,
    }
}

/// A key operation that answers `true` or `false`.
fn write(cx: &Cx<'_>, rq: &Request, op: KvOp, entry: KvEntry) -> Step {
    let finish: Finish = |cx, rq, reply| match reply {
        call::Reply::Applied { result: Applied::Ok, .. } => Ok(respond::json(cx.view, rq, |w| w.bool(true))),
        call::Reply::Applied { result: Applied::Bool(done), .. } => {
            Ok(respond::json(cx.view, rq, |w| w.bool(done)))
        }
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    };
    let command = Command::Kv(KvCommand { op, dir_ent: entry });
    let config = &cx.view.config;
    Step::Call(remote::write(remote::datacenter(rq, config), command, config), finish)
}

/// Refuses a request that says more than one of `flags`.
fn refuse_conflict(rq: &Request, flags: &[&str]) -> Result<(), HttpError> {
    if flags.iter().filter(|flag| rq.query.has(flag)).count() > 1 {
        return Err(HttpError::ConflictingFlags(rq.query.encode()));
    }
    Ok(())
}

/// `PUT /v1/kv/:key`, with `?flags=`, `?cas=`, `?acquire=`, `?release=`.
pub(in crate::front) fn put(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let config = &cx.view.config;
    // Of no use to a write, but not to be wrong either.
    Options::parse(rq, config)?;
    let key = key_name(rq, config)?;
    if key.is_empty() {
        return Err(HttpError::Missing("key name"));
    }
    refuse_conflict(rq, &["cas", "acquire", "release"])?;
    let query = &rq.query;
    let mut entry = KvEntry { key: Str::from(key), ..KvEntry::default() };
    if query.has("flags") {
        entry.flags = parse_uint(query.get("flags"))?;
    }
    let mut op = KvOp::Set;
    if query.has("cas") {
        entry.modify_index = parse_uint(query.get("cas"))?;
        op = KvOp::Cas;
    }
    for (flag, verb) in [("acquire", KvOp::Lock), ("release", KvOp::Unlock)] {
        if query.has(flag) {
            entry.session = Str::from(query.get(flag));
            op = verb;
        }
    }
    let (len, max) = (rq.body.len(), config.kv_max_value_size);
    if len > max {
        return Err(HttpError::BodyTooLarge { len, max, setting: Some("kv_max_value_size") });
    }
    entry.value = rq.body.clone();
    Ok(write(cx, rq, op, entry))
}

/// `DELETE /v1/kv/:key`, with `?recurse` or `?cas=`.
pub(in crate::front) fn delete(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Options::parse(rq, &cx.view.config)?;
    let key = key_name(rq, &cx.view.config)?;
    let recurse = rq.query.has("recurse");
    if key.is_empty() && !recurse {
        return Err(HttpError::Missing("key name"));
    }
    refuse_conflict(rq, &["recurse", "cas"])?;
    let mut entry = KvEntry { key: Str::from(key), ..KvEntry::default() };
    let mut op = if recurse { KvOp::DeleteTree } else { KvOp::Delete };
    if rq.query.has("cas") {
        entry.modify_index = parse_uint(rq.query.get("cas"))?;
        op = KvOp::DeleteCas;
    }
    Ok(write(cx, rq, op, entry))
}
