//! `kv get`, `kv put`, `kv delete`: single keys and listings.

use std::io::Read;

use bytes::Bytes;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome, kv_tree};
use crate::client::{Client, Method, reason};
use crate::flags::Flag;
use crate::sets;
use crate::table::{self, row};
use lictor_core::b64;
use lictor_core::plan::escape_path;

pub(super) static COMMAND: Command = Command {
    name: "kv",
    synopsis: "Interact with the key-value store",
    usage: "<subcommand> [options] [args]",
    about: "
Reads and writes the key-value store. Set a key, read it back, see what is
known about it, and remove it:

    $ {prog} kv put app/workers 5
    $ {prog} kv get app/workers
    $ {prog} kv get -detailed app/workers
    $ {prog} kv delete app/workers",
    body: Body::Group(&[&DELETE, &kv_tree::EXPORT, &GET, &kv_tree::IMPORT, &PUT]),
};

static GET: Command = Command {
    name: "get",
    synopsis: "Retrieves or lists data from the KV store",
    usage: "[options] [KEY_OR_PREFIX]",
    about: "
Prints the value at a key, or everything below a prefix. A key that does not
exist is an error; a key without data prints an empty line.

    $ {prog} kv get app/workers
    $ {prog} kv get -recurse app/
    $ {prog} kv get -keys app/",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::switch("base64", "Print values in base 64."),
                Flag::switch("detailed", "Print what is known about a key, not only its value."),
                Flag::switch("keys", "List the names of the keys below the prefix, without values."),
                Flag::switch("recurse", "Print every key below the prefix with its value."),
                Flag::text(
                    "separator",
                    "string",
                    "With -keys: cut names behind the first of these after the prefix.",
                )
                .or("/"),
            ],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: get,
    },
};

static PUT: Command = Command {
    name: "put",
    synopsis: "Sets or updates data in the KV store",
    usage: "[options] KEY [DATA]",
    about: "
Writes a value. DATA may be the value itself, @FILE, or - for standard input;
without it the key exists and is empty.

    $ {prog} kv put app/workers 5
    $ {prog} kv put app/license @license.txt
    $ date | {prog} kv put app/started -

To write only if nobody else wrote since index 844:

    $ {prog} kv put -cas -modify-index=844 app/workers 6",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::switch("acquire", "Take the lock on the key for -session; creates the key if needed."),
                Flag::switch("base64", "DATA is base 64: store what it decodes to."),
                Flag::switch(
                    "cas",
                    "Write only if the key's ModifyIndex is still -modify-index (0: if it is new).",
                ),
                Flag::uint("flags", "Number stored with the value, for clients' own use."),
                Flag::uint("modify-index", "The index that -cas compares."),
                Flag::switch("release", "Give the lock on the key back; -session must hold it."),
                Flag::text("session", "string", "Session for -acquire and -release."),
            ],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: put,
    },
};

static DELETE: Command = Command {
    name: "delete",
    synopsis: "Removes data from the KV store",
    usage: "[options] KEY_OR_PREFIX",
    about: "
Removes a key, or everything below a prefix. Removing what does not exist is
no error.

    $ {prog} kv delete app/workers
    $ {prog} kv delete -recurse app/",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[
                Flag::switch("cas", "Remove only if the key's ModifyIndex is still -modify-index."),
                Flag::uint("modify-index", "The index that -cas compares."),
                Flag::switch("recurse", "Remove every key that starts with the prefix."),
            ],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: delete,
    },
};

/// One key as the API answers it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) flags: u64,
    lock_index: u64,
    create_index: u64,
    modify_index: u64,
    session: Option<String>,
}

impl Pair {
    /// The value as stored.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        let text = self.value.as_deref().unwrap_or_default();
        b64::decode(text.as_bytes()).map_err(|e| format!("the value of {} is not base 64: {e}", self.key))
    }

    fn shown(&self, base64: bool) -> Result<Vec<u8>, String> {
        match base64 {
            true => Ok(self.value.clone().unwrap_or_default().into_bytes()),
            false => self.bytes(),
        }
    }

    fn block(&self, base64: bool) -> Result<Vec<u8>, String> {
        let session = self.session.as_deref().filter(|s| !s.is_empty()).unwrap_or("-");
        let rows = [
            row(["CreateIndex", &self.create_index.to_string()]),
            row(["Flags", &self.flags.to_string()]),
            row(["Key", &self.key]),
            row(["LockIndex", &self.lock_index.to_string()]),
            row(["ModifyIndex", &self.modify_index.to_string()]),
            row(["Session", session]),
            row(["Value", ""]),
        ];
        let mut block = table::columns(&rows, table::WIDE_GAP).into_bytes();
        let value = self.shown(base64)?;
        if value.is_empty() {
            block.truncate(block.trim_ascii_end().len());
        }
        block.extend_from_slice(&value);
        Ok(block)
    }
}

