//! Reading keys.

use super::Store;
use crate::types::KvEntry;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Store {
    /// The entry of a key.
    pub fn kv(&self, key: &str) -> Option<&Arc<KvEntry>> {
        self.kv.get(key)
    }

    /// Every entry whose key begins with `prefix`, in order of key.
    pub fn kv_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<KvEntry>> + 'a {
        self.kv.range_from(prefix).take_while(move |(key, _)| key.starts_with(prefix)).map(|(_, entry)| entry)
    }

    /// The keys that begin with `prefix`, in order. With a separator, a key is cut after the first
    /// separator past the prefix, and what is then equal is named once.
    pub fn kv_keys(&self, prefix: &str, separator: &str) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for entry in self.kv_prefix(prefix) {
            let key: &str = &entry.key;
            let rest = key.get(prefix.len()..).unwrap_or("");
            let cut = match rest.find(separator) {
                Some(at) if !separator.is_empty() => {
                    key.get(..prefix.len() + at + separator.len()).unwrap_or(key)
                }
                _ => key,
            };
            if keys.last().is_none_or(|last| last != cut) {
                keys.push(String::from(cut));
            }
        }
        keys
    }
}
