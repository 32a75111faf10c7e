//! Calls and answers on one stream: Go's `net/rpc` over msgpack.
//!
//! A call is two values, `{ServiceMethod, Seq}` and the arguments; an answer is two, `{Error, Seq,
//! ServiceMethod}` and the result, an empty map if there is an error. One call is under way on a
//! stream at a time.

use crate::wire::msgpack::{self, Scan};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The largest call or answer taken. The largest that agents send is a transaction of 128 keys of
/// 512 KiB each.
pub const MAX_MESSAGE: usize = 96 * 1024 * 1024;

/// The head of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CallHead {
    /// The caller's number for it, given back in the answer.
    pub seq: u64,
    /// For example `Catalog.Register`.
    pub service_method: String,
}

/// The head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AnswerHead {
    /// Empty if it went well; else Consul's text, which callers look into.
    pub error: String,
    /// The number of the call.
    pub seq: u64,
    /// The method called.
    pub service_method: String,
}

/// Why what came is neither a call nor an answer. Close the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// More than the limit, in bytes.
    TooLarge(usize),
    /// Not msgpack, or not with this shape.
    Malformed(msgpack::Error),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::TooLarge(limit) => write!(f, "rpc: a message of more than {limit} bytes"),
            MessageError::Malformed(why) => write!(f, "rpc: {why}"),
        }
    }
}

impl core::error::Error for MessageError {}

/// A call's bytes.
pub fn call<T: Serialize + ?Sized>(seq: u64, method: &str, arguments: &T) -> Bytes {
    let mut out = Vec::with_capacity(128);
    msgpack::append(&mut out, &CallHead { seq, service_method: method.into() });
    msgpack::append(&mut out, arguments);
    out.into()
}

/// An answer's bytes.
pub fn answer<T: Serialize + ?Sized>(to: &CallHead, result: &T) -> Bytes {
    let mut out = Vec::with_capacity(256);
    let head = AnswerHead { error: String::new(), seq: to.seq, service_method: to.service_method.clone() };
    msgpack::append(&mut out, &head);
    msgpack::append(&mut out, result);
    out.into()
}

/// An answer's bytes, of a result that is encoded already; in two pieces, the first of which may hold all.
pub fn answer_encoded(to: &CallHead, result: Bytes) -> [Bytes; 2] {
    /// Up to here copying is cheaper than a frame more.
    const COPIED: usize = 16 * 1024;
    let mut out = Vec::with_capacity(128);
    let head = AnswerHead { error: String::new(), seq: to.seq, service_method: to.service_method.clone() };
    msgpack::append(&mut out, &head);
    if result.len() > COPIED {
        return [out.into(), result];
    }
    out.extend_from_slice(&result);
    [out.into(), Bytes::new()]
}

/// The bytes of an answer that says why there is none.
pub fn failure(to: &CallHead, error: &str) -> Bytes {
    let mut out = Vec::with_capacity(128);
    let head = AnswerHead { error: error.into(), seq: to.seq, service_method: to.service_method.clone() };
    msgpack::append(&mut out, &head);
    out.push(0x80);
    out.into()
}

/// Puts a stream's messages together again. Memory: what has come of one message, at most the limit and
/// what was handed in last.
#[derive(Debug)]
pub struct Reader {
    bytes: BytesMut,
    scan: Scan,
    limit: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new(MAX_MESSAGE)
    }
}

impl Reader {
    /// A reader that refuses messages of more than `limit` bytes.
    pub fn new(limit: usize) -> Reader {
        Reader { bytes: BytesMut::new(), scan: Scan::new(2), limit }
    }

    /// Takes in what came on the stream. Drain [`Reader::next_message`] before handing in more.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that are kept.
    pub fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing of a message has come: the stream may end here.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next message that is here whole: its head, and the bytes of its body.
    ///
    /// # Errors
    /// See [`MessageError`]; the reader is of no use afterwards.
    pub fn next_message<H: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<(H, Bytes)>, MessageError> {
        let end = self.scan.end(&self.bytes).map_err(MessageError::Malformed)?;
        if end.unwrap_or(self.bytes.len()) > self.limit {
            return Err(MessageError::TooLarge(self.limit));
        }
        let Some(end) = end else { return Ok(None) };
        let whole = self.bytes.split_to(end).freeze();
        self.scan = Scan::new(2);
        let (head, body) = msgpack::from_slice_prefix(&whole).map_err(MessageError::Malformed)?;
        Ok(Some((head, whole.slice_ref(body))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Tree;
    use alloc::collections::BTreeMap;
    use std::vec;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    #[test]
    fn a_call_and_its_answer_are_the_bytes_that_consul_sends() {
        // As Consul's agents send it.
        let empty: BTreeMap<(), ()> = BTreeMap::new();
        let sent = hex("82 a3536571 01 ad536572766963654d6574686f64 ab5374617475732e50696e67 80");
        assert_eq!(call(1, "Status.Ping", &empty), sent);
        let head = CallHead { seq: 1, service_method: "Status.Ping".into() };
        let answered =
            hex("83 a54572726f72 a0 a3536571 01 ad536572766963654d6574686f64 ab5374617475732e50696e67 80");
        assert_eq!(answer(&head, &empty), answered);
    }

    #[test]
    fn messages_are_put_together_however_they_are_cut() {
        let mut sent = Vec::new();
        for seq in 0..3 {
            sent.extend_from_slice(&call(seq, "Status.Leader", &Tree::Array(vec![Tree::UInt(seq); 40])));
        }
        for size in [1, 2, 7, 50, 1000] {
            let mut reader = Reader::default();
            let mut seqs = Vec::new();
            for part in sent.chunks(size) {
                reader.receive(part);
                while let Some((head, body)) = reader.next_message::<CallHead>().unwrap() {
                    assert_eq!(body.len(), 43);
                    seqs.push(head.seq);
                }
            }
            assert_eq!(seqs, [0, 1, 2]);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_here() {
        let mut reader = Reader::new(1000);
        reader.receive(&call(1, "KVS.Apply", &Tree::Nil));
        assert!(reader.next_message::<CallHead>().unwrap().is_some());
        reader.receive(&call(2, "KVS.Apply", &Tree::Raw(vec![0; 2000]))[..1500]);
        assert_eq!(reader.next_message::<CallHead>(), Err(MessageError::TooLarge(1000)));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for bad in ["c1", "80 c1", "81 a3536571 a161 80", "07 80"] {
            let mut reader = Reader::default();
            reader.receive(&hex(bad));
            let got = reader.next_message::<CallHead>();
            assert!(matches!(got, Err(MessageError::Malformed(_))), "{bad}: {got:?}");
        }
    }
}
