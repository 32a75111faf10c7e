//! Client agents: no store, no vote; everything of the catalog goes through servers.
//!
//! The same against real Consul servers where `CONSUL_BIN` names the binary.

use lictor_tests::consul::Consul;
use lictor_tests::http::raw_request;
use lictor_tests::server::free_ports;
use lictor_tests::{Server, dns, request, wait};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

/// A client that finds its servers at this gossip port.
fn client(serf: u16, more: &str) -> Server {
    let extra = format!(
        r#"{{"server": false, "bootstrap_expect": 0, "node_name": "c1",
            "retry_join": ["127.0.0.1:{serf}"], "retry_interval": "1s"{more}}}"#
    );
    let mut client = Server::prepare("client", &extra);
    client.launch();
    assert!(wait(|| client.answers("/v1/agent/self")), "{}", client.log());
    client
}

trait Answers {
    fn answers(&self, target: &str) -> bool;
}

impl Answers for Server {
    fn answers(&self, target: &str) -> bool {
        request(self.http, "GET", target, b"").is_ok_and(|r| r.status == 200)
    }
}

/// What a server's HTTP port shows.
fn shown(http: u16, target: &str) -> Value {
    request(http, "GET", target, b"").ok().filter(|r| r.status == 200).map_or(Value::Null, |r| r.json())
}

const WEB: &str = r#"{"ID": "web1", "Name": "web", "Port": 8080, "Tags": ["v1"], "Meta": {"a": "b"},
    "Check": {"TTL": "1h", "Status": "passing"}}"#;

/// Prepared queries, of which servers know and clients do not.
fn queries(client: &Server, server: u16) {
    let create =
        r#"{"Name": "find.web", "Service": {"Service": "web", "Tags": ["v1"]}, "DNS": {"TTL": "9s"}}"#;
    let created = client.ask("POST", "/v1/query", create);
    assert_eq!(created.status, 200, "{}", created.text());
    let id = created.json()["ID"].as_str().expect("an ID").to_owned();
    let twice = client.ask("POST", "/v1/query", create);
    assert!(twice.status == 500 && twice.text().ends_with("'find.web' aliases an existing query name"));
    let (one, missing) = (format!("/v1/query/{id}"), "/v1/query/00000000-0000-0000-0000-000000000000");
    for target in ["/v1/query", &one, "/v1/query/find.web/execute", "/v1/query/FIND.web/explain?stale"] {
        assert_eq!(client.get(target).json(), shown(server, target), "{target}");
    }
    let found = client.get("/v1/query/find.web/execute?near=_agent&limit=1").json();
    assert_eq!(found["Nodes"][0]["Service"]["Port"], 8080, "{found}");
    let absent = client.get("/v1/query/nobody/execute");
    assert!(absent.status == 404 && absent.text().ends_with("Query not found"), "{}", absent.text());
    assert_eq!(client.get(missing).status, 404);
    let srv = |name| dns::ask(client.dns, name, dns::SRV).expect("an answer");
    assert_eq!(srv("find.web.query.consul").ports(), [8080]);
    assert_eq!(srv("nobody.query.consul").code, 3);
    let template = r#"{"Template": {"Type": "name_prefix_match"}, "Service": {"Service": "${name.full}"}}"#;
    assert_eq!(client.put(&one, template).status, 200);
    assert_eq!(client.get("/v1/query/web/execute").json()["Service"], "web");
    assert_eq!(client.ask("DELETE", &one, "").status, 200);
    assert_eq!(client.get("/v1/query").text(), "[]");
}

