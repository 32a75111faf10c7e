//! JSON for users, field by field in Consul's order, written by hand into one buffer.

pub(super) mod agent;
pub(super) mod check;
pub(super) mod kv;
pub(super) mod node;
pub(super) mod query;
pub(super) mod service;
pub(super) mod session;

use crate::json::Writer;
use crate::types::{Locality, Pairs};

/// A string map as Go writes one that may be nil: empty is `null`.
pub(super) fn map_or_null(w: &mut Writer<'_>, name: &str, map: &Pairs) {
    match map.is_empty() {
        true => w.field_null(name),
        false => w.field_str_map(name, map),
    }
}

/// A string that is left out when empty.
pub(super) fn str_unless_empty(w: &mut Writer<'_>, name: &str, text: &str) {
    if !text.is_empty() {
        w.field_str(name, text);
    }
}

/// `{"Region":..,"Zone":..}`, each left out when empty.
pub(super) fn locality(w: &mut Writer<'_>, locality: &Locality) {
    w.object(|w| {
        str_unless_empty(w, "Region", &locality.region);
        str_unless_empty(w, "Zone", &locality.zone);
    });
}

/// `CreateIndex` and `ModifyIndex`.
pub(super) fn raft_index(w: &mut Writer<'_>, create: u64, modify: u64) {
    w.field_u64("CreateIndex", create);
    w.field_u64("ModifyIndex", modify);
}
