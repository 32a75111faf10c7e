//! The exchange of whole tables over a stream.
//!
//! A header counts what follows: one map per member, then the state of the layer above as raw bytes.

use super::message::{Alive, check_member, check_name};
use super::{MAX_NODES, MAX_STREAM, WireError};
use crate::Str;
use crate::wire::{msgpack, raw};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(super) const PUSH_PULL: u8 = 6;

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Header {
    join: bool,
    nodes: u32,
    user_state_len: u32,
}

impl Header {
    pub(super) fn nodes(&self) -> usize {
        self.nodes as usize
    }

    pub(super) fn user_state_len(&self) -> usize {
        self.user_state_len as usize
    }

    /// Reads and checks the header at the start of `body`.
    pub(super) fn read(body: &[u8]) -> Result<(Header, &[u8]), WireError> {
        let (header, rest): (Header, _) = msgpack::from_slice_prefix(body)?;
        if header.nodes() > MAX_NODES || header.user_state_len() > MAX_STREAM {
            return Err(WireError::TooLong);
        }
        Ok((header, rest))
    }
}

/// What a table says of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum WireState {
    #[default]
    Alive,
    Suspect,
    Dead,
    Left,
}

impl WireState {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            WireState::Alive => 0,
            WireState::Suspect => 1,
            WireState::Dead => 2,
            WireState::Left => 3,
        }
    }
}

/// One member of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PushNode {
    /// Its raw address.
    #[serde(with = "raw")]
    pub addr: Bytes,
    /// Its life that is known.
    pub incarnation: u32,
    /// Its metadata.
    #[serde(with = "raw")]
    pub meta: Bytes,
    /// Its name.
    pub name: Str,
    /// Its port.
    pub port: u16,
    /// [`WireState`] as a number.
    pub state: u8,
    /// Its versions, or nothing.
    #[serde(with = "raw")]
    pub vsn: Bytes,
}

impl PushNode {
    /// What a rumour of its life would say.
    pub fn alive(&self) -> Alive {
        Alive {
            addr: self.addr.clone(),
            incarnation: self.incarnation,
            meta: self.meta.clone(),
            node: self.name.clone(),
            port: self.port,
            vsn: self.vsn.clone(),
        }
    }

    /// The state; anything unknown is none.
    pub fn state(&self) -> Option<WireState> {
        [WireState::Alive, WireState::Suspect, WireState::Dead, WireState::Left]
            .into_iter()
            .find(|state| state.number() == self.state)
    }
}

/// One side of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushPull {
    /// Whether the asker is joining, rather than keeping in step.
    pub join: bool,
    /// The sender's table.
    pub nodes: Vec<PushNode>,
    /// The state of the layer above.
    pub state: Bytes,
}

impl PushPull {
    /// The type byte, header, members and state.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 128 * self.nodes.len() + self.state.len());
        out.push(PUSH_PULL);
        let header = Header {
            join: self.join,
            nodes: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
            user_state_len: u32::try_from(self.state.len()).unwrap_or(u32::MAX),
        };
        msgpack::append(&mut out, &header);
        self.nodes.iter().for_each(|node| msgpack::append(&mut out, node));
        out.extend_from_slice(&self.state);
        out
    }

    /// Reads what follows the type byte.
    pub(super) fn decode(body: &[u8]) -> Result<PushPull, WireError> {
        let (header, mut rest) = Header::read(body)?;
        let mut nodes = Vec::with_capacity(header.nodes().min(rest.len() / 16));
        for _ in 0..header.nodes() {
            let (node, after): (PushNode, _) = msgpack::from_slice_prefix(rest)?;
            check_name(&node.name)?;
            check_member(&node.meta, &node.vsn)?;
            nodes.push(node);
            rest = after;
        }
        let state = rest.get(..header.user_state_len()).ok_or(WireError::Truncated)?;
        Ok(PushPull { join: header.join, nodes, state: Bytes::copy_from_slice(state) })
    }
}
