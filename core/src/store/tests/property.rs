//! Random commands against the naive twin: contents, answers, indexes, change sets, snapshots.

use super::twin::{Refused, Twin};
use super::*;
use crate::command::{CatalogVerb, QueryCommand, ReapTombstones, SessionCommand, SessionOp, Txn, TxnOp};
use crate::types::{NAME_PREFIX_MATCH, Node, PreparedQuery};
use crate::watch::WatchKey;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const NODES: [&str; 3] = ["a", "A", "b"];
const SERVICES: [&str; 3] = ["web", "Web", "db"];
const KEYS: [&str; 5] = ["", "k", "k/", "k/a", "l"];

fn one_of<const N: usize>(words: [&'static str; N]) -> impl Strategy<Value = Str> {
    prop::sample::select(Vec::from(words)).prop_map(Str::from)
}

fn a_service() -> impl Strategy<Value = NodeService> {
    let tags = prop::sample::select(vec![vec![], vec!["x"], vec!["x", "y"]]);
    (one_of(["s1", "S1", "s2"]), one_of(SERVICES), 0..2i64, tags).prop_map(|(id, name, port, tags)| {
        NodeService { id, tags: tags.into_iter().map(Str::from).collect(), ..service("", &name, port) }
    })
}

fn a_check() -> impl Strategy<Value = HealthCheck> {
    let id = one_of(["c1", "C1", "c2", "serfHealth"]);
    let status = one_of(["", "passing", "critical"]);
    let node = prop_oneof![4 => Just(Str::from("")), 1 => one_of(NODES)];
    (id, one_of(["", "s1", "s2"]), status, node)
        .prop_map(|(id, service_id, status, node)| HealthCheck { node, ..check(&id, &service_id, &status) })
}

fn a_registration() -> impl Strategy<Value = Register> {
    let head = (one_of(NODES), one_of(["", "i1", "I1", "i2"]), one_of(["1.1.1.1", "1.1.1.2"]));
    let skip = prop::bool::weighted(0.2);
    (
        head,
        prop::option::of(a_service()),
        prop::option::of(a_check()),
        prop::collection::vec(a_check(), 0..2),
        skip,
    )
        .prop_map(|((name, id, address), service, check, checks, skip_node_update)| Register {
            service,
            check,
            checks,
            skip_node_update,
            ..with_id(node(&name, &address), &id)
        })
}

fn a_kv_command(ops: Vec<KvOp>) -> impl Strategy<Value = KvCommand> {
    let value = prop::sample::select(vec!["", "v", "w"]);
    (prop::sample::select(ops), one_of(KEYS), value, 0..2u64, one_of(["", "s", "S", "t"]), 0..20u64).prop_map(
        |(op, key, value, flags, session, modify_index)| KvCommand {
            op,
            dir_ent: KvEntry { flags, session, modify_index, ..entry(&key, value) },
        },
    )
}

fn an_op() -> impl Strategy<Value = TxnOp> {
    use CatalogVerb::{Cas, Delete, DeleteCas, Get, Set};
    let verb = || prop::sample::select(vec![Get, Set, Set, Cas, Delete, DeleteCas]);
    let ops = vec![
        KvOp::Set,
        KvOp::Cas,
        KvOp::Lock,
        KvOp::Unlock,
        KvOp::Get,
        KvOp::GetOrEmpty,
        KvOp::GetTree,
        KvOp::CheckIndex,
        KvOp::CheckSession,
        KvOp::CheckNotExists,
        KvOp::Delete,
        KvOp::DeleteTree,
        KvOp::DeleteCas,
    ];
    let a_node = (one_of(NODES), one_of(["", "i1", "i2"]), 0..20u64)
        .prop_map(|(node, id, modify_index)| Box::new(Node { node, id, modify_index, ..Node::default() }));
    let check = (a_check(), one_of(NODES), 0..20u64)
        .prop_map(|(check, node, modify_index)| Box::new(HealthCheck { node, modify_index, ..check }));
    let service = (a_service(), 0..20u64)
        .prop_map(|(service, modify_index)| Box::new(NodeService { modify_index, ..service }));
    prop_oneof![
        4 => a_kv_command(ops).prop_map(TxnOp::Kv),
        1 => (verb(), a_node).prop_map(|(verb, node)| TxnOp::Node(verb, node)),
        2 => (verb(), one_of(NODES), service).prop_map(|(verb, node, s)| TxnOp::Service(verb, node, s)),
        2 => (verb(), check).prop_map(|(verb, check)| TxnOp::Check(verb, check)),
    ]
}

fn a_session() -> impl Strategy<Value = SessionCommand> {
    let op = prop::sample::select(vec![SessionOp::Create, SessionOp::Create, SessionOp::Destroy]);
    let checks =
        prop::sample::select(vec![None, Some(vec![]), Some(vec!["C1"]), Some(vec!["c2", "serfHealth"])]);
    (op, one_of(["s", "S", "t", ""]), one_of(NODES), one_of(["", "release", "delete"]), checks).prop_map(
        |(op, id, node, behavior, checks)| {
            let node_checks = checks.map(|ids| ids.into_iter().map(Str::from).collect());
            let lock_delay = 15_000_000_000;
            let session = Session { id, node, behavior, node_checks, lock_delay, ..Session::default() };
            SessionCommand { datacenter: Str::new(), op, session }
        },
    )
}

const IDS: [&str; 3] = [
    "00000000-0000-0000-0000-00000000000a",
    "00000000-0000-0000-0000-00000000000A",
    "00000000-0000-0000-0000-00000000000b",
];
const QUERIES: [&str; 6] = ["", "a", "A", "ab", "abc", "00000000-0000-0000-0000-00000000000b"];

fn a_query() -> impl Strategy<Value = QueryCommand> {
    let op = prop::sample::select(vec!["create", "update", "delete"]);
    let session = prop_oneof![8 => Just(Str::from("")), 1 => Just(Str::from("s"))];
    (op, one_of(IDS), one_of(QUERIES), any::<bool>(), session).prop_map(
        |(op, id, name, template, session)| {
            let mut query = PreparedQuery { id, name, session, ..PreparedQuery::default() };
            query.service.service = "web-${name.suffix}".into();
            if template {
                query.template.kind = NAME_PREFIX_MATCH.into();
            }
            QueryCommand { datacenter: "dc1".into(), op: op.into(), query }
        },
    )
}

/// Any command, over so few names that commands meet.
pub(super) fn command() -> impl Strategy<Value = Command> {
    let ops = vec![
        KvOp::Set,
        KvOp::Set,
        KvOp::Cas,
        KvOp::Lock,
        KvOp::Unlock,
        KvOp::Get,
        KvOp::Delete,
        KvOp::DeleteTree,
        KvOp::DeleteCas,
    ];
    let gone = (one_of(NODES), one_of(["", "s1", "s2"]), one_of(["", "c1", "c2", "serfHealth"]));
    prop_oneof![
        8 => a_registration().prop_map(register),
        3 => gone.prop_map(|(node, service, check)| deregister(&node, &service, &check)),
        5 => a_kv_command(ops).prop_map(Command::Kv),
        1 => (0..20u64).prop_map(|reap_index| Command::ReapTombstones(ReapTombstones { reap_index })),
        3 => prop::collection::vec(an_op(), 0..5).prop_map(|ops| Command::Txn(Txn { ops })),
        3 => a_session().prop_map(|c| Command::Session(Box::new(c))),
        4 => a_query().prop_map(|query| Command::PreparedQuery(Box::new(query))),
    ]
}

/// Everything that reads under each watch key answer, contents and index, as text. The index of what does
/// not exist is left out: Consul raises it for changes that do not concern the reader.
fn answers(s: &Store) -> Vec<(WatchKey, String, String)> {
    let mut all = vec![
        (WatchKey::Nodes, format!("{:?}", s.nodes().collect::<Vec<_>>()), format!("{}", s.nodes_index())),
        (WatchKey::Services, format!("{:?}", s.services()), format!("{}", s.services_index())),
        (WatchKey::Checks, format!("{:?}", s.checks_in_state("any")), format!("{}", s.checks_index())),
    ];
    for state in ["passing", "warning", "critical"] {
        all.push((WatchKey::State(state.into()), format!("{:?}", s.checks_in_state(state)), String::new()));
    }
    let queries = format!("{:?}", s.queries().collect::<Vec<_>>());
    all.push((WatchKey::Queries, queries, format!("{}", s.queries_index())));
    for name in ["web", "db"] {
        let instances = s.check_service_nodes(name);
        let index = if instances.is_empty() { 0 } else { s.service_index(name) };
        let contents = format!("{instances:?} {:?}", s.service_checks(name));
        all.push((WatchKey::Service(name.into()), contents, format!("{index}")));
    }
    for name in ["a", "b"] {
        let services: Vec<_> = s.node_services(name).collect();
        let checks: Vec<_> = s.node_checks(name).collect();
        let index = s.node(name).map_or(0, |_| s.node_index(name));
        let contents = format!("{:?} {services:?} {checks:?}", s.node(name));
        all.push((WatchKey::Node(name.into()), contents, format!("{index}")));
    }
    let shown = |sessions: Vec<&Session>| format!("{sessions:?}");
    let index = format!("{}", s.sessions_index());
    all.push((WatchKey::Sessions, shown(s.sessions().map(|s| &**s).collect()), index));
    for name in ["a", "b"] {
        let of_node = shown(s.node_sessions(name).map(|s| &**s).collect());
        all.push((WatchKey::NodeSessions(name.into()), of_node, String::new()));
    }
    all.push((WatchKey::Session("s".into()), format!("{:?}", s.session("s")), String::new()));
    for key in KEYS {
        all.push((WatchKey::Kv(key.into()), format!("{:?}", s.kv(key)), String::new()));
        let entries: Vec<_> = s.kv_prefix(key).collect();
        let index = if entries.is_empty() { 0 } else { s.kv_prefix_index(key) };
        all.push((WatchKey::KvPrefix(key.into()), format!("{entries:?}"), format!("{index}")));
    }
    all
}

fn equal(s: &Store, t: &Twin) -> Result<(), TestCaseError> {
    prop_assert!(s.nodes().map(|n| &**n).eq(t.nodes.values()), "{:?}\n{:?}", s.nodes, t.nodes);
    prop_assert!(
        s.services.values().map(|x| &**x).eq(t.services.values()),
        "{:?}\n{:?}",
        s.services,
        t.services
    );
    prop_assert!(s.checks.values().map(|x| &**x).eq(t.checks.values()), "{:?}\n{:?}", s.checks, t.checks);
    prop_assert!(s.kv_prefix("").map(|x| &**x).eq(t.kv.values()), "{:?}\n{:?}", s.kv, t.kv);
    let stones: Vec<_> = s.tombstones.iter().map(|(k, v)| (&**k, *v)).collect();
    prop_assert_eq!(stones, t.tombstones.iter().map(|(k, v)| (&**k, *v)).collect::<Vec<_>>());

    let mut queries: Vec<_> = t.queries.0.iter().collect();
    queries.sort_by_key(|query| query.id.to_lowercase());
    prop_assert!(s.queries().map(|query| &**query).eq(queries), "{:?}\n{:?}", s.queries, t.queries);
    prop_assert_eq!(s.queries_index(), t.queries.1);
    for name in QUERIES.iter().chain(&IDS).filter(|name| !name.is_empty()) {
        let found = s.resolve_query(name, "");
        let expected = t.resolve(name);
        // A template is not to be had by its ID.
        let by_id = |query: &&PreparedQuery| query.id.eq_ignore_ascii_case(name) && query.is_template();
        let expected = expected.filter(|query| !by_id(query));
        prop_assert_eq!(found.as_ref().ok().map(|query| &query.id), expected.map(|query| &query.id));
    }

    let i = &s.index;
    let tables =
        [i.nodes, i.services, i.checks, i.kvs, i.tombstones, i.service_extinction, i.node_extinction];
    prop_assert_eq!(tables, t.tables);
    prop_assert!(s.sessions().map(|x| &**x).eq(t.sessions.values()), "{:?}\n{:?}", s.sessions, t.sessions);
    prop_assert_eq!(s.sessions_index(), t.sessions_index);
    let names =
        |map: &crate::map::Map<Str, u64>| map.iter().map(|(k, v)| (k.to_string(), *v)).collect::<Vec<_>>();
    prop_assert_eq!(names(&i.by_service), t.by_service.clone().into_iter().collect::<Vec<_>>());
    prop_assert_eq!(names(&i.by_node), t.by_node.clone().into_iter().collect::<Vec<_>>());

    for name in ["web", "db"] {
        let shown: Vec<_> = s
            .check_service_nodes(name)
            .iter()
            .map(|x| {
                let checks: Vec<_> = x.checks.iter().map(|c| (**c).clone()).collect();
                ((*x.node).clone(), (*x.service).clone(), checks)
            })
            .collect();
        let mut expected = Vec::new();
        for (key, service) in t.services.iter().filter(|(_, s)| s.service.to_lowercase() == name) {
            let of = |own: bool| {
                t.checks
                    .iter()
                    .filter(move |(k, c)| {
                        k.0 == key.0
                            && if own {
                                c.service_id.to_lowercase() == key.1
                            } else {
                                c.service_id.is_empty()
                            }
                    })
                    .map(|(_, c)| c.clone())
            };
            let checks: Vec<_> = of(false).chain(of(true)).collect();
            expected.push((t.nodes[&key.0].clone(), service.clone(), checks));
        }
        prop_assert_eq!(shown, expected);
    }
    Ok(())
}

fn outcome(answer: Applied) -> Result<bool, Refused> {
    match answer {
        Applied::Ok | Applied::Session(_) | Applied::Query(_) => Ok(true),
        Applied::Bool(said) => Ok(said),
        Applied::Txn(answer) if answer.errors.is_empty() => Ok(true),
        Applied::Txn(_) | Applied::Error(_) => Err(Refused),
    }
}

fn follows_twin(commands: &[Command]) -> Result<(), TestCaseError> {
    let (mut store, mut twin) = (Store::default(), Twin::default());
    for (i, command) in commands.iter().enumerate() {
        let index = i as u64 + 1;
        let before = store.clone();
        let seen = answers(&store);
        let (answer, changes) = apply(&mut store, index, command);
        prop_assert_eq!(outcome(answer), twin.apply(index, command), "{:?}", command);
        equal(&store, &twin)?;

        let reaps = matches!(command, Command::ReapTombstones(_));
        for ((key, old, old_index), (_, new, new_index)) in seen.into_iter().zip(answers(&store)) {
            let differs = old != new || (old_index != new_index && !reaps);
            prop_assert!(
                !differs || changes.touches(&key),
                "{key:?} is not in {changes:?} after {command:?}"
            );
        }
        let mut unchanged = before;
        unchanged.applied = index;
        prop_assert!(reaps || (unchanged == store) == changes.is_empty(), "{changes:?} after {command:?}");
    }
    let bytes = store.encode_snapshot();
    prop_assert!(Store::decode_snapshot(&bytes).is_ok_and(|again| again == store));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_store_agrees_with_its_naive_twin(commands in prop::collection::vec(command(), 1..25)) {
        follows_twin(&commands)?;
    }
}
