//! Sessions.

use super::raft_index;
use crate::Str;
use crate::json::Writer;
use crate::types::Session;

fn strings_or_null(w: &mut Writer<'_>, name: &str, list: Option<&[Str]>) {
    match list {
        None => w.field_null(name),
        Some(list) => w.field(name, |w| w.strs(list)),
    }
}

/// A session. Lists that nobody gave are `null`.
pub(in crate::front) fn session(w: &mut Writer<'_>, s: &Session) {
    w.object(|w| {
        w.field_str("ID", &s.id);
        w.field_str("Name", &s.name);
        w.field_str("Node", &s.node);
        w.field("LockDelay", |w| w.i64(s.lock_delay));
        w.field_str("Behavior", &s.behavior);
        w.field_str("TTL", &s.ttl);
        strings_or_null(w, "NodeChecks", s.node_checks.as_deref());
        match &s.service_checks {
            None => w.field_null("ServiceChecks"),
            Some(checks) => w.field("ServiceChecks", |w| {
                w.array(|w| {
                    for check in checks {
                        w.object(|w| {
                            w.field_str("ID", &check.id);
                            w.field_str("Namespace", &check.namespace);
                        });
                    }
                });
            }),
        }
        if let Some(checks) = s.checks.as_deref().filter(|checks| !checks.is_empty()) {
            w.field("Checks", |w| w.strs(checks));
        }
        raft_index(w, s.create_index, s.modify_index);
    });
}
