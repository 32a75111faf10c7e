//! `snapshot inspect`: what a file holds, and how much of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lictor_core::archive::{self, Meta};
use lictor_core::json::{self, Writer};
use lictor_core::wire::msgpack;
use serde::Deserialize;

use super::{Body, Command, Context, Outcome, named};
use crate::client::reason;
use crate::flags::Flag;
use crate::table::{self, WIDE_GAP, row};

pub(super) static COMMAND: Command = Command {
    name: "inspect",
    synopsis: "Displays information about a snapshot file",
    usage: "[options] FILE",
    about: "
Shows of a snapshot when it was taken and how much of what it holds, the largest first.
A state.bin beside its meta.json, as a Consul server's data directory has it, will do
too.

    $ {prog} snapshot inspect backup.snap
    $ {prog} snapshot inspect -kvdetails -kvdepth=3 -kvfilter=app/ backup.snap",
    body: Body::Leaf {
        api: &[],
        own: &[&[
            Flag::text("format", "string", "How to print it: pretty or json.").or("pretty"),
            Flag::switch("kvdetails", "Show how much space keys take, by their beginnings."),
            Flag::int("kvdepth", "With -kvdetails: how many parts of a key its beginning has.").or("2"),
            Flag::text("kvfilter", "string", "With -kvdetails: only keys that begin so."),
        ]],
        run: inspect,
    },
};

/// The metadata and the state of a file, or the text of what is wrong with it.
pub(super) fn open(path: &str) -> Result<(Meta, Vec<u8>), String> {
    let opened =
        fs::read(path).map_err(|e| format!("Error opening snapshot file: open {path}: {}", reason(&e)))?;
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.eq_ignore_ascii_case("state.bin") {
        let beside = Path::new(path).with_file_name("meta.json");
        let meta = fs::read(&beside).map_err(|e| {
            let why = format!("open {}: {}", beside.display(), reason(&e));
            format!("Error reading meta.json from internal snapshot dir: {why}")
        })?;
        let meta = serde_json::from_slice(&meta)
            .map_err(|e| format!("Error parsing meta.json from internal snapshot dir: {e}"))?;
        return Ok((meta, opened));
    }
    let archive = archive::read(&opened).map_err(|e| format!("Error reading snapshot: {e}"))?;
    Ok((archive.meta, archive.state))
}

/// How much of something there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Share {
    name: String,
    sum: usize,
    count: usize,
}

#[derive(Default)]
struct Found {
    /// By type, and by the beginning of a key.
    stats: BTreeMap<u8, Share>,
    keys: BTreeMap<String, Share>,
    total: usize,
    total_keys: usize,
}

/// What of a key is looked at.
struct ByKey<'a> {
    depth: usize,
    filter: &'a str,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "Key")]
    key: String,
}

fn count(state: &[u8], by_key: Option<&ByKey<'_>>) -> Result<Found, String> {
    let mut found = Found::default();
    for record in archive::records(state) {
        let record = record.map_err(|why| format!("Error extracting snapshot data: {why}"))?;
        let name = archive::name(record.kind);
        if let Some(by_key) = by_key
            && name == "KVS"
            && let Ok(Key { key }) = msgpack::from_slice(record.value)
            && key.starts_with(by_key.filter)
        {
            let parts: Vec<&str> = key.split('/').take(by_key.depth).collect();
            let share = found.keys.entry(parts.join("/")).or_default();
            share.name = parts.join("/");
            share.sum += record.size;
            share.count += 1;
            found.total_keys += record.size;
        }
        let share = found.stats.entry(record.kind).or_default();
        share.name = name;
        share.sum += record.size;
        share.count += 1;
        found.total += record.size;
    }
    Ok(found)
}

/// The largest first, equal ones by name.
fn sorted(shares: impl Iterator<Item = Share>) -> Vec<Share> {
    let mut shares: Vec<Share> = shares.collect();
    shares.sort_by(|a, b| b.sum.cmp(&a.sum).then_with(|| a.name.cmp(&b.name)));
    shares
}

