//! Goal: the typed evaluator says what the rules say. Method: random expressions over random records,
//! against a naive twin that walks JSON; random texts must not panic. Recorded answers of a real Consul
//! are in `core/tests/filter_cases.rs`.

use super::syntax::{Match, Op, Syntax};
use super::*;
use crate::Str;
use crate::types::{CheckServiceNode, HealthCheck, Node, NodeService, ServiceAddress, Weights};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// The twin: JSON in, by the rules of go-bexpr's reflection.
fn naive(syntax: &Syntax, value: &Value) -> bool {
    match syntax {
        Syntax::Not(inner) => !naive(inner, value),
        Syntax::All(all) => all.iter().all(|one| naive(one, value)),
        Syntax::Any(any) => any.iter().any(|one| naive(one, value)),
        Syntax::Match(one) => naive_match(one, &one.selector, value),
    }
}

fn naive_match(one: &Match, path: &[Vec<u8>], value: &Value) -> bool {
    let Some((name, rest)) = path.split_first() else { return naive_holds(one, value) };
    match value {
        Value::Array(items) => items.iter().any(|item| naive_match(one, path, item)),
        Value::Object(map) => match map.get(core::str::from_utf8(name).unwrap()) {
            Some(inner) => naive_match(one, rest, inner),
            None => !matches!(one.op, Op::Equal | Op::IsNotEmpty | Op::In),
        },
        // A map that was never given.
        Value::Null => !matches!(one.op, Op::Equal | Op::IsNotEmpty | Op::In),
        other => panic!("no part {name:?} in {other}"),
    }
}

fn naive_holds(one: &Match, value: &Value) -> bool {
    let wanted = one.value.as_deref().map_or(String::new(), |v| String::from_utf8(v.to_vec()).unwrap());
    let equal = || match value {
        Value::String(text) => *text == wanted,
        Value::Number(number) => number.to_string() == wanted,
        Value::Bool(on) => on.to_string() == wanted,
        other => panic!("{other}"),
    };
    let within = || match value {
        Value::String(text) => text.contains(&wanted),
        Value::Array(items) => items.contains(&Value::String(wanted.clone())),
        Value::Object(map) => map.contains_key(&wanted),
        Value::Null => false,
        other => panic!("{other}"),
    };
    let empty = || match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Null => true,
        other => panic!("{other}"),
    };
    // The generator writes patterns of one literal only.
    let fits = || value.as_str().unwrap().contains(&wanted);
    match one.op {
        Op::Equal => equal(),
        Op::NotEqual => !equal(),
        Op::In => within(),
        Op::NotIn => !within(),
        Op::IsEmpty => empty(),
        Op::IsNotEmpty => !empty(),
        Op::Matches => fits(),
        Op::NotMatches => !fits(),
    }
}

const WORDS: [&str; 6] = ["", "a", "b", "ab", "a b", "é\"\\\n"];

fn word() -> impl Strategy<Value = Str> {
    select(&WORDS[..]).prop_map(Str::from)
}

fn texts() -> impl Strategy<Value = Vec<Str>> {
    prop::collection::vec(word(), 0..3)
}

fn text_map() -> impl Strategy<Value = BTreeMap<Str, Str>> {
    prop::collection::btree_map(word(), word(), 0..3)
}

fn node() -> impl Strategy<Value = Node> {
    (word(), word(), text_map(), text_map()).prop_map(|(node, address, meta, tagged_addresses)| Node {
        node,
        address,
        meta: meta.into(),
        tagged_addresses: tagged_addresses.into(),
        ..Node::default()
    })
}

fn check() -> impl Strategy<Value = HealthCheck> {
    (word(), word(), texts(), 0_i64..3).prop_map(|(status, output, service_tags, exposed_port)| HealthCheck {
        status,
        output,
        service_tags: service_tags.into(),
        exposed_port,
        ..HealthCheck::default()
    })
}

