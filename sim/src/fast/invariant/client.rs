//! What one client sees over time.

use super::{Checked, hold};
use crate::oracle::{Mode, ReadAnswer, Target};
use std::collections::BTreeMap;

/// The highest `X-Consul-Index` that each client has seen of each target in fresh reads, and the begin of the read.
#[derive(Debug, Default)]
pub(in crate::fast) struct Indexes(BTreeMap<(u32, Target), (u64, u64)>);

/// `X-Consul-Index` is never 0, and in reads of the leader's state it never runs backwards for a client,
/// whichever server it asks and whatever happened in between, unless that is an archive that was restored, as Consul's
/// documentation of blocking queries says. `restored` is when that was last.
pub(in crate::fast) fn index_never_runs_back(
    indexes: &mut Indexes,
    client: u32,
    target: &Target,
    mode: Mode,
    answer: &ReadAnswer,
    (begin, restored): (u64, Option<u64>),
) -> Checked {
    hold!(answer.index > 0, "an index is never 0", "client {client} read {target:?} at index 0");
    if mode == Mode::Stale {
        return Ok(());
    }
    let (highest, since) = indexes.0.entry((client, target.clone())).or_default();
    if restored.is_some_and(|at| *since <= at) {
        *highest = 0;
    }
    if restored.is_some_and(|at| begin <= at) {
        // It may show what was before.
        return Ok(());
    }
    hold!(
        answer.index >= *highest,
        "an index never runs back",
        "client {client} read {target:?} at index {}, after {highest}",
        answer.index
    );
    (*highest, *since) = (answer.index, begin);
    Ok(())
}
