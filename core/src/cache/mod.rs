//! Answers of other servers that are kept for `?cached`, and kept up to date.
//!
//! One question is asked once, however many wait for its answer. An answer that servers can let wait is followed
//! from then on: the question is asked again with the answer's index, and the server answers when there is news. So
//! what is kept is as new as the way from the server is long, and only while no server can be reached does it get
//! old. What cannot be followed is asked for again when somebody does not take it as old as it is.
//!
//! The rules, and their times, are those of Consul's agent cache, with four differences. Questions have a number and
//! a size that they may reach together; one that was never answered is not asked again when nobody waits for it any
//! more (and is forgotten, unless its rate is limited); after a failure the next question waits only shortly, so that
//! whoever asks hears soon that servers are back; and where distances are counted from is part of a question.

mod rate;
#[cfg(test)]
mod tests;

use crate::config::FetchRate;
use crate::rng::Rng;
use crate::router::{Ask, Failure, Kind, To};
use crate::rpc::answer::QueryMeta;
use crate::rpc::arguments::ReadArguments;
use crate::time::{Duration, Instant};
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use rate::Bucket;

/// Questions that are kept; the one that was longest not asked makes room for another.
pub const MAX_QUESTIONS: usize = 2048;
/// Bytes of answers that are kept.
pub const MAX_BYTES: usize = 64 << 20;

/// How long an answer is kept that nobody asks for.
pub const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);
/// The same for what Consul's streaming backend keeps, apart from the rest.
pub const KEPT_STREAMED: Duration = Duration::from_secs(20 * 60);

/// How long a server is let wait for news.
const FOLLOW: Duration = Duration::from_secs(600);
/// The same after a failure.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);
/// Failures in a row before the next try waits.
const PATIENT_FAILURES: u32 = 3;
/// The longest wait, before up to as much again at random.
const MOST_PAUSE: Duration = Duration::from_secs(60);
/// A server that says that nothing is new without having waited is asked again no sooner.
const BREATH: Duration = Duration::from_secs(1);

/// How an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Servers tell what is new.
    Followed,
    /// It is as old as it is: how old it may be, and whether it must be asked for anew.
    Fetched {
        /// `None`: any age.
        max_age: Option<Duration>,
        /// Whatever its age.
        must_revalidate: bool,
    },
}

/// A question whose answer may be one that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The method.
    pub method: &'static str,
    /// The datacenter whose servers are asked is in here.
    pub arguments: ReadArguments,
    /// Wait for an index above this; 0: any will do.
    pub min_index: u64,
    /// How long to wait for that.
    pub wait: Duration,
    /// How the answer is kept.
    pub keep: Keep,
    /// For how long, when nobody asks for it.
    pub kept: Duration,
}

impl Wanted {
    /// How often it may be asked: what Consul's agents are streamed they do not ask for, so no rate holds it back.
    fn rate(&self, configured: FetchRate) -> FetchRate {
        if self.kept == KEPT_STREAMED { FetchRate::default() } else { configured }
    }

    /// What makes two questions the same.
    fn key(&self) -> Bytes {
        let mut key = msgpack::to_vec(&self.asked(0, Duration::ZERO));
        key.extend_from_slice(self.method.as_bytes());
        key.into()
    }

    /// The question as servers are asked it: any of them may answer, for what is kept has an age anyway.
    fn asked(&self, index: u64, wait: Duration) -> ReadArguments {
        ReadArguments {
            min_query_index: index,
            max_query_time: i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX),
            allow_stale: true,
            require_consistent: false,
            max_stale_duration: 0,
            ..self.arguments.clone()
        }
    }
}

/// An answer, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the server said.
    pub body: Bytes,
    /// It was there: how old it may be. `None`: it was waited for.
    pub age: Option<Duration>,
}

/// What the cache wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<W> {
    /// Ask this, and report [`Cache::fetched`].
    Fetch {
        /// Its number.
        fetch: u64,
        /// What.
        ask: Ask,
    },
    /// Nobody wants this any more; report nothing.
    Cancel {
        /// Its number.
        fetch: u64,
    },
    /// `who` waits no longer.
    Done {
        /// Who.
        who: W,
        /// The answer.
        result: Result<Found, Failure>,
    },
}

