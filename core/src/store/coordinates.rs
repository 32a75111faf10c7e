//! Where nodes are in the space of round-trip times: one record for each node and segment.

use super::Store;
use super::key::{Key, Parts, fold, fold_str};
use crate::Str;
use crate::types::NodeCoordinate;
use crate::watch::ChangeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Its name in the index table of a snapshot.
const TABLE: &str = "coordinates";

impl Store {
    /// Writes those that are valid and of nodes that are known; the others are passed over, as Consul does.
    pub(super) fn put_coordinates(
        &mut self,
        index: u64,
        updates: &[NodeCoordinate],
        changes: &mut ChangeSet,
    ) {
        for update in updates {
            let name = fold_str(&update.node);
            if !update.coord.is_valid() || !self.nodes.contains_key(&name) {
                continue;
            }
            let key = Key([name, fold_str(&update.segment)]);
            if self.coordinates.get(&key).is_some_and(|old| **old == *update) {
                continue;
            }
            self.coordinates.insert(key, Arc::new(update.clone()));
            self.touch_coordinates(index, changes);
        }
    }

    /// A node is gone, given in lower case.
    pub(super) fn remove_coordinates(&mut self, index: u64, node: &str, changes: &mut ChangeSet) {
        let gone: Vec<Key<2>> = self
            .coordinates
            .range_from::<dyn Parts>(&[node])
            .take_while(|(Key([of, _]), _)| **of == *node)
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.coordinates.remove(&key);
            self.touch_coordinates(index, changes);
        }
    }

    fn touch_coordinates(&mut self, index: u64, changes: &mut ChangeSet) {
        self.index.other.insert(Str::from(TABLE), index);
        changes.coordinates = true;
    }

    /// All of them, by node and segment.
    pub fn coordinates(&self) -> impl Iterator<Item = &Arc<NodeCoordinate>> {
        self.coordinates.values()
    }

    /// Those of one node, by segment.
    pub fn node_coordinates(&self, node: &str) -> impl Iterator<Item = &Arc<NodeCoordinate>> {
        let name = Str::from(&*fold(node));
        let all = self.coordinates.range_from::<dyn Parts>(&[&*name]);
        all.take_while(move |(Key([of, _]), _)| *of == name).map(|(_, found)| found)
    }

    /// `X-Consul-Index` of coordinates.
    pub fn coordinates_index(&self) -> u64 {
        self.index.other.get(TABLE).copied().unwrap_or(0)
    }

    /// How far two nodes are from each other, in seconds; infinitely if that is not known.
    pub fn distance(&self, a: &str, b: &str) -> f64 {
        let (from, to) = common(self.node_coordinates(a), self.node_coordinates(b));
        match (from, to) {
            (Some(from), Some(to)) => from.coord.distance(&to.coord),
            _ => f64::INFINITY,
        }
    }
}

/// The coordinates of two nodes that can be compared: those of the only segment that one of them is in, which may be a
/// client; else of the segment without a name.
fn common<'a>(
    a: impl Iterator<Item = &'a Arc<NodeCoordinate>>,
    b: impl Iterator<Item = &'a Arc<NodeCoordinate>>,
) -> (Option<&'a Arc<NodeCoordinate>>, Option<&'a Arc<NodeCoordinate>>) {
    let (a, b): (Vec<_>, Vec<_>) = (a.collect(), b.collect());
    let segment = match (&a[..], &b[..]) {
        (_, [only]) | ([only], _) => only.segment.clone(),
        _ => Str::default(),
    };
    let of = |all: Vec<&'a Arc<NodeCoordinate>>| all.into_iter().find(|at| at.segment == segment);
    (of(a), of(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Deregister, Register};
    use crate::types::Coordinate;
    use alloc::boxed::Box;

    fn at(node: &str, place: f64) -> NodeCoordinate {
        let mut coord = Coordinate { height: 0.001, ..Coordinate::default() };
        coord.vec[0] = place;
        NodeCoordinate { node: node.into(), coord, ..NodeCoordinate::default() }
    }

    fn apply(store: &mut Store, index: u64, command: &Command) -> ChangeSet {
        let command = Command::decode(&command.encode()).expect("it reads back");
        let mut changes = ChangeSet::default();
        store.apply(index, &command, &mut changes);
        changes
    }

    fn with_nodes(names: &[&str]) -> Store {
        let mut store = Store::default();
        for (at, name) in names.iter().enumerate() {
            let register =
                Register { node: (*name).into(), address: "10.0.0.1".into(), ..Register::default() };
            apply(&mut store, at as u64 + 1, &Command::Register(Box::new(register)));
        }
        store
    }

    #[test]
    fn coordinates_are_of_nodes_that_are_there_and_go_with_them() {
        let mut store = with_nodes(&["a", "B"]);
        let bad = NodeCoordinate { node: "a".into(), ..at("a", f64::NAN) };
        let changes = apply(
            &mut store,
            5,
            &Command::Coordinates(Vec::from([at("A", 0.01), at("b", 0.02), at("nobody", 0.0), bad])),
        );
        assert!(changes.coordinates && !changes.nodes);
        assert_eq!((store.coordinates().count(), store.coordinates_index()), (2, 5));
        assert!((store.distance("a", "b") - 0.012).abs() < 1e-9);
        assert_eq!(store.distance("a", "nobody"), f64::INFINITY);
        // The same again changes nothing.
        let changes = apply(&mut store, 6, &Command::Coordinates(Vec::from([at("A", 0.01)])));
        assert!(changes.is_empty() && store.coordinates_index() == 5);
        assert_eq!(Store::decode_snapshot(&store.encode_snapshot()).as_ref(), Ok(&store));
        let gone = Deregister { node: "a".into(), ..Deregister::default() };
        assert!(apply(&mut store, 7, &Command::Deregister(gone)).coordinates);
        assert_eq!((store.node_coordinates("a").count(), store.coordinates_index()), (0, 7));
        assert_eq!(store.node_coordinates("B").count(), 1);
    }
}
