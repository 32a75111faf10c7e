//! `agent`: from the command line to what the agent is started with.
//!
//! A flag is a key of the configuration under another name, so this file only writes the flags given
//! into one configuration document, to be merged with the files. What a key means, and whether its
//! value makes sense, is decided where configuration files are read.

use serde_json::{Map, Value, json};

use super::{Body, Command, Context, Outcome};
use crate::flags::{Flag, Kind, Parsed};
use lictor_core::config::Flags;
use lictor_io::agent::{self, Launch};
use lictor_io::config_files::{self, ConfigFiles};
use std::sync::Arc;

pub(super) static COMMAND: Command = Command {
    name: "agent",
    synopsis: "Runs an agent",
    usage: "[options]",
    about: "
Runs an agent until it is interrupted: a server, which keeps the registry, or a
client, which registers local services and forwards to servers.

A server of its own, in memory, to try things out:

    $ {prog} agent -dev

A server with files:

    $ {prog} agent -server -bootstrap-expect=1 -data-dir=/var/lib/{prog}

A client that joins it:

    $ {prog} agent -data-dir=/var/lib/{prog} -retry-join=10.0.0.1

Flags add to the configuration files and win over them.",
    body: Body::Leaf { api: &[], own: FLAGS, run },
};

/// Every flag of the agent.
pub const FLAGS: &[&[Flag]] = &[FILES, KEYS_TABLE];

/// What an agent is started with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentFlags {
    /// `-config-file` and `-config-dir`, in the order given; either may name a file or a directory.
    pub config_paths: Vec<String>,
    /// `-config-format`: how to read files whatever their extension, `json` or `hcl`.
    pub config_format: Option<String>,
    /// `-hcl`: fragments merged last.
    pub hcl: Vec<String>,
    /// `-dev`: start from development defaults.
    pub dev: bool,
    /// All other flags as one document with the keys of a configuration file.
    pub overrides: Value,
}

const FILES: &[Flag] = &[
    Flag::list("config-dir", "path", "Directory of .json and .hcl files to read, in alphabetical order.")
        .strictly(),
    Flag::list(
        "config-file",
        "path",
        "Configuration file to read, .json or .hcl; a directory is read as one.",
    )
    .strictly(),
    Flag::text("config-format", "format", "Read every file as this, whatever its extension: json or hcl."),
    Flag::switch("dev", "Development mode: a server in memory, on loopback, with the UI and debug log."),
    Flag::list("hcl", "fragment", "Configuration fragment in HCL, merged behind files and flags.").strictly(),
];

/// Key of the configuration, dots between its levels, that a flag writes to.
const KEYS: &[(&str, &str)] = &[
    ("advertise", "advertise_addr"),
    ("advertise-wan", "advertise_addr_wan"),
    ("allow-write-http-from", "http_config.allow_write_http_from"),
    ("alt-domain", "alt_domain"),
    ("auto-reload-config", "auto_reload_config"),
    ("bind", "bind_addr"),
    ("bootstrap", "bootstrap"),
    ("bootstrap-expect", "bootstrap_expect"),
    ("check_output_max_size", "check_output_max_size"),
    ("client", "client_addr"),
    ("data-dir", "data_dir"),
    ("datacenter", "datacenter"),
    ("default-query-time", "default_query_time"),
    ("disable-host-node-id", "disable_host_node_id"),
    ("disable-keyring-file", "disable_keyring_file"),
    ("dns-port", "ports.dns"),
    ("domain", "domain"),
    ("enable-local-script-checks", "enable_local_script_checks"),
    ("enable-script-checks", "enable_script_checks"),
    ("encrypt", "encrypt"),
    ("grpc-port", "ports.grpc"),
    ("grpc-tls-port", "ports.grpc_tls"),
    ("http-port", "ports.http"),
    ("https-port", "ports.https"),
    ("join", "retry_join"),
    ("join-wan", "retry_join_wan"),
    ("log-file", "log_file"),
    ("log-json", "log_json"),
    ("log-level", "log_level"),
    ("log-rotate-bytes", "log_rotate_bytes"),
    ("log-rotate-duration", "log_rotate_duration"),
    ("log-rotate-max-files", "log_rotate_max_files"),
    ("max-query-time", "max_query_time"),
    ("node", "node_name"),
    ("node-id", "node_id"),
    ("node-meta", "node_meta"),
    ("non-voting-server", "read_replica"),
    ("pid-file", "pid_file"),
    ("primary-gateway", "primary_gateways"),
    ("protocol", "protocol"),
    ("raft-protocol", "raft_protocol"),
    ("read-replica", "read_replica"),
    ("recursor", "recursors"),
    ("rejoin", "rejoin_after_leave"),
    ("retry-interval", "retry_interval"),
    ("retry-interval-wan", "retry_interval_wan"),
    ("retry-join", "retry_join"),
    ("retry-join-wan", "retry_join_wan"),
    ("retry-max", "retry_max"),
    ("retry-max-wan", "retry_max_wan"),
    ("segment", "segment"),
    ("serf-lan-allowed-cidrs", "serf_lan_allowed_cidrs"),
    ("serf-lan-bind", "serf_lan"),
    ("serf-lan-port", "ports.serf_lan"),
    ("serf-wan-allowed-cidrs", "serf_wan_allowed_cidrs"),
    ("serf-wan-bind", "serf_wan"),
    ("serf-wan-port", "ports.serf_wan"),
    ("server", "server"),
    ("server-port", "ports.server"),
    ("syslog", "enable_syslog"),
    ("ui", "ui_config.enabled"),
    ("ui-content-path", "ui_config.content_path"),
    ("ui-dir", "ui_config.dir"),
];

