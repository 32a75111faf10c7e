//! The validated configuration that every part reads.

use super::gossip::Gossip;
use super::network::Network;
use super::tree;
use crate::Str;
use crate::metrics::Filter;
use crate::types::{AutopilotConfig, CheckDefinition, Locality, ServiceDefinition};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use serde_json::{Map, Value};

/// Everything a node needs to know, after merge, defaults and validation.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // each field is the configuration key of the same name
pub struct RuntimeConfig {
    pub node_name: Str,
    /// Empty: the driver reads or makes the one in the data directory.
    pub node_id: String,
    pub node_meta: BTreeMap<Str, Str>,
    pub datacenter: Str,
    pub primary_datacenter: Str,
    /// With a trailing dot, lower case: `consul.`
    pub domain: String,
    pub alt_domain: String,
    /// Empty only in dev mode.
    pub data_dir: String,
    pub dev_mode: bool,
    pub server: bool,
    /// This server may elect itself alone: `bootstrap`, `bootstrap_expect = 1` or dev mode.
    pub bootstrap: bool,
    /// Servers to wait for before the first election; 1 when `bootstrap`, 0 to join a cluster.
    pub bootstrap_expect: u32,
    pub bind_addr: IpAddr,
    pub advertise_addr: IpAddr,
    /// `client_addr`: where listeners bind unless `addresses` says otherwise; may be empty.
    pub client_addrs: Vec<IpAddr>,
    /// Where HTTP listens: `addresses.http`, else `client_addrs`.
    pub http_addrs: Vec<IpAddr>,
    /// Paths of unix sockets on which HTTP listens besides.
    pub http_sockets: Vec<String>,
    pub unix_sockets: UnixSockets,
    /// Where DNS listens: `addresses.dns`, else `client_addrs`.
    pub dns_addrs: Vec<IpAddr>,
    pub ports: Ports,
    pub dns: DnsConfig,
    /// `host` or `host:port`.
    pub recursors: Vec<String>,
    pub performance: Performance,
    pub http: HttpLimits,
    pub ui_enabled: bool,
    pub enable_script_checks: bool,
    pub enable_local_script_checks: bool,
    pub check_update_interval: Duration,
    pub check_output_max_size: usize,
    pub discard_check_output: bool,
    /// `enable_agent_tls_for_checks`: checks over TLS use the agent's own files.
    pub tls_for_checks: Option<Arc<AgentTls>>,
    /// Least time a critical service may stay before it is removed (default 1 min).
    pub check_deregister_interval_min: Duration,
    /// How often critical services are looked at for removal (default 30 s).
    pub check_reap_interval: Duration,
    pub ae_interval: Duration,
    pub coordinates: Coordinates,
    /// How often the agent's cache may ask servers one question: `cache`.
    pub cache: FetchRate,
    /// `autopilot`: what a new cluster begins with.
    pub autopilot: AutopilotConfig,
    pub default_query_time: Duration,
    pub max_query_time: Duration,
    pub kv_max_value_size: usize,
    pub txn_max_req_len: usize,
    /// Connections to the server port from one address; 0: no limit.
    pub rpc_max_conns_per_client: usize,
    /// How long a connection to the server port may take to say what it is for.
    pub rpc_handshake_timeout: Duration,
    pub raft_snapshot_threshold: u64,
    pub raft_trailing_logs: u64,
    /// Whether waiting and cached reads of health are shown as those of Consul's streaming backend.
    pub use_streaming_backend: bool,
    /// Whether a server takes subscriptions of agents.
    pub enable_streaming: bool,
    /// Whether nodes and services of other datacenters are shown where they are reached from here.
    pub translate_wan_addrs: bool,
    pub leave_on_terminate: bool,
    pub skip_leave_on_interrupt: bool,
    pub log_level: String,
    pub log_json: bool,
    /// Empty: standard output only.
    pub log_file: String,
    /// 0: no limit.
    pub log_rotate_bytes: u64,
    pub log_rotate_duration: Duration,
    /// 0: keep all; negative: keep none but the current.
    pub log_rotate_max_files: i64,
    pub prometheus_retention_time: Duration,
    pub disable_hostname: bool,
    pub metrics_prefix: String,
    /// `telemetry.prefix_filter` and `telemetry.filter_default`.
    pub metrics_filter: Filter,
    /// The gossip pools, and whom they join.
    pub gossip: Gossip,
    pub enable_debug: bool,
    pub disable_http_unprintable_char_filter: bool,
    pub disable_update_check: bool,
    pub pid_file: String,
    /// The gossip protocol asked for; there is one.
    pub protocol: i64,
    pub tagged_addresses: BTreeMap<Str, Str>,
    pub locality: Option<Locality>,
    pub session_ttl_min: Duration,
    /// Services from the configuration files, in order.
    pub services: Vec<ServiceDefinition>,
    /// Checks from the configuration files, in order.
    pub checks: Vec<CheckDefinition>,
    /// `watches` as written; [`crate::plan::Plan`] reads them.
    pub watches: Vec<Map<String, Value>>,
    /// Keys that are known but whose feature this version does not have, in the order met; the
    /// driver logs one warning for each.
    pub not_built_yet: Vec<String>,
    /// Protection that was asked for and that this version does not give (ACLs, TLS, gossip
    /// encryption), one sentence each: the driver logs them as errors, or refuses to start.
    pub unprotected: Vec<String>,
    /// Other warnings, ready to print.
    pub warnings: Vec<String>,
    /// What the files and flags say, before defaults.
    pub written: Written,
}

