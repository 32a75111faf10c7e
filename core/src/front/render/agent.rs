//! Services and checks as the agent's own endpoints show them.

use super::service::{tagged_addresses, weights};
use super::{locality, raft_index, str_unless_empty};
use crate::json::Writer;
use crate::types::{HealthCheck, NodeService};

/// A local service; `hash` only where Consul shows it, in `/v1/agent/service/:id`.
pub(in crate::front) fn service(
    w: &mut Writer<'_>,
    service: &NodeService,
    datacenter: &str,
    hash: Option<&str>,
) {
    w.object(|w| {
        str_unless_empty(w, "Kind", &service.kind);
        w.field_str("ID", &service.id);
        w.field_str("Service", &service.service);
        w.field_strs("Tags", service.tags.iter());
        w.field_str_map("Meta", &service.meta);
        w.field_i64("Port", service.port);
        w.field_str("Address", &service.address);
        str_unless_empty(w, "SocketPath", &service.socket_path);
        tagged_addresses(w, "TaggedAddresses", &service.tagged_addresses);
        w.field("Weights", |w| weights(w, service.weights));
        w.field_bool("EnableTagOverride", service.enable_tag_override);
        if let Some(hash) = hash {
            w.field_str("ContentHash", hash);
        }
        str_unless_empty(w, "PeerName", &service.peer_name);
        w.field_str("Datacenter", datacenter);
        if let Some(place) = &service.locality {
            w.field("Locality", |w| locality(w, place));
        }
    });
}

/// Consul renders these checks through its client library, which shows an empty definition in full.
const EMPTY_DEFINITION: &[u8] = br#"{"Interval":"0s","Timeout":"0s","DeregisterCriticalServiceAfter":"0s","HTTP":"","Header":null,"Method":"","Body":"","TLSServerName":"","TLSSkipVerify":false,"TCP":"","TCPUseTLS":false,"UDP":"","GRPC":"","OSService":"","GRPCUseTLS":false}"#;

/// A check in `/v1/agent/health/service`: without type and timing, as Consul shows it there.
pub(in crate::front) fn health_check(w: &mut Writer<'_>, check: &HealthCheck) {
    w.object(|w| {
        w.field_str("Node", &check.node);
        w.field_str("CheckID", &check.check_id);
        w.field_str("Name", &check.name);
        w.field_str("Status", &check.status);
        w.field_str("Notes", &check.notes);
        w.field_str("Output", &check.output);
        w.field_str("ServiceID", &check.service_id);
        w.field_str("ServiceName", &check.service_name);
        match check.service_tags.is_empty() {
            true => w.field_null("ServiceTags"),
            false => w.field_strs("ServiceTags", check.service_tags.iter()),
        }
        w.field_str("Type", "");
        w.field_i64("ExposedPort", check.exposed_port);
        w.field_raw("Definition", EMPTY_DEFINITION);
        raft_index(w, check.create_index, check.modify_index);
    });
}
