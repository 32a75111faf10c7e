//! Requests to a server: paths, parameters, headers, bodies.

use crate::world::World;
use bytes::Bytes;
use lictor_core::front::{HEADERS_READ, HttpReply, HttpRequest};
use std::fmt::Write;

/// More requests than these in one input are left out.
const MOST: usize = 12;

/// Several requests, in the form that scenarios have: a line `>>> METHOD target`, lines of the head, an
/// empty line, the body.
pub(crate) fn requests(data: &[u8]) {
    let mut world = World::empty();
    let mut open = Vec::new();
    for raw in split(data, b">>> ").into_iter().take(MOST) {
        let Some(request) = parse(raw) else { continue };
        let writes = matches!(&*request.method, "PUT" | "POST" | "DELETE");
        let before = writes.then(|| state(&mut world));
        let (req, replies) = world.send(request);
        open.push(req);
        for (answered, reply) in replies {
            assert!(open.contains(&answered), "answered twice");
            open.retain(|req| *req != answered);
            well_formed(&reply);
            if answered == req && reply.status >= 400 && before.is_some() {
                assert_eq!(before, Some(state(&mut world)), "refused, and changed");
            }
        }
    }
    open.retain(|req| !world.streams.contains(req));
    assert_eq!(world.pending(), open.len());
    open.into_iter().for_each(|req| world.forget(req));
    assert_eq!(world.pending(), 0, "kept what is over");
}

/// One body; its first byte says for whom.
pub(crate) fn body(data: &[u8]) {
    const TARGETS: [&str; 8] = [
        "/v1/txn",
        "/v1/agent/service/register",
        "/v1/agent/check/register",
        "/v1/catalog/register",
        "/v1/catalog/deregister",
        "/v1/agent/check/update/none",
        "/v1/agent/service/register?replace-existing-checks",
        "/v1/kv/a?cas=0&flags=1",
    ];
    let Some((which, body)) = data.split_first() else { return };
    let head = format!(">>> PUT {}\n\n", TARGETS[usize::from(*which) % TARGETS.len()]);
    // A mark of another request in the body would cut it.
    if !body.windows(4).any(|w| w == b">>> ") {
        requests(&[head.as_bytes(), body].concat());
    }
}

fn split<'d>(data: &'d [u8], mark: &[u8]) -> Vec<&'d [u8]> {
    let mut starts: Vec<usize> =
        data.windows(mark.len()).enumerate().filter(|(_, w)| *w == mark).map(|(at, _)| at).collect();
    starts.push(data.len());
    starts.windows(2).map(|pair| &data[pair[0] + mark.len()..pair[1]]).collect()
}

fn parse(raw: &[u8]) -> Option<HttpRequest> {
    let end = raw.windows(2).position(|w| w == b"\n\n");
    let (head, body) = end.map_or((raw, &[][..]), |end| (&raw[..end], &raw[end + 2..]));
    let mut lines = head.split(|b| *b == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    // Nothing else comes through the driver, which reads the request line.
    let target = target.trim_end();
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let header = |line: &[u8]| {
        let at = line.iter().position(|b| *b == b':')?;
        let name = std::str::from_utf8(&line[..at]).ok()?.to_ascii_lowercase();
        // Drivers hand over no others.
        HEADERS_READ.contains(&&*name).then(|| (name, Bytes::copy_from_slice(line[at + 1..].trim_ascii())))
    };
    Some(HttpRequest {
        method: method.into(),
        target: target.into(),
        headers: lines.filter_map(header).collect(),
        body: Bytes::copy_from_slice(body),
        remote: "127.0.0.1:1".parse().ok(),
    })
}

fn well_formed(reply: &HttpReply) {
    assert!((200..600).contains(&reply.status), "{}", reply.status);
    let of = |name: &str| {
        let found = reply.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    };
    for (name, value) in &reply.headers {
        assert!(!value.bytes().any(|b| b < b' ' || b == 0x7f), "header {name}: {value:?}");
    }
    if reply.status == 200 && of("content-type").starts_with("application/json") && !reply.body.is_empty() {
        // Values of keys stand in base64, so an answer is text.
        if let Err(why) = serde_json::from_slice::<serde_json::Value>(&reply.body) {
            panic!("no JSON: {why}: {}", reply.body.escape_ascii());
        }
    }
}

/// Everything that requests can change.
fn state(world: &mut World) -> String {
    let local: Vec<_> = world.local.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let view = world.view();
    let store = &view.store;
    let indexes = [store.nodes_index(), store.services_index(), store.checks_index()];
    let mut out = format!("{:?} {indexes:?} {local:?}\n", store.counts());
    for entry in store.kv_prefix("") {
        let _ = writeln!(out, "{entry:?}");
    }
    let _ = writeln!(out, "{:?}", view.local);
    out
}
