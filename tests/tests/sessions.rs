//! Sessions and locks on three servers and a client agent, whoever is asked.

use lictor_tests::node::{Cluster, Node};
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sessions may be as short as a test.
fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, 1);
    for node in cluster.servers.iter_mut().chain(&mut cluster.agents) {
        node.more["session_ttl_min"] = json!("100ms");
    }
    cluster.launch();
    cluster.wait_until_whole();
    cluster
}

/// A session of the first server, unless it says otherwise.
fn create(at: &Node, of: &Cluster, more: Value) -> String {
    let mut body = json!({"Node": of.servers[0].name});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let answer = at.ask("PUT", "/v1/session/create", &body.to_string()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["ID"].as_str().expect("an ID").to_owned()
}

fn says(at: &Node, target: &str) -> bool {
    let answer = at.ask("PUT", target, "held").expect("an answer");
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.text() == "true"
}

fn renew(at: &Node, id: &str) -> u16 {
    at.ask("PUT", &format!("/v1/session/renew/{id}"), "").expect("an answer").status
}

fn exists(at: &Node, id: &str) -> bool {
    at.shows(&format!("/v1/session/info/{id}")).as_array().is_some_and(|found| found.len() == 1)
}

#[test]
fn a_session_lives_as_long_as_it_is_renewed_through_any_agent_and_then_lets_go_of_its_lock() {
    let cluster = cluster("renewed");
    for through in cluster.all() {
        let key = format!("/v1/kv/of/{}", through.name);
        let id = create(through, &cluster, json!({"TTL": "2s", "LockDelay": "0s"}));
        assert!(says(through, &format!("{key}?acquire={id}")), "{}", through.name);
        let begun = Instant::now();
        let mut all = cluster.all().cycle();
        while begun.elapsed() < Duration::from_secs(6) {
            let by = all.next().expect("without end");
            assert_eq!(renew(by, &id), 200, "through {}", by.name);
            sleep(Duration::from_millis(200));
        }
        let renewed = Instant::now();
        cluster.wait("it ends", || !exists(through, &id));
        // Two TTLs; the last renewal was one pause before.
        assert!(renewed.elapsed() > Duration::from_secs(3), "{:?}", renewed.elapsed());
        assert_eq!(renew(through, &id), 404);
        let entry = &through.shows(&key)[0];
        assert_eq!((&entry["Session"], &entry["LockIndex"]), (&Value::Null, &json!(1)), "{entry}");
    }
}

#[test]
fn a_lost_lock_is_kept_from_others_for_a_while_whoever_is_asked() {
    let cluster = cluster("kept");
    let (first, other) = (create(&cluster.agents[0], &cluster, json!({"LockDelay": "5s"})), {
        create(&cluster.servers[1], &cluster, json!({"LockDelay": "5s"}))
    });
    assert!(says(&cluster.agents[0], &format!("/v1/kv/lock?acquire={first}")));
    for through in cluster.all() {
        assert!(!says(through, &format!("/v1/kv/lock?acquire={other}")), "held, says {}", through.name);
    }
    let destroyed = Instant::now();
    assert!(says(&cluster.servers[2], &format!("/v1/session/destroy/{first}")));
    let txn = json!([{"KV": {"Verb": "set", "Key": "x", "Value": ""}},
        {"KV": {"Verb": "lock", "Key": "lock", "Value": "", "Session": other}}]);
    for through in cluster.all() {
        let early = !says(through, &format!("/v1/kv/lock?acquire={other}"));
        let answer = through.ask("PUT", "/v1/txn", &txn.to_string()).expect("an answer");
        if destroyed.elapsed() > Duration::from_secs(4) {
            // Too busy a machine to tell.
            return;
        }
        assert!(early, "{}", through.name);
        let errors = &answer.json()["Errors"];
        let wanted = json!([{"OpIndex": 1, "What": "failed to lock key \"lock\" due to lock delay"}]);
        assert_eq!((answer.status, errors), (409, &wanted), "{}", through.name);
    }
    cluster.wait("the lock is free", || says(&cluster.agents[0], &format!("/v1/kv/lock?acquire={other}")));
    assert!(destroyed.elapsed() > Duration::from_secs(5) - Duration::from_millis(500));
}

#[test]
fn a_session_outlives_the_leader_and_ends_when_its_node_or_check_does() {
    let mut cluster = cluster("outlived");
    let agent = &cluster.agents[0];
    let node = json!({"Node": "n", "Address": "10.0.0.1", "Check": {"CheckID": "c", "Status": "passing"}});
    assert!(agent.takes("/v1/catalog/register", &node.to_string()));
    let timed = create(agent, &cluster, json!({"TTL": "4s", "LockDelay": "0s", "Checks": []}));
    let bound = json!({"Node": "n", "NodeChecks": ["c"], "Behavior": "delete", "LockDelay": "0s"});
    let bound = create(agent, &cluster, bound);
    assert!(says(agent, &format!("/v1/kv/timed?acquire={timed}")));
    assert!(says(agent, &format!("/v1/kv/bound?acquire={bound}")));
    let leader = cluster.leader();
    let old = cluster.servers[leader].rpc();
    cluster.servers[leader].kill();
    let agent = &cluster.agents[0];
    cluster.wait("another leads", || {
        let seen = agent.leader();
        !seen.is_empty() && seen != old && renew(agent, &timed) == 200
    });
    assert!(exists(agent, &bound), "nothing has ended it");
    let entry = &agent.shows("/v1/kv/timed")[0];
    assert_eq!(entry["Session"], timed.as_str());
    let critical =
        json!({"Node": "n", "Address": "10.0.0.1", "Check": {"CheckID": "c", "Status": "critical"}});
    assert!(agent.takes("/v1/catalog/register", &critical.to_string()));
    assert!(!exists(agent, &bound));
    assert_eq!(agent.ask("GET", "/v1/kv/bound", "").expect("an answer").status, 404);
    cluster.wait("it ends by itself", || !exists(agent, &timed));
    assert_eq!(agent.shows("/v1/kv/timed")[0]["Session"], Value::Null);
}
