//! Questions that are asked once, followed, lost and let go.

use super::*;
use crate::Str;
use crate::rng::{Rng, Seed};
use alloc::string::String;
use proptest::prelude::*;
use serde::Serialize;
use std::vec;

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    index: u64,
    known_leader: bool,
    text: String,
}

fn said(index: u64, text: &str) -> Bytes {
    msgpack::to_vec(&Said { index, known_leader: true, text: text.into() }).into()
}

fn wanted(name: &str) -> Wanted {
    Wanted {
        method: "Health.ServiceNodes",
        arguments: ReadArguments { service_name: Str::from(name), ..ReadArguments::default() },
        min_index: 0,
        wait: Duration::from_secs(300),
        keep: Keep::Followed,
        kept: KEPT,
    }
}

fn fetched_anew(max_age: Option<u64>, must_revalidate: bool) -> Wanted {
    let keep = Keep::Fetched { max_age: max_age.map(Duration::from_secs), must_revalidate };
    Wanted { method: "Catalog.ListDatacenters", keep, ..wanted("") }
}

/// What a cache has ordered, made easy to compare.
#[derive(Debug, Default, PartialEq)]
struct Orders {
    /// Number, index and wait in seconds of each question.
    asked: Vec<(u64, u64, u64)>,
    cancelled: Vec<u64>,
    done: Vec<(u32, Result<Found, Failure>)>,
}

struct World {
    cache: Cache<u32>,
}

impl World {
    fn limited(rate: FetchRate) -> World {
        World { cache: Cache::new(Rng::new(Seed::from_u64(1)), rate) }
    }

    fn new() -> World {
        World::limited(FetchRate::default())
    }

    fn orders(&mut self) -> Orders {
        let mut orders = Orders::default();
        while let Some(effect) = self.cache.poll_effect() {
            match effect {
                Effect::Fetch { fetch, ask } => {
                    let arguments: ReadArguments = msgpack::from_slice(&ask.body).expect("arguments");
                    assert!(arguments.allow_stale && !arguments.require_consistent);
                    let seconds = arguments.max_query_time.unsigned_abs() / 1_000_000_000;
                    orders.asked.push((fetch, arguments.min_query_index, seconds));
                }
                Effect::Cancel { fetch } => orders.cancelled.push(fetch),
                Effect::Done { who, result } => orders.done.push((who, result)),
            }
        }
        orders
    }

    fn get(&mut self, now: Instant, who: u32, wanted: Wanted) -> Orders {
        self.cache.get(now, who, Box::new(wanted)).expect("there is room");
        self.orders()
    }

    fn fetched(&mut self, now: Instant, fetch: u64, result: Result<Bytes, Failure>) -> Orders {
        self.cache.fetched(now, fetch, result);
        self.orders()
    }

    fn wake(&mut self, now: Instant) -> Orders {
        self.cache.wake(now);
        self.orders()
    }

    /// Asks for the first time and answers; the number of the question that follows.
    fn known(&mut self, name: &str, index: u64) -> u64 {
        let first = self.get(at(0), 0, wanted(name)).asked[0].0;
        self.fetched(at(0), first, Ok(said(index, "first"))).asked[0].0
    }
}

fn hit(body: &Bytes, age: u64) -> Result<Found, Failure> {
    Ok(Found { body: body.clone(), age: Some(Duration::from_secs(age)) })
}

fn miss(body: &Bytes) -> Result<Found, Failure> {
    Ok(Found { body: body.clone(), age: None })
}

#[test]
fn one_question_is_asked_once_and_followed_from_then_on() {
    let mut world = World::new();
    let first = world.get(at(0), 1, wanted("web"));
    assert_eq!(first.asked.len(), 1);
    assert_eq!(world.get(at(1), 2, wanted("web")), Orders::default(), "it is under way");
    let body = said(7, "a");
    let told = world.fetched(at(2), first.asked[0].0, Ok(body.clone()));
    assert_eq!(told.done, [(1, miss(&body)), (2, miss(&body))]);
    let [(follow, 7, 600)] = told.asked[..] else { panic!("{told:?}") };
    assert_eq!(world.get(at(3), 3, wanted("web")).done, [(3, hit(&body, 0))]);
    let newer = said(9, "b");
    let [(_, 9, 600)] = world.fetched(at(9_000), follow, Ok(newer.clone())).asked[..] else { panic!() };
    assert_eq!(world.get(at(9_001), 4, wanted("web")).done, [(4, hit(&newer, 0))]);
}

