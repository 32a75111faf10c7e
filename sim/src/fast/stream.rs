//! Connections between hosts: bytes in order, as TCP carries them.
//!
//! What is sent while the way is cut is sent again until it gets there or for a minute. A process that dies
//! resets its connections; a host that is gone with its address says nothing, and whoever waits for it must
//! notice by itself.

use super::event::Event;
use super::world::{MS, SECOND, World};
use bytes::Bytes;
use lictor_core::gossip::{Input as Told, Stream};
use lictor_core::ids::Pool;
use lictor_core::node::Input;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Between two tries to get something across a way that is cut.
const AGAIN: u64 = 300 * MS;
/// Between two tries to connect.
const KNOCK_AGAIN: u64 = SECOND;
/// So many tries to connect, as `CONNECT` in io/src/gossip.rs; fewer where nobody has the address.
const KNOCKS: u32 = 10;
const KNOCKS_AT_NOBODY: u32 = 3;
/// After so long a connection that gets nothing across is given up.
const STALLED: u64 = 60 * SECOND;

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// Gossip of a pool.
    Gossip(Pool),
    /// Calls of a client agent.
    Calls,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) slot: usize,
    ip: IpAddr,
    /// Gossip's number for it.
    stream: Option<Stream>,
    /// Nobody listens here any more.
    gone: bool,
}

/// What travels.
#[derive(Clone, Debug)]
enum Piece {
    /// The connection is there.
    Hello,
    Bytes(Bytes),
    /// It is over, for this reason.
    End(&'static str),
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// With the time at which each arrives.
    pieces: VecDeque<(u64, Piece)>,
    last: u64,
    /// An event is scheduled.
    busy: bool,
    stalled: Option<u64>,
}

/// One connection. The first end dialled; each flow goes from the end with its number to the other.
#[derive(Debug)]
struct Conn {
    carries: Carries,
    to: SocketAddr,
    dialled: End,
    accepted: Option<End>,
    flows: [Flow; 2],
}

impl Conn {
    fn end(&self, number: usize) -> Option<End> {
        if number == 0 { Some(self.dialled) } else { self.accepted }
    }

    fn end_mut(&mut self, number: usize) -> Option<&mut End> {
        if number == 0 { Some(&mut self.dialled) } else { self.accepted.as_mut() }
    }
}

/// Every connection.
#[derive(Debug, Default)]
pub(super) struct Conns {
    all: BTreeMap<u64, Conn>,
    last: u64,
    /// Gossip's streams of each host.
    streams: BTreeMap<(usize, Pool, Stream), u64>,
    accepted: u64,
}

impl Conns {
    /// The host that waits for what flows from this end.
    pub(super) fn receiver(&self, conn: u64, from: usize) -> Option<usize> {
        self.all.get(&conn)?.end(1 - from).map(|end| end.slot)
    }

    pub(super) fn of_stream(&self, slot: usize, pool: Pool, stream: Stream) -> Option<u64> {
        self.streams.get(&(slot, pool, stream)).copied()
    }

    fn end_of(&self, conn: u64, slot: usize) -> Option<usize> {
        let conn = self.all.get(&conn)?;
        let is = |end: Option<End>| end.is_some_and(|end| end.slot == slot && !end.gone);
        if is(Some(conn.dialled)) { Some(0) } else { is(conn.accepted).then_some(1) }
    }

    fn forget(&mut self, conn: u64) {
        let Some(Conn { carries, dialled, accepted, .. }) = self.all.remove(&conn) else { return };
        if let Carries::Gossip(pool) = carries {
            for End { slot, stream, .. } in accepted.into_iter().chain([dialled]) {
                if let Some(stream) = stream {
                    self.streams.remove(&(slot, pool, stream));
                }
            }
        }
    }
}

impl World {
    /// A process opens a connection; its number.
    pub(super) fn dial(
        &mut self,
        slot: usize,
        to: SocketAddr,
        carries: Carries,
        stream: Option<Stream>,
    ) -> u64 {
        self.conns.last += 1;
        let conn = self.conns.last;
        if let (Carries::Gossip(pool), Some(stream)) = (carries, stream) {
            self.conns.streams.insert((slot, pool, stream), conn);
        }
        let dialled = End { slot, ip: self.addresses.of(slot), stream, gone: false };
        let flows = [Flow::default(), Flow::default()];
        self.conns.all.insert(conn, Conn { carries, to, dialled, accepted: None, flows });
        let at = self.now + self.net.stream_delay(self.now, slot, slot);
        self.heap.push(at, Event::Knock { conn, tries: 1 });
        conn
    }

