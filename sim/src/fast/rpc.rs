//! Calls of client agents to servers: the two pure ends of `lictor_core::rpc`, and connections between them.
//!
//! Both ends run as the driver runs them (io/src/rpc): a client keeps one connection to each server that it
//! calls; a server hands each call to its front and the answer back.

use super::event::Event;
use super::marks::Mark;
use super::stream::Carries;
use super::verdict::Violation;
use super::world::World;
use bytes::{Bytes, BytesMut};
use lictor_core::front::{FrontInput, RpcCall, RpcReply};
use lictor_core::ids::ReqId;
use lictor_core::node::{Input, RpcError};
use lictor_core::rpc::yamux::StreamId;
use lictor_core::rpc::{self, Calling, FirstByte, Serving};
use lictor_core::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Bytes that are written at once (io/src/rpc).
const PIECE: usize = 64 << 10;
/// The byte that announces a session whose streams carry calls.
const MUX: u8 = 4;

/// One call as a node orders it.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) call: u64,
    pub(super) to: SocketAddr,
    pub(super) method: &'static str,
    pub(super) body: Bytes,
    pub(super) until: Instant,
}

/// One end of a connection of calls.
#[derive(Debug)]
enum Machine {
    Calling { to: SocketAddr, machine: Box<Calling>, opened: bool, before: Vec<Order> },
    Serving { machine: Box<Serving>, announced: bool },
}

#[derive(Debug)]
struct Line {
    slot: usize,
    machine: Machine,
    /// When it is looked at next.
    wake_at: u64,
}

/// The ends of all connections of calls.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// By connection and end; the end 0 calls.
    all: BTreeMap<(u64, usize), Line>,
    /// The connection of each host to each server.
    to: BTreeMap<(usize, SocketAddr), u64>,
}

impl Lines {
    pub(super) fn host(&self, conn: u64, end: usize) -> Option<usize> {
        self.all.get(&(conn, end)).map(|line| line.slot)
    }
}

impl World {
    /// Makes a call, on a new connection if there is none.
    pub(super) fn call_server(&mut self, slot: usize, order: Order) {
        if order.method.starts_with("Catalog.NodeService") && !self.servers[slot].serves() {
            self.on_fetch(slot);
        }
        let known = self.lines.to.get(&(slot, order.to)).copied();
        let known = known.filter(|conn| match self.lines.all.get(&(*conn, 0)).map(|line| &line.machine) {
            Some(Machine::Calling { machine, .. }) => !machine.is_leaving(),
            _ => false,
        });
        let conn = known.unwrap_or_else(|| self.new_line(slot, order.to));
        let now = self.mono(slot);
        let Some(Line { machine: Machine::Calling { machine, opened, before, .. }, .. }) =
            self.lines.all.get_mut(&(conn, 0))
        else {
            return;
        };
        if *opened {
            let Order { call, method, body, until, .. } = order;
            machine.call(now, call, method, body, until);
            self.look_at_line(conn, 0, self.now);
        } else {
            before.push(order);
        }
    }

    fn new_line(&mut self, slot: usize, to: SocketAddr) -> u64 {
        if !self.servers[slot].serves() {
            self.on_dial(slot);
        }
        let conn = self.dial(slot, to, Carries::Calls, None);
        let machine = Box::new(Calling::new(self.mono(slot)));
        let machine = Machine::Calling { to, machine, opened: false, before: Vec::new() };
        self.lines.all.insert((conn, 0), Line { slot, machine, wake_at: u64::MAX });
        self.lines.to.insert((slot, to), conn);
        conn
    }

    fn mono(&self, slot: usize) -> Instant {
        self.servers[slot].clock.now(self.now).mono
    }

    pub(super) fn line_opened(&mut self, conn: u64) {
        let Some(slot) = self.lines.host(conn, 0) else { return };
        let now = self.mono(slot);
        self.say(conn, slot, Bytes::from_static(&[MUX]));
        let Some(Line { machine: Machine::Calling { machine, opened, before, .. }, .. }) =
            self.lines.all.get_mut(&(conn, 0))
        else {
            return;
        };
        *opened = true;
        for Order { call, method, body, until, .. } in std::mem::take(before) {
            machine.call(now, call, method, body, until);
        }
        self.on_line(conn, 0);
    }

