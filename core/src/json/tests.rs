//! Against vectors that Go printed, and against answers of a real Consul to bad bodies.

use super::*;
use crate::wire::Tree;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;

fn section(index: usize) -> impl Iterator<Item = Vec<&'static str>> {
    let text = include_str!("vectors.txt").split("--\n").nth(index).unwrap();
    text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t').collect())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
    String::from_utf8(to_vec(write)).unwrap()
}

#[test]
fn strings_are_escaped_as_go_escapes_them() {
    for row in section(0) {
        let text = String::from_utf8(unhex(row[0])).unwrap();
        assert_eq!(written(|w| w.str(&text)), row[1]);
    }
}

#[test]
fn floats_are_written_as_go_writes_them() {
    for row in section(1) {
        let value = f64::from_bits(u64::from_str_radix(row[0], 16).unwrap());
        assert_eq!(written(|w| w.f64(value)), row[1]);
    }
    for row in section(2) {
        let value = f32::from_bits(u32::from_str_radix(row[0], 16).unwrap());
        assert_eq!(written(|w| w.f32(value)), row[1]);
    }
    assert_eq!(
        written(|w| w.array(|w| [f64::NAN, f64::INFINITY].into_iter().for_each(|f| w.f64(f)))),
        "[null,null]"
    );
}

#[test]
fn indents_as_go_indents() {
    for row in section(3) {
        let got = String::from_utf8(pretty(row[0].as_bytes(), "    ")).unwrap();
        assert_eq!(got.replace('\n', "@@"), row[1]);
    }
}

#[test]
fn syntax_errors_have_gos_texts() {
    let mut seen = 0;
    for row in section(4) {
        let text = unhex(row[0]);
        let show = |r: Result<Value<'_>, Error>| r.map_or_else(|e| e.to_string(), |_| "-".into());
        assert_eq!(show(parse_body(&text)), row[1], "body {:?}", String::from_utf8_lossy(&text));
        assert_eq!(show(parse(&text)), row[2], "document {:?}", String::from_utf8_lossy(&text));
        seen += 1;
    }
    assert!(seen > 70);
}

#[test]
fn strings_decode_as_in_go() {
    for row in section(5) {
        let text = unhex(row[0]);
        let Kind::String(got) = parse(&text).unwrap().kind else { panic!("not a string") };
        assert_eq!(got.as_bytes(), unhex(row[1]), "{}", row[0]);
    }
}

