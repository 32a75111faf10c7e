//! Servers that stop answering without ending a connection: SIGSTOP, as a cut cable does it.

use lictor_tests::cluster::leader;
use lictor_tests::{Server, dns, request, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Much more than an election and the patience with a silent server; much less than a call waits for its answer (60 s).
const BOUND: Duration = Duration::from_secs(10);
/// Patient enough for a machine that runs other tests too.
const MULTIPLIER: u32 = 3;

/// Three servers that have a leader.
fn cluster() -> Vec<Server> {
    let mut servers: Vec<Server> = (1..=3).map(|n| Server::prepare(&format!("f{n}"), "")).collect();
    let join: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.serf)).collect();
    for (at, server) in servers.iter_mut().enumerate() {
        let extra = serde_json::json!({
            "node_name": format!("f{}", at + 1), "bootstrap_expect": 3, "retry_join": join, "retry_interval": "1s",
            "performance": {"raft_multiplier": MULTIPLIER},
        });
        server.set_extra(&extra.to_string());
        server.launch();
    }
    servers.iter_mut().for_each(Server::wait_for_leader);
    servers
}

/// A client agent of these servers.
fn client(servers: &[Server]) -> Server {
    let join: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.serf)).collect();
    let extra = serde_json::json!({
        "server": false, "bootstrap_expect": 0, "node_name": "c1", "retry_join": join, "retry_interval": "1s",
        "performance": {"raft_multiplier": MULTIPLIER},
    });
    let mut client = Server::prepare("client", &extra.to_string());
    client.launch();
    let writes = || request(client.http, "PUT", "/v1/kv/key", b"0").is_ok_and(|answer| answer.status == 200);
    assert!(wait(writes), "{}", client.log());
    client
}

/// The longest time between two acknowledged writes while `during` runs.
fn longest_gap(client: &Server, during: impl FnOnce()) -> Duration {
    let (http, over) = (client.http, Arc::new(AtomicBool::new(false)));
    let ended = over.clone();
    let writer = thread::spawn(move || {
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        while !ended.load(Ordering::Relaxed) {
            // Another value each time: one that is there already would change nothing, and wake nobody.
            let value = format!("{:?}", Instant::now());
            if request(http, "PUT", "/v1/kv/key", value.as_bytes()).is_ok_and(|answer| answer.status == 200) {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            thread::sleep(Duration::from_millis(10));
        }
        longest.max(last.elapsed())
    });
    during();
    over.store(true, Ordering::Relaxed);
    writer.join().expect("the writer ends")
}

#[test]
fn writes_through_an_agent_go_on_when_the_leader_is_frozen_whichever_server_the_agent_prefers() {
    let servers = cluster();
    let client = client(&servers);
    // A frozen server seems dead, and must be a voter still when it is back.
    let keep = r#"{"CleanupDeadServers": false}"#;
    let kept = || servers[0].put("/v1/operator/autopilot/configuration", keep).status == 200;
    assert!(wait(kept), "{}", servers[0].log());
    for frozen in 0..3 {
        let id = servers[frozen].get("/v1/agent/self").json()["Config"]["NodeID"].clone();
        let to = format!("/v1/operator/raft/transfer-leader?id={}", id.as_str().expect("an ID"));
        let leads = || {
            let leads = leader(&servers);
            if leads != frozen {
                servers[leads].ask("POST", &to, "");
            }
            leads == frozen
        };
        assert!(wait(leads), "{}", servers[frozen].log());
        let blocked = client.get("/v1/kv/key").index();
        let (http, began) = (client.http, Instant::now());
        let gap = longest_gap(&client, || {
            thread::sleep(Duration::from_millis(300));
            servers[frozen].signal("STOP");
            // A blocking read is answered too, wherever it waits.
            let watch = thread::spawn(move || {
                request(http, "GET", &format!("/v1/kv/key?index={blocked}&wait=60s"), b"")
                    .map(|answer| answer.text())
            });
            thread::sleep(Duration::from_secs(5));
            let watched = watch.join().expect("it ends").expect("an answer");
            assert!(watched.contains("CreateIndex"), "{watched}");
        });
        servers[frozen].signal("CONT");
        assert!(gap < BOUND, "no write for {gap:?} of {:?}\n{}", began.elapsed(), client.log());
        // It takes part again. Asked anew each time: a write that it had got before it froze is done only now.
        let same = || servers[frozen].get("/v1/kv/key?raw").text() == client.get("/v1/kv/key?raw").text();
        assert!(wait(same), "{}", servers[frozen].log());
    }
}

/// DNS goes on from what was told last, and what was never told fails before a resolver gives up.
fn names_go_on(client: &Server, how: &str) {
    let ask = |name: &str, within: Duration| {
        let began = Instant::now();
        let answer = dns::ask(client.dns, name, dns::SRV).expect("an answer");
        assert!(began.elapsed() < within, "{how}: {name} took {:?}\n{}", began.elapsed(), client.log());
        answer
    };
    for _ in 0..3 {
        assert_eq!(ask("web.service.consul", Duration::from_secs(2)).ports(), [8080], "{how}");
    }
    // A name that nobody has asked for yet.
    let new = format!("{how}.service.consul");
    assert_eq!(ask(&new, Duration::from_millis(4500)).code, 2, "{how}");
}

#[test]
fn names_are_answered_by_an_agent_at_once_while_all_servers_are_frozen_and_when_all_are_killed() {
    let mut servers = cluster();
    let client = client(&servers);
    let web = r#"{"Name": "web", "Port": 8080}"#;
    let register = || client.put("/v1/agent/service/register", web).status == 200;
    assert!(wait(register), "{}", client.log());
    let port = || dns::ask(client.dns, "web.service.consul", dns::SRV).expect("an answer").ports() == [8080];
    assert!(wait(port), "{}", client.log());
    servers.iter().for_each(|server| server.signal("STOP"));
    names_go_on(&client, "frozen");
    servers.iter().for_each(|server| server.signal("CONT"));
    assert!(wait(|| client.get("/v1/kv/key?stale").status == 200), "{}", client.log());
    assert!(wait(|| dns::ask(client.dns, "other.service.consul", dns::SRV).expect("an answer").code == 3));
    servers.iter_mut().for_each(Server::kill);
    names_go_on(&client, "killed");
}
