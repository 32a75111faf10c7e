//! `/v1/operator`: who the servers are.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::{Request, refuse_other_datacenter};
use super::super::respond;
use super::status::address;
use crate::call::CallError;
use crate::ids::{Index, ServerId};
use crate::json::Writer;

/// `GET /v1/operator/raft/configuration`: the servers of the membership in effect. Only the leader
/// knows how far each of the others is; elsewhere their index is 0.
pub(in crate::front) fn raft_configuration(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
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

fn server(w: &mut Writer<'_>, cx: &Cx<'_>, id: &ServerId, voter: bool) {
    let raft = &cx.view.raft;
    let node = cx.view.store.node_by_id_prefix(id);
    let last = match raft.status.peers.iter().find(|peer| peer.id == *id) {
        _ if *id == cx.view.node_id => raft.status.last_index,
        Some(peer) => peer.matched,
        None => Index(0),
    };
    w.object(|w| {
        w.field_str("ID", id);
        w.field_str("Node", node.map_or("(unknown)", |node| &node.node));
        w.field_str("Address", &address(cx, id).unwrap_or_default());
        w.field_bool("Leader", raft.leader.as_ref() == Some(id));
        w.field_str("ProtocolVersion", "3");
        w.field_bool("Voter", voter);
        w.field_u64("LastIndex", last.0);
    });
}