fn service() -> impl Strategy<Value = NodeService> {
    let address = (word(), 0_i64..3).prop_map(|(a, port)| ServiceAddress { address: (*a).into(), port });
    let addresses = prop::collection::btree_map(word(), address, 0..3);
    (word(), texts(), text_map(), 0_i64..3, any::<bool>(), 0_i64..3, addresses).prop_map(
        |(id, tags, meta, port, enable_tag_override, passing, tagged_addresses)| NodeService {
            id,
            tags: tags.into(),
            meta: meta.into(),
            port,
            enable_tag_override,
            weights: Weights { passing, warning: 1 },
            tagged_addresses: tagged_addresses.into(),
            ..NodeService::default()
        },
    )
}

fn entry() -> impl Strategy<Value = CheckServiceNode> {
    (node(), service(), prop::collection::vec(check().prop_map(Arc::new), 0..3)).prop_map(
        |(node, service, checks)| CheckServiceNode { node: node.into(), service: service.into(), checks },
    )
}

fn json_of(entry: &CheckServiceNode) -> Value {
    let (node, service) = (&entry.node, &entry.service);
    let addresses: BTreeMap<&Str, Value> = (service.tagged_addresses.iter())
        .map(|(tag, to)| (tag, json!({"Address": to.address, "Port": to.port})))
        .collect();
    let checks = entry.checks.iter().map(|c| {
        json!({"Status": c.status, "Output": c.output, "ServiceTags": c.service_tags, "ExposedPort": c.exposed_port})
    });
    json!({
        "Node": {"Node": node.node, "Address": node.address, "Meta": node.meta,
            "TaggedAddresses": node.tagged_addresses},
        "Service": {"ID": service.id, "Tags": service.tags, "Meta": service.meta, "Port": service.port,
            "EnableTagOverride": service.enable_tag_override,
            "Weights": {"Passing": service.weights.passing}, "TaggedAddresses": addresses,
            "Proxy": {"Mode": "", "Upstreams": [], "Expose": {"Checks": false}}},
        "Checks": checks.collect::<Vec<Value>>(),
    })
}

/// What stands at the end of a selector.
#[derive(Clone, Copy, Debug)]
enum End {
    Text,
    Number,
    Bool,
    Container,
    List,
}

const PATHS: [(&str, End); 20] = [
    ("Node.Node", End::Text),
    ("Node.Meta", End::Container),
    ("Node.Meta.*", End::Text),
    ("Node.TaggedAddresses.*", End::Text),
    ("Service.ID", End::Text),
    ("Service.Tags", End::Container),
    ("Service.Meta", End::Container),
    ("Service.Meta.*", End::Text),
    ("Service.Port", End::Number),
    ("Service.EnableTagOverride", End::Bool),
    ("Service.Weights.Passing", End::Number),
    ("Service.TaggedAddresses", End::Container),
    ("Service.TaggedAddresses.*.Port", End::Number),
    ("Service.Proxy.Mode", End::Text),
    ("Service.Proxy.Upstreams", End::List),
    ("Service.Proxy.Expose.Checks", End::Bool),
    ("Checks", End::List),
    ("Checks.Status", End::Text),
    ("Checks.ServiceTags", End::Container),
    ("Checks.ExposedPort", End::Number),
];

fn comparison() -> impl Strategy<Value = Syntax> {
    let ops = |end| match end {
        End::Text => vec![Op::Equal, Op::NotEqual, Op::In, Op::NotIn, Op::Matches, Op::NotMatches],
        End::Number | End::Bool => vec![Op::Equal, Op::NotEqual],
        End::Container => vec![Op::In, Op::NotIn, Op::IsEmpty, Op::IsNotEmpty],
        End::List => vec![Op::IsEmpty, Op::IsNotEmpty],
    };
    (select(&PATHS[..]), word()).prop_flat_map(move |((path, end), key)| {
        let selector: Vec<Vec<u8>> =
            path.split('.').map(|part| if part == "*" { &key } else { part }.as_bytes().to_vec()).collect();
        let value = match end {
            End::Number => select(vec!["0", "1", "2"]).prop_map(Str::from).boxed(),
            End::Bool => select(vec!["true", "false"]).prop_map(Str::from).boxed(),
            // One literal without meaning in a pattern.
            End::Text => select(&WORDS[..5]).prop_map(Str::from).boxed(),
            _ => word().boxed(),
        };
        (Just(selector), select(ops(end)), value).prop_map(|(selector, op, value)| {
            let bare = matches!(op, Op::IsEmpty | Op::IsNotEmpty);
            Syntax::Match(Match { selector, op, value: (!bare).then(|| value.as_bytes().to_vec()) })
        })
    })
}

