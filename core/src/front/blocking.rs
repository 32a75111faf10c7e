//! Reads: how fresh an answer must be, and waiting until there is news.
//!
//! A read first passes the gate of its consistency mode, which may take a barrier from the node and then
//! a view that has applied the barrier's index. Then it is answered, or parked until a change touches what
//! it looked at, or its deadline comes.

use super::api;
use super::bodies::Bodies;
use super::errors::HttpError;
use super::lately::{Cached, Lately};
use super::message::{HttpReply, RpcReply};
use super::near::Near;
use super::query::Execution;
use super::request::{Consistency, Options, Request};
use super::respond::{self, ARCHIVE, JSON, Meta, TEXT};
use super::route::{Read, Style};
use super::rpc;
use super::work::Task;
use crate::config::RuntimeConfig;
use crate::filter::{self, Filter, Record, Subject};
use crate::json::Writer;
use crate::rng::Rng;
use crate::time::{Duration, Instant, Now};
use crate::types::{CheckServiceNode, QueryFound};
use crate::view::View;
use crate::watch::WatchKey;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::RefCell;

/// What a read looks at.
#[derive(Clone, Copy)]
pub(super) struct Cx<'a> {
    pub(super) view: &'a View,
    pub(super) now: Now,
    /// Without news past this, the body is not wanted: the read goes on waiting.
    pub(super) above: Option<u64>,
    /// Others are asked; only what is wrong with the request is to be found out.
    judges: bool,
    /// What `?filter=` asks for.
    pub(super) filter: Option<&'a Filter>,
    /// The front's rendered bodies, and what it was asked for.
    pub(super) memory: &'a Memory,
}

/// What a front remembers, only to answer faster and in the same way.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) bodies: RefCell<Bodies>,
    pub(super) lately: Arc<Lately>,
}

impl<'a> Cx<'a> {
    /// Whatever there is, is wanted.
    pub(super) fn of(view: &'a View, now: Now, memory: &'a Memory) -> Cx<'a> {
        Cx { view, now, above: None, judges: false, filter: None, memory }
    }

    /// The same for a read that only says what is wrong with its request.
    pub(super) fn judging(self) -> Cx<'a> {
        Cx { above: Some(u64::MAX), judges: true, ..self }
    }

    /// Whether an answer with this index would be sent. A read that asks before it renders spares the
    /// work for a client that goes on waiting.
    pub(super) fn wants(&self, index: u64) -> bool {
        self.above.is_none_or(|above| index.max(1) > above)
    }

    /// Whether others are asked, and only what is wrong with the request is to be found out.
    pub(super) fn asks_others(&self) -> bool {
        self.judges
    }

    /// Whether `?filter=` lets a record through.
    pub(super) fn passes(&self, record: Record<'_>) -> bool {
        self.filter.is_none_or(|filter| filter.matches(record))
    }
}

/// What a read found.
#[derive(Debug)]
pub(super) struct Answer {
    /// `X-Consul-Index`.
    pub(super) index: u64,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    /// [`Cx::wants`] said no.
    Unwanted,
    /// 200 and JSON, not yet indented.
    Json(Bytes),
    /// 200 and the bytes of a key.
    Raw(Bytes),
    /// 404 without a body: a key that is not there.
    Missing,
    /// 404 without a body or anything about the read: a node that has no coordinate.
    Absent,
    /// 409 and JSON: a transaction that failed.
    Conflict(Bytes),
    /// What a call answers, its meta included.
    Result(Bytes),
    /// The same for a key that is not there.
    NoEntry(Bytes),
    /// A prepared query that is to be gone on with.
    Query(Box<Execution>),
    /// 200 and what comes of this work.
    Later(Task),
}

