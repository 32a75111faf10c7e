//! What is too much for the thread of a front: done elsewhere, and handed back.
//!
//! Each takes the memory of an archive and of the state in it, so that one at a time is done in a process.

use crate::archive::{self, MAX_ARCHIVE, MAX_STATE, Meta};
use crate::store::Store;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use core::sync::atomic::{AtomicBool, Ordering};

/// What is to be done. It needs nothing but itself.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Make an archive of a store.
    Pack(Box<Packing>),
    /// Read an archive, and see whether its state can be restored.
    Unpack(Bytes),
}

/// What an archive is made of.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    /// A cheap clone.
    pub(super) store: Store,
    pub(super) meta: Meta,
    /// Seconds since 1970.
    pub(super) time: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The archive, or why there is none.
    Packed(Result<Bytes, String>),
    /// What is to be restored, or why nothing is.
    Unpacked(Result<State, String>),
}

/// The state of an archive that can be restored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// `state.bin`.
    pub(super) bytes: Bytes,
    /// The last index that the archive says it contains.
    pub(super) index: u64,
}

/// Whether an archive is being made, read or restored. All fronts of a process share it.
#[derive(Debug, Default)]
pub struct Archives {
    busy: AtomicBool,
}

/// The right to be the one that works on an archive; the last clone that is dropped gives it back.
#[derive(Clone, Debug)]
pub(super) struct Permit {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held(Arc<Archives>);

impl Archives {
    /// The permit, unless somebody has it.
    pub(super) fn permit(self: &Arc<Archives>) -> Option<Permit> {
        let taken = self.busy.swap(true, Ordering::AcqRel);
        (!taken).then(|| Permit { _held: Arc::new(Held(self.clone())) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// A piece of work, with the right to do it.
#[derive(Clone, Debug)]
pub struct Work {
    pub(super) task: Task,
    pub(super) permit: Permit,
}

/// Work that is done. The right to it goes on to the restore that may follow.
#[derive(Clone, Debug)]
pub struct Worked {
    pub(super) outcome: Outcome,
    pub(super) permit: Permit,
}

impl Work {
    /// Does it.
    pub fn run(self) -> Worked {
        let Work { task, permit } = self;
        let outcome = match task {
            Task::Pack(packing) => Outcome::Packed(pack(*packing, MAX_STATE, MAX_ARCHIVE)),
            Task::Unpack(bytes) => Outcome::Unpacked(unpack(&bytes)),
        };
        Worked { outcome, permit }
    }
}

/// Nothing is saved that could not be restored.
fn pack(packing: Packing, max_state: usize, max_archive: usize) -> Result<Bytes, String> {
    let Packing { store, meta, time } = packing;
    let state = store.encode_archive();
    fits("the state", state.len(), max_state)?;
    let archive = archive::write(&meta, &state, time);
    fits("the snapshot", archive.len(), max_archive)?;
    Ok(archive.into())
}

fn fits(what: &str, len: usize, most: usize) -> Result<(), String> {
    match len <= most {
        true => Ok(()),
        false => {
            Err(format!("{what} has {len} bytes, and no server restores more than {most}: it was not saved"))
        }
    }
}

fn unpack(bytes: &[u8]) -> Result<State, String> {
    let archive = archive::read(bytes).map_err(|why| format!("{why}"))?;
    let refused = |why| format!("Raft error when restoring snapshot: {why}");
    if let Some(why) = archive.meta.refusal(archive.state.len()) {
        return Err(refused(why));
    }
    // Consul's servers end here if they cannot read it.
    Store::from_archive(&archive.state)
        .map_err(|why| refused(format!("failed to restore snapshot: {why}, nothing was changed")))?;
    Ok(State { bytes: archive.state.into(), index: archive.meta.index })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn what_no_server_would_take_back_is_not_saved() {
        let packing = || Packing { store: Store::default(), meta: Meta::new(1, 1, 0, Vec::new()), time: 0 };
        let archive = pack(packing(), MAX_STATE, MAX_ARCHIVE).expect("it is small");
        let state = packing().store.encode_archive().len();
        assert_eq!(pack(packing(), state, archive.len()), Ok(archive.clone()));
        let why = pack(packing(), state - 1, MAX_ARCHIVE).expect_err("its state is too large");
        assert!(why.contains("the state has") && why.contains(&format!("more than {}", state - 1)), "{why}");
        let why = pack(packing(), MAX_STATE, archive.len() - 1).expect_err("it is too large");
        assert!(why.contains("the snapshot has"), "{why}");
    }

    #[test]
    fn there_is_one_permit_and_its_last_clone_gives_it_back() {
        let archives = Arc::new(Archives::default());
        let permit = archives.permit().expect("it is free");
        let clone = permit.clone();
        drop(permit);
        assert!(archives.permit().is_none());
        drop(clone);
        assert!(archives.permit().is_some());
    }
}
