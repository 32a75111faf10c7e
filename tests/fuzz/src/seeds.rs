//! What fuzzing starts from: inputs made of recordings and golden scripts.

use crate::catalog;
use crate::world::NOW;
use lictor_core::command::{Command, Deregister, KvCommand, Register};
use lictor_core::gossip::wire::{Alive, Envelope, Message, Ping, Suspect, compound};
use lictor_core::ids::{Index, Term};
use lictor_core::raft::{self, Batch, Body, Entry, HardState, LogId, Membership, Payload, SnapshotMeta};
use lictor_core::rng::{Rng, Seed};
use lictor_core::rpc::message;
use lictor_core::types::{KvEntry, KvOp};
use lictor_core::wire::Tree;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The texts of a directory's files, in the order of their names.
fn files(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(dir)).unwrap_or_else(|why| panic!("{dir}: {why}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
}

/// The steps of all scenarios that begin with `mark`, with what belongs to them.
fn steps(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for scenario in files("tests/conformance/scenarios") {
        let mut step = String::new();
        for line in scenario.lines() {
            let begins = [
                ">>> ", "&>>> ", "$ ", "? ", "file ", "capture ", "config ", "# ", "sort", "pick ", "until ",
                "join",
            ];
            if begins.iter().any(|b| line.starts_with(b)) {
                found.push(std::mem::take(&mut step));
            }
            step.push_str(line);
            step.push('\n');
        }
        found.push(step);
    }
    found.retain(|step| step.starts_with(mark));
    found.sort();
    found.dedup();
    found
}

/// Inputs to begin with.
///
/// # Panics
/// The recordings are not where they were.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let texts: Vec<String> = match target {
        "json" => bodies().into_iter().map(|(_, body)| body).collect(),
        "duration" => ["0", "1h30m", "-1.5s", "+.5us", "1\u{b5}s", "9223372036854775807ns", "1x", "1"]
            .map(String::from)
            .into(),
        "config_json" => sources("json"),
        "config_hcl" => sources("hcl"),
        "filter" => expressions(),
        "pattern" => patterns(),
        "http" => steps(">>> "),
        "records" => records(),
        "dns_query" | "dns_reply" => return packets(),
        "body" => {
            let which = |target: &str| match target {
                t if t.starts_with("/v1/txn") => Some(0),
                t if t.starts_with("/v1/agent/service/register") => Some(1),
                t if t.starts_with("/v1/agent/check/register") => Some(2),
                t if t.starts_with("/v1/catalog/register") => Some(3),
                t if t.starts_with("/v1/catalog/deregister") => Some(4),
                t if t.starts_with("/v1/agent/check/update") => Some(5),
                _ => None,
            };
            let all = bodies();
            let chosen =
                all.iter().filter_map(|(target, body)| Some([&[which(target)?], body.as_bytes()].concat()));
            return chosen.collect();
        }
        "msgpack" => return commands().iter().map(|bytes| bytes[1..].to_vec()).collect(),
        "command" => return commands(),
        "snapshot" => return vec![catalog::store().encode_snapshot().to_vec()],
        "archive" => return crate::archive::seeds(),
        "raft" => return logs(),
        "gossip" => return gossip(),
        "machine" => return drawn(40, 600),
        "yamux" => return multiplexed(),
        "plain" => return on_the_wire(),
        "segment" => return segments(),
        _ => return Vec::new(),
    };
    texts.into_iter().map(String::into_bytes).collect()
}

/// Targets and bodies of the recorded requests.
fn bodies() -> Vec<(String, String)> {
    let body = |step: String| {
        let (head, body) = step.split_once("\n\n")?;
        Some((head.split(' ').nth(2)?.to_owned(), body.trim_end().to_owned()))
    };
    steps(">>> ").into_iter().filter_map(body).collect()
}

