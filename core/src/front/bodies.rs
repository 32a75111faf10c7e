//! Bodies of health reads, kept until the service changes, with the parts they are made of.
//!
//! A service is read far more often than it changes, and a change mostly concerns one instance. So a
//! body is rendered once per question and index and shared by everyone who asks; when the index moves,
//! the instances that are still the same are copied out of the old body.

use super::request::Request;
use crate::json::Writer;
use crate::types::CheckServiceNode;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// The most bytes that one front keeps, of bodies and of the questions that they answer; beyond, it starts over.
const MAX_BYTES: usize = 16 << 20;
/// What each costs besides.
const EACH: usize = 256;

/// Parameters that decide when and in what form an answer comes, but not what it holds. Every other
/// parameter is part of the question, also one that nobody reads.
const NOT_ASKED: &[&str] =
    &["index", "wait", "stale", "consistent", "max_stale", "cached", "pretty", "dc", "datacenter", "token"];

/// What decides which instances an answer shows: path and parameters, each behind its length, so that no two
/// questions look alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question(Vec<u8>);

impl Question {
    fn of(rq: &Request) -> Question {
        let mut bytes = Vec::with_capacity(rq.path.len() + 64);
        let mut put = |text: &str| {
            bytes.extend_from_slice(&text.len().to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        put(&rq.path);
        for (name, value) in rq.query.pairs().filter(|(name, _)| !NOT_ASKED.contains(name)) {
            put(name);
            put(value);
        }
        Question(bytes)
    }
}

#[derive(Debug)]
struct Kept {
    index: u64,
    /// The service's first instance, shown or not: after a restored snapshot it is another one, even
    /// under the same index.
    first: Option<Arc<CheckServiceNode>>,
    body: Bytes,
    /// Each instance shown, and where its part of the body ends.
    parts: Vec<(Arc<CheckServiceNode>, usize)>,
}

/// The bodies that one front keeps.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    kept: BTreeMap<Question, Kept>,
    bytes: usize,
}

impl Bodies {
    /// The array of those of a service's `instances` that `shown` lets through. `index` is the service's;
    /// `shown` and `write` must depend on nothing but the request. The body is kept if `whole` says so in the end.
    pub(super) fn instances<'a>(
        &mut self,
        rq: &Request,
        index: u64,
        instances: impl Iterator<Item = &'a Arc<CheckServiceNode>>,
        shown: impl Fn(&CheckServiceNode) -> bool,
        write: impl Fn(&mut Writer<'_>, &CheckServiceNode),
        whole: impl Fn() -> bool,
    ) -> Bytes {
        let mut instances = instances.peekable();
        let first = instances.peek().copied();
        let question = Question::of(rq);
        let old = self.kept.get(&question);
        if let Some(old) = old
            && old.index == index
            && same(old.first.as_ref(), first)
        {
            return old.body.clone();
        }
        let mut old_parts = old.map(Parts::of).unwrap_or_default();
        let mut body = Vec::with_capacity(old.map_or(0, |old| old.body.len() + 64));
        let mut parts = Vec::new();
        body.push(b'[');
        for instance in instances.filter(|instance| shown(instance)) {
            if body.len() > 1 {
                body.push(b',');
            }
            match old_parts.take(instance) {
                Some(part) => body.extend_from_slice(part),
                None => write(&mut Writer::new(&mut body), instance),
            }
            parts.push((instance.clone(), body.len()));
        }
        body.push(b']');
        let body = Bytes::from(body);
        if whole() {
            self.keep(question, Kept { index, first: first.cloned(), body: body.clone(), parts });
        }
        body
    }

