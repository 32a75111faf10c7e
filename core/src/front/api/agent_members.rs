//! `/v1/agent/members` and who joins and leaves.

use super::super::blocking::Cx;
use super::super::errors::HttpError;
use super::super::message::HttpReply;
use super::super::request::Request;
use super::super::respond;
use super::super::route::{Finish, Step};
use super::agent_node::done;
use super::{expression, unexpected, unless_spent};
use crate::COMPATIBLE_VERSION as VERSION;
use crate::Str;
use crate::call;
use crate::filter::{Member, Record, Subject};
use crate::front::REVISION;
use crate::gossip;
use crate::gossip::consul::{ClientTags, ServerTags};
use crate::ids::Pool;
use crate::json::Writer;
use crate::view::View;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// `GET /v1/agent/members`.
pub(in crate::front) fn members(cx: &Cx<'_>, rq: &Request) -> Result<HttpReply, HttpError> {
    let wan = !rq.query.get("wan").is_empty();
    let segment = rq.query.get("segment");
    match (wan, segment) {
        // `_all` comes from every `members` command.
        (_, "" | "_all") => {}
        (true, _) => return Err(HttpError::BadRequest("Cannot provide a segment with wan=true".into())),
        (false, _) => {
            return Err(HttpError::Failed(match cx.view.config.server {
                true => "Network segments are not supported in this version of Consul".into(),
                false => format!("segment {segment:?} not found"),
            }));
        }
    }
    let filter = match expression(rq)? {
        Some(expression) => Some(expression.about(Subject::Member).map_err(HttpError::Filter)?),
        None => None,
    };
    let known = &cx.view.members;
    if wan && known.wan.is_empty() {
        // Without a WAN pool there is no list, not an empty one.
        return Ok(respond::json(cx.view, rq, |w| w.null()));
    }
    let mut shown: Vec<Member> = if wan { &known.wan } else { &known.lan }.iter().map(record).collect();
    if shown.is_empty() {
        // Without gossip this node knows of itself only.
        shown.push(own_member(cx.view));
    }
    let reply = respond::json(cx.view, rq, |w| {
        w.array(|w| {
            for record in shown {
                if filter.as_ref().is_none_or(|f| f.matches(Record::Member(&record))) {
                    member(w, &record);
                }
            }
        });
    });
    unless_spent(filter.as_ref(), reply)
}

fn record(member: &gossip::Member) -> Member {
    let [min, max, current, delegate_min, delegate_max, delegate_current] = member.vsn;
    Member {
        name: (*member.name).into(),
        addr: match member.addr.ip() {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        },
        port: member.addr.port(),
        tags: member.tags.clone(),
        status: i64::from(member.status.number()),
        protocol: [min, max, current],
        delegate: [delegate_min, delegate_max, delegate_current],
    }
}

/// This node as its own pool shows it; without gossip, as it would show itself.
pub(super) fn own_member(view: &View) -> Member {
    let config = &view.config;
    if let Some(own) = view.members.lan.iter().find(|member| member.name == config.node_name) {
        return record(own);
    }
    let (datacenter, id) = (config.datacenter.clone(), view.node_id.clone());
    let build = Str::from(format!("{VERSION}:{REVISION}"));
    let tags = match config.server {
        true => {
            let alone = config.bootstrap_expect == 1;
            let expect = if alone { 0 } else { config.bootstrap_expect };
            let port = config.ports.server;
            let tags =
                ServerTags { datacenter, id, build, port, bootstrap: alone, expect, ..Default::default() };
            tags.tags()
        }
        false => ClientTags { datacenter, id, build, reconnect_timeout: None }.tags(),
    };
    record(&gossip::Member {
        name: config.node_name.clone(),
        addr: SocketAddr::new(config.advertise_addr, config.ports.serf_lan.unwrap_or(0)),
        tags,
        status: gossip::Status::Alive,
        vsn: gossip::VSN,
    })
}

pub(super) fn member(w: &mut Writer<'_>, member: &Member) {
    let ([min, max, current], [delegate_min, delegate_max, delegate_current]) =
        (member.protocol, member.delegate);
    w.object(|w| {
        w.field_str("Name", &member.name);
        w.field_str("Addr", &address(&member.addr));
        w.field_u64("Port", u64::from(member.port));
        w.field_str_map("Tags", &member.tags);
        w.field_i64("Status", member.status);
        for (key, value) in [
            ("ProtocolMin", min),
            ("ProtocolMax", max),
            ("ProtocolCur", current),
            ("DelegateMin", delegate_min),
            ("DelegateMax", delegate_max),
            ("DelegateCur", delegate_current),
        ] {
            w.field_u64(key, u64::from(value));
        }
    });
}

fn address(bytes: &[u8]) -> alloc::string::String {
    match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(v4), _) => IpAddr::from(v4).to_string(),
        (_, Ok(v6)) => Ipv6Addr::from(v6).to_string(),
        _ => "".into(),
    }
}

fn pool(rq: &Request) -> Pool {
    if rq.query.get("wan").is_empty() { Pool::Lan } else { Pool::Wan }
}

/// `PUT /v1/agent/join/:address`.
pub(in crate::front) fn join(_: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let finish: Finish = |_, _, reply| match reply {
        call::Reply::Joined(_) => Ok(respond::done()),
        call::Reply::Failed(call::CallError::Refused(why)) => Err(HttpError::Failed(why)),
        other => Err(unexpected(other)),
    };
    let request = call::Request::Join { pool: pool(rq), names: vec![rq.arg().into()] };
    Ok(Step::Call(Box::new(request), finish))
}

/// `PUT /v1/agent/force-leave/:node`.
pub(in crate::front) fn force_leave(cx: &Cx<'_>, rq: &Request) -> Result<Step, HttpError> {
    let (prune, wan) = (rq.query.has("prune"), rq.query.has("wan"));
    if wan && !cx.view.config.server {
        let text = "Must be a server to force-leave a node from the WAN cluster";
        return Err(HttpError::Failed(text.into()));
    }
    let request = call::Request::ForceLeave { node: rq.arg().into(), prune, wan };
    Ok(Step::Call(Box::new(request), done()))
}
