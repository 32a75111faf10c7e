//! Requests that are not answered yet, and the steps that move them on.

use super::blocking::{self, Cause, Cx, Gate, Question, Reading, Reply};
use super::errors::HttpError;
use super::message::{FrontOutput, HttpReply, HttpRequest, RpcReply};
use super::mux::{self, Routed};
use super::query::Execution;
use super::remote;
use super::request::{Consistency, Options, Request};
use super::request::{clamp_wait, refuse_enterprise, waits};
use super::respond;
use super::restoring::Restoring;
use super::route::{Finish, Handler, HashRead, Method, Read, Step, Style};
use super::rpc;
use super::{Front, MAX_CALLS, MAX_PARKED};
use crate::Str;
use crate::call;
use crate::command::Command;
use crate::ids::{CallId, ReqId};
use crate::metrics::Metric;
use crate::time::{Duration, Instant, Now};
use crate::view::View;
use crate::watch::WatchKey;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// One request that waits.
#[derive(Debug)]
pub(super) enum Pending {
    /// For the node's reply to a write or an agent change, or to what another server is `asked`.
    Calling { call: CallId, ending: Ending, asked: bool },
    /// For the node's word on which index it may read.
    Barrier { call: CallId, since: Instant, reading: Box<Reading> },
    /// For a view that has applied that index.
    Applying { index: u64, give_up: Instant, reading: Box<Reading> },
    /// For the body of this answer, or for what makes it come true.
    Working { reply: Box<HttpReply> },
    /// For the node's reply to a part of an archive.
    Restoring { call: CallId, restoring: Box<Restoring> },
    /// For news.
    Parked { reading: Box<Reading> },
    /// For a local service to differ from this hash.
    Hashed { rq: Box<Request>, wait: HashWait },
}

/// What makes an answer of the node's reply.
#[derive(Debug)]
pub(super) enum Ending {
    Http(Box<Request>, Finish),
    /// A read that another server answers; it may turn out to be too old.
    Remote(Box<Request>, &'static Read),
    Rpc(rpc::Finish),
    /// A prepared query that other places are asked for.
    FailOver(Box<Reading>, Box<Execution>),
}

/// A wait for a hash to change.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashWait {
    one: HashRead,
    /// The hash that the client has.
    hash: u64,
    deadline: Instant,
}

impl Pending {
    /// The call whose reply it waits for.
    pub(super) fn call(&self) -> Option<CallId> {
        match self {
            Pending::Calling { call, .. } | Pending::Barrier { call, .. } => Some(*call),
            Pending::Restoring { call, .. } => Some(*call),
            Pending::Applying { .. } | Pending::Parked { .. } | Pending::Hashed { .. } => None,
            Pending::Working { .. } => None,
        }
    }

    /// Whether another server is asked on its behalf.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Pending::Calling { asked: true, .. })
    }

    /// Whether it waits for news.
    pub(super) fn parked(&self) -> bool {
        matches!(self, Pending::Parked { .. } | Pending::Hashed { .. })
    }

    /// The index that its view must have applied.
    pub(super) fn applying(&self) -> Option<u64> {
        match self {
            Pending::Applying { index, .. } => Some(*index),
            _ => None,
        }
    }
}

impl Ending {
    fn reply(self, cx: &Cx<'_>, reply: call::Reply) -> Reply {
        match self {
            Ending::Remote(rq, read) => Ending::Http(rq, read.remote.finish).reply(cx, reply),
            Ending::Http(rq, finish) => {
                Reply::Http(finish(cx, &rq, reply).unwrap_or_else(|error| respond::error(&error)))
            }
            Ending::Rpc(finish) => Reply::Rpc(match finish(reply) {
                Ok(result) => RpcReply::result(result),
                Err(error) => RpcReply::error(&error),
            }),
            Ending::FailOver(..) => Reply::Rpc(RpcReply::error(&HttpError::TooManyPending)),
        }
    }
}

impl Front {
    pub(super) fn on_http(&mut self, now: Now, view: &Arc<View>, req: ReqId, raw: HttpRequest) {
        self.on_request(now, view, req, mux::route(raw, false, &view.config));
    }

