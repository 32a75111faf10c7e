//! `kv export` and `kv import`: whole trees as JSON, in Consul's format.

use std::fmt;

use bytes::Bytes;
use lictor_core::b64;
use lictor_core::json::{self, Fields, Struct, Unknown};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

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
#[derive(Default)]
struct Entry {
    key: String,
    flags: u64,
    value: String,
}

/// As Go reads it: names in any letter case, `null` as if it were not there, what is unknown passed over.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        struct AnyCase;

        impl<'de> Visitor<'de> for AnyCase {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key with its value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut entry = Entry::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.to_ascii_lowercase().as_str() {
                        "key" => entry.key = map.next_value::<Option<_>>()?.unwrap_or(entry.key),
                        "flags" => entry.flags = map.next_value::<Option<_>>()?.unwrap_or(entry.flags),
                        "value" => entry.value = map.next_value::<Option<_>>()?.unwrap_or(entry.value),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(entry)
            }
        }

        deserializer.deserialize_map(AnyCase)
    }
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
    let tree = json::to_vec(|w| {
        w.array(|w| {
            for pair in &pairs {
                w.object(|w| {
                    w.field_str("key", &pair.key);
                    w.field_u64("flags", pair.flags);
                    w.field_str("value", pair.value.as_deref().unwrap_or_default());
                });
            }
        });
    });
    cx.shell.say(json::pretty(&tree, "\t"));
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
        return Err("Error! Empty DATA argument".to_owned());
    }
    let entries: Vec<Entry> = serde_json::from_slice(&data)
        .map_err(|why| format!("Cannot unmarshal data: {}", in_go_words(&data).unwrap_or(why.to_string())))?;
    let prefix = cx.flags.text("prefix").unwrap_or_default().to_owned();
    let client = cx.client()?;
    for entry in entries {
        let value = b64::decode(entry.value.as_bytes())
            .map_err(|e| format!("Error base 64 decoding value for key {}: {e}", entry.key))?;
        let key = under(&prefix, &entry.key);
        if key.starts_with('/') {
            return Err(format!(
                "Error! Failed writing data for key {key}: Invalid key. Key must not begin with a '/': {key}"
            ));
        }
        let flags = entry.flags.to_string();
        let query: &[(&str, &str)] = if entry.flags == 0 { &[] } else { &[("flags", &flags)] };
        client
            .put(&kv::path(&key), query, Bytes::from(value))
            .map_err(|e| format!("Error! Failed writing data for key {key}: {e}"))?;
        cx.shell.say(format!("Imported: {key}"));
    }
    Ok(0)
}

/// What Go says of a text that is no exported tree.
fn in_go_words(data: &[u8]) -> Option<String> {
    let read = |f: &mut Fields<'_>| {
        let _known = (f.string("key"), f.uint64("flags"), f.string("value"));
    };
    let tree = match json::parse(data) {
        Ok(tree) => tree,
        Err(why) => return Some(why.to_string()),
    };
    let shape = Struct::of("impexp", "Entry");
    json::decode_list(&tree, "[]*impexp.Entry", shape, Unknown::Ignore, read).err().map(|why| why.to_string())
}

/// Joins `prefix` and `key` as paths are joined, `..` and doubled slashes resolved, as Consul does; a
/// slash at the end is part of a key's name and stays.
fn under(prefix: &str, key: &str) -> String {
    let joined = format!("{prefix}/{key}");
    let absolute = prefix.starts_with('/') || (prefix.is_empty() && key.starts_with('/'));
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let root = if absolute { "/" } else { "" };
    let end = if key.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("{root}{}{end}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_and_a_key_are_joined_as_paths_and_a_final_slash_stays() {
        for (prefix, key, whole) in [
            ("", "a/b", "a/b"),
            ("", "dir/", "dir/"),
            ("", "", ""),
            ("", "a//b/../c", "a/c"),
            ("", "/a", "/a"),
            ("p", "a", "p/a"),
            ("p/", "/a", "p/a"),
            ("p/q//", "dir/", "p/q/dir/"),
            ("z", "", "z"),
            ("/p", "a", "/p/a"),
            ("/", "../a", "/a"),
            ("../p", "i/../x", "../p/x"),
        ] {
            assert_eq!(under(prefix, key), whole, "{prefix:?} {key:?}");
        }
    }
}
