//! Prepared queries: Consul's refusals, which query a name resolves to, and how a template reads.

use super::*;
use crate::command::{Command, Register};
use crate::store::Applied;
use crate::types::{NAME_PREFIX_MATCH, NodeService, Pairs, QueryTarget, Tags};
use alloc::boxed::Box;
use alloc::vec;

const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";
const C: &str = "00000000-0000-0000-0000-00000000000c";

fn query(id: &str, name: &str, service: &str) -> PreparedQuery {
    let mut query = PreparedQuery { id: id.into(), name: name.into(), ..PreparedQuery::default() };
    query.service.service = service.into();
    query
}

fn template(id: &str, name: &str, service: &str) -> PreparedQuery {
    let mut query = query(id, name, service);
    query.template.kind = NAME_PREFIX_MATCH.into();
    query
}

fn apply(store: &mut Store, op: &str, query: PreparedQuery) -> Result<ChangeSet, String> {
    let command = QueryCommand { datacenter: "dc1".into(), op: op.into(), query };
    let command =
        Command::decode(&Command::PreparedQuery(Box::new(command)).encode()).expect("it reads back");
    let mut changes = ChangeSet::default();
    match store.apply(store.applied() + 1, &command, &mut changes) {
        Applied::Query(_) => Ok(changes),
        Applied::Error(text) => Err(text),
        other => panic!("{other:?}"),
    }
}

fn create(store: &mut Store, query: PreparedQuery) -> Result<ChangeSet, String> {
    apply(store, "create", query)
}

#[test]
fn queries_are_written_found_and_removed_and_survive_a_snapshot() {
    let mut store = Store::default();
    let mut first = query(A, "Web", "web");
    first.service.tags = Tags::of(Some(vec![]));
    first.service.node_meta = Pairs::of(Some([("a".into(), "b".into())].into()));
    first.service.failover.targets = Some(vec![QueryTarget { peer: "".into(), datacenter: "dc2".into() }]);
    assert!(create(&mut store, first).unwrap().queries);
    create(&mut store, template(B, "", "${name.full}")).unwrap();
    assert_eq!((store.queries().count(), store.queries_index()), (2, 2));
    apply(&mut store, "update", query(A, "web2", "web")).unwrap();
    let held = store.query(&A.to_uppercase()).unwrap().unwrap();
    assert_eq!((&*held.name, held.create_index, held.modify_index), ("web2", 1, 3));
    let again = Store::decode_snapshot(&store.encode_snapshot()).unwrap();
    assert_eq!(again, store);
    assert_eq!(&*again.resolve_query("anything", "").unwrap().service.service, "anything");
    apply(&mut store, "delete", query(A, "", "")).unwrap();
    let gone = alloc::format!("Cannot modify non-existent prepared query: '{A}'");
    assert_eq!(apply(&mut store, "delete", query(A, "", "")).unwrap_err(), gone);
    assert_eq!((store.query(A), store.queries_index()), (Ok(None), 4));
    assert_eq!(&*store.resolve_query("web2", "").unwrap().id, B);
}

#[test]
fn what_consul_refuses_is_refused_in_its_words() {
    let mut store = Store::default();
    create(&mut store, query(A, "web", "web")).unwrap();
    create(&mut store, template(C, "", "web")).unwrap();
    let mut refused = |query: PreparedQuery| {
        create(&mut store, query)
            .unwrap_err()
            .replace("raft apply failed: ", "")
            .replace("Invalid prepared query: ", "")
    };
    assert_eq!(refused(query("", "x", "web")), "Missing Query ID");
    assert_eq!(refused(query(B, "WEB", "web")), "name 'WEB' aliases an existing query name");
    assert_eq!(refused(query(B, A, "web")), alloc::format!("name '{A}' aliases an existing query ID"));
    assert_eq!(refused(template(B, "", "web")), "a query template with an empty name already exists");
    let bound = PreparedQuery { session: "s".into(), ..query(B, "y", "web") };
    assert_eq!(refused(bound), "invalid session \"s\"");
    let mut odd = query(B, "z", "web");
    odd.template.kind = "odd".into();
    assert_eq!(refused(odd), "failed compiling template: Bad Template.Type 'odd'");
    let mut bad = template(B, "z", "web");
    bad.template.regexp = "(".into();
    let text = "failed compiling template: Bad Regexp: error parsing regexp: missing closing ): `(`";
    assert_eq!(refused(bad), text);
    assert_eq!(refused(query(B, "", "web")), "Must be bound to a session");
    assert_eq!(refused(query(B, "z", "")), "Must provide a Service name to query");
    let mut far = query(B, "z", "web");
    far.service.failover.nearest_n = -1;
    assert_eq!(refused(far.clone()), "Bad NearestN '-1', must be >= 0");
    far.service.failover.nearest_n = 1;
    far.service.failover.targets = Some(vec![QueryTarget::default()]);
    assert_eq!(refused(far), "Targets cannot be populated with NearestN or Datacenters");
    let mut ttl = query(B, "z", "web");
    ttl.dns.ttl = "x".into();
    assert_eq!(refused(ttl.clone()), "Bad DNS TTL 'x': time: invalid duration \"x\"");
    ttl.dns.ttl = "-1s".into();
    assert_eq!(refused(ttl), "DNS TTL '-1000000000', must be >=0");
    assert_eq!(apply(&mut store, "x", query(A, "z", "")).unwrap_err(), "Unknown prepared query operation: x");
    let odd = apply(&mut store, "update", query("odd", "z", "")).unwrap_err();
    let text = "failed prepared query lookup: index error: UUID must be 36 characters";
    assert_eq!(odd, alloc::format!("Prepared Query lookup failed: {text}"));
    let id = |id| store.query(id).unwrap_err().replace("failed prepared query lookup: index error: ", "");
    assert_eq!(id("nope"), "UUID must be 36 characters");
    assert_eq!(id("0000-0000-0000-0000-0000-000000000000"), "UUID must be 36 characters");
    assert_eq!(id(&B.replace('b', "g")), "Invalid UUID: encoding/hex: invalid byte: U+0067 'g'");
    let by_id = store.resolve_query(C, "");
    let text = "prepared query templates can only be resolved up by name, not by ID";
    assert_eq!(by_id, Err(QueryError::Failed(text.into())));
}

