//! Snapshots of the store: encoded away from the node's thread, and handed over only when they fit on the disk.
//!
//! What is handed over is written with the log, and a write that fails stops the process: it would do so again at every
//! start, for the snapshot would be due again. So a disk that has no room for one keeps its log, and goes on.

use super::Hands;
use crate::rt::Rt;
use crate::storage::Space;
use lictor_core::event::{Event, Level};
use lictor_core::ids::Index;
use lictor_core::node::Input;
use lictor_core::store::Store;
use lictor_core::time::Duration;
use tokio::sync::oneshot;

/// How often a snapshot for which there is no room is thought of again.
const AGAIN: Duration = Duration::from_secs(10);
/// Room that is left beside it.
const BESIDE: u64 = 16 << 20;
/// What writing one may take of the disk, for each byte: the file that holds it grows in large steps, and holds the one
/// before until the new one is whole.
const STEPS: u64 = 3;

/// Encodes `store`, which is as of `at`, and reports it as soon as there is room for it.
pub(super) fn build<R: Rt>(rt: &R, hands: &Hands, at: Index, store: Box<Store>) {
    let (room, log, inbox, clock) = (hands.room.clone(), hands.log.clone(), hands.inbox.clone(), rt.clone());
    rt.spawn(async move {
        let mut told = false;
        loop {
            let (done, encoded) = oneshot::channel();
            let of = store.clone();
            // Nobody waits: the process is ending.
            clock.offload(move || drop(done.send(of.encode_snapshot())));
            let Ok(data) = encoded.await else { return };
            let bytes = data.len() as u64;
            if fits(room(), bytes) {
                let _ = inbox.send(Input::SnapshotBuilt { at, data }).await;
                return;
            }
            drop(data);
            if !std::mem::replace(&mut told, true) {
                let text = "the data directory's file system has no room for a snapshot: the log is kept instead, and \
                            grows; free some space";
                let event = Event::new(Level::Error, "agent.server.raft", text).with_number("bytes", bytes);
                log.write(&event.with_number("wanted", STEPS * bytes + BESIDE));
            }
            while !fits(room(), bytes) {
                if inbox.is_closed() {
                    return;
                }
                clock.sleep_until(clock.now().mono + AGAIN).await;
            }
        }
    });
}

fn fits(room: Option<Space>, bytes: u64) -> bool {
    room.is_none_or(|space| space.free >= STEPS * bytes + BESIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_written_only_where_it_fits_with_the_one_before() {
        let free = |mib: u64| Some(Space { free: mib << 20, total: 300 << 20 });
        assert!(fits(free(136), 40 << 20) && !fits(free(135), 40 << 20));
        assert!(fits(None, u64::MAX / 8), "in memory nothing is written");
    }
}
