//! Walking a [`super::Map`] from both ends without allocating.

use super::node::{DEPTH, Inner, Node, find};
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::iter::FusedIterator;
use core::ops::Bound;

/// One fork on the way down: its children, and which one was taken.
type Fork<'a, K, V> = (&'a [Arc<Node<K, V>>], usize);

/// A place in the tree that always names an entry.
struct Cursor<'a, K, V> {
    forks: [Fork<'a, K, V>; DEPTH],
    depth: usize,
    leaf: &'a [(K, V)],
    at: usize,
}

impl<K, V> Clone for Cursor<'_, K, V> {
    fn clone(&self) -> Self {
        Cursor { ..*self }
    }
}

impl<'a, K, V> Cursor<'a, K, V> {
    /// Walks down from `root`, choosing at each fork with `choose`. `at` is left at zero.
    fn down(root: &'a Node<K, V>, mut choose: impl FnMut(&Inner<K, V>) -> usize) -> Self {
        let mut cursor = Cursor { forks: [(&[], 0); DEPTH], depth: 0, leaf: &[], at: 0 };
        cursor.descend(root, &mut choose);
        cursor
    }

    fn descend(&mut self, mut node: &'a Node<K, V>, choose: &mut impl FnMut(&Inner<K, V>) -> usize) {
        loop {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries;
                    return;
                }
                Node::Inner(inner) => {
                    let taken = choose(inner);
                    self.forks[self.depth] = (&inner.children, taken);
                    self.depth += 1;
                    node = &inner.children[taken];
                }
            }
        }
    }

    fn first(root: &'a Node<K, V>) -> Option<Self> {
        let cursor = Cursor::down(root, |_| 0);
        (!cursor.leaf.is_empty()).then_some(cursor)
    }

    fn last(root: &'a Node<K, V>) -> Option<Self> {
        let mut cursor = Cursor::down(root, |inner| inner.children.len() - 1);
        cursor.at = cursor.leaf.len().checked_sub(1)?;
        Some(cursor)
    }

    /// The first entry not below `key`, or above it if `past`.
    fn at_or_after<Q>(root: &'a Node<K, V>, key: &Q, past: bool) -> Option<Self>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut cursor = Cursor::down(root, |inner| inner.child_of(key));
        cursor.at = match find(cursor.leaf, key) {
            Ok(at) => at + usize::from(past),
            Err(at) => at,
        };
        (cursor.at < cursor.leaf.len() || cursor.step_to_next_leaf()).then_some(cursor)
    }

    /// The last entry not above `key`, or below it if `before`.
    fn at_or_before<Q>(root: &'a Node<K, V>, key: &Q, before: bool) -> Option<Self>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut cursor = Cursor::down(root, |inner| inner.child_of(key));
        let end = match find(cursor.leaf, key) {
            Ok(at) => at + usize::from(!before),
            Err(at) => at,
        };
        match end.checked_sub(1) {
            Some(at) => {
                cursor.at = at;
                Some(cursor)
            }
            None => cursor.step_to_previous_leaf().then_some(cursor),
        }
    }

    fn step_to_next_leaf(&mut self) -> bool {
        let mut level = self.depth;
        while level > 0 {
            level -= 1;
            let (children, taken) = self.forks[level];
            if let Some(child) = children.get(taken + 1) {
                self.forks[level].1 = taken + 1;
                self.depth = level + 1;
                self.descend(child, &mut |_| 0);
                self.at = 0;
                return true;
            }
        }
        false
    }

    fn step_to_previous_leaf(&mut self) -> bool {
        let mut level = self.depth;
        while level > 0 {
            level -= 1;
            let (children, taken) = self.forks[level];
            if taken > 0 {
                self.forks[level].1 = taken - 1;
                self.depth = level + 1;
                self.descend(&children[taken - 1], &mut |inner| inner.children.len() - 1);
                self.at = self.leaf.len() - 1;
                return true;
            }
        }
        false
    }

    fn entry(&self) -> &'a (K, V) {
        &self.leaf[self.at]
    }

    fn same_place(&self, other: &Self) -> bool {
        self.at == other.at && core::ptr::eq(self.leaf, other.leaf)
    }
}

/// Entries of a [`super::Map`] in key order, from either end.
pub struct Iter<'a, K, V> {
    /// The next entry from the front and from the back, both still to be given out.
    ends: Option<(Cursor<'a, K, V>, Cursor<'a, K, V>)>,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Iter { ends: self.ends.clone() }
    }
}

impl<'a, K, V> Iter<'a, K, V> {
    pub(super) fn whole(root: Option<&'a Node<K, V>>) -> Self {
        Iter { ends: root.and_then(|root| Some((Cursor::first(root)?, Cursor::last(root)?))) }
    }

    pub(super) fn between<Q>(root: Option<&'a Node<K, V>>, start: Bound<&Q>, end: Bound<&Q>) -> Self
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let ends = root.and_then(|root| {
            let front = match start {
                Bound::Unbounded => Cursor::first(root)?,
                Bound::Included(key) => Cursor::at_or_after(root, key, false)?,
                Bound::Excluded(key) => Cursor::at_or_after(root, key, true)?,
            };
            let back = match end {
                Bound::Unbounded => Cursor::last(root)?,
                Bound::Included(key) => Cursor::at_or_before(root, key, false)?,
                Bound::Excluded(key) => Cursor::at_or_before(root, key, true)?,
            };
            (front.entry().0.borrow() <= back.entry().0.borrow()).then_some((front, back))
        });
        Iter { ends }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<(&'a K, &'a V)> {
        let (front, back) = self.ends.as_mut()?;
        let (key, value) = front.entry();
        if front.same_place(back) {
            self.ends = None;
        } else if front.at + 1 < front.leaf.len() {
            front.at += 1;
        } else {
            let moved = front.step_to_next_leaf();
            invariant!(moved, "map range ran past its end");
        }
        Some((key, value))
    }
}

impl<'a, K, V> DoubleEndedIterator for Iter<'a, K, V> {
    fn next_back(&mut self) -> Option<(&'a K, &'a V)> {
        let (front, back) = self.ends.as_mut()?;
        let (key, value) = back.entry();
        if front.same_place(back) {
            self.ends = None;
        } else if back.at > 0 {
            back.at -= 1;
        } else {
            let moved = back.step_to_previous_leaf();
            invariant!(moved, "map range ran past its start");
        }
        Some((key, value))
    }
}

impl<K, V> FusedIterator for Iter<'_, K, V> {}