impl Answer {
    /// A JSON answer, rendered only if it will be sent.
    pub(super) fn json(cx: &Cx<'_>, index: u64, write: impl FnOnce(&mut crate::json::Writer<'_>)) -> Answer {
        let body = match cx.wants(index) {
            true => Body::Json(crate::json::to_vec(write).into()),
            false => Body::Unwanted,
        };
        Answer { index, body }
    }

    /// The instances of a service that `shown` lets through, from the bodies kept where possible; see
    /// [`Bodies::instances`]. `index` is the service's.
    pub(super) fn instances(
        cx: &Cx<'_>,
        rq: &Request,
        index: u64,
        service: &str,
        shown: impl Fn(&CheckServiceNode) -> bool,
        write: impl Fn(&mut Writer<'_>, &CheckServiceNode),
    ) -> Answer {
        let store = &cx.view.store;
        let body = match cx.wants(index) {
            true if !rq.query.get("near").is_empty() => {
                let mut all: Vec<_> = store.service_health(service).filter(|entry| shown(entry)).collect();
                if let Some(near) = Near::of_request(cx, rq) {
                    near.sort(&mut all, |entry| &entry.node.node);
                }
                Body::Json(crate::json::to_vec(|w| w.array(|w| all.iter().for_each(|e| write(w, e)))).into())
            }
            true => {
                let all = store.service_health(service);
                let whole = || !cx.filter.is_some_and(Filter::is_spent);
                Body::Json(cx.memory.bodies.borrow_mut().instances(rq, index, all, shown, write, whole))
            }
            false => Body::Unwanted,
        };
        Answer { index, body }
    }
}

/// Who reads what: the one place where HTTP and RPC differ.
#[derive(Debug)]
pub(super) enum Question {
    Http(Request, &'static Read),
    Rpc(Box<rpc::Arguments>, &'static rpc::Read),
}

/// An answer on its way to whoever asked.
#[derive(Debug)]
pub(super) enum Reply {
    Http(HttpReply),
    Rpc(RpcReply),
    /// None yet: a prepared query is to be gone on with.
    Query(Box<Execution>),
    /// An answer without its body, and what makes that.
    Later(HttpReply, Task),
}

impl Question {
    fn answer(&self, cx: &Cx<'_>) -> Result<Answer, HttpError> {
        match self {
            Question::Http(rq, read) => (read.answer)(cx, rq),
            Question::Rpc(arguments, read) => (read.answer)(cx, arguments),
        }
    }

    /// What a change must touch to make the answer another one.
    pub(super) fn watch(&self, view: &View) -> Vec<WatchKey> {
        match self {
            Question::Http(rq, read) => (read.watch)(view, rq),
            Question::Rpc(arguments, read) => (read.watch)(arguments),
        }
    }

    /// The answer when something failed after the parameters were understood.
    pub(super) fn failed(&self, error: &HttpError) -> Reply {
        match self {
            Question::Http(_, read) => Reply::Http(failed(read, error)),
            Question::Rpc(..) => Reply::Rpc(RpcReply::error(error)),
        }
    }

    /// The answer when the request is refused as it stands.
    pub(super) fn refused(&self, error: &HttpError) -> Reply {
        match self {
            Question::Http(..) => Reply::Http(respond::error(error)),
            Question::Rpc(..) => Reply::Rpc(RpcReply::error(error)),
        }
    }

    fn filter(&self) -> Option<(&str, Subject)> {
        let (text, subject) = match self {
            Question::Http(rq, read) => (rq.query.get("filter"), read.filter?),
            Question::Rpc(arguments, read) => (&*arguments.read.filter, read.filter?),
        };
        (!text.is_empty()).then_some((text, subject))
    }
}

/// A read on its way to an answer.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) question: Question,
    pub(super) options: Options,
    /// Consul's streaming backend would answer it, which words some errors its own way.
    streamed: bool,
    filter: Option<Filter>,
    /// When a blocking read is answered in any case.
    pub(super) deadline: Instant,
    /// For `?cached`.
    pub(super) cached: Option<Cached>,
    /// The last look found nothing; finding nothing again is no news.
    was_missing: bool,
    /// The index of the last look; a different one after a restored snapshot is news.
    seen: u64,
}

/// Why a read is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// First look, or a change touched it.
    News,
    /// Everything may have changed, the index may even have fallen.
    Everything,
    /// Time is up.
    Deadline,
}

/// What to do with a read that passed its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Answer it from this view.
    Open,
    /// Ask the node first.
    Barrier { consistent: bool },
}

impl Reading {
    /// A read whose options are understood.
    pub(super) fn start(
        question: Question,
        options: Options,
        now: Now,
        rng: &mut Rng,
        config: &RuntimeConfig,
    ) -> Reading {
        let mut deadline = now.mono;
        if options.index > 0 {
            let jitter = rng.duration(Duration::ZERO, options.wait / 16);
            deadline = now.mono + options.wait + jitter;
        }
        let streamed = match &question {
            Question::Http(rq, read) => is_streamed(rq, read, &options, config),
            Question::Rpc(..) => false,
        };
        Reading {
            question,
            options,
            streamed,
            filter: None,
            deadline,
            cached: None,
            was_missing: false,
            seen: 0,
        }
    }

