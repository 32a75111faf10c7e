//! Debian's `serf`, which speaks the same gossip, as a member of ours. Where it is not installed the test says so.

use lictor_tests::node::{Node, PATIENCE, free_address, wait_for};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

const KEY: &str = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=";
const NEXT_KEY: &str = "MTIzNDU2Nzg5MDEyMzQ1Ng==";

/// A running `serf agent` that has joined. Dropping it kills it.
struct Serf {
    ip: IpAddr,
    child: Child,
}

impl Serf {
    fn join(name: &str, ip: IpAddr, to: &Node) -> Serf {
        let mut command = Command::new("serf");
        command.args(["agent", "-tag=role=web", &format!("-encrypt={KEY}"), &format!("-node={name}")]);
        command.args([format!("-bind={ip}:8301"), format!("-rpc-addr={ip}:7373")]);
        command.arg(format!("-retry-join={}:8301", to.ip)).arg("-retry-interval=1s");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Serf { ip, child: child.expect("serf starts") }
    }

    /// What one of its commands prints.
    fn says(&self, args: &[&str]) -> String {
        let mut command = Command::new("serf");
        command.arg(args[0]).arg(format!("-rpc-addr={}:7373", self.ip)).args(&args[1..]);
        let out = command.output().expect("serf runs");
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }

    /// The status that it gives a member; empty without one.
    fn status_of(&self, name: &str) -> String {
        let listed: Value =
            serde_json::from_str(&self.says(&["members", "-format=json"])).unwrap_or_default();
        let members = listed["members"].as_array().cloned().unwrap_or_default();
        let member = members.into_iter().find(|member| member["name"] == name).unwrap_or_default();
        member["status"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Serf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_installed() -> bool {
    match Command::new("serf").arg("version").stdout(Stdio::null()).status() {
        Err(why) if why.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: there is no serf on the path (Debian: apt-get install serf)");
            false
        }
        _ => true,
    }
}

fn wait(what: &str, holds: impl FnMut() -> bool) {
    assert!(wait_for(PATIENCE, holds), "it does not come about that {what}");
}

/// The number that `members` shows for the state of a member (1 alive, 3 left, 4 failed); null without one.
fn status_at(node: &Node, name: &str) -> Value {
    let members = node.shows("/v1/agent/members");
    let find = |all: &Vec<Value>| all.iter().find(|member| member["Name"] == name).cloned();
    members.as_array().and_then(find).unwrap_or_default()["Status"].clone()
}

#[test]
fn serf_joins_and_is_told_of_events_and_keys_and_fails_and_returns_and_leaves() {
    if !is_installed() {
        return;
    }
    let more = json!({"server": true, "bootstrap_expect": 1, "encrypt": KEY,
        "gossip_lan": {"probe_interval": "200ms", "probe_timeout": "100ms", "suspicion_mult": 2}});
    let mut server = Node::new("lictor", free_address(), more);
    server.launch();
    let (first, second) = (free_address(), free_address());
    let plain = Serf::join("plain", first, &server);
    let other = Serf::join("other", second, &server);

    // They see us, with the tags of Consul, and each other through us; we see them.
    for serf in [&plain, &other] {
        for name in ["lictor", "plain", "other"] {
            wait("all are alive for serf", || serf.status_of(name) == "alive");
        }
    }
    let seen = plain.says(&["members", "-name=lictor", "-detailed"]);
    assert!(seen.contains("role=consul") && seen.contains("dc=dc1"), "{seen}");
    wait("both are alive for us", || ["plain", "other"].iter().all(|name| status_at(&server, name) == 1));
    // They are no agents of Consul: the catalog does not know them.
    wait("there is a leader", || !server.leader().is_empty());
    let nodes = server.shows("/v1/catalog/nodes");
    assert_eq!(nodes.as_array().map(Vec::len), Some(1), "{nodes}");

    // Queries are answered, coordinates exchanged.
    wait("a query is answered", || {
        plain.says(&["query", "-timeout=1s", "anybody"]).contains("Ack from 'lictor'")
    });
    wait("the round trip is known", || plain.says(&["rtt", "lictor", "plain"]).contains("Estimated"));

    // Keys are rotated from there.
    for (flag, key) in [("-install", NEXT_KEY), ("-use", NEXT_KEY), ("-remove", KEY)] {
        let said = plain.says(&["keys", flag, key]);
        assert!(said.contains("Successfully"), "{flag}: {said}");
    }
    let keys = server.shows("/v1/operator/keyring");
    assert_eq!(keys[1]["Keys"], json!({NEXT_KEY: 3}), "{keys}");
    wait("all are alive with the new key", || {
        ["lictor", "other"].iter().all(|n| plain.status_of(n) == "alive")
    });

    // One that dies is failed for us and for serf; it is seen again when it is back; one that leaves has left.
    drop(other);
    wait("it failed for us", || status_at(&server, "other") == 4);
    wait("it failed for serf", || plain.status_of("other") == "failed");
    let mut command = Command::new("serf");
    command.args(["agent", "-node=other", &format!("-encrypt={NEXT_KEY}"), &format!("-bind={second}:8301")]);
    command.args([format!("-rpc-addr={second}:7373"), format!("-retry-join={}:8301", server.ip)]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let other = Serf { ip: second, child: child.expect("serf starts") };
    wait("it is back", || status_at(&server, "other") == 1 && plain.status_of("other") == "alive");
    other.says(&["leave"]);
    wait("it has left", || status_at(&server, "other") == 3 && plain.status_of("other") == "left");

    // We leave, and that is what they see.
    assert!(server.takes("/v1/agent/leave", ""), "{}", server.log());
    server.wait_for_exit();
    wait("we have left", || plain.status_of("lictor") == "left");
}
