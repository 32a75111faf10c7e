//! Base64 with padding as Go's decoder reads it: line breaks are passed over, bits behind the last byte do
//! not count, and an error names the offset that Go names.

use alloc::vec::Vec;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use core::fmt;

const ENGINE: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Not base64: the offset that Go tells, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt(pub usize);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "illegal base64 data at input byte {}", self.0)
    }
}

/// The bytes that `text` stands for.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Corrupt> {
    match ENGINE.decode(text) {
        Ok(bytes) => Ok(bytes),
        // Line breaks or an error; either is seldom.
        Err(_) => {
            check(text)?;
            let bare: Vec<u8> = text.iter().copied().filter(|byte| !is_break(*byte)).collect();
            ENGINE.decode(bare).map_err(|_| Corrupt(text.len()))
        }
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Walks in groups of four, as Go does, to where it stops.
fn check(text: &[u8]) -> Result<(), Corrupt> {
    let mut at = 0;
    loop {
        let mut read = 0;
        while read < 4 {
            let Some(byte) = text.get(at) else {
                // Go goes back by what it has of the group, whatever breaks are in between.
                return if read == 0 { Ok(()) } else { Err(Corrupt(at - read)) };
            };
            at += 1;
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => read += 1,
                b'\r' | b'\n' => {}
                b'=' if read >= 2 => return check_end(text, at, read),
                _ => return Err(Corrupt(at - 1)),
            }
        }
    }
}

/// What follows the first `=`, which stands before `at` behind two or three characters of a group.
fn check_end(text: &[u8], mut at: usize, read: usize) -> Result<(), Corrupt> {
    let skip = |mut at: usize| {
        while text.get(at).copied().is_some_and(is_break) {
            at += 1;
        }
        at
    };
    if read == 2 {
        at = skip(at);
        match text.get(at) {
            None => return Err(Corrupt(text.len())),
            Some(b'=') => at += 1,
            Some(_) => return Err(Corrupt(at - 1)),
        }
    }
    at = skip(at);
    if at < text.len() { Err(Corrupt(at)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_offsets_are_those_of_go() {
        let good: &[(&str, &[u8])] = &[
            ("", b""),
            ("\n", b""),
            ("eA==", b"x"),
            ("eB==", b"x"),
            ("eA=\n=\r\n", b"x"),
            ("e\nHg=", b"xx"),
            ("eHh4", b"xxx"),
        ];
        for (text, bytes) in good {
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(*bytes), "{text:?}");
        }
        // Asked of Go 1.26.
        let bad = [
            ("a", 0),
            ("eHh4a", 4),
            ("eA", 0),
            ("eA=", 3),
            ("eA=x", 2),
            ("eA==x", 4),
            ("eA==\nx", 5),
            ("eHh=\n=", 5),
            ("=", 0),
            ("e=", 1),
            ("not base64!", 3),
            ("eHh4eA\n", 5),
            ("e\nA", 1),
            ("eHh\u{e9}", 3),
        ];
        for (text, offset) in bad {
            assert_eq!(decode(text.as_bytes()), Err(Corrupt(offset)), "{text:?}");
        }
    }
}