#[test]
fn commas_stand_between_and_nowhere_else() {
    let map = BTreeMap::from([("b", "2"), ("a", "1")]);
    let got = written(|w| {
        w.object(|w| {
            w.field("Empty", |w| w.object(|_| ()));
            w.field("None", |w| w.array(|_| ()));
            w.field_strs("Tags", ["x", "y"]);
            w.field_str_map("Meta", &map);
            w.field_u64("U", u64::MAX);
            w.field_i64("I", i64::MIN);
            w.field_bool("B", true);
            w.field_null("N");
            w.field_f64("F", 0.25);
            w.field_base64("V", b"hello");
            w.field_base64("Void", b"");
            w.field_raw("R", br#"{"x":1}"#);
            w.field("L", |w| {
                w.array(|w| {
                    w.object(|w| w.field_str("k", "v"));
                    w.null();
                })
            });
        })
    });
    let want = concat!(
        r#"{"Empty":{},"None":[],"Tags":["x","y"],"Meta":{"a":"1","b":"2"},"U":18446744073709551615,"#,
        r#""I":-9223372036854775808,"B":true,"N":null,"F":0.25,"V":"aGVsbG8=","Void":"","R":{"x":1},"#,
        r#""L":[{"k":"v"},null]}"#
    );
    assert_eq!(got, want);
}

/// A shape like Consul's service definition, enough of it to meet every kind of error.
fn service(body: &str) -> String {
    let value = match parse_body(body.as_bytes()) {
        Ok(value) => value,
        Err(error) => return error.to_string(),
    };
    let out = decode(&value, Struct::ALIAS, Unknown::Refuse, |f| {
        (
            f.string("Name"),
            f.int("Port"),
            f.strings::<String>("Tags"),
            f.string_map::<String>("Meta"),
            f.object("Weights", Struct::new("Weights"), |f| (f.int("Passing"), f.int("Warning"))),
            f.object_map::<String, _>(
                "TaggedAddresses|tagged_addresses",
                Struct::new("ServiceAddress"),
                |f| (f.string("Address"), f.int("Port")),
            ),
            f.objects("Checks", Struct::ALIAS, |f| (f.string("HTTP"), f.duration("Interval"))),
            f.bool("EnableTagOverride|enable_tag_override"),
            f.object("Connect", Struct::new("ServiceConnect"), |f| {
                f.ignore_unknown();
                f.bool("Native")
            }),
        )
    });
    out.map_or_else(|error| error.to_string(), |out| format!("{out:?}"))
}

#[test]
fn bad_bodies_get_consuls_words() {
    for (body, want) in [
        ("", "EOF"),
        ("5", "json: cannot unmarshal number into Go value of type structs.Alias"),
        (r#"{"Name":"a""#, "unexpected EOF"),
        (r#"{"Port":"80"}"#, "json: cannot unmarshal string into Go struct field .Alias.Port of type int"),
        (r#"{"Port":1.5}"#, "json: cannot unmarshal number 1.5 into Go struct field .Alias.Port of type int"),
        (
            r#"{"Port":99999999999999999999}"#,
            "json: cannot unmarshal number 99999999999999999999 into Go struct field .Alias.Port of type int",
        ),
        (r#"{"Name":5}"#, "json: cannot unmarshal number into Go struct field .Alias.Name of type string"),
        (
            r#"{"Tags":"x"}"#,
            "json: cannot unmarshal string into Go struct field .Alias.Tags of type []string",
        ),
        (r#"{"Tags":[1]}"#, "json: cannot unmarshal number into Go struct field .Alias.Tags of type string"),
        (
            r#"{"Meta":{"a":1}}"#,
            "json: cannot unmarshal number into Go struct field .Alias.Meta of type string",
        ),
        (
            r#"{"Weights":{"Passing":"x"}}"#,
            "json: cannot unmarshal string into Go struct field Weights.Alias.Weights.Passing of type int",
        ),
        (
            r#"{"TaggedAddresses":{"lan":{"Port":"x"}}}"#,
            "json: cannot unmarshal string into Go struct field ServiceAddress.Alias.TaggedAddresses.Port of type int",
        ),
        (
            r#"{"Checks":[{"HTTP":7}]}"#,
            "json: cannot unmarshal number into Go struct field .Alias.Checks.Alias.HTTP of type string",
        ),
        (r#"{"Checks":[{"Interval":"x"}]}"#, r#"time: invalid duration "x""#),
        (r#"{"Weights":{"Foo":1}}"#, r#"json: unknown field "Foo""#),
        (r#"{"Bar":1,"Port":"x"}"#, r#"json: unknown field "Bar""#),
        (
            r#"{"Port":"x","Bar":1}"#,
            "json: cannot unmarshal string into Go struct field .Alias.Port of type int",
        ),
        (r#"{"B\"<é":1}"#, r#"json: unknown field "B\"<é""#),
    ] {
        assert_eq!(service(body), want, "{body}");
    }
    let value = parse_body(br#"[{"KV":{"Verb":"set","Flags":-1}}]"#).unwrap();
    let error = decode_list(&value, "api.TxnOps", Struct::of("api", "TxnOp"), Unknown::Refuse, |f| {
        f.object("KV", Struct::of("api", "KVTxnOp"), |f| (f.string("Verb"), f.uint64("Flags")))
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        "json: cannot unmarshal number -1 into Go struct field KVTxnOp.KV.Flags of type uint64"
    );
    let value = parse_body(b"{}").unwrap();
    let error = decode_list(&value, "api.TxnOps", Struct::of("api", "TxnOp"), Unknown::Refuse, |_| ());
    assert_eq!(
        error.unwrap_err().to_string(),
        "json: cannot unmarshal object into Go value of type api.TxnOps"
    );
    let value = parse_body(br#"{"Value":"!"}"#).unwrap();
    let error = decode(&value, Struct::ALIAS, Unknown::Refuse, |f| f.base64("Value"));
    assert_eq!(error.unwrap_err().to_string(), "illegal base64 data at input byte 0");
}

/// Consul answers with 5820 bytes to one of 262, all but its prefix from here.
#[test]
fn a_bad_byte_costs_twenty_four_in_a_duration() {
    let body = |bad: usize| [br#"{"TTL":"5"#.as_slice(), &b"\xff".repeat(bad), br#""}"#].concat();
    let refused = |bad| {
        let body = body(bad);
        let value = parse_body(&body).unwrap();
        decode(&value, Struct::ALIAS, Unknown::Refuse, |f| f.duration("TTL")).unwrap_err().to_string()
    };
    assert_eq!(refused(1), r#"time: unknown unit "\xef\xbf\xbd" in duration "5\xef\xbf\xbd""#);
    assert_eq!(
        refused(240).len() - refused(0).len(),
        "unknown unit \"\" in ".len() - "missing unit in ".len() + 240 * 24
    );
}

#[test]
fn letter_case_duplicates_aliases_and_null_read_as_in_go() {
    let same = service(r#"{"Name":"a","Port":2}"#);
    assert_eq!(service(r#"{"nAmE":"a","PORT":2}"#), same);
    assert_eq!(service(r#"{"Name":"b","name":"a","Port":1,"port":2} trailing"#), same);
    assert_eq!(service(r#"{"Name":"a","Port":2,"Tags":null,"Weights":null,"connect":null}"#), same);
    assert_eq!(service("null"), service("{}"));
    assert_eq!(service(r#"{"enable_tag_override":true}"#), service(r#"{"EnableTagOverride":true}"#));
    assert_eq!(service(r#"{"Connect":{"Foo":1,"Native":true}}"#), service(r#"{"Connect":{"native":true}}"#));
    assert_eq!(
        service(r#"{"Checks":[{"Interval":"10s"},{"Interval":1500.9},{"Interval":true}]}"#),
        service(r#"{"Checks":[{"Interval":10000000000},{"Interval":1500},{}]}"#)
    );
}

#[test]
fn nesting_has_a_limit() {
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(parse(deep(MAX_DEPTH).as_bytes()).is_ok());
    let error = parse(deep(MAX_DEPTH + 1).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "invalid character '[' exceeded max depth");
}

/// What lies too deep to be kept is read by other code: it refuses the same.
#[test]
fn what_is_not_kept_is_checked_as_what_is() {
    for inner in [
        "",
        "1",
        "[]",
        "{}",
        "[1,2]",
        "[1,]",
        "[,]",
        "[1 2]",
        "[1}",
        "[",
        "[1",
        "[1,",
        "]",
        "}",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{\"a\":1,\"b\":[{\"c\":{}}]}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\":1 2}",
        "{\"a\":1]",
        "{a:1}",
        "{1:1}",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{,}",
        "[{]}",
        "[[],{},[[]]]",
        "tru",
        "\"a\u{1}\"",
        "-",
        "[[1],x]",
    ] {
        let at = |depth: usize| "[".repeat(depth) + inner + &"]".repeat(depth);
        let (flat, deep) = (at(1), at(200));
        assert_eq!(parse(flat.as_bytes()).err(), parse(deep.as_bytes()).err(), "{inner}");
        assert_eq!(parse_body(flat.as_bytes()).err(), parse_body(deep.as_bytes()).err(), "{inner}");
    }
    let text = format!("[{}5{},{{\"a\":7}}]", "[".repeat(5000), "]".repeat(5000));
    let value = parse(text.as_bytes()).unwrap();
    let Kind::Array(items) = &value.kind else { panic!("{value:?}") };
    assert!(matches!(&items[1].kind, Kind::Object(entries) if entries.len() == 1), "what follows is read");
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as Json;
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        (-1e300..1e300).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "[a-z<&\"\\\\\n]{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_writer_quotes_reads_back(text in any::<String>()) {
        let json = to_vec(|w| w.str(&text));
        let value = parse(&json).unwrap();
        prop_assert_eq!(value.kind, Kind::String(text.into()));
    }

    #[test]
    fn accepts_exactly_what_serde_json_accepts(text in r#"[\[\]{},:"\\ntrue0-9.e+ -]{0,12}"#) {
        // serde_json reads `1e999` as out of range; the alphabet cannot make one that large unseen.
        let ours = parse(text.as_bytes()).is_ok();
        let theirs = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(_) => true,
            Err(error) => error.to_string().starts_with("number out of range"),
        };
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn documents_read_indent_and_cut_as_serde_json_has_them(doc in document(), cut in any::<prop::sample::Index>()) {
        let text = doc.to_string();
        let ours = Tree::from(&parse(text.as_bytes()).unwrap());
        let json_of = |tree: &Tree| to_vec(|w| tree.write_json(w));
        prop_assert_eq!(json_of(&ours), json_of(&Tree::from(&doc)));
        let indented = String::from_utf8(pretty(text.as_bytes(), "  ")).unwrap();
        prop_assert_eq!(indented.as_str(), serde_json::to_string_pretty(&doc).unwrap());
        prop_assert_eq!(Tree::from(&parse(indented.as_bytes()).unwrap()), ours);
        let wrapped = format!("[{text}]");
        let cut = cut.index(wrapped.len());
        let want = if cut == 0 { Error::Eof } else { Error::UnexpectedEof };
        prop_assert_eq!(parse_body(&wrapped.as_bytes()[..cut]), Err(want));
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse(&bytes);
        let _ = parse_body(&bytes);
        let _ = pretty(&bytes, "  ");
    }
}
