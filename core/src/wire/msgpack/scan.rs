//! Where a value ends, while its bytes are still coming.

use super::Error;

/// Looks for the end of a number of values in bytes that arrive in parts. No byte is looked at twice,
/// so that a peer who sends one byte at a time costs no more than one who does not.
///
/// Nesting is not limited here (nothing is kept for it); what reads the values does that.
#[derive(Clone, Debug)]
pub struct Scan {
    /// How far the bytes are understood: up to the start of a value's head.
    at: usize,
    /// Values that must still come, those inside open arrays and maps included.
    missing: u64,
}

impl Scan {
    /// Looks for the end of the next `values` values.
    pub fn new(values: u64) -> Scan {
        Scan { at: 0, missing: values }
    }

    /// Looks on in `bytes`, which begin with what was handed in before: the length of the values if they
    /// end here, `None` if more must come.
    ///
    /// # Errors
    /// [`Error::Marker`] for a byte that begins no value, [`Error::Truncated`] for a number of members
    /// that nobody can mean.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        while self.missing > 0 {
            let Some(rest) = bytes.get(self.at..) else { return Ok(None) };
            let Some((head, raw, members)) = head(rest)? else { return Ok(None) };
            let Some(end) = head.checked_add(raw).and_then(|len| self.at.checked_add(len)) else {
                return Err(Error::Truncated);
            };
            if end > bytes.len() {
                return Ok(None);
            }
            self.at = end;
            self.missing = self.missing.checked_add(members).ok_or(Error::Truncated)? - 1;
        }
        Ok(Some(self.at))
    }
}

/// The length of the head at the start of `bytes`, that of the raw bytes after it, and the number of
/// values inside; `None` if the head is not complete.
fn head(bytes: &[u8]) -> Result<Option<(usize, usize, u64)>, Error> {
    let Some((&marker, rest)) = bytes.split_first() else { return Ok(None) };
    let number = |width: usize| -> Option<u64> {
        Some(rest.get(..width)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    };
    let raw =
        |width: usize| number(width).map(|len| (1 + width, usize::try_from(len).unwrap_or(usize::MAX), 0));
    let members = |width: usize, each: u64| number(width).map(|len| (1 + width, 0, len * each));
    Ok(match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Some((1, 0, 0)),
        0x80..=0x8f => Some((1, 0, 2 * u64::from(marker & 0x0f))),
        0x90..=0x9f => Some((1, 0, u64::from(marker & 0x0f))),
        0xa0..=0xbf => Some((1, usize::from(marker & 0x1f), 0)),
        0xc4 | 0xd9 => raw(1),
        0xc5 | 0xda => raw(2),
        0xc6 | 0xdb => raw(4),
        0xcc | 0xd0 => Some((1, 1, 0)),
        0xcd | 0xd1 => Some((1, 2, 0)),
        0xca | 0xce | 0xd2 => Some((1, 4, 0)),
        0xcb | 0xcf | 0xd3 => Some((1, 8, 0)),
        0xdc => members(2, 1),
        0xdd => members(4, 1),
        0xde => members(2, 2),
        0xdf => members(4, 2),
        other => return Err(Error::Marker(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Tree, msgpack};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        /// The twin is the reader, which looks at everything at once.
        #[test]
        fn the_end_is_where_a_reader_stops_however_the_bytes_are_cut(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), 0x80_u8..0xa4, Just(0xda), Just(0), Just(0xdc)], 0..64),
            step in 1_usize..9,
        ) {
            let mut scan = Scan::new(1);
            let mut found = Ok(None);
            for to in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                found = scan.end(&bytes[..to]);
                if found != Ok(None) {
                    break;
                }
            }
            match (found, msgpack::skip(&bytes)) {
                (Ok(Some(end)), Ok(rest)) => prop_assert_eq!(end, bytes.len() - rest.len()),
                (Ok(None), Err(Error::Truncated)) => {}
                (Err(Error::Marker(a)), Err(Error::Marker(b))) => prop_assert_eq!(a, b),
                // A reader that runs out of bytes says so before it comes to a bad marker, and the
                // other way round: both refuse.
                (Err(_), Err(_)) => {}
                (scanned, read) => prop_assert!(false, "{scanned:?} but {read:?}"),
            }
        }
    }

    #[test]
    fn one_byte_at_a_time_looks_at_no_byte_twice() {
        let value = Tree::Array((0..1000).map(Tree::UInt).collect());
        let bytes = msgpack::to_vec(&value);
        let mut scan = Scan::new(1);
        let found: Vec<usize> = (0..=bytes.len()).filter_map(|to| scan.end(&bytes[..to]).unwrap()).collect();
        assert_eq!(found, [bytes.len()]);
    }
}