/// The files of golden configuration cases.
fn sources(ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for cases in files("core/testdata/config") {
        for block in cases.split("\n-- ").filter(|block| block.starts_with("file ")) {
            let Some((name, text)) = block.split_once('\n') else { continue };
            if name.ends_with(ending) {
                found.push(text.split("\n== ").next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

fn expressions() -> Vec<String> {
    let cases = file("core/testdata/filter/cases.txt");
    let of =
        |line: &str| Some(serde_json::from_str::<serde_json::Value>(line).ok()?.get(1)?.as_str()?.to_owned());
    cases.lines().filter(|line| line.starts_with("[\"/")).filter_map(of).collect()
}

fn patterns() -> Vec<String> {
    let of =
        |text: &String| Some(text.split_once("matches ")?.1.trim_matches(['"', '`']).replace("\\\\", "\\"));
    let mut found: Vec<String> = expressions().iter().filter_map(of).collect();
    found.push(r"(?i:W)\Qa.b\E+[[:alpha:]_-]\x{1F600}\101\pL\P{^Lu}(?P<n>a)a{,2}{2,3}\b$".into());
    found
}

fn records() -> Vec<String> {
    let service = r#"{"format":1,"definition":{"id":"web","name":"web"}}"#;
    let check = r#"{"format":1,"definition":{"id":"a","name":"a","ttl":"10s"},"with_service":false}"#;
    let mut world = crate::world::World::empty();
    let body = r#"{"Name":"web","Port":80,"Tags":["a"],"Checks":[{"TTL":"1h"},{"HTTP":"http://a","Interval":"5s"}]}"#;
    let request = lictor_core::front::HttpRequest {
        method: "PUT".into(),
        target: "/v1/agent/service/register".into(),
        headers: Vec::new(),
        body: body.into(),
        remote: "127.0.0.1:1".parse().ok(),
    };
    let (_, replies) = world.send(request);
    assert!(replies.iter().all(|(_, reply)| reply.status == 200));
    let whole: Vec<String> =
        world.local.iter().map(|(key, value)| format!("{key}\n{}", String::from_utf8_lossy(value))).collect();
    vec![whole.join("\0"), format!("service/web\n{service}\0check/a\n{check}\0check-state/a\n{{}}")]
}

/// Recorded questions, and what was answered to them.
fn packets() -> Vec<Vec<u8>> {
    let hex = |text: &str| -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len() / 2).map(|i| byte(2 * i)).collect()
    };
    let mut found = Vec::new();
    for name in ["main", "recursor"] {
        let script: serde_json::Value =
            serde_json::from_str(&file(&format!("core/testdata/dns/{name}.json"))).expect("JSON");
        for case in script["cases"].as_array().expect("cases") {
            found.push(hex(case["query"].as_str().expect("a packet")));
        }
    }
    let mut answered = Vec::new();
    for query in &found {
        let mut out = Vec::new();
        let (mut rng, config) = (Rng::new(Seed::from_u64(1)), lictor_core::config::RuntimeConfig::default());
        let transport = lictor_core::dns::Transport::Tcp;
        lictor_core::dns::answer_from(catalog::store(), &config, NOW, &mut rng, query, transport, &mut out);
        answered.push(out);
    }
    found.extend(answered);
    found
}

fn commands() -> Vec<Vec<u8>> {
    let entry = KvEntry { key: "a/b".into(), value: b"v".to_vec().into(), flags: 7, ..KvEntry::default() };
    let kv = |op| Command::Kv(KvCommand { op, dir_ent: entry.clone() });
    let script: serde_json::Value = serde_json::from_str(&file("core/testdata/dns/main.json")).expect("JSON");
    let mut all = vec![kv(KvOp::Set), kv(KvOp::Delete), kv(KvOp::DeleteTree), kv(KvOp::Cas)];
    all.push(Command::Deregister(Deregister { node: "n1".into(), ..Deregister::default() }));
    for body in script["catalog"].as_array().expect("registrations").iter().take(20) {
        if let Ok(register) = serde_json::from_value::<Register>(body.clone()) {
            all.push(Command::Register(Box::new(register)));
        }
    }
    all.iter().map(|command| command.encode().to_vec()).collect()
}

fn logs() -> Vec<Vec<u8>> {
    let membership = Membership::of_voters(["a".into(), "b".into()]);
    let entry = |index, payload| Entry { index: Index(index), term: Term(2), payload };
    let entries = vec![
        entry(5, Payload::Noop),
        entry(6, Payload::Membership(membership.clone())),
        entry(7, Payload::Command(b"x".to_vec().into())),
    ];
    let meta = SnapshotMeta { index: Index(3), term: Term(1), membership };
    let hard = HardState { term: Term(2), voted_for: Some("a".into()), commit: Index(1) };
    let batch = Batch {
        hard: Some(hard.clone()),
        truncate_from: Some(Index(5)),
        append: entries.clone(),
        snapshot: Some((meta.clone(), b"snap".to_vec().into())),
        compact_to: Some(Index(2)),
    };
    let mut found = Vec::new();
    let mut add = |which: u8, write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = vec![which];
        write(&mut out);
        found.push(out);
    };
    entries.iter().for_each(|entry| add(0, &|out| entry.encode(out)));
    add(1, &|out| hard.encode(out));
    add(2, &|out| meta.encode(out));
    add(3, &|out| batch.encode(out));
    let prev = LogId { index: Index(4), term: Term(1) };
    for body in [
        Body::Append { prev, commit: Index(4), entries: entries.clone() },
        Body::Vote { last: prev, transfer: true },
        Body::Snapshot { meta: meta.clone(), total: 9, offset: 0, chunk: b"chunk".to_vec().into() },
        Body::TimeoutNow,
    ] {
        add(4, &|out| out.extend_from_slice(&raft::Message { term: Term(2), body: body.clone() }.encode()));
    }
    found
}

/// Choices by chance, for targets that read nothing else.
fn drawn(count: u64, length: usize) -> Vec<Vec<u8>> {
    let one = |seed| {
        let mut rng = Rng::new(Seed::from_u64(seed));
        (0..length).map(|_| rng.below(256) as u8).collect()
    };
    (0..count).map(one).collect()
}

/// Frames of calls, and steps of two ends.
fn multiplexed() -> Vec<Vec<u8>> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = payload.len() as u32;
        [&[0, kind, 0, flags][..], &stream.to_be_bytes(), &length.to_be_bytes(), payload].concat()
    };
    let call = message::call(1, "Status.Ping", &Tree::Nil);
    let mut found = Vec::new();
    for how in [0, 1, 3] {
        let first = u32::from(how != 1) + 2 * u32::from(how == 1);
        found.push(
            [
                vec![how],
                frame(1, 1, first, &[]),
                frame(0, 0, first, &call),
                frame(0, 4, first, &call),
                frame(2, 1, 0, &[])[..12].to_vec(),
                frame(1, 8, first, &[]),
                frame(3, 0, 0, &[]),
            ]
            .concat(),
        );
    }
    found.extend(drawn(8, 200).into_iter().map(|steps| [vec![2], steps].concat()));
    found
}

