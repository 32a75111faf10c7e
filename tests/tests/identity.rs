//! Who is who when addresses change, disks are lost or copied, and clusters meet.

use lictor_tests::cluster::cluster;
use lictor_tests::{Server, wait};
use std::process::Command;
use std::time::{Duration, Instant};

/// Less than the 30 s that memberlist keeps the name of a dead member for its address.
const SOON: Duration = Duration::from_secs(20);

/// A client agent at `ip` that joins through the LAN port `serf`.
fn client(name: &str, ip: &str, serf: u16) -> Server {
    let mut client = Server::prepare(name, "");
    configure(&mut client, name, ip, serf);
    client
}

fn configure(client: &mut Server, name: &str, ip: &str, serf: u16) {
    let extra = serde_json::json!({
        "server": false, "bootstrap_expect": 0, "node_name": name, "bind_addr": ip,
        "retry_join": [format!("127.0.0.1:{serf}")], "retry_interval": "1s",
    });
    client.set_extra(&extra.to_string());
}

/// Status, address and node ID of a member, as `at` sees it.
fn member(at: &Server, name: &str) -> (u64, String, String) {
    let members = at.get("/v1/agent/members").json();
    let members = members.as_array().cloned().unwrap_or_default();
    let Some(member) = members.iter().find(|member| member["Name"] == name) else {
        return Default::default();
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let addr = format!("{}:{}", text(&member["Addr"]), member["Port"]);
    (member["Status"].as_u64().unwrap_or(0), addr, text(&member["Tags"]["id"]))
}

fn is_at(at: &Server, name: &str, addr: &str) -> bool {
    let (status, known, _) = member(at, name);
    status == 1 && known == addr
}

#[test]
fn an_agent_that_was_killed_comes_back_under_another_address_at_once_also_with_another_id() {
    let server = Server::start("s1", r#"{"node_name": "s1"}"#);
    let mut agent = client("c1", "127.0.30.1", server.serf);
    agent.launch();
    let port = agent.serf;
    assert!(wait(|| is_at(&server, "c1", &format!("127.0.30.1:{port}"))), "{}", agent.log());
    let id = member(&server, "c1").2;
    for (ip, keeps_disk) in [("127.0.30.2", true), ("127.0.30.3", false)] {
        agent.kill();
        if !keeps_disk {
            std::fs::remove_dir_all(agent.data()).expect("removed");
        }
        configure(&mut agent, "c1", ip, server.serf);
        let began = Instant::now();
        agent.launch();
        let there = wait(|| is_at(&server, "c1", &format!("{ip}:{port}")));
        assert!(there && began.elapsed() < SOON, "{:?}\n{}\n{}", began.elapsed(), server.log(), agent.log());
        assert_eq!(member(&server, "c1").2 == id, keeps_disk);
        let catalog = || server.get("/v1/catalog/node/c1").json()["Node"]["Address"] == ip;
        assert!(wait(catalog), "{}", server.log());
    }
}

#[test]
fn a_copy_of_a_data_directory_stops_and_a_second_node_of_a_name_waits_for_it() {
    let server = Server::start("s1", r#"{"node_name": "s1"}"#);
    let mut agent = client("c1", "127.0.0.1", server.serf);
    agent.launch();
    let at = format!("127.0.0.1:{}", agent.serf);
    assert!(wait(|| is_at(&server, "c1", &at)), "{}", agent.log());

    let mut copy = client("c1", "127.0.0.1", server.serf);
    let copied = Command::new("cp").arg("-r").arg(agent.data()).arg(copy.data()).status();
    assert!(copied.expect("cp runs").success());
    copy.launch();
    let status = copy.wait_for_exit();
    let log = copy.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let said = log.lines().rfind(|line| line.contains("is in use twice")).unwrap_or_default();
    assert!(said.contains(&at) && said.contains("this node at 127.0.0.1 has the same ID"), "{log}");
    assert!(agent.runs() && is_at(&server, "c1", &at), "{}", agent.log());

    // One of another ID waits outside, says why, and takes the name when it is free.
    let mut other = client("c1", "127.0.0.1", server.serf);
    other.launch();
    let why = "The name 'c1' is taken: the node at ";
    assert!(wait(|| other.log().contains(&format!("{why}{at}"))), "{}", other.log());
    assert!(agent.runs() && is_at(&server, "c1", &at), "{}", agent.log());
    assert_eq!(server.get("/v1/agent/members").json().as_array().map(Vec::len), Some(2));
    agent.kill();
    let port = other.serf;
    assert!(wait(|| is_at(&server, "c1", &format!("127.0.0.1:{port}"))), "{}", server.log());
}

#[test]
fn three_servers_that_all_come_back_under_other_addresses_have_a_leader_soon() {
    let mut servers = cluster("m");
    assert!(wait(|| servers[0].put("/v1/kv/key", "value").status == 200));
    servers.iter_mut().for_each(Server::kill);
    // The addresses of the others, and one that nobody had.
    let ips = ["127.0.30.12", "127.0.30.13", "127.0.30.11"];
    let join: Vec<String> = (0..3).map(|at| format!("{}:{}", ips[at], servers[at].serf)).collect();
    for (at, server) in servers.iter_mut().enumerate() {
        let extra = serde_json::json!({
            "node_name": format!("m{}", at + 1), "bootstrap_expect": 3, "bind_addr": ips[at],
            "retry_join": join, "retry_interval": "1s", "performance": {"raft_multiplier": 1},
        });
        server.set_extra(&extra.to_string());
    }
    let began = Instant::now();
    servers.iter_mut().for_each(Server::launch);
    servers.iter_mut().for_each(Server::wait_for_leader);
    assert!(wait(|| servers[1].put("/v1/kv/key", "more").status == 200), "{}", servers[1].log());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(wait(|| servers[2].get("/v1/kv/key?raw").text() == "more"));
}

#[test]
fn two_clusters_that_meet_in_gossip_stay_two_and_say_what_to_do() {
    let one = Server::start("one", r#"{"node_name": "one"}"#);
    let two = Server::start("two", r#"{"node_name": "two"}"#);
    let mut agent = client("c1", "127.0.0.1", one.serf);
    agent.launch();
    let writes = |agent: &Server| agent.is_there() && agent.put("/v1/kv/agent", "a").status == 200;
    assert!(wait(|| writes(&agent)), "{}", agent.log());
    for (server, value) in [(&one, "1"), (&two, "2")] {
        assert!(wait(|| server.put("/v1/kv/key", value).status == 200));
    }
    assert_eq!(two.put(&format!("/v1/agent/join/127.0.0.1:{}", one.serf), "").status, 200);
    let told = |server: &Server| server.log().contains("not taking in a server of another cluster");
    for server in [&one, &two] {
        assert!(wait(|| told(server)), "{}", server.log());
    }
    for (server, value) in [(&one, "1"), (&two, "2")] {
        let raft = server.get("/v1/operator/raft/configuration").json();
        assert_eq!(raft["Servers"].as_array().map(Vec::len), Some(1));
        assert_eq!(server.get("/v1/kv/key?raw").text(), value);
        assert_eq!(server.put("/v1/kv/key", value).status, 200);
        let lines = server.log().matches("not taking in a server of another cluster").count();
        assert_eq!(lines, 1, "said once");
    }
    // A client agent uses the servers of its own cluster, also after a restart, and also when they are gone.
    for starts in 1..=2 {
        let said = || agent.log().matches("not using servers of another cluster").count();
        assert!(wait(|| said() == starts), "{}", agent.log());
        assert!((0..10).all(|_| writes(&agent)));
        assert_eq!((two.get("/v1/kv/agent").status, said()), (404, starts), "{}", agent.log());
        agent.kill();
        agent.launch();
        assert!(wait(|| agent.is_there() && agent.get("/v1/kv/key?raw").text() == "1"), "{}", agent.log());
    }
    drop(one);
    assert_eq!(agent.put("/v1/kv/agent", "b").status, 500);
    assert_eq!(two.get("/v1/kv/agent").status, 404);
}

#[test]
fn a_server_that_is_told_so_by_peers_json_goes_on_without_the_others() {
    let mut servers = cluster("p");
    assert!(wait(|| servers[0].put("/v1/kv/key", "value").status == 200));
    assert!(wait(|| servers[0].get("/v1/kv/key?stale&raw").text() == "value"));
    let id = servers[0].get("/v1/agent/self").json()["Config"]["NodeID"].as_str().expect("an ID").to_owned();
    servers.iter_mut().for_each(Server::kill);
    let left = &mut servers[0];
    let file = left.data().join("raft/peers.json");
    std::fs::create_dir_all(left.data().join("raft")).expect("made");

    for (wrong, why) in [
        ("", "empty ID in configuration"),
        ("nope", "id \"nope\" is not the node ID of a server"),
        ("11111111-2222-3333-4444-555555555555", "is not in configuration"),
    ] {
        std::fs::write(&file, format!(r#"[{{"id": "{wrong}", "address": "127.0.0.1:1"}}]"#))
            .expect("written");
        let refused = left.run_to_end();
        let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("recovery failed to parse peers.json: ") && said.contains(why), "{said}");
        assert!(file.exists(), "it is left for the operator");
    }

    let address = format!("127.0.0.1:{}", left.rpc);
    let peers = serde_json::json!([{"id": id, "address": address, "non_voter": false}]);
    std::fs::write(&file, peers.to_string()).expect("written");
    left.launch();
    left.wait_for_leader();
    assert!(!file.exists(), "{}", left.log());
    assert!(left.log().contains("deleted peers.json file after successful recovery"), "{}", left.log());
    assert_eq!(left.get("/v1/kv/key?raw").text(), "value");
    assert_eq!(left.put("/v1/kv/key", "more").status, 200);
    let raft = left.get("/v1/operator/raft/configuration").json();
    assert_eq!(raft["Servers"].as_array().map(Vec::len), Some(1));
}
