//! Which events make the peer's picture of a service equal to the view.

use super::event;
use super::request::{Status, Subscription, Topic};
use crate::Str;
use crate::store::Store;
use crate::types::CheckServiceNode;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

/// Bytes of events in one message, about. Agents take 8 MiB.
const MESSAGE: usize = 1 << 20;

/// What one peer was told of a service.
#[derive(Debug)]
pub struct Feed {
    topic: Topic,
    service: String,
    /// The peer has a picture of its own, from an earlier stream.
    resumes: bool,
    /// The index of what it was told last; 0 before that.
    index: u64,
    told: BTreeMap<(Str, Str), Arc<CheckServiceNode>>,
}

/// What comes next on a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// These messages, in this order; none if nothing changed. Then wait until the service's index is
    /// another one than [`Feed::index`].
    Send(Vec<Vec<u8>>),
    /// The end.
    End(Status),
}

impl Feed {
    /// A feed that has told nothing yet.
    pub fn new(subscription: Subscription) -> Feed {
        let Subscription { topic, service, index } = subscription;
        Feed { topic, service, resumes: index > 0, index: 0, told: BTreeMap::new() }
    }

    /// The service to wait for a change of; `None`: nothing will ever change.
    pub fn follows(&self) -> Option<&str> {
        (self.topic == Topic::Health).then_some(&*self.service)
    }

    /// The service's index in the view that was looked at last.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Looks at the newest view. The first look yields the snapshot, each later one what changed since.
    pub fn look(&mut self, store: &Store) -> Step {
        let before = mem::replace(&mut self.index, store.service_index(&self.service).max(1));
        if self.index < before {
            return Step::End(Status::reset());
        }
        let events = self.changes(store);
        let mut messages = Vec::new();
        if before == 0 && self.resumes {
            messages.push(event::new_snapshot_to_follow());
        }
        pack(self.index, events, &mut messages);
        if before == 0 {
            messages.push(event::end_of_snapshot(self.index));
        }
        Step::Send(messages)
    }

    /// Events for what differs from what was told. What is gone comes first: a record that is only spelled
    /// another way is a new one to the peer.
    fn changes(&mut self, store: &Store) -> Vec<Vec<u8>> {
        if self.follows().is_none() {
            return Vec::new();
        }
        let entries = store.service_health(&self.service);
        let now: BTreeMap<_, _> =
            entries.map(|e| ((e.node.node.clone(), e.service.id.clone()), e.clone())).collect();
        let index = self.index;
        let gone = self.told.iter().filter(|(key, _)| !now.contains_key(*key));
        let mut events: Vec<Vec<u8>> = gone.map(|(_, entry)| event::deregister(index, entry)).collect();
        let same = |key, entry| self.told.get(key).is_some_and(|told| Arc::ptr_eq(told, entry));
        let new = now.iter().filter(|(key, entry)| !same(key, entry));
        events.extend(new.map(|(_, entry)| event::register(index, entry)));
        self.told = now;
        events
    }
}

/// Puts events into as few messages as fit.
fn pack(index: u64, events: Vec<Vec<u8>>, into: &mut Vec<Vec<u8>>) {
    let (mut pending, mut size) = (Vec::new(), 0);
    for one in events {
        if size > 0 && size + one.len() > MESSAGE {
            into.push(event::batch(index, mem::take(&mut pending)));
            size = 0;
        }
        size += one.len();
        pending.push(one);
    }
    if !pending.is_empty() {
        into.push(event::batch(index, pending));
    }
}

#[cfg(test)]
mod tests;