#[test]
fn who_waits_for_news_gets_it_with_everybody_or_what_is_there_when_its_time_is_over() {
    let mut world = World::new();
    let follow = world.known("web", 7);
    let waits =
        |index, seconds| Wanted { min_index: index, wait: Duration::from_secs(seconds), ..wanted("web") };
    assert_eq!(world.get(at(0), 1, waits(6, 10)).done.len(), 1, "there is news already");
    assert_eq!(world.get(at(0), 2, waits(7, 10)), Orders::default());
    assert_eq!(world.get(at(0), 3, waits(7, 60)), Orders::default());
    assert_eq!(world.get(at(0), 4, waits(100, 60)), Orders::default());
    assert_eq!(world.cache.poll_timeout(), Some(at(10_000)));
    assert_eq!(world.wake(at(10_000)).done, [(2, miss(&said(7, "first")))]);
    let news = said(8, "b");
    assert_eq!(world.fetched(at(11_000), follow, Ok(news.clone())).done, [(3, miss(&news))]);
    assert_eq!(world.wake(at(60_000)).done, [(4, miss(&news))]);
}

#[test]
fn while_servers_cannot_be_asked_the_answer_stays_and_ages_and_the_tries_get_rarer() {
    let mut world = World::new();
    let mut follow = world.known("web", 7);
    let body = said(7, "first");
    let waits = Wanted { min_index: 7, ..wanted("web") };
    world.get(at(0), 1, waits);
    for _ in 0..3 {
        let told = world.fetched(at(1_000), follow, Err(Failure::NoServers));
        assert!(told.done.iter().all(|(who, result)| (*who, result) == (1, &Err(Failure::NoServers))));
        follow = match &told.asked[..] {
            [(fetch, 7, 1)] => *fetch,
            other => panic!("{other:?}"),
        };
    }
    let told = world.fetched(at(1_000), follow, Err(Failure::NoServers));
    assert_eq!(told, Orders::default(), "the fourth failure is followed by a pause");
    let next = world.cache.poll_timeout().expect("a pause");
    assert!(next >= at(3_000) && next <= at(5_000), "{next:?}");
    assert_eq!(world.get(at(2_500), 2, wanted("web")).done[0].1.as_ref().expect("kept").age, {
        Some(Duration::from_millis(1_500))
    });
    let asked = world.wake(next).asked;
    let [(follow, 7, 1)] = asked[..] else { panic!("{asked:?}") };
    let told = world.fetched(next + Duration::from_secs(1), follow, Ok(body.clone()));
    assert_eq!(told.asked.iter().map(|(_, index, wait)| (*index, *wait)).collect::<Vec<_>>(), [(7, 600)]);
    assert_eq!(world.get(at(20_000), 3, wanted("web")).done, [(3, hit(&body, 0))]);
}

#[test]
fn what_was_never_answered_is_told_to_those_who_wait_and_not_asked_again() {
    let mut world = World::new();
    let fetch = world.get(at(0), 1, wanted("web")).asked[0].0;
    let told = world.fetched(at(1), fetch, Err(Failure::NoPath));
    assert_eq!(told, Orders { done: vec![(1, Err(Failure::NoPath))], ..Orders::default() });
    assert_eq!((world.cache.len(), world.cache.poll_timeout()), (0, None));

    let waiter = world.cache.get(at(2), 2, Box::new(wanted("web"))).expect("room").expect("it waits");
    let fetch = world.orders().asked[0].0;
    world.cache.cancel(waiter);
    assert_eq!(world.orders(), Orders { cancelled: vec![fetch], ..Orders::default() });
    assert_eq!(world.fetched(at(3), fetch, Ok(said(1, "late"))), Orders::default());
    assert!(world.cache.is_empty());
}