    /// Looks whether Consul would answer a read of `?cached` from its cache.
    pub(super) fn start_cached(&mut self, lately: &Lately, now: Instant) {
        if let Question::Http(rq, read) = &self.question
            && read.cacheable
            && self.options.cached
        {
            self.cached = Some(Cached::look(lately, rq, self.streamed, now));
        }
    }

    /// Reads the filter, which Consul does behind everything else that may be wrong with a request.
    pub(super) fn start_filter(&mut self) -> Result<(), HttpError> {
        let Some((text, subject)) = self.question.filter() else { return Ok(()) };
        let compiled = filter::parse(text).and_then(|expression| expression.about(subject));
        let compiled = compiled.map_err(|error| match self.streamed {
            true => HttpError::Failed(error.to_string()),
            false => HttpError::Filter(error),
        })?;
        self.filter = Some(compiled);
        Ok(())
    }

    /// What the handler itself refuses, it refuses before `error` is told.
    pub(super) fn refused_first(
        &self,
        error: HttpError,
        view: &View,
        now: Now,
        memory: &Memory,
    ) -> HttpError {
        let cx = Cx::of(view, now, memory).judging();
        self.question.answer(&cx).err().unwrap_or(error)
    }

    /// Which way the consistency mode demands.
    pub(super) fn gate(&mut self, view: &View, now: Instant) -> Gate {
        if let Consistency::Stale { max } = self.options.consistency {
            let contact = Meta::of(view, now, 0).last_contact_ms;
            if view.raft.caught_up && max.is_none_or(|max| u128::from(contact) <= max.as_millis()) {
                return Gate::Open;
            }
            // Too far behind: Consul asks the leader then. So do we where a server that has started does not know yet
            // what it has missed.
            self.options.consistency = Consistency::Default;
        }
        if self.cached.is_some_and(Cached::hit) {
            return Gate::Open;
        }
        match self.options.consistency {
            // Nobody else can lead, now or before this server says so: its view is a quorum's.
            _ if view.raft.lease_until == Instant::FAR_FUTURE => Gate::Open,
            Consistency::Consistent => Gate::Barrier { consistent: true },
            _ if view.raft.lease_until > now => Gate::Open,
            _ => Gate::Barrier { consistent: false },
        }
    }

    /// Looks at the data: `Some` is the answer, `None` means that there is no news yet.
    pub(super) fn look(
        &mut self,
        view: &View,
        now: Now,
        cause: Cause,
        memory: &Memory,
    ) -> Result<Option<Reply>, HttpError> {
        let blocks = self.options.index > 0 && cause != Cause::Deadline;
        let fallen = cause == Cause::Everything && self.seen > 0;
        let above = (blocks && !fallen).then_some(self.options.index);
        let cx = Cx { above, filter: self.filter.as_ref(), ..Cx::of(view, now, memory) };
        if let Some(filter) = &self.filter {
            filter.begin();
        }
        let answer = self.question.answer(&cx)?;
        if self.filter.as_ref().is_some_and(Filter::is_spent) {
            return Err(HttpError::Failed(filter::SPENT.into()));
        }
        let index = answer.index.max(1);
        if blocks {
            let missing = matches!(answer.body, Body::Missing | Body::NoEntry(_));
            let news = match (fallen, index == self.seen) {
                (true, same) => !same || index > self.options.index,
                (false, _) => index > self.options.index,
            };
            let still_missing = missing && self.was_missing;
            // That it was missing before the client saw it proves nothing: this server lags behind.
            self.was_missing = missing && view.store.applied() >= self.options.index;
            self.seen = index;
            if !news || still_missing {
                if let Some(cached) = &mut self.cached {
                    cached.waits();
                }
                return Ok(None);
            }
        }
        if let Body::Query(execution) = answer.body {
            return Ok(Some(Reply::Query(execution)));
        }
        Ok(Some(self.reply(view, now, memory, Answer { index, ..answer })))
    }