/// Everything that a client does with a server that leads and has this HTTP port.
fn serves(client: &Server, server: u16) {
    assert!(wait(|| client.answers("/v1/catalog/nodes")), "{}", client.log());
    assert_eq!(client.put("/v1/agent/service/register", WEB).status, 200);
    let there = || shown(server, "/v1/catalog/service/web")[0]["ServicePort"] == 8080;
    assert!(wait(there), "not synced:\n{}", client.log());
    assert!(wait(|| shown(server, "/v1/health/node/c1").as_array().is_some_and(|all| !all.is_empty())));

    // The same through the client as at the server.
    for target in [
        "/v1/catalog/nodes",
        "/v1/catalog/services",
        "/v1/catalog/service/web",
        "/v1/catalog/service/web?tag=v1&stale",
        "/v1/catalog/service/nobody",
        "/v1/catalog/node/c1",
        "/v1/catalog/node/nobody",
        "/v1/catalog/node-services/c1",
        "/v1/catalog/node-services/c1?filter=Service==nobody",
        "/v1/catalog/datacenters",
        "/v1/health/node/c1",
        "/v1/health/node/c1?node-meta=nobody:has",
        "/v1/health/checks/web",
        "/v1/health/service/web",
        "/v1/health/service/web?passing&consistent",
        "/v1/health/state/any",
        "/v1/health/service/web?filter=Service.Port==8080",
        "/v1/status/leader",
        "/v1/status/peers",
        "/v1/operator/raft/configuration",
        "/v1/operator/autopilot/configuration",
        "/v1/coordinate/datacenters",
    ] {
        // A change in between makes them differ: then again.
        let (mut own, mut theirs) = (Value::Null, Value::Null);
        wait(|| {
            theirs = shown(server, target);
            own = client.get(target).json();
            own == theirs
        });
        assert_eq!(own, theirs, "{target}");
    }

    let answer = client.get("/v1/catalog/services");
    assert_eq!(answer.header("x-consul-knownleader"), Some("true"));
    assert!(answer.index() > 1);

    // Names.
    let srv = |name| dns::ask(client.dns, name, dns::SRV).expect("an answer");
    assert_eq!(srv("web.service.consul").ports(), [8080]);
    assert_eq!(srv("v1.web.service.dc1.consul").ports(), [8080]);
    assert_eq!(dns::ask_tcp(client.dns, "web.service.consul", dns::SRV).expect("an answer").ports(), [8080]);
    // Servers are asked for this one while the connection is half closed already.
    assert_eq!(dns::ask_tcp(client.dns, "c1.node.consul", dns::A).expect("an answer").records.len(), 1);
    assert_eq!(dns::ask(client.dns, "c1.node.consul", dns::A).expect("an answer").records.len(), 1);
    let nobody = dns::ask(client.dns, "nobody.node.consul", dns::A).expect("an answer");
    assert_eq!((srv("nobody.service.consul").code, nobody.code), (3, 3));

    // Keys.
    assert_eq!(client.put("/v1/kv/a/b", "one").text(), "true");
    assert_eq!(client.get("/v1/kv/a/b?raw").text(), "one");
    assert_eq!(client.get("/v1/kv/?keys").json(), serde_json::json!(["a/b"]));
    assert_eq!(client.get("/v1/kv/?keys&separator=/").json(), serde_json::json!(["a/"]));
    assert_eq!(client.get("/v1/kv/a?recurse").json()[0]["Value"], "b25l");
    assert_eq!(client.get("/v1/kv/none").status, 404);
    assert_eq!(client.put("/v1/kv/a/b?cas=1", "two").text(), "false");
    let txn =
        r#"[{"KV": {"Verb": "set", "Key": "t", "Value": "eA=="}}, {"KV": {"Verb": "get", "Key": "a/b"}}]"#;
    let done = client.put("/v1/txn", txn).json();
    assert_eq!(done["Results"][1]["KV"]["Value"], "b25l", "{done}");
    let read = client.put("/v1/txn", r#"[{"KV": {"Verb": "get", "Key": "t"}}]"#).json();
    assert_eq!(read["Results"][0]["KV"]["Value"], "eA==", "{read}");
    let missing = client.put("/v1/txn", r#"[{"KV": {"Verb": "get", "Key": "none"}}]"#);
    assert_eq!(missing.status, 409, "{}", missing.text());
    assert_eq!(client.ask("DELETE", "/v1/kv/t", "").text(), "true");

    queries(client, server);

    // A blocking read waits at the server, and hears of what happens there.
    let index = client.get("/v1/kv/a/b").index();
    let port = client.http;
    let waiting = std::thread::spawn(move || {
        request(port, "GET", &format!("/v1/kv/a/b?index={index}&wait=50s&raw"), b"").map(|r| r.text())
    });
    assert_eq!(request(server, "PUT", "/v1/kv/a/b", b"three").expect("it answers").text(), "true");
    assert_eq!(waiting.join().expect("no panic").expect("an answer"), "three");

    // The catalog, by hand.
    let node = r#"{"Node": "hand", "Address": "10.0.0.9", "Service": {"Service": "db", "Port": 5}}"#;
    assert_eq!(client.put("/v1/catalog/register", node).text(), "true");
    assert_eq!(shown(server, "/v1/catalog/service/db")[0]["Node"], "hand");
    assert_eq!(client.put("/v1/catalog/deregister", r#"{"Node": "hand"}"#).text(), "true");
    assert_eq!(client.get("/v1/catalog/service/db").text(), "[]");
    let refused = client.put("/v1/catalog/register", r#"{"Node": "hand"}"#);
    assert_eq!(refused.status, 500, "{}", refused.text());

    // What the leader is asked for.
    let health = client.get("/v1/operator/autopilot/health");
    assert_eq!(
        (health.status, &health.json()["Servers"][0]["Leader"]),
        (200, &true.into()),
        "{}",
        health.text()
    );
    assert_eq!(client.get("/v1/operator/autopilot/state").json()["Voters"].as_array().map(Vec::len), Some(1));
    let refused = client.ask("DELETE", "/v1/operator/raft/peer?id=nobody", "");
    let text = refused.text();
    assert!(text.ends_with(r#"id "nobody" was not found in the Raft configuration"#), "{text}");

    // What a client agent cannot do, in the words of Consul's.
    for (method, target, said) in [
        ("GET", "/v1/agent/members?segment=x", r#"segment "x" not found"#),
        ("PUT", "/v1/agent/force-leave/x?wan", "Must be a server to force-leave a node from the WAN cluster"),
        (
            "GET",
            "/v1/health/service/web?sg=x",
            "rpc error making call: sameness groups are not supported in consul CE",
        ),
        ("POST", "/v1/operator/raft/transfer-leader", "cannot find peer"),
    ] {
        let refused = client.ask(method, target, "");
        assert_eq!((refused.status, refused.text().trim()), (500, said), "{target}");
    }
    let long = client.put("/v1/event/fire/long", &"x".repeat(600));
    let said = "rpc error making call: error broadcasting event: user event exceeds configured limit of 512 bytes \
                before encoding";
    assert_eq!((long.status, long.text().trim()), (500, said));

    // Nothing is told again that is told already.
    let before = shown(server, "/v1/catalog/service/web")[0]["ModifyIndex"].clone();
    assert_eq!(client.put("/v1/agent/service/register", WEB).status, 200);
    let changed = WEB.replace("8080", "8081");
    assert_eq!(client.put("/v1/agent/service/register", &changed).status, 200);
    assert!(wait(|| shown(server, "/v1/catalog/service/web")[0]["ServicePort"] == 8081));
    assert_ne!(shown(server, "/v1/catalog/service/web")[0]["ModifyIndex"], before);
    assert_eq!(client.put("/v1/agent/service/deregister/web1", "").status, 200);
    assert!(wait(|| shown(server, "/v1/catalog/service/web") == serde_json::json!([])), "{}", client.log());
    assert_eq!(client.put("/v1/agent/service/register", WEB).status, 200);
    assert!(wait(there), "not synced again:\n{}", client.log());
}

#[test]
fn a_client_serves_by_its_servers_and_is_in_sync_again_after_they_were_away() {
    let mut server = Server::start("server", r#"{"node_name": "s1", "performance": {"raft_multiplier": 1}}"#);
    let client = client(server.serf, r#", "performance": {"rpc_hold_timeout": "1s"}"#);
    serves(&client, server.http);

    server.kill();
    let mut text = String::new();
    let gone = wait(|| {
        let answer = client.get("/v1/catalog/services");
        text = answer.text();
        answer.status == 500
            && (text.contains("No known Consul servers") || text.contains("rpc error getting client: "))
    });
    assert!(gone, "{text}");
    // What was asked for before is still known; of what was not, there is no answer.
    assert_eq!(dns::ask(client.dns, "web.service.consul", dns::SRV).expect("an answer").ports(), [8080]);
    assert_eq!(dns::ask(client.dns, "other.service.consul", dns::SRV).expect("an answer").code, 2);
    // The agent's own are there, whatever servers do.
    assert_eq!(client.get("/v1/agent/services").json()["web1"]["Port"], 8080);
    assert_eq!(client.put("/v1/agent/service/register", r#"{"Name": "later"}"#).status, 200);

    server.launch();
    server.wait_for_leader();
    let there =
        || shown(server.http, "/v1/catalog/service/later").as_array().is_some_and(|all| all.len() == 1);
    assert!(wait(there), "not synced after the server came back:\n{}", client.log());
    assert!(wait(|| client.get("/v1/catalog/services").json()["later"].is_array()));
}

/// `X-Cache`, `Age` and how many there are in the answer.
fn cached(client: &Server, target: &str) -> (String, Option<u64>, usize) {
    let answer = client.get(target);
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    (header("x-cache"), header("age").parse().ok(), answer.json().as_array().map_or(0, Vec::len))
}

#[test]
fn a_cached_answer_of_a_client_follows_the_servers_and_stays_when_they_are_gone() {
    let mut server = Server::start("server", r#"{"performance": {"raft_multiplier": 1}}"#);
    let client = client(server.serf, r#", "performance": {"rpc_hold_timeout": "1s"}"#);
    assert!(wait(|| client.answers("/v1/catalog/nodes")), "{}", client.log());
    let register = |node: &str| {
        let body = format!(r#"{{"Node": "{node}", "Address": "10.0.0.1", "Service": {{"Service": "web"}}}}"#);
        assert_eq!(server.put("/v1/catalog/register", &body).text(), "true");
    };
    let targets = ["/v1/health/service/web?cached", "/v1/catalog/service/web?cached"];
    register("a");
    for target in targets {
        assert_eq!(cached(&client, target), ("MISS".into(), None, 1), "{target}");
        assert_eq!(cached(&client, target), ("HIT".into(), Some(0), 1), "{target}");
    }
    register("b");
    for target in targets {
        let follows = || cached(&client, target) == ("HIT".into(), Some(0), 2);
        assert!(wait(follows), "{target}: {:?}", cached(&client, target));
    }
    // Who waits is no hit, and gets the news. One that comes only after the news does not wait: another try.
    let mut nodes = ["c", "d", "e", "f", "g"].into_iter().zip(3..);
    let waited = nodes.any(|(node, count)| {
        let index = client.get(targets[0]).index();
        let (http, waits) = (client.http, format!("{}&index={index}&wait=60s", targets[0]));
        let waiting = std::thread::spawn(move || request(http, "GET", &waits, b"").expect("an answer"));
        register(node);
        let news = waiting.join().expect("no panic");
        assert_eq!(news.json().as_array().map(Vec::len), Some(count));
        news.header("x-cache") == Some("MISS")
    });
    assert!(waited);

    // What cannot be followed is asked for again by who wants it anew.
    let datacenters = "/v1/catalog/datacenters?cached";
    assert_eq!(cached(&client, datacenters).0, "MISS");
    assert_eq!(cached(&client, datacenters).0, "HIT");
    let raw = format!(
        "GET {datacenters} HTTP/1.1\r\nHost: x\r\nCache-Control: max-age=0\r\nConnection: close\r\n\r\n"
    );
    let anew = raw_request(client.http, raw.as_bytes()).expect("an answer");
    assert_eq!(anew.header("x-cache"), Some("MISS"));

    server.kill();
    for target in targets {
        let aged = || matches!(cached(&client, target), (hit, Some(1..), 3..) if hit == "HIT");
        assert!(wait(aged), "{target}: {:?}", cached(&client, target));
    }
    assert_eq!(client.get("/v1/health/service/web").status, 500, "without the cache there is nothing");
}

#[test]
fn a_blocking_read_whose_client_has_gone_waits_no_longer_at_the_server() {
    let server = Server::start("server", r#"{"node_name": "s1", "performance": {"raft_multiplier": 1}}"#);
    let client = client(server.serf, "");
    assert!(wait(|| client.answers("/v1/catalog/nodes")), "{}", client.log());
    let waiting = || {
        let gauges = server.get("/v1/agent/metrics").json()["Gauges"].clone();
        let all = gauges.as_array().cloned().unwrap_or_default();
        let blocking = |gauge: &&Value| {
            gauge["Name"].as_str().is_some_and(|name| name.ends_with(".rpc.queries_blocking"))
        };
        let found = all.iter().find(blocking);
        found.and_then(|gauge| gauge["Value"].as_f64()).unwrap_or_default()
    };
    let before = waiting();
    let mut stream = TcpStream::connect(("127.0.0.1", client.http)).expect("it listens");
    let index = client.get("/v1/kv/none").index();
    let ask = format!("GET /v1/kv/none?index={index}&wait=600s HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(ask.as_bytes()).expect("sent");
    assert!(wait(|| waiting() > before), "it does not wait there");
    drop(stream);
    assert!(wait(|| waiting() <= before), "it still waits there");
}

#[test]
fn a_client_of_nobody_says_so_and_keeps_its_own_services() {
    let [nobody] = free_ports();
    let client = client(nobody, "");
    let refused = client.get("/v1/catalog/services");
    assert_eq!((refused.status, refused.text().trim()), (500, "No known Consul servers"));
    let refused = client.put("/v1/kv/a", "b");
    assert_eq!((refused.status, refused.text().trim()), (500, "No known Consul servers"));
    assert_eq!(client.put("/v1/agent/service/register", WEB).status, 200);
    assert_eq!(client.get("/v1/agent/services").json()["web1"]["Port"], 8080);
    let own = client.get("/v1/agent/self").json();
    assert_eq!(own["Config"]["Server"], false);
}

#[test]
fn a_client_serves_by_a_server_of_consul() {
    let Some(consul) = Consul::server("s1", json!({})) else { return };
    let client = client(consul.serf, "");
    serves(&client, consul.http);
}
