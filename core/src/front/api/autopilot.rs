//! `/v1/operator/autopilot`: the settings, and how the servers do. The leader is asked for both.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::remote;
use super::super::request::{Options, Request};
use super::super::respond;
use super::super::route::{Finish, Step};
use super::status::address;
use super::unexpected;
use crate::Str;
use crate::call;
use crate::command::{Command, SetAutopilot};
use crate::duration;
use crate::gossip::Status;
use crate::gossip::consul::{Build, Server};
use crate::ids::ServerId;
use crate::json::{self, Fields, Struct, Unknown, Writer};
use crate::router::Kind;
use crate::rpc::operator::{self, GoTime, Health, ServerHealth, ServerState, Stable, State, Stats};
use crate::store::Applied;
use crate::time::{Instant, WallTime};
use crate::types::AutopilotConfig;
use crate::view::View;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

const SECOND: i64 = 1_000_000_000;

/// `GET /v1/operator/autopilot/configuration`.
pub(in crate::front) fn configuration(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Options::parse(rq, &cx.view.config)?;
    let stale = rq.query.has("stale") && !remote::elsewhere(rq, &cx.view.config);
    if stale || remote::leads(cx, rq) {
        return Ok(Step::Done(configuration_reply(cx, rq, &settings(cx))));
    }
    let method = "Operator.AutopilotGetConfiguration";
    Ok(remote::ask_leader(method, cx, rq, Kind::Read, remote::of_datacenter, |cx, rq, reply| {
        let body = remote::body(reply)?;
        Ok(configuration_reply(cx, rq, &remote::value(&body)?))
    }))
}

/// The settings as this server knows them.
pub(in crate::front) fn settings(cx: &Cx<'_>) -> AutopilotConfig {
    cx.view.store.autopilot().map(|config| (**config).clone()).unwrap_or_default()
}

fn configuration_reply(cx: &Cx<'_>, rq: &Request, config: &AutopilotConfig) -> HttpReply {
    respond::json(cx.view, rq, |w| {
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
    })
}

/// `PUT /v1/operator/autopilot/configuration`, with `?cas=`. What the body leaves out gets its default.
pub(in crate::front) fn set_configuration(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
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
    let to = remote::datacenter(rq, &cx.view.config);
    let command = Command::Autopilot(Box::new(SetAutopilot { datacenter: to.to_string(), config, cas }));
    let finish: Finish = |cx, rq, reply| match reply {
        // Only a conditional write says whether it took place.
        call::Reply::Applied { result: Applied::Bool(done), .. } => {
            Ok(respond::json(cx.view, rq, |w| w.bool(done || !rq.query.has("cas"))))
        }
        call::Reply::Applied { result: Applied::Error(text), .. } => Err(HttpError::Failed(text)),
        other => Err(unexpected(other)),
    };
    Ok(Step::Call(remote::write(to, command, &cx.view.config), finish))
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
    name: Str,
    address: Str,
    status: Status,
    version: Str,
    voter: bool,
    leader: bool,
    healthy: bool,
    last_contact: i64,
    last_term: u64,
    last_index: u64,
    stable_since: WallTime,
    meta: Option<BTreeMap<Str, Str>>,
}

/// All of them, the leader first, then voters, then by ID. This server leads.
fn servers(cx: &Cx<'_>) -> Vec<Seen> {
    let membership = &cx.view.raft.status.membership;
    let voters = membership.voters.iter().map(|id| (id, true));
    let all = voters.chain(membership.learners.iter().map(|id| (id, false)));
    let mut servers: Vec<Seen> = all.map(|(id, voter)| seen(cx, id, voter)).collect();
    servers.sort_by_key(|server| (!server.leader, !server.voter));
    servers
}