#[derive(Debug)]
struct Answer {
    body: Bytes,
    index: u64,
    at: Instant,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    answer: Option<Answer>,
    /// Number, index and begin of the question that is under way.
    fetch: Option<(u64, u64, Instant)>,
    /// When it is asked next, if it is not under way.
    due: Option<Instant>,
    /// Since when servers cannot be asked.
    lost: Option<Instant>,
    failures: u32,
    bucket: Bucket,
    /// It waits for its turn: it is asked when it is `due`, and is as good as under way.
    held: bool,
    used: Instant,
    expires: Instant,
    waiters: BTreeSet<u64>,
}

impl Entry {
    /// How old the answer may be.
    fn age(&self, now: Instant, at: Instant) -> Duration {
        match self.wanted.keep {
            Keep::Followed => self.lost.map_or(Duration::ZERO, |since| now.since(since)),
            Keep::Fetched { .. } => now.since(at),
        }
    }

    /// The answer, if it will do for whoever wants this now.
    fn found(&self, now: Instant, wanted: &Wanted) -> Option<Found> {
        let answer = self.answer.as_ref()?;
        let age = self.age(now, answer.at);
        let fits = match wanted.keep {
            Keep::Followed => wanted.min_index == 0 || answer.index > wanted.min_index,
            Keep::Fetched { max_age, must_revalidate } => {
                // Whoever must have it anew and finds it being asked for takes what is there, as with Consul.
                let young = max_age.is_none_or(|most| age <= most);
                young && (!must_revalidate || self.fetch.is_some() || self.held)
            }
        };
        fits.then(|| Found { body: answer.body.clone(), age: Some(age) })
    }

    fn bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.body.len())
    }
}

#[derive(Debug)]
struct Waiter<W> {
    who: W,
    key: Bytes,
    min_index: u64,
    deadline: Option<Instant>,
}

/// The answers of one agent. `W` is who waits.
#[derive(Debug)]
pub struct Cache<W> {
    rng: Rng,
    rate: FetchRate,
    last: u64,
    entries: BTreeMap<Bytes, Entry>,
    bytes: usize,
    /// What is under way, by its number.
    fetches: BTreeMap<u64, Bytes>,
    waiters: BTreeMap<u64, Waiter<W>>,
    /// When a question is asked next, when an answer expires, when a waiter gives up.
    due: BTreeSet<(Instant, Bytes)>,
    expiring: BTreeSet<(Instant, Bytes)>,
    deadlines: BTreeSet<(Instant, u64)>,
    effects: VecDeque<Effect<W>>,
}

