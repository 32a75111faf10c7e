//! `?filter=` over HTTP, against what a real Consul answered.
//!
//! `testdata/filter/cases.txt` holds the registrations and then, a line each, path, filter, status and
//! answer: the text of the error, or which elements passed; status 0 where Consul hung up. `record.py` beside
//! it made the file.

mod support;

use serde_json::Value;
use std::fmt::Write;
use support::{World, text};

const CASES: &str = include_str!("../testdata/filter/cases.txt");

fn escape(filter: &str) -> String {
    filter.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02X}").unwrap();
        out
    })
}

/// Names what passed, as the recorder does.
fn elements(body: &str) -> Vec<String> {
    let mut value: Value = serde_json::from_str(body).expect("JSON");
    let mut out = Vec::new();
    if let Some(services) = value.get_mut("Services") {
        let services = services.take();
        if !value["Node"].is_null() {
            out.push("node".to_owned());
        }
        value = services;
    }
    let mut names: Vec<String> = match &value {
        Value::Null => vec!["null".to_owned()],
        Value::Object(map) => {
            map.keys().filter(|k| !["consul", "local", "serfHealth"].contains(&k.as_str())).cloned().collect()
        }
        Value::Array(items) => items.iter().filter_map(name_of).collect(),
        other => panic!("{other}"),
    };
    names.sort();
    out.extend(names);
    out
}

fn name_of(one: &Value) -> Option<String> {
    if let Value::String(name) = one {
        return Some(name.clone());
    }
    let field = |name: &str| one[name].as_str().filter(|text| !text.is_empty());
    if one["Service"].is_object() {
        return one["Node"]["Node"].as_str().filter(|node| *node != "n1").map(str::to_owned);
    }
    if field("Node") == Some("n1") {
        return None;
    }
    let parts: Vec<&str> = ["Node", "ServiceID", "CheckID", "Name"].into_iter().filter_map(field).collect();
    Some(if parts.is_empty() { field("ID")?.to_owned() } else { parts.join("/") })
}

#[test]
fn every_recorded_filter_gets_consuls_answer() {
    let mut world = World::new(|_| {});
    let (mut asked, mut wrong) = (0, String::new());
    for line in CASES.lines().filter(|line| !line.starts_with('#')) {
        let case: Vec<Value> = serde_json::from_str(line).expect("a case");
        let word = |at: usize| case[at].as_str().expect("text");
        if case.len() == 3 {
            let reply = world.ask("PUT", word(1), &case[2].to_string());
            assert_eq!(reply.status, 200, "{line}: {}", text(&reply));
            continue;
        }
        let (path, filter) = (word(0), word(1));
        let join = if path.contains('?') { '&' } else { '?' };
        let reply = world.ask("GET", &format!("{path}{join}filter={}", escape(filter)), "");
        let found = match reply.status {
            200 => serde_json::to_value(elements(text(&reply))).unwrap(),
            _ => Value::String(text(&reply).to_owned()),
        };
        asked += 1;
        if case[2] == 0 {
            // Consul's handler panics over a mesh setting that is not there: we compare with its zero.
            assert_eq!(reply.status, 200, "{line}");
            continue;
        }
        if (u64::from(reply.status), &found) != (case[2].as_u64().unwrap(), &case[3]) {
            writeln!(wrong, "{line}\n    found {} {found}", reply.status).unwrap();
        }
    }
    assert!(asked > 350, "{asked}");
    assert!(wrong.is_empty(), "{} of {asked}\n{wrong}", wrong.lines().count() / 2);
}

#[test]
fn a_filter_changes_neither_index_nor_waiting() {
    let mut world = World::new(|_| {});
    let register = |n: u32| format!(r#"{{"Node": "a", "Address": "10.0.0.{n}"}}"#);
    world.ask("PUT", "/v1/catalog/register", &register(1));
    let all = world.ask("GET", "/v1/catalog/nodes", "");
    let none = world.ask("GET", "/v1/catalog/nodes?filter=Node==zz", "");
    assert_eq!(text(&none), "[]");
    assert_eq!(support::index(&none), support::index(&all));
    // News about what the filter hides is news.
    let waits = world.park(&format!("/v1/catalog/nodes?filter=Node==zz&index={}", support::index(&all)));
    let (_, replies) = world.send(support::request("PUT", "/v1/catalog/register", &register(2)));
    let (_, woken) = replies.iter().find(|(req, _)| *req == waits).expect("the read wakes");
    assert_eq!(text(woken), "[]");
    assert!(support::index(woken) > support::index(&all));
}

#[test]
fn a_bomb_is_refused_in_words() {
    let mut world = World::new(|_| {});
    let mut ask = |filter: &str| {
        let reply = world.ask("GET", &format!("/v1/catalog/nodes?filter={}", escape(filter)), "");
        assert_eq!(reply.status, 500);
        text(&reply).to_owned()
    };
    let deep = format!("{}Node==a{}", "(".repeat(5000), ")".repeat(5000));
    assert!(ask(&deep).ends_with("the expression nests deeper than 100 levels"));
    assert!(ask(&"not ".repeat(5000)).ends_with("the expression nests deeper than 100 levels"));
    assert!(ask(&"(".repeat(30)).contains("no match found"));
    let wide = vec!["Node==a"; 3000].join(" or ");
    assert!(ask(&wide).ends_with("the expression compares more than 2048 times"));
    assert!(ask(&"x".repeat(70_000)).ends_with("the expression is longer than 65536 bytes"));
    let patterns = vec!["Node matches a"; 40].join(" or ");
    assert!(ask(&patterns).ends_with("the expression holds more than 32 patterns"));
    let pattern = r#"Node matches "((\\pL{30}){30}x\\pL{900}){1}""#;
    assert!(ask(pattern).contains("expression too large"), "{}", ask(pattern));
}
