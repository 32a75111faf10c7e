//! What can happen next, and the heap that knows when.

use super::gossip::Packet;
use lictor_core::front::{HttpReply, HttpRequest, Work};
use lictor_core::ids::{Index, ReqId, ServerId};
use lictor_core::store::Store;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A message between servers arrives, if the receiver is still in the same life.
    Peer { sender: usize, from: ServerId, slot: usize, to: ServerId, life: u32, bytes: bytes::Bytes },
    /// A server hears that the connection of another one's messages has ended.
    PeerLost { from: ServerId, slot: usize, life: u32 },
    /// A datagram arrives.
    Packet(Box<Packet>),
    /// Somebody tries to connect, for the `tries`th time.
    Knock { conn: u64, tries: u32 },
    /// What flows on a connection from this end may arrive.
    Pump { conn: u64, from: usize },
    /// One end of a connection of calls is looked at.
    Line { conn: u64, end: usize },
    /// A name server answers.
    Resolved { slot: usize, life: u32, lookup: u64, found: Vec<Result<Vec<SocketAddr>, String>> },
    /// The owner of an agent's services does the next thing.
    Chore { slot: usize },
    /// The keeper of the keys does the next thing.
    Keeper,
    /// A deadline of a server may have come.
    Wake { slot: usize, life: u32 },
    /// A flush ends.
    Flushed { slot: usize, life: u32 },
    /// A snapshot is encoded.
    Built { slot: usize, life: u32, at: Index, store: Box<Store> },
    /// A front's work is done.
    Worked { slot: usize, life: u32, req: ReqId, work: Box<Work> },
    /// A request reaches a server.
    Request { client: usize, round: u64, request: Box<HttpRequest> },
    /// An answer reaches a client.
    Answer { client: usize, round: u64, reply: Box<HttpReply> },
    /// A client learns that its connection is broken; `refused` when it never was one.
    Broken { client: usize, round: u64, refused: bool },
    /// A client has waited long enough.
    GiveUp { client: usize, round: u64 },
    /// A client asks again.
    Next { client: usize },
    /// A process that was to die at its next write dies.
    Die { slot: usize, life: u32, step: u64 },
    /// The plan's step of this number is due.
    Step(usize),
    /// The operator looks at the cluster.
    Operator,
    /// The checks that are too dear to do after every event.
    Audit,
}

struct Scheduled {
    at: u64,
    seq: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, since the heap gives the greatest first.
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

/// Events by time, and by order of scheduling within a time.
#[derive(Default)]
pub(super) struct Heap {
    heap: BinaryHeap<Scheduled>,
    seq: u64,
}

impl Heap {
    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.seq += 1;
        self.heap.push(Scheduled { at, seq: self.seq, event });
    }

    pub(super) fn pop_until(&mut self, end: u64) -> Option<(u64, Event)> {
        if self.heap.peek()?.at > end {
            return None;
        }
        self.heap.pop().map(|s| (s.at, s.event))
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_as_scheduled() {
        let mut heap = Heap::default();
        heap.push(5, Event::Step(0));
        heap.push(3, Event::Step(1));
        heap.push(5, Event::Step(2));
        let order: Vec<u64> = std::iter::from_fn(|| heap.pop_until(5))
            .map(|(at, event)| match event {
                Event::Step(n) => at * 10 + n as u64,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(order, [31, 50, 52]);
    }
}
