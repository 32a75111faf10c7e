//! The nodes of [`super::Map`]: search, insert with split, remove with refill, bulk build.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;

/// The most entries of a leaf, and the most children of an inner node.
pub(super) const MAX: usize = 32;
/// The fewest of either, except in the root; of two leaves side by side one may hold fewer.
pub(super) const MIN: usize = MAX / 2;
/// The most forks on a way down: with at least `MIN` children each this is beyond any memory.
pub(super) const DEPTH: usize = 8;
/// Room for the one entry too many that makes a node split.
const ROOM: usize = MAX + 1;

/// One node of the tree.
pub(super) enum Node<K, V> {
    /// Entries in ascending key order.
    Leaf(Vec<(K, V)>),
    /// A fork.
    Inner(Inner<K, V>),
}

/// A fork: `separators[i]` divides `children[i]` from `children[i + 1]`.
pub(super) struct Inner<K, V> {
    pub(super) separators: Vec<K>,
    pub(super) children: Vec<Arc<Node<K, V>>>,
}

/// What an insert did.
pub(super) enum Added<K, V> {
    /// The key was there; its old value.
    Replaced(V),
    /// The key is new and its node had room.
    Fitted,
    /// The key is new and its node split: the separator and the new right half.
    Split(K, Arc<Node<K, V>>),
}

/// Where `key` is among `entries`, or where it would go.
///
/// A plain scan: keys are mostly strings behind a pointer, and the processor runs ahead over the next ones
/// while a binary search would wait for each (measured 2.5 times slower with 100,000 names). The last one is
/// looked at first: names often come in ascending order, a log read back above all.
pub(super) fn find<K, V, Q>(entries: &[(K, V)], key: &Q) -> Result<usize, usize>
where
    K: Borrow<Q>,
    Q: Ord + ?Sized,
{
    if entries.last().is_none_or(|(last, _)| key > last.borrow()) {
        return Err(entries.len());
    }
    for (at, (stored, _)) in entries.iter().enumerate() {
        match key.cmp(stored.borrow()) {
            Ordering::Greater => {}
            Ordering::Equal => return Ok(at),
            Ordering::Less => return Err(at),
        }
    }
    Err(entries.len())
}

impl<K, V> Inner<K, V> {
    /// The index of the child that `key` belongs to.
    pub(super) fn child_of<Q>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let count = self.separators.len();
        if self.separators.last().is_some_and(|last| key >= last.borrow()) {
            return count;
        }
        self.separators.iter().position(|s| key < s.borrow()).unwrap_or(count)
    }
}

impl<K, V> Node<K, V> {
    pub(super) fn leaf(key: K, value: V) -> Self {
        let mut entries = Vec::with_capacity(ROOM);
        entries.push((key, value));
        Node::Leaf(entries)
    }

    pub(super) fn root_of(left: Arc<Self>, separator: K, right: Arc<Self>) -> Self {
        let mut separators = Vec::with_capacity(ROOM);
        separators.push(separator);
        let mut children = Vec::with_capacity(ROOM);
        children.extend([left, right]);
        Node::Inner(Inner { separators, children })
    }

    /// Entries of a leaf, children of an inner node.
    pub(super) fn size(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }
}

impl<K: Clone, V: Clone> Clone for Node<K, V> {
    /// A copy is made to be written to, so it has room for one more.
    fn clone(&self) -> Self {
        match self {
            Node::Leaf(entries) => Node::Leaf(copy_with_room(entries)),
            Node::Inner(inner) => Node::Inner(Inner {
                separators: copy_with_room(&inner.separators),
                children: copy_with_room(&inner.children),
            }),
        }
    }
}

fn copy_with_room<T: Clone>(items: &[T]) -> Vec<T> {
    let mut copy = Vec::with_capacity(ROOM.max(items.len()));
    copy.extend_from_slice(items);
    copy
}

fn tail_with_room<T>(items: &mut Vec<T>, from: usize) -> Vec<T> {
    let mut tail = Vec::with_capacity(ROOM);
    tail.extend(items.drain(from..));
    tail
}

impl<K: Ord + Clone, V: Clone> Node<K, V> {
    /// Halves a node that has grown past `MAX`.
    fn split_if_over(&mut self) -> Option<(K, Arc<Self>)> {
        let size = self.size();
        if size > MAX { self.split(size / 2) } else { None }
    }

    /// Cuts off what a leaf holds from `at` on, or the children of a fork.
    fn split(&mut self, at: usize) -> Option<(K, Arc<Self>)> {
        match self {
            Node::Leaf(entries) => {
                let right = tail_with_room(entries, at);
                let separator = right.first()?.0.clone();
                Some((separator, Arc::new(Node::Leaf(right))))
            }
            Node::Inner(inner) => {
                let children = tail_with_room(&mut inner.children, at);
                let separators = tail_with_room(&mut inner.separators, at);
                let separator = inner.separators.pop()?;
                Some((separator, Arc::new(Node::Inner(Inner { separators, children }))))
            }
        }
    }

    /// Joins the right neighbour onto this node; both are at the same depth.
    fn append(&mut self, separator: K, right: Self) {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(mut right)) => left.append(&mut right),
            (Node::Inner(left), Node::Inner(mut right)) => {
                left.separators.push(separator);
                left.separators.append(&mut right.separators);
                left.children.append(&mut right.children);
            }
            _ => invariant!(false, "map siblings at different depths"),
        }
    }
}

