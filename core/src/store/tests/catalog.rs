//! Nodes, services and checks.

use super::*;
use crate::types::Locality;
use crate::types::status::{CRITICAL, PASSING};
use crate::watch::WatchKey;
use alloc::vec;
use alloc::vec::Vec;

/// Goal: blocking queries wake exactly when Consul's do. Method: the commands given to a live Consul
/// 1.21.5, and the `X-Consul-Index` it then answered for
/// `[nodes, services, checks, node n1, service web, service db, service nope]`.
#[test]
fn indexes_are_those_that_consul_answered() {
    let web = |port| with_service(node("n1", "10.0.0.2"), service("web", "web", port));
    let n2 = || node("n2", "10.0.0.3");
    let c1 = || with_check(node("n1", "10.0.0.2"), check("c1", "web", ""));
    let steps: Vec<(u64, Command, [u64; 7])> = vec![
        (
            11,
            register(with_check(
                with_service(node("real", "127.0.0.1"), service("consul", "consul", 8300)),
                check("serfHealth", "", PASSING),
            )),
            [11, 11, 11, 0, 11, 11, 11],
        ),
        (15, register(node("real", "127.0.0.9")), [15, 11, 11, 0, 15, 15, 15]),
        (18, register(node("n1", "10.0.0.1")), [18, 11, 11, 18, 18, 18, 18]),
        (19, register(node("n1", "10.0.0.1")), [18, 11, 11, 18, 18, 18, 18]),
        (20, register(node("n1", "10.0.0.2")), [20, 11, 11, 20, 20, 20, 20]),
        (21, register(n2()), [21, 11, 11, 20, 21, 21, 21]),
        (22, register(web(80)), [22, 22, 11, 22, 22, 22, 22]),
        (23, register(web(80)), [22, 22, 11, 22, 22, 22, 22]),
        (24, register(with_service(n2(), service("db", "db", 80))), [24, 24, 11, 22, 22, 24, 24]),
        (25, register(c1()), [24, 24, 25, 22, 25, 24, 25]),
        (26, register(c1()), [24, 24, 25, 22, 25, 24, 25]),
        (
            27,
            register(with_check(node("n1", "10.0.0.2"), check("nc", "", PASSING))),
            [24, 24, 27, 22, 27, 24, 27],
        ),
        (28, register(node("n1", "10.0.0.9")), [28, 24, 27, 28, 28, 24, 28]),
        (
            29,
            register(with_service(node("n1", "10.0.0.9"), service("web", "web", 81))),
            [29, 29, 27, 29, 29, 24, 29],
        ),
        (
            31,
            register(with_service(node("n1", "10.0.0.9"), service("web", "web", 82))),
            [31, 31, 27, 31, 31, 24, 31],
        ),
        (32, deregister("n1", "", "c1"), [31, 31, 32, 31, 32, 24, 32]),
        (33, deregister("n1", "", "c1"), [31, 31, 32, 31, 32, 24, 32]),
        (34, deregister("n1", "", "nc"), [31, 34, 34, 31, 34, 24, 34]),
        (35, deregister("n2", "db", ""), [35, 35, 35, 31, 34, 35, 35]),
        (36, deregister("n2", "db", ""), [35, 35, 35, 31, 34, 35, 35]),
        (37, register(with_service(n2(), service("web", "web", 80))), [37, 37, 35, 31, 37, 35, 35]),
        (38, deregister("n2", "web", ""), [38, 38, 38, 31, 38, 35, 35]),
        (
            39,
            register(with_check(with_service(n2(), service("db", "db", 80)), check("c2", "db", ""))),
            [39, 39, 39, 31, 38, 39, 35],
        ),
        (40, deregister("n2", "", ""), [40, 40, 40, 31, 38, 40, 40]),
        (41, deregister("n2", "", ""), [40, 40, 40, 31, 38, 40, 40]),
    ];
    let mut store = Store::default();
    for (index, command, expected) in steps {
        done(&mut store, index, command);
        let s = &store;
        let indexes = [s.nodes_index(), s.services_index(), s.checks_index(), s.node_index("n1")];
        let services = ["web", "db", "nope"].map(|name| s.service_index(name));
        assert_eq!([&indexes[..], &services[..]].concat(), expected, "after {index}");
    }
    assert_eq!(store.node_index("n2"), 40);
}

#[test]
fn checks_do_not_move_the_index_of_instances_that_nobody_has() {
    let mut store = Store::default();
    let web = || with_service(node("n1", "10.0.0.1"), service("web", "web", 80));
    let indexes = |store: &Store| (store.service_instances_index("nope"), store.service_index("nope"));
    done(&mut store, 5, register(web()));
    done(&mut store, 6, register(with_check(web(), check("c1", "web", PASSING))));
    assert_eq!(indexes(&store), (5, 6));
    done(&mut store, 7, deregister("n1", "web", ""));
    done(&mut store, 8, register(web()));
    assert_eq!(indexes(&store), (7, 7), "since a service has died out, only the next such moves them");
}

