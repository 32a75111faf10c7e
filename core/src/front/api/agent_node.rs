//! `/v1/agent`: the agent itself.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::Request;
use super::super::respond;
use super::super::route::{Finish, Step};
use super::agent_members::{member, own_member};
use super::{agent_call, enable, unexpected};
use crate::COMPATIBLE_VERSION as VERSION;
use crate::agent::AgentRequest;
use crate::call;
use crate::duration;
use crate::front::REVISION;
use crate::gossip::{Coordinate, Member, Stats, Status};
use crate::json::Writer;
use crate::view::View;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::time::Duration;

/// `GET /v1/agent/version`.
pub(in crate::front) fn version(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    Ok(respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field_str("SHA", REVISION);
            w.field_str("BuildDate", "1970-01-01T00:00:01Z");
            w.field_str("HumanVersion", VERSION);
            w.field_str("FIPS", "");
        });
    }))
}

/// `GET /v1/agent/self`: what tools read of it. `DebugConfig` holds the settings that this version has.
pub(in crate::front) fn own(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let view = cx.view;
    let config = &view.config;
    Ok(respond::json(view, rq, |w| {
        w.object(|w| {
            w.field("Config", |w| {
                w.object(|w| {
                    w.field_str("Datacenter", &config.datacenter);
                    w.field_str("PrimaryDatacenter", &config.primary_datacenter);
                    w.field_str("NodeName", &config.node_name);
                    w.field_str("NodeID", &view.node_id);
                    w.field_str("Revision", REVISION);
                    w.field_bool("Server", config.server);
                    w.field_str("Version", VERSION);
                    w.field_str("BuildDate", "1970-01-01T00:00:01Z");
                });
            });
            w.field("DebugConfig", |w| debug_config(w, view));
            match &view.members.coordinate {
                Some(own) => w.field("Coord", |w| coordinate(w, own)),
                None => w.field_raw("Coord", NOWHERE),
            }
            w.field("Member", |w| member(w, &own_member(view)));
            w.field("Stats", |w| stats(w, cx));
            let mut meta: BTreeMap<&str, &str> = config.node_meta.iter().map(|(k, v)| (&**k, &**v)).collect();
            meta.insert("consul-network-segment", "");
            meta.insert("consul-version", VERSION);
            w.field_str_map("Meta", &meta);
        });
    }))
}

/// Where a node is that has measured nothing yet.
const NOWHERE: &[u8] = br#"{"Vec":[0,0,0,0,0,0,0,0],"Error":1.5,"Adjustment":0,"Height":0.00001}"#;

/// A place in the space of round-trip times, in seconds.
pub(super) fn coordinate(w: &mut Writer<'_>, at: &Coordinate) {
    w.object(|w| {
        w.field("Vec", |w| w.array(|w| at.vec.iter().for_each(|x| w.f64(*x))));
        w.field("Error", |w| w.f64(at.error));
        w.field("Adjustment", |w| w.f64(at.adjustment));
        w.field("Height", |w| w.f64(at.height));
    });
}

fn port(port: Option<u16>) -> i64 {
    port.map_or(-1, i64::from)
}

