//! Whom a question is for: members named, or members with tags that match.

use super::message::{Raw, decode};
use crate::Str;
use crate::wire::msgpack;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use regex::bytes::RegexBuilder;
use serde::{Deserialize, Serialize};

const NODES: u8 = 0;
const TAG: u8 = 1;
/// The largest compiled pattern; a peer's pattern must not eat our memory.
const MAX_PATTERN: usize = 256 << 10;
/// The most filters of one question: one for names and one for each tag, of which serf's members have few. Each may take
/// half a millisecond to compile.
const MAX_FILTERS: usize = 16;

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct TagFilter {
    expr: Str,
    tag: Str,
}

fn filter<T: Serialize>(kind: u8, body: &T) -> Raw {
    let mut out = alloc::vec![kind];
    msgpack::append(&mut out, body);
    Raw(Bytes::from(out))
}

/// The filters for these names, if any, and these tags.
pub(super) fn encode_filters(nodes: &[Str], tags: &BTreeMap<Str, Str>) -> Vec<Raw> {
    let mut filters = Vec::new();
    if !nodes.is_empty() {
        filters.push(filter(NODES, &nodes));
    }
    filters.extend(
        tags.iter().map(|(tag, expr)| filter(TAG, &TagFilter { expr: expr.clone(), tag: tag.clone() })),
    );
    filters
}

/// Whether there are more filters than anybody means.
pub(super) fn are_too_many(filters: &[Raw]) -> bool {
    filters.len() > MAX_FILTERS
}

/// Whether all filters let a member of this name and these tags through. What cannot be read does not.
pub(super) fn passes(filters: &[Raw], name: &str, tags: &BTreeMap<Str, Str>) -> bool {
    filters.iter().all(|Raw(bytes)| match bytes.split_first() {
        Some((&NODES, body)) => {
            decode::<Vec<Str>>(body).is_ok_and(|nodes| nodes.iter().any(|node| &**node == name))
        }
        Some((&TAG, body)) => decode::<TagFilter>(body).is_ok_and(|filter| {
            let value = tags.get(&filter.tag).map_or("", |value| value);
            // As Go's patterns, which know of no Unicode classes unless asked.
            RegexBuilder::new(&filter.expr)
                .unicode(false)
                .size_limit(MAX_PATTERN)
                .build()
                .is_ok_and(|pattern| pattern.is_match(value.as_bytes()))
        }),
        _ => false,
    })
}
