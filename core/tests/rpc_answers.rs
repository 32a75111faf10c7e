//! RPC calls as our server answers them: a real agent's calls beside a real server's answers, what comes
//! back of what was registered, and waiting.

#[path = "support/recorded.rs"]
mod recorded;
mod support;

use bytes::Bytes;
use lictor_core::Str;
use lictor_core::rpc::message::{AnswerHead, CallHead};
use lictor_core::time::Duration;
use lictor_core::wire::{Tree, msgpack};
use proptest::prelude::*;
use recorded::{by_stream, connections, messages};
use std::collections::BTreeMap;
use support::World;

fn text(text: &str) -> Tree {
    Tree::Raw(text.into())
}

fn map(pairs: &[(&str, Tree)]) -> Tree {
    Tree::Map(pairs.iter().map(|(name, value)| (text(name), value.clone())).collect())
}

fn encode(tree: &Tree) -> Bytes {
    msgpack::to_vec(tree).into()
}

fn decode(bytes: &[u8]) -> Tree {
    msgpack::from_slice(bytes).expect("msgpack")
}

/// What Go reads as the zero value: nil stands for it.
fn is_zero(tree: &Tree) -> bool {
    match tree {
        Tree::Nil | Tree::Bool(false) | Tree::UInt(0) => true,
        Tree::Raw(raw) => raw.is_empty(),
        Tree::Map(pairs) => !pairs.is_empty() && pairs.iter().all(|(_, value)| is_zero(value)),
        _ => false,
    }
}

/// What is not the same in both, as paths. Indexes are counted by other events in another server, and the
/// fields of editions that are not built may be absent.
fn differences(consul: &Tree, ours: &Tree, path: &str, found: &mut Vec<String>) {
    let own = ["Index", "CreateIndex", "ModifyIndex"].iter().any(|name| path.ends_with(name));
    match (consul, ours) {
        (Tree::UInt(_), Tree::UInt(_)) if own => {}
        // The ID of a session is random.
        (Tree::Raw(a), Tree::Raw(b)) if a.len() == 36 && b.len() == 36 && path.contains("Session.") => {}
        (Tree::Map(a), Tree::Map(b)) => {
            for (name, value) in a {
                let name = name.as_str().expect("a name");
                match ours.get(name) {
                    Some(ours) => differences(value, ours, &format!("{path}.{name}"), found),
                    None if name == "Partition" => {}
                    None => found.push(format!("{path}.{name} is missing")),
                }
            }
            for (name, _) in b {
                let name = name.as_str().expect("a name");
                if consul.get(name).is_none() {
                    found.push(format!("{path}.{name} is not Consul's"));
                }
            }
        }
        (Tree::Array(a), Tree::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{path}[{at}]"), found);
            }
        }
        (consul @ Tree::Map(_), Tree::Nil) if is_zero(consul) => {}
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: {a:?} and ours {b:?}")),
    }
}

