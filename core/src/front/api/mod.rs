//! The handlers, one file per family of paths.

pub(super) mod acl;
pub(super) mod agent_check;
pub(super) mod agent_members;
pub(super) mod agent_metrics;
pub(super) mod agent_monitor;
pub(super) mod agent_node;
pub(super) mod agent_service;
pub(super) mod autopilot;
pub(super) mod catalog;
pub(super) mod coordinate;
mod debug_config;
pub(super) mod event;
pub(super) mod health;
pub(super) mod keyring;
pub(super) mod kv;
pub(super) mod operator;
pub(super) mod query;
pub(super) mod session;
pub(super) mod snapshot;
pub(super) mod status;
pub(super) mod txn;

use super::blocking::Cx;
use super::errors::HttpError;
use super::message::HttpReply;
use super::request::{Request, parse_bool};
use super::respond;
use super::route::{Finish, Step};
use crate::Str;
use crate::agent::AgentRequest;
use crate::call;
use crate::filter;
use crate::json::{self, Fields, Struct, Unknown};
use crate::types::{Node, NodeService};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Reads a body strictly: unknown fields are refused.
fn decode<T>(body: &[u8], shape: Struct, read: impl FnOnce(&mut Fields<'_>) -> T) -> Result<T, HttpError> {
    let value = json::parse_body(body).map_err(HttpError::Decode)?;
    json::decode(&value, shape, Unknown::Refuse, read).map_err(HttpError::Decode)
}

/// Refuses parts of a body that nothing would act on.
fn refuse_not_built(parts: &[&'static str]) -> Result<(), HttpError> {
    match parts.first() {
        None => Ok(()),
        Some(part) => {
            Err(HttpError::BadRequest(format!("{part} is not built yet in this version of Lictor")))
        }
    }
}

/// An agent change that answers with an empty body.
fn agent_call(request: AgentRequest) -> Step {
    let finish: Finish = |_, _, reply| match reply {
        call::Reply::Agent(Ok(())) => Ok(respond::done()),
        call::Reply::Agent(Err(error)) => Err(HttpError::Agent(error)),
        other => Err(unexpected(other)),
    };
    Step::Call(Box::new(call::Request::Agent(request)), finish)
}

/// A reply that does not fit the call.
pub(super) fn unexpected(reply: call::Reply) -> HttpError {
    match reply {
        call::Reply::Failed(error) => HttpError::Call(error),
        other => HttpError::Failed(format!("internal error: the node answered with {other:?}")),
    }
}

/// `?filter=` of an endpoint outside [`super::blocking`]; `None` if there is none.
fn expression(rq: &Request) -> Result<Option<filter::Expression>, HttpError> {
    match rq.query.get("filter") {
        "" => Ok(None),
        text => filter::parse(text).map(Some).map_err(HttpError::Filter),
    }
}

/// The reply, unless the filter cost more than it may while it was made.
fn unless_spent(filter: Option<&filter::Filter>, reply: HttpReply) -> Result<HttpReply, HttpError> {
    match filter.is_some_and(filter::Filter::is_spent) {
        true => Err(HttpError::Failed(filter::SPENT.into())),
        false => Ok(reply),
    }
}

/// `?enable=`, as both maintenance endpoints want it.
fn enable(rq: &Request) -> Result<bool, HttpError> {
    if !rq.query.has("enable") {
        return Err(HttpError::BadRequest("Missing value for enable".into()));
    }
    let text = rq.query.get("enable");
    parse_bool(text).ok_or_else(|| HttpError::BadRequest(format!("Invalid value for enable: \"{text}\"")))
}

/// `?node-meta=k:v`, all of which a node must carry; without a colon the value is empty.
struct MetaFilter<'a>(Vec<(&'a str, &'a str)>);

impl<'a> MetaFilter<'a> {
    fn of(rq: &'a Request) -> MetaFilter<'a> {
        MetaFilter(rq.query.all("node-meta").map(|pair| pair.split_once(':').unwrap_or((pair, ""))).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn matches(&self, node: &Node) -> bool {
        self.0.iter().all(|(key, value)| node.meta.get(key).is_some_and(|v| **v == **value))
    }
}

/// `?tag=`, all of which an instance must carry, whatever their case.
fn has_tags(rq: &Request, service: &NodeService) -> bool {
    rq.query.all("tag").all(|wanted| {
        let wanted = wanted.to_lowercase();
        service.tags.iter().any(|tag| tag.to_lowercase() == wanted)
    })
}

/// Whose services are asked for: a peer's, or this cluster's own for the empty name. Of groups of peers the
/// community edition has none.
fn peer<'a>(cx: &Cx<'_>, rq: &'a Request) -> Result<&'a str, HttpError> {
    let peer = rq.query.get("peer");
    let group = match rq.query.get("sameness-group") {
        "" => rq.query.get("sg"),
        group => group,
    };
    match (peer.is_empty(), group.is_empty()) {
        (_, true) => Ok(peer),
        (false, false) => {
            Err(HttpError::BadRequest("peer-name and sameness-group are mutually exclusive".into()))
        }
        // Consul's client agents leave this to a server.
        (true, false) => Err(HttpError::Failed(match cx.view.config.server {
            true => "sameness groups are not supported in consul CE".into(),
            false => "rpc error making call: sameness groups are not supported in consul CE".into(),
        })),
    }
}

/// The index of a service's instances; of a peer's, whose tables are empty as long as nothing is imported, none.
pub(in crate::front) fn index_of_peer(peer: &str, own: u64) -> u64 {
    if peer.is_empty() { own } else { 0 }
}

/// A name as watch keys and tables hold it.
fn folded(name: &str) -> Str {
    Str::from(name.to_lowercase())
}

/// The path's argument, owned, as a call carries it.
fn arg(rq: &Request) -> String {
    rq.arg().into()
}
