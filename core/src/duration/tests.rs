//! Against vectors that Go itself printed.

use super::{Error, format, parse};
use alloc::string::{String, ToString};
use proptest::prelude::*;

/// The two tables: texts to read, numbers to write.
fn tables() -> (&'static str, &'static str) {
    include_str!("vectors.txt").split_once("\n--\n").unwrap()
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| l.split_once('\t').unwrap())
}

#[test]
fn reads_what_go_reads_and_fails_in_its_words() {
    let mut seen = 0;
    for (input, want) in rows(tables().0) {
        let input: String = serde_json::from_str(input).unwrap();
        let got = match parse(&input) {
            Ok(nanos) => nanos.to_string(),
            Err(error) => alloc::format!("!{error}"),
        };
        assert_eq!(got, want, "{input:?}");
        seen += 1;
    }
    assert!(seen > 90);
}

#[test]
fn writes_what_go_writes() {
    let mut seen = 0;
    for (nanos, want) in rows(tables().1) {
        assert_eq!(format(nanos.parse().unwrap()), want);
        seen += 1;
    }
    assert!(seen > 90);
}

#[test]
fn quotes_control_bytes_in_hex() {
    let error = parse("1\x01").unwrap_err();
    assert_eq!(error, Error::UnknownUnit { text: "1\x01".into(), unit: "\x01".into() });
    assert_eq!(error.to_string(), r#"time: unknown unit "\x01" in duration "1\x01""#);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_reads_back(nanos in any::<i64>(), shift in 0u32..63) {
        let nanos = nanos >> shift;
        prop_assert_eq!(parse(&format(nanos)), Ok(nanos));
    }

    #[test]
    fn no_text_panics(text in "[-+]?[0-9.]{0,25}[hmsnuµ.0-9x]{0,8}") {
        let _ = parse(&text);
    }
}
