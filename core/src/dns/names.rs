//! The names of one reply as a tree of labels.
//!
//! Names that end alike share nodes, so compression is one look-up per label when encoding: a node
//! remembers where it was written first. No name is ever compared with all others.

use super::qname::{MAX_LABEL, MAX_NAME, QName};
use alloc::vec::Vec;

/// A name in [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NameId(u32);

impl NameId {
    /// The root name.
    pub(super) const ROOT: NameId = NameId(0);

    /// Its position, for tables beside the tree.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

struct Node {
    parent: NameId,
    /// First child that other names may share, and the next child of the same parent.
    child: Option<NameId>,
    next: Option<NameId>,
    start: u32,
    len: u8,
    /// Length of the whole name on the wire, root label included.
    wire: u8,
}

/// All names of one reply.
pub(super) struct Names {
    text: Vec<u8>,
    nodes: Vec<Node>,
}

impl Names {
    /// Only the root.
    pub(super) fn new() -> Names {
        let mut nodes = Vec::with_capacity(32);
        nodes.push(Node { parent: NameId::ROOT, child: None, next: None, start: 0, len: 0, wire: 1 });
        Names { text: Vec::with_capacity(256), nodes }
    }

    /// How many nodes there are.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The label of `name` itself; empty for the root.
    pub(super) fn label(&self, name: NameId) -> &[u8] {
        let node = &self.nodes[name.index()];
        &self.text[node.start as usize..node.start as usize + usize::from(node.len)]
    }

    /// `name` without its first label; the root for the root.
    pub(super) fn parent(&self, name: NameId) -> NameId {
        self.nodes[name.index()].parent
    }

    /// `label` in front of `parent`, shared with every name that has it there. Upper and lower
    /// case differ, as an answer repeats the client's spelling. `None` if DNS cannot hold it.
    pub(super) fn child(&mut self, parent: NameId, label: &[u8]) -> Option<NameId> {
        self.found(parent, label).or_else(|| self.add(parent, label, true))
    }

    /// Like [`Names::child`] for one of many siblings, such as a node's name: later names will
    /// not look for it.
    pub(super) fn leaf(&mut self, parent: NameId, label: &[u8]) -> Option<NameId> {
        self.found(parent, label).or_else(|| self.add(parent, label, false))
    }

    /// The dotted `text` in front of `parent`; its first label is a [`Names::leaf`].
    pub(super) fn dotted(&mut self, parent: NameId, text: &str) -> Option<NameId> {
        let (first, rest) = match text.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (text, None),
        };
        let mut at = parent;
        if let Some(rest) = rest {
            for label in rest.rsplit('.') {
                at = self.child(at, label.as_bytes())?;
            }
        }
        self.leaf(at, first.as_bytes())
    }

    /// The last labels of `name`, from label `from` on.
    pub(super) fn qname(&mut self, name: &QName, from: usize) -> NameId {
        let mut at = NameId::ROOT;
        for i in (from..name.count()).rev() {
            // A name that was read or parsed obeys every limit.
            at = self.child(at, name.label(i)).unwrap_or(at);
        }
        at
    }

    /// The configured domain, dotted, in its own spelling.
    pub(super) fn domain(&mut self, domain: &str) -> NameId {
        let mut at = NameId::ROOT;
        for label in domain.strip_suffix('.').unwrap_or(domain).rsplit('.') {
            at = self.child(at, label.as_bytes()).unwrap_or(at);
        }
        at
    }

    /// Writes `name` in lower case, for comparing without regard to case.
    pub(super) fn key(&self, name: NameId) -> Vec<u8> {
        let mut key = Vec::with_capacity(usize::from(self.nodes[name.index()].wire));
        let mut at = name;
        while at != NameId::ROOT {
            key.push(self.nodes[at.index()].len);
            key.extend(self.label(at).iter().map(u8::to_ascii_lowercase));
            at = self.parent(at);
        }
        key
    }

    /// The shared child of `parent` with this label, if there is one.
    pub(super) fn shared(&self, parent: NameId, label: &[u8]) -> Option<NameId> {
        self.found(parent, label)
    }

    fn found(&self, parent: NameId, label: &[u8]) -> Option<NameId> {
        let mut at = self.nodes[parent.index()].child;
        while let Some(id) = at {
            if self.label(id) == label {
                return Some(id);
            }
            at = self.nodes[id.index()].next;
        }
        None
    }

    fn add(&mut self, parent: NameId, label: &[u8], shared: bool) -> Option<NameId> {
        let wire = usize::from(self.nodes[parent.index()].wire) + 1 + label.len();
        if label.is_empty() || label.len() > MAX_LABEL || wire > MAX_NAME {
            return None;
        }
        let id = NameId(u32::try_from(self.nodes.len()).ok()?);
        let start = u32::try_from(self.text.len()).ok()?;
        self.text.extend_from_slice(label);
        let next = if shared { self.nodes[parent.index()].child.replace(id) } else { None };
        self.nodes.push(Node { parent, child: None, next, start, len: label.len() as u8, wire: wire as u8 });
        Some(id)
    }
}
