//! A cluster's label: a prefix in clear that keeps clusters apart which share a network.

use super::WireError;
use crate::Str;
use alloc::vec::Vec;
use core::fmt;

const LABELLED: u8 = 244;

/// A label, or none. At most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(Str);

/// The label is longer than 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelError;

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a gossip label must not exceed 255 bytes")
    }
}

impl core::error::Error for LabelError {}

impl Default for Label {
    fn default() -> Label {
        Label("".into())
    }
}

impl Label {
    /// A label; empty for none.
    pub fn new(text: &str) -> Result<Label, LabelError> {
        if text.len() > 255 { Err(LabelError) } else { Ok(Label(text.into())) }
    }

    /// The text as bytes, which is what the encryption authenticates.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The bytes that it adds to a packet.
    pub fn overhead(&self) -> usize {
        if self.0.is_empty() { 0 } else { 2 + self.0.len() }
    }

    /// Starts a packet or stream.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            out.extend([LABELLED, self.0.len() as u8]);
            out.extend_from_slice(self.bytes());
        }
    }

    /// Takes the header off. `None`: more bytes are needed to tell. A label other than this one, one
    /// where none should be and none where one should be are refused alike.
    pub(super) fn strip<'a>(&self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, WireError> {
        match bytes {
            [] => Ok(None),
            [LABELLED] => Ok(None),
            [LABELLED, 0, ..] => Err(WireError::Label),
            [LABELLED, len, rest @ ..] => match rest.split_at_checked(usize::from(*len)) {
                None => Ok(None),
                Some((label, rest)) if label == self.bytes() => Ok(Some(rest)),
                Some(_) => Err(WireError::Label),
            },
            _ if self.0.is_empty() => Ok(Some(bytes)),
            _ => Err(WireError::Label),
        }
    }
}
