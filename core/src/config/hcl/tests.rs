//! Goal: HCL means what the same tree in JSON means, and no text does harm. Method: random trees written
//! as HCL and as JSON; random texts; bombs. Recorded answers of a real Consul are in
//! `core/testdata/config/hcl.txt`.

use super::super::source::{Format, Source, read as read_source};
use super::*;
use alloc::collections::BTreeMap;
use alloc::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt::Write;

const NAMES: [&str; 16] = [
    "server",
    "ports",
    "http",
    "services",
    "service",
    "check",
    "name",
    "ttl",
    "tags",
    "acl",
    "enabled",
    "retry_join",
    "node_meta",
    "dns_config",
    "limits",
    "x y$",
];

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-9000_i64..9000).prop_map(Value::from),
        (-9.0_f64..9.0).prop_map(Value::from),
        select(vec!["", "5s", "a b", "\"\\\n\t", "${", "${x}", "é\u{1f600}"]).prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from), object(inner),]
    });
    object(inner)
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(select(&NAMES[..]).prop_map(String::from), inner, 0..5)
        .prop_map(|map: BTreeMap<String, Value>| Value::Object(map.into_iter().collect()))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c),
            c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)).unwrap(),
            c => write!(out, "\\U{:08x}", u32::from(c)).unwrap(),
        }
    }
    out.push('"');
    out
}

/// An object as blocks where it can be, comments and commas strewn in.
fn write_items(out: &mut String, value: &Value) {
    let Value::Object(map) = value else { panic!("{value}") };
    for (i, (name, value)) in map.iter().enumerate() {
        out.push_str(["\n", " /* x */ ", " # y\n", " // z\n"][i % 4]);
        out.push_str(&quoted(name));
        if !value.is_object() || i % 2 == 0 {
            out.push_str(" = ");
        }
        write_value(out, value);
        if i % 3 == 0 {
            out.push(',');
        }
    }
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Object(_) => {
            out.push('{');
            write_items(out, value);
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_value(out, item);
                out.push_str(", ");
            }
            out.push(']');
        }
        Value::String(text) => out.push_str(&quoted(text)),
        other => write!(out, "{other}").unwrap(),
    }
}

proptest! {
    #[test]
    fn a_tree_in_hcl_loads_as_the_same_tree_in_json(tree in tree()) {
        let mut text = String::from("# HCL\n");
        write_items(&mut text, &tree);
        let source = |format, text| Source { name: "a".into(), format, text };
        let hcl = read_source(&source(Format::Hcl, text.clone()));
        match read_source(&source(Format::Json, tree.to_string())) {
            Ok(json) => prop_assert_eq!(hcl, Ok(json), "{}", text),
            // HCL forgives more: an object is a list of one there.
            Err(json) => if let Err(hcl) = hcl {
                prop_assert!(json.contains("decoding failed") || json.contains("invalid config key"), "{}", json);
                prop_assert!(hcl.contains("decoding failed") || hcl.contains("invalid config key"), "{}", hcl);
            },
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = read(&text);
    }

    #[test]
    fn any_heap_of_words_is_read_or_refused(words in prop::collection::vec(select(&WORDS[..]), 0..32)) {
        let _ = read(&words.concat());
        let _ = read(&words.join(" "));
    }
}

const WORDS: [&str; 34] = [
    "a",
    "A",
    "\"b\"",
    "=",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\n",
    "1",
    "-1",
    "0x1f",
    "017",
    "08",
    "1.5",
    "1e3",
    ".5",
    "0.",
    "true",
    "<<E\nx\nE\n",
    "<<-E\n x\n E\n",
    "<<",
    "<<-E\nE\n",
    "#",
    "//",
    "/*",
    "*/",
    "\"${\"}\"",
    "\\",
    "\"\\x",
    "\r\n",
    "é",
    "\0",
];

#[test]
fn deep_nesting_is_an_error_and_not_a_deep_stack() {
    for (open, close) in [("a {", "}"), ("a = [", "]"), ("a = {", "}")] {
        let inner = if open.ends_with('[') { "[" } else { open };
        let text = format!("{open}{}{}", inner.repeat(100_000), close.repeat(100_000));
        let error = read(&text).unwrap_err();
        assert!(error.contains("nested deeper than 128 levels"), "{error}");
    }
}

#[test]
fn labels_that_multiply_values_are_cut_off() {
    // Every spelling of a key collects the blocks of all spellings.
    let mut text = String::new();
    for spelling in 0..4096_u32 {
        let letters = (0..12).map(|bit| if spelling >> bit & 1 == 1 { 'A' } else { 'a' });
        writeln!(text, "{} \"x\" {{}}", letters.collect::<String>()).unwrap();
    }
    let error = read(&text).unwrap_err();
    assert!(error.contains("more values than the text has bytes"), "{error}");
}

#[test]
fn one_way_to_write_a_text_is_as_good_as_another() {
    let cases = [
        ("a = \"x\\ty\\u00e9\\101\"", "x\ty\u{e9}A"),
        ("a = \"${f(\"q\\\")}\"", "${f(\"q\\\")}"),
        ("a = <<E\nx\n y\nE\n", "x\n y\n"),
        ("a = <<-E\n  x\n   y\n  E\n", "x\n y\n"),
        ("a = <<-E\n x\n  y\n  E\n", " x\n  y\n"),
        ("a = <<E\nE\n", ""),
    ];
    for (text, wanted) in cases {
        let found = read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(found["a"].as_str().unwrap_or(""), wanted, "{text}");
    }
}
