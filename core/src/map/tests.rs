//! The map against `BTreeMap`, with snapshots taken on the way.

use super::Map;
use super::node::{MAX, MIN, Node};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use proptest::prelude::*;

/// Panics where the tree breaks one of the invariants in the module's doc.
fn check(map: &Map<u16, u32>) {
    let mut count = 0;
    if let Some(root) = &map.root {
        assert!(root.size() > 0, "an empty root is None");
        if let Node::Inner(inner) = &**root {
            assert!(inner.children.len() >= 2, "a fork of one is not a root");
        }
        check_node(root, true, None, None, &mut count);
    }
    assert_eq!(count, map.len);
}

/// Keys of `node` lie in `[low, high)`. Returns the height.
fn check_node(
    node: &Arc<Node<u16, u32>>,
    root: bool,
    low: Option<u16>,
    high: Option<u16>,
    count: &mut usize,
) -> usize {
    assert!(node.size() <= MAX);
    assert!(root || node.size() >= MIN || matches!(**node, Node::Leaf(_)), "underfull: {}", node.size());
    let inside = |k: u16| low.is_none_or(|l| l <= k) && high.is_none_or(|h| k < h);
    match &**node {
        Node::Leaf(entries) => {
            *count += entries.len();
            assert!(entries.is_sorted_by(|a, b| a.0 < b.0));
            assert!(entries.iter().all(|(k, _)| inside(*k)));
            0
        }
        Node::Inner(inner) => {
            let s = &inner.separators;
            assert_eq!(s.len() + 1, inner.children.len());
            let small = |child: &Arc<Node<u16, u32>>| child.size() < MIN;
            assert!(!inner.children.windows(2).any(|pair| pair.iter().all(small)), "two small leaves");
            assert!(s.is_sorted_by(|a, b| a < b) && s.iter().all(|k| inside(*k)));
            let heights: Vec<usize> = inner
                .children
                .iter()
                .enumerate()
                .map(|(i, child)| {
                    let low = if i == 0 { low } else { Some(s[i - 1]) };
                    check_node(child, false, low, s.get(i).copied().or(high), count)
                })
                .collect();
            assert!(heights.iter().all(|h| *h == heights[0]));
            heights[0] + 1
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u16, u32),
    Remove(u16),
    Change(u16, u32),
    Snapshot,
    RemoveRun(u16, u16),
    InsertRun(u16, u16),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0u16..2000;
    prop_oneof![
        8 => (key.clone(), any::<u32>()).prop_map(|(k, v)| Op::Insert(k, v)),
        4 => key.clone().prop_map(Op::Remove),
        2 => (key.clone(), any::<u32>()).prop_map(|(k, v)| Op::Change(k, v)),
        1 => Just(Op::Snapshot),
        1 => (key.clone(), 1u16..300).prop_map(|(k, n)| Op::RemoveRun(k, n)),
        2 => (key, 1u16..300).prop_map(|(k, n)| Op::InsertRun(k, n)),
    ]
}

fn bound() -> impl Strategy<Value = Bound<u16>> {
    prop_oneof![
        1 => Just(Bound::Unbounded),
        3 => (0u16..2100).prop_map(Bound::Included),
        3 => (0u16..2100).prop_map(Bound::Excluded),
    ]
}

fn within(k: u16, low: Bound<u16>, high: Bound<u16>) -> bool {
    (match low {
        Bound::Unbounded => true,
        Bound::Included(b) => k >= b,
        Bound::Excluded(b) => k > b,
    }) && match high {
        Bound::Unbounded => true,
        Bound::Included(b) => k <= b,
        Bound::Excluded(b) => k < b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_btreemap_and_clones_never_change(ops in prop::collection::vec(op(), 1..200)) {
        let mut map: Map<u16, u32> = Map::new();
        let mut twin: BTreeMap<u16, u32> = BTreeMap::new();
        let mut kept: Vec<(Map<u16, u32>, BTreeMap<u16, u32>)> = Vec::new();
        for op in ops {
            match op {
                Op::Insert(k, v) => prop_assert_eq!(map.insert(k, v), twin.insert(k, v)),
                Op::Remove(k) => prop_assert_eq!(map.remove(&k), twin.remove(&k)),
                Op::Change(k, v) => {
                    let (ours, theirs) = (map.get_mut(&k), twin.get_mut(&k));
                    prop_assert_eq!(&ours, &theirs);
                    if let (Some(ours), Some(theirs)) = (ours, theirs) {
                        *ours = v;
                        *theirs = v;
                    }
                }
                Op::Snapshot => kept.push((map.clone(), twin.clone())),
                Op::RemoveRun(k, n) => for k in k..k + n {
                    prop_assert_eq!(map.remove(&k), twin.remove(&k));
                },
                Op::InsertRun(k, n) => for k in k..k + n {
                    prop_assert_eq!(map.insert(k, u32::from(n)), twin.insert(k, u32::from(n)));
                },
            }
            check(&map);
            prop_assert_eq!(map.len(), twin.len());
            prop_assert_eq!(map.first_key_value(), twin.first_key_value());
            prop_assert_eq!(map.last_key_value(), twin.last_key_value());
        }
        kept.push((map, twin));
        for (map, twin) in kept {
            check(&map);
            prop_assert!(map.iter().eq(twin.iter()));
            prop_assert!(map.iter().rev().eq(twin.iter().rev()));
        }
    }

    #[test]
    fn range_gives_what_a_filter_gives(
        keys in prop::collection::btree_set(0u16..2000, 0..600),
        bounds in prop::collection::vec((bound(), bound()), 1..30),
        from_front in prop::collection::vec(any::<bool>(), 700),
    ) {
        let map: Map<u16, u32> = keys.iter().map(|k| (*k, u32::from(*k))).collect();
        check(&map);
        for (low, high) in bounds {
            let want: Vec<u16> = keys.iter().copied().filter(|k| within(*k, low, high)).collect();
            let got: Vec<u16> = map.range::<u16, _>((low, high)).map(|(k, _)| *k).collect();
            prop_assert_eq!(&got, &want);
            if let Bound::Included(low) = low {
                prop_assert_eq!(map.first_from(&low), map.range_from(&low).next());
            }
            // Taken from both ends in any order, every entry comes exactly once.
            let mut iter = map.range::<u16, _>((low, high));
            let (mut front, mut back) = (Vec::new(), Vec::new());
            for step in &from_front {
                if *step { front.extend(iter.next()) } else { back.extend(iter.next_back()) }
            }
            prop_assert!(iter.next().is_none() && iter.next_back().is_none());
            let both: Vec<u16> = front.iter().chain(back.iter().rev()).map(|(k, _)| **k).collect();
            prop_assert_eq!(&both, &want);
        }
    }

    #[test]
    fn bulk_build_equals_inserting_one_by_one(entries in prop::collection::vec((0u16..3000, any::<u32>()), 0..2500)) {
        let built: Map<u16, u32> = entries.iter().copied().collect();
        check(&built);
        let twin: BTreeMap<u16, u32> = entries.iter().copied().collect();
        prop_assert!(built.iter().eq(twin.iter()));
        let sorted = Map::from_sorted(twin.iter().map(|(k, v)| (*k, *v)));
        check(&sorted);
        prop_assert_eq!(built, sorted);
    }
}

#[test]
fn str_keys_are_found_and_ranged_by_str() {
    let map: Map<crate::Str, u8> =
        [("web", 1), ("api", 2), ("db", 3)].map(|(k, v)| (k.into(), v)).into_iter().collect();
    assert_eq!(map.get("db"), Some(&3));
    assert_eq!(map.get_key_value("nope"), None);
    let from_b: Vec<&str> =
        map.range::<str, _>((Bound::Included("b"), Bound::Excluded("web2"))).map(|(k, _)| &**k).collect();
    assert_eq!(from_b, ["db", "web"]);
    assert_eq!(map.range_from("db").count(), 2);
    assert_eq!(format!("{map:?}"), r#"{"api": 2, "db": 3, "web": 1}"#);
}

#[test]
fn an_unshared_map_changes_in_place_and_a_shared_one_copies_only_its_path() {
    let mut map: Map<u16, u32> = (0..20_000u16).map(|k| (k, 0)).collect();
    let leaf = |map: &Map<u16, u32>, k: u16| core::ptr::from_ref(map.get(&k).unwrap());
    let before = (leaf(&map, 0), leaf(&map, 10_000));
    *map.get_mut(&10_000).unwrap() = 1;
    assert_eq!((leaf(&map, 0), leaf(&map, 10_000)), before);
    let view = map.clone();
    assert!(view.ptr_eq(&map));
    *map.get_mut(&10_000).unwrap() = 2;
    assert_eq!(leaf(&map, 0), before.0, "a far leaf stays shared");
    assert_ne!(leaf(&map, 10_000), before.1);
    assert_eq!((view.get(&10_000), map.get(&10_000)), (Some(&1), Some(&2)));
    // A miss copies nothing.
    let view = map.clone();
    assert_eq!(map.remove(&30_000), None);
    assert!(map.get_mut(&30_000).is_none());
    assert!(view.ptr_eq(&map));
}

/// Leaves of `map`, and the entries in them.
fn leaves(node: &Node<u16, u32>) -> (usize, usize) {
    match node {
        Node::Leaf(entries) => (1, entries.len()),
        Node::Inner(inner) => {
            inner.children.iter().map(|child| leaves(child)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
        }
    }
}

#[test]
fn ascending_keys_fill_their_leaves_and_descending_ones_half_fill_them() {
    let filled = |map: &Map<u16, u32>| {
        check(map);
        let (count, entries) = leaves(map.root.as_ref().unwrap());
        entries * 100 / (count * MAX)
    };
    let mut map = Map::new();
    (0..6400u16).for_each(|k| _ = map.insert(k, 0));
    assert!(filled(&map) >= 99, "{}", filled(&map));
    let mut map = Map::new();
    (0..6400u16).rev().for_each(|k| _ = map.insert(k, 0));
    assert!(filled(&map) >= 50, "{}", filled(&map));
}

#[test]
fn removing_everything_leaves_an_empty_map() {
    let mut map: Map<u16, u32> = (0..5000u16).map(|k| (k, 0)).collect();
    for k in (0..5000).rev() {
        assert_eq!(map.remove(&k), Some(0));
    }
    check(&map);
    assert!(map.is_empty() && map.root.is_none() && map.iter().next().is_none());
}
