//! LZW as Go's `compress/lzw` does it: least significant bit first, 8-bit literals.

use super::WireError;
use crate::wire::{msgpack, raw};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weezl::{BitOrder, LzwStatus, decode, encode};

/// The type byte.
pub(super) const COMPRESSED: u8 = 9;
/// The one algorithm.
const LZW: u8 = 0;
const LITERAL_BITS: u8 = 8;

#[derive(Serialize, Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Compressed {
    algo: u8,
    #[serde(with = "raw")]
    buf: Bytes,
}

/// The message, compressed, with its type byte. It may be longer than the input.
pub(super) fn fold(message: &[u8]) -> Vec<u8> {
    let mut buf = Vec::with_capacity(message.len());
    let done = encode::Encoder::new(BitOrder::Lsb, LITERAL_BITS).into_vec(&mut buf).encode_all(message);
    invariant!(done.status.is_ok(), "every byte is a literal");
    let mut out = Vec::with_capacity(buf.len() + 20);
    out.push(COMPRESSED);
    msgpack::append(&mut out, &Compressed { algo: LZW, buf: Bytes::from(buf) });
    out
}

/// Whether the body (what follows the type byte) is all there. A look at its few heads, however long.
pub(super) fn is_whole(body: &[u8]) -> Result<bool, WireError> {
    let Some((&head, mut rest)) = body.split_first() else { return Ok(false) };
    let 0x80..=0x8f = head else { return Err(WireError::Field("compressed data is not a small map")) };
    for _ in 0..2 * (head & 0x0f) {
        if let Some(0x80..=0x9f | 0xdc..=0xdf) = rest.first() {
            return Err(WireError::Field("compressed data holds neither numbers nor bytes"));
        }
        match msgpack::skip(rest) {
            Ok(after) => rest = after,
            Err(msgpack::Error::Truncated) => return Ok(false),
            Err(error) => return Err(WireError::Body(error)),
        }
    }
    Ok(true)
}

/// The message that the body (what follows the type byte) holds, if it is at most `limit` long.
pub(super) fn unfold(body: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
    let (folded, _): (Compressed, _) = msgpack::from_slice_prefix(body)?;
    if folded.algo != LZW {
        return Err(WireError::Algorithm(folded.algo));
    }
    let mut decoder = decode::Decoder::new(BitOrder::Lsb, LITERAL_BITS);
    let (mut rest, mut out, mut piece) = (&folded.buf[..], Vec::new(), [0_u8; 4096]);
    loop {
        let step = decoder.decode_bytes(rest, &mut piece);
        rest = &rest[step.consumed_in..];
        if out.len() + step.consumed_out > limit {
            return Err(WireError::TooLong);
        }
        out.extend_from_slice(&piece[..step.consumed_out]);
        match step.status {
            Ok(LzwStatus::Done) => return Ok(out),
            Ok(LzwStatus::Ok) => {}
            // Without its end marker the data was cut.
            Ok(LzwStatus::NoProgress) | Err(_) => return Err(WireError::Compression),
        }
    }
}
