//! Several messages in one: `7`, a count, their lengths as `u16`, then the messages.

use super::WireError;
use alloc::vec::Vec;

/// The type byte.
pub(super) const COMPOUND: u8 = 7;
/// Bytes that a compound adds: type and count.
pub const COMPOUND_HEAD: usize = 2;
/// Bytes that each part adds.
pub const COMPOUND_PART: usize = 2;
/// The count is one byte.
const MAX_PARTS: usize = 255;

/// Joins messages. Each result holds up to 255 of them; a single message stands for itself.
///
/// # Panics
/// If a message of ours is longer than 65535 bytes: the queues limit them far below.
pub fn compound<T: AsRef<[u8]>>(messages: &[T]) -> Vec<Vec<u8>> {
    messages
        .chunks(MAX_PARTS)
        .map(|parts| {
            if let [single] = parts {
                return single.as_ref().to_vec();
            }
            let bodies: usize = parts.iter().map(|part| part.as_ref().len()).sum();
            let mut out = Vec::with_capacity(COMPOUND_HEAD + parts.len() * COMPOUND_PART + bodies);
            out.extend([COMPOUND, parts.len() as u8]);
            for part in parts {
                let length = part.as_ref().len();
                invariant!(length <= usize::from(u16::MAX), "a message of {length} bytes");
                out.extend((length as u16).to_be_bytes());
            }
            parts.iter().for_each(|part| out.extend_from_slice(part.as_ref()));
            out
        })
        .collect()
}

/// Splits what follows the type byte. The second value says whether parts were cut off: those that
/// are whole count all the same.
pub(super) fn split(body: &[u8]) -> Result<(Vec<&[u8]>, bool), WireError> {
    let (&count, rest) = body.split_first().ok_or(WireError::Truncated)?;
    let (lengths, mut rest) =
        rest.split_at_checked(usize::from(count) * COMPOUND_PART).ok_or(WireError::Truncated)?;
    let mut parts = Vec::with_capacity(count.into());
    for length in lengths.chunks_exact(COMPOUND_PART) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let Some((part, after)) = rest.split_at_checked(length) else { return Ok((parts, true)) };
        parts.push(part);
        rest = after;
    }
    Ok((parts, false))
}
