//! What is too much for the thread of a front: done elsewhere, and handed back.

use crate::archive::{self, Meta};
use crate::store::Store;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use bytes::Bytes;

/// A piece of work. It needs nothing but itself.
#[derive(Clone, Debug)]
pub enum Work {
    /// Make an archive of a store.
    Pack(Box<Packing>),
    /// Read an archive, and see whether its state can be restored.
    Unpack(Bytes),
}

/// What an archive is made of.
#[derive(Clone, Debug)]
pub struct Packing {
    /// A cheap clone.
    pub(super) store: Store,
    pub(super) meta: Meta,
    /// Seconds since 1970.
    pub(super) time: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Worked {
    /// The archive.
    Packed(Bytes),
    /// What is to be restored, or why nothing is.
    Unpacked(Result<State, String>),
}

/// The state of an archive that can be restored.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// `state.bin`.
    pub(super) bytes: Bytes,
    /// The last index that the archive says it contains.
    pub(super) index: u64,
}

impl Work {
    /// Does it.
    pub fn run(self) -> Worked {
        match self {
            Work::Pack(packing) => {
                let Packing { store, meta, time } = *packing;
                Worked::Packed(archive::write(&meta, &store.encode_archive(), time).into())
            }
            Work::Unpack(bytes) => Worked::Unpacked(unpack(&bytes)),
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
