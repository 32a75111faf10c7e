//! Entries to begin with: of which kind, which keys it has, and whether its rules hold.
//!
//! Names and types of what lies deeper in an entry are not judged, as no entry is used yet; but an entry that Consul
//! would refuse for one of the rules below is refused here too.

mod chain;
mod gateways;

use super::super::source;
use super::super::tree::{self, Tree};
use crate::strconv::quote;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Map, Value};

/// Rules of one kind.
type Judge = fn(&Entry<'_>) -> Result<(), String>;

/// A kind of entries: its keys in Go's spelling, with that of files behind `=` where there is another, and its rules.
struct Kind {
    name: &'static str,
    keys: &'static [&'static str],
    judge: Judge,
}

const fn kind(name: &'static str, keys: &'static [&'static str], judge: Judge) -> Kind {
    Kind { name, keys, judge }
}

/// Keys that every kind has.
const EVERYWHERE: &[&str] = &["Meta", "Hash", "RaftIndex", "CreateIndex", "ModifyIndex"];

static KINDS: &[Kind] = &[
    kind(
        "service-defaults",
        &[
            "Kind",
            "Name",
            "Protocol",
            "Mode",
            "TransparentProxy=transparent_proxy",
            "MutualTLSMode=mutual_tls_mode",
            "MeshGateway=mesh_gateway",
            "Expose",
            "ExternalSNI=external_sni",
            "UpstreamConfig=upstream_config",
            "Destination",
            "MaxInboundConnections=max_inbound_connections",
            "LocalConnectTimeoutMs=local_connect_timeout_ms",
            "LocalRequestTimeoutMs=local_request_timeout_ms",
            "BalanceInboundConnections=balance_inbound_connections",
            "RateLimits=rate_limits",
            "EnvoyExtensions=envoy_extensions",
        ],
        service_defaults,
    ),
    kind(
        "proxy-defaults",
        &[
            "Kind",
            "Name",
            "Config",
            "Protocol",
            "Mode",
            "TransparentProxy=transparent_proxy",
            "MutualTLSMode=mutual_tls_mode",
            "MeshGateway=mesh_gateway",
            "Expose",
            "AccessLogs=access_logs",
            "EnvoyExtensions=envoy_extensions",
            "FailoverPolicy=failover_policy",
            "PrioritizeByLocality=prioritize_by_locality",
        ],
        proxy_defaults,
    ),
    kind("service-router", &["Kind", "Name", "Routes"], chain::router),
    kind("service-splitter", &["Kind", "Name", "Splits"], chain::splitter),
    kind(
        "service-resolver",
        &[
            "Kind",
            "Name",
            "DefaultSubset=default_subset",
            "Subsets",
            "Redirect",
            "Failover",
            "PrioritizeByLocality=prioritize_by_locality",
            "ConnectTimeout=connect_timeout",
            "RequestTimeout=request_timeout",
            "LoadBalancer=load_balancer",
        ],
        chain::resolver,
    ),
    kind("ingress-gateway", &["Kind", "Name", "TLS", "Listeners", "Defaults"], gateways::ingress),
    kind("terminating-gateway", &["Kind", "Name", "Services"], gateways::terminating),
    kind("service-intentions", &["Kind", "Name", "Sources", "JWT"], intentions),
    kind(
        "mesh",
        &[
            "TransparentProxy=transparent_proxy",
            "AllowEnablingPermissiveMutualTLS=allow_enabling_permissive_mutual_tls",
            "ValidateClusters=validate_clusters",
            "TLS",
            "HTTP",
            "Peering",
        ],
        |_| Ok(()),
    ),
    kind("exported-services", &["Name", "Services"], exported),
    kind(
        "sameness-group",
        &["Name", "DefaultForFailover=default_for_failover", "IncludeLocal=include_local", "Members"],
        |_| Err("sameness-groups are an enterprise-only feature".into()),
    ),
    kind("api-gateway", &["Kind", "Name", "Listeners", "Status"], gateways::api),
    kind("bound-api-gateway", &["Kind", "Name", "Listeners", "Services"], |_| Ok(())),
    kind("file-system-certificate", &["Kind", "Name", "Certificate", "PrivateKey"], |_| Ok(())),
    kind("inline-certificate", &["Kind", "Name", "Certificate", "PrivateKey"], |entry| {
        match entry.text("PrivateKey").contains("-----BEGIN") {
            true => Ok(()),
            false => Err("failed to parse private key PEM".into()),
        }
    }),
    kind("http-route", &["Kind", "Name", "Parents", "Rules", "Hostnames", "Status"], |_| Ok(())),
    kind("tcp-route", &["Kind", "Name", "Parents", "Services", "Status"], |entry| {
        match entry.list("Services").len() {
            0 | 1 => Ok(()),
            _ => Err("tcp-route currently only supports one service".into()),
        }
    }),
    kind(
        "jwt-provider",
        &[
            "Kind",
            "Name",
            "JSONWebKeySet=json_web_key_set",
            "Issuer",
            "Audiences",
            "Locations",
            "Forwarding",
            "ClockSkewSeconds=clock_skew_seconds",
            "CacheConfig=cache_config",
        ],
        |entry| {
            entry.named()?;
            match entry.get("JSONWebKeySet=json_web_key_set") {
                Some(_) => Ok(()),
                None => Err("JSONWebKeySet is required".into()),
            }
        },
    ),
];

/// The first entry that is refused.
pub(super) fn judge(tree: &Tree) -> Result<(), String> {
    let Some(Value::Array(entries)) = tree::get(tree, "config_entries.bootstrap") else { return Ok(()) };
    for (i, entry) in entries.iter().enumerate() {
        let empty = Map::new();
        let fields = entry.as_object().unwrap_or(&empty);
        one(fields).map_err(|why| format!("config_entries.bootstrap[{i}]: {why}"))?;
    }
    Ok(())
}

fn one(fields: &Map<String, Value>) -> Result<(), String> {
    let kind = match fields.get("Kind").or_else(|| fields.get("kind")) {
        None => return Err("Payload does not contain a kind/Kind key at the top level".into()),
        Some(Value::String(kind)) => kind,
        Some(_) => return Err("Kind value in payload is not a string".into()),
    };
    let Some(known) = KINDS.iter().find(|known| known.name == kind) else {
        return Err(format!("invalid config entry kind: {kind}"));
    };
    let unknown = unknown(fields, known.keys);
    if !unknown.is_empty() {
        return Err(source::several(&unknown).trim_end().into());
    }
    (known.judge)(&Entry { fields })
}

/// What is to be said of the keys that are not among the known ones.
fn unknown(fields: &Map<String, Value>, known: &[&str]) -> Vec<String> {
    let mut left: Vec<&String> =
        fields.keys().filter(|name| !matches!(name.as_str(), "kind" | "Kind")).collect();
    for key in known.iter().chain(EVERYWHERE) {
        let (go, file) = key.split_once('=').unwrap_or((key, key));
        if go != file {
            left.retain(|name| !name.eq_ignore_ascii_case(file));
        }
        // Only one of the spellings is read.
        let exact = left.iter().position(|name| *name == go);
        if let Some(at) = exact.or_else(|| left.iter().position(|name| name.eq_ignore_ascii_case(go))) {
            left.remove(at);
        }
    }
    let told = left.iter().map(|name| {
        let note = if name.eq_ignore_ascii_case("namespace") {
            ", namespaces are a consul enterprise feature"
        } else {
            ""
        };
        format!("invalid config key {}{note}", quote(name.as_bytes()))
    });
    told.collect()
}

/// An entry, or an object within one.
struct Entry<'a> {
    fields: &'a Map<String, Value>,
}

