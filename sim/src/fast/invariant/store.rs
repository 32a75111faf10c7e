//! The replicated state.

use super::{Checked, hold};
use lictor_core::command::{Command, KvCommand};
use lictor_core::ids::ServerId;
use lictor_core::raft::{Entry, Payload};
use lictor_core::store::{Applied, Store};
use lictor_core::types::KvOp;
use lictor_core::watch::ChangeSet;
use std::collections::VecDeque;

/// Indexes back to which a server's store can be compared.
const KEPT: usize = 20_000;

/// An archive that was restored.
#[derive(Clone, Copy, Debug)]
pub(in crate::fast) struct Restore {
    /// The place of its last part in the log.
    pub(in crate::fast) place: u64,
    /// The index that users are shown of it.
    pub(in crate::fast) index: u64,
    /// When the first server applied it.
    pub(in crate::fast) at: u64,
}

/// One more store, fed with the committed log and with nothing else, at every recent place in the log.
#[derive(Debug)]
pub(in crate::fast) struct Reference {
    /// The first is at place `first`.
    stores: VecDeque<Store>,
    first: u64,
}

impl Reference {
    /// A reference that begins with the store of a server that has applied nothing yet.
    pub(in crate::fast) fn new(empty: Store) -> Reference {
        Reference { stores: VecDeque::from([empty]), first: 0 }
    }

    /// How far it is.
    pub(in crate::fast) fn applied(&self) -> u64 {
        self.first + self.stores.len() as u64 - 1
    }

    /// Applies the next committed entry; the command, if it carries one, and what it did.
    pub(in crate::fast) fn apply(&mut self, entry: &Entry) -> Option<(Command, Applied)> {
        let mut next = self.stores.back().cloned().unwrap_or_default();
        let index = next.applied() + 1;
        let done = match &entry.payload {
            Payload::Noop | Payload::Membership(_) => {
                if entry.payload == Payload::Noop {
                    next.forget_unfinished();
                }
                next.skip(index);
                None
            }
            Payload::Command(bytes) => Command::decode(bytes).ok().map(|command| {
                let result = next.apply(index, &command, &mut ChangeSet::default());
                (command, result)
            }),
        };
        self.stores.push_back(next);
        if self.stores.len() > KEPT {
            self.stores.pop_front();
            self.first += 1;
        }
        done
    }

    /// The index that users are shown of the newest.
    pub(in crate::fast) fn shown(&self) -> u64 {
        self.stores.back().map_or(0, Store::applied)
    }

    /// The store of which users are shown `index`, if there is one and it is still kept.
    pub(in crate::fast) fn of(&self, index: u64) -> Option<&Store> {
        let place = self.stores.partition_point(|store| store.applied() < index);
        self.stores.get(place).filter(|store| store.applied() == index)
    }

    /// The store at this place in the log, if it is still kept.
    pub(in crate::fast) fn at(&self, index: u64) -> Option<&Store> {
        self.stores.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }
}

/// Whether `command`, the last one that the store applied, wrote a key that had this value and these flags already.
pub(in crate::fast) fn was_there(store: &Store, command: &Command) -> bool {
    let Command::Kv(KvCommand { op: KvOp::Set, dir_ent }) = command else { return false };
    store.kv(&dir_ent.key).is_some_and(|entry| entry.modify_index < store.applied())
}

/// Equal stores at equal applied indexes, through snapshots and restarts too (thesis, figure 3.2, state
/// machine safety).
pub(in crate::fast) fn equal_stores(reference: &Reference, id: &ServerId, store: &Store) -> Checked {
    let Some(wanted) = reference.at(store.log_index()) else { return Ok(()) };
    hold!(
        wanted == store,
        "equal stores",
        "the store of {id} at index {} differs from what the log gives{}",
        store.log_index(),
        first_difference(wanted, store)
    );
    Ok(())
}

/// Where two stores differ, as far as can be seen from outside.
fn first_difference(wanted: &Store, got: &Store) -> String {
    let keys = |s: &Store| s.kv_prefix("").map(|e| (**e).clone()).collect::<Vec<_>>();
    for (w, g) in keys(wanted).iter().zip(&keys(got)) {
        if w != g {
            return format!(": {w:?} became {g:?}");
        }
    }
    if keys(wanted).len() != keys(got).len() {
        return format!(": {} keys became {}", keys(wanted).len(), keys(got).len());
    }
    let (w, g) = (wanted.checks_in_state("any"), got.checks_in_state("any"));
    if w != g {
        return format!(": checks {w:?} became {g:?}");
    }
    for (w, g) in wanted.instances().zip(got.instances()) {
        if w != g {
            return format!(": {w:?} became {g:?}");
        }
    }
    for (w, g) in wanted.nodes().zip(got.nodes()) {
        if w != g {
            return format!(": {w:?} became {g:?}");
        }
    }
    String::from(" (in its indexes or tombstones)")
}