#[test]
fn a_consul_agent_gets_the_answers_that_a_consul_server_gave() {
    let connections = connections();
    let calls: BTreeMap<u64, (String, Bytes)> = by_stream(&connections[1], true, 4096)
        .values()
        .flat_map(|stream| messages::<CallHead>(stream))
        .map(|(head, body)| (head.seq, (head.service_method, body)))
        .collect();
    let answers: BTreeMap<u64, (String, Bytes)> = by_stream(&connections[1], false, 4096)
        .values()
        .flat_map(|stream| messages::<AnswerHead>(stream))
        .map(|(head, body)| (head.seq, (head.error, body)))
        .collect();
    let mut world = World::new(|config| {
        config.node_name = Str::from("srv1");
        config.datacenter = Str::from("dc1");
    });
    let mut found = Vec::new();
    for (seq, (method, arguments)) in calls {
        if seq == 4 {
            // The leader had seen the agent join.
            let member = map(&[
                ("Node", text("cli1")),
                ("SkipNodeUpdate", Tree::Bool(true)),
                (
                    "Check",
                    map(&[
                        ("Node", text("cli1")),
                        ("CheckID", text("serfHealth")),
                        ("Name", text("Serf Health Status")),
                        ("Status", text("passing")),
                        ("Output", text("Agent alive and reachable")),
                    ]),
                ),
            ]);
            world.called("Catalog.Register", encode(&member)).expect("registered");
        }
        let (error, answer) = &answers[&seq];
        let ours = world.called(&method, arguments);
        if method == "Internal.EventFire" {
            assert_eq!(ours, Err("gossip is off on this agent".to_owned()));
            continue;
        }
        match ours {
            Ok(ours) if error.is_empty() => {
                differences(&decode(answer), &decode(&ours), &format!("{seq} {method}"), &mut found);
            }
            Ok(_) => panic!("{seq} {method} should fail: {error}"),
            Err(ours) => assert_eq!(ours, *error, "{seq} {method}"),
        }
    }
    // Of the server's own node: versions, and addresses that it was not told of.
    found.retain(|difference| !difference.contains("Nodes[1]"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_read_waits_for_news_of_what_it_asks_for_and_no_longer_than_it_says() {
    let mut world = World::new(|_| {});
    let get = |index: u64, time: u64| {
        encode(&map(&[
            ("Key", text("k")),
            ("MinQueryIndex", Tree::UInt(index)),
            ("MaxQueryTime", Tree::UInt(time)),
        ]))
    };
    let set = |key: &str, value: &str| {
        let entry = map(&[("Key", text(key)), ("Value", text(value))]);
        encode(&map(&[("Op", text("set")), ("DirEnt", entry)]))
    };
    world.called("KVS.Apply", set("k", "1")).expect("written");
    let first = decode(&world.called("KVS.Get", get(0, 0)).expect("answered at once"));
    let Some(Tree::UInt(index)) = first.get("Index").cloned() else { panic!("{first:?}") };

    let waits = world.call("KVS.Get", get(index, 0));
    world.called("KVS.Apply", set("other", "1")).expect("written");
    assert!(world.answers.is_empty(), "woken for another key");
    let write = world.call("KVS.Apply", set("k", "2"));
    let answered: Vec<_> = world.answers.drain(..).map(|(req, _)| req).collect();
    assert!(answered.contains(&waits) && answered.contains(&write), "{answered:?}");

    // Ten seconds, and at most a sixteenth more.
    let waits = world.call("KVS.Get", get(1 << 40, 10_000_000_000));
    world.advance(Duration::from_millis(9_990));
    assert!(world.answers.is_empty());
    world.advance(Duration::from_millis(640));
    assert_eq!(world.answers.pop().map(|(req, _)| req), Some(waits));

    // No time given: five minutes.
    world.call("KVS.Get", get(1 << 40, 0));
    world.advance(Duration::from_secs(299));
    assert!(world.answers.is_empty());
    world.advance(Duration::from_secs(20));
    assert_eq!(world.answers.len(), 1);
}

#[test]
fn the_user_interface_gets_whole_nodes_and_services() {
    let mut world = World::new(|_| {});
    let register = map(&[
        ("Node", text("a")),
        ("Address", text("10.0.0.1")),
        ("Service", map(&[("Service", text("web"))])),
    ]);
    world.called("Catalog.Register", encode(&register)).expect("registered");
    let mut list = |method: &str, field: &str| {
        let node = encode(&map(&[("Node", text("a"))]));
        let answer = decode(&world.called(method, node).expect("answered"));
        match answer.get(field) {
            Some(Tree::Array(items)) => items.clone(),
            other => panic!("{method}: {other:?}"),
        }
    };
    assert!(list("Catalog.ServiceList", "Services").contains(&map(&[("Name", text("web"))])));
    let nodes = list("Internal.NodeInfo", "Dump");
    let Some(Tree::Array(services)) = nodes[0].get("Services") else { panic!("{nodes:?}") };
    assert_eq!(services[0].get("Service"), Some(&text("web")));
    assert!(list("Internal.NodeDump", "Dump").contains(&nodes[0]));
    let web = |entry: &Tree| entry.get("Service").and_then(|s| s.get("ID")) == Some(&text("web"));
    assert!(list("Internal.ServiceDump", "Nodes").iter().any(web));
}

#[test]
fn the_overview_counts_the_unhealthiest_check_of_each_node_and_instance() {
    let mut world = World::new(|_| {});
    let check = |id: &str, service: &str, status: &str| {
        map(&[
            ("Node", text("a")),
            ("CheckID", text(id)),
            ("Name", text("alive")),
            ("ServiceID", text(service)),
            ("Status", text(status)),
        ])
    };
    let register = map(&[
        ("Node", text("a")),
        ("Address", text("10.0.0.1")),
        ("Service", map(&[("Service", text("web"))])),
        (
            "Checks",
            Tree::Array(vec![
                check("1", "web", "critical"),
                check("2", "web", "warning"),
                check("3", "", "warning"),
            ]),
        ),
    ]);
    world.called("Catalog.Register", encode(&register)).expect("registered");
    let overview = decode(&world.called("Internal.CatalogOverview", encode(&map(&[]))).expect("answered"));
    let of = |what: &str, name: &str| {
        let Some(Tree::Array(all)) = overview.get(what) else { panic!("{overview:?}") };
        let found = all.iter().find(|entry| entry.get("Name") == Some(&text(name))).expect("counted");
        ["Total", "Passing", "Warning", "Critical"].map(|count| match found.get(count) {
            Some(Tree::UInt(n)) => *n,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(of("Services", "web"), [1, 0, 0, 1]);
    assert_eq!(of("Checks", "alive"), [3, 0, 2, 1]);
    let [nodes, passing, warning, critical] = of("Nodes", "");
    assert_eq!((warning, critical), (1, 0), "a node's own checks decide");
    assert_eq!(nodes, passing + 1);
}

#[test]
fn prepared_queries_are_written_read_and_executed() {
    let mut world = World::new(|_| {});
    let mut said = |method: &str, fields: &[(&str, Tree)]| {
        world.call(&format!("PreparedQuery.{method}"), encode(&map(fields)));
        let (_, reply) = world.answers.pop().expect("answered");
        reply.result.map(|bytes| decode(&bytes))
    };
    let refused = |answer: Result<Tree, String>| answer.expect_err("refused");
    let list = said("List", &[("Datacenter", text("dc1"))]).expect("a list");
    assert_eq!((list.get("Queries"), list.get("Index")), (Some(&Tree::Nil), Some(&Tree::UInt(1))));
    for method in ["Execute", "Explain"] {
        assert_eq!(refused(said(method, &[("QueryIDOrName", text("q"))])), "Query not found");
    }
    assert_eq!(refused(said("Execute", &[])), "Missing Query ID");
    let short = "failed prepared query lookup: index error: UUID must be 36 characters";
    assert_eq!(refused(said("Get", &[("QueryID", text("q"))])), short);

    let service = map(&[("Service", text("consul"))]);
    let query = |id: &str| map(&[("ID", text(id)), ("Name", text("q")), ("Service", service.clone())]);
    let refusal = refused(said("Apply", &[("Op", text("create")), ("Query", query("x"))]));
    assert_eq!(refusal, "ID must be empty when creating a new prepared query");
    let id = said("Apply", &[("Op", text("create")), ("Query", query(""))]).expect("created");
    let id = id.as_str().expect("an ID").to_owned();
    assert_eq!(id.len(), 36);
    let got = said("Get", &[("QueryID", text(&id))]).expect("found");
    let Some(Tree::Array(queries)) = got.get("Queries") else { panic!("{got:?}") };
    assert_eq!(queries[0].get("Name"), Some(&text("q")));
    let explained = said("Explain", &[("QueryIDOrName", text("Q"))]).expect("found");
    assert_eq!(explained.get("Query").and_then(|query| query.get("ID")), Some(&text(&id)));
    for (method, what) in
        [("Execute", ("QueryIDOrName", text("q"))), ("ExecuteRemote", ("Query", query(&id)))]
    {
        let found = said(method, &[what]).expect("executed");
        assert_eq!(found.get("Datacenter"), Some(&text("dc1")), "{method}");
        let Some(Tree::Array(nodes)) = found.get("Nodes") else { panic!("{found:?}") };
        assert!(nodes[0].get("Node").is_some() && nodes[0].get("Checks").is_some());
    }
    let gone = said("Apply", &[("Op", text("delete")), ("Query", query(&id))]);
    assert_eq!(gone, Ok(text(&id)));
    assert_eq!(refused(said("Get", &[("QueryID", text(&id))])), "Query not found");
}

#[test]
fn what_is_not_built_says_so_and_the_stream_goes_on() {
    let mut world = World::new(|_| {});
    let mut said = |method: &str, field: &str, value: &str| {
        world.call(method, encode(&map(&[(field, text(value))])));
        let (_, reply) = world.answers.pop().expect("answered");
        assert!(!reply.close, "{method}");
        reply.result.map(|bytes| decode(&bytes))
    };
    let none = |answer: Result<Tree, String>, field: &str| {
        let answer = answer.expect("answered");
        assert_eq!((answer.get(field), answer.get("Index")), (Some(&Tree::Nil), Some(&Tree::UInt(1))));
    };
    none(said("Internal.GatewayServiceDump", "ServiceName", "gate"), "Dump");
    let topology = said("Internal.ServiceTopology", "ServiceName", "web").expect("answered");
    assert_eq!(topology.get("ServiceTopology").and_then(|t| t.get("Upstreams")), Some(&Tree::Nil));
    for method in ["Internal.GatewayServiceDump", "Internal.ServiceTopology"] {
        assert!(said(method, "ServiceName", "").is_err(), "{method}");
    }
}

#[test]
fn arguments_that_are_none_are_refused_and_end_the_stream() {
    let mut world = World::new(|_| {});
    for arguments in [&b"\x07"[..], b"\xc1", b"\x81\xa4Node\x07"] {
        world.call("Catalog.NodeServices", Bytes::copy_from_slice(arguments));
        let (_, reply) = world.answers.pop().expect("answered");
        assert!(reply.close && reply.result.is_err(), "{reply:?}");
    }
}

fn words() -> impl Strategy<Value = Tree> {
    prop_oneof![
        Just(Tree::Nil),
        Just(Tree::Array(vec![])),
        prop::collection::vec("[a-zA-Z]{1,5}", 1..4)
            .prop_map(|words| Tree::Array(words.iter().map(|word| text(word)).collect())),
    ]
}

/// A map as Go's struct decoder sees it: by name, in order.
fn pairs(values: impl Strategy<Value = Tree> + 'static) -> impl Strategy<Value = Tree> {
    prop_oneof![
        Just(Tree::Nil),
        Just(Tree::Map(vec![])),
        prop::collection::btree_map("[a-z-]{1,6}", values, 1..4)
            .prop_map(|map| Tree::Map(map.iter().map(|(name, value)| (text(name), value.clone())).collect())),
    ]
}

fn string() -> impl Strategy<Value = Tree> {
    "[a-z0-9. é]{0,8}".prop_map(|s| text(&s))
}

prop_compose! {
    fn service()(
        tags in words(), meta in pairs(string()), address in "[a-z]{0,4}", socket in "[a-z/]{0,4}",
        tagged in pairs((1u64..9).prop_map(|port| map(&[("Address", text("x")), ("Port", Tree::UInt(port))]))),
        port in 0u64..65536, (passing, warning) in (1u64..9, 0u64..9), over in any::<bool>(),
        kind in prop_oneof![Just(""), Just("connect-proxy")], sidecar in any::<bool>(),
        config in pairs(prop_oneof![string(), Just(Tree::Bool(true)), Just(Tree::Float(0.5))]),
        locality in prop_oneof![
            Just(Tree::Nil),
            Just(map(&[("Region", text("eu")), ("Zone", text("a"))])),
        ],
    ) -> Vec<(&'static str, Tree)> {
        vec![
            ("ID", text("web1")), ("Service", text("web")), ("Kind", text(kind)), ("Tags", tags),
            ("Meta", meta), ("Address", text(&address)), ("SocketPath", text(&socket)),
            ("TaggedAddresses", tagged), ("Port", Tree::UInt(port)),
            ("Weights", map(&[("Passing", Tree::UInt(passing)), ("Warning", Tree::UInt(warning))])),
            ("EnableTagOverride", Tree::Bool(over)), ("LocallyRegisteredAsSidecar", Tree::Bool(sidecar)),
            ("Proxy", map(&[("DestinationServiceName", text("x")), ("Config", config)])),
            ("Connect", map(&[("Native", Tree::Bool(over)), ("PeerMeta", Tree::Nil)])),
            ("Locality", locality), ("PeerName", text("")),
        ]
    }
}

prop_compose! {
    fn check()(
        status in prop_oneof![Just("passing"), Just("warning"), Just("critical")], output in string(),
        notes in string(), kind in prop_oneof![Just("ttl"), Just("http")], interval in "[0-9]s",
        timeout in "[0-9]s", port in 0u64..9, of_service in any::<bool>(),
    ) -> (bool, Vec<(&'static str, Tree)>) {
        (of_service, vec![
            ("Node", text("agent1")), ("CheckID", text("c1")), ("Name", text("a check")),
            ("Status", text(status)), ("Output", output), ("Notes", notes), ("Type", text(kind)),
            ("Interval", text(&interval)), ("Timeout", text(&timeout)), ("ExposedPort", Tree::UInt(port)),
            ("ServiceID", text(if of_service { "web1" } else { "" })),
            ("ServiceName", text(if of_service { "web" } else { "" })), ("PeerName", text("")),
        ])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Agents register anew what differs from what they hold, nil from empty included.
    #[test]
    fn what_an_agent_registers_comes_back_field_for_field(
        first in service(), service in service(), (of_service, check) in check(),
    ) {
        let mut world = World::new(|_| {});
        for service in [&first, &service] {
            let register = map(&[
                ("Node", text("agent1")),
                ("Address", text("10.0.0.1")),
                ("Service", map(service)),
                ("Check", map(&check)),
            ]);
            world.called("Catalog.Register", encode(&register)).expect("registered");
        }
        let own = encode(&map(&[("Node", text("agent1"))]));
        let services = decode(&world.called("Catalog.NodeServiceList", own.clone()).expect("answered"));
        let Some(Tree::Array(services)) = services.get("NodeServices").and_then(|n| n.get("Services")) else {
            panic!("{services:?}")
        };
        for (name, value) in &service {
            prop_assert_eq!(services[0].get(name), Some(value), "{}", name);
        }
        let checks = decode(&world.called("Health.NodeChecks", own).expect("answered"));
        let Some(Tree::Array(checks)) = checks.get("HealthChecks") else { panic!("{checks:?}") };
        let tags = service.iter().find(|(name, _)| *name == "Tags").map(|(_, tags)| tags.clone());
        for (name, value) in &check {
            prop_assert_eq!(checks[0].get(name), Some(value), "{}", name);
        }
        let expected = if of_service { tags } else { Some(Tree::Nil) };
        prop_assert_eq!(checks[0].get("ServiceTags").cloned(), expected);
    }
}
