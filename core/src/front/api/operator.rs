//! `/v1/operator/raft`: who the servers are. What this server cannot tell or do, the leader is asked for.

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
use crate::gossip::consul::Server;
use crate::ids::{Index, ServerId};
use crate::raft::Change;
use crate::router::Kind;
use crate::rpc::operator::{Peer, RaftConfiguration, RaftServer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;

/// `GET /v1/operator/raft/configuration`: the servers of the membership in effect. Only the leader
/// knows how far each of the others is; with `?stale` their index may be 0.
pub(in crate::front) fn raft_configuration(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    Options::parse(rq, &cx.view.config)?;
    let stale = rq.query.has("stale") && !remote::elsewhere(rq, &cx.view.config);
    if stale || remote::leads(cx, rq) {
        return Ok(Step::Done(configuration_reply(cx, rq, &configuration(cx))));
    }
    let method = "Operator.RaftGetConfiguration";
    Ok(remote::ask_leader(method, cx, rq, Kind::Read, remote::of_datacenter, |cx, rq, reply| {
        let body = remote::body(reply)?;
        Ok(configuration_reply(cx, rq, &remote::value(&body)?))
    }))
}

fn configuration_reply(cx: &Cx<'_>, rq: &Request, found: &RaftConfiguration) -> HttpReply {
    respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field("Servers", |w| {
                w.array(|w| {
                    for server in &found.servers {
                        w.object(|w| {
                            w.field_str("ID", &server.id);
                            w.field_str("Node", &server.node);
                            w.field_str("Address", &server.address);
                            w.field_bool("Leader", server.leader);
                            w.field_str("ProtocolVersion", &server.protocol_version);
                            w.field_bool("Voter", server.voter);
                            w.field_u64("LastIndex", server.last_index);
                        });
                    }
                });
            });
            w.field_u64("Index", found.index);
        });
    })
}

/// The membership as this server knows it.
pub(in crate::front) fn configuration(cx: &Cx<'_>) -> RaftConfiguration {
    let membership = &cx.view.raft.status.membership;
    let voters = membership.voters.iter().map(|id| server(cx, id, true));
    let servers = voters.chain(membership.learners.iter().map(|id| server(cx, id, false))).collect();
    // As Consul, which never fills the index in.
    RaftConfiguration { servers, index: 0 }
}

fn server(cx: &Cx<'_>, id: &ServerId, voter: bool) -> RaftServer {
    let raft = &cx.view.raft;
    let node = cx.view.store.node_by_id_prefix(id);
    let last = match raft.status.peers.iter().find(|peer| peer.id == *id) {
        _ if *id == cx.view.node_id => raft.status.last_index,
        Some(peer) => peer.matched,
        None => Index(0),
    };
    let member = cx.view.members.lan.iter().filter_map(Server::from_member).find(|server| server.id == *id);
    let name = member.as_ref().map(|server| &*server.short_name).or(node.map(|node| &*node.node));
    RaftServer {
        id: id.clone(),
        node: Str::from(name.unwrap_or("(unknown)")),
        address: Str::from(address(cx, id).unwrap_or_default()),
        leader: raft.leader.as_ref() == Some(id),
        protocol_version: Str::from("3"),
        voter,
        last_index: last.0,
    }
}

/// The server that is to be removed.
pub(in crate::front) fn peer(cx: &Cx<'_>, by_id: bool, wanted: &str) -> Result<ServerId, HttpError> {
    let membership = &cx.view.raft.status.membership;
    let mut members = membership.voters.iter().chain(&membership.learners);
    let found = members.find(|id| match by_id {
        true => ***id == *wanted,
        false => address(cx, id).is_some_and(|address| address == wanted),
    });
    let what = if by_id { "id" } else { "address" };
    let missing =
        || HttpError::Failed(format!("{what} \"{wanted}\" was not found in the Raft configuration"));
    found.cloned().ok_or_else(missing)
}

/// `DELETE /v1/operator/raft/peer`, with `?id=` or `?address=`.
pub(in crate::front) fn remove_peer(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let by_id = match (rq.query.has("id"), rq.query.has("address")) {
        (false, false) => {
            let text =
                "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove";
            return Err(HttpError::BadRequest(text.into()));
        }
        (true, true) => {
            return Err(HttpError::BadRequest("Must specify only one of ?id or ?address".into()));
        }
        (by_id, _) => by_id,
    };
    let (id, address) = (Str::from(rq.query.get("id")), Str::from(rq.query.get("address")));
    if remote::leads(cx, rq) {
        let id = peer(cx, by_id, if by_id { &id } else { &address })?;
        let finish: Finish = |_, _, reply| match reply {
            call::Reply::Applied { .. } | call::Reply::Done => Ok(respond::done()),
            other => Err(unexpected(other)),
        };
        return Ok(Step::Call(Box::new(call::Request::Membership(Change::Remove(id))), finish));
    }
    let method = if by_id { "Operator.RaftRemovePeerByID" } else { "Operator.RaftRemovePeerByAddress" };
    let arguments = |datacenter| Peer { datacenter, address, id };
    Ok(remote::ask_leader(method, cx, rq, Kind::Write, arguments, |_, _, reply| {
        remote::body(reply).map(|_| respond::done())
    }))
}

/// `POST /v1/operator/raft/transfer-leader`, with `?id=`. Of this datacenter only, as with Consul.
pub(in crate::front) fn transfer_leader(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let own = Request { query: rq.query.without(&["dc", "datacenter"]), ..rq.clone() };
    let id = Str::from(rq.query.get("id"));
    if remote::leads(cx, &own) {
        let finish: Finish = |cx, rq, reply| match reply {
            call::Reply::Done => Ok(transferred(cx, rq)),
            other => Err(unexpected(other)),
        };
        return Ok(Step::Call(Box::new(transfer(cx, &id)?), finish));
    }
    let arguments = |datacenter| Peer { datacenter, id, ..Peer::default() };
    Ok(remote::ask_leader("Operator.TransferLeader", cx, &own, Kind::Write, arguments, |cx, rq, reply| {
        match remote::body(reply) {
            Ok(_) => Ok(transferred(cx, rq)),
            // Consul has gRPC for it, whose refusals come as they are.
            Err(error) => match error.to_string().strip_prefix("rpc error making call: ") {
                Some(text) => Err(HttpError::Failed(text.into())),
                None => Err(error),
            },
        }
    }))
}

fn transferred(cx: &Cx<'_>, rq: &Request) -> HttpReply {
    respond::json(cx.view, rq, |w| w.object(|w| w.field_bool("Success", true)))
}

/// The order to hand leadership over; without an ID, to whoever is the furthest.
pub(in crate::front) fn transfer(cx: &Cx<'_>, id: &str) -> Result<call::Request, HttpError> {
    if !id.is_empty() && address(cx, id).is_none() {
        return Err(HttpError::Failed(format!("Could not find address for server id {id}")));
    }
    Ok(call::Request::TransferLeadership((!id.is_empty()).then(|| ServerId::from(id))))
}
