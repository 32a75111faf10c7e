//! Every decoder against hostile bytes.
//!
//! A [`Target`] takes any bytes and panics when something does not hold: not only that nothing panics, but
//! that what was read can be written and read again, that a naive twin agrees, that a refusal changes
//! nothing. [`check`] adds that time stays in proportion to the input. The `fuzz` binary drives targets by
//! coverage, `tests/corpus.rs` replays what was kept; see `docs/testing.md`.

mod archive;
mod bomb;
mod bytes;
mod catalog;
mod cost;
mod dns;
mod filter;
mod gossip;
mod http;
mod json;
mod machine;
mod plain;
mod records;
mod seeds;
mod segment;
mod text;
mod world;
mod yamux;

pub use cost::check;
pub use seeds::seeds;

/// One decoder, or a family that shares its input's form.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of its directory in the corpus, and for the command line.
    pub name: &'static str,
    /// Decodes the bytes and judges the outcome.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "json", run: json::json },
    Target { name: "duration", run: text::duration },
    Target { name: "config_json", run: text::config_json },
    Target { name: "config_hcl", run: text::config_hcl },
    Target { name: "filter", run: filter::filter },
    Target { name: "pattern", run: filter::pattern },
    Target { name: "dns_query", run: dns::query },
    Target { name: "dns_reply", run: dns::reply },
    Target { name: "http", run: http::requests },
    Target { name: "body", run: http::body },
    Target { name: "records", run: records::records },
    Target { name: "msgpack", run: bytes::msgpack },
    Target { name: "command", run: bytes::command },
    Target { name: "snapshot", run: bytes::snapshot },
    Target { name: "raft", run: bytes::raft },
    Target { name: "gossip", run: gossip::gossip },
    Target { name: "plain", run: plain::plain },
    Target { name: "bomb", run: bomb::bomb },
    // What is packed may unfold to a thousand times as much: it is not blown up.
    Target { name: "archive", run: archive::archive },
    // Their bytes are steps, of which each may cost: they are not blown up.
    Target { name: "machine", run: machine::machine },
    Target { name: "yamux", run: yamux::yamux },
    Target { name: "segment", run: segment::segment },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
