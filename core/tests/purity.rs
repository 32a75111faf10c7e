//! The same inputs give the same outputs, byte for byte: the contract of core.
//!
//! Goal: no clock, address, hash order or ambient randomness leaks into what the node does. Method: a
//! scripted life of one server with its front (writes, registrations, checks, blocking reads, time
//! passing, a restart from what it persisted) is run on several threads, each with its own stack, heap
//! layout and hash seeds, and everything that came out is compared as text.

mod support;

use lictor_core::config::RuntimeConfig;
use lictor_core::front::FrontInput;
use lictor_core::time::Duration;
use std::fmt::Write;
use support::{World, request};

/// Lives a scripted life and writes down all that comes out.
fn life() -> String {
    let mut out = String::new();
    let mut world = World::new(|config: &mut RuntimeConfig| config.datacenter = "dc1".into());
    for round in 0..20 {
        for (method, target, body) in [
            ("PUT", format!("/v1/kv/app/{round}"), format!("value {round}")),
            ("PUT", format!("/v1/kv/app/{round}?cas=0"), "never".to_owned()),
            (
                "PUT",
                "/v1/agent/service/register".to_owned(),
                format!(
                    r#"{{"ID": "s{}", "Name": "web", "Port": {round}, "Tags": ["b", "a"],
                        "Meta": {{"z": "1", "a": "2"}}, "Check": {{"TTL": "5s"}}}}"#,
                    round % 5
                ),
            ),
            ("PUT", format!("/v1/agent/check/pass/service:s{}", round % 5), String::new()),
            ("GET", "/v1/health/service/web".to_owned(), String::new()),
            ("GET", "/v1/catalog/services".to_owned(), String::new()),
            ("GET", "/v1/kv/app?recurse".to_owned(), String::new()),
            ("GET", "/v1/agent/self".to_owned(), String::new()),
            ("DELETE", format!("/v1/kv/app/{}", round / 2), String::new()),
            ("PUT", "/v1/txn".to_owned(), r#"[{"KV": {"Verb": "get", "Key": "app/1"}}]"#.to_owned()),
        ] {
            let reply = world.ask(method, &target, &body);
            let _ = writeln!(out, "{method} {target} {reply:?}");
        }
        let index = support::index(&world.ask("GET", "/v1/kv/app?recurse", ""));
        let parked = world.input(FrontInput::Http {
            req: lictor_core::ids::ReqId(1_000_000 + round),
            request: request("GET", &format!("/v1/kv/app?recurse&wait=3s&index={index}"), ""),
        });
        let _ = writeln!(out, "{parked:?}");
        // Checks expire, anti-entropy runs, the blocking read ends with its jitter.
        let later = world.advance(Duration::from_secs(7));
        let _ = writeln!(out, "{later:?} {:?} {:?}", world.node.poll_timeout(), world.node.raft_status());
    }
    let _ = writeln!(out, "{:?}", world.node.store());
    out
}

#[test]
fn the_same_inputs_give_the_same_output_bytes_on_every_thread() {
    let threads: Vec<_> = (0..4)
        .map(|i| {
            std::thread::Builder::new()
                .stack_size((2 + i) << 20)
                .spawn(move || {
                    // Another heap layout on each thread.
                    let ballast: Vec<Vec<u8>> = (0..i * 37).map(|n| vec![0; n * 13 + 1]).collect();
                    let told = life();
                    drop(ballast);
                    told
                })
                .expect("a thread")
        })
        .collect();
    let lives: Vec<String> = threads.into_iter().map(|t| t.join().expect("a life without a panic")).collect();
    assert!(lives[0].len() > 10_000, "a life in which little happened: {}", lives[0].len());
    for other in &lives[1..] {
        let differs = lives[0].lines().zip(other.lines()).find(|(a, b)| a != b);
        assert!(lives[0] == *other, "first difference: {differs:#?}");
    }
}
