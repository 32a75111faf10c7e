//! `/v1/status`: who leads. Never blocks, needs no leader.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::remote;
use super::super::request::{Options, Request};
use super::super::respond;
use super::super::route::{Finish, Step};
use crate::gossip::consul::Server;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// `GET /v1/status/leader`: the leader's address, or an empty string.
pub(in crate::front) fn leader(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    understood(cx, rq)?;
    if remote::elsewhere(rq, &cx.view.config) {
        let finish: Finish = |cx, rq, reply| {
            let body = remote::body(reply)?;
            let leader: String = remote::value(&body)?;
            Ok(respond::json(cx.view, rq, |w| w.str(&leader)))
        };
        return Ok(remote::plain("Status.Leader", cx, rq, finish));
    }
    Ok(Step::Done(respond::json(cx.view, rq, |w| w.str(&cx.view.raft.leader_addr))))
}

/// The options of reads are looked at, and then without effect.
fn understood(cx: &Cx<'_>, rq: &Request) -> Result<(), HttpError> {
    Options::parse(rq, &cx.view.config).map(drop)
}

/// `GET /v1/status/peers`: the addresses of all voters.
pub(in crate::front) fn peers(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    understood(cx, rq)?;
    if remote::elsewhere(rq, &cx.view.config) {
        let finish: Finish = |cx, rq, reply| {
            let body = remote::body(reply)?;
            let peers: Vec<String> = remote::value(&body)?;
            Ok(respond::json(cx.view, rq, |w| w.strs(peers)))
        };
        return Ok(remote::plain("Status.Peers", cx, rq, finish));
    }
    Ok(Step::Done(respond::json(cx.view, rq, |w| w.strs(voters(cx)))))
}

/// The addresses of all voters that are known.
pub(in crate::front) fn voters(cx: &Cx<'_>) -> impl Iterator<Item = String> {
    cx.view.raft.status.membership.voters.iter().filter_map(|id| address(cx, id))
}

/// Where a server is reached: this one by its configuration, others as gossip or the catalog knows them.
pub(super) fn address(cx: &Cx<'_>, id: &str) -> Option<String> {
    let view = cx.view;
    let member = || view.members.lan.iter().filter_map(Server::from_member).find(|server| *server.id == *id);
    if *view.node_id != *id
        && let Some(server) = member()
    {
        return Some(server.addr.to_string());
    }
    let (host, port) = if *view.node_id == *id {
        (view.config.advertise_addr, i64::from(view.config.ports.server))
    } else {
        let node = view.store.node_by_id_prefix(id)?;
        (node.address.parse().ok()?, view.store.service(&node.node, "consul")?.port)
    };
    Some(match host {
        IpAddr::V4(host) => format!("{host}:{port}"),
        IpAddr::V6(host) => format!("[{host}]:{port}"),
    })
}
