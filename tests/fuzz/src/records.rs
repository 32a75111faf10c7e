//! What the agent keeps between two lives.

use crate::world::World;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Records: a key, a line feed and a value each, with a zero byte between them. Whatever they hold the agent
/// starts; what it cannot read is set aside once, and the next start finds nothing to complain of.
pub(crate) fn records(data: &[u8]) {
    let mut local = BTreeMap::new();
    for record in data.split(|b| *b == 0) {
        let Some(at) = record.iter().position(|b| *b == b'\n') else { continue };
        let Ok(key) = std::str::from_utf8(&record[..at]) else { continue };
        local.insert(key.to_owned(), Bytes::copy_from_slice(&record[at + 1..]));
    }
    let bytes: usize = local.values().map(Bytes::len).sum();
    let mut first = World::boot(local.clone());
    let kept = first.local.clone();
    for (key, value) in &local {
        let aside = kept.get(&format!("corrupt/{key}"));
        let used = kept.contains_key(key) || first.view().local.checks().count() > 0;
        assert!(aside == Some(value) || used || key.starts_with("check"), "{key} is lost");
    }
    assert!(kept.values().map(Bytes::len).sum::<usize>() <= 4096 + 8 * bytes, "records grew");
    let second = World::boot(kept.clone());
    assert_eq!(second.local, kept, "the second start differs");
}
