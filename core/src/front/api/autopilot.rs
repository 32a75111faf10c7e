//! `/v1/operator/autopilot`: the settings, and how the servers do.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::{Request, refuse_other_datacenter};
use super::super::respond;
use super::super::route::{Finish, Step};
use super::operator::servers_only;
use super::status::address;
use super::unexpected;
use crate::call::{self, CallError};
use crate::command::{Command, SetAutopilot};
use crate::duration;
use crate::gossip::Status;
use crate::gossip::consul::{Build, Server};
use crate::ids::ServerId;
use crate::json::{self, Fields, Struct, Unknown, Writer};
use crate::store::Applied;
use crate::time::{Instant, WallTime};
use crate::types::{AutopilotConfig, Node};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

const SECOND: i64 = 1_000_000_000;

/// `GET /v1/operator/autopilot/configuration`.
pub(in crate::front) fn configuration(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    servers_only(cx)?;
    refuse_other_datacenter(rq, &cx.view.config.datacenter)?;
    let config = cx.view.store.autopilot().cloned().unwrap_or_default();
    Ok(respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field_bool("CleanupDeadServers", config.cleanup_dead_servers);
            w.field_str("LastContactThreshold", &duration::format(config.last_contact_threshold));
            w.field_u64("MaxTrailingLogs", config.max_trailing_logs);
            w.field_u64("MinQuorum", config.min_quorum);
            w.field_str("ServerStabilizationTime", &duration::format(config.server_stabilization_time));
            w.field_str("RedundancyZoneTag", &config.redundancy_zone_tag);
            w.field_bool("DisableUpgradeMigration", config.disable_upgrade_migration);
            w.field_str("UpgradeVersionTag", &config.upgrade_version_tag);
            w.field_u64("CreateIndex", config.create_index);
            w.field_u64("ModifyIndex", config.modify_index);
        });
    }))
}

/// `PUT /v1/operator/autopilot/configuration`, with `?cas=`. What the body leaves out gets its default.
pub(in crate::front) fn set_configuration(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    servers_only(cx)?;
    refuse_other_datacenter(rq, &cx.view.config.datacenter)?;
    let bad = |error: json::Error| HttpError::BadRequest(format!("Error parsing autopilot config: {error}"));
    let value = json::parse_body(&rq.body).map_err(bad)?;
    let shape = Struct::of("api", "AutopilotConfiguration");
    let mut config = json::decode(&value, shape, Unknown::Refuse, read).map_err(bad)?;
    let cas = rq.query.has("cas");
    if cas {
        let text = rq.query.get("cas");
        config.modify_index = text.parse().ok().filter(|_| !text.starts_with('+')).ok_or_else(|| {
            let text =
                format!("Error parsing cas value: strconv.ParseUint: parsing \"{text}\": invalid syntax");
            HttpError::BadRequest(text)
        })?;
    }
    let datacenter = String::from(&*cx.view.config.datacenter);
    let command = Command::Autopilot(Box::new(SetAutopilot { datacenter, config, cas }));
    let finish: Finish = |cx, rq, reply| match reply {
        // Only a conditional write says whether it took place.
        call::Reply::Applied { result: Applied::Bool(done), .. } => {
            Ok(respond::json(cx.view, rq, |w| w.bool(done || !rq.query.has("cas"))))
        }
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    };
    Ok(Step::Call(Box::new(call::Request::Write(command)), finish))
}

