//! The messages of events. Field numbers: those of Consul's `subscribe.proto`.

use crate::types::{CheckDefinitionRecord, CheckServiceNode, HealthCheck, Locality, Node, NodeService};
use crate::wire::Tree;
use crate::wire::protobuf::Message;
use alloc::vec::Vec;

/// An instance is there, as it is now.
pub(super) fn register(index: u64, entry: &CheckServiceNode) -> Vec<u8> {
    event(index, |m| {
        m.message(10, |m| {
            m.message(2, |m| {
                m.message(1, |m| node(m, &entry.node));
                m.message(2, |m| service(m, &entry.service));
                for one in &entry.checks {
                    m.message(3, |m| check(m, one));
                }
            });
        });
    })
}

/// An instance is gone: only what names it.
pub(super) fn deregister(index: u64, entry: &CheckServiceNode) -> Vec<u8> {
    event(index, |m| {
        m.message(10, |m| {
            m.uint(1, 1);
            m.message(2, |m| {
                m.message(1, |m| m.text(2, &entry.node.node));
                m.message(2, |m| {
                    m.text(2, &entry.service.id);
                    m.text(3, &entry.service.service);
                });
            });
        });
    })
}

pub(super) fn end_of_snapshot(index: u64) -> Vec<u8> {
    event(index, |m| m.bool(2, true))
}

pub(super) fn new_snapshot_to_follow() -> Vec<u8> {
    event(0, |m| m.bool(3, true))
}

/// Events that belong together; one alone needs no batch.
pub(super) fn batch(index: u64, mut events: Vec<Vec<u8>>) -> Vec<u8> {
    if events.len() == 1 {
        return events.pop().unwrap_or_default();
    }
    event(index, |m| {
        m.message(4, |m| {
            for one in &events {
                m.bytes(1, one);
            }
        });
    })
}

fn event(index: u64, payload: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut m = Message::default();
    m.uint(1, index);
    payload(&mut m);
    m.into_bytes()
}

fn raft_index(m: &mut Message, field: u32, create: u64, modify: u64) {
    m.message(field, |m| {
        m.uint(1, create);
        m.uint(2, modify);
    });
}

fn locality(m: &mut Message, field: u32, place: Option<&Locality>) {
    if let Some(place) = place {
        m.message(field, |m| {
            m.text(1, &place.region);
            m.text(2, &place.zone);
        });
    }
}

fn node(m: &mut Message, node: &Node) {
    m.text(1, &node.id);
    m.text(2, &node.node);
    m.text(3, &node.address);
    m.text(4, &node.datacenter);
    m.map(5, node.tagged_addresses.iter().map(|(k, v)| (&**k, v)), |m, v| m.text(2, v));
    m.map(6, node.meta.iter().map(|(k, v)| (&**k, v)), |m, v| m.text(2, v));
    raft_index(m, 7, node.create_index, node.modify_index);
    m.text(9, &node.peer_name);
    locality(m, 10, node.locality.as_deref());
}

fn service(m: &mut Message, service: &NodeService) {
    m.text(1, &service.kind);
    m.text(2, &service.id);
    m.text(3, &service.service);
    for tag in service.tags.iter() {
        m.item(4, tag);
    }
    m.text(5, &service.address);
    m.map(6, service.meta.iter().map(|(k, v)| (&**k, v)), |m, v| m.text(2, v));
    m.int(7, service.port);
    m.message(8, |m| {
        m.int(1, service.weights.passing);
        m.int(2, service.weights.warning);
    });
    m.bool(9, service.enable_tag_override);
    if let Some(proxy) = &service.proxy {
        let text = |name| proxy.get(name).and_then(|value| value.as_str()).unwrap_or("");
        m.message(11, |m| {
            m.text(1, text("DestinationServiceName"));
            m.text(2, text("DestinationServiceID"));
        });
    }
    let native = |tree: &Tree| tree.get("Native").and_then(Tree::as_bool);
    if service.connect.as_deref().and_then(native) == Some(true) {
        m.message(12, |m| m.bool(1, true));
    }
    m.bool(13, service.locally_registered_as_sidecar);
    raft_index(m, 14, service.create_index, service.modify_index);
    m.map(15, service.tagged_addresses.iter().map(|(k, v)| (&**k, v)), |m, v| {
        m.message(2, |m| {
            m.text(1, &v.address);
            m.int(2, v.port);
        });
    });
    m.text(17, &service.socket_path);
    m.text(18, &service.peer_name);
    locality(m, 19, service.locality.as_deref());
}

fn check(m: &mut Message, check: &HealthCheck) {
    m.text(1, &check.node);
    m.text(2, &check.check_id);
    m.text(3, &check.name);
    m.text(4, &check.status);
    m.text(5, &check.notes);
    m.text(6, &check.output);
    m.text(7, &check.service_id);
    m.text(8, &check.service_name);
    for tag in check.service_tags.iter() {
        m.item(9, tag);
    }
    m.message(10, |m| definition(m, check.definition()));
    raft_index(m, 11, check.create_index, check.modify_index);
    m.text(12, &check.kind);
    m.int(14, check.exposed_port);
    m.text(15, &check.interval);
    m.text(16, &check.timeout);
    m.text(17, &check.peer_name);
}

fn definition(m: &mut Message, definition: &CheckDefinitionRecord) {
    m.text(1, &definition.http);
    m.bool(2, definition.tls_skip_verify);
    m.map(3, definition.header.iter().map(|(k, v)| (&**k, v)), |m, values| {
        m.message(2, |m| {
            for value in values {
                m.item(1, value);
            }
        });
    });
    m.text(4, &definition.method);
    m.text(5, &definition.tcp);
    for (field, nanos) in [
        (6, definition.interval),
        (7, definition.timeout),
        (8, definition.deregister_critical_service_after),
        (17, definition.ttl),
    ] {
        if nanos != 0 {
            m.duration(field, nanos);
        }
    }
    m.uint(9, u64::from(u32::try_from(definition.output_max_size).unwrap_or(u32::MAX)));
    for arg in &definition.script_args {
        m.item(10, arg);
    }
    m.text(11, &definition.docker_container_id);
    m.text(12, &definition.shell);
    m.text(13, &definition.grpc);
    m.bool(14, definition.grpc_use_tls);
    m.text(15, &definition.alias_node);
    m.text(16, &definition.alias_service);
    m.text(18, &definition.body);
    m.text(19, &definition.tls_server_name);
    m.text(20, &definition.h2ping);
    m.bool(21, definition.h2ping_use_tls);
    m.bool(22, definition.disable_redirects);
    m.text(23, &definition.udp);
    m.text(24, &definition.os_service);
    m.bool(25, definition.tcp_use_tls);
    m.text(26, &definition.session_name);
}
