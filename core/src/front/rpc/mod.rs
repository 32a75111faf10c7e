//! Calls of agents and of other servers, answered by the same rules as HTTP requests.
//!
//! | file | decides |
//! |---|---|
//! | `table` | the methods: name, ACL rule, handler |
//! | `arguments` | what a read is given, and which consistency it asks for |
//! | `result` | the shapes of answers |
//! | `status`, `catalog`, `health`, `kv`, `txn`, `session`, `coordinate`, `internal`, `overview`, `operator`, `query` | the methods |
//! | `unbuilt` | methods of parts that are not built: what can be said truly without them |
//!
//! Everything that a write stores is what a read gives back: agents compare field by field, and register
//! anew what differs.

mod arguments;
mod catalog;
pub(super) mod coordinate;
mod health;
mod internal;
mod kv;
mod operator;
mod overview;
pub(super) mod query;
mod result;
mod session;
mod status;
mod table;
mod txn;
mod unbuilt;

pub(super) use arguments::Arguments;

use super::Front;
use super::blocking::{Answer, Cx, Question};
use super::errors::HttpError;
use super::message::{FrontOutput, RpcCall, RpcReply};
use super::near::Near;
use super::pending::Ending;
use super::remote;
use super::request::clamp_wait;
use super::route::Rule;
use crate::Str;
use crate::call;
use crate::filter::Subject;
use crate::ids::ReqId;
use crate::metrics::Metric;
use crate::router::{Ask, Kind, To};
use crate::rpc::arguments::ReadArguments;
use crate::time::Now;
use crate::view::View;
use crate::watch::WatchKey;
use crate::wire::msgpack;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Deserialize;

/// One method.
#[derive(Debug)]
struct Method {
    /// With its service, as calls name it.
    name: &'static str,
    rule: Rule,
    handler: Handler,
}