const KEYS_TABLE: &[Flag] = &[
    Flag::text("advertise", "address", "Address that others in the cluster reach this agent at.")
        .or("the bind address")
        .strictly(),
    Flag::text("advertise-wan", "address", "Address that other datacenters reach this server at.")
        .or("-advertise")
        .strictly(),
    Flag::list(
        "allow-write-http-from",
        "cidr",
        "Network that may call the writing endpoints of the HTTP API.",
    )
    .strictly(),
    Flag::text("alt-domain", "domain", "Second domain that DNS answers for.").strictly(),
    Flag::switch("auto-reload-config", "Reload when a configuration file changes.").strictly(),
    Flag::text("bind", "address", "Address for traffic inside the cluster.").or("0.0.0.0").strictly(),
    Flag::switch("bootstrap", "Let this server elect itself; for the first server of a cluster only.")
        .strictly(),
    Flag::int("bootstrap-expect", "Number of servers to wait for before the first election.")
        .or("0")
        .strictly(),
    Flag::int("check_output_max_size", "Bytes of a check's output to keep.").or("4096").strictly(),
    Flag::text("client", "address", "Address of the HTTP, DNS and gRPC listeners.")
        .or("127.0.0.1")
        .strictly(),
    Flag::text("data-dir", "path", "Directory for everything the agent must remember.").strictly(),
    Flag::text("datacenter", "name", "Datacenter of this agent.").or("dc1").strictly(),
    Flag::text("default-query-time", "duration", "How long a blocking query waits when it does not say.")
        .or("300s")
        .strictly(),
    Flag::switch("disable-host-node-id", "Draw the node ID at random, not from the host.")
        .or("true")
        .strictly(),
    Flag::switch("disable-keyring-file", "Keep gossip keys in memory only.").strictly(),
    Flag::int("dns-port", "Port of DNS, UDP and TCP; -1 turns it off.").or("8600").strictly(),
    Flag::text("domain", "domain", "Domain that DNS answers for.").or("consul.").strictly(),
    Flag::switch("enable-local-script-checks", "Run script checks that configuration files define.")
        .strictly(),
    Flag::switch("enable-script-checks", "Run script checks, also those registered over HTTP.").strictly(),
    Flag::text("encrypt", "key", "Gossip encryption key, base 64; see keygen.").strictly(),
    Flag::int("grpc-port", "Port of gRPC; -1 turns it off.").or("-1, with -dev 8502").strictly(),
    Flag::int("grpc-tls-port", "Port of gRPC over TLS; -1 turns it off.").or("8503 on servers").strictly(),
    Flag::int("http-port", "Port of the HTTP API; -1 turns it off.").or("8500").strictly(),
    Flag::int("https-port", "Port of the HTTP API over TLS; -1 turns it off.").or("-1").strictly(),
    Flag::list("join", "address", "Deprecated: same as -retry-join.").strictly(),
    Flag::list("join-wan", "address", "Deprecated: same as -retry-join-wan.").strictly(),
    Flag::text("log-file", "path", "Write the log to this file too.").strictly(),
    Flag::switch("log-json", "Log in JSON.").strictly(),
    Flag::text("log-level", "level", "Least level to log: trace, debug, info, warn or error.")
        .or("info")
        .strictly(),
    Flag::int("log-rotate-bytes", "Size at which a new log file begins.").or("0, no limit").strictly(),
    Flag::text("log-rotate-duration", "duration", "Age at which a new log file begins.").or("24h").strictly(),
    Flag::int("log-rotate-max-files", "Number of old log files to keep; 0 keeps all.").or("0").strictly(),
    Flag::text("max-query-time", "duration", "Longest wait a blocking query may ask for.")
        .or("600s")
        .strictly(),
    Flag::text("node", "name", "Name of this node, unique in the cluster.").or("the host's name").strictly(),
    Flag::text("node-id", "uuid", "ID of this node.")
        .or("drawn at random and kept in the data directory")
        .strictly(),
    Flag::list("node-meta", "key:value", "Metadata of this node.").strictly(),
    Flag::switch("non-voting-server", "Consul Enterprise only: has no effect.").strictly(),
    Flag::text("pid-file", "path", "File to write the process ID to.").strictly(),
    Flag::list("primary-gateway", "address", "Mesh gateway of the primary datacenter.").strictly(),
    Flag::int("protocol", "Gossip protocol version.").or("2").strictly(),
    Flag::int("raft-protocol", "Raft protocol version.").or("3").strictly(),
    Flag::switch("read-replica", "Consul Enterprise only: has no effect.").strictly(),
    Flag::list("recursor", "address", "DNS server to pass on what is outside the domain.").strictly(),
    Flag::switch("rejoin", "Join again after a restart even if the agent had left.").strictly(),
    Flag::text("retry-interval", "duration", "Time between attempts to join.").or("30s").strictly(),
    Flag::text("retry-interval-wan", "duration", "Time between attempts to join over WAN.")
        .or("30s")
        .strictly(),
    Flag::list("retry-join", "address", "Agent to join, tried again until it works.").strictly(),
    Flag::list(
        "retry-join-wan",
        "address",
        "Server of another datacenter to join, tried again until it works.",
    )
    .strictly(),
    Flag::int("retry-max", "Attempts to join before giving up; 0 never gives up.").or("0").strictly(),
    Flag::int("retry-max-wan", "Attempts to join over WAN before giving up; 0 never gives up.")
        .or("0")
        .strictly(),
    Flag::text("segment", "name", "Consul Enterprise only: has no effect.").strictly(),
    Flag::list("serf-lan-allowed-cidrs", "cidr", "Network whose members may join the LAN pool.").strictly(),
    Flag::text("serf-lan-bind", "address", "Address of LAN gossip.").or("the bind address").strictly(),
    Flag::int("serf-lan-port", "Port of LAN gossip.").or("8301").strictly(),
    Flag::list("serf-wan-allowed-cidrs", "cidr", "Network whose members may join the WAN pool.").strictly(),
    Flag::text("serf-wan-bind", "address", "Address of WAN gossip.").or("the bind address").strictly(),
    Flag::int("serf-wan-port", "Port of WAN gossip; -1 turns it off.").or("8302").strictly(),
    Flag::switch("server", "Run as a server.").strictly(),
    Flag::int("server-port", "Port of the servers' RPC.").or("8300").strictly(),
    Flag::switch("syslog", "Log to syslog too.").strictly(),
    Flag::switch("ui", "Serve the web UI.").strictly(),
    Flag::text("ui-content-path", "path", "Path of the web UI.").or("/ui/").strictly(),
    Flag::text("ui-dir", "path", "Serve the web UI from this directory.").strictly(),
];