fn seen(cx: &Cx<'_>, id: &ServerId, voter: bool) -> Seen {
    let raft = &cx.view.raft;
    let me = *id == cx.view.node_id;
    let member = cx.view.members.lan.iter().filter_map(Server::from_member).find(|server| server.id == *id);
    let node = cx.view.store.node_by_id_prefix(id);
    let health = raft.health.get(id);
    let since = health.map_or(cx.now.mono, |health| health.stable_since);
    let matched = raft.status.peers.iter().find(|peer| peer.id == *id).map_or(0, |peer| peer.matched.0);
    let version = |Build(x, y, z): Build| Str::from(format!("{x}.{y}.{z}"));
    let known = || member.as_ref().map(|m| m.addr.to_string()).or_else(|| address(cx, id));
    Seen {
        name: match (&member, node) {
            (Some(member), _) => member.short_name.clone(),
            (None, Some(node)) => node.node.clone(),
            (None, None) => Str::default(),
        },
        address: Str::from(known().unwrap_or_default()),
        status: match &member {
            Some(member) => member.status,
            None if me => Status::Alive,
            None => Status::Left,
        },
        version: match &member {
            Some(member) => version(member.build),
            None if me => Str::from(crate::COMPATIBLE_VERSION),
            None => Str::default(),
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
        meta: node.map(|node| node.meta.iter().map(|(k, v)| (k.clone(), v.clone())).collect()),
        id: id.clone(),
    }
}

/// A moment of this process as the calendar has it.
fn wall(cx: &Cx<'_>, at: Instant) -> WallTime {
    let ago = i64::try_from(cx.now.mono.since(at).as_nanos()).unwrap_or(i64::MAX);
    WallTime(cx.now.wall.0.saturating_sub(ago))
}

/// How many healthy voters may fail before there is no quorum.
fn tolerance(servers: &[Seen]) -> i64 {
    let voters = servers.iter().filter(|server| server.voter).count();
    let healthy = servers.iter().filter(|server| server.voter && server.healthy).count();
    spare(voters, healthy)
}

fn spare(voters: usize, healthy: usize) -> i64 {
    healthy.saturating_sub(voters / 2 + 1) as i64
}

/// Whether all servers are well, and how many may fail, for the metrics. Who does not lead goes by gossip, as
/// Consul's followers watch the others too.
pub(super) fn overall(view: &View) -> (bool, i64) {
    let raft = &view.raft;
    let alive = |id: &ServerId| {
        let lan = &view.members.lan;
        let mut servers = lan.iter().filter(|m| m.status == Status::Alive).filter_map(Server::from_member);
        lan.is_empty() || servers.any(|server| server.id == *id)
    };
    let well = |id: &&ServerId| match raft.health.get(*id) {
        _ if **id == view.node_id => true,
        Some(health) => health.healthy,
        None => !raft.is_leader && alive(id),
    };
    let membership = &raft.status.membership;
    let healthy = membership.voters.iter().filter(well).count();
    let all = healthy == membership.voters.len() && membership.learners.iter().all(|id| well(&id));
    match raft.leader {
        Some(_) => (all, spare(membership.voters.len(), healthy)),
        None => (false, 0),
    }
}

/// How the servers do, as this leader sees them.
pub(in crate::front) fn health_of(cx: &Cx<'_>) -> Health {
    let servers = servers(cx);
    let (healthy, failure_tolerance) = (servers.iter().all(|server| server.healthy), tolerance(&servers));
    let one = |server: Seen| ServerHealth {
        id: server.id,
        name: server.name,
        address: server.address,
        serf_status: i64::from(server.status.number()),
        version: server.version,
        leader: server.leader,
        last_contact: server.last_contact,
        last_term: server.last_term,
        last_index: server.last_index,
        healthy: server.healthy,
        voter: server.voter,
        stable_since: GoTime(server.stable_since),
    };
    Health { healthy, failure_tolerance, servers: servers.into_iter().map(one).collect() }
}

/// `GET /v1/operator/autopilot/health`: 429 while a server is not well.
pub(in crate::front) fn health(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Options::parse(rq, &cx.view.config)?;
    if remote::leads(cx, rq) {
        return Ok(Step::Done(health_reply(cx, rq, &health_of(cx))));
    }
    let method = "Operator.ServerHealth";
    Ok(remote::ask_leader(method, cx, rq, Kind::Read, remote::of_datacenter, |cx, rq, reply| {
        let body = remote::body(reply)?;
        Ok(health_reply(cx, rq, &remote::value(&body)?))
    }))
}

fn health_reply(cx: &Cx<'_>, rq: &Request, health: &Health) -> HttpReply {
    let mut reply = respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field_bool("Healthy", health.healthy);
            w.field_i64("FailureTolerance", health.failure_tolerance);
            w.field("Servers", |w| w.array(|w| health.servers.iter().for_each(|s| server_health(w, s))));
        });
    });
    if !health.healthy {
        reply.status = 429;
    }
    reply
}

