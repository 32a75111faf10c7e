//! What servers say to each other, and its binary form.
//!
//! A message is a version byte, a kind byte, the term, then the kind's fields; see [`super::codec`]
//! for numbers and strings. The form is stable: a changed field is a new version, and an unknown
//! version or kind is refused, never guessed.

use super::codec::{DecodeError, MAX_FRAME, Reader, put_bytes, put_u8, put_u32, put_u64};
use super::entry::{Entry, LogId, SnapshotMeta};
use crate::ids::{Index, Term};
use alloc::vec::Vec;
use bytes::Bytes;

/// The version byte of every message.
pub const MESSAGE_VERSION: u8 = 1;

/// One message between two servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's term; for [`Body::PreVote`] and a granted [`Body::PreVoteReply`] the term that
    /// the candidate would begin.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// A heartbeat round of one leader in one term, counted from 1; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round(pub u64);

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// "Would you vote for me?" (section 9.6)
    PreVote {
        /// The end of the candidate's log.
        last: LogId,
    },
    /// Answer to `PreVote`. A refusal carries the voter's own term.
    PreVoteReply {
        /// Whether it would.
        granted: bool,
    },
    /// "Vote for me." (section 3.4)
    Vote {
        /// The end of the candidate's log.
        last: LogId,
        /// The leader asked for this election: do not protect it (section 4.2.3).
        transfer: bool,
    },
    /// Answer to `Vote`, sent after the vote is on disk.
    VoteReply {
        /// Whether it did.
        granted: bool,
    },
    /// Entries to follow `prev` (section 3.5); empty to probe.
    Append {
        /// The entry before the first of `entries`.
        prev: LogId,
        /// How far the leader has committed.
        commit: Index,
        /// Contiguous entries from `prev.index + 1`.
        entries: Vec<Entry>,
    },
    /// The follower's log equals the leader's up to `upto`, on disk.
    AppendOk {
        /// The last index known to match.
        upto: Index,
    },
    /// The follower does not hold `prev`.
    AppendConflict {
        /// `prev.index` of the message refused.
        prev: Index,
        /// The follower's last entry at or below `prev.index` whose term is not newer than
        /// `prev.term`: the leader goes on from there, skipping whole terms (section 3.5, end).
        hint: LogId,
    },
    /// "I still lead", and news of the commit.
    Heartbeat {
        /// The round to be acknowledged.
        round: Round,
        /// How far the receiver may commit: never beyond what it acknowledged.
        commit: Index,
    },
    /// Acknowledges a heartbeat round; also a refusal of any message of an older term.
    HeartbeatReply {
        /// The round; 0 in a refusal.
        round: Round,
    },
    /// News of the commit between heartbeats; not answered.
    Commit {
        /// How far the receiver may commit: never beyond what it acknowledged.
        upto: Index,
    },
    /// A piece of a snapshot (chapter 5).
    Snapshot {
        /// What the whole snapshot covers.
        meta: SnapshotMeta,
        /// Bytes of the whole.
        total: u64,
        /// Where this piece starts.
        offset: u64,
        /// The piece.
        chunk: Bytes,
    },
    /// How much of a snapshot has arrived. Its end is acknowledged by `AppendOk`.
    SnapshotReply {
        /// Which snapshot.
        index: Index,
        /// Contiguous bytes held.
        received: u64,
    },
    /// "Campaign now": the last step of a leadership transfer (section 3.10).
    TimeoutNow,
}

impl Body {
    /// Whether only a leader says this.
    pub(super) fn is_from_leader(&self) -> bool {
        match self {
            Body::Append { .. } | Body::Heartbeat { .. } | Body::Commit { .. } | Body::Snapshot { .. } => {
                true
            }
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::AppendOk { .. }
            | Body::AppendConflict { .. }
            | Body::HeartbeatReply { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow => false,
        }
    }

    /// The kind in one word, for logs and traces.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::PreVote { .. } => "pre-vote",
            Body::PreVoteReply { .. } => "pre-vote-reply",
            Body::Vote { .. } => "vote",
            Body::VoteReply { .. } => "vote-reply",
            Body::Append { .. } => "append",
            Body::AppendOk { .. } => "append-ok",
            Body::AppendConflict { .. } => "append-conflict",
            Body::Heartbeat { .. } => "heartbeat",
            Body::HeartbeatReply { .. } => "heartbeat-reply",
            Body::Commit { .. } => "commit",
            Body::Snapshot { .. } => "snapshot",
            Body::SnapshotReply { .. } => "snapshot-reply",
            Body::TimeoutNow => "timeout-now",
        }
    }
}