impl AgentFlags {
    /// Where the configuration is, and what lies over it.
    pub fn files(&self) -> ConfigFiles {
        ConfigFiles {
            paths: self.config_paths.clone(),
            format: self.config_format.clone(),
            flags: Flags { dev: self.dev, hcl: self.hcl.clone(), overrides: self.overrides.clone() },
        }
    }

    /// The flags given, written as configuration.
    pub fn from_parsed(parsed: &Parsed) -> AgentFlags {
        let mut flags = AgentFlags { overrides: json!({}), ..AgentFlags::default() };
        for (flag, value) in &parsed.given {
            match flag.name {
                "config-file" | "config-dir" => flags.config_paths.push(value.clone()),
                "config-format" => flags.config_format = Some(value.clone()),
                "hcl" => flags.hcl.push(value.clone()),
                "dev" => flags.dev = value == "true",
                name => {
                    let key = KEYS
                        .iter()
                        .find(|(n, _)| *n == name)
                        .expect("a test holds KEYS and flags together")
                        .1;
                    write(slot(&mut flags.overrides, key), flag, value);
                }
            }
        }
        flags
    }
}

/// The place of a dotted key in `document`.
fn slot<'a>(document: &'a mut Value, key: &str) -> &'a mut Value {
    key.split('.').fold(document, |at, level| {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        &mut at[level]
    })
}