impl<'a> Entry<'a> {
    /// What stands under a key, which is spelt as in the tables.
    fn get(&self, key: &str) -> Option<&'a Value> {
        let (go, file) = key.split_once('=').unwrap_or((key, key));
        let under = |wanted: &str| {
            let found = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value).filter(|value| !value.is_null())
        };
        under(go).or_else(|| under(file))
    }

    /// A text; numbers and switches are taken for texts too.
    fn text(&self, key: &str) -> String {
        match self.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(n)) => n.to_string(),
            Some(Value::Bool(on)) => u8::from(*on).to_string(),
            _ => String::new(),
        }
    }

    fn number(&self, key: &str) -> f64 {
        match self.get(key) {
            Some(Value::Number(n)) => n.as_f64().unwrap_or(0.0),
            Some(Value::String(text)) => text.parse().unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// What a list holds. A list of one may have been taken for what is in it.
    fn items(&self, key: &str) -> Vec<&'a Value> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => Vec::from([one]),
        }
    }

    /// The objects of a list.
    fn list(&self, key: &str) -> Vec<Entry<'a>> {
        self.items(key).into_iter().filter_map(Value::as_object).map(|fields| Entry { fields }).collect()
    }

    fn object(&self, key: &str) -> Option<Entry<'a>> {
        self.get(key).and_then(Value::as_object).map(|fields| Entry { fields })
    }

    fn named(&self) -> Result<String, String> {
        let name = self.text("Name");
        if name.is_empty() { Err("Name is required".into()) } else { Ok(name) }
    }

    fn mutual_tls(&self) -> Result<(), String> {
        let mode = self.text("MutualTLSMode=mutual_tls_mode");
        match mode.as_str() {
            "" | "strict" | "permissive" => Ok(()),
            _ => {
                let mode = quote(mode.as_bytes());
                Err(format!(
                    "Invalid MutualTLSMode {mode}. Must be one of \"\", \"strict\", or \"permissive\"."
                ))
            }
        }
    }
}

/// A name with a wildcard that stands for a part of it only.
fn partly_wild(name: &str) -> bool {
    name.contains('*') && name != "*"
}

