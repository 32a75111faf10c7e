//! What is too large or too many is refused with Consul's texts, and changes nothing.

mod support;

use lictor_core::config::RuntimeConfig;
use lictor_core::front::{Front, MAX_PARKED};
use support::{World, text};

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
