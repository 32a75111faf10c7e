//! Two datacenters: what belongs to the other one is read and written there, by a server and by a client agent.
//!
//! The same with a real Consul server as the other datacenter where `CONSUL_BIN` names the binary.

use lictor_tests::consul::Consul;
use lictor_tests::server::free_ports;
use lictor_tests::{Server, dns, request, wait};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const QUICK: &str = r#""performance": {"raft_multiplier": 1, "rpc_hold_timeout": "2s"},
    "telemetry": {"prometheus_retention_time": "60s"}"#;

/// A server of `datacenter` that joins the others through these WAN ports, and its own.
fn server(datacenter: &str, join: &[u16]) -> (Server, u16) {
    server_with(datacenter, join, QUICK)
}

fn server_with(datacenter: &str, join: &[u16], more: &str) -> (Server, u16) {
    let [wan] = free_ports();
    let names: Vec<String> = join.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let extra = format!(
        r#"{{"datacenter": "{datacenter}", "node_name": "{datacenter}-s", "ports": {{"serf_wan": {wan}}},
            "retry_join_wan": {}, "retry_interval_wan": "1s", {more}}}"#,
        json!(names)
    );
    (Server::start(datacenter, &extra), wan)
}

/// A client agent of `dc1`.
fn client(of: &Server) -> Server {
    client_with(of, QUICK)
}

fn client_with(of: &Server, more: &str) -> Server {
    let extra = format!(
        r#"{{"server": false, "bootstrap_expect": 0, "node_name": "c1",
            "retry_join": ["127.0.0.1:{}"], "retry_interval": "1s", {more}}}"#,
        of.serf
    );
    let mut client = Server::prepare("client", &extra);
    client.launch();
    assert!(wait(|| client.is_there() && client.get("/v1/catalog/nodes").status == 200), "{}", client.log());
    client
}

