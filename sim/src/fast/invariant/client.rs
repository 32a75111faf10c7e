//! What one client sees over time.

use super::{Checked, hold};
use crate::oracle::{Mode, ReadAnswer, Target};
use std::collections::BTreeMap;

/// The highest `X-Consul-Index` that each client has seen of each target in fresh reads.
#[derive(Debug, Default)]
pub(in crate::fast) struct Indexes(BTreeMap<(u32, Target), u64>);

/// `X-Consul-Index` is never 0, and in reads of the leader's state it never runs backwards for a client,
/// whichever server it asks and whatever happened in between.
pub(in crate::fast) fn index_never_runs_back(
    indexes: &mut Indexes,
    client: u32,
    target: &Target,
    mode: Mode,
    answer: &ReadAnswer,
) -> Checked {
    hold!(answer.index > 0, "an index is never 0", "client {client} read {target:?} at index 0");
    if mode == Mode::Stale {
        return Ok(());
    }
    let highest = indexes.0.entry((client, target.clone())).or_default();
    hold!(
        answer.index >= *highest,
        "an index never runs back",
        "client {client} read {target:?} at index {}, after {highest}",
        answer.index
    );
    *highest = answer.index;
    Ok(())
}