/// Writes one flag; repeatable ones append, the others replace.
fn write(at: &mut Value, flag: &Flag, value: &str) {
    match (flag.name, flag.kind) {
        ("node-meta", _) => {
            let (key, value) = value.split_once(':').unwrap_or((value, ""));
            *slot_of(at, key) = json!(value);
        }
        (_, Kind::List | Kind::Pairs) => match at {
            Value::Array(list) => list.push(json!(value)),
            other => *other = json!([value]),
        },
        (_, Kind::Bool) => *at = json!(value == "true"),
        (_, Kind::Int | Kind::Uint) => *at = json!(value.parse::<i64>().expect("checked while parsing")),
        (_, Kind::Text) => *at = json!(value),
    }
}

fn slot_of<'a>(at: &'a mut Value, key: &str) -> &'a mut Value {
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    &mut at[key]
}

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    if !cx.flags.args.is_empty() {
        return Err(format!("==> Unexpected extra arguments: [{}]", cx.flags.args.join(" ")));
    }
    let flags = AgentFlags::from_parsed(&cx.flags);
    if !matches!(flags.config_format.as_deref(), None | Some("" | "json" | "hcl")) {
        return Err("==> config: -config-format must be either 'hcl' or 'json'".to_owned());
    }
    let files = flags.files();
    let config = config_files::load(&files).map_err(|why| format!("==> {why}"))?;
    let reread = Arc::new(move || config_files::load(&files));
    Ok(agent::run(Launch { config, reread }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags;
    use lictor_core::config::{self, HostFacts};

    fn of(line: &str) -> AgentFlags {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        AgentFlags::from_parsed(&flags::parse(FLAGS, &words).expect(line))
    }

    #[test]
    fn every_flag_but_the_five_about_sources_has_a_key_and_no_key_is_without_its_flag() {
        let mut named: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
        let mut flags: Vec<&str> = KEYS_TABLE.iter().map(|f| f.name).collect();
        named.sort_unstable();
        flags.sort_unstable();
        assert_eq!(named, flags);
        assert_eq!(flags.len() + FILES.len(), 68, "Consul 1.21 has 68");
    }

    #[test]
    fn configuration_knows_the_key_of_every_flag_and_takes_its_kind() {
        let host = HostFacts { hostname: "h".to_owned(), ..HostFacts::default() };
        for flag in KEYS_TABLE {
            let value = match flag.kind {
                Kind::Bool => "true",
                Kind::Int | Kind::Uint => "3",
                Kind::Text | Kind::List | Kind::Pairs => "10.0.0.1",
            };
            let line = format!("-dev -{}={value}", flag.name);
            // Some of these values are refused; the key and the kind of value must not be.
            if let Err(error) = config::load(&[], &of(&line).files().flags, &host) {
                let text = error.to_string();
                assert!(
                    !text.contains("invalid config key") && !text.contains("expected type"),
                    "{line}: {text}"
                );
            }
        }
    }

    #[test]
    fn files_and_directories_keep_the_order_given() {
        let flags = of("-config-file=b.json -config-dir a -config-file c.hcl -config-format=json");
        assert_eq!(flags.config_paths, ["b.json", "a", "c.hcl"]);
        assert_eq!(flags.config_format.as_deref(), Some("json"));
        assert_eq!(flags.overrides, json!({}), "nothing given writes nothing");
    }

    #[test]
    fn flags_become_a_document_with_the_keys_of_a_configuration_file() {
        let flags = of("-server -bootstrap-expect=3 -http-port 18500 -dns-port=-1 -node n1 -ui=false \
             -retry-join a -join b -node-meta=rack:r1:x -node-meta zone -client 0.0.0.0");
        assert_eq!(
            flags.overrides,
            json!({
                "server": true, "bootstrap_expect": 3, "ports": {"http": 18500, "dns": -1},
                "node_name": "n1", "ui_config": {"enabled": false}, "retry_join": ["a", "b"],
                "node_meta": {"rack": "r1:x", "zone": ""}, "client_addr": "0.0.0.0"
            })
        );
        assert!(!flags.dev);
        assert!(of("-dev").dev);
    }

    #[test]
    fn the_last_of_a_repeated_scalar_counts() {
        assert_eq!(
            of("-server=false -server -node=a -node=b").overrides,
            json!({"server": true, "node_name": "b"})
        );
    }
}
