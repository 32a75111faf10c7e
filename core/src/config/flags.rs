//! The agent's command line: which flags there are, and what each sets.
//!
//! Flags lie over every file: a flag's scalar wins, its list entries are appended.

use super::tree::{self, Tree};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde_json::Value;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// `-x`, `-x=true`, `-x=false`.
    Bool,
    /// `-x=1`, `-x 1`.
    Int,
    /// `-x=text`, `-x text`.
    Text,
    /// As `Text`; may be repeated, each adds one.
    List,
    /// As `Text`, `key:value`; may be repeated, each adds one.
    Map,
}

/// One flag of `agent`.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without the dash.
    pub name: &'static str,
    /// What it takes.
    pub kind: FlagKind,
    /// The configuration key it sets; empty for the flags that say where configuration is.
    key: &'static str,
}

/// The flags given, in the form the configuration is loaded with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    /// `-dev`: Consul's in-memory development server.
    pub dev: bool,
    /// `-config-file` and `-config-dir`, in the order given. Either may name a file or a directory.
    pub config_paths: Vec<String>,
    /// `-config-format`: `json` or `hcl`; empty: by the file's extension.
    pub config_format: String,
    /// `-hcl`: fragments laid over the files, under the flags.
    pub hcl: Vec<String>,
    pub(super) tree: Tree,
}

/// Why a command line was refused. Displays as Go's flag package does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagError {
    /// No such flag.
    Unknown(String),
    /// A flag that takes a value came last, without one.
    NoValue(String),
    /// A value of the wrong form.
    BadValue {
        /// The flag, without the dash.
        flag: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
        /// It was a flag without an argument.
        boolean: bool,
    },
}

impl fmt::Display for FlagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlagError::Unknown(name) => write!(f, "flag provided but not defined: -{name}"),
            FlagError::NoValue(name) => write!(f, "flag needs an argument: -{name}"),
            FlagError::BadValue { flag, value, why, boolean: true } => {
                write!(f, "invalid boolean value {value:?} for -{flag}: {why}")
            }
            FlagError::BadValue { flag, value, why, boolean: false } => {
                write!(f, "invalid value {value:?} for flag -{flag}: {why}")
            }
        }
    }
}

impl core::error::Error for FlagError {}

impl Flags {
    /// Reads a command line as Go's flag package does; the words after the flags come back too.
    pub fn parse(words: &[String]) -> Result<(Flags, Vec<String>), FlagError> {
        let mut flags = Flags::default();
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            let bare = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some(bare) = bare.filter(|_| word.len() > 1) else { break };
            rest = after;
            if bare.is_empty() {
                break;
            }
            let (name, value) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (bare, None),
            };
            let flag = find(name).ok_or_else(|| FlagError::Unknown(name.into()))?;
            let value = match (value, flag.kind) {
                (Some(value), _) => value,
                (None, FlagKind::Bool) => "true",
                (None, _) => match rest.split_first() {
                    Some((value, after)) => {
                        rest = after;
                        value.as_str()
                    }
                    None => return Err(FlagError::NoValue(name.into())),
                },
            };
            flags.put(flag, value)?;
        }
        Ok((flags, rest.to_vec()))
    }

    /// Sets one flag, named without its dash.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), FlagError> {
        let flag = find(name).ok_or_else(|| FlagError::Unknown(name.into()))?;
        self.put(flag, value)
    }

    fn put(&mut self, flag: &Flag, value: &str) -> Result<(), FlagError> {
        let bad = |why: String| FlagError::BadValue {
            flag: flag.name.into(),
            value: value.into(),
            why,
            boolean: flag.kind == FlagKind::Bool,
        };
        match flag.name {
            "dev" => self.dev = boolean(value).map_err(bad)?,
            "config-file" | "config-dir" => self.config_paths.push(value.into()),
            "config-format" => self.config_format = value.into(),
            "hcl" => self.hcl.push(value.into()),
            _ => {
                let present = tree::get(&self.tree, flag.key).cloned();
                let value = match (flag.kind, present) {
                    (FlagKind::Bool, _) => Value::Bool(boolean(value).map_err(bad)?),
                    (FlagKind::Int, _) => Value::from(integer(value).map_err(bad)?),
                    (FlagKind::Text, _) => Value::from(value),
                    (FlagKind::List, Some(Value::Array(mut items))) => {
                        items.push(value.into());
                        Value::Array(items)
                    }
                    (FlagKind::List, _) => Value::Array(Vec::from([Value::from(value)])),
                    (FlagKind::Map, present) => {
                        let mut entries = match present {
                            Some(Value::Object(entries)) => entries,
                            _ => Tree::new(),
                        };
                        let (key, value) = value.split_once(':').unwrap_or((value, ""));
                        entries.insert(key.into(), value.into());
                        Value::Object(entries)
                    }
                };
                tree::set(&mut self.tree, flag.key, value);
            }
        }
        Ok(())
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| {
        let digits = text.trim_start_matches(['-', '+']);
        let why = match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            true => "value out of range",
            false => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {text:?}: {why}")
    })
}

fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

