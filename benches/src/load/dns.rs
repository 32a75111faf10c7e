//! DNS load over UDP: a window of questions under way on each of a few sockets.

use super::Run;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Sockets; the server sees as many clients.
const SOCKETS: usize = 8;
/// Questions under way on each.
const WINDOW: usize = 8;
/// Then a question counts as lost. Longer than a turn: a Consul that has a thousand instances to shuffle for each answer
/// may let one wait for half a second.
const PATIENCE: Duration = Duration::from_secs(2);

/// Record types.
pub const A: u16 = 1;
/// Record types.
pub const SRV: u16 = 33;

/// A question's packet, with EDNS when `size` says what the client takes.
pub fn question(name: &str, kind: u16, size: Option<u16>) -> Vec<u8> {
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(size.is_some())];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if let Some(size) = size {
        packet.extend_from_slice(&[0, 0, 41]);
        packet.extend_from_slice(&size.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    }
    packet
}

/// One question, one answer.
///
/// # Errors
/// None comes within five seconds.
pub fn once(address: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send(question)?;
    let mut buffer = vec![0; 1 << 16];
    let n = socket.recv(&mut buffer)?;
    buffer.truncate(n);
    Ok(buffer)
}

struct Client {
    socket: UdpSocket,
    /// When the question with each number of the window was sent.
    sent: [Option<Instant>; WINDOW],
}

/// Sockets towards one server, kept over several runs.
pub struct Load {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    question: Vec<u8>,
}

impl Load {
    /// Connects.
    ///
    /// # Errors
    /// The system gives no socket.
    pub fn connect(address: SocketAddr, question: Vec<u8>) -> io::Result<Load> {
        let poll = Poll::new()?;
        let mut clients = Vec::new();
        for i in 0..SOCKETS {
            let mut socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            socket.connect(address)?;
            poll.registry().register(&mut socket, Token(i), Interest::READABLE)?;
            clients.push(Client { socket, sent: [None; WINDOW] });
        }
        Ok(Load { poll, events: Events::with_capacity(SOCKETS), clients, question })
    }

    /// Asks for `time`.
    ///
    /// # Errors
    /// A socket fails.
    pub fn run(&mut self, time: Duration) -> io::Result<Run> {
        let mut run = Run::default();
        let start = Instant::now();
        let mut buffer = vec![0; 1 << 16];
        for i in 0..SOCKETS * WINDOW {
            self.ask(i / WINDOW, i % WINDOW, start)?;
        }
        let mut looked = start;
        while start.elapsed() < time {
            match self.poll.poll(&mut self.events, Some(PATIENCE)) {
                Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for i in ready {
                loop {
                    let n = match self.clients[i].socket.recv(&mut buffer) {
                        Ok(n) => n,
                        Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                        Err(e) => return Err(e),
                    };
                    let now = Instant::now();
                    let slot = usize::from(buffer[1]) % WINDOW;
                    let Some(sent) = self.clients[i].sent[slot].take() else { continue };
                    // An answer without an error and with at least one record.
                    match n > 12 && buffer[3] & 15 == 0 && (buffer[6], buffer[7]) != (0, 0) {
                        true => run.note(now.duration_since(sent)),
                        false => run.failed += 1,
                    }
                    self.ask(i, slot, now)?;
                }
            }
            if looked.elapsed() > PATIENCE {
                looked = Instant::now();
                run.failed += self.repeat_lost(looked)?;
            }
        }
        run.elapsed = start.elapsed();
        for client in &mut self.clients {
            client.sent = [None; WINDOW];
        }
        Ok(run)
    }

    fn ask(&mut self, client: usize, slot: usize, now: Instant) -> io::Result<()> {
        self.question[1] = slot as u8;
        let Client { socket, sent } = &mut self.clients[client];
        sent[slot] = Some(now);
        match socket.send(&self.question) {
            Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
            _ => Ok(()),
        }
    }

    fn repeat_lost(&mut self, now: Instant) -> io::Result<u64> {
        let mut lost = 0;
        for i in 0..SOCKETS * WINDOW {
            let sent = self.clients[i / WINDOW].sent[i % WINDOW];
            if sent.is_some_and(|sent| now.duration_since(sent) > PATIENCE) {
                lost += 1;
                self.ask(i / WINDOW, i % WINDOW, now)?;
            }
        }
        Ok(lost)
    }
}
