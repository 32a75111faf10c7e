//! Reads that other servers are asked for, by a client agent or because they are about another datacenter: what
//! they tell is answered like records of our own.
//!
//! The answer to a call becomes a store that holds nothing else, and the read's own function answers from
//! it; index, leader and contact are those that the server told. What a server has picked out already
//! (`?filter=`, `?node-meta=`) is not picked out again.

use super::blocking::{self, Answer, Cx, Memory};
use super::errors::HttpError;
use super::lately;
use super::message::HttpReply;
use super::near;
use super::request::{CacheControl, Consistency, Options, Request};
use super::route::{Finish, Read, Step};
use crate::Str;
use crate::cache::{self, Keep, Wanted};
use crate::call::{self, Reply};
use crate::command::Command;
use crate::config::RuntimeConfig;
use crate::router::{Ask, Kind, To};
use crate::rpc::answer::QueryMeta;
use crate::rpc::arguments::ReadArguments;
use crate::store::Excerpt;
use crate::time::{Duration, Instant, Now};
use crate::view::{RaftView, View};
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use bytes::Bytes;
use core::cell::RefCell;
use serde::{Deserialize, Serialize};

/// How a read is done by servers.
#[derive(Debug)]
pub(super) struct Remote {
    /// The method, and its arguments beside the common ones.
    pub(super) ask: fn(&Cx<'_>, &Request, &mut ReadArguments) -> &'static str,
    /// Takes the records out of the answer.
    pub(super) take: fn(&mut Excerpt, &[u8]) -> Result<(), msgpack::Error>,
    /// Calls [`finish`] with the read itself.
    pub(super) finish: Finish,
}

/// The arguments that all reads share.
fn arguments(cx: &Cx<'_>, rq: &Request, options: &Options) -> ReadArguments {
    let config = &cx.view.config;
    let (allow_stale, max) = match options.consistency {
        Consistency::Stale { max } => (true, max),
        _ => (false, None),
    };
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let metas = rq.query.all("node-meta").map(|pair| pair.split_once(':').unwrap_or((pair, "")));
    ReadArguments {
        datacenter: datacenter(rq, config),
        node_meta_filters: metas.map(|(key, value)| (Str::from(key), Str::from(value))).collect(),
        source: near::source(cx, rq),
        filter: Str::from(rq.query.get("filter")),
        token: token(rq),
        min_query_index: options.index,
        max_query_time: if options.index > 0 { nanos(options.wait) } else { 0 },
        allow_stale,
        require_consistent: options.consistency == Consistency::Consistent,
        max_stale_duration: max.map_or(0, nanos),
        ..ReadArguments::default()
    }
}

/// Whether other servers are to be asked: this is a client, or another datacenter is meant.
pub(super) fn elsewhere(rq: &Request, config: &RuntimeConfig) -> bool {
    !config.server || datacenter(rq, config) != config.datacenter
}

/// A write for that datacenter.
pub(super) fn write(datacenter: Str, command: Command, config: &RuntimeConfig) -> Box<call::Request> {
    Box::new(match datacenter == config.datacenter {
        true => call::Request::Write(command),
        false => call::Request::WriteThere { datacenter, command },
    })
}

/// The datacenter that is asked for: servers know the way to others.
pub(super) fn datacenter(rq: &Request, config: &RuntimeConfig) -> Str {
    match (rq.query.get("datacenter"), rq.query.get("dc")) {
        ("", "") => config.datacenter.clone(),
        ("", wanted) | (wanted, _) => Str::from(wanted),
    }
}

/// The token that a request carries: in the query, in a header of its own, or as a bearer.
pub(super) fn token(rq: &Request) -> Str {
    let bearer = rq.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = Some(rq.query.get("token")).filter(|token| !token.is_empty());
    Str::from(token.or_else(|| rq.header("x-consul-token")).or(bearer.map(str::trim)).unwrap_or(""))
}

/// Tags that every instance must carry.
pub(super) fn with_tags(rq: &Request, arguments: &mut ReadArguments) {
    arguments.service_name = Str::from(rq.arg());
    arguments.service_tags = rq.query.all("tag").map(Str::from).collect();
    arguments.tag_filter = !arguments.service_tags.is_empty();
}

/// What is asked for a read, once the handler itself has nothing against the request.
pub(super) fn start(cx: &Cx<'_>, rq: &Request, read: &'static Read) -> Result<call::Request, HttpError> {
    let options = Options::parse(rq, &cx.view.config)?;
    (read.answer)(&cx.judging(), rq)?;
    let mut arguments = arguments(cx, rq, &options);
    let method = (read.remote.ask)(cx, rq, &mut arguments);
    if options.cached && read.cacheable {
        let kept = match blocking::is_streamed(rq, read, &options, &cx.view.config) {
            true => cache::KEPT_STREAMED,
            false => cache::KEPT,
        };
        let (min_index, wait) = (options.index, options.wait);
        let wanted = Wanted { method, arguments, min_index, wait, keep: Keep::Followed, kept };
        return Ok(call::Request::AskCached(Box::new(wanted)));
    }
    let kind = if options.index > 0 { Kind::Wait(options.wait) } else { Kind::Read };
    let to = To::Datacenter(arguments.datacenter.clone());
    let ask = Ask { to, method, body: msgpack::to_vec(&arguments).into(), kind };
    Ok(call::Request::Ask(ask))
}

/// Whether an answer is older than `?max_stale` allows: servers of Consul do not look at that.
pub(super) fn is_too_old(cx: &Cx<'_>, rq: &Request, reply: &Reply) -> bool {
    let Reply::Answer(body) = reply else { return false };
    match Options::parse(rq, &cx.view.config).map(|options| options.consistency) {
        Ok(Consistency::Stale { max: Some(max) }) => msgpack::from_slice::<QueryMeta>(body)
            .is_ok_and(|meta| u128::from(meta.last_contact.max(0).unsigned_abs()) > max.as_nanos()),
        _ => false,
    }
}

/// A client's question to a server of its own datacenter, whatever the request names.
pub(super) fn to_server(method: &'static str, cx: &Cx<'_>, finish: Finish) -> Step {
    let datacenter = cx.view.config.datacenter.clone();
    let arguments = ReadArguments { datacenter: datacenter.clone(), ..ReadArguments::default() };
    let body = msgpack::to_vec(&arguments).into();
    let ask = Ask { to: To::Datacenter(datacenter), method, body, kind: Kind::Read };
    Step::Call(Box::new(call::Request::Ask(ask)), finish)
}

/// The same, if an answer will do that was fetched before.
pub(super) fn to_server_cached(
    method: &'static str,
    cx: &Cx<'_>,
    control: CacheControl,
    finish: Finish,
) -> Step {
    let datacenter = cx.view.config.datacenter.clone();
    let wanted = Wanted {
        method,
        arguments: ReadArguments { datacenter, ..ReadArguments::default() },
        min_index: 0,
        wait: Duration::ZERO,
        keep: Keep::Fetched { max_age: control.max_age(), must_revalidate: control.must_revalidate() },
        kept: cache::KEPT,
    };
    Step::Call(Box::new(call::Request::AskCached(Box::new(wanted))), finish)
}

/// Whether this server leads the datacenter that the request is about.
pub(super) fn leads(cx: &Cx<'_>, rq: &Request) -> bool {
    cx.view.raft.is_leader && !elsewhere(rq, &cx.view.config)
}

/// Has whoever leads the datacenter that the request is about do it.
pub(super) fn ask_leader<A: Serialize>(
    method: &'static str,
    cx: &Cx<'_>,
    rq: &Request,
    kind: Kind,
    arguments: impl FnOnce(Str) -> A,
    finish: Finish,
) -> Step {
    let config = &cx.view.config;
    let datacenter = datacenter(rq, config);
    let to = match elsewhere(rq, config) {
        true => To::Datacenter(datacenter.clone()),
        false => To::Leader,
    };
    let ask = Ask { to, method, body: msgpack::to_vec(&arguments(datacenter)).into(), kind };
    Step::Call(Box::new(call::Request::Ask(ask)), finish)
}

/// The arguments of a read that names nothing but the datacenter.
pub(super) fn of_datacenter(datacenter: Str) -> ReadArguments {
    ReadArguments { datacenter, ..ReadArguments::default() }
}

/// A question that never blocks and names nothing but the datacenter.
pub(super) fn plain(method: &'static str, cx: &Cx<'_>, rq: &Request, finish: Finish) -> Step {
    let datacenter = datacenter(rq, &cx.view.config);
    let arguments = ReadArguments { datacenter: datacenter.clone(), ..ReadArguments::default() };
    let ask = Ask {
        to: To::Datacenter(datacenter),
        method,
        body: msgpack::to_vec(&arguments).into(),
        kind: Kind::Read,
    };
    Step::Call(Box::new(call::Request::Ask(ask)), finish)
}

/// Answers a read from what a server told.
pub(super) fn finish(
    read: &'static Read,
    cx: &Cx<'_>,
    rq: &Request,
    reply: Reply,
) -> Result<HttpReply, HttpError> {
    let age = age(&reply);
    let answered = body(reply).and_then(|body| {
        let mut excerpt = Excerpt::default();
        let meta: QueryMeta = value(&body)?;
        (read.remote.take)(&mut excerpt, &body).map_err(|e| unreadable(&e))?;
        let config = &cx.view.config;
        if config.translate_wan_addrs && datacenter(rq, config) != config.datacenter {
            excerpt.translate();
        }
        Ok((meta, excerpt))
    });
    let (meta, mut excerpt) = match answered {
        Ok(answered) => answered,
        Err(error) => return Ok(blocking::failed(read, &error)),
    };
    let options = Options::parse(rq, &cx.view.config)?;
    let index = meta.index;
    // A filter is left to see, for a list of nothing looks different then; nobody applies it.
    let mut query = rq.query.without(&["node-meta", "near", "dc", "datacenter"]);
    if !rq.query.get("near").is_empty()
        && let Some(nearest) = excerpt.keep_order()
    {
        // The server has sorted them.
        query.push("near", &nearest);
    }
    let view = view(cx.view, excerpt, &meta, cx.now);
    let memory = Memory { bodies: RefCell::default(), lately: cx.memory.lately.clone() };
    let found = Cx::of(&view, cx.now, &memory);
    let picked = Request { query, ..rq.clone() };
    let Answer { body, .. } = (read.answer)(&found, &picked)?;
    let mut reply = blocking::reply(read, &options, rq, &view, cx.now, index, body);
    if options.cached && read.cacheable {
        lately::put(&mut reply, age);
    }
    Ok(reply)
}

/// How old an answer that is kept may be; `None`: it was asked for.
pub(super) fn age(reply: &Reply) -> Option<Duration> {
    match reply {
        Reply::Cached(found) => found.age,
        _ => None,
    }
}

/// The body of a server's answer.
pub(super) fn body(reply: Reply) -> Result<Bytes, HttpError> {
    match reply {
        Reply::Answer(body) => Ok(body),
        Reply::Cached(found) => Ok(found.body),
        Reply::Failed(error) => Err(HttpError::Call(error)),
        other => Err(HttpError::Failed(format!("internal error: the node answered with {other:?}"))),
    }
}

/// An answer, or a part of it.
pub(super) fn value<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, HttpError> {
    msgpack::from_slice(body).map_err(|e| unreadable(&e))
}

fn unreadable(error: &msgpack::Error) -> HttpError {
    let text: String = format!("rpc error making call: the server's answer cannot be read: {error}");
    HttpError::Failed(text)
}

/// A view as that server would have it, as far as answers look.
pub(super) fn view(own: &View, excerpt: Excerpt, meta: &QueryMeta, now: Now) -> View {
    let contact = Duration::from_nanos(meta.last_contact.max(0).unsigned_abs());
    View {
        store: excerpt.into_store(),
        raft: RaftView {
            leader: meta.known_leader.then(Str::default),
            is_leader: false,
            last_contact: Some(now.mono - contact),
            lease_until: Instant::ZERO,
            ..own.raft.clone()
        },
        ..own.clone()
    }
}
