//! Reading service and check definitions out of parsed JSON (or HCL turned into it).
//!
//! HTTP bodies and configuration files spell the same fields differently: [`Mode`] says which rules
//! hold. Validation is the agent's; here only shapes are checked.

use super::{CheckDefinition, Locality, ServiceAddress, ServiceDefinition, Weights};
use crate::json::{Fields, Kind, Struct, Value};
use alloc::vec::Vec;

/// Where a definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A request body: Go names in any letter case, and the few snake_case forms that Consul adds.
    Http,
    /// A configuration file: snake_case names, and Go names as aliases.
    File,
}

impl Mode {
    fn names(self, http: &'static str, file: &'static str) -> &'static str {
        match self {
            Mode::Http => http,
            Mode::File => file,
        }
    }
}

/// Parts of a definition that were given but that this version has no machinery for. Whoever reads a
/// definition must refuse it, or warn, but not drop them in silence.
pub type NotBuilt = Vec<&'static str>;

/// Reads a service definition. What is given but not built yet is appended to `not_built`.
pub fn service(f: &mut Fields<'_>, mode: Mode, not_built: &mut NotBuilt) -> ServiceDefinition {
    let n = |http, file| mode.names(http, file);
    let mut definition = ServiceDefinition {
        kind: f.string("Kind"),
        id: f.string("ID"),
        name: f.string("Name"),
        tags: f.strings("Tags"),
        address: f.string("Address"),
        tagged_addresses: f.object_map(
            n("TaggedAddresses|tagged_addresses", "tagged_addresses|TaggedAddresses"),
            Struct::new("ServiceAddress"),
            service_address,
        ),
        meta: f.string_map("Meta"),
        port: f.int("Port"),
        socket_path: f.string(n("SocketPath", "socket_path|SocketPath")),
        weights: f.object("Weights", Struct::new("Weights"), weights),
        enable_tag_override: f
            .bool(n("EnableTagOverride|enable_tag_override", "enable_tag_override|EnableTagOverride")),
        token: f.string("Token"),
        locality: f.object("Locality", Struct::new("Locality"), locality),
        checks: Vec::new(),
    };
    let one = f.part("Check", Struct::ALIAS, |f| check(f, mode, Place::Service));
    definition.checks.extend(one.filter(|check| *check != CheckDefinition::default()));
    definition.checks.extend(f.objects("Checks", Struct::ALIAS, |f| check(f, mode, Place::Service)));
    for (name, what) in [("Proxy", "Proxy"), ("Connect", "Connect")] {
        if f.value(name).is_some_and(says_something) {
            not_built.push(what);
        }
    }
    if mode == Mode::File {
        for (name, what) in [("namespace", "namespace"), ("partition", "partition")] {
            if f.opt_string(name).is_some_and(|v| !v.is_empty()) {
                not_built.push(what);
            }
        }
    }
    definition
}

/// Whether a mesh block asks for anything: `{}` and false flags do not.
fn says_something(value: &Value<'_>) -> bool {
    match &value.kind {
        Kind::Null | Kind::Bool(false) => false,
        Kind::String(text) => !text.is_empty(),
        Kind::Number(text) => *text != "0",
        Kind::Array(items) => !items.is_empty(),
        // An empty sidecar block asks for a sidecar.
        Kind::Object(entries) => entries.iter().any(|(key, v)| {
            key.to_ascii_lowercase().contains("sidecar") && !v.is_null() || says_something(v)
        }),
        Kind::Bool(true) => true,
    }
}

/// Reads `{Address, Port}`.
pub fn service_address(f: &mut Fields<'_>) -> ServiceAddress {
    ServiceAddress { address: f.string("Address"), port: f.int("Port") }
}

/// Reads `{Passing, Warning}`; absent numbers are 0, as in Consul.
pub fn weights(f: &mut Fields<'_>) -> Weights {
    Weights { passing: f.int("Passing"), warning: f.int("Warning") }
}

/// Reads `{Region, Zone}`.
pub fn locality(f: &mut Fields<'_>) -> Locality {
    Locality { region: f.string("Region"), zone: f.string("Zone") }
}

/// Where a check definition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inside a service: no `ServiceID` and no `Token`; its ID is called `CheckID`.
    Service,
    /// On its own.
    Alone,
}

