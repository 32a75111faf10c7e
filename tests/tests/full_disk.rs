//! A file system that fills up.
//!
//! Where the system allows no such thing the tests say so and show nothing.

use lictor_tests::small_disk::{MIB, SmallDisk, ballast};
use lictor_tests::{Server, wait};
use std::fs;

fn server_on(disk: &SmallDisk) -> Server {
    let data = disk.path.join("data").display().to_string();
    Server::start("full-disk", &format!(r#"{{"data_dir": {data:?}}}"#))
}

/// Keys until one is refused; how many were acknowledged.
fn fill(server: &Server, from: usize) -> usize {
    let value = "v".repeat(256 << 10);
    for i in from..from + 4000 {
        let answer = server.put(&format!("/v1/kv/fill/{i}"), &value);
        if answer.status != 200 {
            assert_eq!(answer.status, 500, "{}", answer.text());
            assert!(answer.text().contains("disk of this server is nearly full"), "{}", answer.text());
            assert!(answer.text().contains("reads go on"), "{}", answer.text());
            return i;
        }
    }
    panic!("a small disk took {} MiB", 4000 / 4);
}

fn keys(server: &Server) -> usize {
    server.get("/v1/kv/fill/?keys").json().as_array().map_or(0, Vec::len)
}

#[test]
fn writes_are_refused_before_the_disk_is_full_and_resume_when_there_is_space_again() {
    let Some(disk) = SmallDisk::or_skip(96) else { return };
    let rubbish = disk.path.join("ballast");
    ballast(&rubbish, 32 * MIB);
    let mut server = server_on(&disk);
    server.put("/v1/kv/first", "kept");
    let registered = r#"{"Name": "kept", "Port": 1, "Check": {"TTL": "1h"}}"#;
    assert_eq!(server.put("/v1/agent/service/register", registered).status, 200);

    let acknowledged = fill(&server, 0);
    assert!(acknowledged > 0, "it took nothing at all");
    // Every kind of write is refused with the same words, every kind of read goes on.
    let index = server.get("/v1/kv/first").index();
    let late = r#"{"Name": "late", "Port": 1, "Check": {"TTL": "1h"}}"#;
    for (path, body) in [
        ("/v1/kv/x", "y"),
        ("/v1/txn", r#"[{"KV": {"Verb": "set", "Key": "x", "Value": "eQ=="}}]"#),
        ("/v1/catalog/register", r#"{"Node": "n2", "Address": "10.0.0.2"}"#),
        ("/v1/agent/service/register", late),
        ("/v1/agent/check/register", r#"{"Name": "late", "TTL": "1h"}"#),
    ] {
        let answer = server.put(path, body);
        assert_eq!(answer.status, 500, "{path}: {}", answer.text());
        assert!(answer.text().contains("nearly full"), "{path}: {}", answer.text());
    }
    assert_eq!(server.get("/v1/kv/first?raw").text(), "kept");
    assert_eq!(server.get("/v1/kv/first?raw&consistent").text(), "kept");
    assert_eq!(server.get("/v1/kv/first").index(), index, "nothing changed");
    assert_eq!(server.get("/v1/agent/services").json().as_object().map(|s| s.len()), Some(1));

    // Somebody else takes the rest: heartbeats and reads go on, nothing stops.
    ballast(&disk.path.join("more"), 96 * MIB);
    for _ in 0..20 {
        assert_eq!(server.put("/v1/agent/check/pass/service:kept", "").status, 200);
    }
    assert!(wait(|| server.get("/v1/agent/checks").json()["service:kept"]["Status"] == "passing"));
    assert_eq!(keys(&server), acknowledged);
    assert!(server.runs());

    fs::remove_file(disk.path.join("more")).expect("ballast goes");
    fs::remove_file(&rubbish).expect("ballast goes");
    assert!(wait(|| server.put("/v1/kv/after", "space").status == 200), "writes do not resume");
    assert_eq!(server.put("/v1/agent/service/register", late).status, 200);
    let more = fill(&server, acknowledged);
    assert!(more > acknowledged);

    server.kill();
    server.launch();
    server.wait_for_leader();
    assert_eq!(keys(&server), more, "acknowledged keys were lost");
    assert_eq!(server.get("/v1/kv/first?raw").text(), "kept");
    assert_eq!(server.get("/v1/kv/after?raw").text(), "space");
    let services = server.get("/v1/agent/services").json();
    assert!(services["kept"].is_object() && services["late"].is_object(), "{services}");
}

#[test]
fn a_snapshot_for_which_there_is_no_room_is_not_written_and_the_server_goes_on_and_starts_again() {
    let Some(disk) = SmallDisk::or_skip(96) else { return };
    let data = disk.path.join("data").display().to_string();
    let config = format!(r#"{{"data_dir": {data:?}, "raft_snapshot_threshold": 20}}"#);
    // What two snapshots of the store and the log beside them would take is not there.
    let rubbish = disk.path.join("ballast");
    ballast(&rubbish, 24 * MIB);
    let mut server = Server::start("no-room", &config);
    let acknowledged = fill(&server, 0);
    assert!(wait(|| server.log().contains("has no room for a snapshot")), "{acknowledged}: {}", server.log());
    for _ in 0..2 {
        assert!(server.runs());
        assert_eq!(keys(&server), acknowledged);
        server.kill();
        server.launch();
        server.wait_for_leader();
    }
    fs::remove_file(&rubbish).expect("ballast goes");
    assert!(wait(|| server.put("/v1/kv/after", "space").status == 200), "writes do not resume");
    assert_eq!(keys(&server), acknowledged);
}

#[test]
fn a_start_on_a_full_disk_says_so_and_a_start_with_space_finds_everything() {
    let Some(disk) = SmallDisk::or_skip(64) else { return };
    let mut server = server_on(&disk);
    server.put("/v1/kv/a", "b");
    server.kill();
    let rubbish = disk.path.join("ballast");
    ballast(&rubbish, 64 * MIB);
    // Either it starts and serves reads, or it refuses and names the disk; it never damages anything.
    server.launch();
    let served = wait(|| !server.runs() || server.has_leader());
    assert!(served, "{}", server.log());
    if !server.runs() {
        let text = server.log();
        assert!(text.contains("disk is full") && text.contains("free some space"), "{text}");
    }
    server.kill();
    fs::remove_file(&rubbish).expect("ballast goes");
    server.launch();
    server.wait_for_leader();
    assert_eq!(server.get("/v1/kv/a?raw").text(), "b");
}
