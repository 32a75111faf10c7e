//! More clients than anybody needs: each refused or served as the limits say, memory bounded, and others
//! still answered.

use lictor_tests::http::connect_from;
use lictor_tests::{Connection, Server, process, wait};
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// A client that takes no part in the flood.
const BYSTANDER: [u8; 4] = [127, 0, 0, 77];

fn bystander_is_answered(server: &Server) -> bool {
    let asked = Connection::open_from(BYSTANDER, server.http)
        .and_then(|mut connection| connection.ask("GET", "/v1/status/leader", b""));
    asked.is_ok_and(|answer| answer.status == 200)
}

/// Files that a process of this user may have open.
fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|l| l.strip_prefix("Max open files"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}

#[test]
fn a_client_over_its_connections_is_told_so_and_others_are_not_touched() {
    let server = Server::start(
        "limit",
        r#"{"limits": {"http_max_conns_per_client": 20},
        "telemetry": {"prometheus_retention_time": "60s"}}"#,
    );
    let mut kept: Vec<Connection> = (0..20).map(|_| Connection::open(server.http).expect("open")).collect();
    for connection in &mut kept {
        assert_eq!(connection.ask("GET", "/v1/status/leader", b"").expect("answered").status, 200);
    }
    for _ in 0..5 {
        let mut refusal = String::new();
        let mut over = TcpStream::connect(("127.0.0.1", server.http)).expect("the listener takes it");
        let _ = over.read_to_string(&mut refusal);
        assert!(refusal.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refusal}");
        assert!(refusal.contains("too many concurrent connections"), "{refusal}");
    }
    assert!(bystander_is_answered(&server));
    let told = || server.log().matches("agent.http: connection refused: from=127.0.0.1").count();
    assert!(wait(|| told() == 1), "once, not each time:\n{}", server.log());
    let mut scrape = Connection::open_from(BYSTANDER, server.http).expect("open");
    let counts = scrape.ask("GET", "/v1/agent/metrics?format=prometheus", b"").expect("answered").text();
    assert!(counts.contains("consul_http_conn_refused 5\n"), "{counts}");
    assert_eq!(kept[0].ask("PUT", "/v1/kv/a", b"b").expect("kept ones go on").text(), "true");
    drop(kept);
    assert!(wait(|| Connection::open(server.http)
        .and_then(|mut c| c.ask("GET", "/v1/status/leader", b""))
        .is_ok_and(|r| r.status == 200)));
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_stop_nobody() {
    let mut server = Server::start("idle", "");
    let count = 10_000.min(open_files().saturating_sub(200));
    if count < 10_000 {
        println!("only {count} connections: this user may open {} files", open_files());
    }
    let at_rest = process::memory(server.pid()).unwrap_or(0);
    let mut idle = Vec::new();
    for i in 0..count {
        // A hundred from each address: half of what one client may have.
        let source = [127, 0, 2, (i / 100) as u8 + 1];
        let mut connection = Connection::open_from(source, server.http).expect("a connection");
        if i % 2 == 0 {
            assert_eq!(connection.ask("GET", "/v1/status/leader", b"").expect("answered").status, 200);
        }
        idle.push(connection);
    }
    assert!(bystander_is_answered(&server));
    let now = process::memory(server.pid()).unwrap_or(0);
    println!("{} KiB at rest, {} KiB with {count} idle connections", at_rest >> 10, now >> 10);
    assert!(now <= at_rest + (count as u64) * (64 << 10), "more than 64 KiB for each");
    // One that has been kept is as good as new.
    assert_eq!(idle[0].ask("PUT", "/v1/kv/a", b"b").expect("answered").text(), "true");
    drop(idle);
    assert!(server.runs());
}

#[test]
fn a_flood_of_connections_leaves_it_answering() {
    let mut server = Server::start("flood", "");
    let at_rest = process::memory(server.pid()).unwrap_or(0);
    let over = AtomicBool::new(false);
    let mut answered = 0;
    std::thread::scope(|scope| {
        for flooder in 0..4u8 {
            let (server, over) = (&server, &over);
            scope.spawn(move || {
                let mut held = std::collections::VecDeque::new();
                for _ in 0..1500 {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Ok(stream) = connect_from([127, 0, 4, flooder + 1], server.http) {
                        held.push_back(stream);
                    }
                    if held.len() > 250 {
                        held.pop_front();
                    }
                }
            });
        }
        for _ in 0..50 {
            answered += usize::from(bystander_is_answered(&server));
        }
        over.store(true, Ordering::Relaxed);
    });
    let now = process::memory(server.pid()).unwrap_or(0);
    println!("{answered} of 50 answered meanwhile; {} KiB at rest, {} KiB after", at_rest >> 10, now >> 10);
    assert_eq!(answered, 50, "the bystander was not answered");
    assert!(now <= at_rest + (128 << 20), "memory is not bounded");
    assert_eq!(server.put("/v1/kv/a", "b").text(), "true");
    assert!(server.runs());
}