fn debug_config(w: &mut Writer<'_>, view: &View) {
    let config = &view.config;
    let span = |w: &mut Writer<'_>, name: &str, d: Duration| {
        w.field_str(name, &duration::format(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)));
    };
    w.object(|w| {
        w.field_bool("ACLsEnabled", false);
        span(w, "AEInterval", config.ae_interval);
        w.field_str("AdvertiseAddrLAN", &config.advertise_addr.to_string());
        w.field_str("BindAddr", &config.bind_addr.to_string());
        w.field_bool("Bootstrap", config.bootstrap_expect == 1);
        // Expecting one server is the same as `bootstrap`, and shown as that.
        w.field_u64(
            "BootstrapExpect",
            u64::from(if config.bootstrap_expect == 1 { 0 } else { config.bootstrap_expect }),
        );
        span(w, "CheckDeregisterIntervalMin", config.check_deregister_interval_min);
        w.field_u64("CheckOutputMaxSize", config.check_output_max_size as u64);
        span(w, "CheckReapInterval", config.check_reap_interval);
        span(w, "CheckUpdateInterval", config.check_update_interval);
        w.field_strs("ClientAddrs", config.client_addrs.iter().map(|a| a.to_string()));
        w.field_bool("ConnectEnabled", false);
        w.field_bool("DNSAllowStale", config.dns.allow_stale);
        w.field_str("DNSAltDomain", &config.alt_domain);
        w.field_str("DNSDomain", &config.domain);
        w.field_i64("DNSPort", port(config.ports.dns));
        w.field_strs("DNSRecursors", &config.recursors);
        w.field_str("DataDir", &config.data_dir);
        w.field_str("Datacenter", &config.datacenter);
        span(w, "DefaultQueryTime", config.default_query_time);
        w.field_bool("DevMode", config.dev_mode);
        w.field_bool("DisableHTTPUnprintableCharFilter", config.disable_http_unprintable_char_filter);
        w.field_bool("DisableUpdateCheck", config.disable_update_check);
        w.field_bool("DiscardCheckOutput", config.discard_check_output);
        w.field_bool("EnableDebug", config.enable_debug);
        w.field_bool("EnableLocalScriptChecks", config.enable_local_script_checks);
        w.field_bool("EnableRemoteScriptChecks", config.enable_script_checks);
        w.field_i64("GRPCPort", port(config.ports.grpc));
        w.field_i64("GRPCTLSPort", port(config.ports.grpc_tls));
        w.field_u64("HTTPMaxConnsPerClient", config.http.max_conns_per_client as u64);
        w.field_u64("HTTPMaxHeaderBytes", config.http.max_header_bytes as u64);
        w.field_i64("HTTPPort", port(config.ports.http));
        w.field_i64("HTTPSPort", port(config.ports.https));
        w.field_bool("HTTPUseCache", config.http.use_cache);
        w.field_u64("KVMaxValueSize", config.kv_max_value_size as u64);
        span(w, "LeaveDrainTime", config.performance.leave_drain_time);
        w.field_bool("LeaveOnTerm", config.leave_on_terminate);
        w.field("Logging", |w| {
            w.object(|w| {
                w.field_bool("LogJSON", config.log_json);
                w.field_str("LogLevel", &config.log_level);
            });
        });
        span(w, "MaxQueryTime", config.max_query_time);
        w.field_str("NodeID", &view.node_id);
        w.field_str_map("NodeMeta", &config.node_meta);
        w.field_str("NodeName", &config.node_name);
        w.field_bool("PeeringEnabled", false);
        w.field_str("PidFile", &config.pid_file);
        w.field_str("PrimaryDatacenter", &config.primary_datacenter);
        span(w, "RPCHoldTimeout", config.performance.rpc_hold_timeout);
        w.field_u64("RaftProtocol", 3);
        w.field_u64("RaftSnapshotThreshold", config.raft_snapshot_threshold);
        w.field_u64("RaftTrailingLogs", config.raft_trailing_logs);
        w.field_str("Revision", REVISION);
        w.field_i64("SerfPortLAN", port(config.ports.serf_lan));
        w.field_i64("SerfPortWAN", port(config.ports.serf_wan));
        w.field_bool("ServerMode", config.server);
        w.field_u64("ServerPort", u64::from(config.ports.server));
        w.field_bool("SkipLeaveOnInt", config.skip_leave_on_interrupt);
        w.field_str_map("TaggedAddresses", &config.tagged_addresses);
        w.field_u64("TxnMaxReqLen", config.txn_max_req_len as u64);
        w.field("UIConfig", |w| w.object(|w| w.field_bool("Enabled", config.ui_enabled)));
        w.field_str("Version", VERSION);
    });
}

/// Numbers as texts, by subsystem: what `consul info` prints.
fn stats(w: &mut Writer<'_>, cx: &Cx<'_>) {
    let view = cx.view;
    let ttls = view.local.checks().filter(|c| &*c.kind == "ttl").count();
    w.object(|w| {
        w.field("agent", |w| {
            w.object(|w| {
                w.field_str("check_monitors", "0");
                w.field_str("check_ttls", &ttls.to_string());
                w.field_str("checks", &view.local.check_count().to_string());
                w.field_str("services", &view.local.service_count().to_string());
            });
        });
        w.field("build", |w| {
            w.object(|w| {
                w.field_str("prerelease", "");
                w.field_str("revision", REVISION);
                w.field_str("version", VERSION);
                w.field_str("version_metadata", "");
            });
        });
        match view.config.server {
            true => server_stats(w, cx),
            false => w.field("consul", |w| {
                w.object(|w| {
                    let there = |m: &&Member| m.tag("role") == "consul" && m.status == Status::Alive;
                    let servers = view.members.lan.iter().filter(there).count();
                    w.field_str("acl", "disabled");
                    w.field_str("known_servers", &servers.to_string());
                    w.field_str("server", "false");
                });
            }),
        }
        let members = &view.members;
        w.field("serf_lan", |w| pool_stats(w, &members.lan_stats));
        if !members.wan.is_empty() {
            w.field("serf_wan", |w| pool_stats(w, &members.wan_stats));
        }
    });
}