/// Inserts below `node`, copying what is shared on the way.
///
/// A full leaf is halved, except when the new key goes behind all of its keys and `may_start_a_leaf`: then
/// it stays full and the key starts the next leaf, so that keys that come in ascending order fill their
/// leaves. That asks for a neighbour that is not itself just begun, or keys in descending order would leave
/// a trail of leaves of one.
pub(super) fn insert<K: Ord + Clone, V: Clone>(
    node: &mut Arc<Node<K, V>>,
    key: K,
    value: V,
    may_start_a_leaf: bool,
) -> Added<K, V> {
    let node = Arc::make_mut(node);
    match node {
        Node::Leaf(entries) => match find(entries, &key) {
            Ok(at) => return Added::Replaced(core::mem::replace(&mut entries[at].1, value)),
            Err(at) if at == MAX && may_start_a_leaf => {
                return Added::Split(key.clone(), Arc::new(Node::leaf(key, value)));
            }
            Err(at) => entries.insert(at, (key, value)),
        },
        Node::Inner(inner) => {
            let at = inner.child_of(&key);
            let may_start_a_leaf = inner.children.get(at + 1).is_none_or(|next| next.size() >= MIN);
            match insert(&mut inner.children[at], key, value, may_start_a_leaf) {
                Added::Split(separator, right) => {
                    inner.separators.insert(at, separator);
                    inner.children.insert(at + 1, right);
                }
                done => return done,
            }
        }
    }
    match node.split_if_over() {
        Some((separator, right)) => Added::Split(separator, right),
        None => Added::Fitted,
    }
}

/// Where an entry is: the child taken at each fork, then the index in the leaf.
pub(super) struct Place {
    forks: [u8; DEPTH],
    depth: usize,
    at: usize,
}

impl Place {
    pub(super) fn of<K, V, Q>(mut node: &Node<K, V>, key: &Q) -> Option<Self>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut place = Place { forks: [0; DEPTH], depth: 0, at: 0 };
        loop {
            match node {
                Node::Leaf(entries) => {
                    place.at = find(entries, key).ok()?;
                    return Some(place);
                }
                Node::Inner(inner) => {
                    let taken = inner.child_of(key);
                    // At most `MAX`.
                    place.forks[place.depth] = taken as u8;
                    place.depth += 1;
                    node = &inner.children[taken];
                }
            }
        }
    }

    fn forks(&self) -> &[u8] {
        &self.forks[..self.depth]
    }
}

/// The value at `place`, copying what is shared on the way.
pub(super) fn value_mut<'a, K: Clone, V: Clone>(
    root: &'a mut Arc<Node<K, V>>,
    place: &Place,
) -> Option<&'a mut V> {
    let mut node = Arc::make_mut(root);
    for taken in place.forks() {
        match node {
            Node::Leaf(_) => return None,
            Node::Inner(inner) => node = Arc::make_mut(&mut inner.children[usize::from(*taken)]),
        }
    }
    match node {
        Node::Leaf(entries) => entries.get_mut(place.at).map(|(_, value)| value),
        Node::Inner(_) => None,
    }
}

/// Removes the entry at `place`, copying what is shared on the way.
pub(super) fn remove<K: Ord + Clone, V: Clone>(root: &mut Arc<Node<K, V>>, place: &Place) -> V {
    remove_below(root, place.forks(), place.at)
}

fn remove_below<K: Ord + Clone, V: Clone>(node: &mut Arc<Node<K, V>>, forks: &[u8], at: usize) -> V {
    match (Arc::make_mut(node), forks) {
        (Node::Leaf(entries), []) => entries.remove(at).1,
        (Node::Inner(inner), [taken, below @ ..]) => {
            let taken = usize::from(*taken);
            let old = remove_below(&mut inner.children[taken], below, at);
            if inner.children[taken].size() < MIN {
                refill(inner, taken);
            }
            old
        }
        _ => panic!("invariant broken: a place in a map that is not of it"),
    }
}

/// Joins child `at` with a neighbour, and halves the result again if it is too big for one node.
fn refill<K: Ord + Clone, V: Clone>(inner: &mut Inner<K, V>, at: usize) {
    let left = at.saturating_sub(1);
    let separator = inner.separators.remove(left);
    let right = Arc::unwrap_or_clone(inner.children.remove(left + 1));
    let joined = Arc::make_mut(&mut inner.children[left]);
    joined.append(separator, right);
    if let Some((separator, right)) = joined.split_if_over() {
        inner.separators.insert(left, separator);
        inner.children.insert(left + 1, right);
    }
}

/// A tree over entries that are in strictly ascending key order.
pub(super) fn build<K: Clone, V>(entries: Vec<(K, V)>) -> Option<Arc<Node<K, V>>> {
    let mut level: Vec<(K, Arc<Node<K, V>>)> = Vec::new();
    for chunk in even_chunks(entries) {
        let least = chunk.first()?.0.clone();
        level.push((least, Arc::new(Node::Leaf(chunk))));
    }
    while level.len() > 1 {
        let mut above = Vec::new();
        for chunk in even_chunks(level) {
            let mut separators = Vec::with_capacity(ROOM);
            let mut children = Vec::with_capacity(ROOM);
            for (least, child) in chunk {
                separators.push(least);
                children.push(child);
            }
            let least = separators.remove(0);
            above.push((least, Arc::new(Node::Inner(Inner { separators, children }))));
        }
        level = above;
    }
    level.pop().map(|(_, root)| root)
}

/// Cuts into the fewest chunks of at most `MAX`, as even as can be, so that none is below `MIN`.
fn even_chunks<T>(items: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let (n, parts) = (items.len(), items.len().div_ceil(MAX));
    let mut items = items.into_iter();
    (0..parts).map(move |part| {
        let size = n / parts + usize::from(part < n % parts);
        let mut chunk = Vec::with_capacity(ROOM);
        chunk.extend(items.by_ref().take(size));
        chunk
    })
}
