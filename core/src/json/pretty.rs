//! Indenting JSON as Go's `json.Indent` does: what `?pretty` and the CLI show.

use alloc::vec::Vec;

/// `json` (compact, as [`super::Writer`] makes it) with every element on its own line.
///
/// `{}` and `[]` stay as they are; no newline is added at the end. Consul's indent is four spaces.
pub fn pretty(json: &[u8], indent: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    pretty_into(&mut out, json, indent);
    out
}

/// As [`pretty`], appended to `out`.
pub fn pretty_into(out: &mut Vec<u8>, json: &[u8], indent: &str) {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    // An opening bracket whose content has not shown up yet.
    let mut opened = false;
    for &byte in json {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        }
        if opened && !matches!(byte, b'}' | b']') {
            opened = false;
            depth += 1;
            newline(out, depth, indent);
        }
        match byte {
            b'{' | b'[' => {
                opened = true;
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                newline(out, depth, indent);
            }
            b':' => out.extend_from_slice(b": "),
            b'}' | b']' => {
                if opened {
                    opened = false;
                } else {
                    depth = depth.saturating_sub(1);
                    newline(out, depth, indent);
                }
                out.push(byte);
            }
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
}

fn newline(out: &mut Vec<u8>, depth: usize, indent: &str) {
    out.push(b'\n');
    for _ in 0..depth {
        out.extend_from_slice(indent.as_bytes());
    }
}