#[test]
fn an_answer_that_nobody_asks_for_is_let_go_and_one_that_is_waited_for_is_not() {
    let mut world = World::new();
    let soon = Wanted { kept: KEPT_STREAMED, ..wanted("web") };
    let first = world.get(at(0), 0, soon.clone()).asked[0].0;
    let follow = world.fetched(at(0), first, Ok(said(7, "first"))).asked[0].0;
    world.get(at(1_000), 1, soon.clone());
    assert_eq!(world.cache.poll_timeout(), Some(at(1_201_000)));
    world.get(at(2_000), 2, Wanted { min_index: 7, wait: Duration::from_secs(5_000), ..soon });
    for seconds in [1_202, 2_402, 3_602, 4_802] {
        assert_eq!(world.wake(at(seconds * 1_000)), Orders::default());
    }
    assert_eq!(world.wake(at(5_002_000)).done.len(), 1);
    assert_eq!(world.wake(at(7_000_000)).cancelled, [follow]);
    assert!(world.cache.is_empty() && world.cache.bytes() == 0);
}

#[test]
fn what_cannot_be_followed_is_asked_for_again_when_it_is_too_old_for_somebody() {
    let mut world = World::new();
    let body = said(0, "a");
    let first = world.get(at(0), 1, fetched_anew(None, false)).asked[0].0;
    let told = world.fetched(at(0), first, Ok(body.clone()));
    assert_eq!(told, Orders { done: vec![(1, miss(&body))], ..Orders::default() });
    assert_eq!(world.get(at(4_000), 2, fetched_anew(Some(4), false)).done, [(2, hit(&body, 4))]);
    let again = world.get(at(4_001), 3, fetched_anew(Some(4), false)).asked[0].0;
    // As with Consul: it is being asked for, so what is there will do.
    assert_eq!(world.get(at(5_000), 4, fetched_anew(None, true)).done, [(4, hit(&body, 5))]);
    let newer = said(0, "b");
    assert_eq!(world.fetched(at(6_000), again, Ok(newer.clone())).done, [(3, miss(&newer))]);
    let anew = world.get(at(7_000), 5, fetched_anew(None, true)).asked[0].0;
    assert_eq!(world.fetched(at(7_000), anew, Err(Failure::NoLeader)).done, [(5, Err(Failure::NoLeader))]);
    assert_eq!(world.get(at(8_000), 6, fetched_anew(None, false)).done, [(6, hit(&newer, 2))]);
}

#[test]
fn a_server_that_does_not_wait_is_not_asked_in_a_circle() {
    let mut world = World::new();
    let follow = world.known("web", 7);
    assert_eq!(world.fetched(at(1), follow, Ok(said(7, "first"))), Orders::default());
    assert_eq!(world.cache.poll_timeout(), Some(at(1_001)));
    // An index that fell is news: the servers' state was restored.
    let follow = world.wake(at(1_001)).asked[0].0;
    let [(_, 3, 600)] = world.fetched(at(1_002), follow, Ok(said(3, "restored"))).asked[..] else { panic!() };
}

