//! Golden scripts: requests and the answers to them, header by header and byte by byte.
//!
//! Each file in `testdata/http` runs on a server of its own. A block is a request line, its headers, a
//! blank line and the body, up to `<<<`; then come the answers. `UPDATE=1` rewrites the answers: read the
//! diff, and say in the commit why they changed.
//!
//! ```text
//! # A comment.
//! >>> PUT /v1/kv/a
//!
//! hello
//! <<<
//! 200
//! ...
//! ```
//!
//! `>>> advance 5s` lets time pass. A request that waits answers `(waits as N)`; whatever comes for it later
//! is shown as `(for N)`. A newline at a body's end is written as `\n`.

mod support;

use bytes::Bytes;
use lictor_core::duration;
use lictor_core::front::HttpReply;
use lictor_core::time::Duration;
use std::fmt::Write;
use std::path::Path;
use support::{World, request};

fn show(out: &mut String, reply: &HttpReply) {
    writeln!(out, "{}", reply.status).unwrap();
    for (name, value) in &reply.headers {
        writeln!(out, "{name}: {value}").unwrap();
    }
    if reply.close {
        out.push_str("(closes the connection)\n");
    }
    if !reply.body.is_empty() {
        let body = String::from_utf8_lossy(&reply.body);
        let trimmed = body.trim_end_matches('\n');
        let newlines = "\\n".repeat(body.len() - trimmed.len());
        writeln!(out, "\n{trimmed}{newlines}").unwrap();
    }
}

/// Runs one block: the lines between `>>>` and `<<<`.
fn run(world: &mut World, head: &str, rest: &[&str]) -> String {
    let mut out = String::new();
    let mut own = None;
    let replies = if let Some(text) = head.strip_prefix("advance ") {
        let nanos = duration::parse(text).unwrap_or_else(|e| panic!("{e}"));
        world.advance(Duration::from_nanos(nanos as u64))
    } else {
        let (method, target) = head.split_once(' ').unwrap_or_else(|| panic!("no target: {head}"));
        let blank = rest.iter().position(|l| l.is_empty()).unwrap_or(rest.len());
        let mut request = request(method, target, &rest.get(blank + 1..).unwrap_or(&[]).join("\n"));
        for line in &rest[..blank] {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
            request.headers.push((name.to_lowercase(), Bytes::copy_from_slice(value.as_bytes())));
        }
        let (req, replies) = world.send(request);
        own = Some(req);
        replies
    };
    if let Some(req) = own.filter(|req| replies.iter().all(|(r, _)| r != req)) {
        writeln!(out, "(waits as {req})").unwrap();
    }
    for (req, reply) in &replies {
        if Some(*req) != own {
            writeln!(out, "(for {req})").unwrap();
        }
        show(&mut out, reply);
    }
    out
}

/// The script with the answers of this build.
fn replay(script: &str) -> String {
    let mut world = World::new(|_| {});
    let mut out = String::new();
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(head) = line.strip_prefix(">>> ") else {
            if line.starts_with('#') || out.is_empty() {
                writeln!(out, "{line}").unwrap();
            }
            continue;
        };
        let mut rest = Vec::new();
        for line in lines.by_ref().take_while(|line| *line != "<<<") {
            rest.push(line);
        }
        writeln!(out, "{line}").unwrap();
        rest.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        out.push_str("<<<\n");
        out.push_str(&run(&mut world, head, &rest));
        out.push('\n');
        // The answers that the file holds.
        while lines.peek().is_some_and(|l| !l.starts_with(">>> ") && !l.starts_with('#')) {
            lines.next();
        }
    }
    format!("{}\n", out.trim_end())
}

#[test]
fn every_script_gets_the_answers_it_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/http");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = String::new();
    for path in files {
        let held = std::fs::read_to_string(&path).unwrap();
        assert!(held.starts_with('#'), "{} must open with a comment", path.display());
        let found = replay(&held);
        if found == held {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, found).unwrap();
            continue;
        }
        let at = held.lines().zip(found.lines()).position(|(a, b)| a != b).unwrap_or(0);
        let line = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
        writeln!(wrong, "{}:{}\n  holds {}\n  found {}", path.display(), at + 1, line(&held), line(&found))
            .unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}
