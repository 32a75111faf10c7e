//! What one client knows of the keys that it alone writes, and so what a read may show.

use std::collections::BTreeMap;

/// A value; `None` is an absent key.
pub type Value = Option<String>;

/// The keys of one client.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    keys: BTreeMap<String, Key>,
    /// The largest index seen in an answer, by target.
    indexes: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
struct Key {
    /// What it may be now.
    possible: Vec<Value>,
    /// Writes whose outcome is unknown, and the life of the server that may still do them.
    unknown: Vec<(u64, Value)>,
}

impl Ledger {
    /// A write was acknowledged.
    pub fn written(&mut self, key: &str, value: Value) {
        self.key(key).possible = vec![value];
    }

    /// A write may have happened, or may still happen while this life of the server lasts.
    pub fn unknown(&mut self, life: u64, key: &str, value: Value) {
        self.key(key).unknown.push((life, value));
    }

    /// A read showed `value`, at `index`, while `life` was the server's.
    ///
    /// # Errors
    /// It may not: a write is lost, came back, or was never asked for; or the index went back.
    pub fn read(&mut self, life: u64, key: &str, value: &Value, index: Option<u64>) -> Result<(), String> {
        let known = self.key(key);
        let (dead, alive) = std::mem::take(&mut known.unknown).into_iter().partition(|(l, _)| *l < life);
        let dead: Vec<(u64, Value)> = dead;
        known.possible.extend(dead.into_iter().map(|(_, value)| value));
        known.unknown = alive;
        if !known.possible.contains(value) && !known.unknown.iter().any(|(_, v)| v == value) {
            return Err(format!(
                "{key} is {value:?}, which is none of {:?} nor of what may still come, {:?}",
                known.possible, known.unknown
            ));
        }
        known.possible = vec![value.clone()];
        if let Some(index) = index {
            let before = self.indexes.entry(key.to_owned()).or_insert(0);
            if index < *before {
                return Err(format!("the index of {key} went back from {before} to {index}"));
            }
            *before = index;
        }
        Ok(())
    }

    /// Every key that was ever written.
    pub fn keys(&self) -> Vec<String> {
        self.keys.keys().cloned().collect()
    }

    fn key(&mut self, key: &str) -> &mut Key {
        let new = || Key { possible: vec![None], unknown: Vec::new() };
        self.keys.entry(key.to_owned()).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Value {
        Some(text.to_owned())
    }

    #[test]
    fn a_lost_write_and_one_that_comes_back_are_seen() {
        let mut ledger = Ledger::default();
        ledger.written("k", some("1"));
        ledger.written("k", some("2"));
        assert!(ledger.clone().read(1, "k", &some("1"), None).is_err());
        assert!(ledger.clone().read(1, "k", &None, None).is_err());
        ledger.read(1, "k", &some("2"), Some(9)).unwrap();
        assert!(ledger.read(1, "k", &some("2"), Some(8)).unwrap_err().contains("went back"));
    }

    #[test]
    fn an_unknown_write_may_show_until_its_server_is_gone_and_it_was_not_seen() {
        let mut ledger = Ledger::default();
        ledger.written("k", some("1"));
        ledger.unknown(1, "k", some("2"));
        ledger.read(1, "k", &some("1"), None).unwrap();
        ledger.clone().read(1, "k", &some("2"), None).unwrap();
        ledger.read(2, "k", &some("1"), None).unwrap();
        assert!(ledger.read(2, "k", &some("2"), None).is_err(), "its server is gone");
    }
}
