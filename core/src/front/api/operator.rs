//! `/v1/operator`: who the servers are.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::{Request, refuse_other_datacenter};
use super::super::respond;
use super::super::route::{Finish, Step};
use super::status::address;
use super::unexpected;
use crate::call::{self, CallError};
use crate::gossip::consul::Server;
use crate::ids::{Index, ServerId};
use crate::json::Writer;
use crate::raft::Change;
use alloc::boxed::Box;
use alloc::format;

/// `GET /v1/operator/raft/configuration`: the servers of the membership in effect. Only the leader
/// knows how far each of the others is; elsewhere their index is 0.
pub(in crate::front) fn raft_configuration(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    servers_only(cx)?;
    refuse_other_datacenter(rq, &cx.view.config.datacenter)?;
    if cx.view.raft.leader.is_none() && !rq.query.has("stale") {
        return Err(HttpError::Call(CallError::NoLeader));
    }
    let membership = &cx.view.raft.status.membership;
    Ok(respond::json(cx.view, rq, |w| {
        w.object(|w| {
            w.field("Servers", |w| {
                w.array(|w| {
                    membership.voters.iter().for_each(|id| server(w, cx, id, true));
                    membership.learners.iter().for_each(|id| server(w, cx, id, false));
                });
            });
            // As Consul, which never fills it in.
            w.field_u64("Index", 0);
        });
    }))
}

/// Client agents do not pass these questions on yet.
pub(super) fn servers_only(cx: &Cx<'_>) -> Result<(), HttpError> {
    match cx.view.config.server {
        true => Ok(()),
        false => Err(HttpError::NotBuilt("asking servers for this through a client agent".into())),
    }
}

/// `DELETE /v1/operator/raft/peer`, with `?id=` or `?address=`.
pub(in crate::front) fn remove_peer(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    servers_only(cx)?;
    refuse_other_datacenter(rq, &cx.view.config.datacenter)?;
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
    let (what, wanted) =
        if by_id { ("id", rq.query.get("id")) } else { ("address", rq.query.get("address")) };
    let membership = &cx.view.raft.status.membership;
    let mut members = membership.voters.iter().chain(&membership.learners);
    let found = members.find(|id| match by_id {
        true => ***id == *wanted,
        false => address(cx, id).is_some_and(|address| address == wanted),
    });
    let Some(id) = found else {
        return Err(HttpError::Failed(format!(
            "{what} \"{wanted}\" was not found in the Raft configuration"
        )));
    };
    let finish: Finish = |_, _, reply| match reply {
        call::Reply::Applied { .. } | call::Reply::Done => Ok(respond::done()),
        other => Err(unexpected(other)),
    };
    Ok(Step::Call(Box::new(call::Request::Membership(Change::Remove(id.clone()))), finish))
}

/// `POST /v1/operator/raft/transfer-leader`, with `?id=`.
pub(in crate::front) fn transfer_leader(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    servers_only(cx)?;
    refuse_other_datacenter(rq, &cx.view.config.datacenter)?;
    let id = rq.query.get("id");
    if !id.is_empty() && address(cx, id).is_none() {
        return Err(HttpError::Failed(format!("Could not find address for server id {id}")));
    }
    let to = (!id.is_empty()).then(|| ServerId::from(id));
    let finish: Finish = |cx, rq, reply| match reply {
        call::Reply::Done => Ok(respond::json(cx.view, rq, |w| {
            w.object(|w| w.field_bool("Success", true));
        })),
        other => Err(unexpected(other)),
    };
    Ok(Step::Call(Box::new(call::Request::TransferLeadership(to)), finish))
}

fn server(w: &mut Writer<'_>, cx: &Cx<'_>, id: &ServerId, voter: bool) {
    let raft = &cx.view.raft;
    let node = cx.view.store.node_by_id_prefix(id);
    let last = match raft.status.peers.iter().find(|peer| peer.id == *id) {
        _ if *id == cx.view.node_id => raft.status.last_index,
        Some(peer) => peer.matched,
        None => Index(0),
    };
    let member = cx.view.members.lan.iter().filter_map(Server::from_member).find(|server| server.id == *id);
    let name = member.as_ref().map(|server| &*server.short_name).or(node.map(|node| &*node.node));
    w.object(|w| {
        w.field_str("ID", id);
        w.field_str("Node", name.unwrap_or("(unknown)"));
        w.field_str("Address", &address(cx, id).unwrap_or_default());
        w.field_bool("Leader", raft.leader.as_ref() == Some(id));
        w.field_str("ProtocolVersion", "3");
        w.field_bool("Voter", voter);
        w.field_u64("LastIndex", last.0);
    });
}
