//! The one message that each side of a connection sends.
//!
//! Whoever dials writes the label first. A sealed message is `10`, its length, the sealed payload, of
//! which those five bytes and the label are authenticated too. Inside, or in clear without encryption,
//! is one message, compressed or not.

use super::compress::{self, COMPRESSED};
use super::message::{ACK, Ack, PING, Ping, USER};
use super::push_pull::{Header, PUSH_PULL};
use super::{Envelope, MAX_STREAM, PushPull, WireError};
use crate::rng::Rng;
use crate::wire::msgpack;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const SEALED: u8 = 10;
const ERROR: u8 = 13;
const SEALED_HEAD: usize = 5;
/// The longest header, ping or member in a table.
const SMALL: usize = 16 << 10;

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct UserHeader {
    user_msg_len: u32,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ErrorBody {
    error: String,
}

/// One message on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMessage {
    /// A ping where packets do not get through.
    Ping(Ping),
    /// Its answer.
    Ack(Ack),
    /// A message of the layer above.
    User(Bytes),
    /// A table, or the answer to one.
    PushPull(PushPull),
    /// Why the other side refused.
    Error(String),
}

impl StreamMessage {
    /// The type byte and the body, unwrapped.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            StreamMessage::Ping(ping) => {
                out.push(PING);
                msgpack::append(&mut out, ping);
            }
            StreamMessage::Ack(ack) => {
                out.push(ACK);
                msgpack::append(&mut out, ack);
            }
            StreamMessage::User(body) => {
                out.push(USER);
                let user_msg_len = u32::try_from(body.len()).unwrap_or(u32::MAX);
                msgpack::append(&mut out, &UserHeader { user_msg_len });
                out.extend_from_slice(body);
            }
            StreamMessage::PushPull(tables) => out = tables.encode(),
            StreamMessage::Error(error) => {
                out.push(ERROR);
                msgpack::append(&mut out, &ErrorBody { error: error.clone() });
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<StreamMessage, WireError> {
        let (&kind, body) = bytes.split_first().ok_or(WireError::Empty)?;
        Ok(match kind {
            PING => StreamMessage::Ping(msgpack::from_slice_prefix(body)?.0),
            ACK => StreamMessage::Ack(msgpack::from_slice_prefix(body)?.0),
            USER => {
                let (header, rest): (UserHeader, _) = msgpack::from_slice_prefix(body)?;
                let message = rest.get(..header.user_msg_len as usize).ok_or(WireError::Truncated)?;
                StreamMessage::User(Bytes::copy_from_slice(message))
            }
            PUSH_PULL => StreamMessage::PushPull(PushPull::decode(body)?),
            ERROR => StreamMessage::Error(msgpack::from_slice_prefix::<ErrorBody>(body)?.0.error),
            other => return Err(WireError::Type(other)),
        })
    }
}

impl Envelope {
    /// What goes onto a connection. `dialled`: this side opened it, and says the label first.
    pub fn seal_stream(&self, message: &StreamMessage, dialled: bool, rng: &mut Rng) -> Vec<u8> {
        let mut inner = message.encode();
        if self.compression {
            inner = compress::fold(&inner);
        }
        let mut out = Vec::with_capacity(inner.len() + 64);
        if dialled {
            self.label.append_to(&mut out);
        }
        if self.seals() {
            let length = inner.len() + super::keyring::SEAL_OVERHEAD;
            let mut head = Vec::with_capacity(SEALED_HEAD + self.label.overhead());
            head.push(SEALED);
            head.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(&head);
            head.extend_from_slice(self.label.bytes());
            self.keyring.seal(&inner, &head, rng, &mut out);
        } else {
            out.extend_from_slice(&inner);
        }
        out
    }
}

/// Gathers a connection's bytes until its message is whole.
#[derive(Debug)]
pub struct StreamReader {
    buffer: Vec<u8>,
    /// Whether a label may still come: only from whoever dialled.
    label_due: bool,
    /// How far an exchange of tables in clear was found whole: bytes passed, and members to come.
    passed: Option<(usize, usize, usize)>,
}