#[test]
fn a_question_whose_rate_is_limited_waits_for_its_turn_and_everybody_with_it() {
    let mut world = World::limited(FetchRate { per_second: 0.5, burst: 2 });
    // Two at once: the first question, and the one that follows it.
    let mut follow = world.known("web", 7);
    let body = said(8, "b");
    let told = world.fetched(at(100), follow, Ok(body.clone()));
    assert_eq!(told, Orders::default(), "the third has to wait");
    assert_eq!(world.get(at(200), 1, wanted("web")).done, [(1, hit(&body, 0))], "what is there is there");
    let above = Wanted { min_index: 8, ..wanted("web") };
    assert_eq!(world.get(at(300), 2, above), Orders::default(), "who waits for news waits with it");
    assert_eq!(world.cache.poll_timeout(), Some(at(2_000)));
    assert_eq!(world.wake(at(1_999)), Orders::default());
    let told = world.wake(at(2_000));
    follow = match told.asked[..] {
        [(fetch, 8, 600)] => fetch,
        _ => panic!("{told:?}"),
    };
    // Another question has a turn of its own, and what Consul streams needs none.
    assert_eq!(world.get(at(2_000), 3, wanted("api")).asked.len(), 1);
    let mut streamed = world.get(at(2_000), 4, Wanted { kept: KEPT_STREAMED, ..wanted("db") });
    for index in 7..12 {
        let [(fetch, ..)] = streamed.asked[..] else { panic!("{streamed:?}") };
        streamed = world.fetched(at(2_000), fetch, Ok(said(index, "news")));
    }
    // Whoever waited long has gained no more than the burst.
    let news = said(9, "c");
    let told = world.fetched(at(600_000), follow, Ok(news.clone()));
    assert_eq!((&told.done[..], told.asked.len()), (&[(2, miss(&news))][..], 1));
}

#[test]
fn a_limited_question_that_nobody_answers_is_remembered_for_its_rate() {
    let mut world = World::limited(FetchRate { per_second: 1.0, burst: 1 });
    let fetch = world.get(at(0), 1, wanted("web")).asked[0].0;
    assert_eq!(world.fetched(at(1), fetch, Err(Failure::NoPath)).done, [(1, Err(Failure::NoPath))]);
    let waiter = world.cache.get(at(2), 2, Box::new(wanted("web"))).expect("room").expect("it waits");
    assert_eq!(world.orders(), Orders::default(), "not yet");
    world.cache.cancel(waiter);
    assert_eq!(world.wake(at(1_500)), Orders::default(), "nobody wants it any more");
    let none = FetchRate::default();
    world.cache.set_rate(at(1_500), none);
    assert_eq!(world.get(at(1_500), 3, wanted("web")).asked.len(), 1, "no limit any more");
}

#[test]
fn what_decides_an_answer_decides_the_question() {
    let key = |change: fn(&mut ReadArguments)| {
        let mut wanted = wanted("web");
        change(&mut wanted.arguments);
        wanted.key()
    };
    let plain = key(|_| {});
    assert_eq!(plain, key(|a| (a.min_query_index, a.max_query_time, a.allow_stale) = (7, 9, true)));
    for change in [
        |a: &mut ReadArguments| a.token = Str::from("t"),
        |a: &mut ReadArguments| a.datacenter = Str::from("dc2"),
        |a: &mut ReadArguments| a.filter = Str::from("Node.Node == a"),
        |a: &mut ReadArguments| a.service_tags = vec![Str::from("a")],
    ] {
        assert_ne!(plain, key(change));
    }
}

#[test]
fn memory_has_an_end_and_the_question_that_was_longest_not_asked_makes_room() {
    let mut world = World::new();
    for n in 0..MAX_QUESTIONS as u64 {
        let fetch = world.get(at(n), 0, wanted(&std::format!("s{n}"))).asked[0].0;
        world.fetched(at(n), fetch, Ok(said(1, "x")));
    }
    world.get(at(10_000), 0, wanted("s0"));
    let asked = world.get(at(10_001), 1, wanted("one more"));
    assert_eq!((asked.cancelled.len(), world.cache.len()), (1, MAX_QUESTIONS));
    assert_eq!(world.get(at(10_002), 2, wanted("s0")).done.len(), 1, "s1 went");

    let large = Bytes::from(vec![0xc0; MAX_BYTES / 2 + 1]);
    for name in ["large 1", "large 2"] {
        let fetch = world.get(at(20_000), 3, wanted(name)).asked[0].0;
        assert_eq!(world.fetched(at(20_000), fetch, Ok(large.clone())).done.len(), 1);
        assert!(world.cache.bytes() <= MAX_BYTES);
    }
    let fetch = world.get(at(30_000), 4, wanted("too large")).asked[0].0;
    let told = world.fetched(at(30_000), fetch, Ok(vec![0xc0; MAX_BYTES + 1].into()));
    assert_eq!(told.done.len(), 1, "it is answered, and not kept");
    assert!(world.cache.bytes() <= MAX_BYTES);
}

