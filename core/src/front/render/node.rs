//! Catalog nodes.

use super::{locality, map_or_null, raft_index, str_unless_empty};
use crate::json::Writer;
use crate::types::Node;

/// A node, as `/v1/catalog/nodes` and `/v1/health/service` show it.
pub(in crate::front) fn node(w: &mut Writer<'_>, node: &Node) {
    w.object(|w| {
        w.field_str("ID", &node.id);
        w.field_str("Node", &node.node);
        w.field_str("Address", &node.address);
        w.field_str("Datacenter", &node.datacenter);
        str_unless_empty(w, "PeerName", &node.peer_name);
        map_or_null(w, "TaggedAddresses", &node.tagged_addresses);
        map_or_null(w, "Meta", &node.meta);
        if let Some(place) = &node.locality {
            w.field("Locality", |w| locality(w, place));
        }
        raft_index(w, node.create_index, node.modify_index);
    });
}