impl StreamReader {
    /// Reads what comes in. `accepted`: the other side opened the connection, and says the label first.
    pub fn new(accepted: bool) -> StreamReader {
        StreamReader { buffer: Vec::new(), label_due: accepted, passed: None }
    }

    /// Takes in bytes, and gives the message once it is whole.
    pub fn push(&mut self, bytes: &[u8], envelope: &Envelope) -> Result<Option<StreamMessage>, WireError> {
        if self.buffer.len() + bytes.len() > MAX_STREAM + 512 {
            return Err(WireError::TooLong);
        }
        self.buffer.extend_from_slice(bytes);
        if self.label_due {
            let Some(rest) = envelope.label.strip(&self.buffer)? else { return Ok(None) };
            let header = self.buffer.len() - rest.len();
            self.buffer.drain(..header);
            self.label_due = false;
        }
        match self.buffer.first() {
            None => Ok(None),
            Some(&SEALED) => self.sealed(envelope),
            Some(_) if !envelope.keyring.is_empty() && envelope.verify_incoming => Err(WireError::Plaintext),
            Some(_) => self.clear(),
        }
    }

    fn sealed(&self, envelope: &Envelope) -> Result<Option<StreamMessage>, WireError> {
        if envelope.keyring.is_empty() {
            return Err(WireError::Encrypted);
        }
        let Some((head, rest)) = self.buffer.split_first_chunk::<SEALED_HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > MAX_STREAM {
            return Err(WireError::TooLong);
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let mut aad = head.to_vec();
        aad.extend_from_slice(envelope.label.bytes());
        unfolded(&envelope.keyring.open(payload, &aad)?).map(Some)
    }

    fn clear(&mut self) -> Result<Option<StreamMessage>, WireError> {
        if self.is_whole()? { unfolded(&self.buffer).map(Some) } else { Ok(None) }
    }

    /// Whether the message is all there. However its bytes are cut, none is looked at often.
    fn is_whole(&mut self) -> Result<bool, WireError> {
        let Some((&kind, body)) = self.buffer.split_first() else { return Ok(false) };
        match kind {
            PING | ACK | ERROR => Ok(small(body, msgpack::skip(body).map_err(WireError::from))?.is_some()),
            COMPRESSED => compress::is_whole(body),
            USER => {
                let head = &body[..body.len().min(SMALL)];
                let read = msgpack::from_slice_prefix::<UserHeader>(head).map_err(WireError::from);
                let Some((header, rest)) = small(body, read)? else { return Ok(false) };
                Ok(body.len() - (head.len() - rest.len()) >= header.user_msg_len as usize)
            }
            PUSH_PULL => {
                let (mut at, mut nodes, state) = match self.passed {
                    Some(passed) => passed,
                    None => {
                        let head = &body[..body.len().min(SMALL)];
                        let Some((header, rest)) = small(body, Header::read(head))? else { return Ok(false) };
                        (head.len() - rest.len(), header.nodes(), header.user_state_len())
                    }
                };
                while nodes > 0 {
                    let left = &body[at..];
                    let Some(rest) = small(left, msgpack::skip(left).map_err(WireError::from))? else {
                        break;
                    };
                    at = body.len() - rest.len();
                    nodes -= 1;
                }
                self.passed = Some((at, nodes, state));
                Ok(nodes == 0 && body.len() - at >= state)
            }
            other => Err(WireError::Type(other)),
        }
    }
}

/// What was read off the start of `bytes`, or `None` while more may come. What is still not whole after
/// [`SMALL`] bytes never will be.
fn small<T>(bytes: &[u8], read: Result<T, WireError>) -> Result<Option<T>, WireError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(WireError::Truncated) if bytes.len() < SMALL => Ok(None),
        Err(WireError::Truncated) => Err(WireError::TooLong),
        Err(error) => Err(error),
    }
}

/// The message, unfolded if it is compressed.
fn unfolded(bytes: &[u8]) -> Result<StreamMessage, WireError> {
    match bytes.split_first() {
        None => Err(WireError::Empty),
        Some((&COMPRESSED, body)) => StreamMessage::decode(&compress::unfold(body, MAX_STREAM)?),
        Some(_) => StreamMessage::decode(bytes),
    }
}