/// Reads a check definition.
pub fn check(f: &mut Fields<'_>, mode: Mode, place: Place) -> CheckDefinition {
    let n = |http, file| mode.names(http, file);
    if matches!((mode, place), (Mode::Http, Place::Service)) {
        // Taken, and not looked at, as Consul does: the service is the one that it stands in.
        let _own = f.string("ServiceID");
    }
    let mut definition = CheckDefinition {
        id: match (mode, place) {
            (Mode::Http, Place::Service) => f.string("CheckID"),
            (Mode::Http, Place::Alone) => f.string("ID"),
            (Mode::File, _) => f.string("id|check_id|CheckID"),
        },
        name: f.string("Name"),
        notes: f.string("Notes"),
        status: f.string("Status"),
        script_args: f.strings(n("ScriptArgs|Args|script_args", "args|script_args|ScriptArgs")),
        http: f.string("HTTP"),
        header: f.string_lists("Header"),
        method: f.string("Method"),
        body: f.string("Body"),
        disable_redirects: f.bool(match place {
            Place::Service => n("DisableRedirects", "disable_redirects|DisableRedirects"),
            Place::Alone => n("DisableRedirects|disable_redirects", "disable_redirects|DisableRedirects"),
        }),
        tcp: f.string("TCP"),
        tcp_use_tls: f.bool(n("TCPUseTLS|tcp_use_tls", "tcp_use_tls|TCPUseTLS")),
        udp: f.string("UDP"),
        grpc: f.string("GRPC"),
        grpc_use_tls: f.bool(n("GRPCUseTLS|grpc_use_tls", "grpc_use_tls|GRPCUseTLS")),
        h2ping: f.string("H2PING"),
        h2ping_use_tls: f.opt_bool(n("H2PingUseTLS|h2ping_use_tls", "h2ping_use_tls|H2PingUseTLS")),
        tls_server_name: f.string(n("TLSServerName|tls_server_name", "tls_server_name|TLSServerName")),
        tls_skip_verify: f.bool(n("TLSSkipVerify|tls_skip_verify", "tls_skip_verify|TLSSkipVerify")),
        os_service: f.string(n("OSService", "os_service|OSService")),
        docker_container_id: f
            .string(n("DockerContainerID|docker_container_id", "docker_container_id|DockerContainerID")),
        shell: f.string("Shell"),
        alias_node: f.string(n("AliasNode", "alias_node|AliasNode")),
        alias_service: f.string(n("AliasService", "alias_service|AliasService")),
        interval: f.duration("Interval"),
        timeout: f.duration("Timeout"),
        ttl: f.duration("TTL"),
        success_before_passing: f
            .int(n("SuccessBeforePassing", "success_before_passing|SuccessBeforePassing")),
        failures_before_warning: f
            .int(n("FailuresBeforeWarning", "failures_before_warning|FailuresBeforeWarning")),
        failures_before_critical: f
            .int(n("FailuresBeforeCritical", "failures_before_critical|FailuresBeforeCritical")),
        deregister_critical_service_after: f.duration(n(
            "DeregisterCriticalServiceAfter|deregister_critical_service_after",
            "deregister_critical_service_after|DeregisterCriticalServiceAfter",
        )),
        output_max_size: f.int(n("OutputMaxSize", "output_max_size|OutputMaxSize")),
        ..CheckDefinition::default()
    };
    if place == Place::Alone {
        definition.service_id = f.string(n("ServiceID|service_id", "service_id|ServiceID"));
        definition.token = f.string("Token");
        if mode == Mode::File {
            // Community edition: the keys exist and do nothing.
            let _ = (f.value("namespace"), f.value("partition"));
        }
    } else {
        // Known to Consul, meant for the mesh proxy's exposed paths only.
        let _ = (f.value("ProxyHTTP"), f.value("ProxyGRPC"));
        // Consul takes this spelling here and drops it.
        let _ = f.value("service_id");
    }
    definition
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::SECOND;
    use crate::json::{Error, Unknown, decode, parse_body};
    use alloc::string::ToString;

    fn read(text: &str, mode: Mode) -> Result<(ServiceDefinition, NotBuilt), Error> {
        let mut not_built = Vec::new();
        let value = parse_body(text.as_bytes())?;
        let out = decode(&value, Struct::ALIAS, Unknown::Refuse, |f| service(f, mode, &mut not_built))?;
        Ok((out, not_built))
    }

    #[test]
    fn a_body_takes_go_names_in_any_case_and_consuls_snake_forms() {
        let (service, not_built) = read(
            r#"{"name":"web","ID":"w1","enable_tag_override":true,"Connect":{"Native":false},
                "tagged_addresses":{"lan":{"address":"1.1.1.1","port":1}},
                "check":{"checkid":"c","ttl":"10s"},"checks":[{"args":["a"],"Interval":5000000000}]}"#,
            Mode::Http,
        )
        .unwrap();
        assert!(service.enable_tag_override && not_built.is_empty());
        assert_eq!(service.tagged_addresses["lan"].port, 1);
        assert_eq!(service.checks.len(), 2);
        assert_eq!((service.checks[0].id.as_str(), service.checks[0].ttl), ("c", 10 * SECOND));
        assert_eq!(
            (service.checks[1].script_args[0].as_str(), service.checks[1].interval),
            ("a", 5 * SECOND)
        );
    }

    #[test]
    fn a_body_refuses_the_snake_forms_that_only_files_know() {
        let error = read(r#"{"name":"w","check":{"alias_node":"n"}}"#, Mode::Http).unwrap_err();
        assert_eq!(error.to_string(), r#"json: unknown field "alias_node""#);
        let (service, _) = read(r#"{"name":"w","check":{"alias_node":"n"}}"#, Mode::File).unwrap();
        assert_eq!(service.checks[0].alias_node, "n");
    }

    #[test]
    fn mesh_blocks_are_reported_unless_they_say_nothing() {
        let (_, not_built) =
            read(r#"{"name":"w","Proxy":{},"Connect":{"SidecarService":{}}}"#, Mode::Http).unwrap();
        assert_eq!(not_built, ["Connect"]);
    }
}