/// A number of bytes as people read it: to a tenth of the largest unit.
fn bytes(n: usize) -> String {
    let units = [(1_u64 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"), (1, "B")];
    let Some((size, unit)) = units.into_iter().find(|(size, _)| n as u64 >= *size) else {
        return "0".to_owned();
    };
    let text = format!("{:.1}", n as f64 / size as f64);
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

fn lines(head: &str, shares: &[Share], total: usize) -> String {
    let rule = || row([" ----", "----", "----"]);
    let mut rows = vec![row([&format!(" {head}"), "Count", "Size"]), rule()];
    for share in shares {
        rows.push(row([&format!(" {}", share.name), &share.count.to_string(), &bytes(share.sum)]));
    }
    rows.push(rule());
    rows.push(row([" Total", "", &bytes(total)]));
    table::columns(&rows, WIDE_GAP)
}

fn pretty(meta: &Meta, found: Found) -> String {
    let rows = [
        (" ID", meta.id.clone()),
        (" Size", meta.size.to_string()),
        (" Index", meta.index.to_string()),
        (" Term", meta.term.to_string()),
        (" Version", meta.version.to_string()),
    ];
    let rows: Vec<Vec<String>> = rows.iter().map(|(name, value)| row([*name, value])).collect();
    let mut text = table::columns(&rows, WIDE_GAP);
    text.push_str("\n\n");
    text.push_str(&lines("Type", &sorted(found.stats.into_values()), found.total));
    if !found.keys.is_empty() {
        text.push_str("\n\n");
        text.push_str(&lines("Key Name", &sorted(found.keys.into_values()), found.total_keys));
    }
    text
}

fn in_json(meta: &Meta, found: Found) -> Vec<u8> {
    let list = |w: &mut Writer<'_>, shares: Vec<Share>| {
        w.array(|w| {
            for share in shares {
                w.object(|w| {
                    w.field_str("Name", &share.name);
                    w.field_u64("Sum", share.sum as u64);
                    w.field_u64("Count", share.count as u64);
                });
            }
        });
    };
    let text = json::to_vec(|w| {
        w.object(|w| {
            w.field("Meta", |w| {
                w.object(|w| {
                    w.field_str("ID", &meta.id);
                    w.field_i64("Size", meta.size);
                    w.field_u64("Index", meta.index);
                    w.field_u64("Term", meta.term);
                    w.field_i64("Version", meta.version);
                });
            });
            w.field("Stats", |w| list(w, sorted(found.stats.into_values())));
            w.field("StatsKV", |w| match found.keys.is_empty() {
                true => w.null(),
                false => list(w, sorted(found.keys.into_values())),
            });
            w.field_u64("TotalSize", found.total as u64);
            w.field_u64("TotalSizeKV", found.total_keys as u64);
        });
    });
    json::pretty(&text, "   ")
}

fn inspect(cx: &mut Context<'_, '_>) -> Outcome {
    let path = named(cx)?;
    let depth = cx.flags.text("kvdepth").map_or(2, |_| cx.flags.int("kvdepth"));
    let filter = cx.flags.text("kvfilter").unwrap_or_default().to_owned();
    let by_key = ByKey { depth: usize::try_from(depth).unwrap_or(0), filter: &filter };
    let format = cx.flags.text("format").unwrap_or("pretty").to_owned();
    let (meta, state) = open(&path)?;
    let found = count(&state, cx.flags.on("kvdetails").then_some(&by_key))?;
    match &*format {
        "pretty" => cx.shell.say(pretty(&meta, found)),
        "json" => cx.shell.say(in_json(&meta, found)),
        other => return Err(format!("Error outputting enhanced snapshot data: Unknown format: {other}")),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_to_a_tenth_of_the_largest_unit() {
        for (n, text) in
            [(0, "0"), (1, "1B"), (1023, "1023B"), (1024, "1KB"), (1741, "1.7KB"), (5 << 20, "5MB")]
        {
            assert_eq!(bytes(n), text);
        }
    }
}