/// Path of a key.
pub(super) fn path(key: &str) -> String {
    format!("/v1/kv/{}", escape_path(key))
}

/// Every pair below `prefix`; nothing there is an empty list.
pub(super) fn below(client: &Client, prefix: &str) -> Result<Vec<Pair>, String> {
    listing(client, prefix, &[("recurse", "")])?.map_or_else(
        || Ok(Vec::new()),
        |answer| answer.json().map_err(|e| format!("Error querying Consul agent: {e}")),
    )
}

fn listing(
    client: &Client,
    key: &str,
    query: &[(&str, &str)],
) -> Result<Option<crate::client::Answer>, String> {
    let agent = |e| format!("Error querying Consul agent: {e}");
    let answer = client.call(Method::Get, &path(key), query, Bytes::new()).map_err(agent)?;
    if answer.status == 404 { Ok(None) } else { answer.ok().map(Some).map_err(agent) }
}

fn get(cx: &mut Context<'_, '_>) -> Outcome {
    let listed = cx.flags.on("keys") || cx.flags.on("recurse");
    let mut key = match cx.flags.args.as_slice() {
        [] => "",
        [key] => key,
        more => return Err(cx.late_flag(format!("Too many arguments (expected 1, got {})", more.len()))),
    }
    .to_owned();
    // A leading slash is a habit from file paths; no key starts with one.
    if let Some(rest) = key.strip_prefix('/') {
        key = rest.to_owned();
    }
    if key.is_empty() && !listed {
        return Err("Error! Missing KEY argument".to_owned());
    }
    let client = cx.client()?;
    let base64 = cx.flags.on("base64");
    if cx.flags.on("keys") {
        let separator = cx.flags.text("separator").unwrap_or("/").to_owned();
        let mut query = vec![("keys", "")];
        // Below a prefix means all of it.
        if !separator.is_empty() && !cx.flags.on("recurse") {
            query.push(("separator", &separator));
        }
        let names: Vec<String> = match listing(&client, &key, &query)? {
            None => Vec::new(),
            Some(answer) => answer.json().map_err(|e| format!("Error querying Consul agent: {e}"))?,
        };
        names.iter().for_each(|name| cx.shell.say(name));
        return Ok(0);
    }
    if cx.flags.on("recurse") {
        let detailed = cx.flags.on("detailed");
        for (n, pair) in below(&client, &key)?.iter().enumerate() {
            if detailed {
                if n > 0 {
                    cx.shell.say("");
                }
                cx.shell.say(pair.block(base64)?);
            } else {
                cx.shell.say([pair.key.as_bytes(), b":", &pair.shown(base64)?].concat());
            }
        }
        return Ok(0);
    }
    let found: Vec<Pair> = match listing(&client, &key, &[])? {
        None => Vec::new(),
        Some(answer) => answer.json().map_err(|e| format!("Error querying Consul agent: {e}"))?,
    };
    let pair = found.first().ok_or_else(|| format!("Error! No key exists at: {key}"))?;
    let text = if cx.flags.on("detailed") { pair.block(base64)? } else { pair.shown(base64)? };
    cx.shell.say(text);
    Ok(0)
}

