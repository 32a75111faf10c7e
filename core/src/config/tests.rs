//! Goal: the same answer as Consul for the same texts, and nothing lost on the way.
//! Method: recorded golden cases; properties against naive twins.

use super::data_dir as data_dir_of;
use super::*;
use alloc::borrow::ToOwned;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn interface(name: &str, address: [u8; 4], default_route: bool) -> Interface {
    let loopback = name == "lo";
    Interface {
        name: name.into(),
        address: address.into(),
        length: if loopback { 8 } else { 24 },
        up: true,
        running: true,
        loopback,
        broadcast: !loopback,
        point_to_point: false,
        multicast: !loopback,
        default_route,
        index: 1,
        mtu: 1500,
        hardware: String::new(),
    }
}

fn host() -> HostFacts {
    HostFacts {
        hostname: "web-1".into(),
        interfaces: vec![interface("lo", [127, 0, 0, 1], false), interface("eth0", [10, 244, 2, 7], true)],
        ..HostFacts::default()
    }
}

/// One case of a golden file.
#[derive(Default)]
struct Case {
    name: String,
    dev: bool,
    flags: String,
    files: Vec<(String, String)>,
    /// What Consul prints; absent where it was not asked, or differs for a reason given.
    consul: Option<String>,
    result: String,
}

fn parse_cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for chunk in text.split("\n== ").skip(1) {
        let (name, body) = chunk.split_once('\n').expect("a name line");
        let mut case = Case { name: name.into(), ..Case::default() };
        for block in body.split("-- ").skip(1) {
            let (head, text) = block.split_once('\n').expect("a head line");
            let text = text.strip_suffix('\n').unwrap_or(text).to_owned();
            match head.split_once(' ').unwrap_or((head, "")) {
                ("dev", _) => case.dev = true,
                ("flags", _) => case.flags = text,
                ("file", name) => case.files.push((name.into(), text)),
                ("consul", "") => case.consul = Some(text),
                ("consul", _) => {}
                ("result", _) => case.result = text.trim_end().into(),
                other => panic!("unknown block {other:?} in {name}"),
            }
        }
        cases.push(case);
    }
    cases
}

fn run(case: &Case) -> Result<RuntimeConfig, ConfigError> {
    let format = |name: &str| if name.ends_with(".hcl") { Format::Hcl } else { Format::Json };
    let sources = case.files.iter().map(|(name, text)| Source {
        name: name.clone(),
        format: format(name),
        text: text.clone(),
    });
    let overrides = match case.flags.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).expect("flags are JSON"),
    };
    load(&sources.collect::<Vec<_>>(), &Flags { dev: case.dev, hcl: vec![], overrides }, &host())
}

/// What `consul validate` would print.
fn printed(result: &Result<RuntimeConfig, ConfigError>) -> String {
    match result {
        Ok(config) if config.warnings.is_empty() => "Configuration is valid!".into(),
        Ok(config) => config.warnings.join("\n") + "\nConfiguration is valid!",
        Err(error) => error.to_string(),
    }
}

/// Everything else: which fields differ from the defaults, and what this version does not do.
fn result_of(result: &Result<RuntimeConfig, ConfigError>, show_printed: bool) -> String {
    let mut lines = Vec::new();
    if show_printed {
        lines.extend(printed(result).lines().filter(|line| !line.trim().is_empty()).map(String::from));
    }
    if let Ok(config) = result {
        // The pools follow the other addresses unless told otherwise.
        let mut default = RuntimeConfig::default();
        default.ports.serf_lan = Some(8301);
        default.ports.serf_wan = Some(8302);
        for pool in [&mut default.gossip.lan, &mut default.gossip.wan] {
            pool.bind = config.bind_addr;
            pool.advertise = config.advertise_addr;
        }
        let default = fields(&default);
        let mine = fields(config);
        lines.extend(mine.into_iter().filter(|f| !f.starts_with("warnings:") && !default.contains(f)));
    }
    lines.join("\n")
}

/// The fields of the debug form, one line each.
fn fields(config: &RuntimeConfig) -> Vec<String> {
    let text = format!("{config:#?}");
    let mut out: Vec<String> = Vec::new();
    for line in text.lines().skip(1) {
        match line.strip_prefix("    ") {
            Some(field) if field.starts_with(|c: char| c.is_ascii_lowercase()) => out.push(field.into()),
            Some(more) => {
                let last = out.last_mut().expect("a field before its value");
                if last.ends_with(|c: char| c.is_alphanumeric() || c == ',') {
                    last.push(' ');
                }
                last.push_str(more.trim());
            }
            None => {}
        }
    }
    out.iter().map(|f| f.replace(", )", ")").replace(", }", " }").replace(", ]", "]")).collect()
}

/// Lines without regard to order: Consul's own order is a hash map's in places.
fn line_set(text: &str) -> BTreeSet<&str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
}