fn pool_stats(w: &mut Writer<'_>, stats: &Stats) {
    w.object(|w| {
        w.field_str("coordinate_resets", &stats.coordinate_resets.to_string());
        w.field_str("encrypted", if stats.encrypted { "true" } else { "false" });
        w.field_str("event_queue", &stats.event_queue.to_string());
        w.field_str("event_time", &stats.event_time.to_string());
        w.field_str("failed", &stats.failed.to_string());
        w.field_str("health_score", &stats.health_score.to_string());
        w.field_str("intent_queue", &stats.intent_queue.to_string());
        w.field_str("left", &stats.left.to_string());
        w.field_str("member_time", &stats.member_time.to_string());
        w.field_str("members", &stats.members.to_string());
        w.field_str("query_queue", &stats.query_queue.to_string());
        w.field_str("query_time", &stats.query_time.to_string());
    });
}

/// What servers alone have.
fn server_stats(w: &mut Writer<'_>, cx: &Cx<'_>) {
    let (view, raft) = (cx.view, &cx.view.raft);
    let status = &raft.status;
    let yes = |b: bool| if b { "true" } else { "false" };
    w.field("consul", |w| {
        w.object(|w| {
            w.field_str("acl", "disabled");
            w.field_str("bootstrap", yes(view.config.bootstrap_expect == 1));
            w.field_str("known_datacenters", "1");
            w.field_str("leader", yes(raft.is_leader));
            w.field_str("leader_addr", &raft.leader_addr);
            w.field_str("server", "true");
        });
    });
    w.field("raft", |w| {
        w.object(|w| {
            w.field_str("applied_index", &raft.applied.to_string());
            w.field_str("commit_index", &status.commit_index.to_string());
            w.field_str("last_contact", &last_contact(cx));
            w.field_str("last_log_index", &status.last_index.to_string());
            w.field_str("last_log_term", &status.last_term.to_string());
            w.field_str("last_snapshot_index", &status.snapshot_index.to_string());
            w.field_str("last_snapshot_term", &status.snapshot_term.to_string());
            let peers = status.membership.others(&view.node_id).len();
            w.field_str("num_peers", &peers.to_string());
            w.field_str("protocol_version", "3");
            w.field_str("state", if raft.is_leader { "Leader" } else { "Follower" });
            w.field_str("term", &raft.term.to_string());
        });
    });
}

fn last_contact(cx: &Cx<'_>) -> String {
    match cx.view.raft.last_contact {
        _ if cx.view.raft.is_leader => "0".into(),
        None => "never".into(),
        Some(at) => {
            let nanos = cx.now.mono.since(at).as_nanos();
            duration::format(i64::try_from(nanos).unwrap_or(i64::MAX))
        }
    }
}

pub(super) fn done() -> Finish {
    |_, _, reply| match reply {
        call::Reply::Done => Ok(respond::done()),
        call::Reply::Failed(call::CallError::Refused(why)) => Err(HttpError::Failed(why)),
        other => Err(unexpected(other)),
    }
}

/// `PUT /v1/agent/reload`.
pub(in crate::front) fn reload(_: &Cx<'_>, _: &Request) -> Result<Step, HttpError> {
    Ok(Step::Call(Box::new(call::Request::Reload), done()))
}

/// `PUT /v1/agent/leave`.
pub(in crate::front) fn leave(_: &Cx<'_>, _: &Request) -> Result<Step, HttpError> {
    Ok(Step::Call(Box::new(call::Request::Leave), done()))
}

/// `PUT /v1/agent/maintenance?enable=`.
pub(in crate::front) fn maintenance(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let (enable, reason) = (enable(rq)?, rq.query.get("reason").into());
    Ok(agent_call(AgentRequest::NodeMaintenance { enable, reason }))
}
