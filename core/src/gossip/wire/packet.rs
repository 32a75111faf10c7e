//! A whole datagram: what wraps it, and what is inside.

use super::compound::{self, COMPOUND};
use super::compress::{self, COMPRESSED};
use super::keyring::SEAL_OVERHEAD;
use super::{
    COMPOUND_HEAD, Keyring, Label, MAX_DEPTH, MAX_MESSAGES, MAX_PACKET, MAX_UNFOLDED, Message, WireError,
};
use crate::rng::Rng;
use alloc::borrow::Cow;
use alloc::vec::Vec;

const CHECKSUMMED: u8 = 12;
const CHECKSUM_HEAD: usize = 5;

/// How this cluster wraps what it sends.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Keeps clusters apart.
    pub label: Label,
    /// Encrypts, unless it is empty.
    pub keyring: Keyring,
    /// With keys: refuse what comes in clear. Off only while encryption is being introduced.
    pub verify_incoming: bool,
    /// With keys: encrypt what is sent. Off only while encryption is being introduced.
    pub verify_outgoing: bool,
    /// Compress what gets shorter by it.
    pub compression: bool,
}

impl Default for Envelope {
    fn default() -> Envelope {
        Envelope {
            label: Label::default(),
            keyring: Keyring::default(),
            verify_incoming: true,
            verify_outgoing: true,
            compression: true,
        }
    }
}

/// What a datagram held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The messages that could be read, in order.
    pub messages: Vec<Message>,
    /// Why the first of the others could not.
    pub refused: Option<WireError>,
}

impl Envelope {
    /// Whether what is sent is sealed.
    pub(super) fn seals(&self) -> bool {
        !self.keyring.is_empty() && self.verify_outgoing
    }

    /// The bytes of messages that fit into a datagram of `size` bytes, when `used` are spent.
    pub fn room(&self, size: usize, used: usize) -> usize {
        let sealed = if self.seals() { SEAL_OVERHEAD } else { 0 };
        size.saturating_sub(used + COMPOUND_HEAD + self.label.overhead() + sealed)
    }

    /// Wraps a message or compound. `checksum`: the destination is known to read it.
    pub fn seal(&self, message: &[u8], checksum: bool, rng: &mut Rng) -> Vec<u8> {
        let mut inner = Cow::Borrowed(message);
        if self.compression {
            let folded = compress::fold(message);
            if folded.len() < message.len() {
                inner = Cow::Owned(folded);
            }
        }
        if checksum {
            let mut summed = Vec::with_capacity(CHECKSUM_HEAD + inner.len());
            summed.push(CHECKSUMMED);
            summed.extend(crc32fast::hash(&inner).to_be_bytes());
            summed.extend_from_slice(&inner);
            inner = Cow::Owned(summed);
        }
        let mut out = Vec::with_capacity(inner.len() + SEAL_OVERHEAD + self.label.overhead());
        self.label.append_to(&mut out);
        if self.seals() {
            self.keyring.seal(&inner, self.label.bytes(), rng, &mut out);
        } else {
            out.extend_from_slice(&inner);
        }
        out
    }

    /// Unwraps a datagram. An error means that nothing of it can be used.
    pub fn open(&self, packet: &[u8]) -> Result<Opened, WireError> {
        if packet.len() > MAX_PACKET {
            return Err(WireError::TooLong);
        }
        let body = self.label.strip(packet)?.ok_or(WireError::Truncated)?;
        let mut body = Cow::Borrowed(body);
        if !self.keyring.is_empty() {
            match self.keyring.open(&body, self.label.bytes()) {
                Ok(plain) => body = Cow::Owned(plain),
                Err(error) if self.verify_incoming => return Err(error),
                Err(_) => {}
            }
        }
        let inner = checked(&body)?;
        let mut unfolding = Unfolding { opened: Opened::default(), left: MAX_UNFOLDED };
        unfolding.take_in(inner, 0);
        Ok(unfolding.opened)
    }
}

/// Takes a checksum off, if there is one.
fn checked(bytes: &[u8]) -> Result<&[u8], WireError> {
    let [CHECKSUMMED, a, b, c, d, inner @ ..] = bytes else { return Ok(bytes) };
    if crc32fast::hash(inner) == u32::from_be_bytes([*a, *b, *c, *d]) {
        Ok(inner)
    } else {
        Err(WireError::Checksum)
    }
}

/// The messages found so far, and how many bytes compression may still yield.
struct Unfolding {
    opened: Opened,
    left: usize,
}

impl Unfolding {
    fn refuse(&mut self, error: WireError) {
        self.opened.refused.get_or_insert(error);
    }

    fn take_in(&mut self, bytes: &[u8], depth: usize) {
        if depth > MAX_DEPTH {
            return self.refuse(WireError::TooDeep);
        }
        match bytes.split_first() {
            Some((&COMPOUND, body)) => match compound::split(body) {
                Ok((parts, cut)) => {
                    parts.into_iter().for_each(|part| self.take_in(part, depth + 1));
                    if cut {
                        self.refuse(WireError::Truncated);
                    }
                }
                Err(error) => self.refuse(error),
            },
            Some((&COMPRESSED, body)) => match compress::unfold(body, self.left) {
                Ok(inner) => {
                    self.left -= inner.len();
                    self.take_in(&inner, depth + 1);
                }
                Err(error) => {
                    // Work that was done in vain counts as well.
                    self.left = if error == WireError::TooLong { 0 } else { self.left };
                    self.refuse(error);
                }
            },
            _ if self.opened.messages.len() == MAX_MESSAGES => self.refuse(WireError::TooLong),
            _ => match Message::decode(bytes) {
                Ok(message) => self.opened.messages.push(message),
                Err(error) => self.refuse(error),
            },
        }
    }
}
