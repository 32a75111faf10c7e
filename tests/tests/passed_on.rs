//! What only the leader, or only servers, can do is asked of any agent: followers and client agents pass it on.

use lictor_tests::{Server, wait};
use serde_json::{Value, json};

const KEY: &str = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=";

/// Three servers with settings of their own for autopilot, and a client agent.
fn cluster() -> (Vec<Server>, Server) {
    let mut servers: Vec<Server> = Vec::new();
    for at in 1..=3 {
        let join: Vec<String> = servers.iter().map(|s| format!("127.0.0.1:{}", s.serf)).collect();
        let extra = json!({
            "node_name": format!("p{at}"), "bootstrap_expect": 3, "retry_join": join, "retry_interval": "1s",
            "performance": {"raft_multiplier": 1}, "encrypt": KEY,
            "autopilot": {"min_quorum": 2, "max_trailing_logs": 300, "last_contact_threshold": "2s"},
        });
        servers.push(Server::prepare(&format!("p{at}"), &extra.to_string()));
    }
    servers.iter_mut().for_each(Server::launch);
    servers.iter_mut().for_each(Server::wait_for_leader);
    let extra = json!({
        "server": false, "bootstrap_expect": 0, "node_name": "c1", "encrypt": KEY, "retry_interval": "1s",
        "retry_join": [format!("127.0.0.1:{}", servers[0].serf)],
    });
    let mut client = Server::prepare("client", &extra.to_string());
    client.launch();
    assert!(wait(|| client.is_there() && client.get("/v1/catalog/nodes").status == 200), "{}", client.log());
    (servers, client)
}

/// The ID of the leader, as this agent tells.
fn leader(of: &Server) -> Value {
    of.get("/v1/operator/autopilot/state").json()["Leader"].clone()
}

#[test]
fn operators_may_ask_any_agent() {
    let (mut servers, client) = cluster();
    let all = |servers: &[Server], check: &dyn Fn(&Server) -> bool| {
        for at in servers.iter().chain([&client]) {
            assert!(wait(|| check(at)), "{}\n{}", at.get("/v1/operator/autopilot/state").text(), at.log());
        }
    };
    all(&servers, &|at| {
        let health = at.get("/v1/operator/autopilot/health");
        let shown = health.json();
        health.status == 200
            && shown["Healthy"] == true
            && shown["Servers"].as_array().map(Vec::len) == Some(3)
    });
    all(&servers, &|at| {
        let shown = at.get("/v1/operator/raft/configuration").json();
        let voters = shown["Servers"].as_array().map(|all| all.iter().filter(|s| s["Voter"] == true).count());
        voters == Some(3)
    });
    let known = leader(&servers[0]);
    assert!(known.is_string());
    for at in servers.iter().chain([&client]) {
        // Nothing but the moments differs.
        let state = at.get("/v1/operator/autopilot/state").json();
        assert_eq!((&state["Leader"], state["Voters"].as_array().map(Vec::len)), (&known, Some(3)));
        let server = &state["Servers"][known.as_str().expect("an ID")];
        assert_eq!(
            (&server["Status"], &server["NodeStatus"]),
            (&json!("leader"), &json!("alive")),
            "{state}"
        );
        // What the files say is what a new cluster begins with.
        let settings = at.get("/v1/operator/autopilot/configuration").json();
        assert_eq!((&settings["MinQuorum"], &settings["MaxTrailingLogs"]), (&json!(2), &json!(300)));
        assert_eq!(settings["LastContactThreshold"], "2s");
    }
    for (at, quorum) in [(&client, 3), (&servers[0], 1), (&servers[1], 2), (&servers[2], 0)] {
        let body = format!(r#"{{"MinQuorum": {quorum}, "LastContactThreshold": "2s"}}"#);
        assert_eq!(at.put("/v1/operator/autopilot/configuration", &body).text(), "true");
        assert!(wait(|| client.get("/v1/operator/autopilot/configuration").json()["MinQuorum"] == quorum));
    }

    // Leadership moves on the word of anybody.
    let other = client.get("/v1/operator/autopilot/state").json()["Voters"]
        .as_array()
        .and_then(|voters| voters.iter().find(|id| **id != known).cloned())
        .expect("another voter");
    let id = other.as_str().expect("an ID");
    let moved = client.ask("POST", &format!("/v1/operator/raft/transfer-leader?id={id}"), "");
    assert_eq!((moved.status, moved.json()), (200, json!({"Success": true})), "{}", moved.text());
    all(&servers, &|at| leader(at) == other);

    // A server that is gone is taken out; one that was never there cannot be.
    for at in servers.iter().chain([&client]) {
        let refused = at.ask("DELETE", "/v1/operator/raft/peer?id=nobody", "");
        let text = refused.text();
        assert_eq!(refused.status, 500);
        assert!(text.ends_with(r#"id "nobody" was not found in the Raft configuration"#), "{text}");
    }
    let (gone, id) = (0..3)
        .map(|at| (at, servers[at].get("/v1/agent/self").json()["Config"]["NodeID"].clone()))
        .find(|(_, id)| *id != other)
        .expect("a follower");
    servers[gone].kill();
    servers.remove(gone);
    let id = id.as_str().expect("an ID");
    let removed = client.ask("DELETE", &format!("/v1/operator/raft/peer?id={id}"), "");
    assert_eq!(removed.status, 200, "{}", removed.text());
    assert!(wait(|| {
        let shown = client.get("/v1/operator/raft/configuration").json();
        shown["Servers"].as_array().map(Vec::len) == Some(2)
    }));

    // The keyring, by a client: of all members of the datacenter.
    let listed = client.get("/v1/operator/keyring?local-only=true");
    if listed.status == 200 {
        assert_eq!(
            (&listed.json()[0]["Datacenter"], &listed.json()[0]["WAN"]),
            (&json!("dc1"), &json!(false))
        );
        assert!(listed.json()[0]["Keys"][KEY].as_i64() >= Some(3), "{}", listed.text());
    } else {
        // The one that was killed has not been missed yet.
        assert!(listed.text().contains("nodes reported success"), "{}", listed.text());
    }
}