    pub(super) fn line_accepted(&mut self, conn: u64, slot: usize) {
        let machine = Machine::Serving { machine: Box::new(Serving::new(self.mono(slot))), announced: false };
        self.lines.all.insert((conn, 1), Line { slot, machine, wake_at: u64::MAX });
    }

    pub(super) fn line_receives(&mut self, conn: u64, end: usize, mut bytes: Bytes) {
        let Some(slot) = self.lines.host(conn, end) else { return };
        let now = self.mono(slot);
        self.trace.bytes(&bytes);
        let Some(line) = self.lines.all.get_mut(&(conn, end)) else { return };
        let broken = match &mut line.machine {
            Machine::Calling { machine, .. } => {
                machine.receive(now, bytes);
                false
            }
            Machine::Serving { machine, announced } => {
                if !std::mem::replace(announced, true)
                    && FirstByte::of(bytes.split_to(1)[0]) != Some(FirstByte::Mux)
                {
                    return self.close_line(conn, end, "unrecognized RPC byte");
                }
                machine.receive(now, bytes).is_err()
            }
        };
        self.on_line(conn, end);
        if broken {
            self.close_line(conn, end, "session error");
        }
    }

    /// Moves what one end has to say and to do.
    pub(super) fn on_line(&mut self, conn: u64, end: usize) {
        let Some(slot) = self.lines.host(conn, end) else { return };
        if end == 0 {
            self.move_calling(conn, slot)
        } else {
            self.move_serving(conn, slot)
        }
        let Some(line) = self.lines.all.get_mut(&(conn, end)) else { return };
        line.wake_at = u64::MAX;
        let next = match &line.machine {
            Machine::Calling { machine, .. } => machine.poll_timeout(),
            Machine::Serving { machine, .. } => machine.poll_timeout(),
        };
        if let Some(at) = next {
            let at = self.servers[slot].clock.global_of(at).max(self.now + 1);
            self.look_at_line(conn, end, at);
        }
    }

    fn look_at_line(&mut self, conn: u64, end: usize, at: u64) {
        let Some(line) = self.lines.all.get_mut(&(conn, end)) else { return };
        if at < line.wake_at {
            line.wake_at = at;
            self.heap.push(at, Event::Line { conn, end });
        }
    }

    fn move_calling(&mut self, conn: u64, slot: usize) {
        let now = self.mono(slot);
        let mut out = BytesMut::new();
        let Some(Line { machine: Machine::Calling { machine, .. }, .. }) = self.lines.all.get_mut(&(conn, 0))
        else {
            return;
        };
        if machine.poll_timeout().is_some_and(|at| at <= now) {
            machine.wake(now);
        }
        let done = machine.take_done();
        let mut pieces = Vec::new();
        while let Some(bytes) = machine.poll_transmit() {
            out.extend_from_slice(&bytes);
            if out.len() >= PIECE {
                pieces.push(out.split().freeze());
            }
        }
        let over = machine.is_over();
        pieces.extend(Some(out.freeze()).filter(|rest| !rest.is_empty()));
        for bytes in pieces {
            self.say(conn, slot, bytes);
        }
        if over {
            self.close_line(conn, 0, "session shutdown");
        }
        for (call, result) in done {
            self.rpc_done(slot, call, result);
        }
    }

    fn rpc_done(&mut self, slot: usize, call: u64, result: Result<Bytes, RpcError>) {
        if result.is_ok() {
            self.marks.hit(Mark::CallAnswered);
        }
        self.feed(slot, Input::RpcDone { call, result });
    }

