//! Metrics as a scraper and as Consul's clients read them.

use lictor_tests::prometheus::{Point, parse};
use lictor_tests::server::{PATIENCE, wait};
use lictor_tests::{Response, Server};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

const GUIDE: &str = r#"{"telemetry": {"prometheus_retention_time": "60s", "disable_hostname": true}}"#;

fn scrape(server: &Server) -> Vec<Point> {
    let answer = server.get("/v1/agent/metrics?format=prometheus");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parse(&answer.text()).unwrap_or_else(|why| panic!("{why}\n{}", answer.text()))
}

fn value(points: &[Point], name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = points.iter().find(|p| p.name == name && p.labels == labels);
    found.unwrap_or_else(|| panic!("no {name} {labels:?}")).value
}

#[test]
fn what_guides_and_dashboards_look_for_is_there_from_the_start() {
    let server = Server::start("metrics-start", GUIDE);
    let points = scrape(&server);
    for name in [
        "consul_raft_leader",
        "consul_raft_state_candidate",
        "consul_raft_state_leader",
        "consul_raft_apply",
        "consul_raft_commitTime_count",
        "consul_raft_leader_lastContact_count",
        "consul_raft_fsm_apply_sum",
        "consul_raft_thread_main_saturation_count",
        "consul_serf_member_status",
        "consul_catalog_service_count",
        "consul_catalog_service_not_found",
        "consul_catalog_register_count",
        "consul_health_service_query_tag",
        "consul_autopilot_healthy",
        "consul_autopilot_failure_tolerance",
        "consul_rpc_request",
        "consul_rpc_request_rate",
        "consul_rpc_query",
        "consul_rpc_query_rate",
        "consul_rpc_queries_blocking",
        "consul_client_rpc_failed",
        "consul_kvs_apply_count",
        "consul_txn_apply_count",
        "consul_acl_ResolveToken_count",
        "consul_dns_domain_query_count",
        "consul_dns_ptr_query_count",
        "consul_members_servers",
        "consul_runtime_alloc_bytes",
        "consul_server_isLeader",
        "consul_state_services",
        "consul_version",
    ] {
        assert!(points.iter().any(|p| p.name == name), "no {name}");
    }
    assert_eq!(value(&points, "consul_raft_leader", &[]), 1.0);
    // `consul` itself, which the leader registers when it has begun to lead.
    assert!(wait(|| value(&scrape(&server), "consul_catalog_service_count", &[]) == 1.0), "{}", server.log());
}

#[test]
fn work_is_counted_where_it_is_done() {
    let server = Server::start("metrics-work", GUIDE);
    server.put("/v1/kv/a", "1");
    server.put("/v1/kv/b", "2");
    server.put("/v1/agent/service/register", r#"{"Name": "web", "Tags": ["blue"]}"#);
    assert!(wait(|| server.get("/v1/health/service/web?tag=blue").text().contains("blue")));
    server.get("/v1/catalog/service/nope");
    ask_dns(server.dns, "web.service.consul");
    let points = scrape(&server);
    assert_eq!(value(&points, "consul_kvs_apply_count", &[]), 2.0);
    assert!(value(&points, "consul_kvs_apply_sum", &[]) > 0.0);
    assert!(value(&points, "consul_raft_apply", &[]) >= 3.0);
    assert!(value(&points, "consul_catalog_register_count", &[]) >= 1.0);
    assert!(value(&points, "consul_raft_fsm_apply_count", &[]) >= 3.0);
    assert_eq!(value(&points, "consul_api_http_count", &[("method", "PUT"), ("path", "v1_kv_")]), 2.0);
    assert!(
        value(&points, "consul_health_service_query_tags", &[("service", "web"), ("tag", "blue")]) >= 1.0
    );
    assert!(value(&points, "consul_health_service_query_tag", &[]) >= 1.0);
    assert_eq!(value(&points, "consul_catalog_service_not_found", &[("service", "nope")]), 1.0);
    assert_eq!(value(&points, "consul_catalog_service_count", &[]), 2.0);
    assert_eq!(value(&points, "consul_state_kv_entries", &[("datacenter", "dc1")]), 2.0);
    assert_eq!(value(&points, "consul_dns_domain_query_count", &[("node", "n1")]), 1.0);
    assert_eq!(value(&points, "consul_dns_query_count", &[("node", "n1"), ("type", "A")]), 1.0);
    // A blocking query counts once it is answered, and is seen while it waits.
    let index = server.get("/v1/kv/a").index();
    let port = server.http;
    let waiter = std::thread::spawn(move || {
        lictor_tests::request(port, "GET", &format!("/v1/kv/a?index={index}&wait=30s"), b"")
    });
    assert!(wait(|| value(&scrape(&server), "consul_rpc_queries_blocking", &[]) == 1.0));
    server.put("/v1/kv/a", "3");
    assert!(waiter.join().expect("the reader ends").is_ok());
    assert_eq!(value(&scrape(&server), "consul_rpc_queries_blocking", &[]), 0.0);
}

/// Asks for addresses and waits for the answer.
fn ask_dns(port: u16, name: &str) {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(lictor_tests::server::PATIENCE)).expect("a timeout");
    socket.send_to(&query, ("127.0.0.1", port)).expect("sent");
    socket.recv(&mut [0; 512]).expect("an answer");
}

#[test]
fn gauges_carry_the_hosts_name_in_json_unless_told_not_to() {
    let server = Server::start("metrics-json", "");
    let json = server.get("/v1/agent/metrics").json();
    assert!(json["Timestamp"].as_str().is_some_and(|t| t.ends_with("0 +0000 UTC")), "{json}");
    let names: Vec<&str> =
        json["Gauges"].as_array().expect("gauges").iter().filter_map(|g| g["Name"].as_str()).collect();
    let alloc = names.iter().find(|n| n.ends_with(".runtime.alloc_bytes")).expect("memory");
    assert!(alloc.starts_with("consul.") && *alloc != "consul.runtime.alloc_bytes", "{alloc}");
    assert!(json["Points"].as_array().is_some_and(Vec::is_empty));
    for group in ["Counters", "Samples"] {
        assert!(json[group].is_array(), "{json}");
    }
}

#[test]
fn without_retention_time_a_scraper_is_told_why_there_is_nothing() {
    let server = Server::start("metrics-off", "");
    let answer: Response = server.get("/v1/agent/metrics?format=prometheus");
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let reason = "Prometheus is not enabled since its retention time is not positive";
    assert_eq!(answer.header("x-consul-reason"), Some(reason));
}

#[test]
fn every_interval_is_streamed_when_it_has_ended() {
    let server = Server::start("metrics-stream", "");
    let mut stream = TcpStream::connect(("127.0.0.1", server.http)).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"GET /v1/agent/metrics/stream HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(!head.iter().any(|line| line.starts_with("Content-Type")), "{head:?}");
    let mut summaries = lines.filter_map(|line| {
        let second =
            line.strip_prefix("    \"Timestamp\": \"")?.split(' ').nth(1)?.rsplit(':').next()?.to_owned();
        second.parse::<u32>().ok()
    });
    let (first, second) = (summaries.next().expect("one"), summaries.next().expect("another"));
    assert_eq!(first % 10, 0);
    assert_eq!((first + 10) % 60, second, "the interval after it");
}
