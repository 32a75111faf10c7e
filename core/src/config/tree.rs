//! Reading values out of a decoded tree by dotted path.
//!
//! Types are right already (see [`super::source`]), so a getter that finds another type answers as
//! if the key were not there.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Map, Value};

/// A decoded object.
pub(super) type Tree = Map<String, Value>;

pub(super) fn get<'a>(tree: &'a Tree, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => tree.get(path),
        Some((first, rest)) => get(tree.get(first)?.as_object()?, rest),
    }
}

/// Sets the value at a dotted path, making the objects on the way.
pub(super) fn set(tree: &mut Tree, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            tree.insert(path.into(), value);
        }
        Some((first, rest)) => {
            let entry = tree.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = entry {
                set(inner, rest, value);
            }
        }
    }
}

pub(super) fn text<'a>(tree: &'a Tree, path: &str) -> Option<&'a str> {
    get(tree, path)?.as_str()
}

pub(super) fn owned(tree: &Tree, path: &str) -> String {
    text(tree, path).unwrap_or_default().into()
}

pub(super) fn flag(tree: &Tree, path: &str) -> Option<bool> {
    get(tree, path)?.as_bool()
}

pub(super) fn int(tree: &Tree, path: &str) -> Option<i64> {
    let value = get(tree, path)?;
    value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX))
}

/// Texts of a list; empty when the key is not there.
pub(super) fn texts(tree: &Tree, path: &str) -> Vec<String> {
    let Some(Value::Array(items)) = get(tree, path) else { return Vec::new() };
    items.iter().filter_map(Value::as_str).map(String::from).collect()
}

/// A map of texts; empty when the key is not there.
pub(super) fn text_map<K: for<'a> From<&'a str> + Ord, V: for<'a> From<&'a str>>(
    tree: &Tree,
    path: &str,
) -> BTreeMap<K, V> {
    let Some(Value::Object(entries)) = get(tree, path) else { return BTreeMap::new() };
    entries.iter().filter_map(|(k, v)| Some((K::from(k.as_str()), V::from(v.as_str()?)))).collect()
}

/// Objects of a list; empty when the key is not there.
pub(super) fn objects<'a>(tree: &'a Tree, path: &str) -> impl Iterator<Item = &'a Tree> {
    let items = match get(tree, path) {
        Some(Value::Array(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(Value::as_object)
}