/// Recorded from Consul 1.21.
#[test]
fn a_broken_template_says_where() {
    let refused = |text: &str| {
        let error = create(&mut Store::default(), template(A, "t", text)).unwrap_err();
        error.replace("raft apply failed: failed compiling template: ", "").replace(text, "…")
    };
    for (text, why) in [
        (
            "${nope",
            "Bad format '…' in Service.Service: parse error at 1:7: expected \"}\" but found end of string",
        ),
        ("${nope}", "Bad evaluation for '…' in Service.Service: 1:3: unknown variable accessed: nope"),
        (
            "${match(0",
            "Bad format '…' in Service.Service: parse error at 1:10: expected \")\" but found end of string",
        ),
        ("${match()}", "Bad evaluation for '…' in Service.Service: 1:3: match: expected 1 arguments, got 0"),
        ("${match(x)}", "Bad evaluation for '…' in Service.Service: 1:9: unknown variable accessed: x"),
        ("${}", "Bad format '…' in Service.Service: parse error at 1:3: expected expression but found \"}\""),
        ("${foo(1)}", "Bad evaluation for '…' in Service.Service: 1:3: unknown function called: foo"),
        ("a ${b c}", "Bad format '…' in Service.Service: parse error at 1:7: expected \"}\" but found \"c\""),
        (
            "a ${@}",
            "Bad format '…' in Service.Service: parse error at 1:5: expected expression but found invalid sequence \"@\"",
        ),
    ] {
        assert_eq!(refused(text), why, "{text}");
    }
    let mut meta = template(A, "t", "x");
    meta.service.node_meta = Pairs::of(Some([("a".into(), "${bad}".into())].into()));
    let why = "Bad evaluation for '${bad}' in Service.NodeMeta[a]: 1:3: unknown variable accessed: bad";
    assert!(create(&mut Store::default(), meta).unwrap_err().ends_with(why));
}

#[test]
fn a_template_reads_as_in_consul() {
    let rendered = |service: &str, regexp: &str, name: &str| {
        let mut store = Store::default();
        let mut query = template(A, "t", service);
        query.template.regexp = regexp.into();
        create(&mut store, query).unwrap();
        alloc::string::String::from(&*store.resolve_query(name, "seg").unwrap().service.service)
    };
    assert_eq!(rendered("${ name.full } x", "", "T5y"), "T5y x");
    assert_eq!(rendered("a$${b}$${x} $ $$ ${\"q${name.full}\"}", "", "t6x"), "a${b}${x} $ $ qt6x");
    assert_eq!(rendered("${true}${1}${match(-1)}${agent.segment}", "", "t"), "true1seg");
    assert_eq!(rendered("${name.prefix}/${name.suffix}", "", "tail"), "t/ail");
    let groups = "${match(0)} ${match(1)} ${match(2)} ${match(3)} ${match(1.9)}";
    assert_eq!(rendered(groups, "^t(.*)-(?P<n>(?:.)*)$", "tx-y"), "tx-y x y  x");
    assert_eq!(rendered(groups, "^no$", "tx-y"), "    ");
    let mut store = Store::default();
    let mut query = template(A, "t", "x");
    query.service.tags = vec!["${name.suffix}".into(), "b".into()].into();
    query.template.remove_empty_tags = true;
    create(&mut store, query).unwrap();
    assert_eq!(*store.resolve_query("t", "").unwrap().service.tags, ["b"]);
    assert_eq!(*store.resolve_query("ta", "").unwrap().service.tags, ["a", "b"]);
}