    pub(super) fn on_knock(&mut self, conn: u64, tries: u32) {
        let Some(Conn { to, dialled, .. }) = self.conns.all.get(&conn) else { return };
        let (from, to) = (dialled.slot, *to);
        let host = self.addresses.host(to.ip());
        let reached = host.is_some_and(|host| self.net.is_open(from, host) && self.net.is_open(host, from));
        let Some(host) = host.filter(|_| reached) else {
            let most = if host.is_some() { KNOCKS } else { KNOCKS_AT_NOBODY };
            if tries < most {
                return self.heap.push(self.now + KNOCK_AGAIN, Event::Knock { conn, tries: tries + 1 });
            }
            let why = if host.is_some() { "i/o timeout" } else { "no route to host" };
            return self.conn_over(conn, 0, why);
        };
        if self.servers[host].up.is_none() {
            return self.conn_over(conn, 0, "connection refused");
        }
        self.conns.accepted += 1;
        let number = self.conns.accepted;
        let ip = self.addresses.of(host);
        let Some(it) = self.conns.all.get_mut(&conn) else { return };
        let pool = match it.carries {
            Carries::Gossip(pool) => Some(pool),
            Carries::Calls => None,
        };
        let stream = pool.map(|_| Stream::Accepted(number));
        it.accepted = Some(End { slot: host, ip, stream, gone: false });
        if let (Some(pool), Some(stream)) = (pool, stream) {
            self.conns.streams.insert((host, pool, stream), conn);
        }
        self.flow(conn, 0, Piece::Hello);
        self.flow(conn, 1, Piece::Hello);
    }

    /// Sends bytes from the end that this host has.
    pub(super) fn say(&mut self, conn: u64, slot: usize, bytes: Bytes) {
        if let Some(from) = self.conns.end_of(conn, slot) {
            self.flow(conn, from, Piece::Bytes(bytes));
        }
    }

    /// Closes the end that this host has; nothing more is heard of it.
    pub(super) fn hang_up(&mut self, conn: u64, slot: usize) {
        let Some(from) = self.conns.end_of(conn, slot) else { return };
        self.end_gone(conn, from);
        self.flow(conn, from, Piece::End("EOF"));
    }

    fn flow(&mut self, conn: u64, from: usize, piece: Piece) {
        let Some(it) = self.conns.all.get_mut(&conn) else { return };
        let (Some(a), Some(b)) = (it.end(from), it.end(1 - from)) else { return };
        let delay = self.net.stream_delay(self.now, a.slot, b.slot);
        let Some(flow) = it.flows.get_mut(from) else { return };
        flow.last = (self.now + delay).max(flow.last + 1);
        flow.pieces.push_back((flow.last, piece));
        if !flow.busy {
            flow.busy = true;
            self.heap.push(flow.last, Event::Pump { conn, from });
        }
    }

    /// What flows from this end has arrived, if the way is open.
    pub(super) fn on_pump(&mut self, conn: u64, from: usize) {
        let Some(it) = self.conns.all.get(&conn) else { return };
        let (Some(a), Some(b)) = (it.end(from), it.end(1 - from)) else { return };
        let there = |end: End| self.addresses.of(end.slot) == end.ip;
        let open = self.net.is_open(a.slot, b.slot) && there(a) && there(b);
        if !open {
            return self.stall(conn, from);
        }
        let Some(it) = self.conns.all.get_mut(&conn) else { return };
        let Some(flow) = it.flows.get_mut(from) else { return };
        (flow.busy, flow.stalled) = (false, None);
        let Some((_, piece)) = flow.pieces.pop_front() else { return };
        if let Some((at, _)) = flow.pieces.front() {
            flow.busy = true;
            self.heap.push(self.now.max(*at), Event::Pump { conn, from });
        }
        if b.gone {
            // Only an end is of use to nobody.
            return if a.gone { self.conns.forget(conn) } else { self.reset(conn, 1 - from) };
        }
        self.deliver(conn, 1 - from, b, piece);
    }

