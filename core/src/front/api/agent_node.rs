//! `/v1/agent`: the agent itself.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::Request;
use super::super::respond;
use super::super::route::{Finish, Step};
use super::agent_members::{member, own_member};
use super::{agent_call, debug_config, enable, unexpected};
use crate::COMPATIBLE_VERSION as VERSION;
use crate::agent::AgentRequest;
use crate::call;
use crate::duration;
use crate::front::REVISION;
use crate::gossip::{Coordinate, Member, Stats, Status};
use crate::json::Writer;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

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

/// `GET /v1/agent/self`.
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
            w.field("DebugConfig", |w| debug_config::write(w, view));
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
            w.field_str("known_datacenters", &known_datacenters(cx).to_string());
            w.field_str("leader", yes(raft.is_leader));
            w.field_str("leader_addr", &raft.leader_addr);
            w.field_str("server", "true");
        });
    });
    w.field("raft", |w| {
        w.object(|w| {
            w.field_str("applied_index", &raft.applied.to_string());
            w.field_str("commit_index", &status.commit_index.to_string());
            w.field_str("fsm_pending", "0");
            w.field_str("last_contact", &last_contact(cx));
            w.field_str("last_log_index", &status.last_index.to_string());
            w.field_str("last_log_term", &status.last_term.to_string());
            w.field_str("last_snapshot_index", &status.snapshot_index.to_string());
            w.field_str("last_snapshot_term", &status.snapshot_term.to_string());
            w.field_str("latest_configuration", &latest_configuration(cx));
            w.field_str("latest_configuration_index", "0");
            let peers = status.membership.others(&view.node_id).len();
            w.field_str("num_peers", &peers.to_string());
            w.field_str("protocol_version", "3");
            w.field_str("protocol_version_max", "3");
            w.field_str("protocol_version_min", "0");
            w.field_str("snapshot_version_max", "1");
            w.field_str("snapshot_version_min", "0");
            w.field_str("state", if raft.is_leader { "Leader" } else { "Follower" });
            w.field_str("term", &raft.term.to_string());
        });
    });
}

/// Of how many datacenters servers are known, this one among them.
fn known_datacenters(cx: &Cx<'_>) -> usize {
    let wan = cx.view.members.wan.iter().map(|member| member.tag("dc"));
    wan.chain([&*cx.view.config.datacenter]).collect::<BTreeSet<&str>>().len()
}

/// The voters, in the form in which Consul's raft prints them.
fn latest_configuration(cx: &Cx<'_>) -> String {
    let voter = |id: &crate::ids::ServerId| {
        let at = super::status::address(cx, id).unwrap_or_default();
        format!("{{Suffrage:Voter ID:{id} Address:{at}}}")
    };
    let voters: Vec<String> = cx.view.raft.status.membership.voters.iter().map(voter).collect();
    format!("[{}]", voters.join(" "))
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