/// The agent's own TLS files, as paths; empty: none. `tls.internal_rpc`, else `tls.defaults`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct AgentTls {
    pub ca_file: String,
    pub ca_path: String,
    pub cert_file: String,
    pub key_file: String,
}

/// A configuration as written, to be shown: without secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Written(Arc<Map<String, Value>>);

impl core::fmt::Debug for Written {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Written(..)")
    }
}

impl Written {
    /// What holds secrets that are not worth telling from the rest.
    const SECRET: [&str; 8] =
        ["encrypt", "auto_config", "cloud", "check", "checks", "service", "services", "watches"];

    pub(super) fn of(tree: &Map<String, Value>) -> Written {
        let mut shown = tree.clone();
        Written::SECRET.iter().for_each(|key| drop(shown.remove(*key)));
        if let Some(Value::Object(acl)) = shown.get_mut("acl") {
            acl.remove("tokens");
        }
        if let Some(Value::Object(connect)) = shown.get_mut("connect") {
            connect.remove("ca_config");
        }
        Written(Arc::new(shown))
    }

    /// The value at a dotted path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        tree::get(&self.0, path)
    }
}

/// To whom unix sockets belong, and who may connect to them. What is empty is left as the system makes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UnixSockets {
    /// A name or a number.
    pub user: String,
    /// A number.
    pub group: String,
    /// In octal digits.
    pub mode: String,
}

/// Listening ports; `None` is off (`-1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Ports {
    pub dns: Option<u16>,
    pub http: Option<u16>,
    pub https: Option<u16>,
    pub grpc: Option<u16>,
    pub grpc_tls: Option<u16>,
    pub serf_lan: Option<u16>,
    pub serf_wan: Option<u16>,
    pub server: u16,
}

/// `dns_config`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct DnsConfig {
    pub allow_stale: bool,
    pub max_stale: Duration,
    pub node_ttl: Duration,
    /// Exact name, or prefix with a trailing `*`, to TTL.
    pub service_ttl: BTreeMap<String, Duration>,
    pub enable_truncate: bool,
    pub only_passing: bool,
    /// Forward to recursors in random order instead of in the order given.
    pub recursor_random: bool,
    pub recursor_timeout: Duration,
    pub udp_answer_limit: usize,
    pub a_record_limit: usize,
    pub disable_compression: bool,
    pub enable_additional_node_meta_txt: bool,
    /// Seconds: refresh, retry, expire, min_ttl.
    pub soa: [u32; 4],
}

/// `performance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Performance {
    /// 1 (fastest) to 10; Consul's default is 5.
    pub raft_multiplier: u32,
    pub leave_drain_time: Duration,
    pub rpc_hold_timeout: Duration,
}

/// How nodes tell where they are in the space of round-trip times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    /// `disable_coordinates`: they do not, and nobody is told.
    pub disabled: bool,
    /// `sync_coordinate_interval_min`: how often a node of a small datacenter tells.
    pub interval_min: Duration,
    /// `sync_coordinate_rate_target`: how many nodes of a large one tell per second.
    pub rate_target: f64,
    /// `consul.coordinate.update_period`: how long a leader gathers.
    pub update_period: Duration,
    /// `consul.coordinate.update_batch_size`: how many it writes in one entry of the log.
    pub batch_size: usize,
    /// `consul.coordinate.update_max_batches`: how many entries it writes each time.
    pub max_batches: usize,
}

impl Default for Coordinates {
    fn default() -> Coordinates {
        Coordinates {
            disabled: false,
            interval_min: Duration::from_secs(15),
            rate_target: 64.0,
            update_period: Duration::from_secs(5),
            batch_size: 128,
            max_batches: 5,
        }
    }
}

/// `http_config`, and the limits on HTTP clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HttpLimits {
    pub max_conns_per_client: usize,
    /// 0: 1 MiB.
    pub max_header_bytes: usize,
    pub use_cache: bool,
    /// `discovery_max_stale`: reads of catalog and health that do not say how fresh they want to be may be so old; 0:
    /// they are answered by the leader.
    pub discovery_max_stale: Duration,
    /// Path prefixes answered with 403.
    pub block_endpoints: Vec<String>,
    /// Networks that may write; empty: all.
    pub allow_write_http_from: Vec<Network>,
    /// Added to every response; read at start only.
    pub response_headers: BTreeMap<String, String>,
}

/// How often one question of the cache may be asked: `cache.entry_fetch_rate` and `entry_fetch_max_burst`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FetchRate {
    /// Questions a second; infinite: as many as there are.
    pub per_second: f64,
    /// So many may go out at once.
    pub burst: u32,
}

