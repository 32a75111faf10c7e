//! Several servers as one cluster: founding, joining, failing, leaving.

use lictor_tests::cluster::{cluster, leader, prepare};
use lictor_tests::{Server, wait};
use std::collections::BTreeSet;

/// Names of raft's voters, as `server` sees them.
fn voters(server: &Server) -> BTreeSet<String> {
    let configuration = server.get("/v1/operator/raft/configuration?stale").json();
    let servers = configuration["Servers"].as_array().cloned().unwrap_or_default();
    let voters = servers.iter().filter(|server| server["Voter"] == true);
    voters.filter_map(|server| server["Node"].as_str().map(str::to_owned)).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `serfHealth` of `node` in the catalog; empty if it is not there.
fn health(server: &Server, node: &str) -> String {
    let checks = server.get(&format!("/v1/health/node/{node}?stale")).json();
    let checks = checks.as_array().cloned().unwrap_or_default();
    let check = checks.iter().find(|check| check["CheckID"] == "serfHealth");
    check.and_then(|check| check["Status"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn three_servers_found_one_cluster_take_in_a_fourth_and_go_on_when_one_is_killed() {
    let mut servers = cluster("a");
    assert!(servers.iter().all(|server| wait(|| voters(server) == names(&["a1", "a2", "a3"]))));
    assert_eq!(servers[0].put("/v1/kv/key", "value").status, 200);
    for server in &servers {
        assert!(wait(|| server.get("/v1/kv/key?stale&raw").text() == "value"));
        for name in ["a1", "a2", "a3"] {
            assert!(wait(|| health(server, name) == "passing"), "{name}:\n{}", server.log());
        }
    }
    assert_eq!(servers[2].get("/v1/status/peers").json().as_array().map(Vec::len), Some(3));

    let mut fourth = prepare("a4", 3, &[servers[0].serf]);
    fourth.launch();
    fourth.wait_for_leader();
    servers.push(fourth);
    let all = names(&["a1", "a2", "a3", "a4"]);
    assert!(wait(|| voters(&servers[0]) == all), "{:?}\n{}", voters(&servers[0]), servers[0].log());
    assert!(wait(|| servers[3].get("/v1/kv/key?stale&raw").text() == "value"));

    let gone = (0..3).find(|at| *at != leader(&servers)).expect("a follower");
    let name = format!("a{}", gone + 1);
    servers[gone].kill();
    let others: Vec<&Server> = (0..4).filter(|at| *at != gone).map(|at| &servers[at]).collect();
    assert!(wait(|| others[0].put("/v1/kv/key", "more").status == 200));
    // It fails, and then autopilot lets it go.
    assert!(wait(|| health(others[0], &name) != "passing"), "{}", others[0].log());
    assert!(wait(|| !voters(others[0]).contains(&name)), "{}", others[0].log());
    assert_eq!(voters(others[0]).len(), 3);
}

#[test]
fn a_server_that_leaves_is_taken_out_of_raft_and_catalog_and_a_leader_that_is_killed_is_replaced() {
    let mut servers = cluster("b");
    assert!(wait(|| voters(&servers[0]).len() == 3));
    let leaves = (0..3).find(|at| *at != leader(&servers)).expect("a follower");
    let name = format!("b{}", leaves + 1);
    assert_eq!(servers[leaves].put("/v1/agent/leave", "").status, 200);
    let knows = |server: &Server| {
        let members = server.get("/v1/agent/members").json();
        let all = members.as_array().cloned().unwrap_or_default();
        // 3: left.
        all.iter().any(|m| m["Name"] == *name && m["Status"] == 3)
    };
    assert!((0..3).any(|at| at != leaves && knows(&servers[at])), "it answers when the others have heard");
    servers[leaves].wait_for_exit();
    servers.remove(leaves);
    let stays = &servers[0];
    assert!(wait(|| !voters(stays).contains(&name)), "{:?}\n{}", voters(stays), stays.log());
    assert!(
        wait(|| stays.get(&format!("/v1/catalog/node/{name}?stale")).json().is_null()),
        "{}",
        stays.log()
    );
}

/// What alerts look at: whether all servers are well, and how many may still fail.
fn autopilot(server: &Server) -> (f64, f64) {
    let metrics = server.get("/v1/agent/metrics").json();
    let gauges = metrics["Gauges"].as_array().cloned().unwrap_or_default();
    let value = |end: &str| {
        let gauge = gauges.iter().find(|g| g["Name"].as_str().is_some_and(|name| name.ends_with(end)));
        gauge.and_then(|gauge| gauge["Value"].as_f64()).unwrap_or(-1.0)
    };
    (value("autopilot.healthy"), value("autopilot.failure_tolerance"))
}

#[test]
fn a_cluster_survives_the_loss_of_its_leader() {
    let mut servers = cluster("c");
    assert!(wait(|| voters(&servers[0]).len() == 3));
    assert_eq!(servers[0].put("/v1/kv/key", "value").status, 200);
    let keep = r#"{"CleanupDeadServers": false}"#;
    assert_eq!(servers[0].put("/v1/operator/autopilot/configuration", keep).text(), "true");
    assert!(servers.iter().all(|server| wait(|| autopilot(server) == (1.0, 1.0))));
    let leads = leader(&servers);
    servers[leads].kill();
    servers.remove(leads);
    assert!(wait(|| servers[0].put("/v1/kv/key", "after").status == 200), "{}", servers[0].log());
    assert!(wait(|| servers[1].get("/v1/kv/key?raw").text() == "after"));
    // The new leader and the follower show by their metrics that one is not well.
    assert!(servers.iter().all(|server| wait(|| autopilot(server) == (0.0, 0.0))), "{}", servers[0].log());
}

#[test]
fn a_whole_cluster_restarts_and_finds_itself() {
    let mut servers = cluster("d");
    assert!(wait(|| voters(&servers[0]).len() == 3));
    assert_eq!(servers[0].put("/v1/kv/key", "value").status, 200);
    servers.iter_mut().for_each(Server::kill);
    servers.iter_mut().for_each(Server::launch);
    servers.iter_mut().for_each(Server::wait_for_leader);
    assert!(wait(|| servers[2].get("/v1/kv/key?raw").text() == "value"));
    assert_eq!(voters(&servers[0]).len(), 3);
}

/// Standard output and exit code.
fn cli(server: &Server, args: &[&str]) -> (String, Option<i32>) {
    let out = server.cli(args);
    let text = [out.stdout, out.stderr].concat();
    (String::from_utf8_lossy(&text).trim().to_owned(), out.status.code())
}

#[test]
fn an_operator_sees_and_changes_raft_and_autopilot_as_with_consul() {
    let server = Server::start("operator", "");
    let raft = server.get("/v1/operator/raft/configuration").json();
    let id = raft["Servers"][0]["ID"].as_str().expect("an ID").to_owned();

    let config = server.get("/v1/operator/autopilot/configuration").json();
    assert_eq!((&config["LastContactThreshold"], &config["MinQuorum"]), (&"200ms".into(), &0.into()));
    let set = |cas: &str, body: &str| server.put(&format!("/v1/operator/autopilot/configuration{cas}"), body);
    assert_eq!(set("", r#"{"MinQuorum": 3, "LastContactThreshold": "300ms"}"#).text(), "true");
    assert_eq!(set("?cas=1", r#"{"MinQuorum": 4}"#).text(), "false");
    let config = server.get("/v1/operator/autopilot/configuration").json();
    assert_eq!((&config["LastContactThreshold"], &config["MinQuorum"]), (&"300ms".into(), &3.into()));
    assert_eq!(set(&format!("?cas={}", config["ModifyIndex"]), r#"{"MinQuorum": 2}"#).text(), "true");
    let refused = set("", r#"{"Foo": 1}"#);
    let text = "Error parsing autopilot config: json: unknown field \"Foo\"";
    assert_eq!((refused.status, refused.text().trim()), (400, text));
    let refused = set("?cas=x", "{}");
    let text = "Error parsing cas value: strconv.ParseUint: parsing \"x\": invalid syntax";
    assert_eq!((refused.status, refused.text().trim()), (400, text));

    let health = server.get("/v1/operator/autopilot/health");
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!((&health["Healthy"], &health["Servers"][0]["SerfStatus"]), (&true.into(), &"alive".into()));
    let state = server.get("/v1/operator/autopilot/state").json();
    assert_eq!(state["Servers"][&id]["Status"], "leader");

    // Options are read as everywhere.
    for target in ["autopilot/configuration", "autopilot/health", "autopilot/state", "raft/configuration"] {
        for (query, text) in [("wait=x", "Invalid wait time"), ("index=x", "Invalid index")] {
            let refused = server.get(&format!("/v1/operator/{target}?{query}"));
            assert_eq!((refused.status, refused.text().trim()), (400, text), "{target}");
        }
        let refused = server.get(&format!("/v1/operator/{target}?stale&consistent"));
        assert!(refused.status == 400 && refused.text().contains("conflicting semantics"), "{target}");
    }

    for (query, status, text) in [
        ("", 400, "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"),
        ("?id=a&address=b", 400, "Must specify only one of ?id or ?address"),
        ("?id=x", 500, "id \"x\" was not found in the Raft configuration"),
        ("?address=1.2.3.4:5", 500, "address \"1.2.3.4:5\" was not found in the Raft configuration"),
    ] {
        let refused = server.ask("DELETE", &format!("/v1/operator/raft/peer{query}"), "");
        assert_eq!((refused.status, refused.text().trim()), (status, text));
    }
    for (query, text) in [("", "cannot find peer"), ("?id=x", "Could not find address for server id x")] {
        let refused = server.ask("POST", &format!("/v1/operator/raft/transfer-leader{query}"), "");
        assert_eq!((refused.status, refused.text().trim()), (500, text));
    }

    let (text, code) = cli(&server, &["operator", "autopilot", "set-config", "-max-trailing-logs=7"]);
    assert_eq!((&*text, code), ("Configuration updated!", Some(0)));
    let (text, _) = cli(&server, &["operator", "autopilot", "get-config"]);
    let lines = "CleanupDeadServers = true\nLastContactThreshold = 200ms\nMaxTrailingLogs = 7\nMinQuorum = 2\n\
                 ServerStabilizationTime = 10s\nRedundancyZoneTag = \"\"\n\
                 DisableUpgradeMigration = false\nUpgradeVersionTag = \"\"";
    assert_eq!(text, lines);
    let (text, _) = cli(&server, &["operator", "autopilot", "state"]);
    let head = format!(
        "Healthy:                      true\nFailure Tolerance:            0\n\
        Optimistic Failure Tolerance: 0\nLeader:                       {id}\nVoters:\n   {id}\nServers:\n   {id}\n      \
        Name:            n1\n"
    );
    assert!(text.starts_with(&head), "{text}");
    for (args, said) in [
        (&["remove-peer"][..], "Error removing peer: an address or id is required for the peer to remove"),
        (&["remove-peer", "-id=x", "-address=y"], "Error removing peer: cannot give both an address and id"),
        (
            &["remove-peer", "-id=x"],
            "Error removing peer: Unexpected response code: 500 (id \"x\" was not found in the Raft configuration)",
        ),
        (
            &["transfer-leader"],
            "Error transfering leadership: Failed to transfer leadership Unexpected response code: 500 \
             (cannot find peer)",
        ),
    ] {
        let args = [&["operator", "raft"][..], args].concat();
        assert_eq!(cli(&server, &args), (said.to_owned(), Some(1)));
    }
}
