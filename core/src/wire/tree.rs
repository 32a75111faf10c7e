//! Values that we carry without interpreting them.

use crate::json::{self, Kind};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Any msgpack value of Consul's dialect; read and written back, nothing is lost but the widths of numbers.
///
/// Text, bytes, times and nested blobs are all `Raw`: the wire does not tell them apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Tree {
    /// Absent.
    #[default]
    Nil,
    /// A boolean.
    Bool(bool),
    /// A negative integer (or any that was made signed).
    Int(i64),
    /// A non-negative integer.
    UInt(u64),
    /// A float of either width.
    Float(f64),
    /// Text or bytes.
    Raw(Vec<u8>),
    /// A list.
    Array(Vec<Tree>),
    /// Pairs in the order they came.
    Map(Vec<(Tree, Tree)>),
}

impl Tree {
    /// Whether this is `Nil`, for `skip_serializing_if`.
    pub fn is_nil(&self) -> bool {
        *self == Tree::Nil
    }

    /// Whether nothing is said: what Go writes for a struct that nobody has filled in, however deep.
    pub fn is_blank(&self) -> bool {
        match self {
            Tree::Nil => true,
            Tree::Bool(value) => !value,
            Tree::Int(value) => *value == 0,
            Tree::UInt(value) => *value == 0,
            Tree::Float(value) => *value == 0.0,
            Tree::Raw(raw) => raw.is_empty(),
            Tree::Array(items) => items.is_empty(),
            Tree::Map(pairs) => pairs.iter().all(|(_, value)| value.is_blank()),
        }
    }

    /// The value under a text key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        let Tree::Map(pairs) = self else { return None };
        pairs.iter().find(|(k, _)| matches!(k, Tree::Raw(raw) if raw == key.as_bytes())).map(|(_, v)| v)
    }

    /// The text, if this is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Tree::Raw(raw) => core::str::from_utf8(raw).ok(),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Tree::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Writes this as Go would: raw as a string (what is not UTF-8 becomes U+FFFD), map keys sorted.
    pub fn write_json(&self, w: &mut json::Writer<'_>) {
        match self {
            Tree::Nil => w.null(),
            Tree::Bool(value) => w.bool(*value),
            Tree::Int(value) => w.i64(*value),
            Tree::UInt(value) => w.u64(*value),
            Tree::Float(value) => w.f64(*value),
            Tree::Raw(raw) => w.str(&String::from_utf8_lossy(raw)),
            Tree::Array(items) => w.array(|w| items.iter().for_each(|item| item.write_json(w))),
            Tree::Map(pairs) => {
                let mut sorted: Vec<(Cow<'_, str>, &Tree)> =
                    pairs.iter().map(|(k, v)| (k.key_text(), v)).collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                w.object(|w| sorted.iter().for_each(|(k, v)| w.field(k, |w| v.write_json(w))));
            }
        }
    }

    /// A key as JSON has it: always text.
    fn key_text(&self) -> Cow<'_, str> {
        match self {
            Tree::Raw(raw) => String::from_utf8_lossy(raw),
            Tree::Int(value) => Cow::Owned(value.to_string()),
            Tree::UInt(value) => Cow::Owned(value.to_string()),
            Tree::Bool(value) => Cow::Owned(value.to_string()),
            Tree::Float(value) => Cow::Owned(value.to_string()),
            Tree::Nil | Tree::Array(_) | Tree::Map(_) => Cow::Borrowed(""),
        }
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Tree {
        Tree::Raw(text.as_bytes().to_vec())
    }
}

/// As Go decodes into `interface{}`: every number is a float; of duplicate keys the last one counts.
impl From<&json::Value<'_>> for Tree {
    fn from(value: &json::Value<'_>) -> Tree {
        match &value.kind {
            Kind::Null => Tree::Nil,
            Kind::Bool(value) => Tree::Bool(*value),
            // Valid by JSON's grammar, which is a subset of Rust's; too large becomes infinite.
            Kind::Number(text) => Tree::Float(text.parse().unwrap_or_default()),
            Kind::String(text) => Tree::from(text.as_ref()),
            Kind::Array(items) => Tree::Array(items.iter().map(Tree::from).collect()),
            Kind::Object(entries) => {
                let last: BTreeMap<&str, &json::Value<'_>> =
                    entries.iter().map(|(k, v)| (k.as_ref(), v)).collect();
                Tree::Map(last.into_iter().map(|(k, v)| (Tree::from(k), Tree::from(v))).collect())
            }
        }
    }
}

/// Integers stay integers here, as in config files.
impl From<&serde_json::Value> for Tree {
    fn from(value: &serde_json::Value) -> Tree {
        match value {
            serde_json::Value::Null => Tree::Nil,
            serde_json::Value::Bool(value) => Tree::Bool(*value),
            serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => Tree::UInt(value),
                (None, Some(value)) => Tree::Int(value),
                (None, None) => Tree::Float(number.as_f64().unwrap_or_default()),
            },
            serde_json::Value::String(text) => Tree::from(text.as_str()),
            serde_json::Value::Array(items) => Tree::Array(items.iter().map(Tree::from).collect()),
            serde_json::Value::Object(entries) => {
                Tree::Map(entries.iter().map(|(k, v)| (Tree::from(k.as_str()), Tree::from(v))).collect())
            }
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Tree::Nil => s.serialize_unit(),
            Tree::Bool(value) => s.serialize_bool(*value),
            Tree::Int(value) => s.serialize_i64(*value),
            Tree::UInt(value) => s.serialize_u64(*value),
            Tree::Float(value) => s.serialize_f64(*value),
            Tree::Raw(raw) => s.serialize_bytes(raw),
            Tree::Array(items) => s.collect_seq(items),
            Tree::Map(pairs) => {
                let mut map = s.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Tree, D::Error> {
        d.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Nil)
    }
    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Nil)
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Tree, D::Error> {
        Tree::deserialize(d)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(u64::try_from(value).map_or(Tree::Int(value), Tree::UInt))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::UInt(value))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::from(text))
    }
    fn visit_bytes<E: Error>(self, raw: &[u8]) -> Result<Tree, E> {
        Ok(Tree::Raw(raw.to_vec()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Tree::Map(pairs))
    }
}