impl Default for FetchRate {
    fn default() -> FetchRate {
        FetchRate { per_second: f64::INFINITY, burst: 2 }
    }
}

impl FetchRate {
    /// Whether it holds anything back.
    pub fn is_limited(&self) -> bool {
        self.per_second.is_finite()
    }
}

impl RuntimeConfig {
    /// How large the body of a transaction may be, in bytes: room for one value as large as may be, whatever
    /// `txn_max_req_len` says.
    pub fn max_txn_body(&self) -> usize {
        self.txn_max_req_len.max(self.kv_max_value_size)
    }
}

impl Default for RuntimeConfig {
    /// Consul's defaults for a server on loopback, without gossip; what a file or flag changes is laid over this.
    fn default() -> Self {
        RuntimeConfig {
            node_name: Str::from("node"),
            node_id: String::new(),
            node_meta: BTreeMap::new(),
            datacenter: Str::from("dc1"),
            primary_datacenter: Str::from("dc1"),
            domain: String::from("consul."),
            alt_domain: String::new(),
            data_dir: String::new(),
            dev_mode: false,
            server: false,
            bootstrap: false,
            bootstrap_expect: 0,
            bind_addr: IpAddr::from([0, 0, 0, 0]),
            advertise_addr: IpAddr::from([127, 0, 0, 1]),
            client_addrs: alloc::vec![IpAddr::from([127, 0, 0, 1])],
            http_addrs: alloc::vec![IpAddr::from([127, 0, 0, 1])],
            http_sockets: Vec::new(),
            unix_sockets: UnixSockets::default(),
            dns_addrs: alloc::vec![IpAddr::from([127, 0, 0, 1])],
            ports: Ports {
                dns: Some(8600),
                http: Some(8500),
                https: None,
                grpc: None,
                grpc_tls: None,
                serf_lan: None,
                serf_wan: None,
                server: 8300,
            },
            dns: DnsConfig {
                allow_stale: true,
                max_stale: Duration::from_secs(87_600 * 3600),
                node_ttl: Duration::ZERO,
                service_ttl: BTreeMap::new(),
                enable_truncate: false,
                only_passing: false,
                recursor_random: false,
                recursor_timeout: Duration::from_secs(2),
                udp_answer_limit: 3,
                a_record_limit: 0,
                disable_compression: false,
                enable_additional_node_meta_txt: true,
                soa: [3600, 600, 86400, 0],
            },
            recursors: Vec::new(),
            performance: Performance {
                raft_multiplier: 5,
                leave_drain_time: Duration::from_secs(5),
                rpc_hold_timeout: Duration::from_secs(7),
            },
            http: HttpLimits {
                max_conns_per_client: 200,
                max_header_bytes: 0,
                use_cache: true,
                discovery_max_stale: Duration::ZERO,
                block_endpoints: Vec::new(),
                allow_write_http_from: Vec::new(),
                response_headers: BTreeMap::new(),
            },
            ui_enabled: false,
            enable_script_checks: false,
            enable_local_script_checks: false,
            check_update_interval: Duration::from_secs(300),
            check_output_max_size: 4096,
            discard_check_output: false,
            tls_for_checks: None,
            check_deregister_interval_min: Duration::from_secs(60),
            check_reap_interval: Duration::from_secs(30),
            ae_interval: Duration::from_secs(60),
            coordinates: Coordinates::default(),
            cache: FetchRate::default(),
            autopilot: AutopilotConfig::default(),
            default_query_time: Duration::from_secs(300),
            max_query_time: Duration::from_secs(600),
            kv_max_value_size: 512 * 1024,
            txn_max_req_len: 512 * 1024,
            rpc_max_conns_per_client: 100,
            rpc_handshake_timeout: Duration::from_secs(5),
            raft_snapshot_threshold: 16384,
            raft_trailing_logs: 10240,
            use_streaming_backend: true,
            enable_streaming: true,
            translate_wan_addrs: false,
            leave_on_terminate: false,
            skip_leave_on_interrupt: true,
            log_level: String::from("INFO"),
            log_json: false,
            log_file: String::new(),
            log_rotate_bytes: 0,
            log_rotate_duration: Duration::from_secs(24 * 3600),
            log_rotate_max_files: 0,
            prometheus_retention_time: Duration::ZERO,
            disable_hostname: false,
            metrics_prefix: String::from("consul"),
            metrics_filter: Filter::default(),
            gossip: Gossip::default(),
            enable_debug: false,
            disable_http_unprintable_char_filter: false,
            disable_update_check: false,
            pid_file: String::new(),
            protocol: 2,
            tagged_addresses: BTreeMap::new(),
            locality: None,
            session_ttl_min: Duration::ZERO,
            services: Vec::new(),
            checks: Vec::new(),
            watches: Vec::new(),
            not_built_yet: Vec::new(),
            unprotected: Vec::new(),
            warnings: Vec::new(),
            written: Written::default(),
        }
    }
}