/// How many blocking queries wait.
fn waiting(server: &Server) -> usize {
    let scrape = server.get("/v1/agent/metrics?format=prometheus").text();
    let points = lictor_tests::prometheus::parse(&scrape).expect("metrics");
    let gauge = points.iter().find(|p| p.name == "consul_rpc_queries_blocking");
    gauge.expect("the gauge").value as usize
}

#[test]
fn parked_reads_of_clients_that_left_are_forgotten() {
    let telemetry = r#"{"telemetry": {"prometheus_retention_time": "60s", "disable_hostname": true}}"#;
    let mut server = Server::start("parked", telemetry);
    server.put("/v1/kv/watched", "1");
    let index = server.get("/v1/kv/watched").index();
    let at_rest = process::memory(server.pid()).unwrap_or(0);
    assert_eq!(waiting(&server), 0);
    for round in 0..10 {
        let mut readers: Vec<_> = (0..100)
            .map(|_| Connection::open_from([127, 0, 5, round + 1], server.http).expect("a connection"))
            .collect();
        for reader in &mut readers {
            let request = format!("GET /v1/kv/watched?index={index}&wait=10m HTTP/1.1\r\nHost: a\r\n\r\n");
            std::io::Write::write_all(reader.raw(), request.as_bytes()).expect("sent");
        }
        assert!(wait(|| waiting(&server) == 100), "{} wait, of 100", waiting(&server));
        drop(readers);
        assert!(wait(|| waiting(&server) == 0), "{} wait for nobody", waiting(&server));
    }
    // The write finds nobody and the server is as light as before.
    assert_eq!(server.put("/v1/kv/watched", "2").text(), "true");
    let now = process::memory(server.pid()).unwrap_or(0);
    println!("{} KiB at rest, {} KiB after 1,000 readers left", at_rest >> 10, now >> 10);
    assert!(now <= at_rest + (64 << 20));
    assert!(server.runs());
}

#[test]
fn large_answers_that_nobody_reads_take_bounded_memory_and_stop_no_small_ones() {
    let mut server = Server::start("unread", "");
    let value = "v".repeat(512 << 10);
    for i in 0..48 {
        assert_eq!(server.put(&format!("/v1/kv/large/{i}"), &value).text(), "true");
    }
    let at_rest = process::memory(server.pid()).unwrap_or(0);
    let ask = |source: [u8; 4]| {
        let mut connection = Connection::open_from(source, server.http).expect("a connection");
        let request = b"GET /v1/kv/large?recurse HTTP/1.1\r\nHost: a\r\n\r\n";
        std::io::Write::write_all(connection.raw(), request).expect("sent");
        // The head says what came; the rest stays where it is.
        let mut head = [0; 12];
        connection.raw().read_exact(&mut head).expect("an answer");
        (connection, head)
    };
    // 32 MiB each.
    let unread: Vec<_> = (0..40).map(|i| ask([127, 0, 6, i / 10 + 1])).collect();
    let count = |status: &[u8]| unread.iter().filter(|(_, head)| &head[9..] == status).count();
    let (taken, refused) = (count(b"200"), count(b"429"));
    let now = process::memory(server.pid()).unwrap_or(0);
    println!("{taken} taken, {refused} refused; {} KiB at rest, {} KiB now", at_rest >> 10, now >> 10);
    assert_eq!(taken + refused, 40);
    assert!(taken >= 10 && refused >= 10, "{taken} taken, {refused} refused");
    assert!(now <= at_rest + (800 << 20), "memory is not bounded");
    assert!(bystander_is_answered(&server));
    assert_eq!(server.get("/v1/kv/large/1?raw").text().len(), 512 << 10);
    drop(unread);
    assert!(wait(|| server.get("/v1/kv/large?recurse").status == 200), "large ones do not resume");
    assert!(server.runs());
}

#[test]
fn a_client_over_its_dns_connections_is_counted_and_told_of_once() {
    let server = Server::start("dns-limit", r#"{"telemetry": {"prometheus_retention_time": "60s"}}"#);
    let _held: Vec<TcpStream> =
        (0..300).filter_map(|_| TcpStream::connect(("127.0.0.1", server.dns)).ok()).collect();
    let counted =
        || server.get("/v1/agent/metrics?format=prometheus").text().contains("consul_dns_conn_refused 44\n");
    assert!(wait(counted), "{}", server.get("/v1/agent/metrics?format=prometheus").text());
    assert_eq!(server.log().matches("agent.dns: connection refused").count(), 1, "{}", server.log());
}
