//! `kv export` and `kv import`: whole trees as JSON, in Consul's format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Body, Command, Context, Outcome, kv};
use crate::flags::Flag;
use crate::sets;

pub(super) static EXPORT: Command = Command {
    name: "export",
    synopsis: "Exports a tree from the KV store as JSON",
    usage: "[options] [KEY_OR_PREFIX]",
    about: "
Prints every key below a prefix as JSON that `{prog} kv import` reads, to move
a tree from one cluster to another.

    $ {prog} kv export app/ > app.json",
    body: Body::Leaf { api: sets::TO_SERVERS, own: &[sets::NAMESPACE, sets::PARTITION], run: export },
};

pub(super) static IMPORT: Command = Command {
    name: "import",
    synopsis: "Imports a tree stored as JSON to the KV store",
    usage: "[options] [DATA]",
    about: "
Writes the keys that `{prog} kv export` printed. DATA is the JSON itself,
@FILE, or - for standard input.

    $ {prog} kv import @app.json
    $ {prog} kv import -prefix=copy/ - < app.json",
    body: Body::Leaf {
        api: sets::TO_SERVERS,
        own: &[
            &[Flag::text("prefix", "string", "Put this path before the name of every key.")],
            sets::NAMESPACE,
            sets::PARTITION,
        ],
        run: import,
    },
};

/// One key of an exported tree.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    key: String,
    #[serde(default)]
    flags: u64,
    #[serde(default)]
    value: String,
}

fn export(cx: &mut Context<'_, '_>) -> Outcome {
    let prefix = match cx.flags.args.as_slice() {
        [] => String::new(),
        [prefix] => prefix.strip_prefix('/').unwrap_or(prefix).to_owned(),
        more => return Err(cx.late_flag(format!("Too many arguments (expected 1, got {})", more.len()))),
    };
    let client = cx.client()?;
    let pairs = kv::below(&client, &prefix)?;
    if pairs.is_empty() {
        cx.shell.say("[]");
        return Ok(0);
    }
    let entries: Vec<String> = pairs
        .iter()
        .map(|p| {
            let (key, value) = (json!(p.key), json!(p.value.as_deref().unwrap_or_default()));
            format!("\t{{\n\t\t\"key\": {key},\n\t\t\"flags\": {},\n\t\t\"value\": {value}\n\t}}", p.flags)
        })
        .collect();
    cx.shell.say(format!("[\n{}\n]", entries.join(",\n")));
    Ok(0)
}

fn import(cx: &mut Context<'_, '_>) -> Outcome {
    let data = match cx.flags.args.as_slice() {
        [] => return Err("Error! Missing DATA argument".to_owned()),
        [data] => kv::read_value(cx.shell.stdin, data).map_err(|e| format!("Error! {e}"))?,
        more => {
            return Err(cx.late_flag(format!("Error! Too many arguments (expected 1, got {})", more.len())));
        }
    };
    if data.is_empty() {
        return Err("Error! Missing DATA argument".to_owned());
    }
    let entries: Vec<Entry> =
        serde_json::from_slice(&data).map_err(|e| format!("Cannot unmarshal data: {e}"))?;
    let prefix = cx.flags.text("prefix").unwrap_or_default().to_owned();
    let client = cx.client()?;
    for entry in entries {
        let value = BASE64
            .decode(&entry.value)
            .map_err(|e| format!("Error base 64 decoding value for key {}: {e}", entry.key))?;
        let key = under(&prefix, &entry.key);
        let flags = entry.flags.to_string();
        let query: &[(&str, &str)] = if entry.flags == 0 { &[] } else { &[("flags", &flags)] };
        client
            .put(&kv::path(&key), query, Bytes::from(value))
            .map_err(|e| format!("Error! Failed writing data for key {}: {e}", entry.key))?;
        cx.shell.say(format!("Imported: {key}"));
    }
    Ok(0)
}

/// Joins as paths are joined: one slash between, whatever the prefix ends with.
fn under(prefix: &str, key: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => key.to_owned(),
        prefix => format!("{prefix}/{}", key.trim_start_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_joined_by_exactly_one_slash() {
        for (prefix, key, whole) in
            [("", "a/b", "a/b"), ("p", "a", "p/a"), ("p/", "a", "p/a"), ("p/q//", "/a", "p/q/a")]
        {
            assert_eq!(under(prefix, key), whole);
        }
    }
}
