//! The binary form of entries, positions, snapshots' heads and disk batches.
//!
//! Numbers are little-endian and of fixed width, byte strings carry a `u32` length, ids a `u16`
//! length, options a 0 or 1 byte. Decoding checks every length against what is left before it
//! reserves memory, and never panics. `decode(encode(x)) == x`; the disk and the wire share it.

use super::effect::Batch;
use super::entry::{Entry, HardState, LogId, Membership, Payload, SnapshotMeta};
use crate::ids::{Index, ServerId, Term};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};

/// The longest message.
pub const MAX_FRAME: usize = 64 << 20;
/// The longest server id, in bytes.
pub const MAX_ID: usize = 255;
/// In a membership's number of voters: the ID of the cluster follows behind the learners.
const HAS_CLUSTER: u16 = 1 << 15;
/// What follows the term of a hard state.
const HAS_VOTE: u8 = 1;
const HAS_COMMIT: u8 = 2;
/// The most servers in one membership, voters and learners together.
pub const MAX_SERVERS: usize = 1024;

/// An entry's length without its payload: index, term, kind, length.
const ENTRY_HEAD: usize = 8 + 8 + 1 + 4;

/// Whether `id` can name a server.
pub(super) fn valid_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end too early.
    Truncated,
    /// They go on after the end.
    Trailing,
    /// They exceed a limit.
    TooLong,
    /// A newer (or no) version of the form.
    Version(u8),
    /// An unknown kind of message or payload.
    Kind(u8),
    /// A field's value is impossible.
    Value(&'static str),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("data ends too early"),
            DecodeError::Trailing => f.write_str("data goes on after its end"),
            DecodeError::TooLong => f.write_str("data exceeds its limit"),
            DecodeError::Version(v) => write!(f, "unknown version {v}"),
            DecodeError::Kind(k) => write!(f, "unknown kind {k}"),
            DecodeError::Value(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for DecodeError {}

pub(super) fn put_u8(out: &mut Vec<u8>, n: u8) {
    out.push(n);
}

pub(super) fn put_u32(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&n.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    invariant!(bytes.len() <= u32::MAX as usize, "a byte string of {} bytes", bytes.len());
    put_u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

fn put_id(out: &mut Vec<u8>, id: &str) {
    invariant!(valid_id(id), "server id {id:?}");
    out.extend_from_slice(&(id.len() as u16).to_le_bytes());
    out.extend_from_slice(id.as_bytes());
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    put_u8(out, u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// Takes values off the front of a buffer.
pub(super) struct Reader {
    buf: Bytes,
}

impl Reader {
    pub(super) fn new(buf: Bytes) -> Reader {
        Reader { buf }
    }

    fn need(&self, n: usize) -> Result<(), DecodeError> {
        if self.buf.remaining() < n { Err(DecodeError::Truncated) } else { Ok(()) }
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.need(1)?;
        Ok(self.buf.get_u8())
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.need(2)?;
        Ok(self.buf.get_u16_le())
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.need(4)?;
        Ok(self.buf.get_u32_le())
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.need(8)?;
        Ok(self.buf.get_u64_le())
    }

    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value("a truth value is neither 0 nor 1")),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let len = self.u32()? as usize;
        self.need(len)?;
        Ok(self.buf.split_to(len))
    }

    fn id(&mut self) -> Result<ServerId, DecodeError> {
        let len = usize::from(self.u16()?);
        self.need(len)?;
        let bytes = self.buf.split_to(len);
        let id = core::str::from_utf8(&bytes).map_err(|_| DecodeError::Value("a server id is not UTF-8"))?;
        if valid_id(id) { Ok(id.into()) } else { Err(DecodeError::Value("a server id is empty or too long")) }
    }

    fn ids(&mut self) -> Result<BTreeSet<ServerId>, DecodeError> {
        let count = self.u16()?;
        self.ids_of(count)
    }

    fn ids_of(&mut self, count: u16) -> Result<BTreeSet<ServerId>, DecodeError> {
        let count = usize::from(count);
        if count > MAX_SERVERS {
            return Err(DecodeError::TooLong);
        }
        (0..count).map(|_| self.id()).collect()
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// A `u32` count and as many entries.
    pub(super) fn entries(&mut self) -> Result<Vec<Entry>, DecodeError> {
        let count = self.u32()? as usize;
        self.need(count.saturating_mul(ENTRY_HEAD))?;
        (0..count).map(|_| Entry::read(self)).collect()
    }

    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.buf.has_remaining() { Err(DecodeError::Trailing) } else { Ok(()) }
    }
}

fn whole<T>(buf: Bytes, read: impl FnOnce(&mut Reader) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    let mut reader = Reader::new(buf);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl LogId {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.index.0);
        put_u64(out, self.term.0);
    }

    pub(super) fn read(r: &mut Reader) -> Result<LogId, DecodeError> {
        Ok(LogId { index: Index(r.u64()?), term: Term(r.u64()?) })
    }
}

impl Entry {
    /// Appends the binary form to `out`; [`Entry::encoded_len`] bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.index.0);
        put_u64(out, self.term.0);
        match &self.payload {
            Payload::Noop => {
                put_u8(out, 0);
                put_u32(out, 0);
            }
            Payload::Membership(membership) => {
                put_u8(out, 1);
                put_u32(out, membership.encoded_len() as u32);
                membership.encode(out);
            }
            Payload::Command(command) => {
                put_u8(out, 2);
                put_bytes(out, command);
            }
        }
    }

    /// Length of the binary form.
    pub fn encoded_len(&self) -> usize {
        ENTRY_HEAD
            + match &self.payload {
                Payload::Noop => 0,
                Payload::Membership(membership) => membership.encoded_len(),
                Payload::Command(command) => command.len(),
            }
    }

    /// Reads one entry that fills `buf`; a command shares its memory.
    pub fn decode(buf: Bytes) -> Result<Entry, DecodeError> {
        whole(buf, Entry::read)
    }

    fn read(r: &mut Reader) -> Result<Entry, DecodeError> {
        let index = Index(r.u64()?);
        let term = Term(r.u64()?);
        let kind = r.u8()?;
        let payload = r.bytes()?;
        let payload = match kind {
            0 if payload.is_empty() => Payload::Noop,
            0 => return Err(DecodeError::Value("an empty entry is not empty")),
            1 => Payload::Membership(whole(payload, Membership::read)?),
            2 => Payload::Command(payload),
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Entry { index, term, payload })
    }
}

impl Membership {
    fn encoded_len(&self) -> usize {
        let cluster = if self.cluster == 0 { 0 } else { 8 };
        4 + self.voters.iter().chain(&self.learners).map(|id| 2 + id.len()).sum::<usize>() + cluster
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mark = if self.cluster == 0 { 0 } else { HAS_CLUSTER };
        for (group, mark) in [(&self.voters, mark), (&self.learners, 0)] {
            out.extend_from_slice(&(group.len() as u16 | mark).to_le_bytes());
            group.iter().for_each(|id| put_id(out, id));
        }
        if self.cluster != 0 {
            put_u64(out, self.cluster);
        }
    }

    fn read(r: &mut Reader) -> Result<Membership, DecodeError> {
        let count = r.u16()?;
        let voters = r.ids_of(count & !HAS_CLUSTER)?;
        let learners = r.ids()?;
        let cluster = if count & HAS_CLUSTER == 0 { 0 } else { r.u64()? };
        if cluster == 0 && count & HAS_CLUSTER != 0 {
            return Err(DecodeError::Value("a cluster has no ID"));
        }
        let membership = Membership { voters, learners, cluster };
        if membership.voters.is_disjoint(&membership.learners) {
            Ok(membership)
        } else {
            Err(DecodeError::Value("a server is both voter and learner"))
        }
    }
}

impl HardState {
    /// Appends the binary form to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let commit = Some(self.commit).filter(|commit| *commit > Index(0));
        put_u64(out, self.term.0);
        put_u8(out, u8::from(self.voted_for.is_some()) | if commit.is_some() { HAS_COMMIT } else { 0 });
        if let Some(id) = &self.voted_for {
            put_id(out, id);
        }
        if let Some(commit) = commit {
            put_u64(out, commit.0);
        }
    }

    /// Reads a hard state that fills `buf`.
    pub fn decode(buf: Bytes) -> Result<HardState, DecodeError> {
        whole(buf, HardState::read)
    }

    fn read(r: &mut Reader) -> Result<HardState, DecodeError> {
        let term = Term(r.u64()?);
        let has = r.u8()?;
        if has & !(HAS_VOTE | HAS_COMMIT) != 0 {
            return Err(DecodeError::Value("what a hard state has"));
        }
        let voted_for = if has & HAS_VOTE != 0 { Some(r.id()?) } else { None };
        let commit = if has & HAS_COMMIT != 0 { Index(r.u64()?) } else { Index(0) };
        Ok(HardState { term, voted_for, commit })
    }
}

