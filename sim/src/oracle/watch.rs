//! The judge of blocking queries.
//!
//! - No lost wake-up: once a server has published a view in which a query's target has news, the query is
//!   answered within [`Bounds`]. A query that slept through it is answered by its deadline, far too late.
//! - No empty wake-up: before its wait is over a query is answered only with an index above the one asked
//!   for.
//! - An index is never 0, and never goes back for a client that asks again for the same: at the same server
//!   until that restarts, and at any server for fresh reads. (Prefixes and absent keys excepted once
//!   tombstones have been reaped: Consul's fall then too.)
//!
//! News is an index above the asked one, but not that something absent is still absent; for the catalog,
//! whose index rules are tested elsewhere, it is a different list than at the index asked for.

use super::history::*;
use super::model::Model;
use super::violation::Violation;
use lictor_core::command::Command;
use std::collections::BTreeMap;

/// How long after the news a query may still be unanswered, in nanoseconds. Longer than any delay that the
/// plan's faults can cause, much shorter than the waits that clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From the view with the news to the answer at the client.
    pub wake: u64,
    /// More for `default` and `consistent` queries, which first pass a gate that may have to find a leader.
    pub gate: u64,
}

/// How much there was to judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Queries answered because of news.
    pub woken: usize,
    /// Queries answered by their deadline, without news.
    pub expired: usize,
}

/// Judges `run`.
pub fn check(run: &Run, bounds: Bounds) -> Result<Summary, Violation> {
    let mut model = Model::default();
    for committed in &run.log {
        model.apply(committed.index, &committed.command);
    }
    let mut progress: BTreeMap<u32, Vec<Progress>> = BTreeMap::new();
    for p in &run.progress {
        progress.entry(p.server).or_default().push(*p);
    }
    let mut summary = Summary::default();
    for op in &run.operations {
        let Some((query, answer, end)) = answered(op) else { continue };
        if answer.index == 0 {
            return Err(Violation::new("an index of 0", String::new(), [op]));
        }
        let Some(wait) = query.wait else { continue };
        if answer.index > wait.index {
            summary.woken += 1;
        } else if end - op.begin < wait.ns - wait.ns / 8 {
            let what = format!("answered {} ms early, without news", (op.begin + wait.ns - end) / 1_000_000);
            return Err(Violation::new("an empty wake-up", what, [op]));
        } else {
            summary.expired += 1;
        }
        let views = progress.get(&op.server).map_or(&[][..], |views| views);
        // What it published before a restart it does not hold any more.
        let born = run.restarts.iter().filter(|r| r.server == op.server && r.at <= op.begin);
        let born = born.map(|r| r.at).max().unwrap_or(0);
        let views = &views[views.partition_point(|v| v.at < born)..];
        if let Some(news) = first_news(&model, query.target, wait, op, end, views) {
            let gate = if query.mode == Mode::Stale { 0 } else { bounds.gate };
            let due = news.at.max(op.begin).saturating_add(bounds.wake).saturating_add(gate);
            // Across a restart the query was another server's to answer.
            if end > due && !restarted(run, op.server, op.begin, end) {
                let what = format!(
                    "server {} published index {} with news at {:.3} ms, the answer came {:.3} ms later",
                    op.server,
                    news.index,
                    news.at as f64 / 1e6,
                    (end - news.at) as f64 / 1e6
                );
                return Err(Violation::new("a lost wake-up", what, [op]));
            }
        }
    }
    indexes_never_go_back(run)?;
    Ok(summary)
}

struct Query<'a> {
    target: &'a Target,
    mode: Mode,
    wait: Option<Wait>,
}

/// A read with its answer and the time of it.
fn answered(op: &Operation) -> Option<(Query<'_>, &ReadAnswer, u64)> {
    match (&op.call, &op.outcome, op.end) {
        (Call::Read { target, mode, wait }, Outcome::Read(answer), Some(end)) => {
            Some((Query { target, mode: *mode, wait: *wait }, answer, end))
        }
        _ => None,
    }
}

/// The first view of the server, while the query waited there, that has news for it.
fn first_news(
    model: &Model,
    target: &Target,
    wait: Wait,
    op: &Operation,
    end: u64,
    views: &[Progress],
) -> Option<Progress> {
    // The view in force when the query left its client is the oldest that it can meet.
    let from = views.partition_point(|v| v.at <= op.begin).saturating_sub(1);
    let known = model.glance(target, wait.index).shown;
    let mut was_present = true;
    for view in views[from..].iter().take_while(|v| v.at <= end) {
        let now = model.glance(target, view.index);
        let news = match target {
            // A server may lag behind what the client knows: that is no news.
            Target::Health(_) => view.index > wait.index && now.shown != known,
            Target::Key(_) | Target::Prefix(_) => now.index > wait.index && (now.present || was_present),
        };
        if news {
            return Some(*view);
        }
        was_present = now.present || view.index < wait.index;
    }
    None
}

fn restarted(run: &Run, server: u32, from: u64, to: u64) -> bool {
    run.restarts.iter().any(|r| r.server == server && from <= r.at && r.at <= to)
}

/// Per client and target, in the order in which the client asked.
fn indexes_never_go_back(run: &Run) -> Result<(), Violation> {
    let reaped = run.log.iter().any(|c| matches!(c.command, Command::ReapTombstones(_)));
    let mut asked: BTreeMap<(u32, &Target), Vec<&Operation>> = BTreeMap::new();
    for op in &run.operations {
        if let Some((query, ..)) = answered(op) {
            asked.entry((op.client, query.target)).or_default().push(op);
        }
    }
    for ((_, target), mut ops) in asked {
        if reaped && !matches!(target, Target::Health(_)) {
            continue;
        }
        ops.sort_by_key(|o| (o.begin, o.end));
        // The highest index so far of a fresh read, and of any read at each server.
        let (mut fresh, mut at_server): (Option<&Operation>, BTreeMap<u32, &Operation>) = Default::default();
        for op in ops {
            let Some((query, answer, end)) = answered(op) else { continue };
            let of_server = at_server.get(&op.server).copied();
            let of_server = of_server.filter(|e| !restarted(run, op.server, e.begin, end));
            let of_all = fresh.filter(|_| query.mode != Mode::Stale);
            for earlier in of_server.into_iter().chain(of_all) {
                let before = answered(earlier).map_or(0, |(_, answer, _)| answer.index);
                if earlier.end <= Some(op.begin) && answer.index < before {
                    let what = format!("{target:?}: {} after {before}", answer.index);
                    return Err(Violation::new("an index went back", what, [earlier, op]));
                }
            }
            let index = |o: &Operation| answered(o).map_or(0, |(_, answer, _)| answer.index);
            if query.mode != Mode::Stale && fresh.is_none_or(|f| index(f) <= answer.index) {
                fresh = Some(op);
            }
            if of_server.is_none_or(|f| index(f) <= answer.index) {
                at_server.insert(op.server, op);
            }
        }
    }
    Ok(())
}