    fn move_serving(&mut self, conn: u64, slot: usize) {
        let now = self.mono(slot);
        loop {
            let Some(Line { machine: Machine::Serving { machine, .. }, .. }) =
                self.lines.all.get_mut(&(conn, 1))
            else {
                return;
            };
            if machine.poll_timeout().is_some_and(|at| at <= now) && machine.wake(now).is_err() {
                return self.close_line(conn, 1, "keepalive timeout");
            }
            let mut out = BytesMut::new();
            while out.len() < PIECE
                && let Some(bytes) = machine.poll_transmit(now)
            {
                out.extend_from_slice(&bytes);
            }
            let output = machine.poll_output(now);
            let quiet = out.is_empty() && output.is_none();
            if !out.is_empty() {
                self.say(conn, slot, out.freeze());
            }
            match output {
                Some(rpc::Output::Call { stream, method, arguments }) => {
                    self.next_req += 1;
                    let req = ReqId(self.next_req);
                    self.servers[slot].calls.insert(req, (conn, stream));
                    let call = RpcCall { method, arguments };
                    self.feed_front(slot, FrontInput::Rpc { req, call });
                }
                Some(rpc::Output::Gone { stream }) => self.nobody_waits_for(slot, conn, Some(stream)),
                None if quiet => return,
                // The stream is closed, and the caller asks again.
                Some(rpc::Output::Refused { .. }) | None => {}
            }
        }
    }

    /// The front hears that the calls of a connection, or of one of its streams, need no answer.
    fn nobody_waits_for(&mut self, slot: usize, conn: u64, stream: Option<StreamId>) {
        let calls = &self.servers[slot].calls;
        let of =
            |(_, (c, s)): &(&ReqId, &(u64, StreamId))| *c == conn && stream.is_none_or(|only| only == *s);
        let gone: Vec<ReqId> = calls.iter().filter(of).map(|(req, _)| *req).collect();
        for req in gone {
            self.servers[slot].calls.remove(&req);
            self.feed_front(slot, FrontInput::Gone { req });
        }
    }

    /// A front has answered a call.
    pub(super) fn rpc_reply(&mut self, slot: usize, req: ReqId, reply: &RpcReply) {
        let Some((conn, stream)) = self.servers[slot].calls.remove(&req) else {
            let what = format!("n{} answers call {req}, for which nobody waits", slot + 1);
            return self.fail(Violation::invariant("one answer per request", what));
        };
        let now = self.mono(slot);
        let Some(Line { machine: Machine::Serving { machine, .. }, .. }) = self.lines.all.get_mut(&(conn, 1))
        else {
            return;
        };
        let result = reply.result.as_ref().cloned().map_err(|text| &**text);
        machine.answer(now, stream, result, reply.close);
        // The front may be in the middle of something: what follows comes by itself.
        self.look_at_line(conn, 1, self.now);
    }

    /// A host closes its connection to a server.
    pub(super) fn drop_line(&mut self, slot: usize, to: SocketAddr) {
        if let Some(conn) = self.lines.to.get(&(slot, to)).copied() {
            self.close_line(conn, 0, "the server does not answer");
        }
    }

    fn close_line(&mut self, conn: u64, end: usize, why: &str) {
        let Some(slot) = self.lines.host(conn, end) else { return };
        self.hang_up(conn, slot);
        self.line_lost(conn, end, why);
    }

    /// The connection of this end is over.
    pub(super) fn line_lost(&mut self, conn: u64, end: usize, why: &str) {
        let Some(Line { slot, machine, .. }) = self.lines.all.remove(&(conn, end)) else { return };
        match machine {
            Machine::Serving { .. } => self.nobody_waits_for(slot, conn, None),
            Machine::Calling { to, mut machine, before, .. } => {
                if self.lines.to.get(&(slot, to)) == Some(&conn) {
                    self.lines.to.remove(&(slot, to));
                }
                for Order { call, .. } in before {
                    let why = format!("dial tcp <nil>->{to}: {why}");
                    self.rpc_done(slot, call, Err(RpcError::NotConnected(why)));
                }
                for (call, result) in machine.lose(why) {
                    self.rpc_done(slot, call, result);
                }
            }
        }
    }

    /// A process is gone, and with it its ends.
    pub(super) fn lines_ended(&mut self, slot: usize) {
        self.lines.all.retain(|_, line| line.slot != slot);
        self.lines.to.retain(|(host, _), _| *host != slot);
    }
}
