//! What was asked for with `?cached` lately, for `X-Cache` and `Age` to say what a Consul agent's would say.
//!
//! Consul's agent keeps answers; here they all come from the view, which is never older than such a copy would be.
//! So only the fact is kept that a question was asked: it is a miss the first time, and a hit for as long as Consul
//! would still have the answer. All fronts of a node share it, for one client reaches now this one, now that one.

use super::message::HttpReply;
use super::request::{CacheControl, Request};
use super::respond::Meta;
use crate::time::{Duration, Instant};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// How long Consul keeps an answer that nobody asks for.
const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);
/// The same for what its streaming backend keeps up to date, apart from the rest.
const KEPT_STREAMED: Duration = Duration::from_secs(20 * 60);

/// How many questions are remembered; one more takes the place of another, which is a miss again then.
const SLOTS: usize = 4096;
/// The unit in which times are remembered. They go round after more than a year.
const UNIT_MS: u128 = 10;

/// Parameters that are no part of a question: it is the same whatever they say.
const NOT_ASKED: &[&str] = &[
    "index",
    "wait",
    "stale",
    "consistent",
    "leader",
    "max_stale",
    "cached",
    "pretty",
    "dc",
    "datacenter",
    "token",
    "near",
];

/// The questions that the fronts of a node have been asked lately. Lock-free; of a fixed size.
#[derive(Debug)]
pub struct Lately {
    /// Half of a question's hash above the time at which it was asked; 0: nothing.
    slots: Box<[AtomicU64]>,
}

impl Default for Lately {
    fn default() -> Lately {
        let slots: Vec<AtomicU64> = core::iter::repeat_with(AtomicU64::default).take(SLOTS).collect();
        Lately { slots: slots.into() }
    }
}

impl Lately {
    /// How long ago the question was noted, if it is remembered.
    pub(super) fn since(&self, question: u64, now: Instant) -> Option<Duration> {
        let held = self.slots[slot(question)].load(Ordering::Relaxed);
        let units = units(now).wrapping_sub(held as u32);
        let ago = Duration::from_millis(u64::from(units) * UNIT_MS as u64);
        (held >> 32 == u64::from(tag(question))).then_some(ago)
    }

    /// Remembers that the question was asked.
    pub(super) fn note(&self, question: u64, now: Instant) {
        let held = u64::from(tag(question)) << 32 | u64::from(units(now));
        self.slots[slot(question)].store(held, Ordering::Relaxed);
    }
}

fn slot(question: u64) -> usize {
    question as usize % SLOTS
}

/// Never 0, which is a slot's before its first question.
fn tag(question: u64) -> u32 {
    (question >> 32) as u32 | 1
}

fn units(now: Instant) -> u32 {
    (now.since(Instant::ZERO).as_millis() / UNIT_MS) as u32
}

/// The hash of what a request asks for, and of whom. Service names have no case.
fn question(rq: &Request, streamed: bool) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut put = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    put(u8::from(streamed));
    rq.path.bytes().for_each(|byte| put(byte.to_ascii_lowercase()));
    let mut pairs: Vec<_> = rq.query.pairs().filter(|(name, _)| !NOT_ASKED.contains(name)).collect();
    pairs.sort_unstable();
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        // No text holds such a byte.
        put(0xff);
        text.bytes().for_each(&mut put);
    }
    hash
}

/// A question whose answer may come from a cache, and whether it would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cached {
    question: u64,
    hit: bool,
}

impl Cached {
    /// Looks whether Consul would have the answer to `rq`, which its streaming backend keeps up to date, or its
    /// cache.
    pub(super) fn look(lately: &Lately, rq: &Request, streamed: bool, now: Instant) -> Cached {
        let question = question(rq, streamed);
        let kept = if streamed { KEPT_STREAMED } else { KEPT };
        Cached { question, hit: lately.since(question, now).is_some_and(|ago| ago <= kept) }
    }

    /// Whether the answer that is there is taken as it is, without asking who leads.
    pub(super) fn hit(self) -> bool {
        self.hit
    }

    /// It has to wait for something newer.
    pub(super) fn waits(&mut self) {
        self.hit = false;
    }

    /// It was answered: from here on, it is known.
    pub(super) fn note(self, lately: &Lately, now: Instant) {
        lately.note(self.question, now);
    }

    /// Adds the headers. An answer that is kept up to date ages only while nobody leads.
    pub(super) fn put(self, reply: &mut HttpReply, meta: &Meta) {
        let age = if meta.known_leader { 0 } else { meta.last_contact_ms };
        put(reply, self.hit.then(|| Duration::from_millis(age)));
    }
}

/// Adds the headers to an answer that Consul does not keep up to date, but asks for again when it is too old for the
/// client: [`CacheControl`].
pub(super) fn put_fetched(
    reply: &mut HttpReply,
    lately: &Lately,
    rq: &Request,
    control: CacheControl,
    now: Instant,
) {
    let question = question(rq, false);
    let young = |ago: &Duration| *ago <= KEPT && !control.refuses(*ago);
    let age = lately.since(question, now).filter(young);
    if age.is_none() {
        lately.note(question, now);
    }
    put(reply, age);
}

/// Says that the answer was `age` old, or not there.
pub(super) fn put(reply: &mut HttpReply, age: Option<Duration>) {
    reply.headers.push(("X-Cache", Cow::Borrowed(if age.is_some() { "HIT" } else { "MISS" })));
    if let Some(age) = age {
        let seconds = (age.as_millis() + 500) / 1000;
        reply.headers.push(("Age", Cow::Owned(seconds.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::path::Query;
    use alloc::string::String;
    use bytes::Bytes;

    fn asked(path: &str, query: &str) -> Request {
        Request {
            path: String::from(path),
            matched: 0,
            query: Query::parse(query).expect("a query"),
            headers: Vec::new(),
            body: Bytes::new(),
            remote: None,
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn a_question_is_known_once_it_was_answered_and_until_it_would_be_forgotten() {
        let lately = Lately::default();
        let rq = asked("/v1/health/service/web", "cached&tag=a&tag=b");
        let look = |now| Cached::look(&lately, &rq, true, now);
        assert!(!look(at(1)).hit());
        look(at(1)).note(&lately, at(1));
        assert!(look(at(1201)).hit() && !look(at(1202)).hit());
    }

    #[test]
    fn what_decides_the_answer_decides_the_question() {
        let same = |a: (&str, &str), b: (&str, &str)| {
            question(&asked(a.0, a.1), false) == question(&asked(b.0, b.1), false)
        };
        let service = "/v1/catalog/service/web";
        assert!(same(
            (service, "cached&tag=a&tag=b"),
            ("/v1/catalog/service/WEB", "tag=b&tag=a&index=7&stale")
        ));
        assert!(!same((service, "tag=a"), (service, "tag=A")));
        assert!(!same((service, "tag=ab"), (service, "tag=a&tag=b")));
        assert!(!same((service, ""), ("/v1/health/service/web", "")));
    }

    #[test]
    fn another_question_in_the_same_place_is_not_taken_for_it() {
        let lately = Lately::default();
        let (one, other) = (7 | 8 << 32, 7 | 10 << 32);
        lately.note(one, at(5));
        assert_eq!(lately.since(other, at(5)), None);
        lately.note(other, at(5));
        assert_eq!(lately.since(one, at(6)), None);
        assert_eq!(lately.since(other, at(6)), Some(Duration::from_secs(1)));
    }
}
