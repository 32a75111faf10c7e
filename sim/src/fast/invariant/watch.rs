//! Parked reads, and the bounds of queues.

use super::store::Reference;
use super::{Checked, hold};
use crate::fast::server::{Process, Server};
use crate::oracle::Target;
use lictor_core::store::Store;

/// Batches that may wait for one disk: a node hands out a few per input and its inputs are bounded by
/// messages in flight.
const MAX_DISK_BACKLOG: usize = 100_000;

/// No lost wake-up: once a view is published and shown to the front, no read stays parked whose answer is
/// newer than the index that it waits on.
pub(in crate::fast) fn no_lost_wakeup(reference: &Reference, server: &Server, process: &Process) -> Checked {
    for (req, waiting) in &server.waiting {
        let Some((target, above)) = &waiting.blocks else { continue };
        if !process.front.is_parked(*req) {
            continue;
        }
        let news = match news_index(&process.view.store, target) {
            Some(index) => index > *above,
            // What is gone counts as news if it was there at the index that the client knows.
            None => {
                *above <= process.view.store.applied()
                    && reference.at(*above).is_some_and(|then| news_index(then, target).is_some())
            }
        };
        hold!(
            !news,
            "no lost wake-up",
            "{} holds {target:?} back, which has changed since index {above}",
            server.id
        );
    }
    Ok(())
}

/// The index of what a read would show; `None` if that is nothing.
fn news_index(store: &Store, target: &Target) -> Option<u64> {
    match target {
        Target::Key(key) => store.kv(key).map(|entry| entry.modify_index),
        Target::Prefix(prefix) => {
            store.kv_prefix(prefix).next()?;
            Some(store.kv_prefix_index(prefix))
        }
        Target::Health(name) => {
            store.service_health(name).next()?;
            Some(store.service_index(name))
        }
    }
}

/// The front knows exactly the requests whose clients still wait: it forgets none and hoards none.
pub(in crate::fast) fn nothing_is_forgotten(server: &Server, process: &Process) -> Checked {
    let waiting = server.waiting.len() + server.calls.len() + usize::from(server.chore.is_some());
    let waiting = waiting + usize::from(server.errand.is_some());
    hold!(
        process.front.pending() == waiting,
        "no request is forgotten",
        "the front of {} holds {} requests, {} clients wait",
        server.id,
        process.front.pending(),
        waiting
    );
    Ok(())
}

/// Every queue has a bound.
pub(in crate::fast) fn queues_are_bounded(server: &Server, process: &Process) -> Checked {
    let status = &process.view.raft.status;
    let backlog = server.disk.backlog();
    hold!(backlog <= MAX_DISK_BACKLOG, "queues are bounded", "{} has {backlog} batches to write", server.id);
    hold!(
        status.waiting_calls <= 65_536 && status.waiting_reads <= 65_536,
        "queues are bounded",
        "{} has {} calls and {} reads waiting",
        server.id,
        status.waiting_calls,
        status.waiting_reads
    );
    hold!(
        status.log_bytes <= 512 << 20,
        "queues are bounded",
        "{} keeps {} bytes of log",
        server.id,
        status.log_bytes
    );
    Ok(())
}