/// The recorded requests as clients send them, some of them two at once.
fn on_the_wire() -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for (number, step) in steps(">>> ").iter().enumerate() {
        let (head, body) = step.split_once("\n\n").unwrap_or((step, ""));
        let (body, mut lines) = (body.trim_end(), head.lines());
        let first = lines.next().unwrap_or_default().trim_start_matches(">>> ");
        let mut request = format!("{first} HTTP/1.1\r\nHost: a\r\n");
        lines.for_each(|line| request.push_str(&format!("{line}\r\n")));
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let request = format!("{request}\r\n{body}").into_bytes();
        match found.last_mut().filter(|_| number % 7 == 0) {
            Some(last) => last.extend(request),
            None => found.push(request),
        }
    }
    found
}

fn segments() -> Vec<Vec<u8>> {
    let batches = crate::segment::batches();
    let framed = |content: &Vec<u8>| {
        let length = u8::try_from(content.len()).ok()?;
        Some([&[length][..], content].concat())
    };
    let frames: Vec<Vec<u8>> = crate::segment::contents(&batches).iter().filter_map(framed).collect();
    let mut found = vec![[vec![0], frames.concat()].concat()];
    found.extend(frames.iter().map(|frame| [&[0], &frame[..]].concat()));
    for kind in 0..4 {
        for count in [3, 8, 10] {
            found.push(vec![1, count, 0, 0, 80 + 16 * kind, 40, kind, 3]);
            found.push(vec![1, count, 1, 1, 0, 4, kind | 8, 9]);
        }
    }
    found
}

fn gossip() -> Vec<Vec<u8>> {
    let messages: Vec<Vec<u8>> = [
        Message::Ping(Ping { node: "a".into(), ..Ping::default() }),
        Message::Alive(Alive {
            node: "a".into(),
            addr: vec![127, 0, 0, 1].into(),
            port: 1,
            ..Alive::default()
        }),
        Message::Suspect(Suspect { node: "a".into(), from: "b".into(), ..Suspect::default() }),
    ]
    .iter()
    .map(Message::encode)
    .collect();
    let mut found = messages.clone();
    let mut rng = Rng::new(Seed::from_u64(3));
    for whole in compound(&messages) {
        for checksum in [false, true] {
            found.push(Envelope::default().seal(&whole, checksum, &mut rng));
        }
        found.push(whole);
    }
    found
}