#[test]
fn golden_cases_print_what_consul_prints_and_give_the_recorded_configuration() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&dir).expect("testdata").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let (mut failures, mut count) = (Vec::new(), 0);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("readable");
        let mut rewritten = text.clone();
        for case in parse_cases(&text) {
            count += 1;
            let result = run(&case);
            let ours = printed(&result);
            let label = format!("{}: {}", path.file_name().expect("a file").to_string_lossy(), case.name);
            if let Some(consul) = &case.consul
                && line_set(consul) != line_set(&ours)
            {
                failures.push(format!("{label}\n  consul: {consul}\n  ours:   {ours}"));
            }
            let got = result_of(&result, case.consul.is_none());
            if got != case.result {
                failures.push(format!("{label}\n  recorded: {}\n  now:      {got}", case.result));
                let start = rewritten.find(&format!("\n== {}\n", case.name)).expect("the case");
                let head = rewritten[start..].find("-- result\n").expect("a result block") + start + 10;
                let end = rewritten[head..].find("\n== ").map_or(rewritten.len(), |at| head + at);
                let tail = if end == rewritten.len() { "" } else { "\n" };
                let body = if got.is_empty() { String::new() } else { got + "\n" };
                rewritten.replace_range(head..end, &(body + tail.trim_end_matches('\n')));
            }
        }
        if std::env::var_os("UPDATE").is_some() && rewritten != text {
            std::fs::write(&path, rewritten).expect("writable");
        }
    }
    assert!(count >= 100, "only {count} cases found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "server",
        "ports",
        "http",
        "services",
        "service",
        "check",
        "checks",
        "name",
        "ttl",
        "interval",
        "tags",
        "acl",
        "tokens",
        "enabled",
        "retry_join",
        "node_meta",
        "dns_config",
        "service_ttl",
        "recursors",
        "bind_addr",
        "advertise_addr",
        "client_addr",
        "segments",
        "ui",
        "start_join",
        "acl_datacenter",
        "Ports",
        "header",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        prop::sample::select(vec!["", "5s", "{{ GetPrivateIP }}", "{{", "0.0.0.0", "::", "unix://", "a b"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.into(), v)).collect())),
        ]
    })
}

/// Valid layers of one scalar, one list, one map and one object.
fn layer() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(vec!["a", "b", "c"]);
    (
        prop::option::of(text()),
        prop::option::of(prop::collection::vec(text(), 0..3)),
        prop::option::of(prop::collection::btree_map(text(), text(), 0..3)),
        prop::option::of(1..4u16),
        prop::option::of(1..4u16),
    )
        .prop_map(|(name, join, meta, http, dns)| {
            let mut ports = Map::new();
            http.map(|port| ports.insert("http".into(), json!(port)));
            dns.map(|port| ports.insert("dns".into(), json!(port + 10)));
            json!({ "node_name": name, "retry_join": join, "node_meta": meta, "ports": ports })
        })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(value in any_json(), text in ".{0,40}") {
        for text in [value.to_string(), text] {
            let source = Source { name: "a.json".into(), format: Format::Json, text };
            let flags = Flags { dev: true, ..Flags::default() };
            let _ = load(&[source], &flags, &host());
        }
        let flags = Flags { dev: true, overrides: value, ..Flags::default() };
        let _ = load(&[], &flags, &host());
    }

    #[test]
    fn layers_give_what_a_naive_merge_gives(layers in prop::collection::vec(layer(), 0..5)) {
        let sources = layers.iter().map(|layer| Source {
            name: "a.json".into(),
            format: Format::Json,
            text: layer.to_string(),
        });
        let flags = Flags { dev: true, ..Flags::default() };
        let config = load(&sources.collect::<Vec<_>>(), &flags, &host()).expect("valid");
        let last = |path: [&str; 2]| {
            layers.iter().rev().map(|l| &l[path[0]]).map(|v| if path[1].is_empty() { v } else { &v[path[1]] })
                .find(|v| !v.is_null()).cloned()
        };
        let name = last(["node_name", ""]).unwrap_or_else(|| json!("web-1"));
        prop_assert_eq!(json!(&*config.node_name), name);
        prop_assert_eq!(json!(config.ports.http), last(["ports", "http"]).unwrap_or_else(|| json!(8500)));
        prop_assert_eq!(json!(config.ports.dns), last(["ports", "dns"]).unwrap_or_else(|| json!(8600)));
        let joins: Vec<&Value> = layers.iter().filter_map(|l| l["retry_join"].as_array()).flatten().collect();
        prop_assert_eq!(json!(config.gossip.lan.retry_join), json!(joins));
        let mut meta = Map::new();
        for layer in &layers {
            meta.extend(layer["node_meta"].as_object().cloned().unwrap_or_default());
        }
        prop_assert_eq!(json!(config.node_meta), Value::Object(meta));
    }
}

