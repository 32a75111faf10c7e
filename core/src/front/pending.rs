//! Requests that are not answered yet, and the steps that move them on.

use super::blocking::{self, Cause, Cx, Gate, Reading};
use super::errors::HttpError;
use super::message::{FrontOutput, HttpRequest};
use super::mux::{self, Routed};
use super::request::{Consistency, Request, clamp_wait, refuse_enterprise, refuse_other_datacenter};
use super::respond;
use super::route::{Finish, Handler, HashRead, Method, Read, Step};
use super::{Front, MAX_CALLS, MAX_PARKED};
use crate::call;
use crate::duration;
use crate::ids::{CallId, ReqId};
use crate::metrics::Metric;
use crate::time::{Duration, Instant, Now};
use crate::view::View;
use crate::watch::WatchKey;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// One request that waits.
#[derive(Debug)]
pub(super) struct Pending {
    rq: Request,
    state: State,
}

#[derive(Debug)]
enum State {
    /// For the node's reply to a write or an agent change.
    Calling { call: CallId, finish: Finish },
    /// For the node's word on which index it may read.
    Barrier { call: CallId, since: Instant, reading: Reading },
    /// For a view that has applied that index.
    Applying { index: u64, give_up: Instant, reading: Reading },
    /// For news.
    Parked { reading: Reading },
    /// For a local service to differ from this hash.
    Hashed { wait: HashWait },
}

/// A wait for a hash to change.
#[derive(Clone, Copy, Debug)]
struct HashWait {
    one: HashRead,
    /// The hash that the client has.
    hash: u64,
    deadline: Instant,
}

impl Pending {
    /// The call whose reply it waits for.
    pub(super) fn call(&self) -> Option<CallId> {
        match &self.state {
            State::Calling { call, .. } | State::Barrier { call, .. } => Some(*call),
            State::Applying { .. } | State::Parked { .. } | State::Hashed { .. } => None,
        }
    }

    /// Whether it waits for news.
    pub(super) fn parked(&self) -> bool {
        matches!(self.state, State::Parked { .. } | State::Hashed { .. })
    }

    /// The index that its view must have applied.
    pub(super) fn applying(&self) -> Option<u64> {
        match &self.state {
            State::Applying { index, .. } => Some(*index),
            _ => None,
        }
    }
}

