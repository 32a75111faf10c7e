//! Frames between servers: raft's messages, and calls that a follower forwards to the leader.
//!
//! The leader answers a forwarded write as soon as raft has accepted it, with the entry's index and
//! term; the follower takes the result from applying that entry itself. So no result is ever sent,
//! and both sides agree on what happened.

use super::calls::Work;
use crate::ids::{Index, Term};
use crate::raft;
use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes};

/// What one server sends another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    /// Raft's own.
    Raft(raft::Message),
    /// Please do this; `id` is the sender's number for it.
    Ask { id: u64, work: Work },
    /// The write was appended there.
    Accepted { id: u64, index: Index, term: Term },
    /// A read may be served at this index.
    Barrier { id: u64, index: Index },
    /// Nothing happened.
    Refused { id: u64, why: Refusal },
}

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
}

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64);
        match self {
            Frame::Raft(message) => {
                out.put_u8(0);
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
        }
        Bytes::from(out)
    }

    /// `None` when the bytes are no frame of this version. Never panics.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Frame> {
        if bytes.is_empty() {
            return None;
        }
        let kind = bytes.get_u8();
        if kind == 0 {
            return raft::Message::decode(bytes).ok().map(Frame::Raft);
        }
        if bytes.len() < 8 {
            return None;
        }
        let id = bytes.get_u64();
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
                    _ => return None,
                };
                Some(Frame::Refused { id, why })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_frame_comes_back_as_it_went() {
        for frame in [
            Frame::Ask { id: 7, work: Work::Write(Bytes::from_static(b"x")) },
            Frame::Ask { id: 7, work: Work::Barrier { consistent: true } },
            Frame::Accepted { id: 1, index: Index(2), term: Term(3) },
            Frame::Barrier { id: 9, index: Index(4) },
            Frame::Refused { id: 5, why: Refusal::Unknown },
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