fn read(f: &mut Fields<'_>) -> AutopilotConfig {
    let default = AutopilotConfig::default();
    let number = |f: &mut Fields<'_>, name, default| if f.has(name) { f.uint64(name) } else { default };
    let config = AutopilotConfig {
        cleanup_dead_servers: f.opt_bool("CleanupDeadServers").unwrap_or(default.cleanup_dead_servers),
        last_contact_threshold: f
            .opt_duration("LastContactThreshold")
            .unwrap_or(default.last_contact_threshold),
        max_trailing_logs: number(f, "MaxTrailingLogs", default.max_trailing_logs),
        min_quorum: number(f, "MinQuorum", default.min_quorum),
        server_stabilization_time: f
            .opt_duration("ServerStabilizationTime")
            .unwrap_or(default.server_stabilization_time),
        redundancy_zone_tag: f.string("RedundancyZoneTag"),
        disable_upgrade_migration: f.bool("DisableUpgradeMigration"),
        upgrade_version_tag: f.string("UpgradeVersionTag"),
        create_index: 0,
        modify_index: 0,
    };
    // Whoever reads the settings and writes them back sends these; they are not asked for.
    let _ = (f.uint64("CreateIndex"), f.uint64("ModifyIndex"));
    config
}

/// A server of raft's membership, as the leader sees it.
struct Seen {
    id: ServerId,
    name: String,
    address: String,
    status: Status,
    version: String,
    voter: bool,
    leader: bool,
    healthy: bool,
    last_contact: i64,
    last_term: u64,
    last_index: u64,
    stable_since: WallTime,
    node: Option<Arc<Node>>,
}

/// All of them, the leader first, then voters, then by ID.
fn servers(cx: &Cx<'_>, rq: &Request) -> Result<Vec<Seen>, HttpError> {
    let view = cx.view;
    servers_only(cx)?;
    refuse_other_datacenter(rq, &view.config.datacenter)?;
    let Some(leader) = &view.raft.leader else { return Err(HttpError::Call(CallError::NoLeader)) };
    if *leader != view.node_id {
        return Err(HttpError::Call(CallError::NotLeader { leader: Some(leader.clone()) }));
    }
    let membership = &view.raft.status.membership;
    let voters = membership.voters.iter().map(|id| (id, true));
    let all = voters.chain(membership.learners.iter().map(|id| (id, false)));
    let mut servers: Vec<Seen> = all.map(|(id, voter)| seen(cx, id, voter)).collect();
    servers.sort_by_key(|server| (!server.leader, !server.voter));
    Ok(servers)
}

fn seen(cx: &Cx<'_>, id: &ServerId, voter: bool) -> Seen {
    let raft = &cx.view.raft;
    let me = *id == cx.view.node_id;
    let member = cx.view.members.lan.iter().filter_map(Server::from_member).find(|server| server.id == *id);
    let node = cx.view.store.node_by_id_prefix(id).cloned();
    let health = raft.health.get(id);
    let since = health.map_or(cx.now.mono, |health| health.stable_since);
    let matched = raft.status.peers.iter().find(|peer| peer.id == *id).map_or(0, |peer| peer.matched.0);
    let version = |Build(x, y, z): Build| format!("{x}.{y}.{z}");
    Seen {
        name: match (&member, &node) {
            (Some(member), _) => member.short_name.to_string(),
            (None, Some(node)) => node.node.to_string(),
            (None, None) => String::new(),
        },
        address: member.as_ref().map(|m| m.addr.to_string()).or_else(|| address(cx, id)).unwrap_or_default(),
        status: match &member {
            Some(member) => member.status,
            None if me => Status::Alive,
            None => Status::Left,
        },
        version: match &member {
            Some(member) => version(member.build),
            None if me => crate::COMPATIBLE_VERSION.into(),
            None => String::new(),
        },
        voter,
        leader: me,
        healthy: me || health.is_some_and(|health| health.healthy),
        last_contact: match health.and_then(|health| health.last_contact) {
            _ if me => 0,
            Some(late) => i64::try_from(late.as_nanos()).unwrap_or(i64::MAX),
            None => -1,
        },
        last_term: raft.status.last_term.0,
        last_index: if me { raft.status.last_index.0 } else { matched },
        stable_since: wall(cx, since),
        node,
        id: id.clone(),
    }
}

/// A moment of this process as the calendar has it.
fn wall(cx: &Cx<'_>, at: Instant) -> WallTime {
    let ago = i64::try_from(cx.now.mono.since(at).as_nanos()).unwrap_or(i64::MAX);
    WallTime(cx.now.wall.0.saturating_sub(ago))
}

