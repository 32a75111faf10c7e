//! The tar file inside an archive (POSIX ustar): three members, in any order, no other. Error texts are Go's.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What headers and bodies are padded to.
pub(super) const BLOCK: usize = 512;
/// Enough to pad anything.
pub(super) const PADDING: [u8; BLOCK] = [0; BLOCK];
/// The largest `meta.json`, which names every server.
const MAX_META: usize = 1 << 20;
/// The largest `SHA256SUMS`.
const MAX_SUMS: usize = 64 << 10;

/// The files that an archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    Meta,
    State,
    Sums,
}

impl Member {
    pub(super) fn name(self) -> &'static str {
        match self {
            Member::Meta => "meta.json",
            Member::State => "state.bin",
            Member::Sums => "SHA256SUMS",
        }
    }

    /// What Consul was doing when this one broke off.
    fn doing(self) -> &'static str {
        match self {
            Member::Meta => "failed to read snapshot metadata",
            Member::State => "failed to read or write snapshot data",
            Member::Sums => "failed to read snapshot hashes",
        }
    }
}

/// How much padding follows a body.
pub(super) fn padding(len: usize) -> usize {
    len.wrapping_neg() % BLOCK
}

/// The header of a member.
pub(super) fn header(member: Member, len: usize, time: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, member.name());
    // The mode: for its owner only; then nobody's user and group.
    put(100, "0000600");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{len:011o}"));
    put(136, &format!("{time:011o}"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    put(329, "0000000");
    put(337, "0000000");
    let sum = sum(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn sum(block: &[u8; BLOCK]) -> u64 {
    block.iter().map(|byte| u64::from(*byte)).sum()
}

/// Takes a tar file in pieces and keeps its members.
pub(super) struct Reader {
    max_state: usize,
    at: At,
    members: BTreeMap<Member, Vec<u8>>,
}

enum At {
    /// So much of a header has come; `ends`: behind a block of zeroes.
    Header { block: Vec<u8>, ends: bool },
    /// So much of the body is missing.
    Body { member: Member, left: usize },
    /// So much of what fills a body's last block is missing.
    Padding { left: usize },
    /// The end has been seen, and so much behind it.
    Over { surplus: usize },
}

impl Reader {
    pub(super) fn new(max_state: usize) -> Reader {
        Reader { max_state, at: At::Header { block: Vec::new(), ends: false }, members: BTreeMap::new() }
    }

    /// Takes the next piece.
    pub(super) fn take(&mut self, mut piece: &[u8]) -> Result<(), String> {
        while !piece.is_empty() {
            let room = match &self.at {
                At::Header { block, .. } => BLOCK - block.len(),
                At::Body { left, .. } | At::Padding { left } => *left,
                At::Over { .. } => piece.len(),
            };
            let (now, later) = piece.split_at(room.min(piece.len()));
            piece = later;
            self.take_some(now)?;
        }
        Ok(())
    }

    /// Takes no more than belongs to where it is.
    fn take_some(&mut self, piece: &[u8]) -> Result<(), String> {
        match &mut self.at {
            At::Header { block, ends } => {
                block.extend_from_slice(piece);
                let ends = *ends;
                if let Ok(block) = <[u8; BLOCK]>::try_from(&**block) {
                    self.at = match (block == PADDING, ends) {
                        (true, true) => At::Over { surplus: 0 },
                        (true, false) => At::Header { block: Vec::new(), ends: true },
                        (false, true) => return Err(failed(INVALID)),
                        (false, false) => {
                            let (member, len) = self.member(&block)?;
                            At::Body { member, left: len }.or_behind(len)
                        }
                    };
                }
            }
            At::Body { member, left } => {
                let (member, rest) = (*member, *left - piece.len());
                *left = rest;
                let body = self.members.entry(member).or_default();
                body.extend_from_slice(piece);
                if rest == 0 {
                    self.at = At::Body { member, left: 0 }.or_behind(body.len());
                }
            }
            At::Padding { left } => {
                *left -= piece.len();
                if *left == 0 {
                    self.at = At::Header { block: Vec::new(), ends: false };
                }
            }
            At::Over { surplus } => *surplus += piece.len(),
        }
        Ok(())
    }

    /// Which member a header announces, and its length.
    fn member(&mut self, block: &[u8; BLOCK]) -> Result<(Member, usize), String> {
        let mut unsummed = *block;
        unsummed[148..156].fill(b' ');
        let (Some(said), Some(len)) = (octal(&block[148..156]), octal(&block[124..136])) else {
            return Err(failed(INVALID));
        };
        if said != sum(&unsummed) {
            return Err(failed(INVALID));
        }
        let named = text(&block[..100]);
        let known = [Member::Meta, Member::State, Member::Sums];
        let member = known.into_iter().find(|member| member.name().as_bytes() == named);
        let regular = matches!(block[156], b'0' | 0) && block[345] == 0;
        let Some(member) = member.filter(|_| regular) else {
            return Err(format!("unexpected file {:?} in snapshot", String::from_utf8_lossy(named)));
        };
        let max = match member {
            Member::Meta => MAX_META,
            Member::State => self.max_state,
            Member::Sums => MAX_SUMS,
        };
        let len = usize::try_from(len).ok().filter(|len| *len <= max);
        let Some(len) = len else {
            let name = member.name();
            return Err(format!(
                "file {name:?} in snapshot is larger than {max} bytes, the most that is taken"
            ));
        };
        if self.members.insert(member, Vec::new()).is_some() {
            return Err(format!("file {:?} is in snapshot twice", member.name()));
        }
        Ok((member, len))
    }

    /// Whether the end has been seen.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.at, At::Over { .. })
    }

    /// Whether it may end here: Go does not insist on the blocks of zeroes.
    pub(super) fn may_end(&self) -> bool {
        match &self.at {
            At::Header { block, .. } => block.is_empty(),
            At::Over { .. } => true,
            At::Body { .. } | At::Padding { .. } => false,
        }
    }

    /// Bytes behind the end.
    pub(super) fn surplus(&self) -> usize {
        match self.at {
            At::Over { surplus } => surplus,
            _ => 0,
        }
    }

    /// The text for a stream that broke off here because of `why`.
    pub(super) fn broken_off(&self, why: &str) -> String {
        match &self.at {
            At::Body { member, .. } => format!("{}: {why}", member.doing()),
            At::Header { .. } | At::Padding { .. } | At::Over { .. } => failed(why),
        }
    }

    pub(super) fn remove(&mut self, member: Member) -> Option<Vec<u8>> {
        self.members.remove(&member)
    }
}

impl At {
    /// What follows a body of `len` bytes when nothing of it is missing.
    fn or_behind(self, len: usize) -> At {
        match self {
            At::Body { left: 0, .. } if padding(len) == 0 => At::Header { block: Vec::new(), ends: false },
            At::Body { left: 0, .. } => At::Padding { left: padding(len) },
            other => other,
        }
    }
}

const INVALID: &str = "archive/tar: invalid tar header";

fn failed(why: &str) -> String {
    format!("failed reading snapshot: {why}")
}

/// What is before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number as headers have it: octal digits, blanks around them.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = core::str::from_utf8(text(field)).ok()?.trim_matches(' ');
    if digits.is_empty() {
        return Some(0);
    }
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| u64::from_str_radix(digits, 8).ok())?
}