impl SnapshotMeta {
    /// Appends the binary form to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.id().encode(out);
        self.membership.encode(out);
    }

    /// Reads a snapshot's head that fills `buf`.
    pub fn decode(buf: Bytes) -> Result<SnapshotMeta, DecodeError> {
        whole(buf, SnapshotMeta::read)
    }

    pub(super) fn read(r: &mut Reader) -> Result<SnapshotMeta, DecodeError> {
        let id = LogId::read(r)?;
        Ok(SnapshotMeta { index: id.index, term: id.term, membership: Membership::read(r)? })
    }
}

impl Batch {
    /// Appends the binary form to `out`: for recordings, and for disks that keep whole batches.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_option(out, self.hard.as_ref(), |out, hard| hard.encode(out));
        put_option(out, self.truncate_from, |out, index| put_u64(out, index.0));
        put_u32(out, self.append.len() as u32);
        self.append.iter().for_each(|entry| entry.encode(out));
        put_option(out, self.snapshot.as_ref(), |out, (meta, data)| {
            meta.encode(out);
            put_u64(out, data.len() as u64);
            out.extend_from_slice(data);
        });
        put_option(out, self.compact_to, |out, index| put_u64(out, index.0));
    }

    /// Reads a batch that fills `buf`; commands and data share its memory.
    pub fn decode(buf: Bytes) -> Result<Batch, DecodeError> {
        whole(buf, |r| {
            Ok(Batch {
                hard: r.option(HardState::read)?,
                truncate_from: r.option(Reader::u64)?.map(Index),
                append: r.entries()?,
                snapshot: r.option(|r| {
                    let meta = SnapshotMeta::read(r)?;
                    let len = usize::try_from(r.u64()?).map_err(|_| DecodeError::TooLong)?;
                    r.need(len)?;
                    Ok((meta, r.buf.split_to(len)))
                })?,
                compact_to: r.option(Reader::u64)?.map(Index),
            })
        })
    }
}
