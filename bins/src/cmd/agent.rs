//! `agent`: from the command line to what the agent is started with.
//!
//! A flag is a key of the configuration under another name, so this file only writes the flags given
//! into one configuration document, to be merged behind the files. What a key means, and whether its
//! value makes sense, is decided where configuration files are read.

use super::{Body, Command, Context, Outcome};
use crate::flags::{Flag, Parsed};
use lictor_core::config::Flags;
use lictor_io::agent::{self, Launch};
use lictor_io::config_files;
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
    Flag::list("hcl", "fragment", "Configuration fragment in HCL, merged behind the files.").strictly(),
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

/// The flags given, in the form that configuration is loaded with.
fn config_flags(parsed: &Parsed) -> Result<Flags, String> {
    let mut flags = Flags::default();
    for (flag, value) in &parsed.given {
        flags.set(flag.name, value).map_err(|e| e.to_string())?;
    }
    Ok(flags)
}

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    if !cx.flags.args.is_empty() {
        return Err(format!("==> Unexpected extra arguments: [{}]", cx.flags.args.join(" ")));
    }
    let flags = config_flags(&cx.flags)?;
    let config = config_files::load(&flags).map_err(|why| format!("==> {why}"))?;
    let reread = Arc::new(move || config_files::load(&flags));
    Ok(agent::run(Launch { config, reread }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags;
    use lictor_core::config::{HostFacts, RuntimeConfig, load};

    fn of(line: &str) -> Flags {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        config_flags(&flags::parse(FLAGS, &words).expect(line)).expect(line)
    }

    fn config(line: &str) -> RuntimeConfig {
        load(&[], &of(line), &HostFacts::default()).expect(line)
    }

    #[test]
    fn every_flag_shown_in_the_help_is_one_that_configuration_knows() {
        let shown: Vec<&str> = FLAGS.iter().flat_map(|t| t.iter().map(|f| f.name)).collect();
        assert_eq!(shown.len(), 68, "Consul 1.21 has 68");
        for name in shown {
            let known = lictor_core::config::FLAGS.iter().any(|f| f.name == name);
            assert!(known, "-{name} is shown but not known");
        }
    }

    #[test]
    fn files_and_directories_keep_the_order_given() {
        let flags = of("-config-file=b.json -config-dir a -config-file c.hcl -config-format=json");
        assert_eq!(flags.config_paths, ["b.json", "a", "c.hcl"]);
        assert_eq!(flags.config_format, "json");
    }

    #[test]
    fn flags_reach_the_configuration_and_the_last_of_a_repeated_scalar_counts() {
        let config = config(
            "-dev -http-port 18500 -dns-port=-1 -node=a -node n1 -node-meta=rack:r1:x -client 0.0.0.0",
        );
        assert_eq!((config.ports.http, config.ports.dns), (Some(18500), None));
        assert_eq!(&*config.node_name, "n1");
        assert_eq!(config.node_meta.get("rack").map(|v| &**v), Some("r1:x"));
        assert_eq!(config.client_addrs, [std::net::IpAddr::from([0, 0, 0, 0])]);
    }
}