#[test]
fn another_locality_alone_is_no_change_and_comes_with_the_next_one() {
    let zone = |zone: &str| Some(Locality { region: "r".into(), zone: zone.into() });
    let placed = |address: &str, port, place: &str| {
        let mut service = service("web", "web", port);
        service.locality = zone(place).map(Box::new);
        register(Register { locality: zone(place), ..with_service(node("n1", address), service) })
    };
    let zones = |store: &Store| {
        let node = store.node("n1").and_then(|n| n.locality.clone()).unwrap_or_default().zone;
        let service = store.service("n1", "web").and_then(|s| s.locality.clone()).unwrap_or_default().zone;
        (node, service)
    };
    let mut store = Store::default();
    done(&mut store, 1, placed("10.0.0.1", 80, "a"));
    assert!(done(&mut store, 2, placed("10.0.0.1", 80, "b")).is_empty());
    assert_eq!(zones(&store), ("a".into(), "a".into()));
    done(&mut store, 3, placed("10.0.0.2", 80, "b"));
    assert_eq!(zones(&store), ("b".into(), "a".into()));
    done(&mut store, 4, placed("10.0.0.2", 81, "c"));
    assert_eq!(zones(&store), ("b".into(), "c".into()));
}

#[test]
fn registering_the_same_again_changes_and_touches_nothing() {
    let mut store = Store::default();
    let command = || {
        let r = with_service(node("n1", "10.0.0.1"), service("w1", "web", 80));
        register(with_check(r, check("c1", "w1", PASSING)))
    };
    assert!(!done(&mut store, 1, command()).is_empty());
    let before = store.clone();
    assert!(done(&mut store, 2, command()).is_empty());
    store.applied = 1;
    assert_eq!(store, before);
}

#[test]
fn a_changed_record_keeps_its_creation_index() {
    let mut store = Store::default();
    done(&mut store, 5, register(with_service(node("n1", "10.0.0.1"), service("w1", "web", 80))));
    done(&mut store, 6, register(with_service(node("n1", "10.0.0.2"), service("w1", "web", 81))));
    let (n, s) = (store.node("n1").unwrap(), store.service("n1", "w1").unwrap());
    assert_eq!((n.create_index, n.modify_index, s.create_index, s.modify_index), (5, 6, 5, 6));
}

#[test]
fn names_match_without_regard_to_case_and_keep_their_spelling() {
    let mut store = Store::default();
    done(&mut store, 1, register(with_service(node("Node-A", "10.0.0.1"), service("W1", "Web", 80))));
    let skip = Register { skip_node_update: true, ..node("NODE-a", "") };
    done(&mut store, 2, register(with_service(skip, service("w1", "weB", 81))));
    assert_eq!(&*store.node("node-a").unwrap().node, "Node-A");
    let found: Vec<_> = store.service_instances("WEB").map(|(n, s)| (n.node.clone(), s.clone())).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].1.id, &*found[0].1.service, found[0].1.create_index), ("w1", "weB", 1));
    assert_eq!(store.services().keys().map(|k| &**k).collect::<Vec<_>>(), ["weB"]);
}

#[test]
fn a_living_nodes_name_cannot_be_taken() {
    let mut store = Store::default();
    let alive = with_check(with_id(node("h1", "1.1.1.1"), "A1"), check("serfHealth", "", PASSING));
    done(&mut store, 1, register(alive));
    let text = refused(&mut store, 2, register(with_id(node("H1", "1.1.1.2"), "B2")));
    assert_eq!(
        text,
        "failed inserting node: Error while renaming Node ID: \"B2\": \
         Node name H1 is reserved by node A1 with name h1 (1.1.1.1)"
    );
    done(&mut store, 3, register(with_id(node("h2", "1.1.1.2"), "B2")));
    let text = refused(&mut store, 4, register(with_id(node("h1", "1.1.1.2"), "B2")));
    assert_eq!(
        text,
        "failed inserting node: Error while renaming Node ID: \"B2\" (1.1.1.2): \
         Node name h1 is reserved by node A1 with name h1 (1.1.1.1)"
    );
    assert_eq!(&*store.node_by_id_prefix("b").unwrap().node, "h2");
}

#[test]
fn a_dead_nodes_name_can_be_taken_and_its_services_stay() {
    let mut store = Store::default();
    let r = with_service(with_id(node("k1", "1.1.1.1"), "A1"), service("s", "svc", 1));
    done(&mut store, 1, register(with_check(r, check("serfHealth", "", CRITICAL))));
    done(&mut store, 2, register(with_id(node("k1", "1.1.1.2"), "B2")));
    let n = store.node("k1").unwrap();
    assert_eq!((&*n.id, n.create_index, n.modify_index), ("B2", 1, 2));
    assert_eq!(store.node_services("k1").count(), 1);
    assert!(store.node_by_id_prefix("a1").is_none());
}