    /// The reply with what a prepared query found.
    pub(super) fn found(&self, view: &View, now: Now, memory: &Memory, found: QueryFound) -> Reply {
        let cx = Cx::of(view, now, memory);
        let answer = match &self.question {
            Question::Http(..) => api::query::found(&cx, found, self.options.consistency),
            Question::Rpc(..) => rpc::query::found(&cx, found),
        };
        self.reply(view, now, memory, answer)
    }

    fn reply(&self, view: &View, now: Now, memory: &Memory, answer: Answer) -> Reply {
        let index = answer.index;
        let work = match &answer.body {
            Body::Later(work) => Some(work.clone()),
            _ => None,
        };
        match &self.question {
            Question::Http(rq, read) => {
                let mut reply = reply(read, &self.options, rq, view, now, index, answer.body);
                if let Some(cached) = self.cached {
                    cached.note(&memory.lately, now.mono);
                    cached.put(&mut reply, &Meta::of(view, now.mono, index));
                }
                match work {
                    Some(work) => Reply::Later(reply, work),
                    None => Reply::Http(reply),
                }
            }
            Question::Rpc(..) => Reply::Rpc(RpcReply::result(match answer.body {
                Body::Result(bytes) | Body::NoEntry(bytes) => bytes,
                _ => Bytes::new(),
            })),
        }
    }
}

/// Whether Consul's agent serves this by its streaming backend.
pub(super) fn is_streamed(rq: &Request, read: &Read, options: &Options, config: &RuntimeConfig) -> bool {
    let streams = read.style == (Style::Catalog { meta_on_error: false });
    streams && is_streamable(rq, config) && (options.index > 0 || options.cached)
}

/// Whether nothing in a request for a service's health keeps Consul's agent from it.
pub(super) fn is_streamable(rq: &Request, config: &RuntimeConfig) -> bool {
    let elsewhere = ["near", "merge-central-config"].iter().any(|name| rq.query.has(name));
    config.use_streaming_backend && !elsewhere
}

/// The answer to a read: what was found, and how.
pub(super) fn reply(
    read: &Read,
    options: &Options,
    rq: &Request,
    view: &View,
    now: Now,
    index: u64,
    body: Body,
) -> HttpReply {
    let json = |body| respond::indent(view, rq, body);
    let mut reply = match body {
        Body::Json(body) | Body::Result(body) | Body::NoEntry(body) => respond::reply(200, JSON, json(body)),
        Body::Later(_) => respond::reply(200, ARCHIVE, Bytes::new()),
        Body::Conflict(body) => respond::reply(409, "application/json; charset=utf-8", json(body)),
        Body::Raw(bytes) => {
            let mut reply = respond::reply(200, TEXT, bytes);
            reply.headers.push(("X-Content-Type-Options", Cow::Borrowed("nosniff")));
            reply.headers.push(("Content-Security-Policy", Cow::Borrowed("sandbox")));
            reply
        }
        Body::Absent => {
            return HttpReply {
                status: 404,
                headers: Vec::new(),
                body: Bytes::new(),
                close: false,
                site: false,
            };
        }
        Body::Missing | Body::Unwanted | Body::Query(_) => {
            HttpReply { status: 404, headers: Vec::new(), body: Bytes::new(), close: false, site: false }
        }
    };
    let meta = Meta::of(view, now.mono, index);
    match read.style {
        Style::Txn => meta.put_contact(&mut reply),
        Style::Kv { .. } => meta.put(&mut reply, false),
        Style::Catalog { .. } | Style::Query => {
            meta.put(&mut reply, is_streamed(rq, read, options, &view.config));
            let mode = Cow::Borrowed(options.consistency.name());
            reply.headers.push(("X-Consul-Effective-Consistency", mode));
        }
    }
    reply
}

/// The answer to a read that failed.
pub(super) fn failed(read: &Read, error: &HttpError) -> HttpReply {
    let mut reply = respond::error(error);
    // Consul adds the meta of an empty answer once it has tried; bad parameters fail before that.
    let with_meta = matches!(
        read.style,
        Style::Catalog { meta_on_error: true } | Style::Kv { meta_on_error: true } | Style::Query
    );
    // A parameter of a query that is wrong fails before that too.
    let early = read.style == Style::Query && matches!(error, HttpError::Failed(_));
    if with_meta && matches!(error.status(), 404 | 429 | 500) && !early {
        Meta::OF_ERROR.put(&mut reply, false);
    }
    reply
}
