//! Keys.

use super::{raft_index, str_unless_empty};
use crate::json::Writer;
use crate::types::KvEntry;

/// A key with its value; an empty value is `null`.
pub(in crate::front) fn entry(w: &mut Writer<'_>, entry: &KvEntry) {
    w.object(|w| {
        w.field_u64("LockIndex", entry.lock_index);
        w.field_str("Key", &entry.key);
        w.field_u64("Flags", entry.flags);
        match entry.value.is_empty() {
            true => w.field_null("Value"),
            false => w.field_base64("Value", &entry.value),
        }
        str_unless_empty(w, "Session", &entry.session);
        raft_index(w, entry.create_index, entry.modify_index);
    });
}
