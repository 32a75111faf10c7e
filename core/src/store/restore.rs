//! An archive takes the place of everything, once all of its parts have come.

use super::Store;
use crate::command::RestorePart;
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The most that the parts of one archive may have together.
const MAX_STATE: usize = crate::archive::MAX_STATE;
/// No index is larger: counting on from there must not come to an end.
const MAX_INDEX: u64 = 1 << 62;

/// An archive that has come in part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Unfinished {
    id: u64,
    of: u64,
    /// From the first, without gaps.
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Part(#[serde(with = "crate::wire::raw")] Bytes);

impl Store {
    /// What has come of an archive is forgotten: it will not come any further.
    pub fn forget_unfinished(&mut self) {
        self.unfinished = None;
    }

    /// Takes a part; with the last one, everything is replaced by what they are together. Nothing else changes then
    /// or before.
    pub(super) fn restore_part(
        &mut self,
        index: u64,
        part: &RestorePart,
        changes: &mut ChangeSet,
    ) -> Result<(), String> {
        let mut unfinished = match part.number {
            0 => Unfinished { id: part.id, of: part.of, parts: Vec::new() },
            _ => self.unfinished.take().map(Arc::unwrap_or_clone).unwrap_or_default(),
        };
        let expected = (unfinished.id, unfinished.of, unfinished.parts.len() as u64);
        if expected != (part.id, part.of, part.number) {
            if part.number > 0 && unfinished.id != part.id && unfinished.of > 0 {
                // It is of another one, which goes on.
                self.unfinished = Some(Arc::new(unfinished));
            }
            return Err(
                "the restore was cut off by another one or by a new leader, nothing was changed".into()
            );
        }
        let len: usize = unfinished.parts.iter().map(|part| part.0.len()).sum();
        if len + part.data.len() > MAX_STATE {
            return Err(format!("the snapshot has more than {MAX_STATE} bytes, nothing was changed"));
        }
        unfinished.parts.push(Part(part.data.clone()));
        let is_last =
            part.is_last() || mutant!(self, RestoresWithoutTheLastPart) && part.number + 2 == part.of;
        if !is_last {
            self.unfinished = Some(Arc::new(unfinished));
            return Ok(());
        }
        let parts: Vec<&[u8]> = unfinished.parts.iter().map(|part| &*part.0).collect();
        if part.index > MAX_INDEX {
            return Err("failed to restore snapshot: an index that is too large, nothing was changed".into());
        }
        let restored = Store::from_archive(&parts.concat());
        #[cfg(feature = "mutants")]
        let restored = match mutant!(self, RestoresWithoutTheLastPart) {
            true => restored.or_else(|_| Store::whole_records_of(&parts.concat())),
            false => restored,
        };
        let restored =
            restored.map_err(|why| format!("failed to restore snapshot: {why}, nothing was changed"))?;
        // Above every index that anyone has seen, of before and of the archive.
        let applied = index.max(part.index.max(restored.applied) + 1);
        *self = Store {
            applied,
            ahead: applied - (index - self.ahead),
            unfinished: None,
            #[cfg(feature = "mutants")]
            mutant: self.mutant,
            ..restored
        };
        if !mutant!(self, RestoreWakesNobody) {
            *changes = ChangeSet::everything();
        }
        Ok(())
    }

    /// As much of an archive as can be read.
    #[cfg(feature = "mutants")]
    fn whole_records_of(state: &[u8]) -> Result<Store, String> {
        let least = Err(String::from("snapshot: nothing of it can be read"));
        (1..=state.len())
            .rev()
            .map(|len| Store::from_archive(&state[..len]))
            .find(Result::is_ok)
            .unwrap_or(least)
    }

    /// Reads the `state.bin` of an archive.
    pub fn from_archive(state: &[u8]) -> Result<Store, String> {
        let store = Store::decode_archive(state).map_err(|why| format!("{why}"))?;
        let applied = store.applied.max(store.newest_index());
        if applied > MAX_INDEX {
            return Err(String::from("snapshot: an index that is too large"));
        }
        Ok(Store { applied, ahead: 0, unfinished: None, ..store })
    }
}