#[test]
fn a_node_known_by_its_id_is_renamed_and_leaves_all_else_behind() {
    let mut store = Store::default();
    let r = with_service(with_id(node("k1", "1.1.1.1"), "A1"), service("s", "svc", 1));
    done(&mut store, 1, register(with_check(r, check("c", "s", CRITICAL))));
    let changes = done(&mut store, 2, register(with_id(node("k2", "1.1.1.1"), "a1")));
    assert!(store.node("k1").is_none());
    assert_eq!(store.node("k2").unwrap().create_index, 1);
    assert_eq!(store.checks_in_state("any").len() + store.service_instances("svc").count(), 0);
    for name in ["k1", "k2"] {
        assert!(changes.touches(&WatchKey::Node(name.into())));
    }
    assert!(changes.touches(&WatchKey::Service("svc".into())));
    assert_eq!((store.node_index("k1"), store.service_index("svc")), (2, 2));
}

#[test]
fn a_check_of_an_unknown_service_refuses_the_whole_registration() {
    let mut store = Store::default();
    let r = with_service(node("k5", "1.1.1.4"), service("svc", "svc", 1));
    let text = refused(&mut store, 1, register(with_check(r, check("x", "nope", ""))));
    assert_eq!(text, "Unknown service ID 'nope' for check ID 'x'");
    let other = HealthCheck { node: "other".into(), ..check("x", "", "") };
    let text = refused(&mut store, 2, register(with_check(node("k5", "1.1.1.4"), other)));
    assert_eq!(text, "Node 'other' for check 'x' doesn't match register request node 'k5'");
}

#[test]
fn a_check_takes_status_service_name_and_tags_from_what_it_belongs_to() {
    let mut store = Store::default();
    let tagged = NodeService { tags: ["a".into()].into(), ..service("w1", "web", 80) };
    let r = with_service(node("n1", "10.0.0.1"), tagged);
    done(&mut store, 1, register(with_check(r, check("c1", "w1", ""))));
    let c = store.check("n1", "C1").unwrap();
    assert_eq!((&*c.node, &*c.status, &*c.service_name), ("n1", CRITICAL, "web"));
    assert_eq!(*c.service_tags, [Str::from("a")]);
}

#[test]
fn a_renamed_service_takes_its_checks_along() {
    let mut store = Store::default();
    let r = with_service(node("n1", "10.0.0.1"), service("w1", "web", 80));
    done(&mut store, 1, register(with_check(r, check("c1", "w1", PASSING))));
    let r = with_service(node("n1", "10.0.0.1"), service("w1", "api", 80));
    let changes = done(&mut store, 2, register(r));
    assert!(changes.touches(&WatchKey::Service("web".into())));
    assert!(changes.touches(&WatchKey::Service("api".into())));
    assert_eq!(store.service_checks("web"), vec![]);
    assert_eq!(&*store.service_checks("api")[0].service_name, "api");
    assert_eq!((store.service_index("web"), store.service_index("api")), (2, 2));
}

#[test]
fn an_instance_shows_the_nodes_checks_and_its_own_but_no_others() {
    let mut store = Store::default();
    let mut index = 0;
    for (check_id, service_id) in [("a", "w1"), ("b", "w2"), ("n", ""), ("z", "w1")] {
        index += 1;
        let id = if service_id.is_empty() { "w3" } else { service_id };
        let r = with_service(node("n1", "10.0.0.1"), service(id, "web", 80));
        done(&mut store, index, register(with_check(r, check(check_id, service_id, PASSING))));
    }
    let shown: Vec<_> = store
        .check_service_nodes("web")
        .iter()
        .map(|n| n.checks.iter().map(|c| c.check_id.to_string()).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(shown, ["n a z", "n b", "n"]);
}

#[test]
fn skip_node_update_leaves_a_known_node_alone_and_makes_an_unknown_one() {
    let mut store = Store::default();
    done(&mut store, 1, register(node("n1", "10.0.0.1")));
    done(&mut store, 2, register(Register { skip_node_update: true, ..node("n1", "9.9.9.9") }));
    assert_eq!(&*store.node("n1").unwrap().address, "10.0.0.1");
    done(&mut store, 3, register(Register { skip_node_update: true, ..node("n2", "") }));
    assert!(store.node("n2").is_some());
}

#[test]
fn a_flapping_node_check_touches_every_service_on_the_node() {
    let mut store = Store::default();
    for (index, name) in [(1, "web"), (2, "db")] {
        done(&mut store, index, register(with_service(node("n1", "10.0.0.1"), service(name, name, 80))));
    }
    let r = with_check(node("n1", "10.0.0.1"), check("mem", "", CRITICAL));
    let changes = done(&mut store, 3, register(r));
    assert!(changes.checks && !changes.services && !changes.nodes);
    assert_eq!(changes.service_names.len(), 2);
    assert_eq!((store.service_index("web"), store.service_index("db")), (3, 3));
}
