//! The disk task: batches in ticket order, one flush for everything that queued meanwhile.

use crate::driver::DiskOrder;
use crate::rt::Rt;
use crate::storage::{Space, Storage};
use lictor_core::node::{DiskBatch, Input, LocalWrite};
use lictor_core::time::{Duration, Instant};
use tokio::sync::mpsc;

/// With so many batches in a flush, or so many bytes, no further order joins it.
const MAX_BATCHES: usize = 1024;
const MAX_BYTES: usize = 1 << 20;

/// Writes orders until the node is gone or a write fails.
///
/// There is no timer: whatever queued while the last flush ran goes into the next one, so a single
/// writer waits for nobody and many writers share.
///
/// The room on the disk is looked at before the first write, after each, and again before others can
/// have filled the disk while this server is idle.
pub async fn run<R: Rt, S: Storage>(
    rt: R,
    mut storage: S,
    mut orders: mpsc::UnboundedReceiver<DiskOrder>,
    inbox: mpsc::Sender<Input>,
) {
    let mut full = false;
    let mut batches: Vec<DiskBatch> = Vec::new();
    loop {
        let space = storage.free_bytes();
        let now_full = space.is_some_and(|space| nearly_full(space, full));
        if now_full != full {
            full = now_full;
            let _ = inbox.send(Input::DiskFull(full)).await;
        }
        let look_again = space.map_or(Instant::FAR_FUTURE, |space| rt.now().mono + filled_after(space));
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some(order) = order else { return };
                if !write(&mut storage, order, &mut orders, &mut batches, &inbox).await {
                    return;
                }
            }
            () = rt.sleep_until(look_again) => {}
        }
    }
}

/// Writes one run of batches and reports it; `false` when there is nothing more to do.
async fn write<S: Storage>(
    storage: &mut S,
    first: DiskOrder,
    orders: &mut mpsc::UnboundedReceiver<DiskOrder>,
    batches: &mut Vec<DiskBatch>,
    inbox: &mpsc::Sender<Input>,
) -> bool {
    let DiskOrder { mut upto, batches: mut all } = first;
    let mut bytes: usize = all.iter().map(weight).sum();
    batches.append(&mut all);
    while batches.len() < MAX_BATCHES && bytes < MAX_BYTES {
        let Ok(mut next) = orders.try_recv() else { break };
        upto = next.upto;
        bytes += next.batches.iter().map(weight).sum::<usize>();
        batches.append(&mut next.batches);
    }
    let written = storage.write(batches).await;
    batches.clear();
    let report = match written {
        Ok(()) => Input::Persisted { upto },
        Err(error) => Input::PersistFailed { ticket: upto, error: error.to_string() },
    };
    let failed = matches!(report, Input::PersistFailed { .. });
    // The node's queue may be full: wait for a place.
    inbox.send(report).await.is_ok() && !failed
}

/// Bytes to write, near enough.
fn weight(batch: &DiskBatch) -> usize {
    let entries = batch.raft.iter().flat_map(|raft| &raft.append).map(|entry| entry.encoded_len());
    let records = batch.local.iter().map(|change| match change {
        LocalWrite::Put { key, value } => key.len() + value.len(),
        LocalWrite::Delete { key } => key.len(),
    });
    entries.chain(records).sum()
}

/// Writes are refused while less than a tenth of the file system is free, but at least 16 MiB and at
/// most 512 MiB are asked for; they resume when half as much again is free.
pub fn nearly_full(space: Space, was_full: bool) -> bool {
    let reserve = (space.total / 10).clamp(16 << 20, 512 << 20);
    space.free < if was_full { reserve + reserve / 2 } else { reserve }
}

/// A time in which a fast disk does not get from `space` to nearly full: one to ten seconds.
fn filled_after(space: Space) -> Duration {
    let gigabytes = space.free.saturating_sub(1 << 30) >> 30;
    Duration::from_secs(gigabytes.clamp(1, 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_stop_before_the_disk_is_full_and_resume_with_room_to_spare() {
        let space = |free: u64| Space { free: free << 20, total: 200 << 20 };
        assert!(!nearly_full(space(20), false));
        assert!(nearly_full(space(19), false));
        assert!(nearly_full(space(29), true), "no flapping around the line");
        assert!(!nearly_full(space(30), true));
    }

    #[test]
    fn a_disk_with_little_room_is_looked_at_every_second() {
        let space = |free: u64| Space { free: free << 30, total: 200 << 30 };
        assert_eq!(filled_after(space(0)), Duration::from_secs(1));
        assert_eq!(filled_after(space(2)), Duration::from_secs(1));
        assert_eq!(filled_after(space(6)), Duration::from_secs(5));
        assert_eq!(filled_after(space(100)), Duration::from_secs(10));
    }
}
