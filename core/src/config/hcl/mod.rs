//! HCL 1, HashiCorp's configuration language, to the same tree that JSON becomes.
//!
//! [`parse`] follows the grammar, [`decode`] its reading into plain maps: every block is a list of maps, so
//! that `a {..} a {..}` is a list of two and a block alone is a list of one, which [`super::source`] undoes
//! where one object is wanted. A key given again is added to a list and replaces a text; anything else
//! must be of the type it had. A text that begins with a brace is JSON.
//!
//! Bounds of our own: [`MAX_DEPTH`] levels, [`json::MAX_BYTES`] bytes, and no more values than the text has bytes,
//! for a label may make many of one.

mod decode;
mod parse;
mod scan;
#[cfg(test)]
mod tests;

use crate::json;
use crate::strconv;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scan::Token;
use serde_json::Value;

/// The deepest nesting accepted.
const MAX_DEPTH: usize = 128;

/// Why a text is not HCL, or cannot be decoded, in HashiCorp's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error(String);

/// Reads a document; the outermost value is an object.
pub(super) fn read(text: &str) -> Result<Value, String> {
    if text.len() > json::MAX_BYTES {
        return Err(format!("the text is longer than {} bytes", json::MAX_BYTES));
    }
    if text.trim_start().starts_with('{') {
        let parsed = json::parse(text.as_bytes()).map_err(|why| why.to_string())?;
        return super::source::to_value(parsed);
    }
    let text = text.replace("\r\n", "\n");
    parse::parse(&text).and_then(|items| decode::document(&items, text.len())).map_err(|Error(why)| why)
}

/// The value of a text in double quotes; `${ .. }` stands as written.
fn string_value(token: &Token<'_>) -> Result<String, Error> {
    let bytes = unquote(token.text);
    let invalid = || Error(format!("At {}: invalid string literal", token.place));
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok_or_else(invalid)
}

fn unquote(text: &str) -> Option<Vec<u8>> {
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = Vec::with_capacity(rest.len());
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("${") {
            let end = interpolation(rest)?;
            out.extend_from_slice(&rest.as_bytes()[..end]);
            rest = &rest[end..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' | '"' => return None,
            '\\' => rest = strconv::escape(&mut out, rest, Some(char::REPLACEMENT_CHARACTER))?,
            c => strconv::push(&mut out, c),
        }
    }
    Some(out)
}

/// How many bytes `${ .. }` takes, braces in it balanced.
fn interpolation(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
