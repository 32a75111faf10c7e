//! Parked reads, and the bounds of queues.

use super::store::{Reference, Restore};
use super::{Checked, hold};
use crate::fast::server::{Process, Server};
use crate::oracle::Target;
use lictor_core::ids::ReqId;
use lictor_core::store::Store;

/// Batches that may wait for one disk: a node hands out a few per input and its inputs are bounded by
/// messages in flight.
const MAX_DISK_BACKLOG: usize = 100_000;

/// No lost wake-up: once a view is published and shown to the front, no read stays parked whose answer is
/// newer than the index that it waits on.
pub(in crate::fast) fn no_lost_wakeup(
    reference: &Reference,
    restores: &[Restore],
    server: &Server,
    process: &Process,
) -> Checked {
    for (req, waiting) in &server.waiting {
        let Some((target, above)) = &waiting.blocks else { continue };
        if !process.front.is_parked(*req) {
            continue;
        }
        let news = match news_index(&process.view.store, target) {
            Some(index) => index > *above,
            // What is gone counts as news if it was there at the index that the client knows; not if an archive came
            // in between, which made an end of all indexes.
            None => {
                let applied = process.view.store.applied();
                let fallen =
                    restores.iter().any(|restore| *above < restore.index && restore.index <= applied);
                !fallen
                    && *above <= applied
                    && reference.of(*above).is_some_and(|then| news_index(then, target).is_some())
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

/// An archive takes the place of everything: whoever was parked and waits for what is another now is answered, also
/// where its index has fallen. Consul's blocking queries return when the state that they look at is abandoned.
pub(in crate::fast) fn a_restore_wakes(
    parked: &[ReqId],
    before: &Store,
    server: &Server,
    process: &Process,
) -> Checked {
    for req in parked.iter().filter(|req| process.front.is_parked(**req)) {
        let Some((target, above)) = server.waiting.get(req).and_then(|w| w.blocks.as_ref()) else { continue };
        let (then, now) = (news_index(before, target), news_index(&process.view.store, target));
        hold!(
            then == now,
            "a restore wakes who waits",
            "{} holds {target:?} back above index {above}, which was {then:?} and is {now:?} in the archive",
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