    /// One that came by the server port.
    pub(super) fn on_handed(&mut self, now: Now, view: &Arc<View>, req: ReqId, raw: HttpRequest) {
        self.on_request(now, view, req, mux::route(raw, true, &view.config));
    }

    fn on_request(&mut self, now: Now, view: &Arc<View>, req: ReqId, routed: Routed) {
        self.forget(req);
        self.routed = None;
        match routed {
            Routed::Answered(reply) => self.outputs.push_back(FrontOutput::HttpReply { req, reply }),
            Routed::Method(rq, method, endpoint) => {
                self.routed = Some(endpoint);
                if let Err(error) = self.start(now, view, req, rq, method) {
                    self.answer(req, respond::error(&error));
                }
            }
        }
    }

    /// Asks the node; `ending` makes the answer of its reply.
    pub(super) fn start_call(
        &mut self,
        req: ReqId,
        request: call::Request,
        ending: Ending,
    ) -> Result<(), HttpError> {
        let asked = matches!(request, call::Request::Ask(_) | call::Request::AskCached(_));
        let call = self.call(req, request)?;
        self.pending.insert(req, Pending::Calling { call, ending, asked });
        Ok(())
    }

    fn start(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        method: &'static Method,
    ) -> Result<(), HttpError> {
        refuse_enterprise(&rq, method.enterprise)?;
        self.count(now, view, &rq, method.handler);
        let cx = Cx::of(view, now, &self.memory);
        match method.handler {
            Handler::NotBuilt => {
                let path = alloc::string::String::from(&*rq.path);
                return Err(HttpError::NotBuilt(path));
            }
            Handler::View(handle) => {
                let reply = handle(&cx, &rq)?;
                self.answer(req, reply);
            }
            Handler::Read(read) => self.start_read(now, view, req, rq, read)?,
            Handler::Hash(one) => {
                let hash = u64::from_str_radix(rq.query.get("hash"), 16).ok();
                self.start_hash(now, view, req, rq, one, hash)?;
            }
            Handler::Events(one) => {
                let (_, index) = waits(&rq)?;
                self.start_hash(now, view, req, rq, one, Some(index).filter(|index| *index > 0))?;
            }
            Handler::Call(handle) => {
                let step = handle(&cx, &rq)?;
                self.take(now, view, req, rq, step)?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        step: Step,
    ) -> Result<(), HttpError> {
        match step {
            Step::Done(reply) => self.answer(req, reply),
            Step::Stream(stream) => self.outputs.push_back(FrontOutput::Stream { req, stream }),
            Step::Read(read) => self.start_read(now, view, req, rq, read)?,
            Step::ReadWith(read, options) => self.begin(now, view, req, Question::Http(rq, read), options),
            Step::Work(reply, work) => self.start_work(req, reply, work),
            Step::Call(request, finish) => {
                self.start_call(req, *request, Ending::Http(Box::new(rq), finish))?;
            }
        }
        Ok(())
    }

    pub(super) fn call(&mut self, req: ReqId, mut request: call::Request) -> Result<CallId, HttpError> {
        if self.calls.len() >= MAX_CALLS {
            return Err(HttpError::TooManyPending);
        }
        self.draw_id(&mut request);
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.calls.insert(call, req);
        self.outputs.push_back(FrontOutput::Call { call, request });
        Ok(call)
    }

    /// A prepared query that is created here gets its ID.
    fn draw_id(&mut self, request: &mut call::Request) {
        match request {
            call::Request::ForAgent(request) => self.draw_id(request),
            call::Request::Write(Command::PreparedQuery(command))
                if self.draws && command.op == "create" && command.query.id.is_empty() =>
            {
                command.query.id = Str::from(self.queries.uuid());
            }
            _ => {}
        }
    }

    fn start_read(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        read: &'static Read,
    ) -> Result<(), HttpError> {
        if remote::elsewhere(&rq, &view.config) {
            let cx = Cx::of(view, now, &self.memory);
            match remote::start(&cx, &rq, read) {
                Ok(request) => self.start_call(req, request, Ending::Remote(Box::new(rq), read))?,
                Err(error) => self.answer(req, blocking::failed(read, &error)),
            }
            return Ok(());
        }
        let mut options = Options::parse(&rq, &view.config)?;
        if matches!(read.style, Style::Txn | Style::Query) {
            // Those read once and never wait.
            options.index = 0;
        }
        self.begin(now, view, req, Question::Http(rq, read), options);
        Ok(())
    }

    /// Sends a read through its gate. The handler and the filter may find something wrong with it.
    pub(super) fn begin(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        question: Question,
        options: Options,
    ) {
        let mut reading = Reading::start(question, options, now, &mut self.rng, &view.config);
        if let Err(error) = reading.start_filter() {
            let error = reading.refused_first(error, view, now, &self.memory);
            let reply = reading.question.failed(&error);
            return self.tell(req, reply);
        }
        reading.start_cached(&self.memory.lately, now.mono);
        match reading.gate(view, now.mono) {
            Gate::Open => self.look_at(now, view, req, reading, Cause::News),
            Gate::Barrier { consistent } => {
                let barrier = call::Request::ReadBarrier { consistent };
                let request = match reading.question {
                    Question::Http(..) => barrier,
                    Question::Rpc(..) => call::Request::ForAgent(Box::new(barrier)),
                };
                match self.call(req, request) {
                    Ok(call) => {
                        let reading = Box::new(reading);
                        self.pending.insert(req, Pending::Barrier { call, since: now.mono, reading });
                    }
                    Err(error) => {
                        let reply = reading.question.refused(&error);
                        self.tell(req, reply);
                    }
                }
            }
        }
    }

    pub(super) fn on_reply(&mut self, now: Now, view: &Arc<View>, call: CallId, reply: call::Reply) {
        let Some(req) = self.calls.remove(&call) else { return };
        let Some(pending) = self.pending.remove(&req) else { return };
        match pending {
            Pending::Restoring { restoring, .. } => self.on_part(req, restoring, reply),
            Pending::Calling { ending, .. } => {
                let cx = Cx::of(view, now, &self.memory);
                let ending = match ending {
                    Ending::Remote(mut rq, read) if remote::is_too_old(&cx, &rq, &reply) => {
                        rq.query = rq.query.without(&["stale", "max_stale"]);
                        let again = remote::start(&cx, &rq, read);
                        let finish = read.remote.finish;
                        if let Err(error) =
                            again.and_then(|ask| self.start_call(req, ask, Ending::Http(rq, finish)))
                        {
                            self.answer(req, respond::error(&error));
                        }
                        return;
                    }
                    Ending::FailOver(reading, execution) => {
                        return self.on_fail_over(now, view, req, (*reading, execution), &reply);
                    }
                    ending => ending,
                };
                let reply = ending.reply(&cx, reply);
                self.tell(req, reply);
            }
            Pending::Barrier { reading, since, .. } => {
                if reading.options.consistency == Consistency::Consistent {
                    self.metrics.time(now, Metric::RpcConsistentRead, now.mono.since(since));
                }
                self.on_barrier(now, view, req, *reading, reply);
            }
            // Calls are only registered for the two states above.
            pending @ (Pending::Applying { .. }
            | Pending::Working { .. }
            | Pending::Parked { .. }
            | Pending::Hashed { .. }) => {
                self.pending.insert(req, pending);
            }
        }
    }

    fn on_barrier(&mut self, now: Now, view: &Arc<View>, req: ReqId, reading: Reading, reply: call::Reply) {
        let error = match reply {
            call::Reply::Barrier { index } if index <= view.raft.applied => {
                return self.look_at(now, view, req, reading, Cause::News);
            }
            call::Reply::Barrier { index } => {
                let give_up = now.mono + view.config.performance.rpc_hold_timeout;
                let reading = Box::new(reading);
                self.pending.insert(req, Pending::Applying { index: index.0, give_up, reading });
                self.applying.insert((index.0, req));
                return self.repark_applying(req);
            }
            call::Reply::Failed(error) => HttpError::Call(error),
            other => {
                HttpError::Failed(alloc::format!("internal error: a barrier was answered with {other:?}"))
            }
        };
        let reply = reading.question.failed(&error);
        self.tell(req, reply);
    }

    /// Parks a read that waits for its barrier's index under its deadline alone.
    pub(super) fn repark_applying(&mut self, req: ReqId) {
        if let Some(Pending::Applying { give_up, .. }) = self.pending.get(&req) {
            self.parked.park(req, *give_up, Vec::new());
        }
    }

    /// Looks again at a request that was taken out of `parked`.
    pub(super) fn look(&mut self, now: Now, view: &Arc<View>, req: ReqId, cause: Cause) {
        match self.pending.remove(&req) {
            None => {}
            Some(Pending::Applying { index, reading, .. }) if index > view.raft.applied.0 => {
                self.applying.remove(&(index, req));
                let reply = reading.question.failed(&HttpError::CaughtUpTooLate);
                self.tell(req, reply);
            }
            Some(Pending::Applying { reading, .. } | Pending::Parked { reading }) => {
                self.look_at(now, view, req, *reading, cause);
            }
            Some(Pending::Hashed { rq, wait }) => self.look_hash(now, view, req, rq, wait, cause),
            Some(
                pending @ (Pending::Calling { .. }
                | Pending::Barrier { .. }
                | Pending::Restoring { .. }
                | Pending::Working { .. }),
            ) => {
                self.pending.insert(req, pending);
            }
        }
    }

    fn look_at(&mut self, now: Now, view: &Arc<View>, req: ReqId, mut reading: Reading, cause: Cause) {
        let reply = match reading.look(view, now, cause, &self.memory) {
            Ok(Some(Reply::Query(execution))) => {
                return self.execute(now, view, req, reading, execution);
            }
            Ok(Some(reply)) => reply,
            // Consul's cache forgets what kind of error it was.
            Err(HttpError::QueryNotFound) if reading.options.cached => {
                reading.question.failed(&HttpError::Query(HttpError::QueryNotFound.to_string()))
            }
            Err(error @ (HttpError::Query(_) | HttpError::QueryNotFound)) => reading.question.failed(&error),
            Err(error) => reading.question.refused(&error),
            Ok(None) if self.parked.len() >= MAX_PARKED => {
                reading.question.refused(&HttpError::TooManyPending)
            }
            Ok(None) => {
                self.parked.park(req, reading.deadline, reading.question.watch(view));
                self.pending.insert(req, Pending::Parked { reading: Box::new(reading) });
                return;
            }
        };
        self.tell(req, reply);
    }

    /// Hash blocking: without a hash of an earlier answer the answer comes at once.
    fn start_hash(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        one: HashRead,
        hash: Option<u64>,
    ) -> Result<(), HttpError> {
        let (wait, _) = waits(&rq)?;
        let wait = clamp_wait(wait, &view.config);
        let deadline = now.mono + wait + self.rng.duration(Duration::ZERO, wait / 16);
        // A text that is no hash of ours differs from every hash.
        match hash {
            Some(hash) => {
                let wait = HashWait { one, hash, deadline };
                self.look_hash(now, view, req, Box::new(rq), wait, Cause::News);
            }
            None => {
                let (_, reply) = one(&Cx::of(view, now, &self.memory), &rq)?;
                self.answer(req, reply);
            }
        }
        Ok(())
    }

    fn look_hash(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Box<Request>,
        wait: HashWait,
        cause: Cause,
    ) {
        match (wait.one)(&Cx::of(view, now, &self.memory), &rq) {
            Err(error) => self.answer(req, respond::error(&error)),
            Ok((found, reply)) if found != wait.hash || cause == Cause::Deadline => {
                self.answer(req, reply);
            }
            Ok(_) if self.parked.len() >= MAX_PARKED => {
                self.answer(req, respond::error(&HttpError::TooManyPending));
            }
            Ok(_) => {
                self.parked.park(req, wait.deadline, vec![WatchKey::Local]);
                self.pending.insert(req, Pending::Hashed { rq, wait });
            }
        }
    }
}
