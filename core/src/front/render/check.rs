//! Health checks.

use super::{raft_index, str_unless_empty};
use crate::duration;
use crate::json::Writer;
use crate::types::{CheckDefinitionRecord, HealthCheck};

/// A check, as every list of checks shows it.
pub(in crate::front) fn check(w: &mut Writer<'_>, check: &HealthCheck) {
    with_tags(w, check, false);
}

/// A check in the results of a transaction, where no tags are `null`.
pub(in crate::front) fn result(w: &mut Writer<'_>, check: &HealthCheck) {
    with_tags(w, check, true);
}

fn with_tags(w: &mut Writer<'_>, check: &HealthCheck, none_is_null: bool) {
    w.object(|w| {
        w.field_str("Node", &check.node);
        w.field_str("CheckID", &check.check_id);
        w.field_str("Name", &check.name);
        w.field_str("Status", &check.status);
        w.field_str("Notes", &check.notes);
        w.field_str("Output", &check.output);
        w.field_str("ServiceID", &check.service_id);
        w.field_str("ServiceName", &check.service_name);
        match check.service_tags.is_empty() && none_is_null {
            true => w.field("ServiceTags", |w| w.null()),
            false => w.field_strs("ServiceTags", check.service_tags.iter()),
        }
        w.field_str("Type", &check.kind);
        w.field_str("Interval", &check.interval);
        w.field_str("Timeout", &check.timeout);
        w.field_i64("ExposedPort", check.exposed_port);
        str_unless_empty(w, "PeerName", &check.peer_name);
        w.field("Definition", |w| definition(w, check.definition()));
        raft_index(w, check.create_index, check.modify_index);
    });
}

/// What a catalog check says about how it is run; everything unset is left out.
fn definition(w: &mut Writer<'_>, d: &CheckDefinitionRecord) {
    w.object(|w| {
        nanos(w, "Interval", d.interval);
        if d.output_max_size != 0 {
            w.field_u64("OutputMaxSize", d.output_max_size);
        }
        nanos(w, "Timeout", d.timeout);
        nanos(w, "DeregisterCriticalServiceAfter", d.deregister_critical_service_after);
        str_unless_empty(w, "HTTP", &d.http);
        str_unless_empty(w, "TLSServerName", &d.tls_server_name);
        flag(w, "TLSSkipVerify", d.tls_skip_verify);
        if !d.header.is_empty() {
            w.field("Header", |w| {
                w.object(|w| d.header.iter().for_each(|(name, values)| w.field_strs(name, values)));
            });
        }
        str_unless_empty(w, "Method", &d.method);
        str_unless_empty(w, "Body", &d.body);
        flag(w, "DisableRedirects", d.disable_redirects);
        str_unless_empty(w, "TCP", &d.tcp);
        flag(w, "TCPUseTLS", d.tcp_use_tls);
        str_unless_empty(w, "UDP", &d.udp);
        str_unless_empty(w, "H2PING", &d.h2ping);
        str_unless_empty(w, "OSService", &d.os_service);
        flag(w, "H2PingUseTLS", d.h2ping_use_tls);
        if !d.script_args.is_empty() {
            w.field_strs("ScriptArgs", &d.script_args);
        }
        str_unless_empty(w, "DockerContainerID", &d.docker_container_id);
        str_unless_empty(w, "Shell", &d.shell);
        str_unless_empty(w, "GRPC", &d.grpc);
        flag(w, "GRPCUseTLS", d.grpc_use_tls);
        str_unless_empty(w, "AliasNode", &d.alias_node);
        str_unless_empty(w, "AliasService", &d.alias_service);
        str_unless_empty(w, "SessionName", &d.session_name);
        if d.ttl != 0 {
            // The one duration that Consul writes as a number.
            w.field_i64("TTL", d.ttl);
        }
    });
}

fn nanos(w: &mut Writer<'_>, name: &str, nanos: i64) {
    if nanos != 0 {
        w.field_str(name, &duration::format(nanos));
    }
}

fn flag(w: &mut Writer<'_>, name: &str, on: bool) {
    if on {
        w.field_bool(name, true);
    }
}
