//! What is kept for each member, found by its name.

use crate::Str;
use alloc::collections::BTreeMap;
use core::borrow::Borrow;
use core::cmp::Ordering;

/// Entries in the order of their names.
///
/// A [`Str`] points at its text. With the beginning of the text in the key itself a comparison goes there only for names
/// that begin alike: in a pool of a thousand whose rumours all come at once, those ways were nearly half of what gossip
/// costs. Names whose first eight bytes are the same gain nothing by it.
#[derive(Debug)]
pub(super) struct NameMap<V>(BTreeMap<Key, V>);

#[derive(Debug)]
struct Key {
    head: u64,
    name: Str,
}

/// What a key is compared by: it orders as the text alone would.
trait Named {
    fn parts(&self) -> (u64, &str);
}

impl Named for Key {
    fn parts(&self) -> (u64, &str) {
        (self.head, &self.name)
    }
}

impl Named for (u64, &str) {
    fn parts(&self) -> (u64, &str) {
        *self
    }
}

impl<'a> Borrow<dyn Named + 'a> for Key {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

impl Ord for dyn Named + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for dyn Named + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Named + '_ {}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

/// The first eight bytes, as a number that orders as they do; a shorter name is filled up with zeroes.
fn head(name: &str) -> u64 {
    let mut bytes = [0; 8];
    let n = name.len().min(8);
    bytes[..n].copy_from_slice(&name.as_bytes()[..n]);
    u64::from_be_bytes(bytes)
}

impl<V> Default for NameMap<V> {
    fn default() -> Self {
        NameMap(BTreeMap::new())
    }
}

impl<V> NameMap<V> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.0.get::<dyn Named + '_>(&(head(name), name))
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.0.get_mut::<dyn Named + '_>(&(head(name), name))
    }

    pub(super) fn insert(&mut self, name: Str, value: V) -> Option<V> {
        self.0.insert(Key { head: head(&name), name }, value)
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        self.0.remove::<dyn Named + '_>(&(head(name), name))
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Str, &mut V) -> bool) {
        self.0.retain(|key, value| keep(&key.name, value));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Str, &V)> + Clone {
        self.0.iter().map(|(key, value)| (&key.name, value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Str, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&key.name, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_of_the_whole_names_holds_in_the_same_order(
            steps in prop::collection::vec(("[ab\0é]{0,11}", any::<Option<u8>>()), 0..60),
        ) {
            let (mut map, mut twin) = (NameMap::default(), BTreeMap::new());
            for (name, value) in steps {
                match value {
                    Some(value) => prop_assert_eq!(map.insert(name.as_str().into(), value), twin.insert(name, value)),
                    None => prop_assert_eq!(map.remove(&name), twin.remove(&name)),
                }
            }
            let held: Vec<(String, u8)> = map.iter().map(|(name, value)| (name.as_str().into(), *value)).collect();
            prop_assert_eq!(&held, &twin.clone().into_iter().collect::<Vec<_>>());
            for (name, value) in &twin {
                prop_assert_eq!(map.get(name), Some(value));
            }
        }
    }
}
