//! The operator guide's commands, as it spells them, against a server on its configuration.

use lictor_tests::{Server, wait};

const SERVER: &str = r#"{
    "datacenter": "staging",
    "ui_config": {"enabled": true},
    "dns_config": {"enable_truncate": true, "only_passing": true, "allow_stale": true, "max_stale": "87600h"},
    "log_level": "INFO", "disable_anonymous_signature": true, "disable_update_check": true
}"#;

/// A command, the exit code, and what it says.
type Case = (&'static [&'static str], i32, &'static [&'static str]);

const CASES: &[Case] = &[
    (&["members"], 0, &["Node", "Status", "Build", "n1", "alive", "server", "1.21.5", "staging"]),
    (&["operator", "raft", "list-peers"], 0, &["n1", "leader", "true"]),
    (&["info"], 0, &["raft:", "state = Leader", "version = 1.21.5"]),
    (&["catalog", "services"], 0, &["auth_service", "consul"]),
    (&["catalog", "nodes"], 0, &["n1", "staging"]),
    (&["catalog", "service", "auth_service"], 0, &["auth_service-01", "8201"]),
    (&["catalog", "nodes", "-service=auth_service"], 0, &["n1"]),
    (&["catalog", "checks"], 0, &["service:auth_service-01", "passing"]),
    (&["health", "service", "auth_service"], 0, &["auth_service-01", "passing"]),
    (&["health", "state", "critical"], 0, &[]),
    (&["health", "state", "passing"], 0, &["service:auth_service-01"]),
    (
        &["kv", "put", "config/app/database", "postgresql://db"],
        0,
        &["Success! Data written to: config/app/database"],
    ),
    (&["kv", "get", "config/app/database"], 0, &["postgresql://db"]),
    (&["kv", "get", "-recurse"], 0, &["config/app/database:postgresql://db"]),
    (&["kv", "delete", "config/app/database"], 0, &["Success! Deleted key: config/app/database"]),
    (&["kv", "get", "config/app/database"], 1, &["No key exists at: config/app/database"]),
    (&["reload"], 0, &["Configuration reload triggered"]),
    (&["version"], 0, &["v1.21.5"]),
    (&["services", "deregister", "-id=auth_service-01"], 0, &["Deregistered service: auth_service-01"]),
    (&["services", "deregister", "-id=auth_service-01"], 1, &["Unknown service ID"]),
];

#[test]
fn the_guides_commands_do_what_the_guide_says() {
    let server = Server::start("guide", SERVER);
    let register = r#"{
        "ID": "auth_service-01", "Name": "auth_service", "Tags": ["v1", "http"], "Address": "127.0.0.1",
        "Port": 8201, "Meta": {"api_path": "/api/v1/auth", "version": "1.0.0"}, "Check": {"TTL": "1h"}
    }"#;
    assert_eq!(server.put("/v1/agent/service/register", register).status, 200);
    assert_eq!(server.put("/v1/agent/check/pass/service:auth_service-01", "").status, 200);
    assert!(wait(|| server.get("/v1/health/service/auth_service?passing=true").text().contains("8201")));
    for (command, code, words) in CASES {
        let out = server.cli(command);
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(*code), "{command:?}: {text}");
        for word in *words {
            assert!(text.contains(word), "{command:?}: {word:?} is not in: {text}");
        }
    }
}

#[test]
fn the_guides_requests_are_answered() {
    let server = Server::start("guide-http", SERVER);
    let check = r#"{"ID": "own", "Name": "Own", "TTL": "1h"}"#;
    assert_eq!(server.put("/v1/agent/check/register", check).status, 200);
    for (status, path) in [("passing", "pass"), ("critical", "fail"), ("warning", "warn")] {
        assert_eq!(server.put(&format!("/v1/agent/check/{path}/own"), "").status, 200);
        assert_eq!(server.get("/v1/agent/checks").json()["own"]["Status"], status);
        assert!(wait(|| server.get(&format!("/v1/health/state/{status}")).text().contains("\"own\"")));
    }
    assert!(server.get("/v1/health/state/any").text().contains("serfHealth"));
    assert_eq!(server.get("/v1/status/leader").status, 200);
    assert_eq!(server.get("/v1/status/peers").json().as_array().map(Vec::len), Some(1));
    assert_eq!(server.put("/v1/kv/config/app", "value").text(), "true");
    assert_eq!(server.get("/v1/kv/config/app?raw").text(), "value");
    assert_eq!(server.get("/v1/kv/config?keys").json(), serde_json::json!(["config/app"]));
    let index = server.get("/v1/kv/config/app").json()[0]["ModifyIndex"].clone();
    assert_eq!(server.put(&format!("/v1/kv/config/app?cas={index}"), "next").text(), "true");
    assert_eq!(server.put(&format!("/v1/kv/config/app?cas={index}"), "late").text(), "false");
    assert_eq!(server.ask("DELETE", "/v1/kv/config/app", "").text(), "true");
    assert_eq!(server.get("/v1/kv/config/app?raw").status, 404);
}
