//! The keys of service and check definitions in files.

use super::Kind::{self, Any, Bool, Object, ObjectList, ObjectMap, Text, TextList, TextMap};
use super::{INT, Key, aliased, later, switch, used};

pub(in crate::config) static SERVICE: &[Key] = &[
    used("kind", Text),
    used("id", Text),
    used("name", Text),
    used("tags", TextList),
    used("address", Text),
    used("tagged_addresses", ObjectMap(SERVICE_ADDRESS)),
    used("meta", TextMap),
    used("port", INT),
    used("socket_path", Text),
    used("check", Object(CHECK)),
    used("checks", ObjectList(CHECK)),
    used("token", Text),
    used("weights", Object(WEIGHTS)),
    used("enable_tag_override", Bool),
    used("locality", Object(LOCALITY)),
    used("proxy", Object(PROXY)),
    used("connect", Object(SERVICE_CONNECT)),
];

static SERVICE_ADDRESS: &[Key] = &[used("address", Text), used("port", INT)];

static WEIGHTS: &[Key] = &[used("passing", INT), used("warning", INT)];

static LOCALITY: &[Key] = &[used("region", Text), used("zone", Text)];

static PROXY: &[Key] = &[
    later("destination_service_name", Text),
    later("destination_service_id", Text),
    later("local_service_address", Text),
    later("local_service_port", INT),
    later("local_service_socket_path", Text),
    later("mode", Text),
    used("transparent_proxy", Object(TRANSPARENT_PROXY)),
    later("config", Any),
    later("upstreams", ObjectList(UPSTREAM)),
    used("mesh_gateway", Object(MESH_GATEWAY)),
    used("expose", Object(EXPOSE)),
];

static TRANSPARENT_PROXY: &[Key] = &[later("outbound_listener_port", INT), switch("dialed_directly", false)];

static MESH_GATEWAY: &[Key] = &[later("mode", Text)];

static UPSTREAM: &[Key] = &[
    used("destination_type", Text),
    used("destination_namespace", Text),
    used("destination_partition", Text),
    used("destination_peer", Text),
    used("destination_name", Text),
    used("datacenter", Text),
    used("local_bind_address", Text),
    used("local_bind_port", INT),
    used("local_bind_socket_path", Text),
    used("local_bind_socket_mode", Text),
    used("config", Any),
    used("mesh_gateway", Object(MESH_GATEWAY)),
];

static EXPOSE: &[Key] = &[switch("checks", false), later("paths", ObjectList(EXPOSE_PATH))];

static EXPOSE_PATH: &[Key] =
    &[used("path", Text), used("local_path_port", INT), used("listener_port", INT), used("protocol", Text)];

static SERVICE_CONNECT: &[Key] = &[switch("native", false), later("sidecar_service", Object(SIDECAR))];

/// A sidecar is a service without a sidecar of its own.
static SIDECAR: &[Key] = &[
    used("kind", Text),
    used("id", Text),
    used("name", Text),
    used("tags", TextList),
    used("address", Text),
    used("tagged_addresses", ObjectMap(SERVICE_ADDRESS)),
    used("meta", TextMap),
    used("port", INT),
    used("socket_path", Text),
    used("check", Object(CHECK)),
    used("checks", ObjectList(CHECK)),
    used("token", Text),
    used("weights", Object(WEIGHTS)),
    used("enable_tag_override", Bool),
    used("locality", Object(LOCALITY)),
    used("proxy", Object(PROXY)),
];

pub(in crate::config) static CHECK: &[Key] = &[
    used("id", Text),
    used("name", Text),
    used("notes", Text),
    aliased("service_id", "serviceid", Text),
    used("token", Text),
    used("status", Text),
    aliased("args", "scriptargs", TextList),
    used("http", Text),
    used("header", Kind::TextListMap),
    used("method", Text),
    used("body", Text),
    used("disable_redirects", Bool),
    used("output_max_size", INT),
    used("tcp", Text),
    used("tcp_use_tls", Bool),
    used("udp", Text),
    used("interval", Text),
    aliased("docker_container_id", "dockercontainerid", Text),
    used("shell", Text),
    used("grpc", Text),
    used("grpc_use_tls", Bool),
    used("tls_server_name", Text),
    aliased("tls_skip_verify", "tlsskipverify", Bool),
    used("alias_node", Text),
    used("alias_service", Text),
    used("timeout", Text),
    used("ttl", Text),
    used("success_before_passing", INT),
    used("failures_before_warning", INT),
    used("failures_before_critical", INT),
    aliased("deregister_critical_service_after", "deregistercriticalserviceafter", Text),
    used("h2ping", Text),
    used("h2ping_use_tls", Bool),
    used("os_service", Text),
];
