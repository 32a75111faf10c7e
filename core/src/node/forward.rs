//! Frames between servers: raft's messages, and calls that a follower forwards to the leader.
//!
//! The leader answers a forwarded write as soon as raft has accepted it, with the entry's index and
//! term; the follower takes the result from applying that entry itself. So no result is ever sent,
//! and both sides agree on what happened.

use super::calls::Work;
use crate::ids::{Index, Term};
use crate::raft;
use crate::server::founding::{self, Message};
use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes};

/// What one server sends another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    /// Raft's own, and the cluster of the membership that the sender has; 0 if it knows of none.
    Raft { cluster: u64, message: raft::Message },
    /// Please do this; `id` is the sender's number for it.
    Ask { id: u64, work: Work },
    /// The write was appended there.
    Accepted { id: u64, index: Index, term: Term },
    /// A read may be served at this index.
    Barrier { id: u64, index: Index },
    /// Nothing happened.
    Refused { id: u64, why: Refusal },
    /// Nothing happened: the operations at these places lock what nobody can lock now.
    Delayed { id: u64, places: Vec<u32> },
    /// About founding a cluster.
    Founding(Message),
}

/// Servers in a set that is asked to found: no more may be members.
const MAX_FOUNDERS: usize = raft::MAX_SERVERS;

/// Why the other server did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not lead, or stopped leading.
    NotLeader = 0,
    /// Too much is in flight.
    Busy = 1,
    /// The command is too large.
    TooLarge = 2,
    /// Its disk is nearly full.
    DiskFull = 3,
    /// It was appended, and then another leader took over: the outcome is unknown.
    Unknown = 4,
    /// It is of a kind that this version does not know.
    Unreadable = 5,
}

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64);
        match self {
            Frame::Raft { cluster, message } => {
                out.put_u8(0);
                out.put_u64(*cluster);
                message.encode_into(&mut out);
            }
            Frame::Ask { id, work: Work::Write(command) } => {
                out.put_u8(1);
                out.put_u64(*id);
                out.put_slice(command);
            }
            Frame::Ask { id, work: Work::Barrier { consistent } } => {
                out.put_u8(2);
                out.put_u64(*id);
                out.put_u8(u8::from(*consistent));
            }
            Frame::Accepted { id, index, term } => {
                out.put_u8(3);
                out.put_u64(*id);
                out.put_u64(index.0);
                out.put_u64(term.0);
            }
            Frame::Barrier { id, index } => {
                out.put_u8(4);
                out.put_u64(*id);
                out.put_u64(index.0);
            }
            Frame::Refused { id, why } => {
                out.put_u8(5);
                out.put_u64(*id);
                out.put_u8(*why as u8);
            }
            Frame::Delayed { id, places } => {
                out.put_u8(10);
                out.put_u64(*id);
                places.iter().for_each(|place| out.put_u32(*place));
            }
            Frame::Founding(message) => encode_founding(message, &mut out),
        }
        Bytes::from(out)
    }

    /// `None` when the bytes are no frame of this version. Never panics.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Frame> {
        if bytes.is_empty() {
            return None;
        }
        let kind = bytes.get_u8();
        if bytes.len() < 8 {
            return None;
        }
        let id = bytes.get_u64();
        if kind == 0 {
            let message = raft::Message::decode(bytes).ok()?;
            return Some(Frame::Raft { cluster: id, message });
        }
        match (kind, bytes.len()) {
            (1, 1..) => Some(Frame::Ask { id, work: Work::Write(bytes) }),
            (2, 1) => Some(Frame::Ask { id, work: Work::Barrier { consistent: bytes.get_u8() != 0 } }),
            (3, 16) => {
                Some(Frame::Accepted { id, index: Index(bytes.get_u64()), term: Term(bytes.get_u64()) })
            }
            (4, 8) => Some(Frame::Barrier { id, index: Index(bytes.get_u64()) }),
            (5, 1) => {
                let why = match bytes.get_u8() {
                    0 => Refusal::NotLeader,
                    1 => Refusal::Busy,
                    2 => Refusal::TooLarge,
                    3 => Refusal::DiskFull,
                    4 => Refusal::Unknown,
                    5 => Refusal::Unreadable,
                    _ => return None,
                };
                Some(Frame::Refused { id, why })
            }
            (10, len) if len % 4 == 0 => {
                let places = (0..len / 4).map(|_| bytes.get_u32()).collect();
                Some(Frame::Delayed { id, places })
            }
            (6..=9, _) => decode_founding(kind, id, bytes).map(Frame::Founding),
            _ => None,
        }
    }
}

fn encode_founding(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Ask { ballot, expect, members } => {
            out.put_u8(6);
            out.put_u64(*ballot);
            out.put_u32(*expect);
            for id in members.iter().take(MAX_FOUNDERS) {
                let id = &id.as_bytes()[..id.len().min(raft::MAX_ID)];
                out.put_u8(id.len() as u8);
                out.put_slice(id);
            }
        }
        Message::Promise { ballot } => {
            out.put_u8(7);
            out.put_u64(*ballot);
        }
        Message::Refuse { ballot, why } => {
            out.put_u8(8);
            out.put_u64(*ballot);
            out.put_u8(*why as u8);
        }
        Message::Release { ballot } => {
            out.put_u8(9);
            out.put_u64(*ballot);
        }
    }
}

fn decode_founding(kind: u8, ballot: u64, mut bytes: Bytes) -> Option<Message> {
    match (kind, bytes.len()) {
        (6, 4..) => {
            let (expect, mut members) = (bytes.get_u32(), Vec::new());
            while !bytes.is_empty() {
                let len = usize::from(bytes.get_u8());
                if len == 0 || len > bytes.len() || members.len() == MAX_FOUNDERS {
                    return None;
                }
                members.push(core::str::from_utf8(&bytes.split_to(len)).ok()?.into());
            }
            Some(Message::Ask { ballot, expect, members })
        }
        (7, 0) => Some(Message::Promise { ballot }),
        (8, 1) => {
            let why = match bytes.get_u8() {
                0 => founding::Refusal::HasLog,
                1 => founding::Refusal::Promised,
                2 => founding::Refusal::Expects,
                _ => return None,
            };
            Some(Message::Refuse { ballot, why })
        }
        (9, 0) => Some(Message::Release { ballot }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_frame_comes_back_as_it_went() {
        for frame in [
            Frame::Raft {
                cluster: 9,
                message: raft::Message { term: Term(3), body: raft::Body::TimeoutNow },
            },
            Frame::Ask { id: 7, work: Work::Write(Bytes::from_static(b"x")) },
            Frame::Ask { id: 7, work: Work::Barrier { consistent: true } },
            Frame::Accepted { id: 1, index: Index(2), term: Term(3) },
            Frame::Barrier { id: 9, index: Index(4) },
            Frame::Refused { id: 5, why: Refusal::Unknown },
            Frame::Refused { id: 6, why: Refusal::Unreadable },
            Frame::Delayed { id: 7, places: alloc::vec![0, 9] },
            Frame::Founding(Message::Ask {
                ballot: 1,
                expect: 3,
                members: alloc::vec!["a".into(), "bc".into()],
            }),
            Frame::Founding(Message::Promise { ballot: 2 }),
            Frame::Founding(Message::Refuse { ballot: 3, why: founding::Refusal::HasLog }),
            Frame::Founding(Message::Release { ballot: 4 }),
        ] {
            assert_eq!(Frame::decode(frame.encode()), Some(frame));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_do_not_but_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Frame::decode(Bytes::from(bytes));
        }
    }
}
