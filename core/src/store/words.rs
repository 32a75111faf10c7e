//! Strings that records have in common, kept once.
//!
//! A decoded record owns every one of its strings. Before it is stored, those that the store holds already
//! are replaced by what it holds: the statuses, the names of the record's node and service, and whatever is
//! the same in a record of the same kind, for instances of one service have the same tags, metadata and
//! checks. With small records most of the memory is otherwise spent on them. Nobody can tell from outside.

use crate::types::{HealthCheck, Node, NodeService, Tags, status};
use crate::{Str, word};

/// Makes `s` the same allocation as `held` if they are equal.
pub(super) fn same(held: &Str, s: &mut Str) {
    if *held == *s {
        *s = held.clone();
    }
}

fn same_each<const N: usize>(strings: [(&Str, &mut Str); N]) {
    for (held, s) in strings {
        same(held, s);
    }
}

fn same_tags(held: &Tags, tags: &mut Tags) {
    if *held == *tags {
        *tags = held.clone();
    } else if let Some(tags) = tags.get_mut() {
        for tag in tags {
            if let Some(held) = held.iter().find(|held| *held == tag) {
                *tag = held.clone();
            }
        }
    }
}

/// Shares with `like`, another node.
pub(super) fn share_node(n: &mut Node, like: &Node) {
    same_each([(&like.datacenter, &mut n.datacenter), (&like.peer_name, &mut n.peer_name)]);
    n.tagged_addresses.share_with(&like.tagged_addresses, same);
    n.meta.share_with(&like.meta, same);
}

/// Shares with `like`, another instance of the same service.
pub(super) fn share_service(s: &mut NodeService, like: Option<&NodeService>) {
    if let Some(like) = like {
        same_each([
            (&like.kind, &mut s.kind),
            (&like.service, &mut s.service),
            (&like.address, &mut s.address),
            (&like.socket_path, &mut s.socket_path),
            (&like.peer_name, &mut s.peer_name),
        ]);
        same_tags(&like.tags, &mut s.tags);
        s.tagged_addresses.share_with(&like.tagged_addresses, |_, _| ());
        s.meta.share_with(&like.meta, same);
    }
    same(&s.service, &mut s.id);
}

/// Shares with the check's node and service, and with `like`, a check of the same name.
pub(super) fn share_check(
    c: &mut HealthCheck,
    node: &Node,
    service: Option<&NodeService>,
    like: Option<&HealthCheck>,
) {
    same(&node.node, &mut c.node);
    if let Some(service) = service {
        same_each([(&service.id, &mut c.service_id), (&service.service, &mut c.service_name)]);
        same_tags(&service.tags, &mut c.service_tags);
    }
    if let Some(like) = like {
        same_each([
            (&like.check_id, &mut c.check_id),
            (&like.name, &mut c.name),
            (&like.notes, &mut c.notes),
            (&like.output, &mut c.output),
            (&like.kind, &mut c.kind),
            (&like.interval, &mut c.interval),
            (&like.timeout, &mut c.timeout),
            (&like.peer_name, &mut c.peer_name),
        ]);
        if c.definition == like.definition {
            c.definition.clone_from(&like.definition);
        }
    }
    for known in [word!(status::PASSING), word!(status::WARNING), word!(status::CRITICAL)] {
        same(&known, &mut c.status);
    }
}