/// How many healthy voters may fail before there is no quorum.
fn tolerance(servers: &[Seen]) -> u64 {
    let voters = servers.iter().filter(|server| server.voter).count();
    let healthy = servers.iter().filter(|server| server.voter && server.healthy).count();
    healthy.saturating_sub(voters / 2 + 1) as u64
}

/// `GET /v1/operator/autopilot/health`: 429 while a server is not well.
pub(in crate::front) fn health(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let servers = servers(cx, rq)?;
    let healthy = servers.iter().all(|server| server.healthy);
    let mut reply = respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field_bool("Healthy", healthy);
            w.field_u64("FailureTolerance", tolerance(&servers));
            w.field("Servers", |w| w.array(|w| servers.iter().for_each(|server| of_health(w, server))));
        });
    });
    if !healthy {
        reply.status = 429;
    }
    Ok(reply)
}

fn of_health(w: &mut Writer<'_>, server: &Seen) {
    // To the whole second, half up.
    let nanos = server.stable_since.0.saturating_add(SECOND / 2);
    let since = WallTime(nanos - nanos.rem_euclid(SECOND));
    w.object(|w| {
        w.field_str("ID", &server.id);
        w.field_str("Name", &server.name);
        w.field_str("Address", &server.address);
        w.field_str("SerfStatus", server.status.name());
        w.field_str("Version", &server.version);
        w.field_bool("Leader", server.leader);
        w.field_str("LastContact", &duration::format(server.last_contact));
        w.field_u64("LastTerm", server.last_term);
        w.field_u64("LastIndex", server.last_index);
        w.field_bool("Healthy", server.healthy);
        w.field_bool("Voter", server.voter);
        w.field_str("StableSince", &since.civil().to_string());
    });
}

/// `GET /v1/operator/autopilot/state`.
pub(in crate::front) fn state(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let servers = servers(cx, rq)?;
    let mut by_id: Vec<&Seen> = servers.iter().collect();
    by_id.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field_bool("Healthy", servers.iter().all(|server| server.healthy));
            w.field_u64("FailureTolerance", tolerance(&servers));
            // Of the Enterprise edition; always 0 in the other.
            w.field_u64("OptimisticFailureTolerance", 0);
            w.field("Servers", |w| {
                w.object(|w| by_id.iter().for_each(|server| w.field(&server.id, |w| of_state(w, server))));
            });
            w.field_str("Leader", &cx.view.node_id);
            w.field_strs("Voters", servers.iter().filter(|server| server.voter).map(|server| &*server.id));
        });
    }))
}

fn of_state(w: &mut Writer<'_>, server: &Seen) {
    let status = match server.status {
        // One that is leaving is not taken out before it has left.
        Status::Alive | Status::Leaving => "alive",
        Status::Left => "left",
        Status::Failed => "failed",
        Status::None => "unknown",
    };
    w.object(|w| {
        w.field_str("ID", &server.id);
        w.field_str("Name", &server.name);
        w.field_str("Address", &server.address);
        w.field_str("NodeStatus", status);
        w.field_str("Version", &server.version);
        w.field_str("LastContact", &duration::format(server.last_contact));
        w.field_u64("LastTerm", server.last_term);
        w.field_u64("LastIndex", server.last_index);
        w.field_bool("Healthy", server.healthy);
        w.field_str("StableSince", &server.stable_since.civil().to_string());
        w.field_bool("ReadReplica", false);
        w.field_str(
            "Status",
            match (server.leader, server.voter) {
                (true, _) => "leader",
                (false, true) => "voter",
                (false, false) => "non-voter",
            },
        );
        match &server.node {
            Some(node) => w.field_str_map("Meta", node.meta.iter()),
            None => w.field_null("Meta"),
        }
        w.field_str("NodeType", "voter");
    });
}
