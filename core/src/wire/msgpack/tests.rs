//! Against bytes that HashiCorp's own codec printed, and against itself.

use super::*;
use crate::json;
use crate::wire::Tree;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::{format, vec};
use bytes::Bytes;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn raw(bytes: &[u8]) -> Tree {
    Tree::Raw(bytes.to_vec())
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Kv {
    create_index: u64,
    flags: u64,
    key: String,
    lock_index: u64,
    modify_index: u64,
    session: String,
    #[serde(with = "crate::wire::raw")]
    value: Bytes,
}

#[test]
fn writes_the_bytes_that_hashicorps_codec_writes() {
    for (value, want) in [
        (Tree::UInt(127), "7f"),
        (Tree::UInt(128), "cc80"),
        (Tree::UInt(32768), "cd8000"),
        (Tree::Int(-1), "ff"),
        (Tree::Int(-32), "e0"),
        (Tree::Int(-33), "d0df"),
        (Tree::Int(-200), "d1ff38"),
        (Tree::UInt(70000), "ce00011170"),
        (Tree::Float(1.5), "cb3ff8000000000000"),
        (raw(&[1, 2]), "a20102"),
        (raw(b""), "a0"),
        (raw(&[10, 0, 0, 1]), "a40a000001"),
        (Tree::Nil, "c0"),
        (Tree::Array(vec![]), "90"),
        (Tree::Map(vec![]), "80"),
        (raw(b"BINx"), "a442494e78"),
        (Tree::Map(vec![(Tree::UInt(7), raw(&[1]))]), "81 07 a101"),
        (
            Tree::Map(vec![
                (raw(b"a"), Tree::Float(1.0)),
                (raw(b"b"), Tree::Array(vec![raw(b"x"), Tree::Bool(true), Tree::Nil])),
            ]),
            "82 a161 cb3ff0000000000000 a162 93 a178 c3 c0",
        ),
        (Tree::Map(vec![(raw(b"LastIndex"), Tree::UInt(42))]), "81a94c617374496e6465782a"),
        (Tree::Map(vec![(raw(b"ChunkMap"), Tree::Map(vec![]))]), "81 a84368756e6b4d6170 80"),
    ] {
        assert_eq!(to_vec(&value), hex(want), "{value:?}");
        assert_eq!(from_slice::<Tree>(&hex(want)), Ok(value));
    }
    assert_eq!(to_vec(&1.5f32), hex("ca3fc00000"));
    let long = "a".repeat(32);
    assert_eq!(to_vec(&long), [&hex("da0020"), long.as_bytes()].concat());
}

#[test]
fn a_kv_record_is_read_and_written_byte_for_byte() {
    let bytes = hex("87 ab437265617465496e646578 0a a5466c616773 00 a34b6579 a161 a94c6f636b496e646578 00
        ab4d6f64696679496e646578 0a a753657373696f6e a0 a556616c7565 a176");
    let kv = Kv { create_index: 10, modify_index: 10, key: "a".into(), value: "v".into(), ..Kv::default() };
    assert_eq!(from_slice::<Kv>(&bytes), Ok(kv.clone()));
    assert_eq!(to_vec(&kv), bytes);
    assert_eq!(to_vec(&from_slice::<Tree>(&bytes).unwrap()), bytes);
}

#[test]
fn reading_is_as_tolerant_as_hashicorps_codec() {
    let want = Kv { key: "k".into(), flags: 3, value: "v".into(), ..Kv::default() };
    for (form, bytes) in [
        ("str8 keys", "83 d9034b6579 a16b d905466c616773 03 a556616c7565 a176"),
        ("bin8 value, wide int", "83 a34b6579 a16b a5466c616773 d30000000000000003 a556616c7565 c40176"),
        (
            "unknown and lower-case keys",
            "85 a34b6579 a16b a5466c616773 03 a556616c7565 a176 a36b6579 a178 a158 92c081a16103",
        ),
        ("nil for absent", "84 a34b6579 a16b a5466c616773 03 a556616c7565 a176 a753657373696f6e c0"),
        ("positional array", "97 00 03 a16b 00 00 a0 a176"),
        ("a key that is no text", "84 a34b6579 a16b a5466c616773 03 a556616c7565 a176 07 c0"),
    ] {
        assert_eq!(from_slice::<Kv>(&hex(bytes)), Ok(want.clone()), "{form}");
    }
    assert_eq!(from_slice::<Kv>(&hex("c0")), Ok(Kv::default()), "nil for a struct");
    assert_eq!(from_slice::<Vec<u64>>(&hex("c0")), Ok(vec![]));
    assert_eq!(from_slice::<BTreeMap<String, u64>>(&hex("c0")), Ok(BTreeMap::new()));
    assert_eq!(from_slice::<Option<Kv>>(&hex("c0")), Ok(None));
    assert_eq!(from_slice::<f64>(&hex("03")), Ok(3.0));
    // Nil in every field is the zero value too.
    assert_eq!(from_slice::<Kv>(&hex("83 a34b6579 c0 a5466c616773 c0 a556616c7565 c0")), Ok(Kv::default()));
}

#[test]
fn a_record_of_nothing_but_nil_is_the_default_record() {
    use crate::types::{HealthCheck, KvEntry, Node, NodeService};
    fn all_nil<T>()
    where
        T: Default + PartialEq + core::fmt::Debug + Serialize + for<'a> Deserialize<'a>,
    {
        let Tree::Map(pairs) = from_slice(&to_vec(&T::default())).unwrap() else {
            panic!("a struct is a map")
        };
        let nil = Tree::Map(pairs.into_iter().map(|(key, _)| (key, Tree::Nil)).collect());
        assert_eq!(from_slice(&to_vec(&nil)), Ok(T::default()));
        assert_eq!(from_slice(&to_vec(&T::default())), Ok(T::default()));
    }
    all_nil::<KvEntry>();
    all_nil::<Node>();
    all_nil::<NodeService>();
    all_nil::<HealthCheck>();
}

#[test]
fn what_does_not_fit_is_refused_with_a_reason() {
    let text = |r: Result<Kv, Error>| format!("{}", r.unwrap_err());
    assert!(
        text(from_slice(&hex("81 a5466c616773 cb3ff8000000000000"))).contains("invalid type: floating point")
    );
    assert!(text(from_slice(&hex("81 a34b6579 a1ff"))).contains("invalid value"));
    assert_eq!(from_slice::<Kv>(&hex("80 00")), Err(Error::Trailing));
    assert_eq!(from_slice::<Kv>(&hex("d4 01 02")), Err(Error::Marker(0xd4)));
    assert_eq!(from_slice::<u64>(&hex("")), Err(Error::Truncated));
    assert_eq!(
        from_slice::<u8>(&hex("cd0100")).unwrap_err(),
        Error::Mismatch("invalid value: integer `256`, expected u8".into())
    );
    assert_eq!(from_slice_prefix::<u64>(&hex("05 a1")), Ok((5, &hex("a1")[..])));
    assert_eq!(skip(&hex("82 01 92c0c0 02 a161 07")), Ok(&[7u8][..]));
}

#[test]
fn a_length_beyond_the_input_is_refused_before_allocating() {
    for bytes in
        ["dd ffffffff", "df ffffffff", "db ffffffff 61", "c6 ffffffff", "dc ffff c0", "de 7fff 0101", "9f c0"]
    {
        assert_eq!(from_slice::<Tree>(&hex(bytes)), Err(Error::Truncated), "{bytes}");
        assert_eq!(skip(&hex(bytes)), Err(Error::Truncated), "{bytes}");
    }
}

#[test]
fn nesting_has_a_limit_that_skipping_does_not_need() {
    let deep = |n: usize| [vec![0x91; n], vec![0xc0]].concat();
    assert!(from_slice::<Tree>(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(from_slice::<Tree>(&deep(MAX_DEPTH + 1)), Err(Error::TooDeep));
    assert_eq!(skip(&deep(1_000_000)), Ok(&[][..]));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(u32),
    Line(i64, String),
    Box { wide: Option<f64>, tags: Vec<String> },
}

#[test]
fn enums_are_a_name_or_a_map_of_one() {
    for (value, want) in [
        (Shape::Dot, "a3446f74"),
        (Shape::Circle(5), "81 a6436972636c65 05"),
        (Shape::Line(-1, "x".to_owned()), "81 a44c696e65 92 ff a178"),
        (Shape::Box { wide: None, tags: vec![] }, "81 a3426f78 82 a477696465 c0 a474616773 90"),
    ] {
        assert_eq!(to_vec(&value), hex(want));
        assert_eq!(from_slice::<Shape>(&hex(want)), Ok(value));
    }
    assert_eq!(from_slice::<Shape>(&hex("81 a3446f74 c0")), Ok(Shape::Dot));
    for bad in ["a6436972636c65", "a0", "82a3446f74c0a3446f74c0", "07", "c0", "80"] {
        assert!(from_slice::<Shape>(&hex(bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_sequence_of_unknown_length_gets_the_right_head() {
    struct Odd(u32);
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.collect_seq((0..self.0).filter(|n| n % 2 == 1))
        }
    }
    for n in [0, 5, 40, 1000] {
        let want: Vec<u32> = (0..n).filter(|n| n % 2 == 1).collect();
        assert_eq!(to_vec(&Odd(n)), to_vec(&want));
    }
}

#[test]
fn a_tree_becomes_the_json_that_go_writes() {
    let json_of = |tree: &Tree| String::from_utf8(json::to_vec(|w| tree.write_json(w))).unwrap();
    let text = r#"{"b":1,"a":[null,true,-2.5,"x<"],"b":{"z":{},"k":3}}"#;
    let tree = Tree::from(&json::parse(text.as_bytes()).unwrap());
    assert_eq!(json_of(&tree), r#"{"a":[null,true,-2.5,"x\u003c"],"b":{"k":3,"z":{}}}"#);
    assert_eq!(tree.get("b").and_then(|b| b.get("k")), Some(&Tree::Float(3.0)));
    let wide =
        Tree::from(&serde_json::from_str::<serde_json::Value>("[18446744073709551615,-5,0.5]").unwrap());
    assert_eq!(json_of(&wide), "[18446744073709551615,-5,0.5]");
    let odd_keys = Tree::Map(vec![(Tree::UInt(7), raw(b"\xff")), (Tree::Int(-1), Tree::Nil)]);
    assert_eq!(json_of(&odd_keys), "{\"-1\":null,\"7\":\"\u{fffd}\"}");
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Nil),
        any::<bool>().prop_map(Tree::Bool),
        (i64::MIN..0).prop_map(Tree::Int),
        (any::<u64>(), 0u32..64).prop_map(|(n, s)| Tree::UInt(n >> s)),
        (-70000i64..0).prop_map(Tree::Int),
        (-1e300..1e300).prop_map(Tree::Float),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Tree::Raw),
    ];
    leaf.prop_recursive(4, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Tree::Array),
            prop::collection::vec((inner.clone(), inner), 0..20).prop_map(Tree::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_round_trips(tree in tree()) {
        let bytes = to_vec(&tree);
        prop_assert_eq!(from_slice::<Tree>(&bytes), Ok(tree));
        prop_assert_eq!(skip(&bytes), Ok(&[][..]));
    }

    #[test]
    fn any_integer_and_text_round_trips(n in any::<i64>(), shift in 0u32..64, u in any::<u64>(), text in ".{0,300}") {
        let all = (n >> shift, u >> shift, text, (n >> shift) as f32, u as u8, n as i16);
        prop_assert_eq!(from_slice(&to_vec(&all)), Ok(all));
    }

    #[test]
    fn every_truncation_is_refused(tree in tree(), cut in any::<prop::sample::Index>()) {
        let bytes = to_vec(&tree);
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert_eq!(from_slice::<Tree>(cut), Err(Error::Truncated));
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = from_slice::<Tree>(&bytes);
        let _ = from_slice::<Kv>(&bytes);
        let _ = from_slice::<Shape>(&bytes);
        let _ = from_slice::<(Option<Kv>, BTreeMap<String, Vec<Shape>>, [u8; 3])>(&bytes);
        // What reads as a tree is one value, and skipping agrees where it ends.
        if let Ok((_, rest)) = from_slice_prefix::<Tree>(&bytes) {
            prop_assert_eq!(skip(&bytes), Ok(rest));
        }
    }
}