fn server_health(w: &mut Writer<'_>, server: &ServerHealth) {
    // To the whole second, half up.
    let nanos = server.stable_since.0.0.saturating_add(SECOND / 2);
    let since = WallTime(nanos - nanos.rem_euclid(SECOND));
    w.object(|w| {
        w.field_str("ID", &server.id);
        w.field_str("Name", &server.name);
        w.field_str("Address", &server.address);
        w.field_str("SerfStatus", Status::numbered(server.serf_status).name());
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

/// How autopilot sees the servers, on this leader.
pub(in crate::front) fn state_of(cx: &Cx<'_>) -> State {
    let servers = servers(cx);
    let voters = servers.iter().filter(|server| server.voter).map(|server| server.id.clone()).collect();
    let (healthy, failure_tolerance) = (servers.iter().all(|server| server.healthy), tolerance(&servers));
    let servers = servers.into_iter().map(|server| (server.id.clone(), server_state(server))).collect();
    State { healthy, failure_tolerance, servers, leader: cx.view.node_id.clone(), voters, ext: None }
}

fn server_state(server: Seen) -> ServerState {
    let status = match server.status {
        // One that is leaving is not taken out before it has left.
        Status::Alive | Status::Leaving => "alive",
        Status::Left => "left",
        Status::Failed => "failed",
        Status::None => "unknown",
    };
    let state = match (server.leader, server.voter) {
        (true, _) => "leader",
        (false, true) => "voter",
        (false, false) => "non-voter",
    };
    ServerState {
        server: operator::Server {
            id: server.id,
            name: server.name,
            address: server.address,
            node_status: Str::from(status),
            version: server.version,
            meta: server.meta,
            raft_version: 3,
            is_leader: server.leader,
            node_type: Str::from("voter"),
            ext: None,
        },
        state: Str::from(state),
        stats: Stats {
            last_contact: server.last_contact,
            last_term: server.last_term,
            last_index: server.last_index,
        },
        health: Stable { healthy: server.healthy, stable_since: GoTime(server.stable_since) },
    }
}

/// `GET /v1/operator/autopilot/state`.
pub(in crate::front) fn state(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Options::parse(rq, &cx.view.config)?;
    if remote::leads(cx, rq) {
        return Ok(Step::Done(state_reply(cx, rq, &state_of(cx))));
    }
    let method = "Operator.AutopilotState";
    Ok(remote::ask_leader(method, cx, rq, Kind::Read, remote::of_datacenter, |cx, rq, reply| {
        let body = remote::body(reply)?;
        Ok(state_reply(cx, rq, &remote::value(&body)?))
    }))
}

fn state_reply(cx: &Cx<'_>, rq: &Request, state: &State) -> HttpReply {
    respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field_bool("Healthy", state.healthy);
            w.field_i64("FailureTolerance", state.failure_tolerance);
            // Of the Enterprise edition; always 0 in the other.
            w.field_u64("OptimisticFailureTolerance", 0);
            w.field("Servers", |w| {
                w.object(|w| {
                    state.servers.iter().for_each(|(id, server)| w.field(id, |w| of_state(w, server)));
                });
            });
            w.field_str("Leader", &state.leader);
            w.field_strs("Voters", &state.voters);
        });
    })
}

fn of_state(w: &mut Writer<'_>, ServerState { server, state, stats, health }: &ServerState) {
    w.object(|w| {
        w.field_str("ID", &server.id);
        w.field_str("Name", &server.name);
        w.field_str("Address", &server.address);
        w.field_str("NodeStatus", &server.node_status);
        w.field_str("Version", &server.version);
        w.field_str("LastContact", &duration::format(stats.last_contact));
        w.field_u64("LastTerm", stats.last_term);
        w.field_u64("LastIndex", stats.last_index);
        w.field_bool("Healthy", health.healthy);
        w.field_str("StableSince", &health.stable_since.0.civil().to_string());
        w.field_bool("ReadReplica", false);
        w.field_str("Status", state);
        match &server.meta {
            Some(meta) => w.field_str_map("Meta", meta),
            None => w.field_null("Meta"),
        }
        w.field_str("NodeType", &server.node_type);
    });
}