impl Front {
    pub(super) fn on_http(&mut self, now: Now, view: &Arc<View>, req: ReqId, raw: HttpRequest) {
        self.forget(req);
        self.routed = None;
        match mux::route(raw, &view.config) {
            Routed::Answered(reply) => self.outputs.push_back(FrontOutput::HttpReply { req, reply }),
            Routed::Method(rq, method, endpoint) => {
                self.routed = Some(endpoint);
                if let Err(error) = self.start(now, view, req, rq, method) {
                    self.answer(req, respond::error(&error));
                }
            }
        }
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
        let cx = Cx { view, now, above: None, filter: None, bodies: &self.bodies };
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
            Handler::Hash(one) => self.start_hash(now, view, req, rq, one)?,
            Handler::Call(handle) => match handle(&cx, &rq)? {
                Step::Done(reply) => self.answer(req, reply),
                Step::Monitor { level, json } => {
                    self.outputs.push_back(FrontOutput::Monitor { req, level, json });
                }
                Step::Read(read) => self.start_read(now, view, req, rq, read)?,
                Step::Call(request, finish) => {
                    let call = self.call(req, *request)?;
                    self.pending.insert(req, Pending { rq, state: State::Calling { call, finish } });
                }
            },
        }
        Ok(())
    }

    fn call(&mut self, req: ReqId, request: call::Request) -> Result<CallId, HttpError> {
        if self.calls.len() >= MAX_CALLS {
            return Err(HttpError::TooManyPending);
        }
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.calls.insert(call, req);
        self.outputs.push_back(FrontOutput::Call { call, request });
        Ok(call)
    }

    fn park(&mut self, req: ReqId, deadline: Instant, keys: Vec<WatchKey>, pending: Pending) {
        if self.parked.len() >= MAX_PARKED {
            return self.answer(req, respond::error(&HttpError::TooManyPending));
        }
        self.parked.park(req, deadline, keys);
        self.pending.insert(req, pending);
    }

    fn start_read(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        read: &'static Read,
    ) -> Result<(), HttpError> {
        let mut reading = Reading::start(&rq, read, view, now, &mut self.rng)?;
        let refused = refuse_other_datacenter(&rq, &view.config.datacenter)
            .and_then(|()| reading.start_filter(&rq))
            // What the handler itself refuses, it refuses first.
            .map_err(|error| {
                let cx = Cx { view, now, above: Some(u64::MAX), filter: None, bodies: &self.bodies };
                match (read.answer)(&cx, &rq) {
                    Err(first) => first,
                    Ok(_) => error,
                }
            });
        if let Err(error) = refused {
            self.answer(req, blocking::failed(read, &error));
            return Ok(());
        }
        match reading.gate(view, now.mono) {
            Gate::Open => self.look_at(now, view, req, rq, reading, Cause::News),
            Gate::Barrier { consistent } => {
                let call = self.call(req, call::Request::ReadBarrier { consistent })?;
                self.pending
                    .insert(req, Pending { rq, state: State::Barrier { call, since: now.mono, reading } });
            }
        }
        Ok(())
    }

    pub(super) fn on_reply(&mut self, now: Now, view: &Arc<View>, call: CallId, reply: call::Reply) {
        let Some(req) = self.calls.remove(&call) else { return };
        let Some(Pending { rq, state }) = self.pending.remove(&req) else { return };
        match state {
            State::Calling { finish, .. } => {
                let cx = Cx { view, now, above: None, filter: None, bodies: &self.bodies };
                let reply = finish(&cx, &rq, reply).unwrap_or_else(|error| respond::error(&error));
                self.answer(req, reply);
            }
            State::Barrier { reading, since, .. } => {
                if reading.options.consistency == Consistency::Consistent {
                    self.metrics.time(now, Metric::RpcConsistentRead, now.mono.since(since));
                }
                self.on_barrier(now, view, req, rq, reading, reply);
            }
            // Calls are only registered for the two states above.
            state @ (State::Applying { .. } | State::Parked { .. } | State::Hashed { .. }) => {
                self.pending.insert(req, Pending { rq, state });
            }
        }
    }

    fn on_barrier(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        reading: Reading,
        reply: call::Reply,
    ) {
        match reply {
            call::Reply::Barrier { index } if index <= view.raft.applied => {
                self.look_at(now, view, req, rq, reading, Cause::News);
            }
            call::Reply::Barrier { index } => {
                let give_up = now.mono + view.config.performance.rpc_hold_timeout;
                let state = State::Applying { index: index.0, give_up, reading };
                self.pending.insert(req, Pending { rq, state });
                self.applying.insert((index.0, req));
                self.repark_applying(req);
            }
            call::Reply::Failed(error) => {
                self.answer(req, blocking::failed(reading.read, &HttpError::Call(error)));
            }
            other => {
                let text = alloc::format!("internal error: a barrier was answered with {other:?}");
                self.answer(req, blocking::failed(reading.read, &HttpError::Failed(text)));
            }
        }
    }

    /// Parks a read that waits for its barrier's index under its deadline alone.
    pub(super) fn repark_applying(&mut self, req: ReqId) {
        if let Some(Pending { state: State::Applying { give_up, .. }, .. }) = self.pending.get(&req) {
            self.parked.park(req, *give_up, Vec::new());
        }
    }

    /// Looks again at a request that was taken out of `parked`.
    pub(super) fn look(&mut self, now: Now, view: &Arc<View>, req: ReqId, cause: Cause) {
        let Some(Pending { rq, state }) = self.pending.remove(&req) else { return };
        match state {
            State::Applying { index, reading, .. } if index > view.raft.applied.0 => {
                self.applying.remove(&(index, req));
                self.answer(req, blocking::failed(reading.read, &HttpError::CaughtUpTooLate));
            }
            State::Applying { reading, .. } | State::Parked { reading } => {
                self.look_at(now, view, req, rq, reading, cause);
            }
            State::Hashed { wait } => self.look_hash(now, view, req, rq, wait, cause),
            state @ (State::Calling { .. } | State::Barrier { .. }) => {
                self.pending.insert(req, Pending { rq, state });
            }
        }
    }

    fn look_at(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        mut reading: Reading,
        cause: Cause,
    ) {
        match reading.look(&rq, view, now, cause, &self.bodies) {
            Ok(Some(reply)) => self.answer(req, reply),
            Err(error) => self.answer(req, respond::error(&error)),
            Ok(None) => {
                let keys = (reading.read.watch)(view, &rq);
                let deadline = reading.deadline;
                self.park(req, deadline, keys, Pending { rq, state: State::Parked { reading } });
            }
        }
    }

    /// Hash blocking: without `?hash=` the answer comes at once.
    fn start_hash(
        &mut self,
        now: Now,
        view: &Arc<View>,
        req: ReqId,
        rq: Request,
        one: HashRead,
    ) -> Result<(), HttpError> {
        let wait = match rq.query.get("wait") {
            "" => 0,
            text => duration::parse(text).map_err(|_| HttpError::InvalidWait)?,
        };
        let wait = clamp_wait(wait, &view.config);
        let deadline = now.mono + wait + self.rng.duration(Duration::ZERO, wait / 16);
        // A text that is no hash of ours differs from every hash.
        match u64::from_str_radix(rq.query.get("hash"), 16) {
            Ok(hash) => self.look_hash(now, view, req, rq, HashWait { one, hash, deadline }, Cause::News),
            Err(_) => {
                let (_, reply) =
                    one(&Cx { view, now, above: None, filter: None, bodies: &self.bodies }, &rq)?;
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
        rq: Request,
        wait: HashWait,
        cause: Cause,
    ) {
        match (wait.one)(&Cx { view, now, above: None, filter: None, bodies: &self.bodies }, &rq) {
            Err(error) => self.answer(req, respond::error(&error)),
            Ok((found, reply)) if found != wait.hash || cause == Cause::Deadline => {
                self.answer(req, reply);
            }
            Ok(_) => {
                let pending = Pending { rq, state: State::Hashed { wait } };
                self.park(req, wait.deadline, vec![WatchKey::Local], pending);
            }
        }
    }
}
