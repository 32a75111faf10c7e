//! `/v1/catalog/register` and `deregister`: bodies, and the checks that Consul's endpoint makes before
//! anything is replicated.

use super::super::errors::HttpError;
use crate::Str;
use crate::command::{Deregister, Register};
use crate::json::{self, Error, Fields, Kind, Struct, Unknown, Value};
use crate::types::decode::{locality, service_address, weights};
use crate::types::{CheckDefinitionRecord, HealthCheck, NodeService, Weights};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

fn decode<T>(
    body: &[u8],
    shape: Struct,
    read: impl FnOnce(&mut Fields<'_>, &mut Vec<&'static str>) -> T,
) -> Result<T, HttpError> {
    let mut not_built = Vec::new();
    let value = json::parse_body(body).map_err(HttpError::Decode)?;
    let out = json::decode(&value, shape, Unknown::Refuse, |f| read(f, &mut not_built));
    let out = out.map_err(|error| match error {
        Error::UnknownField(name) if name == "Namespace" => HttpError::BadRequest(String::from(
            "Request decode failed: json: unknown field \"Namespace\" - Namespaces are a Consul Enterprise \
             feature",
        )),
        error => HttpError::Decode(error),
    })?;
    match not_built.first() {
        None => Ok(out),
        Some(part) => {
            Err(HttpError::BadRequest(format!("{part} is not built yet in this version of Lictor")))
        }
    }
}

/// `PUT /v1/catalog/register`.
pub(in crate::front) fn register(body: &[u8]) -> Result<Register, HttpError> {
    decode(body, Struct::new("RegisterRequest"), |f, not_built| {
        let _token = f.string("Token");
        Register {
            datacenter: f.string("Datacenter"),
            id: f.string("ID"),
            node: f.string("Node"),
            address: f.string("Address"),
            tagged_addresses: f.string_map("TaggedAddresses"),
            node_meta: f.string_map("NodeMeta"),
            service: f.object("Service", Struct::new("NodeService"), |f| service(f, not_built)),
            check: f.object("Check", Struct::new("HealthCheck"), check),
            checks: f.objects("Checks", Struct::new("HealthCheck"), check),
            locality: f.object("Locality", Struct::new("Locality"), locality),
            skip_node_update: f.bool("SkipNodeUpdate"),
            peer_name: f.string("PeerName"),
            create_index: 0,
            modify_index: 0,
        }
    })
}

/// `PUT /v1/catalog/deregister`. `Address` was once looked at; it is still let through.
pub(in crate::front) fn deregister(body: &[u8]) -> Result<Deregister, HttpError> {
    decode(body, Struct::ALIAS, |f, _| {
        let _ignored = (f.string("Token"), f.string("Address"));
        Deregister {
            datacenter: f.string("Datacenter"),
            node: f.string("Node"),
            service_id: f.string("ServiceID"),
            check_id: f.string("CheckID"),
            peer_name: f.string("PeerName"),
        }
    })
}

/// A catalog service. Mesh settings that say something are reported.
pub(super) fn service(f: &mut Fields<'_>, not_built: &mut Vec<&'static str>) -> NodeService {
    for name in ["Proxy", "Connect"] {
        if f.value(name).is_some_and(says_something) {
            not_built.push(name);
        }
    }
    NodeService {
        kind: f.str("Kind"),
        id: f.str("ID"),
        service: f.str("Service"),
        tags: f.strings("Tags").into(),
        address: f.str("Address"),
        tagged_addresses: f
            .object_map("TaggedAddresses", Struct::new("ServiceAddress"), service_address)
            .into(),
        meta: f.string_map("Meta").into(),
        port: f.int("Port"),
        socket_path: f.str("SocketPath"),
        weights: f.object("Weights", Struct::new("Weights"), weights).unwrap_or_default(),
        enable_tag_override: f.bool("EnableTagOverride"),
        locality: f.object("Locality", Struct::new("Locality"), locality).map(Box::new),
        proxy: None,
        connect: None,
        locally_registered_as_sidecar: false,
        peer_name: f.str("PeerName"),
        create_index: f.uint64("CreateIndex"),
        modify_index: f.uint64("ModifyIndex"),
    }
}

/// What Consul itself shows for a service without a proxy says nothing when it is sent back.
fn says_something(value: &Value<'_>) -> bool {
    match &value.kind {
        Kind::Null | Kind::Bool(false) => false,
        Kind::Bool(true) => true,
        Kind::String(text) => !text.is_empty(),
        Kind::Number(text) => *text != "0",
        Kind::Array(items) => !items.is_empty(),
        Kind::Object(entries) => entries.iter().any(|(_, v)| says_something(v)),
    }
}

/// A catalog check.
pub(super) fn check(f: &mut Fields<'_>) -> HealthCheck {
    let definition = f
        .part("Definition", Struct::aliased_in("structs", "HealthCheck"), definition)
        .and_then(CheckDefinitionRecord::shared);
    let (interval, timeout) = (f.str("Interval"), f.str("Timeout"));
    HealthCheck { interval, timeout, definition, ..bare_check(f) }
}

/// A catalog check without timing and definition.
pub(super) fn bare_check(f: &mut Fields<'_>) -> HealthCheck {
    HealthCheck {
        node: f.str("Node"),
        check_id: f.str("CheckID"),
        name: f.str("Name"),
        status: f.str("Status"),
        notes: f.str("Notes"),
        output: f.str("Output"),
        service_id: f.str("ServiceID"),
        service_name: f.str("ServiceName"),
        service_tags: f.strings("ServiceTags").into(),
        kind: f.str("Type"),
        exposed_port: f.int("ExposedPort"),
        peer_name: f.str("PeerName"),
        create_index: f.uint64("CreateIndex"),
        modify_index: f.uint64("ModifyIndex"),
        ..HealthCheck::default()
    }
}