#[test]
fn instances_are_filtered_by_health_tags_and_metadata() {
    let mut store = Store::default();
    let mut index = 0;
    for (node, tags, check) in
        [("a", vec!["V1", "x"], "passing"), ("b", vec!["v1"], "warning"), ("c", vec![], "critical")]
    {
        index += 1;
        let tags: Vec<Str> = tags.into_iter().map(Str::from).collect();
        let service = NodeService {
            id: "web".into(),
            service: "web".into(),
            tags: tags.into(),
            ..NodeService::default()
        };
        let check = crate::types::HealthCheck {
            check_id: "c1".into(),
            status: check.into(),
            ..crate::types::HealthCheck::default()
        };
        let register = Register {
            node: node.into(),
            address: "10.0.0.1".into(),
            node_meta: [("on".into(), node.into())].into(),
            service: Some(service),
            check: Some(check),
            ..Register::default()
        };
        store.apply(index, &Command::Register(Box::new(register)), &mut ChangeSet::default());
    }
    let found = |change: &dyn Fn(&mut ServiceQuery)| {
        let mut wanted = ServiceQuery { service: "web".into(), ..ServiceQuery::default() };
        change(&mut wanted);
        let names: Vec<Str> =
            store.query_instances(&wanted, false).iter().map(|entry| entry.node.node.clone()).collect();
        names.join(",")
    };
    assert_eq!(found(&|_| ()), "a,b");
    assert_eq!(found(&|q| q.only_passing = true), "a");
    assert_eq!(found(&|q| q.ignore_check_ids = ["c1".into()].into()), "a,b,c");
    assert_eq!(found(&|q| q.tags = ["v1".into()].into()), "a,b");
    assert_eq!(found(&|q| q.tags = ["v1".into(), "!X".into()].into()), "b");
    assert_eq!(found(&|q| q.node_meta = Pairs::of(Some([("on".into(), "b".into())].into()))), "b");
    assert_eq!(found(&|q| q.service_meta = Pairs::of(Some([("on".into(), "b".into())].into()))), "");
    assert_eq!(found(&|q| q.connect = true), "");
    assert_eq!(found(&|q| q.peer = "p".into()), "");
}

#[test]
fn a_query_that_is_bound_to_a_session_goes_with_it() {
    let mut store = Store::default();
    let session = crate::types::Session { id: "Sess".into(), ..crate::types::Session::default() };
    store.sessions.insert(session);
    let bound = PreparedQuery { session: "sESS".into(), ..query(A, "", "web") };
    create(&mut store, bound).unwrap();
    create(&mut store, query(B, "stays", "web")).unwrap();
    let destroy = crate::command::SessionCommand {
        datacenter: "dc1".into(),
        op: crate::command::SessionOp::Destroy,
        session: crate::types::Session { id: "SESS".into(), ..crate::types::Session::default() },
    };
    let mut changes = ChangeSet::default();
    store.apply(9, &Command::Session(Box::new(destroy)), &mut changes);
    assert!(changes.queries);
    assert_eq!((store.queries().count(), store.queries_index()), (1, 9));
}

#[test]
fn no_query_costs_more_to_keep_or_to_ask_than_a_server_can_bear() {
    let mut store = Store::default();
    let mut refused = |query: PreparedQuery| create(&mut store, query).unwrap_err();
    let long = "x".repeat(MAX_NAME + 1);
    assert!(refused(query(A, &long, "web")).ends_with("Bad Name: it may have 1024 bytes"));
    let grows = template(A, &long[1..], &"${name.full}".repeat(20_000));
    assert!(refused(grows).ends_with("all texts together would be too long"));
    let mut nested = template(A, &long[1..], "");
    nested.service.service =
        alloc::format!("${{match({})}}", "\"${name.full}\"".repeat(1000)).as_str().into();
    refused(nested);
    for regexp in ["((?:.?x){900})*y", "(a{1000}b{1000}c{1000}d{1000})"] {
        let mut slow = template(A, "x", "web");
        slow.template.regexp = regexp.into();
        let why = refused(slow);
        assert!(why.contains("repeats too much") || why.contains("too large"), "{why}");
    }
    let mut far = query(A, "far", "web");
    far.service.failover.datacenters = Tags::of(Some(vec!["dc2".into(); MAX_FAILOVER + 1]));
    assert!(refused(far).contains("Bad Failover"));
    // What is usual is no trouble.
    let mut usual = template(A, "geo-db", "${match(1)}");
    usual.template.regexp = r"^geo-db-(.*?)-([^\-]+?)$".into();
    create(&mut store, usual).unwrap();
    assert_eq!(&*store.resolve_query("geo-db-customer-master", "").unwrap().service.service, "customer");
    assert_eq!(store.resolve_query(&alloc::format!("geo-db-{long}"), ""), Err(QueryError::NotFound));
}
