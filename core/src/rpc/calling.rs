//! The end of a connection that makes calls: each on a stream of its own, many at once.

use super::RpcError;
use super::message::{AnswerHead, CallHead, Reader};
use super::yamux::{Event, OpenError, Session, Side, StreamId};
use crate::time::Instant;
use crate::wire::msgpack;
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;

/// Calls that one session carries; more are refused, so that the router asks elsewhere or later. Less than
/// a session has streams.
const MAX_CALLS: usize = 3072;
/// Streams that are kept for later calls, as Consul's agents do.
const MAX_IDLE: usize = 32;

/// A call that has ended: its number, and the body of the answer.
pub type Done = (u64, Result<Bytes, RpcError>);

/// A session with its calls, after the first byte of its connection.
#[derive(Debug)]
pub struct Calling {
    session: Session,
    calls: BTreeMap<StreamId, Under>,
    deadlines: BTreeSet<(Instant, StreamId)>,
    idle: Vec<StreamId>,
    done: Vec<Done>,
    /// No call may begin any more.
    leaving: bool,
    /// The session is of no use any more.
    over: bool,
}

/// A call under way.
#[derive(Debug)]
struct Under {
    call: u64,
    until: Instant,
    reader: Reader,
}

impl Calling {
    /// A connection that was just made.
    pub fn new(now: Instant) -> Calling {
        Calling {
            session: Session::new(Side::Client, now),
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            idle: Vec::new(),
            done: Vec::new(),
            leaving: false,
            over: false,
        }
    }

    /// Begins a call of `method` with its encoded arguments, under the caller's number for it. It is among
    /// [`Calling::take_done`] at `until` at the latest.
    pub fn call(&mut self, now: Instant, call: u64, method: &str, body: Bytes, until: Instant) {
        let refuse = |why: &str| (call, Err(RpcError::NotConnected(why.to_owned())));
        if until <= now {
            return self.done.push(refuse("i/o deadline reached"));
        }
        if self.calls.len() >= MAX_CALLS {
            return self.done.push(refuse("too many calls are under way"));
        }
        let stream = match self.idle.pop().map_or_else(|| self.session.open(), Ok) {
            Ok(stream) => stream,
            Err(OpenError::TooMany) => return self.done.push(refuse("too many calls are under way")),
            Err(OpenError::GoingAway) => {
                self.leaving = true;
                return self.done.push(refuse("session shutdown"));
            }
        };
        let head = CallHead { seq: call, service_method: method.to_owned() };
        self.session.send(stream, msgpack::to_vec(&head).into());
        self.session.send(stream, body);
        self.deadlines.insert((until, stream));
        self.calls.insert(stream, Under { call, until, reader: Reader::default() });
    }

    /// Gives up a call: the server hears that nobody waits. It will not be among [`Calling::take_done`].
    pub fn cancel(&mut self, call: u64) {
        let found = self.calls.iter().find(|(_, under)| under.call == call).map(|(stream, _)| *stream);
        if let Some(stream) = found
            && let Some(under) = self.calls.remove(&stream)
        {
            self.deadlines.remove(&(under.until, stream));
            self.session.reset(stream);
        }
    }

    /// Takes in what came.
    pub fn receive(&mut self, now: Instant, bytes: Bytes) {
        if self.session.receive(bytes).is_err() {
            self.over = true;
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Data(stream, bytes) => {
                    self.session.taken(stream, bytes.len());
                    self.on_data(now, stream, &bytes);
                }
                Event::Finished(stream) => {
                    self.session.finish(now, stream);
                    self.end(stream, Err(RpcError::Lost("EOF".into())));
                }
                Event::Reset(stream) => self.end(stream, Err(RpcError::Lost("stream reset".into()))),
                // Servers call nobody.
                Event::Opened(stream) => self.session.reset(stream),
                Event::GoAway(_) => self.leaving = true,
            }
        }
    }

    fn on_data(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        let Some(under) = self.calls.get_mut(&stream) else {
            // Nobody has asked for this.
            self.idle.retain(|idle| *idle != stream);
            return self.session.reset(stream);
        };
        under.reader.receive(bytes);
        match under.reader.next_message::<AnswerHead>() {
            Ok(None) => {}
            Ok(Some((head, body))) => {
                let clean = under.reader.is_empty() && head.seq == under.call;
                // After these a server closes the stream.
                let closes = head.error.starts_with("rpc: ");
                let result = if head.error.is_empty() { Ok(body) } else { Err(RpcError::Server(head.error)) };
                if !clean {
                    self.session.reset(stream);
                    return self.end(stream, Err(RpcError::Lost("the answer is to another call".into())));
                }
                self.end(stream, result);
                if closes || self.idle.len() >= MAX_IDLE {
                    self.session.finish(now, stream);
                } else {
                    self.idle.push(stream);
                }
            }
            Err(error) => {
                self.session.reset(stream);
                self.end(stream, Err(RpcError::Lost(error.to_string())));
            }
        }
    }

    /// A stream's call, if it has one, is over; the stream is idle no more.
    fn end(&mut self, stream: StreamId, result: Result<Bytes, RpcError>) {
        self.idle.retain(|idle| *idle != stream);
        if let Some(under) = self.calls.remove(&stream) {
            self.deadlines.remove(&(under.until, stream));
            self.done.push((under.call, result));
        }
    }

    /// Gives up on calls whose time is over; keeps the session alive.
    pub fn wake(&mut self, now: Instant) {
        if self.session.poll_timeout().is_some_and(|at| at <= now) && self.session.wake(now).is_err() {
            self.over = true;
        }
        while let Some(&(until, stream)) = self.deadlines.first()
            && until <= now
        {
            self.session.reset(stream);
            self.end(stream, Err(RpcError::Lost("i/o deadline reached".into())));
        }
    }

    /// When to call [`Calling::wake`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call = self.deadlines.first().map(|(until, _)| *until);
        self.session.poll_timeout().into_iter().chain(call).min()
    }

    /// The next bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.session.poll_transmit()
    }

    /// Calls that have ended since.
    pub fn take_done(&mut self) -> Vec<Done> {
        core::mem::take(&mut self.done)
    }

    /// All that were under way are lost.
    pub fn lose(&mut self, why: &str) -> Vec<Done> {
        let calls = core::mem::take(&mut self.calls);
        let lost = calls.into_values().map(|under| (under.call, Err(RpcError::Lost(why.to_owned()))));
        self.take_done().into_iter().chain(lost).collect()
    }

    /// No call is under way.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// The server takes no new calls.
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Close the connection.
    pub fn is_over(&self) -> bool {
        self.over || self.leaving && self.calls.is_empty()
    }
}
