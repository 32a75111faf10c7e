//! `DebugConfig` of `/v1/agent/self`: every setting that Consul shows there, under its names there.
//!
//! What this version has is shown as it is in force; of the rest, what the files say, or else Consul's default.

use crate::COMPATIBLE_VERSION as VERSION;
use crate::duration;
use crate::front::REVISION;
use crate::json::Writer;
use crate::view::View;
use From::{Fixed, Object, Own, Setting, Span, Tls};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Where a value comes from.
enum From {
    /// It is always this JSON.
    Fixed(&'static str),
    /// What the files say at this path, else this JSON.
    Setting(&'static str, &'static str),
    /// The same for a duration, which is written anew.
    Span(&'static str, &'static str),
    /// A setting of a group below `tls`, or the one below `tls.defaults`.
    Tls(&'static str, &'static str, &'static str),
    /// What is in force.
    Own(fn(&mut Writer<'_>, &View)),
    /// Several.
    Object(&'static [(&'static str, From)]),
}

/// Writes all of it.
pub(super) fn write(w: &mut Writer<'_>, view: &View) {
    object(w, view, SETTINGS);
}

fn object(w: &mut Writer<'_>, view: &View, settings: &'static [(&'static str, From)]) {
    w.object(|w| settings.iter().for_each(|(name, from)| w.field(name, |w| value(w, view, from))));
}

fn value(w: &mut Writer<'_>, view: &View, from: &'static From) {
    let written = &view.config.written;
    let mut setting = |path: &str, default: &str| match written.get(path) {
        Some(value) => w.raw(value.to_string().as_bytes()),
        None => w.raw(default.as_bytes()),
    };
    match from {
        Fixed(json) => w.raw(json.as_bytes()),
        Setting(path, default) => setting(path, default),
        Span(path, default) => {
            let told = written.get(path).and_then(|value| duration::parse(value.as_str()?).ok());
            match told {
                Some(nanos) => w.str(&duration::format(nanos)),
                None => w.str(default),
            }
        }
        Tls(group, name, default) => {
            let own = format!("tls.{group}.{name}");
            let path = if written.get(&own).is_some() { own } else { format!("tls.defaults.{name}") };
            setting(&path, default);
        }
        Own(write) => write(w, view),
        Object(settings) => object(w, view, settings),
    }
}

fn span(w: &mut Writer<'_>, time: Duration) {
    w.str(&duration::format(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)));
}

fn size(w: &mut Writer<'_>, size: usize) {
    w.u64(size as u64);
}

fn ip(w: &mut Writer<'_>, ip: IpAddr) {
    w.str(&ip.to_string());
}

fn port(w: &mut Writer<'_>, port: Option<u16>) {
    w.i64(port.map_or(-1, i64::from));
}

/// Expecting one server is the same as `bootstrap`, and shown as that.
fn bootstrap_expect(view: &View) -> u64 {
    let expected = view.config.bootstrap_expect;
    u64::from(if expected == 1 { 0 } else { expected })
}

/// Consul's timeouts of raft: of a datacenter, which the multiplier stretches, or of dev mode.
fn raft(view: &View, ms: u64, dev_ms: u64) -> Duration {
    match view.config.dev_mode {
        true => Duration::from_millis(dev_ms),
        false => Duration::from_millis(ms) * view.config.performance.raft_multiplier,
    }
}

fn advertise_wan(view: &View) -> IpAddr {
    let told = view.config.written.get("advertise_addr_wan").and_then(|told| told.as_str()?.parse().ok());
    told.unwrap_or(view.config.advertise_addr)
}

fn dns_addresses(view: &View) -> Vec<String> {
    let Some(port) = view.config.ports.dns else { return Vec::new() };
    let on = |network: &'static str| {
        view.config.dns_addrs.iter().map(move |ip| format!("{network}://{}", SocketAddr::new(*ip, port)))
    };
    on("tcp").chain(on("udp")).collect()
}

fn http_addresses(view: &View) -> Vec<String> {
    let config = &view.config;
    let Some(port) = config.ports.http else { return Vec::new() };
    let sockets = config.http_sockets.iter().map(|path| format!("unix://{path}"));
    sockets
        .chain(config.http_addrs.iter().map(|ip| format!("tcp://{}", SocketAddr::new(*ip, port))))
        .collect()
}

fn server_address(w: &mut Writer<'_>, view: &View, ip: IpAddr) {
    w.str(&format!("tcp://{}", SocketAddr::new(ip, view.config.ports.server)));
}

/// Empty for a pool that is switched off.
fn serf(w: &mut Writer<'_>, ip: IpAddr, port: Option<u16>) {
    w.str(&port.map(|port| format!("tcp://{}", SocketAddr::new(ip, port))).unwrap_or_default());
}

/// What nodes are registered with.
fn tagged_addresses(w: &mut Writer<'_>, view: &View) {
    let (lan, wan) = (view.config.advertise_addr, advertise_wan(view));
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, ip) in [("lan", lan), ("wan", wan)] {
        all.insert(name.into(), ip.to_string());
        all.insert(format!("{name}_{}", if ip.is_ipv4() { "ipv4" } else { "ipv6" }), ip.to_string());
    }
    all.extend(view.config.tagged_addresses.iter().map(|(name, ip)| (name.to_string(), ip.to_string())));
    w.str_map(&all);
}

/// The prefixes of `telemetry.prefix_filter` behind this sign. One is always blocked, unless it is named.
fn prefixes(view: &View, sign: &str) -> Vec<String> {
    let told = view.config.written.get("telemetry.prefix_filter").and_then(|told| told.as_array());
    let told: Vec<&str> = told.into_iter().flatten().filter_map(|text| text.as_str()).collect();
    let usual = format!("{}.rpc.server.call", view.config.metrics_prefix);
    let named = told.iter().any(|text| text.get(1..) == Some(&usual));
    let mut prefixes: Vec<String> =
        told.iter().filter_map(|text| text.strip_prefix(sign)).map(String::from).collect();
    if sign == "-" && !named {
        prefixes.push(usual);
    }
    prefixes
}

/// Of the definitions in files, what tells them apart; their tokens and headers are nobody's business.
fn services(w: &mut Writer<'_>, view: &View) {
    w.array(|w| {
        for service in &view.config.services {
            w.object(|w| {
                w.field_str("Address", &service.address);
                w.field_str("ID", &service.id);
                w.field_str("Name", &service.name);
                w.field_i64("Port", service.port);
                w.field_strs("Tags", &service.tags);
            });
        }
    });
}

fn checks(w: &mut Writer<'_>, view: &View) {
    w.array(|w| {
        for check in &view.config.checks {
            w.object(|w| {
                w.field_str("ID", &check.id);
                w.field_str("Name", &check.name);
                w.field_str("ServiceID", &check.service_id);
            });
        }
    });
}

fn service_ttl(w: &mut Writer<'_>, view: &View) {
    let ttls = &view.config.dns.service_ttl;
    w.object(|w| ttls.iter().for_each(|(name, ttl)| w.field(name, |w| span(w, *ttl))));
}

fn locality(w: &mut Writer<'_>, view: &View) {
    match &view.config.locality {
        None => w.null(),
        Some(place) => w.object(|w| {
            w.field_str("Region", &place.region);
            w.field_str("Zone", &place.zone);
        }),
    }
}

fn limits_mode(view: &View) -> u64 {
    match view.config.written.get("limits.request_limits.mode").and_then(|mode| mode.as_str()) {
        Some("permissive") => 1,
        Some("enforcing") => 2,
        _ => 0,
    }
}

/// The settings of one of the groups that TLS is set up for.
const fn tls(group: &'static str) -> [(&'static str, From); 10] {
    [
        ("CAFile", From::Tls(group, "ca_file", r#""""#)),
        ("CAPath", From::Tls(group, "ca_path", r#""""#)),
        ("CertFile", From::Tls(group, "cert_file", r#""""#)),
        ("CipherSuites", From::Fixed("[]")),
        ("KeyFile", From::Fixed(r#""hidden""#)),
        ("TLSMinVersion", From::Tls(group, "tls_min_version", r#""TLSv1_2""#)),
        ("UseAutoCert", From::Tls(group, "use_auto_cert", "false")),
        ("VerifyIncoming", From::Tls(group, "verify_incoming", "false")),
        ("VerifyOutgoing", From::Tls(group, "verify_outgoing", "false")),
        ("VerifyServerHostname", From::Tls(group, "verify_server_hostname", "false")),
    ]
}

static SETTINGS: &[(&str, From)] = &[
    ("ACLEnableKeyListPolicy", Setting("acl.enable_key_list_policy", "false")),
    ("ACLInitialManagementToken", Fixed(r#""hidden""#)),
    (
        "ACLResolverSettings",
        Object(&[
            ("ACLDefaultPolicy", Setting("acl.default_policy", r#""allow""#)),
            ("ACLDownPolicy", Setting("acl.down_policy", r#""extend-cache""#)),
            ("ACLPolicyTTL", Span("acl.policy_ttl", "30s")),
            ("ACLRoleTTL", Span("acl.role_ttl", "0s")),
            ("ACLTokenTTL", Span("acl.token_ttl", "30s")),
            ("ACLsEnabled", Fixed("false")),
            ("Datacenter", Own(|w, view| w.str(&view.config.datacenter))),
            ("EnterpriseMeta", Fixed("{}")),
            ("NodeName", Own(|w, view| w.str(&view.config.node_name))),
        ]),
    ),
    ("ACLTokenReplication", Setting("acl.enable_token_replication", "false")),
    (
        "ACLTokens",
        Object(&[
            ("ACLAgentRecoveryToken", Fixed(r#""hidden""#)),
            ("ACLAgentToken", Fixed(r#""hidden""#)),
            ("ACLConfigFileRegistrationToken", Fixed(r#""hidden""#)),
            ("ACLDNSToken", Fixed(r#""hidden""#)),
            ("ACLDefaultToken", Fixed(r#""hidden""#)),
            ("ACLReplicationToken", Fixed(r#""hidden""#)),
            ("DataDir", Own(|w, view| w.str(&view.config.data_dir))),
            ("EnablePersistence", Setting("acl.enable_token_persistence", "false")),
            ("EnterpriseConfig", Fixed("{}")),
        ]),
    ),
    ("ACLsEnabled", Fixed("false")),
    ("AEInterval", Own(|w, view| span(w, view.config.ae_interval))),
    ("AdvertiseAddrLAN", Own(|w, view| ip(w, view.config.advertise_addr))),
    ("AdvertiseAddrWAN", Own(|w, view| ip(w, advertise_wan(view)))),
    ("AdvertiseReconnectTimeout", Span("advertise_reconnect_timeout", "0s")),
    ("AllowWriteHTTPFrom", Setting("http_config.allow_write_http_from", "[]")),
    (
        "AutoConfig",
        Fixed(
            r#"{"Authorizer":{"AllowReuse":false,"AuthMethod":{"ACLAuthMethodEnterpriseFields":{},"Config":{"BoundAudiences":null,"BoundIssuer":"","ClaimMappings":null,"ClockSkewLeeway":0,"ExpirationLeeway":0,"JWKSCACert":"","JWKSURL":"","JWTSupportedAlgs":null,"JWTValidationPubKeys":null,"ListClaimMappings":null,"NotBeforeLeeway":0,"OIDCDiscoveryCACert":"","OIDCDiscoveryURL":""},"Description":"","DisplayName":"","EnterpriseMeta":{},"MaxTokenTTL":"0s","Name":"Auto Config Authorizer","RaftIndex":{"CreateIndex":0,"ModifyIndex":0},"TokenLocality":"","Type":"jwt"},"ClaimAssertions":[],"Enabled":false},"DNSSANs":[],"Enabled":false,"IPSANs":[],"IntroToken":"hidden","IntroTokenFile":"","ServerAddresses":[]}"#,
        ),
    ),
    ("AutoEncryptAllowTLS", Setting("auto_encrypt.allow_tls", "false")),
    ("AutoEncryptDNSSAN", Setting("auto_encrypt.dns_san", "[]")),
    ("AutoEncryptIPSAN", Setting("auto_encrypt.ip_san", "[]")),
    ("AutoEncryptTLS", Setting("auto_encrypt.tls", "false")),
    ("AutoReloadConfig", Setting("auto_reload_config", "false")),
    ("AutoReloadConfigCoalesceInterval", Fixed(r#""1s""#)),
    ("AutopilotCleanupDeadServers", Setting("autopilot.cleanup_dead_servers", "true")),
    ("AutopilotDisableUpgradeMigration", Setting("autopilot.disable_upgrade_migration", "false")),
    ("AutopilotLastContactThreshold", Span("autopilot.last_contact_threshold", "200ms")),
    ("AutopilotMaxTrailingLogs", Setting("autopilot.max_trailing_logs", "250")),
    ("AutopilotMinQuorum", Setting("autopilot.min_quorum", "0")),
    ("AutopilotRedundancyZoneTag", Setting("autopilot.redundancy_zone_tag", r#""""#)),
    ("AutopilotServerStabilizationTime", Span("autopilot.server_stabilization_time", "10s")),
    ("AutopilotUpgradeVersionTag", Setting("autopilot.upgrade_version_tag", r#""""#)),
    ("BindAddr", Own(|w, view| ip(w, view.config.bind_addr))),
    ("Bootstrap", Own(|w, view| w.bool(view.config.bootstrap_expect == 1))),
    ("BootstrapExpect", Own(|w, view| w.u64(bootstrap_expect(view)))),
    ("BuildDate", Fixed(r#""1970-01-01 00:00:01 +0000 UTC""#)),
    (
        "Cache",
        Object(&[
            ("EntryFetchMaxBurst", Setting("cache.entry_fetch_max_burst", "2")),
            ("EntryFetchRate", Setting("cache.entry_fetch_rate", "1.7976931348623157e+308")),
            ("Logger", Fixed("null")),
        ]),
    ),
    ("CheckDeregisterIntervalMin", Own(|w, view| span(w, view.config.check_deregister_interval_min))),
    ("CheckOutputMaxSize", Own(|w, view| size(w, view.config.check_output_max_size))),
    ("CheckReapInterval", Own(|w, view| span(w, view.config.check_reap_interval))),
    ("CheckUpdateInterval", Own(|w, view| span(w, view.config.check_update_interval))),
    ("Checks", Own(checks)),
    ("ClientAddrs", Own(|w, view| w.strs(view.config.client_addrs.iter().map(|a| a.to_string())))),
    (
        "Cloud",
        Object(&[
            ("AuthURL", Fixed(r#""""#)),
            ("ClientID", Fixed(r#""""#)),
            ("ClientSecret", Fixed(r#""hidden""#)),
            ("Hostname", Fixed(r#""""#)),
            ("ManagementToken", Fixed(r#""hidden""#)),
            ("NodeID", Own(|w, view| w.str(&view.node_id))),
            ("NodeName", Own(|w, view| w.str(&view.config.node_name))),
            ("ResourceID", Fixed(r#""""#)),
            ("ScadaAddress", Fixed(r#""""#)),
            ("TLSConfig", Fixed("null")),
        ]),
    ),
    ("ConfigEntryBootstrap", Setting("config_entries.bootstrap", "[]")),
    ("ConnectCAConfig", Fixed("{}")),
    ("ConnectCAProvider", Setting("connect.ca_provider", r#""""#)),
    ("ConnectEnabled", Fixed("false")),
    (
        "ConnectMeshGatewayWANFederationEnabled",
        Setting("connect.enable_mesh_gateway_wan_federation", "false"),
    ),
    ("ConnectSidecarMaxPort", Setting("ports.sidecar_max_port", "21255")),
    ("ConnectSidecarMinPort", Setting("ports.sidecar_min_port", "21000")),
    ("ConnectTestCALeafRootChangeSpread", Span("connect.test_ca_leaf_root_change_spread", "0s")),
    ("ConsulCoordinateUpdateBatchSize", Setting("consul.coordinate.update_batch_size", "128")),
    ("ConsulCoordinateUpdateMaxBatches", Setting("consul.coordinate.update_max_batches", "5")),
    ("ConsulCoordinateUpdatePeriod", Span("consul.coordinate.update_period", "5s")),
    ("ConsulRaftElectionTimeout", Own(|w, view| span(w, raft(view, 1000, 52)))),
    ("ConsulRaftHeartbeatTimeout", Own(|w, view| span(w, raft(view, 1000, 35)))),
    ("ConsulRaftLeaderLeaseTimeout", Own(|w, view| span(w, raft(view, 500, 20)))),
    ("ConsulServerHealthInterval", Fixed(r#""2s""#)),
    ("DNSARecordLimit", Setting("dns_config.a_record_limit", "0")),
    ("DNSAddrs", Own(|w, view| w.strs(dns_addresses(view)))),
    ("DNSAllowStale", Own(|w, view| w.bool(view.config.dns.allow_stale))),
    ("DNSAltDomain", Own(|w, view| w.str(&view.config.alt_domain))),
    ("DNSCacheMaxAge", Span("dns_config.cache_max_age", "0s")),
    ("DNSDisableCompression", Setting("dns_config.disable_compression", "false")),
    ("DNSDomain", Own(|w, view| w.str(&view.config.domain))),
    ("DNSEnableTruncate", Setting("dns_config.enable_truncate", "false")),
    ("DNSMaxStale", Span("dns_config.max_stale", "87600h0m0s")),
    ("DNSNodeMetaTXT", Setting("dns_config.enable_additional_node_meta_txt", "true")),
    ("DNSNodeTTL", Span("dns_config.node_ttl", "0s")),
    ("DNSOnlyPassing", Setting("dns_config.only_passing", "false")),
    ("DNSPort", Own(|w, view| port(w, view.config.ports.dns))),
    ("DNSRecursorStrategy", Setting("dns_config.recursor_strategy", r#""sequential""#)),
    ("DNSRecursorTimeout", Span("dns_config.recursor_timeout", "2s")),
    ("DNSRecursors", Own(|w, view| w.strs(&view.config.recursors))),
    (
        "DNSSOA",
        Object(&[
            ("Expire", Own(|w, view| w.u64(view.config.dns.soa[2].into()))),
            ("Minttl", Own(|w, view| w.u64(view.config.dns.soa[3].into()))),
            ("Refresh", Own(|w, view| w.u64(view.config.dns.soa[0].into()))),
            ("Retry", Own(|w, view| w.u64(view.config.dns.soa[1].into()))),
        ]),
    ),
    ("DNSServiceTTL", Own(service_ttl)),
    ("DNSUDPAnswerLimit", Setting("dns_config.udp_answer_limit", "3")),
    ("DNSUseCache", Setting("dns_config.use_cache", "false")),
    ("DataDir", Own(|w, view| w.str(&view.config.data_dir))),
    ("Datacenter", Own(|w, view| w.str(&view.config.datacenter))),
    ("DefaultIntentionPolicy", Setting("default_intention_policy", r#""""#)),
    ("DefaultQueryTime", Own(|w, view| span(w, view.config.default_query_time))),
    ("DevMode", Own(|w, view| w.bool(view.config.dev_mode))),
    ("DisableAnonymousSignature", Setting("disable_anonymous_signature", "false")),
    ("DisableCoordinates", Setting("disable_coordinates", "false")),
    (
        "DisableHTTPUnprintableCharFilter",
        Own(|w, view| w.bool(view.config.disable_http_unprintable_char_filter)),
    ),
    ("DisableHostNodeID", Setting("disable_host_node_id", "true")),
    ("DisableKeyringFile", Setting("disable_keyring_file", "false")),
    ("DisableRemoteExec", Setting("disable_remote_exec", "true")),
    ("DisableUpdateCheck", Own(|w, view| w.bool(view.config.disable_update_check))),
    ("DiscardCheckOutput", Own(|w, view| w.bool(view.config.discard_check_output))),
    ("DiscoveryMaxStale", Span("discovery_max_stale", "0s")),
    ("EnableAgentTLSForChecks", Setting("enable_agent_tls_for_checks", "false")),
    ("EnableCentralServiceConfig", Setting("enable_central_service_config", "true")),
    ("EnableDebug", Own(|w, view| w.bool(view.config.enable_debug))),
    ("EnableLocalScriptChecks", Own(|w, view| w.bool(view.config.enable_local_script_checks))),
    ("EnableRemoteScriptChecks", Own(|w, view| w.bool(view.config.enable_script_checks))),
    ("EncryptKey", Fixed(r#""hidden""#)),
    ("EnterpriseRuntimeConfig", Fixed("{}")),
    ("Experiments", Setting("experiments", "[]")),
    ("ExposeMaxPort", Setting("ports.expose_max_port", "21755")),
    ("ExposeMinPort", Setting("ports.expose_min_port", "21500")),
    ("GRPCAddrs", Fixed("[]")),
    ("GRPCKeepaliveInterval", Span("performance.grpc_keepalive_interval", "30s")),
    ("GRPCKeepaliveTimeout", Span("performance.grpc_keepalive_timeout", "20s")),
    ("GRPCPort", Own(|w, view| port(w, view.config.ports.grpc))),
    ("GRPCTLSAddrs", Fixed("[]")),
    ("GRPCTLSPort", Own(|w, view| port(w, view.config.ports.grpc_tls))),
    ("GossipLANGossipInterval", Span("gossip_lan.gossip_interval", "200ms")),
    ("GossipLANGossipNodes", Setting("gossip_lan.gossip_nodes", "3")),
    ("GossipLANProbeInterval", Span("gossip_lan.probe_interval", "1s")),
    ("GossipLANProbeTimeout", Span("gossip_lan.probe_timeout", "500ms")),
    ("GossipLANRetransmitMult", Setting("gossip_lan.retransmit_mult", "4")),
    ("GossipLANSuspicionMult", Setting("gossip_lan.suspicion_mult", "4")),
    ("GossipWANGossipInterval", Span("gossip_wan.gossip_interval", "500ms")),
    ("GossipWANGossipNodes", Setting("gossip_wan.gossip_nodes", "3")),
    ("GossipWANProbeInterval", Span("gossip_wan.probe_interval", "5s")),
    ("GossipWANProbeTimeout", Span("gossip_wan.probe_timeout", "3s")),
    ("GossipWANRetransmitMult", Setting("gossip_wan.retransmit_mult", "4")),
    ("GossipWANSuspicionMult", Setting("gossip_wan.suspicion_mult", "6")),
    ("HTTPAddrs", Own(|w, view| w.strs(http_addresses(view)))),
    ("HTTPBlockEndpoints", Setting("http_config.block_endpoints", "[]")),
    ("HTTPMaxConnsPerClient", Own(|w, view| size(w, view.config.http.max_conns_per_client))),
    ("HTTPMaxHeaderBytes", Own(|w, view| size(w, view.config.http.max_header_bytes))),
    ("HTTPPort", Own(|w, view| port(w, view.config.ports.http))),
    ("HTTPResponseHeaders", Setting("http_config.response_headers", "{}")),
    ("HTTPSAddrs", Fixed("[]")),
    ("HTTPSHandshakeTimeout", Span("limits.https_handshake_timeout", "5s")),
    ("HTTPSPort", Own(|w, view| port(w, view.config.ports.https))),
    ("HTTPUseCache", Own(|w, view| w.bool(view.config.http.use_cache))),
    ("KVMaxValueSize", Own(|w, view| size(w, view.config.kv_max_value_size))),
    ("LeaveDrainTime", Own(|w, view| span(w, view.config.performance.leave_drain_time))),
    ("LeaveOnTerm", Own(|w, view| w.bool(view.config.leave_on_terminate))),
    ("LocalProxyConfigResyncInterval", Fixed(r#""30s""#)),
    ("Locality", Own(locality)),
    (
        "Logging",
        Object(&[
            ("EnableSyslog", Setting("enable_syslog", "false")),
            ("LogFilePath", Setting("log_file", r#""""#)),
            ("LogJSON", Own(|w, view| w.bool(view.config.log_json))),
            ("LogLevel", Own(|w, view| w.str(&view.config.log_level))),
            ("LogRotateBytes", Setting("log_rotate_bytes", "0")),
            ("LogRotateDuration", Span("log_rotate_duration", "0s")),
            ("LogRotateMaxFiles", Setting("log_rotate_max_files", "0")),
            ("Name", Fixed(r#""""#)),
            ("SyslogFacility", Setting("syslog_facility", r#""LOCAL0""#)),
        ]),
    ),
    ("MaxQueryTime", Own(|w, view| span(w, view.config.max_query_time))),
    ("NodeID", Own(|w, view| w.str(&view.node_id))),
    ("NodeMeta", Own(|w, view| w.str_map(&view.config.node_meta))),
    ("NodeName", Own(|w, view| w.str(&view.config.node_name))),
    ("PeeringEnabled", Fixed("false")),
    ("PeeringTestAllowPeerRegistrations", Setting("peering.test_allow_peer_registrations", "false")),
    ("PidFile", Own(|w, view| w.str(&view.config.pid_file))),
    ("PrimaryDatacenter", Own(|w, view| w.str(&view.config.primary_datacenter))),
    ("PrimaryGateways", Setting("primary_gateways", "[]")),
    ("PrimaryGatewaysInterval", Span("primary_gateways_interval", "30s")),
    ("RPCAdvertiseAddr", Own(|w, view| server_address(w, view, view.config.advertise_addr))),
    ("RPCBindAddr", Own(|w, view| server_address(w, view, view.config.bind_addr))),
    ("RPCClientTimeout", Span("limits.rpc_client_timeout", "1m0s")),
    ("RPCConfig", Object(&[("EnableStreaming", Setting("rpc.enable_streaming", "true"))])),
    ("RPCHandshakeTimeout", Span("limits.rpc_handshake_timeout", "5s")),
    ("RPCHoldTimeout", Own(|w, view| span(w, view.config.performance.rpc_hold_timeout))),
    ("RPCMaxBurst", Setting("limits.rpc_max_burst", "1000")),
    ("RPCMaxConnsPerClient", Setting("limits.rpc_max_conns_per_client", "100")),
    ("RPCProtocol", Setting("protocol", "2")),
    ("RPCRateLimit", Setting("limits.rpc_rate", "1.7976931348623157e+308")),
    (
        "RaftLogStoreConfig",
        Object(&[
            ("Backend", Setting("raft_logstore.backend", r#""default""#)),
            (
                "BoltDB",
                Object(&[("NoFreelistSync", Setting("raft_logstore.boltdb.no_freelist_sync", "false"))]),
            ),
            ("DisableLogCache", Setting("raft_logstore.disable_log_cache", "false")),
            (
                "Verification",
                Object(&[
                    ("Enabled", Setting("raft_logstore.verification.enabled", "false")),
                    ("Interval", Span("raft_logstore.verification.interval", "0s")),
                ]),
            ),
            ("WAL", Object(&[("SegmentSize", Fixed("67108864"))])),
        ]),
    ),
    ("RaftPreVoteDisabled", Setting("raft_prevote_disabled", "false")),
    ("RaftProtocol", Fixed("3")),
    ("RaftSnapshotInterval", Span("raft_snapshot_interval", "30s")),
    ("RaftSnapshotThreshold", Own(|w, view| w.u64(view.config.raft_snapshot_threshold))),
    ("RaftTrailingLogs", Own(|w, view| w.u64(view.config.raft_trailing_logs))),
    ("ReadReplica", Setting("read_replica", "false")),
    ("ReconnectTimeoutLAN", Span("reconnect_timeout", "0s")),
    ("ReconnectTimeoutWAN", Span("reconnect_timeout_wan", "0s")),
    ("RejoinAfterLeave", Setting("rejoin_after_leave", "false")),
    ("Reporting", Fixed(r#"{"License":{"Enabled":false}}"#)),
    ("RequestLimitsMode", Own(|w, view| w.u64(limits_mode(view)))),
    ("RequestLimitsReadRate", Setting("limits.request_limits.read_rate", "1.7976931348623157e+308")),
    ("RequestLimitsWriteRate", Setting("limits.request_limits.write_rate", "1.7976931348623157e+308")),
    ("RetryJoinIntervalLAN", Span("retry_interval", "30s")),
    ("RetryJoinIntervalWAN", Span("retry_interval_wan", "30s")),
    ("RetryJoinLAN", Setting("retry_join", "[]")),
    ("RetryJoinMaxAttemptsLAN", Setting("retry_max", "0")),
    ("RetryJoinMaxAttemptsWAN", Setting("retry_max_wan", "0")),
    ("RetryJoinWAN", Setting("retry_join_wan", "[]")),
    ("Revision", Own(|w, _| w.str(REVISION))),
    ("SegmentLimit", Fixed("64")),
    ("SegmentName", Setting("segment", r#""""#)),
    ("SegmentNameLimit", Fixed("64")),
    ("Segments", Setting("segments", "[]")),
    (
        "SerfAdvertiseAddrLAN",
        Own(|w, view| serf(w, view.config.gossip.lan.advertise, view.config.ports.serf_lan)),
    ),
    (
        "SerfAdvertiseAddrWAN",
        Own(|w, view| serf(w, view.config.gossip.wan.advertise, view.config.ports.serf_wan)),
    ),
    ("SerfAllowedCIDRsLAN", Setting("serf_lan_allowed_cidrs", "[]")),
    ("SerfAllowedCIDRsWAN", Setting("serf_wan_allowed_cidrs", "[]")),
    ("SerfBindAddrLAN", Own(|w, view| serf(w, view.config.gossip.lan.bind, view.config.ports.serf_lan))),
    ("SerfBindAddrWAN", Own(|w, view| serf(w, view.config.gossip.wan.bind, view.config.ports.serf_wan))),
    ("SerfPortLAN", Own(|w, view| port(w, view.config.ports.serf_lan))),
    ("SerfPortWAN", Own(|w, view| port(w, view.config.ports.serf_wan))),
    ("ServerMode", Own(|w, view| w.bool(view.config.server))),
    ("ServerName", Setting("server_name", r#""""#)),
    ("ServerPort", Own(|w, view| w.u64(view.config.ports.server.into()))),
    ("ServerRejoinAgeMax", Span("server_rejoin_age_max", "168h0m0s")),
    ("Services", Own(services)),
    ("SessionTTLMin", Span("session_ttl_min", "0s")),
    ("SkipLeaveOnInt", Own(|w, view| w.bool(view.config.skip_leave_on_interrupt))),
    (
        "StaticRuntimeConfig",
        Object(&[
            ("EncryptVerifyIncoming", Setting("encrypt_verify_incoming", "true")),
            ("EncryptVerifyOutgoing", Setting("encrypt_verify_outgoing", "true")),
        ]),
    ),
    ("SyncCoordinateIntervalMin", Span("sync_coordinate_interval_min", "15s")),
    ("SyncCoordinateRateTarget", Setting("sync_coordinate_rate_target", "64")),
    (
        "TLS",
        Object(&[
            ("AutoTLS", Setting("auto_encrypt.tls", "false")),
            ("Domain", Own(|w, view| w.str(&view.config.domain))),
            ("EnableAgentTLSForChecks", Setting("enable_agent_tls_for_checks", "false")),
            ("GRPC", Object(const { &tls("grpc") })),
            ("HTTPS", Object(const { &tls("https") })),
            ("InternalRPC", Object(const { &tls("internal_rpc") })),
            ("NodeName", Own(|w, view| w.str(&view.config.node_name))),
            ("ServerMode", Own(|w, view| w.bool(view.config.server))),
            ("ServerName", Setting("server_name", r#""""#)),
        ]),
    ),
    ("TaggedAddresses", Own(tagged_addresses)),
    (
        "Telemetry",
        Object(&[
            ("AllowedPrefixes", Own(|w, view| w.strs(prefixes(view, "+")))),
            ("BlockedPrefixes", Own(|w, view| w.strs(prefixes(view, "-")))),
            ("CirconusAPIApp", Setting("telemetry.circonus_api_app", r#""""#)),
            ("CirconusAPIToken", Fixed(r#""hidden""#)),
            ("CirconusAPIURL", Setting("telemetry.circonus_api_url", r#""""#)),
            ("CirconusBrokerID", Setting("telemetry.circonus_broker_id", r#""""#)),
            ("CirconusBrokerSelectTag", Setting("telemetry.circonus_broker_select_tag", r#""""#)),
            ("CirconusCheckDisplayName", Setting("telemetry.circonus_check_display_name", r#""""#)),
            (
                "CirconusCheckForceMetricActivation",
                Setting("telemetry.circonus_check_force_metric_activation", r#""""#),
            ),
            ("CirconusCheckID", Setting("telemetry.circonus_check_id", r#""""#)),
            ("CirconusCheckInstanceID", Setting("telemetry.circonus_check_instance_id", r#""""#)),
            ("CirconusCheckSearchTag", Setting("telemetry.circonus_check_search_tag", r#""""#)),
            ("CirconusCheckTags", Setting("telemetry.circonus_check_tags", r#""""#)),
            ("CirconusSubmissionInterval", Setting("telemetry.circonus_submission_interval", r#""""#)),
            ("CirconusSubmissionURL", Setting("telemetry.circonus_submission_url", r#""""#)),
            ("Disable", Setting("telemetry.disable", "false")),
            ("DisableHostname", Own(|w, view| w.bool(view.config.disable_hostname))),
            (
                "DisablePerTenancyUsageMetrics",
                Setting("telemetry.disable_per_tenancy_usage_metrics", "false"),
            ),
            ("DogstatsdAddr", Setting("telemetry.dogstatsd_addr", r#""""#)),
            ("DogstatsdTags", Setting("telemetry.dogstatsd_tags", "[]")),
            ("EnableHostMetrics", Setting("telemetry.enable_host_metrics", "false")),
            ("FilterDefault", Setting("telemetry.filter_default", "true")),
            ("MetricsPrefix", Own(|w, view| w.str(&view.config.metrics_prefix))),
            (
                "PrometheusOpts",
                Object(&[
                    ("CounterDefinitions", Fixed("[]")),
                    ("Expiration", Own(|w, view| span(w, view.config.prometheus_retention_time))),
                    ("GaugeDefinitions", Fixed("[]")),
                    ("Name", Own(|w, view| w.str(&view.config.metrics_prefix))),
                    ("Registerer", Fixed("null")),
                    ("SummaryDefinitions", Fixed("[]")),
                ]),
            ),
            ("RetryFailedConfiguration", Setting("telemetry.retry_failed_connection", "true")),
            ("StatsdAddr", Setting("telemetry.statsd_address", r#""""#)),
            ("StatsiteAddr", Setting("telemetry.statsite_address", r#""""#)),
        ]),
    ),
    ("TranslateWANAddrs", Setting("translate_wan_addrs", "false")),
    ("TxnMaxReqLen", Own(|w, view| size(w, view.config.txn_max_req_len))),
    (
        "UIConfig",
        Object(&[
            ("ContentPath", Setting("ui_config.content_path", r#""/ui/""#)),
            ("DashboardURLTemplates", Setting("ui_config.dashboard_url_templates", "{}")),
            ("Dir", Setting("ui_config.dir", r#""""#)),
            ("Enabled", Own(|w, view| w.bool(view.config.ui_enabled))),
            ("HCPEnabled", Fixed("false")),
            ("MetricsProvider", Setting("ui_config.metrics_provider", r#""""#)),
            ("MetricsProviderFiles", Setting("ui_config.metrics_provider_files", "[]")),
            ("MetricsProviderOptionsJSON", Setting("ui_config.metrics_provider_options_json", r#""""#)),
            (
                "MetricsProxy",
                Object(&[
                    ("AddHeaders", Fixed("[]")),
                    ("BaseURL", Setting("ui_config.metrics_proxy.base_url", r#""""#)),
                    ("PathAllowlist", Setting("ui_config.metrics_proxy.path_allowlist", "[]")),
                ]),
            ),
        ]),
    ),
    ("UnixSocketGroup", Setting("unix_sockets.group", r#""""#)),
    ("UnixSocketMode", Setting("unix_sockets.mode", r#""""#)),
    ("UnixSocketUser", Setting("unix_sockets.user", r#""""#)),
    ("UseStreamingBackend", Setting("use_streaming_backend", "true")),
    ("Version", Own(|w, _| w.str(VERSION))),
    ("VersionMetadata", Fixed(r#""""#)),
    ("VersionPrerelease", Fixed(r#""""#)),
    // Consul shows that there are some, and nothing of them.
    ("Watches", Own(|w, view| w.array(|w| view.config.watches.iter().for_each(|_| w.object(|_| {}))))),
    ("XDSUpdateRateLimit", Setting("xds.update_max_per_second", "250")),
];
