//! Service instances, in the three shapes in which the catalog shows them.

use super::{locality, map_or_null, node, raft_index, str_unless_empty};
use crate::json::Writer;
use crate::types::{CheckServiceNode, Node, NodeService, Pairs, ServiceAddress, Weights};
use crate::wire::tree::Tree;

/// What a service without mesh settings shows of them.
const NO_PROXY: &[u8] = br#"{"Mode":"","MeshGateway":{},"Expose":{}}"#;

/// An instance on its own: `/v1/catalog/node`, the `Service` of `/v1/health/service`, transactions.
pub(in crate::front) fn instance(w: &mut Writer<'_>, service: &NodeService, tags_never_null: bool) {
    w.object(|w| {
        str_unless_empty(w, "Kind", &service.kind);
        w.field_str("ID", &service.id);
        w.field_str("Service", &service.service);
        match service.tags.is_empty() && !tags_never_null {
            true => w.field_null("Tags"),
            false => w.field_strs("Tags", service.tags.iter()),
        }
        w.field_str("Address", &service.address);
        tagged_addresses(w, "TaggedAddresses", &service.tagged_addresses);
        map_or_null(w, "Meta", &service.meta);
        if service.port != 0 {
            w.field_i64("Port", service.port);
        }
        str_unless_empty(w, "SocketPath", &service.socket_path);
        w.field("Weights", |w| weights(w, service.weights));
        w.field_bool("EnableTagOverride", service.enable_tag_override);
        if let Some(place) = &service.locality {
            w.field("Locality", |w| locality(w, place));
        }
        mesh(w, "Proxy", service.proxy.as_deref(), NO_PROXY);
        mesh(w, "Connect", service.connect.as_deref(), b"{}");
        w.field_str("PeerName", &service.peer_name);
        raft_index(w, service.create_index, service.modify_index);
    });
}

/// An instance with its node's fields beside it: `/v1/catalog/service`.
pub(in crate::front) fn with_node(w: &mut Writer<'_>, node: &Node, service: &NodeService) {
    w.object(|w| {
        w.field_str("ID", &node.id);
        w.field_str("Node", &node.node);
        w.field_str("Address", &node.address);
        w.field_str("Datacenter", &node.datacenter);
        map_or_null(w, "TaggedAddresses", &node.tagged_addresses);
        map_or_null(w, "NodeMeta", &node.meta);
        w.field_str("ServiceKind", &service.kind);
        w.field_str("ServiceID", &service.id);
        w.field_str("ServiceName", &service.service);
        w.field_strs("ServiceTags", service.tags.iter());
        w.field_str("ServiceAddress", &service.address);
        tagged_addresses(w, "ServiceTaggedAddresses", &service.tagged_addresses);
        w.field("ServiceWeights", |w| weights(w, service.weights));
        w.field_str_map("ServiceMeta", &service.meta);
        w.field_i64("ServicePort", service.port);
        w.field_str("ServiceSocketPath", &service.socket_path);
        w.field_bool("ServiceEnableTagOverride", service.enable_tag_override);
        mesh(w, "ServiceProxy", service.proxy.as_deref(), NO_PROXY);
        mesh(w, "ServiceConnect", service.connect.as_deref(), b"{}");
        w.field("ServiceLocality", |w| match &service.locality {
            Some(place) => locality(w, place),
            None => w.null(),
        });
        str_unless_empty(w, "PeerName", &service.peer_name);
        raft_index(w, service.create_index, service.modify_index);
    });
}

/// An instance with node and checks: an entry of `/v1/health/service`.
pub(in crate::front) fn entry(w: &mut Writer<'_>, entry: &CheckServiceNode) {
    w.object(|w| {
        w.field("Node", |w| node::node(w, &entry.node));
        w.field("Service", |w| instance(w, &entry.service, true));
        w.field("Checks", |w| {
            w.array(|w| entry.checks.iter().for_each(|c| super::check::check(w, c)));
        });
    });
}

/// Mesh settings that are carried unread, or what stands for none.
fn mesh(w: &mut Writer<'_>, name: &str, carried: Option<&Tree>, none: &[u8]) {
    match carried {
        Some(tree) => w.field(name, |w| tree.write_json(w)),
        None => w.field_raw(name, none),
    }
}

/// `{"Passing":1,"Warning":1}`.
pub(super) fn weights(w: &mut Writer<'_>, weights: Weights) {
    w.object(|w| {
        w.field_i64("Passing", weights.passing);
        w.field_i64("Warning", weights.warning);
    });
}

/// Left out when empty.
pub(super) fn tagged_addresses(w: &mut Writer<'_>, name: &str, map: &Pairs<ServiceAddress>) {
    if map.is_empty() {
        return;
    }
    w.field(name, |w| {
        w.object(|w| {
            for (tag, to) in map {
                w.field(tag, |w| {
                    w.object(|w| {
                        w.field_str("Address", &to.address);
                        w.field_i64("Port", to.port);
                    });
                });
            }
        });
    });
}