#[test]
fn a_reload_keeps_what_was_bound_at_start_and_warns_once_for_it() {
    let old = RuntimeConfig { log_level: "INFO".into(), ..RuntimeConfig::default() };
    let mut new = RuntimeConfig { log_level: "DEBUG".into(), bootstrap_expect: 3, ..old.clone() };
    new.ports.http = Some(9999);
    let (next, warnings) = reload(&old, new);
    assert_eq!(next.log_level, "DEBUG");
    assert_eq!((next.ports, next.bootstrap_expect), (old.ports, old.bootstrap_expect));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (kept, warnings) = reload(&old, RuntimeConfig { log_level: "loud".into(), ..old.clone() });
    assert_eq!((kept, warnings.len()), (old.clone(), 1));
    assert_eq!(warnings[0].message, "Invalid log level in new configuration");
    assert_eq!(warnings[0].fields, [("level", crate::event::Field::Text("loud".into()))]);
    assert_eq!(reload(&old, old.clone()), (old.clone(), vec![]));
}

#[test]
fn the_address_to_advertise_is_the_only_private_one_or_an_error() {
    let on = |addresses: &[[u8; 4]]| {
        let interface = |a: &[u8; 4]| Interface { loopback: a[0] == 127, ..interface("eth0", *a, true) };
        let host = HostFacts {
            hostname: "h".into(),
            interfaces: addresses.iter().map(interface).collect(),
            ..HostFacts::default()
        };
        let source =
            Source { name: "a.json".into(), format: Format::Json, text: r#"{"data_dir": "/x"}"#.into() };
        load(&[source], &Flags::default(), &host)
            .map(|c| c.advertise_addr.to_string())
            .map_err(|e| e.to_string())
    };
    assert_eq!(on(&[[127, 0, 0, 1], [10, 0, 0, 5], [8, 8, 8, 8]]), Ok("10.0.0.5".into()));
    assert_eq!(on(&[[127, 0, 0, 1]]), Ok("127.0.0.1".into()), "a machine without a network");
    assert_eq!(on(&[[127, 0, 0, 1], [8, 8, 8, 8]]), Err("No private IPv4 address found".into()));
    assert_eq!(
        on(&[[10, 0, 0, 5], [192, 168, 0, 1]]),
        Err("Multiple private IPv4 addresses found. Please configure one with 'bind' and/or 'advertise'."
            .into())
    );
}

#[test]
fn in_settings_that_nothing_interprets_a_list_of_one_stands_for_its_element_at_every_depth() {
    let text = r#"{"data_dir": "/x", "bind_addr": "127.0.0.1", "watches": [
        {"type": ["key"], "args": ["a"], "http_handler_config": [{"path": ["p"], "header": {"X": ["a"], "Y": ["a", "b"]}}]},
        {"args": ["a", ["b"]], "more": [{"x": [{"y": ["z"]}]}, 1]}]}"#;
    let source = Source { name: "a.json".into(), format: Format::Json, text: text.into() };
    let config = load(&[source], &Flags::default(), &host()).unwrap();
    assert_eq!(
        Value::from_iter(config.watches),
        json!([
            {"type": "key", "args": "a", "http_handler_config": {"path": "p", "header": {"X": "a", "Y": ["a", "b"]}}},
            {"args": ["a", ["b"]], "more": [{"x": [{"y": ["z"]}]}, 1]}
        ])
    );
}

#[test]
fn what_is_at_the_path_of_the_data_directory_is_judged_after_the_pages_and_before_the_name() {
    let told = |more: &str, flags: &Flags, data_dir: DataDirectory| {
        let text = format!(r#"{{"data_dir": "/a \"b\"", "bind_addr": "127.0.0.1"{more}}}"#);
        let sources = [Source { name: "a.json".into(), format: Format::Json, text }];
        assert_eq!(data_dir_of(&sources, flags).as_deref(), Some("/a \"b\""));
        load(&sources, flags, &HostFacts { data_dir, ..host() }).map(|_| ()).map_err(|e| e.to_string())
    };
    let (files, dev) = (Flags::default(), Flags { dev: true, ..Flags::default() });
    let not = || Err(String::from(r#"data_dir "/a \"b\"" is not a directory"#));
    let unreadable = || DataDirectory::Unreadable("permission denied".into());
    assert_eq!(told("", &files, DataDirectory::Usable), Ok(()));
    assert_eq!(told("", &files, DataDirectory::Other), not());
    assert_eq!(
        told(r#", "alt_domain": "service.a", "recursors": ["::"]"#, &files, DataDirectory::Other),
        not()
    );
    let content_path = told(r#", "ui_config": {"content_path": "!"}"#, &files, DataDirectory::Other);
    assert!(content_path.is_err() && content_path != not());
    let why = "Error getting info on data_dir: stat /a \"b\": permission denied";
    assert_eq!(told("", &files, unreadable()), Err(why.into()));
    assert_eq!(told("", &dev, DataDirectory::Other), Ok(()));
    assert_eq!(told("", &files, DataDirectory::BeforeRaft), Ok(()), "only a server minds");
    let before_raft = told(r#", "server": true, "alt_domain": "a""#, &files, DataDirectory::BeforeRaft);
    assert!(
        before_raft
            .unwrap_err()
            .starts_with("CRITICAL: Deprecated data folder found at \"/a \\\"b\\\"/mdb\"!\n")
    );
    let name = told(r#", "server": true, "encrypt": "x""#, &files, DataDirectory::BeforeRaft);
    assert!(name.unwrap_err().starts_with("encrypt has invalid key"));
}
