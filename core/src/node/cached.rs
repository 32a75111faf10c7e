//! What the cache's orders mean to the rest of the node.

use super::Node;
use super::calls::Caller;
use super::remote::{Asked, Waiting};
use crate::cache::{Effect, Wanted};
use crate::call::Reply;
use crate::metrics::Metric;
use crate::router::{Ask, Kind, To};
use crate::rpc::arguments::ReadArguments;
use crate::time::Now;
use crate::wire::msgpack;
use alloc::boxed::Box;

impl Node {
    /// A front wants an answer that may be kept.
    pub(super) fn ask_cached(&mut self, now: Now, from: Caller, wanted: Box<Wanted>) {
        let front = match &from {
            Caller::Front(front, number) => Some((*front, *number)),
            _ => None,
        };
        match (self.cache.get(now.mono, from, wanted), front) {
            (Ok(Some(waiter)), Some(front)) => {
                self.asked.insert(front, Asked::Cache(waiter));
            }
            (Ok(_), _) => {}
            (Err((from, wanted)), _) => self.ask_server(now, from, uncached(*wanted)),
        }
    }

    /// Moves one effect of the cache on.
    pub(super) fn on_cache(&mut self, now: Now, effect: Effect<Caller>) {
        match effect {
            Effect::Fetch { fetch, ask } => {
                let call = self.make_call(now, Waiting::Cache(fetch), ask);
                self.fetches.insert(fetch, call);
            }
            Effect::Cancel { fetch } => {
                if let Some(call) = self.fetches.remove(&fetch) {
                    self.router.cancel(call);
                }
            }
            Effect::Done { who, result } => {
                if let Caller::Front(front, number) = &who {
                    self.asked.remove(&(*front, *number));
                }
                self.answer(
                    who,
                    match result {
                        Ok(found) => Reply::Cached(found),
                        Err(why) => Reply::Failed(why.into()),
                    },
                );
            }
        }
    }

    /// Counts how a question of the cache went.
    pub(super) fn count_fetch(&mut self, now: Now, well: bool) {
        self.metrics.count(now, if well { Metric::CacheFetchSuccess } else { Metric::CacheFetchError });
    }
}

/// The question as it is asked when there is no room in the cache.
fn uncached(wanted: Wanted) -> Ask {
    let Wanted { method, arguments, min_index, wait, .. } = wanted;
    let kind = if min_index > 0 { Kind::Wait(wait) } else { Kind::Read };
    let max_query_time = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
    let to = To::Datacenter(arguments.datacenter.clone());
    let arguments =
        ReadArguments { min_query_index: min_index, max_query_time, allow_stale: true, ..arguments };
    Ask { to, method, body: msgpack::to_vec(&arguments).into(), kind }
}
