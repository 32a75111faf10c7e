//! Lays one tree over another as Consul merges its sources.
//!
//! The later scalar wins, lists append, maps of texts take the later value of a key, and objects of
//! known keys merge key by key. The single `service` and `check` of a source join its lists first,
//! so that a later source adds one instead of replacing it.

use super::keys::{Key, Kind, ROOT};
use super::tree::Tree;
use alloc::vec::Vec;
use serde_json::Value;

/// Lays `over` on top of `base`.
pub(super) fn merge(base: &mut Tree, mut over: Tree) {
    fold(&mut over, "service", "services");
    fold(&mut over, "check", "checks");
    merge_object(ROOT, base, over);
}

fn fold(tree: &mut Tree, single: &str, list: &str) {
    let Some(value) = tree.remove(single) else { return };
    match tree.get_mut(list) {
        Some(Value::Array(items)) => items.push(value),
        _ => {
            tree.insert(list.into(), Value::Array(Vec::from([value])));
        }
    }
}

fn merge_object(keys: &'static [Key], base: &mut Tree, over: Tree) {
    for (name, value) in over {
        let kind = keys.iter().find(|key| key.name == name).map(|key| key.kind);
        match (kind, base.get_mut(&name), value) {
            (Some(Kind::Object(keys)), Some(Value::Object(old)), Value::Object(new)) => {
                merge_object(keys, old, new);
            }
            (_, Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
            (Some(_), Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (_, _, value) => {
                base.insert(name, value);
            }
        }
    }
}