impl<W> Cache<W> {
    /// A cache that holds nothing.
    pub fn new(rng: Rng, rate: FetchRate) -> Cache<W> {
        Cache {
            rng,
            rate,
            last: 0,
            entries: BTreeMap::new(),
            bytes: 0,
            fetches: BTreeMap::new(),
            waiters: BTreeMap::new(),
            due: BTreeSet::new(),
            expiring: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// The configuration says something else from now on; what waits for its turn already goes on waiting.
    pub fn set_rate(&mut self, now: Instant, rate: FetchRate) {
        if self.rate != rate {
            for entry in self.entries.values_mut() {
                entry.bucket.refill(now, &entry.wanted.rate(self.rate));
            }
            self.rate = rate;
        }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Answers `who` now or later. The number is for [`Cache::cancel`]; `None`: it is answered already.
    ///
    /// # Errors
    /// There is no room for another question: ask it without the cache.
    pub fn get(
        &mut self,
        now: Instant,
        who: W,
        wanted: Box<Wanted>,
    ) -> Result<Option<u64>, (W, Box<Wanted>)> {
        let key = wanted.key();
        if !self.entries.contains_key(&key) {
            if self.entries.len() >= MAX_QUESTIONS && !self.make_room() {
                return Err((who, wanted));
            }
            let entry = Entry {
                wanted: Wanted::clone(&wanted),
                answer: None,
                fetch: None,
                due: None,
                lost: None,
                failures: 0,
                bucket: Bucket::full(now, &wanted.rate(self.rate)),
                held: false,
                used: now,
                expires: now + wanted.kept,
                waiters: BTreeSet::new(),
            };
            self.expiring.insert((entry.expires, key.clone()));
            self.entries.insert(key.clone(), entry);
        }
        let id = self.number();
        let Some(entry) = self.entries.get_mut(&key) else { return Err((who, wanted)) };
        self.expiring.remove(&(entry.expires, key.clone()));
        entry.used = now;
        entry.expires = now + wanted.kept;
        self.expiring.insert((entry.expires, key.clone()));
        if let Some(found) = entry.found(now, &wanted) {
            self.effects.push_back(Effect::Done { who, result: Ok(found) });
            return Ok(None);
        }
        // Who waits for a first answer waits for what becomes of the question.
        let waits = entry.wanted.keep == Keep::Followed && wanted.min_index > 0 && entry.answer.is_some();
        let deadline = waits.then(|| now + wanted.wait);
        entry.waiters.insert(id);
        if let Some(at) = deadline {
            self.deadlines.insert((at, id));
        }
        let idle = entry.fetch.is_none() && !entry.held;
        self.waiters.insert(id, Waiter { who, key: key.clone(), min_index: wanted.min_index, deadline });
        if idle {
            self.fetch(now, &key);
        }
        Ok(Some(id))
    }

    /// Somebody waits no longer. A number that does not wait is ignored.
    pub fn cancel(&mut self, id: u64) {
        if let Some((_, key)) = self.take(id)
            && let Some(entry) = self.entries.get(&key)
            && entry.answer.is_none()
            && entry.waiters.is_empty()
        {
            self.give_up(&key);
        }
    }

    /// A question without an answer that nobody waits for. One whose rate is limited is remembered for that.
    fn give_up(&mut self, key: &Bytes) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if !entry.wanted.rate(self.rate).is_limited() {
            return self.forget(key);
        }
        entry.held = false;
        if let Some(at) = entry.due.take() {
            self.due.remove(&(at, key.clone()));
        }
        if let Some((fetch, ..)) = entry.fetch.take() {
            self.fetches.remove(&fetch);
            self.effects.push_back(Effect::Cancel { fetch });
        }
    }

    fn take(&mut self, id: u64) -> Option<(W, Bytes)> {
        let Waiter { who, key, deadline, .. } = self.waiters.remove(&id)?;
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, id));
        }
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.waiters.remove(&id);
        }
        Some((who, key))
    }

    fn done(&mut self, id: u64, result: Result<Found, Failure>) {
        if let Some((who, _)) = self.take(id) {
            self.effects.push_back(Effect::Done { who, result });
        }
    }

    /// Asks a question that is not under way, as soon as its rate allows.
    fn fetch(&mut self, now: Instant, key: &Bytes) {
        let fetch = self.number();
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(at) = entry.due.take() {
            self.due.remove(&(at, key.clone()));
        }
        if !core::mem::take(&mut entry.held) {
            let wait = entry.bucket.take(now, &entry.wanted.rate(self.rate));
            if !wait.is_zero() {
                entry.held = true;
                entry.due = Some(now + wait);
                self.due.insert((now + wait, key.clone()));
                return;
            }
        }
        let index = match entry.wanted.keep {
            Keep::Followed => entry.answer.as_ref().map_or(0, |answer| answer.index),
            Keep::Fetched { .. } => 0,
        };
        let wait = if entry.lost.is_some() { FOLLOW_AGAIN } else { FOLLOW };
        let (wait, kind) = match index {
            0 => (Duration::ZERO, Kind::Read),
            _ => (wait, Kind::Follow(wait)),
        };
        let arguments = entry.wanted.asked(index, wait);
        entry.fetch = Some((fetch, index, now));
        self.fetches.insert(fetch, key.clone());
        let to = To::Datacenter(arguments.datacenter.clone());
        let ask = Ask { to, method: entry.wanted.method, body: msgpack::to_vec(&arguments).into(), kind };
        self.effects.push_back(Effect::Fetch { fetch, ask });
    }

    /// What became of a question. A number that is not under way is ignored.
    pub fn fetched(&mut self, now: Instant, fetch: u64, result: Result<Bytes, Failure>) {
        let Some(key) = self.fetches.remove(&fetch) else { return };
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let (asked, began) = entry.fetch.take().map_or((0, now), |(_, index, began)| (index, began));
        let followed = entry.wanted.keep == Keep::Followed;
        let mut pause = Duration::ZERO;
        match result {
            Ok(body) => {
                let index = match followed {
                    true => msgpack::from_slice::<QueryMeta>(&body).map_or(1, |meta| meta.index.max(1)),
                    false => 1,
                };
                if index == asked && entry.lost.is_none() && now.since(began) < BREATH {
                    pause = BREATH;
                }
                self.bytes -= entry.bytes();
                // What is kept for long keeps no larger buffer alive.
                entry.answer = Some(Answer { body: Bytes::copy_from_slice(&body), index, at: now });
                self.bytes += entry.bytes();
                (entry.failures, entry.lost) = (0, None);
                self.settle(&key);
            }
            Err(why) => {
                entry.failures += 1;
                entry.lost.get_or_insert(now);
                pause = back_off(&mut self.rng, entry.failures);
                for id in entry.waiters.clone() {
                    self.done(id, Err(why.clone()));
                }
            }
        }
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if entry.answer.is_none() {
            return self.give_up(&key);
        }
        if followed {
            entry.due = Some(now + pause);
            self.due.insert((now + pause, key.clone()));
        }
        while self.bytes > MAX_BYTES && self.make_room() {}
        if self.bytes > MAX_BYTES {
            self.forget(&key);
        }
        self.wake(now);
    }

    /// Answers those whom the new answer suits.
    fn settle(&mut self, key: &Bytes) {
        let Some(entry) = self.entries.get(key) else { return };
        let Some(answer) = &entry.answer else { return };
        let (body, index) = (answer.body.clone(), answer.index);
        let suits = |id: &&u64| {
            let min = self.waiters.get(id).map_or(0, |waiter| waiter.min_index);
            entry.wanted.keep != Keep::Followed || min == 0 || index > min
        };
        for id in entry.waiters.iter().filter(suits).copied().collect::<Vec<_>>() {
            self.done(id, Ok(Found { body: body.clone(), age: None }));
        }
    }

    /// Forgets the question that was longest not asked, of those that nobody waits for.
    fn make_room(&mut self) -> bool {
        let idle = self.entries.iter().filter(|(_, entry)| entry.waiters.is_empty());
        let oldest = idle.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
        oldest.inspect(|key| self.forget(key)).is_some()
    }

    /// Forgets a question; whoever waits for it hears that there is too much.
    fn forget(&mut self, key: &Bytes) {
        let Some(entry) = self.entries.get(key) else { return };
        for id in entry.waiters.clone() {
            self.done(id, Err(Failure::Busy));
        }
        let Some(entry) = self.entries.remove(key) else { return };
        self.bytes -= entry.bytes();
        self.expiring.remove(&(entry.expires, key.clone()));
        if let Some(at) = entry.due {
            self.due.remove(&(at, key.clone()));
        }
        if let Some((fetch, ..)) = entry.fetch {
            self.fetches.remove(&fetch);
            self.effects.push_back(Effect::Cancel { fetch });
        }
    }

    /// When [`Cache::wake`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.due.first().map(|(at, _)| *at);
        let expires = self.expiring.first().map(|(at, _)| *at);
        due.into_iter().chain(expires).chain(self.deadlines.first().map(|(at, _)| *at)).min()
    }

    /// Asks what is due, and lets go what is over.
    pub fn wake(&mut self, now: Instant) {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            let key = self.waiters.get(&id).map(|waiter| waiter.key.clone());
            let answer = key.and_then(|key| self.entries.get(&key)?.answer.as_ref());
            // The answer that is there, though it is no news.
            let result = match answer {
                Some(answer) => Ok(Found { body: answer.body.clone(), age: None }),
                None => Err(Failure::Busy),
            };
            self.done(id, result);
        }
        while let Some((_, key)) = self.expiring.first().filter(|(at, _)| *at <= now).cloned() {
            let waited_for = self.entries.get(&key).is_some_and(|entry| !entry.waiters.is_empty());
            match self.entries.get_mut(&key).filter(|_| waited_for) {
                // Whoever waits still wants it.
                Some(entry) => {
                    self.expiring.remove(&(entry.expires, key.clone()));
                    entry.expires = now + entry.wanted.kept;
                    self.expiring.insert((entry.expires, key));
                }
                None => self.forget(&key),
            }
        }
        while let Some((_, key)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.fetch(now, &key);
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect<W>> {
        self.effects.pop_front()
    }

    /// Nothing waits to be moved on.
    pub fn is_quiet(&self) -> bool {
        self.effects.is_empty()
    }

    /// How many questions are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all answers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// How long to wait after so many failures in a row.
fn back_off(rng: &mut Rng, failures: u32) -> Duration {
    match failures.checked_sub(PATIENT_FAILURES) {
        None | Some(0) => Duration::ZERO,
        Some(more) => {
            let pause = MOST_PAUSE.min(Duration::from_secs(1 << more.min(10)));
            pause + rng.duration(Duration::ZERO, pause)
        }
    }
}