impl Message {
    /// The binary form.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64);
        self.encode_into(&mut out);
        Bytes::from(out)
    }

    /// Appends the binary form to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        put_u8(out, MESSAGE_VERSION);
        let kind_at = out.len();
        put_u8(out, 0);
        put_u64(out, self.term.0);
        out[kind_at] = encode_body(&self.body, out);
    }

    /// Reads a whole message. Commands and chunks share the frame's memory.
    pub fn decode(frame: Bytes) -> Result<Message, DecodeError> {
        if frame.len() > MAX_FRAME {
            return Err(DecodeError::TooLong);
        }
        let mut r = Reader::new(frame);
        let version = r.u8()?;
        if version != MESSAGE_VERSION {
            return Err(DecodeError::Version(version));
        }
        let kind = r.u8()?;
        let term = Term(r.u64()?);
        let body = decode_body(kind, term, &mut r)?;
        r.end()?;
        Ok(Message { term, body })
    }
}

fn encode_body(body: &Body, out: &mut Vec<u8>) -> u8 {
    match body {
        Body::PreVote { last } => {
            last.encode(out);
            1
        }
        Body::PreVoteReply { granted } => {
            put_u8(out, u8::from(*granted));
            2
        }
        Body::Vote { last, transfer } => {
            last.encode(out);
            put_u8(out, u8::from(*transfer));
            3
        }
        Body::VoteReply { granted } => {
            put_u8(out, u8::from(*granted));
            4
        }
        Body::Append { prev, commit, entries } => {
            prev.encode(out);
            put_u64(out, commit.0);
            put_u32(out, entries.len() as u32);
            entries.iter().for_each(|e| e.encode(out));
            5
        }
        Body::AppendOk { upto } => {
            put_u64(out, upto.0);
            6
        }
        Body::AppendConflict { prev, hint } => {
            put_u64(out, prev.0);
            hint.encode(out);
            7
        }
        Body::Heartbeat { round, commit } => {
            put_u64(out, round.0);
            put_u64(out, commit.0);
            8
        }
        Body::HeartbeatReply { round } => {
            put_u64(out, round.0);
            9
        }
        Body::Commit { upto } => {
            put_u64(out, upto.0);
            10
        }
        Body::Snapshot { meta, total, offset, chunk } => {
            meta.encode(out);
            put_u64(out, *total);
            put_u64(out, *offset);
            put_bytes(out, chunk);
            11
        }
        Body::SnapshotReply { index, received } => {
            put_u64(out, index.0);
            put_u64(out, *received);
            12
        }
        Body::TimeoutNow => 13,
    }
}

fn decode_body(kind: u8, term: Term, r: &mut Reader) -> Result<Body, DecodeError> {
    Ok(match kind {
        1 => Body::PreVote { last: LogId::read(r)? },
        2 => Body::PreVoteReply { granted: r.bool()? },
        3 => Body::Vote { last: LogId::read(r)?, transfer: r.bool()? },
        4 => Body::VoteReply { granted: r.bool()? },
        5 => {
            let prev = LogId::read(r)?;
            let commit = Index(r.u64()?);
            let entries = r.entries()?;
            let follows = |(i, e): (usize, &Entry)| {
                prev.index.0.checked_add(i as u64 + 1) == Some(e.index.0) && e.term >= prev.term
            };
            let known = entries.last().map_or(prev.term, |last| last.term) <= term;
            if !known || !entries.iter().enumerate().all(follows) || !entries.is_sorted_by_key(|e| e.term) {
                return Err(DecodeError::Value("entries out of order"));
            }
            Body::Append { prev, commit, entries }
        }
        6 => Body::AppendOk { upto: Index(r.u64()?) },
        7 => Body::AppendConflict { prev: Index(r.u64()?), hint: LogId::read(r)? },
        8 => Body::Heartbeat { round: Round(r.u64()?), commit: Index(r.u64()?) },
        9 => Body::HeartbeatReply { round: Round(r.u64()?) },
        10 => Body::Commit { upto: Index(r.u64()?) },
        11 => {
            let meta = SnapshotMeta::read(r)?;
            let (total, offset, chunk) = (r.u64()?, r.u64()?, r.bytes()?);
            if offset.checked_add(chunk.len() as u64).is_none_or(|end| end > total) {
                return Err(DecodeError::Value("snapshot piece beyond its end"));
            }
            Body::Snapshot { meta, total, offset, chunk }
        }
        12 => Body::SnapshotReply { index: Index(r.u64()?), received: r.u64()? },
        13 => Body::TimeoutNow,
        other => return Err(DecodeError::Kind(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Payload;

    #[test]
    fn entries_of_a_later_term_than_their_message_are_refused() {
        let append = |term| {
            let entry = Entry { index: Index(8), term: Term(5), payload: Payload::Noop };
            let prev = LogId { index: Index(7), term: Term(4) };
            let body = Body::Append { prev, commit: Index(7), entries: alloc::vec![entry] };
            Message { term: Term(term), body }
        };
        assert_eq!(Message::decode(append(5).encode()), Ok(append(5)));
        assert_eq!(Message::decode(append(4).encode()), Err(DecodeError::Value("entries out of order")));
    }
}