/// Consul lets unknown fields through here, and only here.
fn definition(f: &mut Fields<'_>) -> CheckDefinitionRecord {
    f.ignore_unknown();
    CheckDefinitionRecord {
        http: f.string("HTTP"),
        tls_server_name: f.string("TLSServerName"),
        tls_skip_verify: f.bool("TLSSkipVerify"),
        header: f.string_lists("Header"),
        method: f.string("Method"),
        body: f.string("Body"),
        disable_redirects: f.bool("DisableRedirects"),
        tcp: f.string("TCP"),
        tcp_use_tls: f.bool("TCPUseTLS"),
        udp: f.string("UDP"),
        h2ping: f.string("H2PING"),
        h2ping_use_tls: f.bool("H2PingUseTLS"),
        os_service: f.string("OSService"),
        interval: f.duration("Interval"),
        output_max_size: f.uint64("OutputMaxSize"),
        timeout: f.duration("Timeout"),
        deregister_critical_service_after: f.duration("DeregisterCriticalServiceAfter"),
        script_args: f.strings("ScriptArgs"),
        docker_container_id: f.string("DockerContainerID"),
        shell: f.string("Shell"),
        grpc: f.string("GRPC"),
        grpc_use_tls: f.bool("GRPCUseTLS"),
        alias_node: f.string("AliasNode"),
        alias_service: f.string("AliasService"),
        ttl: f.duration("TTL"),
        session_name: f.string("SessionName"),
    }
}

/// Fills in this datacenter if none is given; whether it is this one.
pub(in crate::front) fn is_own_datacenter(wanted: &mut String, own: &str) -> bool {
    if wanted.is_empty() {
        *wanted = own.into();
    }
    *wanted == *own
}

/// What `Catalog.Register` checks and fills in. The error is Consul's text.
pub(in crate::front) fn prepare(register: &mut Register) -> Result<(), String> {
    let no_peer = register.peer_name.is_empty()
        && register.service.as_ref().is_none_or(|s| s.peer_name.is_empty())
        && register.check.iter().chain(&register.checks).all(|c| c.peer_name.is_empty());
    if !no_peer {
        return Err("cannot register requests with PeerName in them".into());
    }
    prepare_node(&register.id, &register.node)?;
    if register.address.is_empty() && !register.skip_node_update {
        return Err("Must provide address if SkipNodeUpdate is not set".into());
    }
    if let Some(service) = &mut register.service {
        prepare_service(service)?;
    }
    register.check.iter_mut().chain(&mut register.checks).for_each(prepare_check);
    Ok(())
}

/// A node needs a name, and an ID that is a UUID if there is one.
pub(super) fn prepare_node(id: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("Must provide node".into());
    }
    if id.is_empty() {
        return Ok(());
    }
    if id.len() != 36 {
        return Err("Bad node ID: uuid string is wrong length".into());
    }
    let well_formed = id.bytes().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    if well_formed { Ok(()) } else { Err("Bad node ID: uuid is improperly formatted".into()) }
}

/// The name serves as ID; an address that means "any" is no address.
pub(super) fn prepare_service(service: &mut NodeService) -> Result<(), String> {
    if service.service.is_empty() {
        return Err(match service.id.is_empty() {
            false => "Must provide service name (Service.Service) when service ID is provided",
            true => {
                "service name (Service.Service) is required; both Service ID (Service.ID) and Service Name \
                 cannot be empty"
            }
        }
        .into());
    }
    if service.id.is_empty() {
        service.id = service.service.clone();
    }
    if matches!(&*service.address, "0.0.0.0" | "::" | "[::]") {
        return Err("Invalid service address".into());
    }
    if let Some(place) = &service.locality {
        crate::types::rules::locality(place)?;
    }
    if service.weights == (Weights { passing: 0, warning: 0 }) {
        service.weights = Weights::default();
    }
    Ok(())
}

/// The name serves as ID.
pub(super) fn prepare_check_id(check: &mut HealthCheck) {
    if check.check_id.is_empty() {
        check.check_id = check.name.clone();
    }
}

/// The name serves as ID; the type follows from the definition.
pub(super) fn prepare_check(check: &mut HealthCheck) {
    prepare_check_id(check);
    if check.kind.is_empty() {
        check.kind = Str::from(kind_of(check.definition()));
    }
}

/// In Consul's order of precedence; empty if nothing says what the check does. What is probed needs an interval.
fn kind_of(d: &CheckDefinitionRecord) -> &'static str {
    let probed = |target: &String| !target.is_empty() && d.interval > 0;
    if probed(&d.grpc) {
        "grpc"
    } else if probed(&d.http) {
        "http"
    } else if d.ttl > 0 {
        "ttl"
    } else if probed(&d.tcp) {
        "tcp"
    } else if probed(&d.udp) {
        "udp"
    } else if !d.alias_node.is_empty() || !d.alias_service.is_empty() {
        "alias"
    } else if probed(&d.docker_container_id) && !d.script_args.is_empty() {
        "docker"
    } else if !d.script_args.is_empty() {
        "script"
    } else if probed(&d.h2ping) {
        "h2ping"
    } else if probed(&d.os_service) {
        "os_service"
    } else {
        ""
    }
}