fn put(cx: &mut Context<'_, '_>) -> Outcome {
    let (key, data) = match cx.flags.args.as_slice() {
        [] => return Err("Error! Missing KEY argument".to_owned()),
        [key] => (key.clone(), Vec::new()),
        [key, data] => (key.clone(), read_value(cx.shell.stdin, data).map_err(|e| format!("Error! {e}"))?),
        more => {
            let n = more.len();
            return Err(cx.late_flag(format!("Error! Too many arguments (expected 1 or 2, got {n})")));
        }
    };
    let data = match cx.flags.on("base64") {
        true => b64::decode(&data).map_err(|e| format!("Error! Cannot base 64 decode data: {e}"))?,
        false => data,
    };
    let session = cx.flags.text("session").unwrap_or_default().to_owned();
    let (acquire, release, cas) = (cx.flags.on("acquire"), cx.flags.on("release"), cx.flags.on("cas"));
    if session.is_empty() && (acquire || release) {
        return Err("Error! Missing -session (required with -acquire and -release)".to_owned());
    }
    if key.starts_with('/') {
        return Err(format!("Error! Failed writing data: Invalid key. Key must not begin with a '/': {key}"));
    }
    let index = cx.flags.uint("modify-index").to_string();
    let flags = cx.flags.uint("flags").to_string();
    let client = cx.client()?;
    let mut query = Vec::new();
    if flags != "0" {
        query.push(("flags", flags.as_str()));
    }
    // Consul's order: a CAS first, then a lock, then its release; one request does one of them.
    let (done, refused) = if cas {
        query.push(("cas", &index));
        let why =
            if index == "0" { "CAS performed with index=0 and key already exists." } else { "CAS failed" };
        ("Data written to", format!("Did not write to {key}: {why}"))
    } else if acquire {
        query.push(("acquire", &session));
        ("Lock acquired on", "Did not acquire lock".to_owned())
    } else if release {
        query.push(("release", &session));
        ("Lock released on", "Did not release lock".to_owned())
    } else {
        ("Data written to", "the agent answers neither true nor false".to_owned())
    };
    let answer = client
        .put(&path(&key), &query, Bytes::from(data))
        .map_err(|e| format!("Error! Failed writing data: {e}"))?;
    if !truthful(&answer.body) {
        return Err(format!("Error! {refused}"));
    }
    cx.shell.say(format!("Success! {done}: {key}"));
    Ok(0)
}

fn delete(cx: &mut Context<'_, '_>) -> Outcome {
    let key = match cx.flags.args.as_slice() {
        [] => String::new(),
        [key] => key.clone(),
        more => {
            return Err(cx.late_flag(format!("Too many arguments (expected 1, got {})", more.len())));
        }
    };
    let (recurse, cas) = (cx.flags.on("recurse"), cx.flags.on("cas"));
    let key = key.strip_prefix('/').map(str::to_owned).unwrap_or(key);
    if key.is_empty() && !recurse {
        return Err("Error! Missing KEY argument".to_owned());
    }
    let index = cx.flags.uint("modify-index").to_string();
    if cas && index == "0" {
        let text = "Cannot delete a key that does not exist. Provide a -modify-index greater than than 0.";
        return Err(text.to_owned());
    }
    if recurse && cas {
        return Err("Cannot specify both -cas and -recurse!".to_owned());
    }
    let client = cx.client()?;
    let what = if recurse { "prefix" } else { "key" };
    let mut query = Vec::new();
    if recurse {
        query.push(("recurse", ""));
    }
    if cas {
        query.push(("cas", index.as_str()));
    }
    let answer = client
        .call(Method::Delete, &path(&key), &query, Bytes::new())
        .and_then(crate::client::Answer::ok)
        .map_err(|e| format!("Error deleting {what} {key}: {e}"))?;
    if cas && !truthful(&answer.body) {
        return Err(format!("Error! Did not delete key {key}: CAS failed"));
    }
    let done = if recurse { "Deleted keys with prefix" } else { "Deleted key" };
    cx.shell.say(format!("Success! {done}: {key}"));
    Ok(0)
}

fn truthful(body: &[u8]) -> bool {
    body.trim_ascii() == b"true"
}

/// A value argument: itself, `@file`, or `-` for standard input.
pub(super) fn read_value(stdin: &mut dyn Read, argument: &str) -> Result<Vec<u8>, String> {
    if argument == "-" {
        let mut data = Vec::new();
        return stdin
            .read_to_end(&mut data)
            .map(|_| data)
            .map_err(|e| format!("Failed to read stdin: {}", reason(&e)));
    }
    match argument.strip_prefix('@') {
        Some(path) => {
            std::fs::read(path).map_err(|e| format!("Failed to read file: open {path}: {}", reason(&e)))
        }
        None => Ok(argument.as_bytes().to_vec()),
    }
}