fn expression() -> impl Strategy<Value = Syntax> {
    comparison().prop_recursive(4, 24, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            // `not not x` reads as `x`.
            inner
                .prop_filter("twice", |i| !matches!(i, Syntax::Not(_)))
                .prop_map(|i| Syntax::Not(Box::new(i))),
            several.clone().prop_map(Syntax::All),
            several.prop_map(Syntax::Any),
        ]
    })
}

fn written(syntax: &Syntax) -> String {
    let several = |all: &[Syntax], word: &str| {
        let all: Vec<String> = all.iter().map(|one| format!("( {} )", written(one))).collect();
        all.join(word)
    };
    match syntax {
        Syntax::Not(inner) => format!("not ({})", written(inner)),
        Syntax::All(all) => several(all, " and "),
        Syntax::Any(any) => several(any, "\tor\n"),
        Syntax::Match(one) => {
            let quoted = |bytes: &[u8]| literal_of(core::str::from_utf8(bytes).unwrap());
            let mut selector = String::from_utf8(one.selector[0].clone()).unwrap();
            for part in &one.selector[1..] {
                selector += &format!("[{}]", quoted(part));
            }
            let value = one.value.as_deref().map(quoted).unwrap_or_default();
            match one.op {
                Op::Equal => format!("{selector}=={value}"),
                Op::NotEqual => format!("{selector} != {value}"),
                Op::In => format!("{value} in {selector}"),
                Op::NotIn => format!("{selector} not contains {value}"),
                Op::IsEmpty => format!("{selector} is empty"),
                Op::IsNotEmpty => format!("{selector} is not empty"),
                Op::Matches => format!("{selector} matches {value}"),
                Op::NotMatches => format!("{selector} not matches {value}"),
            }
        }
    }
}

