//! A node's metadata as TXT strings.

use alloc::vec::Vec;

/// A TXT record holds strings of at most this many bytes.
const MAX_STRING: usize = 255;
/// A key with this prefix is left out: the value alone is the text.
const VERBATIM: &str = "rfc1035-";

/// Appends the RDATA for one pair: `key=value` with the quoting of RFC 1464, in as many strings as
/// it takes.
pub(super) fn write(key: &str, value: &str, out: &mut Vec<u8>) {
    let mut writer = Strings { start: out.len(), out };
    writer.out.push(0);
    if !lowered_prefix(key) {
        // Blanks at either end of the key are quoted, those inside are not.
        let lead = key.len() - key.trim_start_matches(' ').len();
        let trail = key.trim_end_matches(' ').len();
        for (i, byte) in key.bytes().enumerate() {
            let quoted = match byte {
                b'`' | b'=' => true,
                b' ' => i < lead || i >= trail,
                _ => false,
            };
            if quoted {
                writer.push(b'`');
            }
            writer.push(byte);
        }
        writer.push(b'=');
        for byte in value.bytes() {
            if byte == b'`' {
                writer.push(b'`');
            }
            writer.push(byte);
        }
    } else {
        value.bytes().for_each(|byte| writer.push(byte));
    }
}

fn lowered_prefix(key: &str) -> bool {
    key.as_bytes().get(..VERBATIM.len()).is_some_and(|p| p.eq_ignore_ascii_case(VERBATIM.as_bytes()))
}

struct Strings<'o> {
    out: &'o mut Vec<u8>,
    /// Length byte of the string being written.
    start: usize,
}

impl Strings<'_> {
    fn push(&mut self, byte: u8) {
        if usize::from(self.out[self.start]) == MAX_STRING {
            self.start = self.out.len();
            self.out.push(0);
        }
        self.out[self.start] += 1;
        self.out.push(byte);
    }
}
