//! A small ordered map: metadata and tagged addresses of a record.

use crate::Str;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Index;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map from names to values as records hold it: one slice, sorted by name, that equal records share.
///
/// None at all and an empty map are two values, as in Go: an agent that registered one and gets the other
/// back registers anew. Whatever is made here and has no pairs is none at all.
///
/// That one allocates nothing, where a `BTreeMap` with one entry takes room for eleven. A change
/// copies it whole: records have few pairs and are written seldom.
#[derive(Clone)]
pub struct Pairs<V = Str>(Option<Arc<[(Str, V)]>>);

impl<V> Pairs<V> {
    /// No pairs.
    pub const fn new() -> Pairs<V> {
        Pairs(None)
    }

    fn as_slice(&self) -> &[(Str, V)] {
        self.0.as_deref().unwrap_or(&[])
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&V> {
        let pairs = self.as_slice();
        let at = pairs.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        pairs.get(at).map(|(_, value)| value)
    }

    /// Whether `name` has a value.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All pairs, ordered by name.
    pub fn iter(&self) -> Iter<'_, V> {
        self.as_slice().iter().map(|(key, value)| (key, value))
    }

    /// All names in order.
    pub fn keys(&self) -> impl Iterator<Item = &Str> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, ordered by name.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Whether there is not even an empty map.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The same pairs, be there none of them.
    pub fn of(pairs: Option<BTreeMap<Str, V>>) -> Pairs<V> {
        Pairs(pairs.map(|pairs| pairs.into_iter().collect()))
    }

    /// Whether both are the same slice in memory, which implies that they are equal.
    pub fn ptr_eq(&self, other: &Pairs<V>) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl<V: Clone> Pairs<V> {
    /// Sets the value of `name`.
    pub fn insert(&mut self, name: Str, value: V) {
        let mut pairs = self.as_slice().to_vec();
        match pairs.binary_search_by(|(key, _)| key.cmp(&name)) {
            Ok(at) => pairs[at].1 = value,
            Err(at) => pairs.insert(at, (name, value)),
        }
        self.0 = Some(pairs.into());
    }
}

impl<V: Clone + PartialEq> Pairs<V> {
    /// Becomes the slice that `held` is if both are equal; else takes over the names that both have, and
    /// the values that `same` finds equal.
    pub(crate) fn share_with(&mut self, held: &Pairs<V>, same: impl Fn(&V, &mut V)) {
        if self == held {
            self.0.clone_from(&held.0);
        } else if let Some(pairs) = self.0.as_mut().and_then(Arc::get_mut) {
            for (name, value) in pairs {
                if let Ok(at) = held.as_slice().binary_search_by(|(key, _)| key.cmp(name)) {
                    let (held_name, held_value) = &held.as_slice()[at];
                    *name = held_name.clone();
                    same(held_value, value);
                }
            }
        }
    }
}

/// See [`Pairs::iter`].
pub type Iter<'a, V> = core::iter::Map<core::slice::Iter<'a, (Str, V)>, fn(&'a (Str, V)) -> (&'a Str, &'a V)>;

impl<'a, V> IntoIterator for &'a Pairs<V> {
    type Item = (&'a Str, &'a V);
    type IntoIter = Iter<'a, V>;
    fn into_iter(self) -> Iter<'a, V> {
        self.iter()
    }
}

impl<V> From<BTreeMap<Str, V>> for Pairs<V> {
    fn from(map: BTreeMap<Str, V>) -> Pairs<V> {
        let pairs: Vec<(Str, V)> = map.into_iter().collect();
        Pairs((!pairs.is_empty()).then(|| pairs.into()))
    }
}

impl<V> FromIterator<(Str, V)> for Pairs<V> {
    /// Of equal names the last one wins.
    fn from_iter<I: IntoIterator<Item = (Str, V)>>(pairs: I) -> Pairs<V> {
        pairs.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl<V> Default for Pairs<V> {
    fn default() -> Pairs<V> {
        Pairs::new()
    }
}

impl<V> Index<&str> for Pairs<V> {
    type Output = V;
    fn index(&self, name: &str) -> &V {
        self.get(name).expect("no pair of this name")
    }
}

impl<V: PartialEq> PartialEq for Pairs<V> {
    fn eq(&self, other: &Pairs<V>) -> bool {
        self.ptr_eq(other) || (self.0.is_some() == other.0.is_some() && self.as_slice() == other.as_slice())
    }
}

impl<V: PartialEq> PartialEq<BTreeMap<Str, V>> for Pairs<V> {
    fn eq(&self, other: &BTreeMap<Str, V>) -> bool {
        self.iter().eq(other)
    }
}

impl<V: fmt::Debug> fmt::Debug for Pairs<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<V: Serialize> Serialize for Pairs<V> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => s.serialize_none(),
            Some(_) => s.collect_map(self),
        }
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Pairs<V>, D::Error> {
        let map = Option::<BTreeMap<Str, V>>::deserialize(d)?;
        Ok(Pairs(map.map(|map| map.into_iter().collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pairs_hold_what_a_btreemap_holds(
            inserted in prop::collection::vec(("[a-e]{0,2}", 0..9u8), 0..12),
            held in prop::collection::vec(("[a-e]{0,2}", 0..9u8), 0..4),
        ) {
            let (mut pairs, mut twin) = (Pairs::new(), BTreeMap::new());
            for (name, value) in &inserted {
                pairs.insert(Str::from(&**name), *value);
                twin.insert(Str::from(&**name), *value);
            }
            let all = || inserted.iter().map(|(name, value)| (Str::from(&**name), *value));
            prop_assert_eq!(&pairs, &twin);
            prop_assert_eq!(&pairs, &all().collect::<Pairs<u8>>());
            prop_assert_eq!((pairs.len(), pairs.is_empty()), (twin.len(), twin.is_empty()));
            for name in ["", "a", "b", "cc", "e"] {
                prop_assert_eq!(pairs.get(name), twin.get(name));
            }
            let held: Pairs<u8> = held.into_iter().map(|(name, value)| (Str::from(name), value)).collect();
            pairs.share_with(&held, |held, value| if held == value { *value = *held });
            prop_assert_eq!(&pairs, &twin);
            let mut again = all().collect::<Pairs<u8>>();
            again.share_with(&pairs, |_, _| ());
            prop_assert!(again.ptr_eq(&pairs));
        }
    }
}