fn service_defaults(entry: &Entry<'_>) -> Result<(), String> {
    if entry.named()? == "*" {
        return Err("service-defaults name must be the name of a service, and not a wildcard".into());
    }
    entry.mutual_tls()?;
    let mut wrong = Vec::new();
    let balance = entry.text("BalanceInboundConnections=balance_inbound_connections");
    if !matches!(balance.as_str(), "" | "exact_balance") {
        wrong.push(format!("invalid value for balance_inbound_connections: {balance}"));
    }
    let protocol = entry.text("Protocol");
    if !matches!(protocol.to_lowercase().as_str(), "" | "tcp" | "http" | "http2" | "grpc") {
        wrong.push(format!("invalid value for protocol: {protocol}"));
    }
    if let Some(destination) = entry.object("Destination") {
        let port = destination.number("Port");
        if destination.items("Addresses").is_empty() {
            wrong.push("Destination must contain at least one valid address".into());
        }
        if !(1.0..=65535.0).contains(&port) {
            wrong.push(format!("Invalid Port number {port}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(source::several(&wrong).trim_end().into()) }
}

fn proxy_defaults(entry: &Entry<'_>) -> Result<(), String> {
    let name = entry.text("Name");
    if !matches!(name.as_str(), "" | "global") {
        return Err(format!("invalid name ({}), only \"global\" is supported", quote(name.as_bytes())));
    }
    let logs = entry.object("AccessLogs=access_logs").map(|logs| logs.text("Type")).unwrap_or_default();
    if !matches!(logs.as_str(), "" | "file" | "stderr" | "stdout") {
        return Err(format!("invalid access log type: {logs}"));
    }
    entry.mutual_tls()
}

/// The longest description of an intention, in bytes.
const MAX_DESCRIPTION: usize = 512;

fn intentions(entry: &Entry<'_>) -> Result<(), String> {
    let part = "wildcard character '*' cannot be used with partial values";
    if partly_wild(&entry.named()?) {
        return Err(format!("Name: {part}"));
    }
    let sources = entry.list("Sources");
    if sources.is_empty() {
        return Err("At least one source is required".into());
    }
    let mut seen: Vec<(String, String, String)> = Vec::new();
    for (i, source) in sources.iter().enumerate() {
        let name = source.text("Name");
        let wrong = |what: &str| Err(format!("Sources[{i}]{what}"));
        if name.is_empty() {
            return wrong(".Name is required");
        }
        if partly_wild(&name) {
            return wrong(&format!(".Name: {part}"));
        }
        if source.text("Description").len() > MAX_DESCRIPTION {
            return wrong(".Description exceeds maximum length 512");
        }
        if !matches!(source.text("Type").as_str(), "" | "consul") {
            return wrong(".Type must be set to 'consul'");
        }
        permitted(source).or_else(|what| wrong(&what))?;
        let whence = (name.clone(), source.text("Peer"), source.text("SamenessGroup=sameness_group"));
        if seen.contains(&whence) {
            return wrong(&format!(" defines {} more than once", quote(name.as_bytes())));
        }
        seen.push(whence);
    }
    Ok(())
}

/// A source is allowed or denied as a whole, or by what it asks for.
fn permitted(source: &Entry<'_>) -> Result<(), String> {
    let decides = |entry: &Entry<'_>| matches!(entry.text("Action").as_str(), "allow" | "deny");
    // What says nothing is not there.
    let permissions =
        source.list("Permissions").into_iter().filter(|permission| !permission.fields.is_empty());
    let permissions: Vec<Entry<'_>> = permissions.collect();
    if permissions.is_empty() {
        return if decides(source) { Ok(()) } else { Err(".Action must be set to 'allow' or 'deny'".into()) };
    }
    if !source.text("Action").is_empty() {
        return Err(".Action must be omitted if Permissions are specified".into());
    }
    for (n, permission) in permissions.iter().enumerate() {
        let wrong = |what: &str| Err(format!(".Permissions[{n}]{what}"));
        if !decides(permission) {
            return wrong(".Action must be set to 'allow' or 'deny'");
        }
        match permission.object("HTTP") {
            None => return wrong(".HTTP is required"),
            Some(http) if http.fields.is_empty() => return wrong(".HTTP should not be empty"),
            Some(_) => {}
        }
    }
    Ok(())
}

fn exported(entry: &Entry<'_>) -> Result<(), String> {
    if entry.text("Name") != "default" {
        return Err("exported-services Name must be \"default\"".into());
    }
    for (i, service) in entry.list("Services").iter().enumerate() {
        if service.text("Name").is_empty() {
            return Err(format!("Services[{i}]: service name cannot be empty"));
        }
        let consumers = service.items("Consumers");
        let nobody = |consumer: &&Value| consumer.as_object().is_some_and(Map::is_empty);
        if consumers.iter().all(nobody) {
            return Err(format!("Services[{i}]: must have at least one consumer"));
        }
        for (n, consumer) in service.list("Consumers").iter().enumerate() {
            let wrong = |what: &str| Err(format!("Services[{i}].Consumers[{n}]: {what}"));
            let peer = consumer.text("Peer");
            let others = [consumer.text("Partition"), consumer.text("SamenessGroup=sameness_group")];
            if [&peer, &others[0], &others[1]].iter().filter(|name| !name.is_empty()).count() > 1 {
                return wrong("must define at most one of Peer, Partition, or SamenessGroup");
            }
            if peer == "*" {
                return wrong("exporting to all peers (wildcard) is not supported");
            }
        }
    }
    Ok(())
}