    fn stall(&mut self, conn: u64, from: usize) {
        let Some(flow) = self.conns.all.get_mut(&conn).and_then(|it| it.flows.get_mut(from)) else { return };
        let since = *flow.stalled.get_or_insert(self.now);
        if self.now < since + STALLED {
            return self.heap.push(self.now + AGAIN, Event::Pump { conn, from });
        }
        self.conn_over(conn, from, "connection timed out");
    }

    /// Tells the other side of this end that it is gone.
    fn reset(&mut self, conn: u64, end: usize) {
        let Some(flow) = self.conns.all.get_mut(&conn).and_then(|it| it.flows.get_mut(end)) else { return };
        flow.pieces.clear();
        self.flow(conn, end, Piece::End("connection reset by peer"));
    }

    fn deliver(&mut self, conn: u64, number: usize, end: End, piece: Piece) {
        let Some(it) = self.conns.all.get(&conn) else { return };
        let from = SocketAddr::new(it.dialled.ip, 32768 + (conn % 20_000) as u16);
        match (it.carries, piece) {
            (_, Piece::End(why)) => self.conn_over(conn, number, why),
            (Carries::Calls, Piece::Hello) if number == 0 => self.line_opened(conn),
            (Carries::Calls, Piece::Hello) => self.line_accepted(conn, end.slot),
            (Carries::Calls, Piece::Bytes(bytes)) => self.line_receives(conn, number, bytes),
            (Carries::Gossip(pool), piece) => {
                let Some(stream) = end.stream else { return };
                let told = match piece {
                    Piece::Hello if number == 0 => Told::StreamOpened { stream },
                    Piece::Hello => Told::StreamAccepted { stream, from },
                    Piece::Bytes(bytes) => {
                        self.trace.bytes(&bytes);
                        Told::StreamBytes { stream, bytes }
                    }
                    Piece::End(_) => return,
                };
                self.feed(end.slot, Input::Gossip { pool, input: told });
            }
        }
    }

    /// A connection is over; this end of it is told.
    fn conn_over(&mut self, conn: u64, number: usize, why: &str) {
        let Some(it) = self.conns.all.get(&conn) else { return };
        let (carries, Some(end)) = (it.carries, it.end(number)) else { return };
        let other = it.end(1 - number).filter(|other| !other.gone);
        self.conns.forget(conn);
        match carries {
            Carries::Calls => {
                self.line_lost(conn, number, why);
                if other.is_some() {
                    self.line_lost(conn, 1 - number, why);
                }
            }
            Carries::Gossip(pool) => {
                for end in other.into_iter().chain([end]).filter(|end| !end.gone) {
                    if let Some(stream) = end.stream {
                        let input = Told::StreamClosed { stream, reason: why.into() };
                        self.feed(end.slot, Input::Gossip { pool, input });
                    }
                }
            }
        }
    }

    fn end_gone(&mut self, conn: u64, number: usize) {
        let Some(end) = self.conns.all.get_mut(&conn).and_then(|it| it.end_mut(number)) else { return };
        end.gone = true;
        let (slot, stream) = (end.slot, end.stream);
        if let (Some(Carries::Gossip(pool)), Some(stream)) =
            (self.conns.all.get(&conn).map(|it| it.carries), stream)
        {
            self.conns.streams.remove(&(slot, pool, stream));
        }
    }

    /// A process is gone, and with it its connections.
    pub(super) fn conns_ended(&mut self, slot: usize) {
        let here = |it: &Conn, number| it.end(number).is_some_and(|end| end.slot == slot && !end.gone);
        let ends: Vec<(u64, usize)> = self
            .conns
            .all
            .iter()
            .flat_map(|(conn, it)| [(*conn, 0), (*conn, 1)].into_iter().filter(|(_, n)| here(it, *n)))
            .collect();
        for (conn, number) in ends {
            let Some(it) = self.conns.all.get(&conn) else { continue };
            match it.end(1 - number) {
                Some(other) if !other.gone => {
                    self.end_gone(conn, number);
                    // If the address is gone too by the time that this is to leave, it does not.
                    self.reset(conn, number);
                }
                _ => self.conns.forget(conn),
            }
        }
    }
}
