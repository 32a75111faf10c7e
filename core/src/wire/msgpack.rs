//! The msgpack dialect that Consul speaks: gossip, RPC, raft entries, snapshots.
//!
//! It is HashiCorp's old codec: structs are maps keyed by field name, text and bytes are both written as
//! raw (fixstr, `da`, `db`; never bin or str8), nil stands for anything absent, integers have any width.
//! Readers take str8 and bin too, skip unknown keys, take an array for a struct by position, and read nil
//! into any type as its zero value. Enums of our own are a name, or a map of one name to the content.
//!
//! Reading trusts nothing: lengths are checked against the bytes that are left before anything is
//! allocated, nesting has a limit, and no input panics. Memory stays within a constant factor of the input
//! that depends on `T`, so the caller limits the size of what it hands over.

mod read;
mod scan;
#[cfg(test)]
mod tests;
mod write;

pub use scan::Scan;

use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The deepest nesting of arrays and maps accepted.
pub const MAX_DEPTH: usize = 128;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes end inside a value, or a length says more than there is.
    Truncated,
    /// Bytes are left after the value.
    Trailing,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A type byte that this dialect does not have (extensions, `c1`).
    Marker(u8),
    /// A value that does not fit the type it is read into.
    Mismatch(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated => f.write_str("msgpack: ends inside a value"),
            Error::Trailing => f.write_str("msgpack: bytes left after the value"),
            Error::TooDeep => f.write_str("msgpack: nested too deep"),
            Error::Marker(byte) => write!(f, "msgpack: unknown type byte {byte:#04x}"),
            Error::Mismatch(text) => write!(f, "msgpack: {text}"),
        }
    }
}

impl core::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Error::Mismatch(text.to_string())
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Error::Mismatch(text.to_string())
    }
}

/// Appends `value` to `out`.
///
/// # Panics
/// If a type of ours cannot be said in msgpack (128-bit integers); no value can cause that.
pub fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let done = value.serialize(write::Encoder { out, sparse: None });
    invariant!(done.is_ok(), "{done:?}");
}

/// Appends `value` without what says nothing: fields that are zero, false, nil or the empty string, if both their
/// struct and they themselves are among those that may be left out. These must be read with `serde(default)`, and
/// nothing else may be their default.
///
/// # Panics
/// As [`append`].
pub fn append_sparse<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
    structs: fn(&'static str) -> bool,
    fields: fn(&'static str) -> bool,
) {
    let done = value.serialize(write::Encoder { out, sparse: Some(write::Sparse { structs, fields }) });
    invariant!(done.is_ok(), "{done:?}");
}

/// Encodes `value`. Panics as [`append`] does.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out, value);
    out
}

/// Decodes exactly one value.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    match from_slice_prefix(bytes)? {
        (value, []) => Ok(value),
        _ => Err(Error::Trailing),
    }
}

/// Decodes the value at the start of `bytes`, and gives the bytes after it.
pub fn from_slice_prefix<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<(T, &'de [u8]), Error> {
    let mut decoder = read::Decoder::new(bytes);
    let value = T::deserialize(&mut decoder)?;
    Ok((value, decoder.rest()))
}

/// The bytes after the value at the start of `bytes`, which is not interpreted.
pub fn skip(bytes: &[u8]) -> Result<&[u8], Error> {
    let mut decoder = read::Decoder::new(bytes);
    decoder.skip_value()?;
    Ok(decoder.rest())
}
