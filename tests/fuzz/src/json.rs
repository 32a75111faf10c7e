//! JSON: Go's reader against `serde_json`, and against our own writer.

use lictor_core::json::{self, Kind, Struct, Unknown, Value, Writer};
use lictor_core::types::decode::{self, Mode, Place};

pub(crate) fn json(data: &[u8]) {
    let whole = json::parse(data);
    let body = json::parse_body(data);
    if let Ok(value) = &whole {
        assert_eq!(body.as_ref(), Ok(value), "a document is a body");
        let written = json::to_vec(|w| write(w, value));
        let again = json::parse(&written).expect("what we write, we read");
        assert!(same(value, &again), "{value:?} became {again:?}");
        let pretty = json::pretty(&written, "    ");
        assert!(same(value, &json::parse(&pretty).expect("indented JSON is JSON")));
    }
    match (serde_json::from_slice::<serde_json::Value>(data), &whole) {
        (Ok(theirs), Ok(ours)) => assert_eq!(as_serde(ours).as_ref(), Some(&theirs)),
        (Ok(_), Err(why)) => panic!("refused, and is JSON: {why}"),
        (Err(_), Ok(ours)) => assert!(excused(data, ours), "taken, and is no JSON"),
        (Err(_), Err(_)) => {}
    }
    match &body {
        Ok(value) => typed(value, data.len()),
        Err(why) => bounded(&why.to_string(), ONCE, data.len()),
    }
}

/// The same through the typed decoders.
fn typed(value: &Value<'_>, len: usize) {
    for unknown in [Unknown::Refuse, Unknown::Ignore] {
        let mut not_built = Vec::new();
        for mode in [Mode::Http, Mode::File] {
            let read = json::decode(value, Struct::ALIAS, unknown, |f| {
                decode::service(f, mode, &mut not_built);
            });
            bounded(&read.err().map_or_else(String::new, |why| why.to_string()), TWICE, len);
            let read = json::decode(value, Struct::ALIAS, unknown, |f| {
                decode::check(f, mode, Place::Alone);
            });
            bounded(&read.err().map_or_else(String::new, |why| why.to_string()), TWICE, len);
        }
    }
}

/// A text of an error repeats each byte of the input `times` at most, escaped.
///
/// - [`ONCE`]: a byte in hex takes four characters, and three bytes can stand for one of the input where that is
///   replaced by U+FFFD: `\xef\xbf\xbd`.
/// - [`TWICE`]: Go quotes a duration whole and then its unit, which can be all of it but a digit.
pub(crate) fn bounded(text: &str, times: usize, len: usize) {
    assert!(text.len() <= 2048 + times * len, "an error of {} bytes for {len}", text.len());
}

pub(crate) const ONCE: usize = 3 * 4;
pub(crate) const TWICE: usize = 2 * ONCE;

fn write(w: &mut Writer<'_>, value: &Value<'_>) {
    match &value.kind {
        Kind::Null => w.null(),
        Kind::Bool(on) => w.bool(*on),
        Kind::Number(text) => w.raw(text.as_bytes()),
        Kind::String(text) => w.str(text),
        Kind::Array(items) => w.array(|w| items.iter().for_each(|item| write(w, item))),
        Kind::Object(entries) => {
            w.object(|w| entries.iter().for_each(|(name, value)| w.field(name, |w| write(w, value))));
        }
    }
}

/// Equal wherever they stand in the text.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Array(a), Kind::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Kind::Object(a), Kind::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((m, a), (n, b))| m == n && same(a, b))
        }
        (a, b) => a == b,
    }
}

/// `None`: a number that `serde_json` cannot hold.
fn as_serde(value: &Value<'_>) -> Option<serde_json::Value> {
    Some(match &value.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(on) => (*on).into(),
        Kind::Number(text) => serde_json::from_str(text).ok()?,
        Kind::String(text) => text.as_ref().into(),
        Kind::Array(items) => items.iter().map(as_serde).collect::<Option<Vec<_>>>()?.into(),
        Kind::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| Some((name.to_string(), as_serde(value)?)));
            serde_json::Value::Object(entries.collect::<Option<_>>()?)
        }
    })
}

/// What Go takes and `serde_json` does not: bytes that are no text, halves of surrogates, numbers beyond
/// an `f64`, and the last level of nesting.
fn excused(data: &[u8], value: &Value<'_>) -> bool {
    let surrogate = data.windows(4).any(|w| w[0] == b'\\' && w[1] == b'u' && w[2] | 0x20 == b'd');
    std::str::from_utf8(data).is_err() || surrogate || as_serde(value).is_none() || depth(value) > 126
}

fn depth(value: &Value<'_>) -> usize {
    match &value.kind {
        Kind::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Object(entries) => 1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}
