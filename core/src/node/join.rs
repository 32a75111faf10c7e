//! Joining: by an operator's word, by `retry_join`, and by memory of who was there.
//!
//! A node that is alone, or only with nodes that are as lost as itself, asks its `retry_join` names again every
//! `retry_interval`, for ever, and resolves them anew each time: the others may come back under any address. (Consul stops at the first success, and a node
//! whose list names itself always succeeds.)

use super::calls::Caller;
use crate::ids::{CallId, Pool};
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// For whom a join runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// An operator.
    Caller(Caller),
    /// `retry_join`, or memory.
    Retry,
    /// A server of the LAN pool, in the WAN pool.
    Flood,
}

/// A question for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) id: u64,
    pub(super) names: Vec<String>,
}

/// What is under way, and when the next try is due.
#[derive(Debug, Default)]
pub(super) struct Joins {
    last: u64,
    lookups: BTreeMap<u64, (Pool, Who, Vec<String>)>,
    calls: BTreeMap<CallId, (Pool, Who)>,
    pools: BTreeMap<Pool, Retry>,
}

#[derive(Debug)]
struct Retry {
    names: Vec<String>,
    interval: Duration,
    due: Instant,
    attempts: u64,
    running: bool,
    /// A node that was with others never gives up: `retry_max` is for the start.
    joined: bool,
    /// The log has its success already.
    told: bool,
}

/// Half of the pause after the first failure; it doubles up to `retry_interval`. Nodes that start together find each
/// other soon.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Most joins of operators at once.
const MAX_JOINS: usize = 64;

impl Joins {
    /// `names` are tried at once, and later whenever the node is alone.
    pub(super) fn retry(&mut self, pool: Pool, names: Vec<String>, interval: Duration, now: Instant) {
        if !names.is_empty() {
            let retry =
                Retry { names, interval, due: now, attempts: 0, running: false, joined: false, told: false };
            self.pools.insert(pool, retry);
        }
    }

    /// When [`Joins::due`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pools.values().filter(|retry| !retry.running).map(|retry| retry.due).min()
    }

    /// The next pool whose names are to be resolved now; those that are not `alone` wait on.
    pub(super) fn due(&mut self, now: Instant, alone: impl Fn(Pool) -> bool) -> Option<(Pool, Lookup)> {
        let due = |retry: &Retry| !retry.running && retry.due <= now;
        let late: Vec<Pool> = self.pools.iter().filter(|(_, r)| due(r)).map(|(pool, _)| *pool).collect();
        for pool in late {
            let Some(retry) = self.pools.get_mut(&pool) else { continue };
            retry.due = now + retry.interval;
            if !alone(pool) {
                retry.attempts = 0;
                retry.joined = true;
                retry.told = false;
                continue;
            }
            retry.running = true;
            retry.attempts += 1;
            let names = retry.names.clone();
            return Some((pool, self.ask(pool, Who::Retry, names)));
        }
        None
    }

    /// Whether `max` tries (0: any number) have failed and none ever succeeded.
    pub(super) fn is_given_up(&self, pool: Pool, max: u64) -> bool {
        max > 0 && self.pools.get(&pool).is_some_and(|retry| !retry.joined && retry.attempts > max)
    }

    /// Some others let this node in. Says whether that is news since it was alone.
    pub(super) fn succeeded(&mut self, pool: Pool) -> bool {
        let Some(retry) = self.pools.get_mut(&pool) else { return false };
        retry.joined = true;
        !core::mem::replace(&mut retry.told, true)
    }

    /// Whether this is the first try since the node was alone.
    pub(super) fn is_first(&self, pool: Pool) -> bool {
        self.pools.get(&pool).is_some_and(|retry| retry.attempts <= 1)
    }

    /// An operator's join; `None` when too many run.
    pub(super) fn start(&mut self, pool: Pool, caller: Caller, names: Vec<String>) -> Option<Lookup> {
        let running = self.lookups.len() + self.calls.len();
        (running < MAX_JOINS).then(|| self.ask(pool, Who::Caller(caller), names))
    }

    fn ask(&mut self, pool: Pool, who: Who, names: Vec<String>) -> Lookup {
        self.last += 1;
        self.lookups.insert(self.last, (pool, who, names.clone()));
        Lookup { id: self.last, names }
    }

    /// Names were resolved: the pool, for whom, what was asked.
    pub(super) fn resolved(&mut self, id: u64) -> Option<(Pool, Who, Vec<String>)> {
        self.lookups.remove(&id)
    }

    /// A number under which gossip may be asked to join.
    pub(super) fn call(&mut self, pool: Pool, who: Who) -> CallId {
        self.last += 1;
        let call = CallId(self.last);
        self.calls.insert(call, (pool, who));
        call
    }

    /// Gossip has joined, or not.
    pub(super) fn joined(&mut self, call: CallId) -> Option<(Pool, Who)> {
        self.calls.remove(&call)
    }

    /// A try of `retry_join` is over; the pause before the next one.
    pub(super) fn tried(&mut self, pool: Pool, now: Instant) -> Duration {
        let Some(retry) = self.pools.get_mut(&pool) else { return Duration::ZERO };
        retry.running = false;
        let soon = FIRST_PAUSE * 2_u32.saturating_pow(u32::try_from(retry.attempts.min(20)).unwrap_or(20));
        let pause = retry.interval.min(soon);
        retry.due = now + pause;
        pause
    }
}

/// The addresses found, and one sentence for each name without any.
pub(super) fn sort(
    names: &[String],
    found: Vec<Result<Vec<SocketAddr>, String>>,
) -> (Vec<SocketAddr>, Vec<String>) {
    let (mut addresses, mut errors) = (Vec::new(), Vec::new());
    for (name, found) in names.iter().zip(found) {
        match found {
            Ok(found) => addresses.extend(found),
            Err(why) => errors.push(alloc::format!("Failed to resolve {name}: {why}")),
        }
    }
    (addresses, errors)
}
