//! Placeholder codec (JSON text) with the final interface; the msgpack codec replaces it.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Why bytes could not be read.
pub type Error = serde_json::Error;

/// Appends `value` to `out`.
pub fn append<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    out.extend_from_slice(&to_vec(value));
}

/// Encodes `value`.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types always encode")
}

/// Decodes exactly one value.
pub fn from_slice<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
}
