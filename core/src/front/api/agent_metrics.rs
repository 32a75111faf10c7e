//! `/v1/agent/metrics`: what the recorders of all threads have counted, and the gauges of the view.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::{HttpReply, Stream};
use super::super::request::Request;
use super::super::respond;
use super::super::route::{Finish, Step};
use super::{autopilot, unexpected};
use crate::COMPATIBLE_VERSION as VERSION;
use crate::call;
use crate::gossip::Status;
use crate::metrics::{Gauge, Metric, Naming, Report};
use crate::view::View;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;

/// `GET /v1/agent/metrics`.
pub(in crate::front) fn metrics(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    if wants_prometheus(rq) && cx.view.config.prometheus_retention_time.is_zero() {
        // Consul means to answer 415, and answers 200 without a body: clients see the reason only.
        let mut reply = respond::reply(200, respond::JSON, Bytes::new());
        let reason = "Prometheus is not enabled since its retention time is not positive";
        reply.headers.push(("X-Consul-Reason", Cow::Borrowed(reason)));
        return Ok(Step::Done(reply));
    }
    let finish: Finish = |cx, rq, reply| match reply {
        call::Reply::Metrics(report) => Ok(render(cx, rq, *report)),
        other => Err(unexpected(other)),
    };
    Ok(Step::Call(Box::new(call::Request::Metrics), finish))
}

/// `GET /v1/agent/metrics/stream`: an endless answer, which the driver gives.
pub(in crate::front) fn stream(_: &Cx<'_>, _: &Request) -> Result<Step, HttpError> {
    Ok(Step::Stream(Stream::Metrics))
}

/// `?format=prometheus`, or a media type that a scraper accepts.
fn wants_prometheus(rq: &Request) -> bool {
    let accepted = |entry: &str| {
        let mut parts = entry.split(';').map(|part| part.trim_matches(' '));
        let media = parts.next().unwrap_or("");
        media.eq_ignore_ascii_case("application/openmetrics-text")
            || media.eq_ignore_ascii_case("text/plain") && parts.next() == Some("version=0.4.0")
    };
    rq.query.get("format") == "prometheus" || rq.header("accept").is_some_and(|a| a.split(',').any(accepted))
}

fn render(cx: &Cx<'_>, rq: &Request, mut report: Report) -> HttpReply {
    gauges(cx.view, &mut report);
    let hostname = report.hostname().replace('.', "-");
    let naming = naming(cx.view, &hostname);
    match wants_prometheus(rq) {
        true => respond::reply(200, "text/plain; version=0.0.4; charset=utf-8", report.prometheus(&naming)),
        false => respond::json(cx.view, rq, |w| report.json(&naming, w)),
    }
}

/// What SIGUSR1 shows.
pub fn dump(view: &View, mut report: Report) -> String {
    gauges(view, &mut report);
    let hostname = report.hostname().replace('.', "-");
    report.lines(&naming(view, &hostname))
}

fn naming<'a>(view: &'a View, hostname: &'a str) -> Naming<'a> {
    let config = &view.config;
    Naming {
        prefix: &config.metrics_prefix,
        hostname: (!config.disable_hostname && !hostname.is_empty()).then_some(hostname),
        node: &config.node_name,
        filter: &config.metrics_filter,
        server: config.server,
        retention_seconds: config.prometheus_retention_time.as_secs(),
    }
}

/// Everything that the view knows by itself.
fn gauges(view: &View, report: &mut Report) {
    let (clients, servers) = members(view, report);
    let version = Gauge::new(Metric::Version, 1.0).with("pre_release", "").with("version", VERSION);
    report.gauge(version);
    report.gauge(Gauge::new(Metric::RuntimeGcPause, 0.0));
    if view.config.server {
        of_server(view, report, clients, servers);
    }
}

/// What only a server knows: an agent that showed a 0 would look like a server that is not well.
fn of_server(view: &View, report: &mut Report, clients: usize, servers: usize) {
    let datacenter = &*view.config.datacenter;
    let (healthy, tolerance) = autopilot::overall(view);
    let raft = &view.raft;
    let voters = raft.status.membership.voters.len();
    let one = |yes: bool| if yes { 1.0 } else { 0.0 };
    let counts = view.store.counts();
    let expiring = view.store.sessions().filter(|session| session.time_to_live().is_some()).count();
    let rates = [(Metric::RpcRequestRate, Metric::RpcRequest), (Metric::RpcQueryRate, Metric::RpcQuery)];
    for (rate, of) in rates {
        report.gauge(Gauge::new(rate, report.rate(of)));
    }
    for (metric, value) in [
        (Metric::AutopilotFailureTolerance, tolerance as f64),
        (Metric::AutopilotHealthy, one(healthy)),
        (Metric::RaftAppliedIndex, raft.applied.0 as f64),
        (Metric::RaftLastIndex, raft.status.last_index.0 as f64),
        (Metric::RaftPeers, voters as f64),
        (Metric::RaftLeader, one(raft.is_leader)),
        (Metric::ServerIsLeader, one(raft.is_leader)),
        (Metric::SessionTtlActive, if raft.is_leader { expiring as f64 } else { 0.0 }),
        (Metric::CatalogServiceCount, counts.services as f64),
    ] {
        report.gauge(Gauge::new(metric, value));
    }
    for (metric, value) in [
        (Metric::MembersClients, clients),
        (Metric::MembersServers, servers),
        (Metric::StateNodes, counts.nodes),
        (Metric::StateServices, counts.services),
        (Metric::StateServiceInstances, counts.instances),
        (Metric::StateBillable, counts.instances - counts.servers),
        (Metric::StateKvEntries, counts.keys),
    ] {
        report.gauge(Gauge::new(metric, value as f64).with("datacenter", datacenter));
    }
}

/// What the gossip pools know; how many client agents and servers of this datacenter are there.
fn members(view: &View, report: &mut Report) -> (usize, usize) {
    let known = &view.members;
    for (network, members, stats) in
        [("lan", &known.lan, &known.lan_stats), ("wan", &known.wan, &known.wan_stats)]
    {
        for member in members {
            let status = Gauge::new(Metric::SerfMemberStatus, f64::from(member.status.number()));
            report.new_gauge(status.with("member", &*member.name).with("network", network));
        }
        if members.is_empty() {
            continue;
        }
        let health = Gauge::new(Metric::MemberlistHealthScore, f64::from(stats.health_score));
        report.gauge(health.with("network", network));
        let gone = stats.failed + stats.left + stats.suspected;
        for (state, count) in [
            ("alive", stats.members.saturating_sub(gone)),
            ("dead", stats.failed),
            ("left", stats.left),
            ("suspect", stats.suspected),
        ] {
            let instances = Gauge::new(Metric::MemberlistNodeInstances, count as f64);
            report.new_gauge(instances.with("network", network).with("node_state", state));
        }
    }
    if known.lan.is_empty() {
        // Without gossip the one member is this agent, and it is alive.
        let member = Gauge::new(Metric::SerfMemberStatus, 1.0).with("member", &*view.config.node_name);
        report.new_gauge(member.with("network", "lan"));
    }
    let there = |role: &str| {
        let there = |status| matches!(status, Status::Alive | Status::Leaving);
        known.lan.iter().filter(|m| m.tag("role") == role && there(m.status)).count()
    };
    match known.lan.is_empty() {
        true => (0, view.raft.status.membership.voters.len()),
        false => (there("node"), there("consul")),
    }
}