#[test]
fn who_finds_no_room_is_told() {
    let mut world = World::new();
    for n in 0..MAX_QUESTIONS {
        world.get(at(0), 0, wanted(&std::format!("s{n}")));
    }
    let (who, given_back) =
        world.cache.get(at(1), 7, Box::new(wanted("one more"))).expect_err("everybody waits");
    assert_eq!((who, *given_back), (7, wanted("one more")));
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Get { name: u8, above: bool, wait: u8 },
    Answer { news: bool },
    Fail,
    Cancel,
    Later(u16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0u8..3, any::<bool>(), 0u8..20).prop_map(|(name, above, wait)| Op::Get { name, above, wait }),
        4 => any::<bool>().prop_map(|news| Op::Answer { news }),
        1 => Just(Op::Fail),
        1 => Just(Op::Cancel),
        2 => (0u16..20_000).prop_map(Op::Later),
    ]
}

proptest! {
    /// Everybody is answered once, with the newest answer that was there; each question is under way once at most;
    /// and time alone comes to rest.
    #[test]
    fn everybody_is_answered_once_with_the_newest_answer(
        ops in prop::collection::vec(op(), 1..60),
        limited in any::<bool>(),
    ) {
        let rate = FetchRate { per_second: 0.2, burst: 1 };
        let mut world = World::limited(if limited { rate } else { FetchRate::default() });
        let mut now = at(0);
        let mut index = 1;
        let mut under_way: Vec<(u64, u64)> = Vec::new();
        let mut waiting: BTreeMap<u32, u64> = BTreeMap::new();
        let mut newest: Vec<Bytes> = Vec::new();
        for (who, op) in (0u32..).zip(ops) {
            match op {
                Op::Get { name, above, wait } => {
                    let min_index = if above { index } else { 0 };
                    let wait = Duration::from_secs(u64::from(wait));
                    let wanted = Wanted { min_index, wait, ..wanted(&std::format!("s{name}")) };
                    if let Some(id) = world.cache.get(now, who, Box::new(wanted)).expect("room") {
                        waiting.insert(who, id);
                    } else {
                        waiting.insert(who, 0);
                    }
                }
                Op::Answer { news } => if !under_way.is_empty() {
                    let (fetch, asked) = under_way.remove(0);
                    index += u64::from(news);
                    let body = said(if news { index } else { asked.max(1) }, "x");
                    newest.push(body.clone());
                    world.cache.fetched(now, fetch, Ok(body));
                },
                Op::Fail => if let Some((fetch, _)) = under_way.pop() {
                    world.cache.fetched(now, fetch, Err(Failure::NoServers));
                },
                Op::Cancel => if let Some((_, id)) = waiting.pop_last() {
                    world.cache.cancel(id);
                },
                Op::Later(ms) => now = now + Duration::from_millis(u64::from(ms)),
            }
            world.cache.wake(now);
            let orders = world.orders();
            under_way.retain(|(fetch, _)| !orders.cancelled.contains(fetch));
            for (fetch, asked, _) in orders.asked {
                prop_assert!(under_way.iter().all(|(other, _)| *other != fetch));
                under_way.push((fetch, asked));
            }
            prop_assert!(under_way.len() <= 3, "{under_way:?}");
            prop_assert_eq!(world.cache.fetches.len(), under_way.len());
            for (who, result) in orders.done {
                prop_assert!(waiting.remove(&who).is_some(), "{} is answered twice", who);
                if let Ok(found) = result {
                    prop_assert!(newest.contains(&found.body));
                }
            }
            prop_assert_eq!(world.cache.waiters.len(), waiting.len());
            prop_assert!(world.cache.poll_timeout().is_none_or(|next| next > now));
        }
    }
}
