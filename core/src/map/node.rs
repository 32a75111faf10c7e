//! The nodes of [`super::Map`]: search, insert with split, remove with refill, bulk build.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;

/// The most entries of a leaf, and the most children of an inner node.
///
/// A write copies what a view still shows, and each entry of a copy touches counters that lie elsewhere: the wider,
/// the more. The narrower, the more memory goes to the nodes themselves.
pub(super) const MAX: usize = 16;
/// The fewest of either, except in the root; of two leaves side by side one may hold fewer.
pub(super) const MIN: usize = MAX / 2;
/// The most forks on a way down: with at least `MIN` children each this is beyond any memory.
pub(super) const DEPTH: usize = 10;
/// By how many a node grows: most are copied for the next write anyway, and room that is not used is memory.
const STEP: usize = 4;

/// One node of the tree.
pub(super) enum Node<K, V> {
    /// Entries in ascending key order.
    Leaf(Vec<(K, V)>),
    /// A fork.
    Inner(Inner<K, V>),
}

/// A fork: `separators[i]` divides `children[i]` from `children[i + 1]`.
///
/// Most copies of a fork are made for a change further down, and share the separators.
pub(super) struct Inner<K, V> {
    pub(super) separators: Arc<[K]>,
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
        let mut entries = Vec::with_capacity(STEP);
        entries.push((key, value));
        Node::Leaf(entries)
    }

    pub(super) fn root_of(left: Arc<Self>, separator: K, right: Arc<Self>) -> Self {
        let mut children = Vec::with_capacity(STEP);
        children.extend([left, right]);
        Node::Inner(Inner { separators: Arc::from([separator]), children })
    }

    /// The entry with the least key.
    pub(super) fn first(&self) -> Option<(&K, &V)> {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(entries) => return entries.first().map(|(k, v)| (k, v)),
                Node::Inner(inner) => node = inner.children.first()?,
            }
        }
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
                separators: inner.separators.clone(),
                children: copy_with_room(&inner.children),
            }),
        }
    }
}

fn copy_with_room<T: Clone>(items: &[T]) -> Vec<T> {
    let room = (items.len() + 1).next_multiple_of(STEP).min(MAX);
    let mut copy = Vec::with_capacity(room.max(items.len()));
    copy.extend_from_slice(items);
    copy
}

fn insert_at<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(STEP);
    }
    items.insert(at, item);
}

/// Cuts off what is at `from` and behind it.
fn tail<T>(items: &mut Vec<T>, from: usize) -> Vec<T> {
    let tail = items.drain(from..).collect();
    items.shrink_to(items.len() + STEP);
    tail
}

impl<K: Clone, V> Inner<K, V> {
    /// Puts in a separator and the child to its right.
    fn insert(&mut self, at: usize, separator: K, right: Arc<Node<K, V>>) {
        let (before, after) = self.separators.split_at(at);
        self.separators = before.iter().cloned().chain([separator]).chain(after.iter().cloned()).collect();
        insert_at(&mut self.children, at + 1, right);
    }

    /// Cuts off the children from `at` on, which is neither the first nor beyond the last; what divides the two.
    fn split(&mut self, at: usize) -> (K, Self) {
        let children = tail(&mut self.children, at);
        let separators = Arc::from(&self.separators[at..]);
        let between = self.separators[at - 1].clone();
        self.separators = Arc::from(&self.separators[..at - 1]);
        (between, Inner { separators, children })
    }

    /// Takes out a separator and the child to its right.
    fn remove(&mut self, at: usize) -> (K, Arc<Node<K, V>>) {
        let separator = self.separators[at].clone();
        let (before, after) = (&self.separators[..at], &self.separators[at + 1..]);
        self.separators = before.iter().chain(after).cloned().collect();
        (separator, self.children.remove(at + 1))
    }
}

impl<K: Ord + Clone, V: Clone> Node<K, V> {
    /// Halves a node that has grown past `MAX`.
    fn split_if_over(&mut self) -> Option<(K, Arc<Self>)> {
        let half = self.size() / 2;
        if self.size() <= MAX {
            return None;
        }
        let (separator, right) = match self {
            Node::Leaf(entries) => {
                let right = tail(entries, half);
                (right[0].0.clone(), Node::Leaf(right))
            }
            Node::Inner(inner) => {
                let (separator, right) = inner.split(half);
                (separator, Node::Inner(right))
            }
        };
        Some((separator, Arc::new(right)))
    }

    /// Joins the right neighbour onto this node; both are at the same depth.
    fn append(&mut self, separator: K, right: Self) {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(mut right)) => left.append(&mut right),
            (Node::Inner(left), Node::Inner(mut right)) => {
                let all = left.separators.iter().chain([&separator]).chain(&*right.separators);
                left.separators = all.cloned().collect();
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
            Ok(at) => Added::Replaced(core::mem::replace(&mut entries[at].1, value)),
            Err(at) if entries.len() < MAX => {
                insert_at(entries, at, (key, value));
                Added::Fitted
            }
            Err(at) if at == MAX && may_start_a_leaf => {
                Added::Split(key.clone(), Arc::new(Node::leaf(key, value)))
            }
            Err(at) => {
                let mut right = tail(entries, MIN);
                match at.checked_sub(MIN) {
                    None | Some(0) => insert_at(entries, at, (key, value)),
                    Some(at) => insert_at(&mut right, at, (key, value)),
                }
                Added::Split(right[0].0.clone(), Arc::new(Node::Leaf(right)))
            }
        },
        Node::Inner(inner) => {
            let at = inner.child_of(&key);
            let may_start_a_leaf = inner.children.get(at + 1).is_none_or(|next| next.size() >= MIN);
            let (separator, child) = match insert(&mut inner.children[at], key, value, may_start_a_leaf) {
                Added::Split(separator, right) => (separator, right),
                done => return done,
            };
            if inner.children.len() < MAX {
                inner.insert(at, separator, child);
                return Added::Fitted;
            }
            let (between, mut right) = inner.split(MIN);
            match at.checked_sub(MIN) {
                None => inner.insert(at, separator, child),
                Some(at) => right.insert(at, separator, child),
            }
            Added::Split(between, Arc::new(Node::Inner(right)))
        }
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
    let (separator, right) = inner.remove(left);
    let right = Arc::unwrap_or_clone(right);
    let joined = Arc::make_mut(&mut inner.children[left]);
    joined.append(separator, right);
    if let Some((separator, right)) = joined.split_if_over() {
        inner.insert(left, separator, right);
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
            let mut children = Vec::with_capacity(chunk.len());
            let mut leasts = Vec::with_capacity(chunk.len());
            for (least, child) in chunk {
                leasts.push(least);
                children.push(child);
            }
            let least = leasts.remove(0);
            above.push((least, Arc::new(Node::Inner(Inner { separators: leasts.into(), children }))));
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
        let mut chunk = Vec::with_capacity(size);
        chunk.extend(items.by_ref().take(size));
        chunk
    })
}