/// What answers.
#[derive(Clone, Copy, Debug)]
enum Handler {
    /// The view, at once.
    View(fn(&Cx<'_>) -> Bytes),
    /// The view, by the rules of [`super::blocking`].
    Read(&'static Read),
    /// Itself, or the node.
    Call(fn(&Cx<'_>, &[u8]) -> Result<Step, Failure>),
}

/// What a [`Handler::Call`] does next.
enum Step {
    /// It is answered without the node.
    Done(Bytes),
    /// Ask the node and let `finish` read the reply.
    Call(Box<call::Request>, Finish),
    /// It is a read with arguments of its own.
    Read(Box<Arguments>, &'static Read),
}

/// Makes an answer of the node's reply.
pub(super) type Finish = fn(call::Reply) -> Result<Bytes, HttpError>;

/// A read with consistency modes and blocking.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) answer: fn(&Cx<'_>, &Arguments) -> Result<Answer, HttpError>,
    /// What a change must touch to make the answer another one.
    pub(super) watch: fn(&Arguments) -> Vec<WatchKey>,
    /// What `Filter` is about; `None`: it is not looked at.
    pub(super) filter: Option<Subject>,
}

/// The list of what an iterator gives, the nearest to where the call says first; nil if that is nothing.
fn near<T>(
    cx: &Cx<'_>,
    args: &Arguments,
    items: impl Iterator<Item = T>,
    node: impl Fn(&T) -> &str,
) -> Option<Vec<T>> {
    let mut items = result::list(items)?;
    if let Some(near) = Near::of(cx, &args.read.source) {
        near.sort(&mut items, node);
    }
    Some(items)
}

/// Why a call is not carried out.
enum Failure {
    /// The arguments are not what the method takes.
    Arguments(msgpack::Error),
    /// They are, but cannot be done.
    Refused(HttpError),
    /// They are for another datacenter.
    Elsewhere(Str),
    /// They are for the leader, which is another server.
    AtLeader,
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Failure {
        Failure::Refused(error)
    }
}

impl From<Failure> for RpcReply {
    fn from(failure: Failure) -> RpcReply {
        match failure {
            Failure::Arguments(error) => RpcReply::not_understood(format!("rpc: arguments: {error}")),
            Failure::Refused(error) => RpcReply::error(&error),
            Failure::Elsewhere(_) => RpcReply::error(&HttpError::NoPathToDatacenter),
            Failure::AtLeader => RpcReply::error(&HttpError::Call(call::CallError::NoLeader)),
        }
    }
}

/// The arguments of a call that writes.
fn decode<'de, T: Deserialize<'de>>(arguments: &'de [u8]) -> Result<T, Failure> {
    msgpack::from_slice(arguments).map_err(Failure::Arguments)
}

/// Leaves a call for another datacenter to that one's servers. None given means this one.
fn refuse_other_datacenter(wanted: &str, own: &str) -> Result<(), Failure> {
    if wanted.is_empty() || wanted == own { Ok(()) } else { Err(Failure::Elsewhere(Str::from(wanted))) }
}

/// Leaves a call to the leader, if that is another server.
fn refuse_unless_leader(cx: &Cx<'_>) -> Result<(), Failure> {
    if cx.view.raft.is_leader { Ok(()) } else { Err(Failure::AtLeader) }
}

/// What another server answers, as it is.
const PASSED_ON: Finish = |reply| remote::body(reply);

impl Front {
    pub(super) fn on_rpc(&mut self, now: Now, view: &Arc<View>, req: ReqId, call: RpcCall) {
        self.forget(req);
        self.routed = None;
        self.metrics.count(now, Metric::RpcRequest);
        if let Err(reply) = self.start_rpc(now, view, req, &call) {
            self.outputs.push_back(FrontOutput::RpcReply { req, reply });
        }
    }

    pub(super) fn on_follow(&mut self, now: Now, view: &Arc<View>, req: ReqId, service: String, index: u64) {
        self.forget(req);
        self.routed = None;
        // Every server answers from what it has itself.
        let read = ReadArguments {
            service_name: service.into(),
            min_query_index: index.max(1),
            allow_stale: true,
            ..ReadArguments::default()
        };
        let arguments = Arguments { read, ops: Vec::new() };
        let options = arguments.options(&view.config);
        self.begin(now, view, req, Question::Rpc(Box::new(arguments), &health::FOLLOW), options);
    }

    fn start_rpc(&mut self, now: Now, view: &Arc<View>, req: ReqId, call: &RpcCall) -> Result<(), RpcReply> {
        let method = table::find(&call.method).map_err(RpcReply::not_understood)?;
        let cx = Cx::of(view, now, &self.memory);
        let step = match begin(&cx, method, &call.arguments) {
            Err(Failure::Elsewhere(datacenter)) => {
                pass_on(&cx, To::Datacenter(datacenter), method, &call.arguments)?
            }
            Err(Failure::AtLeader) => pass_on(&cx, To::Leader, method, &call.arguments)?,
            step => step?,
        };
        match step {
            Step::Done(result) => {
                let reply = RpcReply::result(result);
                self.outputs.push_back(FrontOutput::RpcReply { req, reply });
            }
            Step::Call(request, finish) => {
                let request = call::Request::ForAgent(request);
                self.start_call(req, request, Ending::Rpc(finish)).map_err(Failure::Refused)?;
            }
            Step::Read(arguments, read) => {
                self.metrics.count(now, Metric::RpcQuery);
                let options = arguments.options(&view.config);
                self.begin(now, view, req, Question::Rpc(arguments, read), options);
            }
        }
        Ok(())
    }
}

/// What this server does with a call.
fn begin(cx: &Cx<'_>, method: &Method, arguments: &[u8]) -> Result<Step, Failure> {
    let own = &cx.view.config.datacenter;
    let step = match method.handler {
        Handler::View(answer) => {
            let arguments: ReadArguments = decode(arguments)?;
            refuse_other_datacenter(&arguments.datacenter, own)?;
            Step::Done(answer(cx))
        }
        Handler::Read(read) => {
            Step::Read(Box::new(Arguments { read: decode(arguments)?, ops: Vec::new() }), read)
        }
        Handler::Call(handle) => handle(cx, arguments)?,
    };
    if let Step::Read(arguments, _) = &step {
        refuse_other_datacenter(&arguments.read.datacenter, own)?;
    }
    Ok(step)
}

/// Has another server do it, with the arguments as they are.
fn pass_on(cx: &Cx<'_>, to: To, method: &'static Method, arguments: &Bytes) -> Result<Step, Failure> {
    let kind = match method.rule.writes() && method.name != "Txn.Read" {
        true => Kind::Write,
        false => {
            let asked: ReadArguments = decode(arguments)?;
            match asked.min_query_index {
                0 => Kind::Read,
                _ => Kind::Wait(clamp_wait(asked.max_query_time, &cx.view.config)),
            }
        }
    };
    let ask = Ask { to, method: method.name, body: arguments.clone(), kind };
    Ok(Step::Call(Box::new(call::Request::Ask(ask)), PASSED_ON))
}

/// A reply that does not fit the call.
fn unexpected(reply: call::Reply) -> HttpError {
    match reply {
        call::Reply::Failed(error) => HttpError::Call(error),
        other => HttpError::Failed(format!("internal error: the node answered with {other:?}")),
    }
}

/// Consul's text for arguments that lack something.
fn missing(text: &str) -> HttpError {
    HttpError::Failed(String::from(text))
}
