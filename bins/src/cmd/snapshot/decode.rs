//! `snapshot decode`: every record of a file, a line of JSON each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lictor_core::archive;
use lictor_core::json;
use lictor_core::wire::msgpack;
use lictor_core::wire::tree::Tree;

use super::{Body, Command, Context, Outcome, inspect, named};

pub(super) static COMMAND: Command = Command {
    name: "decode",
    synopsis: "Prints the records of a snapshot file as JSON",
    usage: "[options] FILE",
    about: "
Prints a line of JSON for the metadata of a snapshot and for each of its records, as
{\"Data\": ..., \"Type\": \"KVS\"}. The fields are those of the file, sorted by their names.

    $ {prog} snapshot decode backup.snap",
    body: Body::Leaf { api: &[], own: &[], run: decode },
};

fn decode(cx: &mut Context<'_, '_>) -> Outcome {
    let path = named(cx)?;
    let (meta, state) = inspect::open(&path)?;
    let meta = serde_json::to_string(&meta)
        .map_err(|e| format!("Error encoding snapshot header to the output stream: {e}"))?;
    cx.shell.say(format!("{{\"Data\":{meta},\"Type\":\"SnapshotHeader\"}}"));
    for record in archive::records(&state) {
        let failed = |why: String| format!("Error extracting snapshot data: {why}");
        let record = record.map_err(failed)?;
        let mut data: Tree = msgpack::from_slice(record.value).map_err(|e| failed(e.to_string()))?;
        let name = archive::name(record.kind);
        if matches!(&*name, "KVS" | "Tombstone") {
            encode_value(&mut data);
        }
        cx.shell.say(json::to_vec(|w| {
            w.object(|w| {
                w.field("Data", |w| data.write_json(w));
                w.field_str("Type", &name);
            });
        }));
    }
    Ok(0)
}

/// What a key holds may be anything but text.
fn encode_value(data: &mut Tree) {
    let Tree::Map(pairs) = data else { return };
    for (name, value) in pairs {
        if name.as_str() == Some("Value")
            && let Tree::Raw(raw) = value
        {
            *raw = BASE64.encode(&raw).into_bytes();
        }
    }
}