const fn flag(name: &'static str, kind: FlagKind, key: &'static str) -> Flag {
    Flag { name, kind, key }
}

/// Every flag of `agent`, sorted by name.
pub static FLAGS: &[Flag] = &[
    flag("advertise", FlagKind::Text, "advertise_addr"),
    flag("advertise-wan", FlagKind::Text, "advertise_addr_wan"),
    flag("allow-write-http-from", FlagKind::List, "http_config.allow_write_http_from"),
    flag("alt-domain", FlagKind::Text, "alt_domain"),
    flag("auto-reload-config", FlagKind::Bool, "auto_reload_config"),
    flag("bind", FlagKind::Text, "bind_addr"),
    flag("bootstrap", FlagKind::Bool, "bootstrap"),
    flag("bootstrap-expect", FlagKind::Int, "bootstrap_expect"),
    flag("check_output_max_size", FlagKind::Int, "check_output_max_size"),
    flag("client", FlagKind::Text, "client_addr"),
    flag("config-dir", FlagKind::Text, ""),
    flag("config-file", FlagKind::Text, ""),
    flag("config-format", FlagKind::Text, ""),
    flag("data-dir", FlagKind::Text, "data_dir"),
    flag("datacenter", FlagKind::Text, "datacenter"),
    flag("default-query-time", FlagKind::Text, "default_query_time"),
    flag("dev", FlagKind::Bool, ""),
    flag("disable-host-node-id", FlagKind::Bool, "disable_host_node_id"),
    flag("disable-keyring-file", FlagKind::Bool, "disable_keyring_file"),
    flag("dns-port", FlagKind::Int, "ports.dns"),
    flag("domain", FlagKind::Text, "domain"),
    flag("enable-local-script-checks", FlagKind::Bool, "enable_local_script_checks"),
    flag("enable-script-checks", FlagKind::Bool, "enable_script_checks"),
    flag("encrypt", FlagKind::Text, "encrypt"),
    flag("grpc-port", FlagKind::Int, "ports.grpc"),
    flag("grpc-tls-port", FlagKind::Int, "ports.grpc_tls"),
    flag("hcl", FlagKind::Text, ""),
    flag("http-port", FlagKind::Int, "ports.http"),
    flag("https-port", FlagKind::Int, "ports.https"),
    flag("join", FlagKind::List, "start_join"),
    flag("join-wan", FlagKind::List, "start_join_wan"),
    flag("log-file", FlagKind::Text, "log_file"),
    flag("log-json", FlagKind::Bool, "log_json"),
    flag("log-level", FlagKind::Text, "log_level"),
    flag("log-rotate-bytes", FlagKind::Int, "log_rotate_bytes"),
    flag("log-rotate-duration", FlagKind::Text, "log_rotate_duration"),
    flag("log-rotate-max-files", FlagKind::Int, "log_rotate_max_files"),
    flag("max-query-time", FlagKind::Text, "max_query_time"),
    flag("node", FlagKind::Text, "node_name"),
    flag("node-id", FlagKind::Text, "node_id"),
    flag("node-meta", FlagKind::Map, "node_meta"),
    flag("non-voting-server", FlagKind::Bool, "read_replica"),
    flag("pid-file", FlagKind::Text, "pid_file"),
    flag("primary-gateway", FlagKind::List, "primary_gateways"),
    flag("protocol", FlagKind::Int, "protocol"),
    flag("raft-protocol", FlagKind::Int, "raft_protocol"),
    flag("read-replica", FlagKind::Bool, "read_replica"),
    flag("recursor", FlagKind::List, "recursors"),
    flag("rejoin", FlagKind::Bool, "rejoin_after_leave"),
    flag("retry-interval", FlagKind::Text, "retry_interval"),
    flag("retry-interval-wan", FlagKind::Text, "retry_interval_wan"),
    flag("retry-join", FlagKind::List, "retry_join"),
    flag("retry-join-wan", FlagKind::List, "retry_join_wan"),
    flag("retry-max", FlagKind::Int, "retry_max"),
    flag("retry-max-wan", FlagKind::Int, "retry_max_wan"),
    flag("segment", FlagKind::Text, "segment"),
    flag("serf-lan-allowed-cidrs", FlagKind::List, "serf_lan_allowed_cidrs"),
    flag("serf-lan-bind", FlagKind::Text, "serf_lan"),
    flag("serf-lan-port", FlagKind::Int, "ports.serf_lan"),
    flag("serf-wan-allowed-cidrs", FlagKind::List, "serf_wan_allowed_cidrs"),
    flag("serf-wan-bind", FlagKind::Text, "serf_wan"),
    flag("serf-wan-port", FlagKind::Int, "ports.serf_wan"),
    flag("server", FlagKind::Bool, "server"),
    flag("server-port", FlagKind::Int, "ports.server"),
    flag("syslog", FlagKind::Bool, "enable_syslog"),
    flag("ui", FlagKind::Bool, "ui_config.enabled"),
    flag("ui-content-path", FlagKind::Text, "ui_config.content_path"),
    flag("ui-dir", FlagKind::Text, "ui_config.dir"),
];