/// Everything that `here`, of `dc1`, does with `dc2`, whose HTTP port is `there`.
fn reaches(here: &Server, there: u16, name: &str) {
    let at_home = |target: &str| request(there, "GET", target, b"").expect("it answers");
    assert!(wait(|| here.get("/v1/catalog/datacenters").json() == json!(["dc1", "dc2"])), "{}", here.log());

    // Keys.
    let key = format!("/v1/kv/{name}/key");
    assert_eq!(here.put(&format!("{key}?dc=dc2"), "one").text(), "true");
    assert_eq!(at_home(&format!("{key}?raw")).text(), "one");
    assert_eq!(here.get(&key).status, 404, "not here");
    let read = here.get(&format!("{key}?dc=dc2"));
    assert_eq!(
        (&read.json()[0]["Value"], read.header("x-consul-knownleader")),
        (&json!("b25l"), Some("true"))
    );
    let index = read.index();
    assert_eq!(here.put(&format!("{key}?dc=dc2&cas={}", index + 1_000_000), "two").text(), "false");
    assert_eq!(here.get(&format!("/v1/kv/{name}?dc=dc2&keys")).json(), json!([format!("{name}/key")]));
    assert_eq!(here.get(&format!("/v1/kv/{name}?datacenter=dc2&recurse")).json()[0]["Value"], "b25l");
    let txn = format!(r#"[{{"KV": {{"Verb": "get", "Key": "{name}/key"}}}}]"#);
    assert_eq!(here.put("/v1/txn?dc=dc2", &txn).json()["Results"][0]["KV"]["Value"], "b25l");
    let set = format!(r#"[{{"KV": {{"Verb": "set", "Key": "{name}/t", "Value": "eA=="}}}}]"#);
    assert_eq!(here.put("/v1/txn?dc=dc2", &set).status, 200);
    assert_eq!(at_home(&format!("/v1/kv/{name}/t?raw")).text(), "x");
    assert_eq!(here.ask("DELETE", &format!("/v1/kv/{name}/t?dc=dc2"), "").text(), "true");
    assert_eq!(at_home(&format!("/v1/kv/{name}/t")).status, 404);

    // A blocking read waits there.
    let (port, target) = (here.http, format!("{key}?dc=dc2&raw&wait=50s&index={index}"));
    let waiting = std::thread::spawn(move || request(port, "GET", &target, b"").map(|r| r.text()));
    assert_eq!(request(there, "PUT", &key, b"three").expect("it answers").text(), "true");
    assert_eq!(waiting.join().expect("no panic").expect("an answer"), "three");

    // The catalog: what the body names, not the query.
    let node = format!(
        r#"{{"Datacenter": "dc2", "Node": "{name}-n", "Address": "10.0.0.9",
            "Service": {{"Service": "{name}", "Port": 5}}}}"#
    );
    assert_eq!(here.put("/v1/catalog/register", &node).text(), "true");
    assert_eq!(here.get(&format!("/v1/catalog/service/{name}")).text(), "[]");
    for (target, shows) in [
        (format!("/v1/catalog/service/{name}?dc=dc2"), "/0/ServicePort"),
        (format!("/v1/health/service/{name}?dc=dc2&passing&stale"), "/0/Service/Port"),
        (format!("/v1/catalog/node-services/{name}-n?dc=dc2"), "/Services/0/Port"),
        (format!("/v1/catalog/node/{name}-n?dc=dc2&consistent"), &format!("/Services/{name}/Port")),
    ] {
        let shown = here.get(&target).json();
        assert_eq!(shown.pointer(shows), Some(&json!(5)), "{target}: {shown}");
        // As it is at home.
        let plain = target.replace("dc=dc2", "");
        assert_eq!(shown, at_home(&plain).json(), "{target}");
    }
    let listed = here.get("/v1/catalog/nodes?dc=dc2").json();
    let names = listed.as_array().expect("a list").iter().map(|node| node["Node"].clone());
    assert!(names.collect::<Vec<Value>>().contains(&json!(format!("{name}-n"))));
    assert_eq!(here.get("/v1/status/leader?dc=dc2").text(), at_home("/v1/status/leader").text());

    // Names.
    let ask = |name: String, kind| dns::ask(here.dns, &name, kind).expect("an answer");
    assert_eq!(ask(format!("{name}.service.dc2.consul"), dns::SRV).ports(), [5]);
    assert_eq!(ask(format!("{name}.service.consul"), dns::SRV).code, 3);
    assert_eq!(ask(format!("{name}-n.node.dc2.consul"), dns::A).records.len(), 1);
    assert_eq!(ask("nobody.node.dc2.consul".into(), dns::A).code, 3);

    let gone = format!(r#"{{"Datacenter": "dc2", "Node": "{name}-n"}}"#);
    assert_eq!(here.put("/v1/catalog/deregister", &gone).text(), "true");
    assert_eq!(here.get(&format!("/v1/catalog/service/{name}?dc=dc2")).text(), "[]");

    // An event for the nodes there.
    let fired = here.put(&format!("/v1/event/fire/{name}?dc=dc2"), "payload").json();
    let heard = |of: &dyn Fn(&str) -> String| of(&format!("/v1/event/list?name={name}"));
    let id = fired["ID"].as_str().expect("an ID").to_owned();
    assert!(wait(|| heard(&|target| at_home(target).text()).contains(&id)), "{fired}");
    assert_eq!(heard(&|target| here.get(target).text()), "[]");
    let listed = here.get("/v1/operator/autopilot/configuration?dc=dc2").json();
    assert_eq!(listed["CleanupDeadServers"], true, "{listed}");
    let listed = here.get("/v1/operator/raft/configuration?dc=dc2").json();
    assert_eq!(listed["Servers"][0]["Leader"], true, "{listed}");
    let health = || here.get("/v1/operator/autopilot/health?dc=dc2").json();
    assert!(wait(|| health()["Servers"][0]["Leader"] == true), "{}", health());
    let state = || here.get("/v1/operator/autopilot/state?dc=dc2").json();
    assert!(wait(|| state()["Leader"] == listed["Servers"][0]["ID"]), "{}", state());

    // What is refused there is told here.
    let refused = here.put("/v1/catalog/register", r#"{"Datacenter": "dc2", "Node": "x"}"#);
    assert_eq!(refused.status, 500);
    assert!(
        refused.text().ends_with("rpc error making call: Must provide address if SkipNodeUpdate is not set")
    );

    // A datacenter that nobody knows.
    for (method, target) in [
        ("GET", "/v1/kv/a?dc=dc9"),
        ("PUT", "/v1/kv/a?dc=dc9"),
        ("GET", "/v1/health/service/x?dc=dc9"),
        ("GET", "/v1/catalog/nodes?dc=dc9"),
        ("GET", "/v1/status/peers?dc=dc9"),
    ] {
        let answer = here.ask(method, target, "");
        assert_eq!(answer.status, 500, "{target}");
        assert!(answer.text().trim_end().ends_with("No path to datacenter"), "{target}: {}", answer.text());
    }
    assert_eq!(ask("x.service.dc9.consul".into(), dns::A).code, 3);
    assert_eq!(ask("x.node.dc9.consul".into(), dns::A).code, 3);
}

#[test]
fn another_datacenter_is_read_and_written_by_servers_and_clients_and_its_loss_is_told() {
    let (one, wan) = server("dc1", &[]);
    let (mut two, _) = server("dc2", &[wan]);
    let client = client(&one);
    assert!(wait(|| two.get("/v1/catalog/datacenters").json() == json!(["dc2", "dc1"])), "{}", two.log());
    reaches(&one, two.http, "server");
    reaches(&client, two.http, "client");
    let counted = one.get("/v1/agent/metrics?format=prometheus").text();
    assert!(counted.contains("consul_rpc_cross_dc{datacenter=\"dc2\"}"), "{counted}");

    // While it is frozen no call is answered; a resolver is, before it gives up.
    let known = r#"{"Node": "k", "Address": "10.0.0.8", "Service": {"Service": "known", "Port": 6}}"#;
    assert_eq!(two.put("/v1/catalog/register", known).text(), "true");
    let ask = |here: &Server, name: &str, within: Duration| {
        let began = Instant::now();
        let answer = dns::ask(here.dns, name, dns::SRV).expect("an answer");
        assert!(began.elapsed() < within, "{name} took {:?}", began.elapsed());
        answer
    };
    for here in [&one, &client] {
        let there = dns::ask(here.dns, "known.service.dc2.consul", dns::SRV).expect("an answer");
        assert_eq!(there.ports(), [6]);
    }
    two.signal("STOP");
    for here in [&one, &client] {
        assert_eq!(ask(here, "known.service.dc2.consul", Duration::from_secs(2)).ports(), [6]);
        assert_eq!(ask(here, "other.service.dc2.consul", Duration::from_millis(4500)).code, 2);
    }
    two.kill();
    for here in [&one, &client] {
        let answer = here.get("/v1/kv/a?dc=dc2");
        let text = answer.text();
        assert_eq!(answer.status, 500, "{text}");
        let said = ["rpc error", "Remote DC has no server currently reachable"];
        assert!(said.iter().any(|known| text.contains(known)), "{text}");
        // This one goes on.
        assert_eq!(here.get("/v1/kv/a").status, 404);
    }
}

#[test]
fn what_is_elsewhere_is_shown_where_it_is_reached_from_here() {
    let (one, wan) = server_with("dc1", &[], &format!(r#"{QUICK}, "translate_wan_addrs": true"#));
    let (two, _) = server("dc2", &[wan]);
    assert!(wait(|| one.get("/v1/catalog/datacenters").json() == json!(["dc1", "dc2"])), "{}", one.log());
    let web = r#"{"Node": "n", "Address": "10.0.0.9", "TaggedAddresses": {"wan": "192.0.2.9"}, "Service": {
        "Service": "web", "Address": "10.0.0.10", "Port": 5,
        "TaggedAddresses": {"wan": {"Address": "192.0.2.10", "Port": 80}}}}"#;
    assert_eq!(two.put("/v1/catalog/register", web).text(), "true");
    let shown = |of: &Server| {
        let answer = of.get("/v1/health/service/web?dc=dc2");
        let [node, service] = ["Node", "Service"].map(|part| answer.json()[0][part].clone());
        let says = answer.header("x-consul-translate-addresses").map(str::to_owned);
        (node["Address"].clone(), service["Address"].clone(), service["Port"].clone(), says)
    };
    let far = (json!("192.0.2.9"), json!("192.0.2.10"), json!(80), Some("true".to_owned()));
    assert_eq!(shown(&one), far);
    assert_eq!(shown(&two), (json!("10.0.0.9"), json!("10.0.0.10"), json!(5), None));
    let listed = one.get("/v1/catalog/service/web?dc=dc2").json();
    assert_eq!((&listed[0]["Address"], &listed[0]["ServicePort"]), (&json!("192.0.2.9"), &json!(80)));
}

/// What a node has told of where it is, as `/v1/coordinate/node/` shows it.
fn told(of: &Server, node: &str) -> Value {
    let answer = of.get(&format!("/v1/coordinate/node/{node}"));
    if answer.status == 200 { answer.json()[0].clone() } else { Value::Null }
}

#[test]
fn nodes_tell_where_they_are_and_answers_are_sorted_by_it() {
    let quick =
        r#""sync_coordinate_interval_min": "200ms", "consul": {"coordinate": {"update_period": "100ms"}}"#;
    let (one, _) = server_with("dc1", &[], quick);
    let client = client_with(&one, quick);
    for at in [&one, &client] {
        for node in ["dc1-s", "c1"] {
            assert!(
                wait(|| told(at, node)["Coord"]["Vec"].as_array().map(Vec::len) == Some(8)),
                "{}",
                at.log()
            );
        }
    }
    let listed = client.get("/v1/coordinate/nodes");
    assert_eq!(listed.header("x-consul-knownleader"), Some("true"));
    assert_eq!((&listed.json()[0]["Node"], &listed.json()[1]["Node"]), (&json!("c1"), &json!("dc1-s")));
    assert_eq!(
        (told(&one, "nobody"), one.get("/v1/coordinate/node/nobody").text()),
        (Value::Null, "".into())
    );
    assert_eq!(one.get("/v1/coordinate/nodes?segment=x").text(), "[]");
    let here = one.get("/v1/coordinate/datacenters").json();
    assert_eq!((&here[0]["Datacenter"], &here[0]["AreaID"]), (&json!("dc1"), &json!("wan")));
    assert_eq!(here[0]["Coordinates"][0]["Node"], "dc1-s");
    assert_eq!(client.get("/v1/coordinate/datacenters").json()[0]["Datacenter"], "dc1");
    let rtt = String::from_utf8(client.cli(&["rtt", "c1", "dc1-s"]).stdout).expect("text");
    assert!(
        rtt.starts_with("Estimated c1 <-> dc1-s rtt: 0.") && rtt.ends_with("(using LAN coordinates)\n"),
        "{rtt}"
    );
    let rtt = String::from_utf8(one.cli(&["rtt", "-wan", "dc1-s.dc1"]).stdout).expect("text");
    assert!(rtt.starts_with("Estimated dc1-s.dc1 <-> dc1-s.dc1 rtt: "), "{rtt}");

    // By hand, and sorted.
    for (node, place) in [("a", 0.9), ("b", 0.1), ("z", 0.5)] {
        let body = format!(
            r#"{{"Node": "{node}", "Address": "10.0.0.1", "Service": {{"Service": "web"}},
                "Checks": [{{"CheckID": "w", "Name": "w", "Status": "passing", "ServiceID": "web"}}]}}"#
        );
        assert_eq!(client.put("/v1/catalog/register", &body).text(), "true");
        let body = format!(
            r#"{{"Node": "{node}", "Coord": {{"Vec": [{place},0,0,0,0,0,0,0], "Error": 1.5, "Height": 1e-5}}}}"#
        );
        let at = if node == "a" { &client } else { &one };
        assert_eq!(at.put("/v1/coordinate/update", &body).status, 200);
    }
    for node in ["a", "b", "z"] {
        assert!(wait(|| !told(&one, node).is_null()), "{node}");
    }
    let order = |of: &Server, target: &str, name: &str| -> Vec<Value> {
        let shown = of.get(target).json();
        let names = shown.as_array().expect("a list").iter().map(|row| row.pointer(name).cloned());
        names
            .map(Option::unwrap_or_default)
            .filter(|name| ["a", "b", "z"].iter().any(|n| name == n))
            .collect()
    };
    for at in [&one, &client] {
        for (target, name) in [
            ("/v1/catalog/nodes?near=", "/Node"),
            ("/v1/catalog/service/web?near=", "/Node"),
            ("/v1/health/service/web?near=", "/Node/Node"),
            ("/v1/health/checks/web?near=", "/Node"),
            ("/v1/health/state/passing?near=", "/Node"),
        ] {
            assert_eq!(order(at, &format!("{target}a"), name), ["a", "z", "b"], "{target}a");
            assert_eq!(order(at, &format!("{target}b"), name), ["b", "z", "a"], "{target}b");
            assert_eq!(order(at, &format!("{target}nobody"), name), ["a", "b", "z"], "{target}nobody");
        }
    }
    let bad = r#"{"Node": "a", "Coord": {"Vec": [0, 0], "Error": 1.5, "Height": 1e-5}}"#;
    let refused = one.put("/v1/coordinate/update", bad);
    assert_eq!((refused.status, refused.text().trim()), (500, "incompatible coordinate"));
    assert_eq!(one.put("/v1/coordinate/update", r#"{"Nonsense": 1}"#).status, 400);
}

#[test]
fn a_datacenter_of_consul_is_reached_and_reaches_ours() {
    let (one, wan) = server("dc1", &[]);
    let more = json!({
        "datacenter": "dc2", "retry_join_wan": [format!("127.0.0.1:{wan}")], "retry_interval_wan": "1s",
    });
    let Some(consul) = Consul::server("s2", more) else { return };
    let client = client(&one);
    reaches(&one, consul.http, "server");
    reaches(&client, consul.http, "client");
    // And back.
    let there =
        |method, target: &str, body: &[u8]| request(consul.http, method, target, body).expect("an answer");
    assert_eq!(there("PUT", "/v1/kv/back?dc=dc1", b"x").text().trim(), "true");
    assert_eq!(one.get("/v1/kv/back?raw").text(), "x");
    assert_eq!(there("GET", "/v1/kv/back?dc=dc1&raw", b"").text(), "x");
    assert_eq!(there("GET", "/v1/catalog/datacenters", b"").json(), json!(["dc2", "dc1"]));
    assert_eq!(there("GET", "/v1/catalog/nodes?dc=dc1", b"").json()[0]["Node"], "c1");
}
