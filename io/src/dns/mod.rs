//! DNS sockets: datagrams and TCP streams around the pure responder, on one thread for each address.

mod tcp;

use crate::driver::SharedView;
use crate::rt::{Rt, TokioRt};
use lictor_core::dns::{self, Outcome, Transport};
use lictor_core::rng::{Rng, Seed};
use mio::net::{TcpListener, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tcp::Connections;

const UDP: Token = Token(0);
const TCP: Token = Token(1);
/// Connections have the tokens from here.
const FIRST: usize = 2;
/// Datagrams answered before the streams get a turn.
const BURST: usize = 256;
/// How often idle streams are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Answers on `address` over UDP and TCP until the process ends.
///
/// # Errors
/// Only what binding and starting the thread report.
pub fn start(address: SocketAddr, view: SharedView, seed: Seed) -> io::Result<()> {
    let mut udp = UdpSocket::bind(address)?;
    let mut listener = TcpListener::bind(address)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
    poll.registry().register(&mut listener, TCP, Interest::READABLE)?;
    let responder =
        Responder { view, rng: Rng::new(seed).fork("dns.shuffle"), reply: Vec::with_capacity(4096) };
    std::thread::Builder::new().name("dns".into()).stack_size(1 << 20).spawn(move || {
        Server { poll, udp, listener, responder, connections: Connections::default() }.run();
    })?;
    Ok(())
}

/// The pure responder with what it needs.
struct Responder {
    view: SharedView,
    rng: Rng,
    reply: Vec<u8>,
}

impl Responder {
    /// The reply to one query; `None` when there is none.
    fn answer(&mut self, query: &[u8], transport: Transport) -> Option<&[u8]> {
        let view = self.view.load();
        match dns::answer(&view, TokioRt.now(), &mut self.rng, query, transport, &mut self.reply) {
            Outcome::Reply | Outcome::Recurse => Some(&self.reply),
            Outcome::Drop => None,
        }
    }
}

struct Server {
    poll: Poll,
    udp: UdpSocket,
    listener: TcpListener,
    responder: Responder,
    connections: Connections,
}

impl Server {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        // Set when the socket may hold more than one burst: do not wait then.
        let mut more = false;
        loop {
            let wait = if more { Duration::ZERO } else { TICK };
            if let Err(e) = self.poll.poll(&mut events, Some(wait))
                && e.kind() != ErrorKind::Interrupted
            {
                // Nothing but a broken kernel interface: try again without spinning.
                std::thread::sleep(TICK);
            }
            let now = TokioRt.now().mono;
            let mut datagrams = more;
            for event in &events {
                match event.token() {
                    UDP => datagrams = true,
                    TCP => self.connections.accept(&self.listener, self.poll.registry(), now),
                    Token(id) => self.connections.ready(id, &mut self.responder, self.poll.registry(), now),
                }
            }
            more = datagrams && self.datagrams();
            self.connections.close_idle(now);
        }
    }

    /// Answers what waits, up to one burst; whether there may be more.
    fn datagrams(&mut self) -> bool {
        // The largest query that can matter: EDNS queries are far below this.
        let mut query = [0u8; 4096];
        for _ in 0..BURST {
            match self.udp.recv_from(&mut query) {
                Ok((n, from)) => {
                    if let Some(reply) = self.responder.answer(&query[..n], Transport::Udp) {
                        // A full send buffer loses the reply, as the network may: clients ask again.
                        let _ = self.udp.send_to(reply, from);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                // An earlier reply was refused by its receiver (ICMP): not our trouble.
                Err(_) => {}
            }
        }
        true
    }
}
