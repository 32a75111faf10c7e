//! Snapshots of running servers: saved, restored, and cut off in the middle; what was acknowledged is there
//! afterwards, and nothing is half restored.
//!
//! Exchanged with a real Consul server where `CONSUL_BIN` names the binary.

use lictor_core::rpc::snapshot::{Op, SnapshotRequest, split_response};
use lictor_tests::cluster::{cluster, leader};
use lictor_tests::consul::Consul;
use lictor_tests::{Scratch, Server, request, wait};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

fn save(port: u16) -> Vec<u8> {
    let answer = request(port, "GET", "/v1/snapshot", b"").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body
}

fn restore(port: u16, archive: &[u8]) -> Option<u16> {
    request(port, "PUT", "/v1/snapshot", archive).ok().map(|answer| answer.status)
}

/// Keys with their values and their indexes, as they are everywhere.
fn keys(port: u16) -> Option<Value> {
    let answer = request(port, "GET", "/v1/kv/?recurse&stale", b"").ok()?;
    (answer.status == 200).then(|| answer.json())
}

#[test]
fn what_is_restored_is_there_after_a_kill_and_indexes_go_on() {
    let mut server = Server::start("restored", "");
    server.put("/v1/kv/a", "first");
    server.put("/v1/kv/gone", "x");
    server.ask("DELETE", "/v1/kv/gone", "");
    let saved = save(server.http);
    let before = keys(server.http).expect("keys");
    server.put("/v1/kv/a", "second");
    server.put("/v1/kv/b", "new");
    let seen = server.get("/v1/kv/b").index();
    assert_eq!(restore(server.http, &saved), Some(200));
    server.kill();
    server.launch();
    server.wait_for_leader();
    assert_eq!(keys(server.http), Some(before));
    server.put("/v1/kv/c", "x");
    assert!(server.get("/v1/kv/c").index() > seen, "an index came twice");
    // Again, from the log and from a snapshot of it.
    let held = server.get("/v1/kv/?recurse").text();
    server.kill();
    server.launch();
    server.wait_for_leader();
    assert_eq!(server.get("/v1/kv/?recurse").text(), held);
}

#[test]
fn the_commands_save_for_the_owner_alone_and_bring_everything_back() {
    let server = Server::start("commands", "");
    let service = r#"{"Name": "web", "Port": 80, "Check": {"TTL": "1h"}}"#;
    server.put("/v1/agent/service/register", service);
    server.put("/v1/kv/a", "first");
    assert!(wait(|| server.get("/v1/catalog/service/web").text().contains("web")));
    let file = server.dir.join("backup.snap").display().to_string();
    let said = server.cli(&["snapshot", "save", &file]);
    assert!(said.status.success(), "{said:?}");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.starts_with("Saved and verified snapshot to index "), "{text}");
    assert_eq!(std::fs::metadata(&file).expect("saved").permissions().mode() & 0o777, 0o600);
    assert!(!std::path::Path::new(&format!("{file}.unverified")).exists());
    server.put("/v1/kv/a", "second");
    let said = server.cli(&["snapshot", "restore", &file]);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "Restored snapshot\n", "{said:?}");
    assert_eq!(server.get("/v1/kv/a?raw").text(), "first");
    let said = server.cli(&["snapshot", "inspect", &file]);
    assert!(String::from_utf8_lossy(&said.stdout).contains(" KVS "), "{said:?}");
}