    fn keep(&mut self, question: Question, kept: Kept) {
        let asked = question.0.len();
        let size = |kept: &Kept| EACH + asked + kept.body.len() + kept.parts.len() * 16;
        if let Some(old) = self.kept.remove(&question) {
            self.bytes -= size(&old);
        }
        if self.bytes + size(&kept) > MAX_BYTES {
            self.kept.clear();
            self.bytes = 0;
        }
        if size(&kept) <= MAX_BYTES {
            self.bytes += size(&kept);
            self.kept.insert(question, kept);
        }
    }
}

fn same(a: Option<&Arc<CheckServiceNode>>, b: Option<&Arc<CheckServiceNode>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Walks an old body beside the new list of instances; both are in the same order.
#[derive(Default)]
struct Parts<'a> {
    body: &'a [u8],
    rest: &'a [(Arc<CheckServiceNode>, usize)],
    start: usize,
}

impl<'a> Parts<'a> {
    fn of(kept: &'a Kept) -> Parts<'a> {
        Parts { body: &kept.body, rest: &kept.parts, start: 1 }
    }

    /// The part of this very instance, if the old body has it. Parts of earlier instances, and of this one
    /// in another state, are passed over.
    fn take(&mut self, instance: &Arc<CheckServiceNode>) -> Option<&'a [u8]> {
        let place = (&instance.node.node, &instance.service.id);
        while let Some((next, end)) = self.rest.first() {
            let part = self.body.get(self.start..*end);
            let found = Arc::ptr_eq(next, instance);
            if !found && (&next.node.node, &next.service.id) > place {
                return None;
            }
            self.start = *end + 1;
            self.rest = &self.rest[1..];
            if found {
                return part;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::HttpRequest;
    use super::super::path::Query;
    use super::super::render;
    use super::*;
    use crate::json;
    use crate::types::{HealthCheck, Node, NodeService};
    use alloc::string::String;
    use alloc::{format, vec};
    use core::net::SocketAddr;
    use proptest::prelude::*;

    fn request(query: &str) -> Request {
        let raw = HttpRequest {
            method: "GET".into(),
            target: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            remote: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
        };
        Request::new(raw, "/v1/health/service/web".into(), Query::parse(query).unwrap())
    }

    fn instance(id: u8, state: u64) -> Arc<CheckServiceNode> {
        let node = Node { node: format!("n{id}").into(), ..Node::default() };
        let id = format!("web-{id}").into();
        let service = NodeService { id, modify_index: state, ..NodeService::default() };
        let status = if state.is_multiple_of(3) { "critical" } else { "passing" };
        let check = HealthCheck { status: status.into(), ..HealthCheck::default() };
        Arc::new(CheckServiceNode { node: node.into(), service: service.into(), checks: vec![check.into()] })
    }

    fn passing(entry: &CheckServiceNode) -> bool {
        entry.checks.iter().all(|c| &*c.status == "passing")
    }

    #[test]
    fn no_parameter_can_be_written_so_that_it_looks_like_another_question() {
        let asks = [
            "",
            "tag=a",
            "tag=a&tag=b",
            "tag=a%00tag%00b",
            "tag=ab",
            "taga=b",
            "t=aga",
            "passing",
            "passing=1",
        ];
        let questions: Vec<_> = asks.iter().map(|ask| Question::of(&request(ask))).collect();
        for (i, question) in questions.iter().enumerate() {
            assert!(!questions[..i].contains(question), "{}", asks[i]);
        }
        assert_eq!(
            Question::of(&request("index=7&passing&wait=1s")),
            Question::of(&request("passing&stale"))
        );
    }

    proptest! {
        #[test]
        fn a_kept_body_is_what_rendering_anew_gives(changes in proptest::collection::vec((0u8..6, 0u64..4), 1..40)) {
            let mut bodies = Bodies::default();
            let mut now: BTreeMap<u8, Arc<CheckServiceNode>> = BTreeMap::new();
            for (index, (id, state)) in changes.into_iter().enumerate() {
                match state {
                    0 => drop(now.remove(&id)),
                    state => drop(now.insert(id, instance(id, state))),
                }
                for (query, shown) in [("", (|_| true) as fn(&CheckServiceNode) -> bool), ("passing", passing)] {
                    let fresh = json::to_vec(|w| {
                        w.array(|w| now.values().filter(|e| shown(e)).for_each(|e| render::service::entry(w, e)));
                    });
                    for _ in 0..2 {
                        let rq = request(query);
                        let kept =
                            bodies.instances(&rq, index as u64, now.values(), shown, render::service::entry, || true);
                        prop_assert_eq!(&kept[..], &fresh[..]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_body_is_shared_while_the_index_stands_and_renewed_when_the_store_is_another() {
        let mut bodies = Bodies::default();
        let mut ask = |query: &str, index, list: &[Arc<CheckServiceNode>]| {
            bodies.instances(&request(query), index, list.iter(), |_| true, render::service::entry, || true)
        };
        let first = [instance(1, 1), instance(2, 1)];
        let body = ask("", 5, &first);
        assert_eq!(body.as_ptr(), ask("index=4&wait=1m&stale", 5, &first).as_ptr(), "one question");
        assert_ne!(body.as_ptr(), ask("tag=v1", 5, &first).as_ptr(), "another question");
        let restored = [instance(1, 2), instance(2, 2)];
        assert_ne!(body, ask("", 5, &restored), "the same index in another store");
    }

    #[test]
    fn bodies_are_bounded() {
        let mut bodies = Bodies::default();
        let mut node = Node::default();
        node.meta.insert("long".into(), "x".repeat(1 << 20).into());
        let large = Arc::new(CheckServiceNode {
            node: node.into(),
            service: NodeService::default().into(),
            checks: Vec::new(),
        });
        for i in 0..40 {
            let rq = request(&format!("tag={i}"));
            bodies.instances(&rq, 1, [&large].into_iter(), |_| true, render::service::entry, || true);
            assert!(bodies.bytes <= MAX_BYTES && bodies.kept.len() < 17);
        }
    }

    #[test]
    fn questions_without_end_are_bounded_however_little_there_is_to_answer() {
        let mut bodies = Bodies::default();
        for (i, length) in (0..100_000).map(|i| (i, if i % 50 == 0 { 8000 } else { 1 })) {
            let rq = request(&format!("a{i}={}", "x".repeat(length)));
            bodies.instances(&rq, 1, [].into_iter(), |_| true, render::service::entry, || true);
            let held: usize = bodies.kept.keys().map(|question| question.0.capacity() + 200).sum();
            if i % 1000 == 999 {
                assert!(held <= 2 * MAX_BYTES, "{held} bytes after {i} questions");
            }
        }
    }

    #[test]
    fn what_is_not_whole_is_not_kept() {
        let mut bodies = Bodies::default();
        let all = [instance(1, 1), instance(2, 1)];
        let rq = request("");
        let part = bodies.instances(&rq, 1, all.iter(), |e| e == &*all[0], render::service::entry, || false);
        let body = bodies.instances(&rq, 1, all.iter(), |_| true, render::service::entry, || true);
        assert!(body.len() > part.len());
    }
}
