//! What is too large or too many is refused with Consul's texts, and changes nothing.

mod support;

use lictor_core::config::{Network, RuntimeConfig};
use lictor_core::front::{Front, HttpRequest, MAX_PARKED};
use support::{World, request, text};

#[test]
fn a_value_may_be_as_large_as_the_limit_and_no_larger() {
    let mut world = World::new(|c| c.kv_max_value_size = 10);
    assert_eq!(text(&world.ask("PUT", "/v1/kv/a", "0123456789")), "true");
    let reply = world.ask("PUT", "/v1/kv/a", "0123456789x");
    assert_eq!((reply.status, reply.close), (413, true));
    assert_eq!(
        text(&reply),
        "Request body(11 bytes) too large, max size: 10 bytes. See \
         https://www.consul.io/docs/agent/config/config-files#kv_max_value_size."
    );
    assert_eq!(text(&world.ask("GET", "/v1/kv/a?raw", "")), "0123456789");
}

#[test]
fn a_transaction_may_be_as_large_as_the_larger_of_its_two_limits() {
    let mut world = World::new(|c| (c.kv_max_value_size, c.txn_max_req_len) = (4, 60));
    let txn = |value: &str| format!(r#"[{{"KV":{{"Verb":"set","Key":"t","Value":"{value}"}}}}]"#);
    assert_eq!(world.ask("PUT", "/v1/txn", &txn("MTIzNA==")).status, 200);
    let reply = world.ask("PUT", "/v1/txn", &txn("MTIzNDU="));
    assert_eq!((reply.status, text(&reply)), (413, "Value for key \"t\" is too large (5 > 4 bytes)"));
    let reply = world.ask("PUT", "/v1/txn", &txn("MTIzNDU2Nzg5MDEyMzQ1"));
    assert_eq!(reply.status, 413);
    assert!(text(&reply).ends_with("config-files#txn_max_req_len."), "{}", text(&reply));
}

#[test]
fn what_the_driver_refuses_unread_names_the_same_limits() {
    for (kv, txn) in [(4, 60), (60, 4)] {
        let config =
            RuntimeConfig { kv_max_value_size: kv, txn_max_req_len: txn, ..RuntimeConfig::default() };
        let said = |target| text(&Front::body_too_large(target, 99, 80, &config)).to_owned();
        assert!(said("/v1/txn").contains("max size: 60 bytes"), "{}", said("/v1/txn"));
        assert!(said("/v1/kv/a").contains(&format!("max size: {kv} bytes")), "{}", said("/v1/kv/a"));
        assert!(said("/v1/agent/self").contains("max size: 80 bytes"));
    }
}

#[test]
fn one_front_parks_so_many_reads_and_refuses_the_next_while_writes_go_on() {
    let mut world = World::new(|_| {});
    for _ in 0..MAX_PARKED {
        world.park("/v1/kv/a?index=99999");
    }
    assert_eq!(world.ask("GET", "/v1/kv/a?index=99999", "").status, 429);
    assert_eq!(world.ask("GET", "/v1/kv/a", "").status, 404);
    assert_eq!(world.ask("PUT", "/v1/kv/b", "1").status, 200);
}

#[test]
fn a_blocked_endpoint_answers_nobody_and_writes_come_only_from_where_they_may() {
    let mut world = World::new(|c| {
        c.http.block_endpoints = vec!["/v1/kv/secret".into()];
        c.http.allow_write_http_from = vec![Network { address: "10.0.0.0".parse().unwrap(), length: 8 }];
    });
    for method in ["GET", "PUT", "OPTIONS", "POST"] {
        let reply = world.ask(method, "/v1/kv/%73ecrets", "");
        assert_eq!(
            (reply.status, text(&reply)),
            (403, "Endpoint is blocked by agent configuration"),
            "{method}"
        );
    }
    let socket = HttpRequest { remote: None, ..request("PUT", "/v1/kv/a", "x") };
    let (_, replies) = world.send(socket);
    assert_eq!(replies[0].1.status, 500, "nobody knows who comes over a unix socket");
    let mut from = |client: &str, method: &str| {
        let client = client.parse().expect("an address");
        let (_, replies) =
            world.send(HttpRequest { remote: Some(client), ..request(method, "/v1/kv/a", "x") });
        (replies[0].1.status, text(&replies[0].1).to_owned())
    };
    let refused = (403, "Access is restricted".to_owned());
    assert_eq!(from("127.0.0.1:1", "PUT"), refused);
    assert_eq!(from("[::1]:1", "DELETE"), refused);
    assert_eq!(from("127.0.0.1:1", "POST").0, 405, "no such method is no write");
    assert_eq!(from("127.0.0.1:1", "GET").0, 404);
    assert_eq!(from("10.9.9.9:1", "PUT"), (200, "true".to_owned()));
    assert_eq!(from("[::ffff:10.9.9.9]:1", "PUT"), (200, "true".to_owned()));
}