#[test]
fn what_the_catalog_lost_by_a_restore_its_agents_bring_back() {
    let server = Server::start("synced", "");
    let saved = save(server.http);
    server.put("/v1/agent/service/register", r#"{"Name": "later", "Port": 80}"#);
    let known = || server.get("/v1/catalog/service/later").text().contains("later");
    assert!(wait(known));
    assert_eq!(restore(server.http, &saved), Some(200));
    assert!(wait(known), "the agent has not told it again");
}

/// Many keys, so that a restore takes several parts.
fn fill(server: &Server, mark: &str) {
    let value: String = (0..300_000_u32).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    for key in 0..12 {
        assert_eq!(server.put(&format!("/v1/kv/large/{key}"), &value).status, 200);
    }
    assert_eq!(server.put("/v1/kv/mark", mark).status, 200);
}

/// What every key says, or `None` while this server cannot say: the mark, and how many keys there are.
fn state(port: u16) -> Option<(String, usize)> {
    let mark = request(port, "GET", "/v1/kv/mark?raw&consistent", b"").ok().filter(|r| r.status == 200)?;
    let keys = request(port, "GET", "/v1/kv/?keys&consistent", b"").ok().filter(|r| r.status == 200)?;
    Some((mark.text(), keys.json().as_array()?.len()))
}

#[test]
fn a_restore_that_loses_its_leader_is_whole_or_has_not_happened_and_what_was_acknowledged_stays() {
    let mut servers = cluster("cut");
    fill(&servers[0], "old");
    let saved = save(servers[0].http);
    let old = state(servers[0].http).expect("a state");
    let new = ("new".to_owned(), old.1 + 1);
    let (mut done, mut not_done) = (0, 0);
    for round in 0..6_u64 {
        servers[0].put("/v1/kv/mark", "new");
        servers[0].put("/v1/kv/more", "x");
        let lead = leader(&servers);
        let through = (lead + 1) % 3;
        let port = servers[through].http;
        let archive = saved.clone();
        let restoring = std::thread::spawn(move || restore(port, &archive));
        // Somewhere in it: before its first part, between two, or after its last.
        std::thread::sleep(Duration::from_millis(round * round * 9));
        servers[lead].kill();
        let answer = restoring.join().expect("it ends");
        let mut found = None;
        assert!(
            wait(|| {
                found = state(port);
                found.is_some()
            }),
            "no state"
        );
        let found = found.expect("a state");
        println!("round {round}: {answer:?}, then {found:?}");
        assert!(found == old || found == new, "half restored: {found:?}");
        if answer == Some(200) {
            assert_eq!(found, old, "what was acknowledged is gone");
        }
        *if found == old { &mut done } else { &mut not_done } += 1;
        servers[lead].launch();
        servers[lead].wait_for_leader();
        let all = |at: usize| state(servers[at].http) == Some(found.clone());
        assert!(wait(|| (0..3).all(all)), "they differ");
        let equal = || {
            let all: Vec<_> = servers.iter().map(|server| keys(server.http)).collect();
            all[0].is_some() && all.iter().all(|keys| *keys == all[0])
        };
        assert!(wait(equal), "their indexes differ");
    }
    println!("{done} restored, {not_done} not");
}

/// One exchange on the server port, and what the server says until it closes.
fn by_server_port(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(&[5]).expect("sent");
    // Who is sent away may hear of it before all is said.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn request_of(op: Op, datacenter: &str, archive: &[u8]) -> Vec<u8> {
    let request = SnapshotRequest { datacenter: datacenter.into(), op, ..SnapshotRequest::default() };
    request.with(archive).to_vec()
}

#[test]
fn by_the_server_port_it_is_the_same_and_nonsense_is_sent_away() {
    let server = Server::start("port", "");
    server.put("/v1/kv/a", "first");
    let ask = |bytes: &[u8]| {
        let answer = by_server_port(server.rpc, bytes).into();
        split_response(&answer).unwrap_or_else(|e| panic!("{e}: {answer:?}"))
    };
    let (response, archive) = ask(&request_of(Op::Save, "dc1", b""));
    assert_eq!((&*response.error, response.known_leader), ("", true));
    assert_eq!(lictor_core::archive::read(&archive).expect("an archive").meta.index, response.index);
    server.put("/v1/kv/a", "second");
    let (response, rest) = ask(&request_of(Op::Restore, "dc1", &archive));
    assert_eq!((&*response.error, rest.len()), ("", 0));
    assert_eq!(server.get("/v1/kv/a?raw").text(), "first");
    for (bytes, error) in [
        (request_of(Op::Restore, "dc1", b""), "failed to decompress snapshot: EOF"),
        (request_of(Op::Restore, "dc1", &archive[..100]), "unexpected EOF"),
        (request_of(Op::Save, "dc9", b""), "No path to datacenter"),
    ] {
        let (response, rest) = ask(&bytes);
        assert!(response.error.contains(error), "{}", response.error);
        assert!(rest.is_empty());
    }
    for nonsense in
        [&[0xdb, 0xff, 0xff, 0xff, 0xff][..], &[0x91; 100_000], &[0xc1; 10], b"GET / HTTP/1.1\r\n\r\n"]
    {
        assert_eq!(by_server_port(server.rpc, nonsense), b"");
    }
    assert_eq!(server.get("/v1/kv/a?raw").text(), "first");
}

#[test]
fn a_client_agent_has_a_server_do_it() {
    let server = Server::start("s", r#"{"node_name": "s1"}"#);
    let client = client_of(server.serf);
    server.put("/v1/kv/a", "first");
    assert!(wait(|| request(client.http, "GET", "/v1/kv/a?raw", b"").is_ok_and(|r| r.text() == "first")));
    let saved = save(client.http);
    server.put("/v1/kv/a", "second");
    assert_eq!(restore(client.http, &saved), Some(200));
    assert_eq!(server.get("/v1/kv/a?raw").text(), "first");
    let refused = client.put("/v1/snapshot", "garbage");
    assert_eq!((refused.status, &*refused.text()), (500, "failed to decompress snapshot: unexpected EOF"));
}

/// A client agent that joins through this port.
fn client_of(serf: u16) -> Server {
    let mut client = Server::prepare("client", "");
    let extra = serde_json::json!({
        "server": false, "bootstrap_expect": 0, "node_name": "c1", "retry_join": [format!("127.0.0.1:{serf}")],
        "retry_interval": "1s",
    });
    client.set_extra(&extra.to_string());
    client.launch();
    client
}

/// What both must tell alike: of what the servers themselves do not change.
fn dump(port: u16) -> Vec<String> {
    ["/v1/kv/?recurse", "/v1/catalog/node/far", "/v1/health/service/db", "/v1/kv/?keys&separator=/"]
        .map(|target| {
            let answer = request(port, "GET", target, b"").expect("an answer");
            format!("{target} {} {}", answer.status, answer.json())
        })
        .to_vec()
}

/// Something of every kind that both have.
fn furnish(port: u16) {
    let put = |target: &str, body: &str| {
        assert_eq!(request(port, "PUT", target, body.as_bytes()).expect("an answer").status, 200, "{target}");
    };
    put("/v1/kv/app/a?flags=7", "one");
    put("/v1/kv/app/b", "");
    put("/v1/kv/gone", "x");
    assert!(request(port, "DELETE", "/v1/kv/gone", b"").is_ok());
    put(
        "/v1/catalog/register",
        r#"{"Node": "far", "Address": "10.1.2.3", "NodeMeta": {"external-node": "true"},
            "Service": {"Service": "db", "Port": 5432, "Tags": ["a", "b"], "Meta": {"v": "1"},
                        "TaggedAddresses": {"lan": {"Address": "10.1.2.3", "Port": 1}}},
            "Check": {"Name": "up", "ServiceID": "db", "Status": "warning", "Output": "slow"}}"#,
    );
}

#[test]
fn consul_takes_what_was_saved_here_and_what_consul_saved_is_taken_here() {
    let Some(consul) = Consul::server("n1", json!({})) else { return };
    let binary = std::env::var("CONSUL_BIN").expect("it is there");
    let ours = Server::start("ours", "");
    let scratch = Scratch::new("exchanged");
    let run = |args: &[&str], port: u16| {
        let mut command = Command::new(&binary);
        let output = command.args(args).env("CONSUL_HTTP_ADDR", format!("127.0.0.1:{port}")).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };

    furnish(ours.http);
    let wanted = dump(ours.http);
    let file = scratch.write("ours.snap", save(ours.http)).display().to_string();
    let shown = run(&["snapshot", "inspect", &file], ours.http);
    let own = String::from_utf8_lossy(&ours.cli(&["snapshot", "inspect", &file]).stdout).into_owned();
    assert_eq!(shown, own);
    run(&["snapshot", "restore", &file], consul.http);
    assert_eq!(dump(consul.http), wanted);
    // Their commands work here too.
    let again = scratch.path().join("again.snap").display().to_string();
    run(&["snapshot", "save", "-append-filename=dc", &again], ours.http);
    run(&["snapshot", "restore", &again.replace(".snap", "-dc1.snap")], ours.http);
    assert_eq!(dump(ours.http), wanted);

    let other = Server::start("other", "");
    assert!(request(consul.http, "PUT", "/v1/kv/more", b"x").is_ok_and(|r| r.status == 200));
    let wanted = dump(consul.http);
    let theirs = save(consul.http);
    assert_eq!(restore(other.http, &theirs), Some(200), "{}", other.log());
    assert_eq!(dump(other.http), wanted);
    // And back: what is not understood here is carried.
    let back = scratch.write("back.snap", save(other.http)).display().to_string();
    run(&["snapshot", "restore", &back], consul.http);
    assert_eq!(dump(consul.http), wanted);
    assert!(request(consul.http, "PUT", "/v1/kv/after", b"x").is_ok_and(|r| r.status == 200));
}

#[test]
fn a_client_agent_saves_and_restores_by_a_server_of_consul_and_consuls_by_one_of_ours() {
    let Some(consul) = Consul::server("n1", json!({})) else { return };
    let client = client_of(consul.serf);
    furnish(consul.http);
    let wanted = dump(consul.http);
    assert!(wait(|| request(client.http, "GET", "/v1/kv/app/a", b"").is_ok_and(|r| r.status == 200)));
    let saved = save(client.http);
    assert!(request(consul.http, "PUT", "/v1/kv/app/a", b"two").is_ok());
    assert_eq!(restore(client.http, &saved), Some(200), "{}", client.log());
    assert_eq!(dump(consul.http), wanted);
    let refused = client.put("/v1/snapshot", "garbage");
    assert_eq!((refused.status, &*refused.text()), (500, "failed to decompress snapshot: unexpected EOF"));

    let server = Server::start("taken", "");
    let agent = Consul::agent("c1", server.serf);
    furnish(server.http);
    let wanted = dump(server.http);
    assert!(wait(|| request(agent.http, "GET", "/v1/kv/app/a", b"").is_ok_and(|r| r.status == 200)));
    let saved = save(agent.http);
    server.put("/v1/kv/app/a", "two");
    assert_eq!(restore(agent.http, &saved), Some(200), "{}", server.log());
    assert_eq!(dump(server.http), wanted);
    let refused = request(agent.http, "PUT", "/v1/snapshot", b"garbage").expect("an answer");
    assert_eq!((refused.status, &*refused.text()), (500, "failed to decompress snapshot: unexpected EOF"));
}
