//! The operator guide's main job without its Python client: nine services from files, 33 over HTTP, and
//! everything that a user then looks at. `tests/clients/main_job.py` does the same with the client.

use lictor_tests::backend::Backend;
use lictor_tests::dns::{A, SRV, ask, ask_tcp};
use lictor_tests::{Server, request, wait};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// The guide names 32 of its 33; the last one here stands in for the unnamed one.
const NAMES: [&str; 33] = [
    "account_service",
    "agent_service",
    "album_service",
    "audit_service",
    "auth_service",
    "authorization_service",
    "billing_service",
    "calendar_service",
    "compliance_service",
    "device_service",
    "event_service",
    "invitation_service",
    "isa-data",
    "location_service",
    "mcp_service",
    "media_service",
    "memory_service",
    "model_service",
    "notification_service",
    "order_service",
    "organization_service",
    "ota_service",
    "payment_service",
    "product_service",
    "session_service",
    "storage_service",
    "task_service",
    "telemetry_service",
    "vault_service",
    "wallet_service",
    "weather_service",
    "web_service",
    "unnamed_service",
];

/// The demo's files on ports of our own, checked every second: the ones in them may be taken, and ten
/// seconds are long.
fn guide(backend: &Backend) -> String {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/demo/");
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(format!("{demo}{name}")).expect("the demo's files are there");
        serde_json::from_str(&text).expect("and JSON")
    };
    let mut config = read("consul.json");
    let mut services = read("grpc-services.json")["services"].take();
    for service in services.as_array_mut().expect("a list") {
        service["port"] = json!(backend.port);
        service["checks"][0]["tcp"] = json!(format!("127.0.0.1:{}", backend.port));
        service["checks"][0]["interval"] = json!("1s");
    }
    config["services"] = services;
    config.to_string()
}

fn passing(server: &Server, name: &str) -> usize {
    server.get(&format!("/v1/health/service/{name}?passing")).json().as_array().map_or(0, Vec::len)
}

fn registered(server: &Server) -> BTreeSet<String> {
    let services = server.get("/v1/catalog/services").json();
    services
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|n| n != "consul")
        .collect()
}

#[test]
fn the_guides_main_job() {
    let backend = Backend::start();
    let mut server = Server::start("main-job", &guide(&backend));
    let from_files = registered_at_last(&server, 9);
    for name in &from_files {
        assert!(wait(|| passing(&server, name) == 1), "{name} does not pass");
    }

    let auth = Backend::start();
    for name in NAMES {
        let port = if name == "auth_service" { auth.port } else { backend.port };
        let body = json!({
            "ID": format!("{name}-1"), "Name": name, "Address": "127.0.0.1", "Port": port,
            "Tags": ["v1", "http"], "Meta": {"api_path": format!("/api/v1/{name}"), "version": "1.0.0"},
            "Check": {"HTTP": format!("http://127.0.0.1:{port}/health"), "Interval": "1s", "Timeout": "3s"},
        });
        assert_eq!(server.put("/v1/agent/service/register", &body.to_string()).status, 200, "{name}");
    }
    registered_at_last(&server, 42);
    for name in NAMES {
        assert!(wait(|| passing(&server, name) == 1), "{name} does not pass");
    }

    let name = "auth_service.service.consul";
    let answer = ask(server.dns, name, SRV).expect("an answer");
    assert_eq!((answer.code, answer.ports()), (0, vec![auth.port]));
    assert_eq!(ask_tcp(server.dns, name, SRV).expect("an answer").ports(), [auth.port]);
    let address = ask(server.dns, name, A).expect("an answer");
    assert_eq!(address.records, [(A, vec![127, 0, 0, 1])]);
    let rfc = ask(server.dns, "_auth_service._v1.service.consul", SRV).expect("an answer");
    assert_eq!(rfc.ports(), [auth.port], "RFC 2782, by tag");
    assert_eq!(ask(server.dns, "nobody.service.consul", A).expect("an answer").code, 3);
    let found = server.get("/v1/catalog/service/auth_service").json();
    assert_eq!(found[0]["ServiceMeta"]["api_path"], "/api/v1/auth_service");

    auth.set_well(false);
    let failed = Instant::now();
    assert!(wait(|| passing(&server, "auth_service") == 0));
    println!("a failing check left ?passing after {:?} (interval 1 s)", failed.elapsed());
    assert!(ask(server.dns, name, SRV).expect("an answer").records.is_empty(), "it is still in DNS");
    let critical = server.get("/v1/health/state/critical").text();
    assert!(critical.contains("auth_service") && critical.contains("503"), "{critical}");
    auth.set_well(true);
    assert!(wait(|| passing(&server, "auth_service") == 1));
    assert_eq!(ask(server.dns, name, SRV).expect("an answer").ports(), [auth.port]);

    wakes_at_once(&server);

    let before = registered(&server);
    let index = server.get("/v1/catalog/services").index();
    server.kill();
    server.launch();
    server.wait_for_leader();
    assert_eq!(registered(&server), before);
    assert!(server.get("/v1/catalog/services").index() >= index, "the index went back");
    assert_eq!(server.get("/v1/kv/config/app?raw").text(), "two");
    assert!(wait(|| before.iter().all(|name| passing(&server, name) == 1)), "not all pass again");

    assert_eq!(server.put("/v1/agent/service/deregister/auth_service-1", "").status, 200);
    assert!(wait(|| ask(server.dns, name, SRV).is_ok_and(|a| a.code == 3)), "it is still in DNS");
    assert_eq!(registered(&server).len(), 41);
}

fn registered_at_last(server: &Server, count: usize) -> BTreeSet<String> {
    assert!(wait(|| registered(server).len() == count), "{:?}", registered(server));
    registered(server)
}

fn wakes_at_once(server: &Server) {
    server.put("/v1/kv/config/app", "one");
    let (port, index) = (server.http, server.get("/v1/kv/config/app").index());
    let reader = std::thread::spawn(move || {
        let answer = request(port, "GET", &format!("/v1/kv/config/app?raw&index={index}&wait=5m"), b"");
        (answer.expect("an answer"), Instant::now())
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!reader.is_finished(), "it does not block");
    let written = Instant::now();
    server.put("/v1/kv/config/app", "two");
    let (answer, woken) = reader.join().expect("it ends");
    assert!(answer.text() == "two" && answer.index() > index);
    println!("a blocking read woke {:?} after the write was sent", woken.saturating_duration_since(written));
}
