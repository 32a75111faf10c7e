//! `Map`: an ordered map whose clone is a reference count.
//!
//! A copy-on-write B+tree. Entries sit in leaves of at most [`node::MAX`]; a clone shares the whole
//! tree, and a write copies only the nodes on its path that somebody else still holds. So a read view
//! of every table costs one `Arc` each, and a writer that nobody watches changes in place.
//!
//! Invariants (checked by the tests after every step): all leaves are at the same depth; every node but
//! the root holds at least `MIN` entries or children, but of two leaves side by side one may hold fewer;
//! keys ascend; a separator is greater than every key
//! to its left and not greater than any key to its right.

mod iter;
mod node;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::ops::{Bound, RangeBounds};

pub use iter::Iter;
use node::{Added, Node, Place};

/// A persistent ordered map: `clone` is O(1), lookups and writes are O(log n).
///
/// The interface is that of `BTreeMap`, except that an inverted range is empty instead of a panic.
pub struct Map<K, V> {
    root: Option<Arc<Node<K, V>>>,
    len: usize,
}

impl<K, V> Map<K, V> {
    /// An empty map; allocates nothing.
    pub const fn new() -> Self {
        Map { root: None, len: 0 }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets every entry; clones keep theirs.
    pub fn clear(&mut self) {
        *self = Map::new();
    }

    /// Whether both maps are the same tree in memory, which implies that they are equal.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Every entry in key order.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::whole(self.root.as_deref())
    }

    /// Every key in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.iter().map(|(k, _)| k)
    }

    /// Every value in key order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, v)| v)
    }

    /// The entry with the least key.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.root.as_deref()?.first()
    }

    /// The entry with the greatest key.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => return entries.last().map(|(k, v)| (k, v)),
                Node::Inner(inner) => node = inner.children.last()?,
            }
        }
    }

    /// The entry at `key`, with the key as stored. Allocates nothing.
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = node::find(entries, key).ok()?;
                    return entries.get(at).map(|(k, v)| (k, v));
                }
                Node::Inner(inner) => node = inner.children.get(inner.child_of(key))?,
            }
        }
    }

    /// The value at `key`. Allocates nothing.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get_key_value(key).map(|(_, v)| v)
    }

    /// Whether `key` is present.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get_key_value(key).is_some()
    }

    /// The first entry whose key is not below `key`. Cheaper than the beginning of a range.
    pub fn first_from<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut node = self.root.as_deref()?;
        let mut next: Option<&Node<K, V>> = None;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = node::find(entries, key).unwrap_or_else(|at| at);
                    return match entries.get(at) {
                        Some((k, v)) => Some((k, v)),
                        None => next?.first(),
                    };
                }
                Node::Inner(inner) => {
                    let taken = inner.child_of(key);
                    next = inner.children.get(taken + 1).map(|child| &**child).or(next);
                    node = inner.children.get(taken)?;
                }
            }
        }
    }

    /// The entries whose keys lie in `bounds`, in order: O(log n) to start, O(1) per entry.
    ///
    /// Bounds that exclude everything, inverted ones included, give an empty iterator.
    pub fn range<Q, R>(&self, bounds: R) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
        R: RangeBounds<Q>,
    {
        Iter::between(self.root.as_deref(), bounds.start_bound(), bounds.end_bound())
    }

    /// The entries from `key` on (inclusive), in order.
    pub fn range_from<Q>(&self, key: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        Iter::between(self.root.as_deref(), Bound::Included(key), Bound::Unbounded)
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// Puts `value` at `key` and returns what was there. A key already present stays as it was stored.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::leaf(key, value)));
            self.len = 1;
            return None;
        };
        match node::insert(root, key, value, true) {
            Added::Replaced(old) => return Some(old),
            Added::Fitted => {}
            Added::Split(separator, right) => {
                let left = Arc::clone(root);
                *root = Arc::new(Node::root_of(left, separator, right));
            }
        }
        self.len += 1;
        None
    }

    /// Takes out the value at `key`. A key that is absent copies nothing.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let root = self.root.as_mut()?;
        let place = Place::of(root, key)?;
        let old = node::remove(root, &place);
        self.len -= 1;
        let shrunk = match &**root {
            Node::Leaf(entries) if entries.is_empty() => Some(None),
            Node::Inner(inner) if inner.children.len() == 1 => Some(inner.children.first().cloned()),
            _ => None,
        };
        if let Some(root) = shrunk {
            self.root = root;
        }
        Some(old)
    }

    /// The value at `key`, to change in place; copies the path to it where a clone still shares it.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let root = self.root.as_mut()?;
        let place = Place::of(root, key)?;
        node::value_mut(root, &place)
    }

    /// A map of entries that mostly arrive in ascending key order: O(n) when they do.
    ///
    /// Disorder costs a sort; of equal keys the last one wins.
    pub fn from_sorted(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut entries: Vec<(K, V)> = entries.into_iter().collect();
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    core::mem::swap(later, kept);
                }
                same
            });
        }
        Map { len: entries.len(), root: node::build(entries) }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Map::from_sorted(entries)
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Map { root: self.root.clone(), len: self.len }
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Map::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;
    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}
