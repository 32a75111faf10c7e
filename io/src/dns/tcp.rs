//! DNS over TCP: two bytes of length, then the message; several on one connection (RFC 7766).

use super::{Client, FIRST, Responder};
use lictor_core::dns::Transport;
use lictor_core::time::{Duration, Instant};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};

/// Connections at once; more are closed as they come.
const MAX_CONNECTIONS: usize = 1024;
/// Of them, those of one client address: nobody shuts out all others.
const MAX_OF_CLIENT: usize = 256;
/// A connection without a finished query for this long is closed, unless servers or recursors are busy with one.
const IDLE: Duration = Duration::from_secs(10);
/// Replies that may wait for a client that does not read; beyond, its queries wait.
const MAX_UNSENT: usize = 256 << 10;

/// Queries of one connection that servers or recursors may be busy with; beyond, its queries wait.
const MAX_WAITING: usize = 16;

/// Open connections by token.
#[derive(Default)]
pub(super) struct Connections {
    open: BTreeMap<usize, Connection>,
    next: usize,
}

struct Connection {
    stream: TcpStream,
    client: IpAddr,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    active: Instant,
    ended: bool,
    /// Queries whose replies are on their way from servers or recursors.
    waiting: usize,
}

impl Connections {
    /// Takes in who has come; those for whom there is no room.
    pub(super) fn accept(
        &mut self,
        listener: &TcpListener,
        registry: &Registry,
        now: Instant,
    ) -> Vec<SocketAddr> {
        let mut refused = Vec::new();
        while let Ok((mut stream, from)) = listener.accept() {
            let client = from.ip();
            let own = self.open.values().filter(|connection| connection.client == client).count();
            if self.open.len() >= MAX_CONNECTIONS || own >= MAX_OF_CLIENT {
                refused.push(from);
                continue;
            }
            self.next += 1;
            let id = FIRST + self.next;
            let interest = Interest::READABLE | Interest::WRITABLE;
            if registry.register(&mut stream, Token(id), interest).is_ok() {
                let connection = Connection {
                    stream,
                    client,
                    input: Vec::new(),
                    output: Vec::new(),
                    sent: 0,
                    active: now,
                    ended: false,
                    waiting: 0,
                };
                self.open.insert(id, connection);
            }
        }
        refused
    }

    pub(super) fn ready(&mut self, id: usize, responder: &mut Responder, registry: &Registry, now: Instant) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        if !connection.step(id, responder, now) {
            let _ = registry.deregister(&mut connection.stream);
            self.open.remove(&id);
        }
    }

    /// A reply that took longer; the client may be gone.
    pub(super) fn deliver(
        &mut self,
        id: usize,
        reply: &[u8],
        responder: &mut Responder,
        registry: &Registry,
        now: Instant,
    ) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.waiting = connection.waiting.saturating_sub(1);
            connection.active = now;
            push(&mut connection.output, reply);
            self.ready(id, responder, registry, now);
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn close_idle(&mut self, now: Instant) {
        // Dropping a stream also takes it out of the poll.
        self.open.retain(|_, connection| connection.waiting > 0 || now.since(connection.active) < IDLE);
    }
}

impl Connection {
    /// Reads, answers and writes what can be; `false` when the connection is over.
    ///
    /// Events are edge-triggered, so this goes on until neither direction moves.
    fn step(&mut self, id: usize, responder: &mut Responder, now: Instant) -> bool {
        loop {
            let answered = self.answer(id, responder, now);
            let Ok(written) = self.write() else { return false };
            let Ok(read) = self.read() else { return false };
            if self.ended && self.output.is_empty() && !answered && self.waiting == 0 {
                return false;
            }
            if !(answered || written || read) {
                return true;
            }
        }
    }

    fn read(&mut self) -> Result<bool, ()> {
        // One message at most lies in the buffer unanswered.
        if self.ended || self.input.len() > 2 + usize::from(u16::MAX) || self.output.len() > MAX_UNSENT {
            return Ok(false);
        }
        let mut buffer = [0u8; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.ended = true;
                Ok(false)
            }
            Ok(n) => {
                self.input.extend_from_slice(&buffer[..n]);
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(true),
            Err(_) => Err(()),
        }
    }

    fn answer(&mut self, id: usize, responder: &mut Responder, now: Instant) -> bool {
        let mut used = 0;
        while self.output.len() <= MAX_UNSENT && self.waiting < MAX_WAITING {
            let Some((length, rest)) = self.input[used..].split_first_chunk::<2>() else { break };
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(query) = rest.get(..length) else { break };
            let before = responder.unfinished();
            if let Some(reply) = responder.answer(query, Transport::Tcp, Client::Stream(id)) {
                push(&mut self.output, reply);
            } else {
                self.waiting += responder.unfinished() - before;
            }
            used += 2 + length;
            self.active = now;
        }
        self.input.drain(..used);
        used > 0
    }

    fn write(&mut self) -> Result<bool, ()> {
        if self.sent == self.output.len() {
            return Ok(false);
        }
        match self.stream.write(&self.output[self.sent..]) {
            Ok(n) => {
                self.sent += n;
                if self.sent == self.output.len() {
                    self.output.clear();
                    self.sent = 0;
                }
                Ok(n > 0)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(true),
            Err(_) => Err(()),
        }
    }
}

/// Appends one message with its length.
fn push(output: &mut Vec<u8>, reply: &[u8]) {
    if let Ok(size) = u16::try_from(reply.len()) {
        output.extend_from_slice(&size.to_be_bytes());
        output.extend_from_slice(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_a_part_of_the_connections_and_others_get_in() {
        let poll = mio::Poll::new().expect("a poll");
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let mut connections = Connections::default();
        let mut clients = Vec::new();
        let mut knock = |from: [u8; 4], connections: &mut Connections| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.expect("a socket");
            // Other loopback addresses are Linux's.
            if socket.bind(&std::net::SocketAddr::from((from, 0)).into()).is_err() {
                return false;
            }
            socket.connect(&address.into()).expect("it listens");
            clients.push(socket);
            let (before, patience) = (connections.open.len(), std::time::Instant::now());
            while connections.open.len() == before && patience.elapsed().as_millis() < 200 {
                connections.accept(&listener, poll.registry(), Instant(0));
            }
            connections.open.len() > before
        };
        for n in 0..MAX_OF_CLIENT {
            assert!(knock([127, 0, 0, 1], &mut connections), "{n}");
        }
        assert!(!knock([127, 0, 0, 1], &mut connections), "one too many");
        if cfg!(target_os = "linux") {
            assert!(knock([127, 0, 0, 2], &mut connections), "another client");
        }
    }

    #[test]
    fn a_connection_that_recursors_are_busy_for_is_not_idle() {
        let poll = mio::Poll::new().expect("a poll");
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let _client = std::net::TcpStream::connect(address).expect("connected");
        let (mut connections, begin) = (Connections::default(), Instant(0));
        while connections.open.is_empty() {
            connections.accept(&listener, poll.registry(), begin);
        }
        let id = FIRST + connections.next;
        connections.open.get_mut(&id).expect("open").waiting = 1;
        connections.close_idle(begin + IDLE);
        assert!(connections.open.contains_key(&id), "its reply is on its way");
        connections.open.get_mut(&id).expect("open").waiting = 0;
        connections.close_idle(begin + IDLE);
        assert!(connections.open.is_empty());
    }
}