/// A raw string: a quote cannot be escaped in the other kind.
fn literal_of(text: &str) -> String {
    format!("`{text}`")
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_means_what_the_twin_says(syntax in expression(), entry in entry()) {
        let text = written(&syntax);
        let read = parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        prop_assert_eq!(&read.0, &syntax, "{}", text);
        let filter = read.about(Subject::Entry).unwrap_or_else(|e| panic!("{text}: {e}"));
        let wanted = naive(&syntax, &json_of(&entry));
        prop_assert_eq!(filter.matches(Record::Entry(&entry)), wanted, "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&text).map(|e| e.about(Subject::Entry).map(|_| ()));
    }

    #[test]
    fn any_heap_of_words_is_read_or_refused(words in prop::collection::vec(select(&TOKENS[..]), 0..24)) {
        for text in [words.concat(), words.join(" ")] {
            if let Err(error) = parse(&text) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

fn refusal(text: &str) -> String {
    match parse(text).and_then(|read| read.about(Subject::Entry)) {
        Ok(_) => panic!("{text} is taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_first_operand_in_parentheses_counts_once() {
    let first = vec!["Node.Node==a"; MAX_MATCHES / 2 + 1].join(" or ");
    let of = |rest: usize| format!("({first}){}", " and Node.Node==b".repeat(rest));
    assert!(parse(&of(MAX_MATCHES / 2 - 1)).is_ok());
    assert!(parse(&of(MAX_MATCHES / 2)).is_err(), "one too many");
}

#[test]
fn the_patterns_of_an_expression_are_bounded_together() {
    let test = |pattern: &str| format!("Node.Node matches `{pattern}`");
    let of = |pattern: &str, count: usize| vec![test(pattern); count].join(" or ");
    assert!(parse(&of(&"a".repeat(256), 2)).unwrap().about(Subject::Entry).is_ok());
    // Refused for its length before anything of it is looked at.
    let long = of(&r"(?i)\pL".repeat(40), 2);
    assert_eq!(refusal(&long), "the patterns of the expression are longer than 512 bytes together");
    assert_eq!(refusal(&of("a", 33)), "the expression holds more than 32 patterns");
    // What one may take alone, two may not take each.
    let large = r"\pL{5}";
    assert!(parse(&test(large)).unwrap().about(Subject::Entry).is_ok());
    assert!(refusal(&of(large, 16)).contains("expression too large"));
    assert!(refusal(&test(r"\pL{1000}")).contains("expression too large"));
    assert!(parse(&of("^web-[0-9]+.*", 32)).unwrap().about(Subject::Entry).is_ok());
    assert!(parse(&of("(?i)^web-[^/]+.*", 32)).unwrap().about(Subject::Entry).is_ok());
    assert!(parse(&test(r"(?i)^\pL[\pL\pN_-]*$")).unwrap().about(Subject::Entry).is_ok());
    // Nor fold each.
    let wide = r"(?i)[a\D]";
    assert!(parse(&of(wide, 1)).unwrap().about(Subject::Entry).is_ok());
    assert!(refusal(&of(wide, 2)).contains("too many characters without regard to case"));
}

const TOKENS: [&str; 30] = [
    "Node",
    ".",
    "a",
    "==",
    "!=",
    "is",
    "not",
    "empty",
    "in",
    "contains",
    "matches",
    "and",
    "or",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "`",
    "\"x\"",
    "`y`",
    "1",
    "-",
    "0",
    ".5",
    "\n",
    "\\",
    "é",
    " ",
    "Meta[\"k\"]",
];

/// A node with such a text, asked so many times whether it passes; whether that cost too much.
fn costs_too_much(expression: &str, text: &str, times: usize) -> bool {
    let mut node = Node { node: "web-1".into(), ..Default::default() };
    node.meta.insert("text".into(), text.into());
    let filter = parse(expression).unwrap().about(Subject::Node).unwrap();
    filter.begin();
    for _ in 0..times {
        filter.matches(Record::Node(&node));
    }
    filter.is_spent()
}

#[test]
fn what_people_ask_of_a_large_catalog_is_answered_and_what_would_hold_up_a_thread_is_not() {
    let zone = "zone-a.example.internal/rack-17";
    for ordinary in [
        r#"Node == "web-1" and Meta.text != "b""#,
        r#"Node matches "^web-[0-9]+$" or Meta.text contains "zone""#,
        r#"Node matches "^(web|db|cache)-" and Meta.text matches "^zone-[abc]\\." and Node != "web-2""#,
        r#"not "web" in Node and Meta is not empty"#,
    ] {
        assert!(!costs_too_much(ordinary, zone, 20_000), "{ordinary}");
    }
    assert!(costs_too_much(&vec![r#"Node == "x""#; 2000].join(" or "), zone, 10_000));
    // Anchored, so that the test itself ends soon: the bound is on what such patterns may take.
    let wide = format!("Meta.text matches `^{}b`", "a?".repeat(200));
    let long = "z".repeat(4096);
    for hostile in ["Meta.text matches `^(a{1,30}){1,30}b`", &wide, "Meta.text matches `^(a|b)*a(a|b){200}c`"]
    {
        assert!(costs_too_much(hostile, &long, 200), "{hostile}");
    }
}

#[test]
fn a_filter_that_is_spent_lets_nothing_through_until_the_next_answer() {
    let node = Node { node: "z".repeat(4000).as_str().into(), ..Default::default() };
    let filter = parse("not Node matches `^(a{1,30}){1,30}b`").unwrap().about(Subject::Node).unwrap();
    assert!(filter.matches(Record::Node(&node)));
    while !filter.is_spent() {
        filter.matches(Record::Node(&node));
    }
    assert!(!filter.matches(Record::Node(&node)));
    filter.begin();
    assert!(filter.matches(Record::Node(&node)));
}

#[test]
fn a_text_is_looked_for_in_time_that_grows_with_both_lengths_only() {
    let node = Node { node: "a".repeat(1 << 20).as_str().into(), ..Default::default() };
    let wanted = format!("{}b{}", "a".repeat(2000), "a".repeat(2000));
    let filter = parse(&format!(r#"Node contains "{wanted}""#)).unwrap().about(Subject::Node).unwrap();
    let since = std::time::Instant::now();
    assert!(!filter.matches(Record::Node(&node)));
    assert!(since.elapsed() < std::time::Duration::from_secs(2), "{:?}", since.elapsed());
}
