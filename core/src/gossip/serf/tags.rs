//! Tags: a small map that a member shows, carried as SWIM's metadata.
//!
//! `ff`, then a map of texts. Anything else is the role alone, as members of old wrote it.

use super::super::wire::MAX_META;
use crate::Str;
use crate::wire::msgpack;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

const MAGIC: u8 = 0xff;

/// The tags exceed 512 bytes, encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagsTooLong;

impl core::fmt::Display for TagsTooLong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Encoded length of tags exceeds limit of 512 bytes")
    }
}

impl core::error::Error for TagsTooLong {}

/// The metadata that carries these tags.
pub fn encode_tags(tags: &BTreeMap<Str, Str>) -> Result<Vec<u8>, TagsTooLong> {
    let mut out = alloc::vec![MAGIC];
    msgpack::append(&mut out, tags);
    if out.len() > MAX_META { Err(TagsTooLong) } else { Ok(out) }
}

/// The tags that this metadata carries. Damaged metadata carries none.
pub fn decode_tags(meta: &[u8]) -> BTreeMap<Str, Str> {
    match meta.split_first() {
        Some((&MAGIC, map)) => msgpack::from_slice_prefix(map).map(|(tags, _)| tags).unwrap_or_default(),
        _ => {
            let role: Str = String::from_utf8_lossy(meta).as_ref().into();
            BTreeMap::from([("role".into(), role)])
        }
    }
}
