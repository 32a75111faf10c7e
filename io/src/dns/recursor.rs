//! Questions on their way to recursors.
//!
//! Every exchange has a socket of its own, on a port that the system draws, and a number drawn from
//! the seeded generator: a stranger has to guess both. Which reply counts is core's business
//! ([`lictor_core::dns::judge`]).

use super::Client;
use lictor_core::dns::{self, Recursion, Transport, Verdict};
use lictor_core::rng::Rng;
use lictor_core::time::{Duration, Instant};
use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Exchanges at once; a question beyond is answered as if all recursors had failed.
const MAX_EXCHANGES: usize = 1024;
/// Tokens of exchanges start here, above those of connections.
const FIRST: usize = 1 << 40;
/// The port of a recursor that is configured without one.
const PORT: u16 = 53;

/// What a client waits for.
pub(super) struct Job {
    pub(super) client: Client,
    /// As the client sent it.
    pub(super) query: Vec<u8>,
    pub(super) transport: Transport,
    pub(super) purpose: Purpose,
    /// Who is still to be asked, last first.
    pub(super) left: Vec<SocketAddr>,
    /// How long each may take.
    pub(super) patience: Duration,
}

/// Why recursors are asked.
pub(super) enum Purpose {
    /// The client's question is not ours.
    Forward,
    /// An answer of ours names this host.
    Host {
        /// The host.
        name: String,
        /// What is known by now.
        recursion: Recursion,
        /// The generator as it was before the answer was drawn, so that the same instances are drawn
        /// again.
        rng: Box<Rng>,
    },
}

/// How an exchange ended.
pub(super) enum Told {
    /// A recursor's packet, with the number that was sent.
    Reply(Vec<u8>),
    /// Nobody answered.
    Nothing,
}

enum Channel {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, output: Vec<u8>, input: Vec<u8> },
}

struct Exchange {
    channel: Channel,
    /// As sent, with a number of ours.
    sent: Vec<u8>,
    job: Job,
    deadline: Instant,
}

/// Every exchange under way.
pub(super) struct Recursor {
    open: BTreeMap<usize, Exchange>,
    next: usize,
    rng: Rng,
}

/// The addresses of recursors as configured, first to ask last; what is no address is left out, as the
/// configuration has said already.
pub(super) fn addresses(configured: &[String], random: bool, rng: &mut Rng) -> Vec<SocketAddr> {
    let one = |text: &String| match text.parse::<SocketAddr>() {
        Ok(address) => Some(address),
        Err(_) => text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT)),
    };
    let mut found: Vec<SocketAddr> = configured.iter().filter_map(one).collect();
    if random {
        rng.shuffle(&mut found);
    }
    found.reverse();
    found
}

impl Recursor {
    pub(super) fn new(rng: Rng) -> Recursor {
        Recursor { open: BTreeMap::new(), next: FIRST, rng }
    }

    /// Whether a token is one of an exchange.
    pub(super) fn owns(token: usize) -> bool {
        token >= FIRST
    }

    /// Asks the next recursor; the job comes back when there is none left.
    pub(super) fn ask(&mut self, mut job: Job, registry: &Registry, now: Instant) -> Option<Job> {
        if self.open.len() >= MAX_EXCHANGES {
            return Some(job);
        }
        let id = (self.rng.next_u64() & 0xffff) as u16;
        let sent = match &job.purpose {
            Purpose::Forward => {
                let mut sent = job.query.clone();
                match sent.first_chunk_mut::<2>() {
                    Some(number) => *number = id.to_be_bytes(),
                    None => return Some(job),
                }
                sent
            }
            Purpose::Host { name, .. } => match dns::host_query(id, name) {
                Some(sent) => sent,
                None => return Some(job),
            },
        };
        while let Some(to) = job.left.pop() {
            self.next += 1;
            let token = Token(self.next);
            // A host is asked for over UDP, whatever the client came by: the answer is small.
            let over_tcp = job.transport == Transport::Tcp && matches!(job.purpose, Purpose::Forward);
            if let Ok(channel) = Channel::open(to, over_tcp, &sent, registry, token) {
                let deadline = now + job.patience;
                self.open.insert(self.next, Exchange { channel, sent, job, deadline });
                return None;
            }
        }
        Some(job)
    }

    /// An exchange's socket has news; the job, when the exchange is over.
    pub(super) fn ready(&mut self, token: usize, registry: &Registry, now: Instant) -> Option<(Job, Told)> {
        let exchange = self.open.get_mut(&token)?;
        match exchange.step() {
            Ok(None) => None,
            Ok(Some(reply)) => {
                let Exchange { job, .. } = self.open.remove(&token)?;
                Some((job, Told::Reply(reply)))
            }
            Err(()) => self.next_one(token, registry, now),
        }
    }

    /// Exchanges whose time is over go on to the next recursor; those without one are over.
    pub(super) fn expire(&mut self, registry: &Registry, now: Instant) -> Vec<(Job, Told)> {
        let late: Vec<usize> =
            self.open.iter().filter(|(_, e)| e.deadline <= now).map(|(token, _)| *token).collect();
        late.into_iter().filter_map(|token| self.next_one(token, registry, now)).collect()
    }

    fn next_one(&mut self, token: usize, registry: &Registry, now: Instant) -> Option<(Job, Told)> {
        let Exchange { job, .. } = self.open.remove(&token)?;
        self.ask(job, registry, now).map(|job| (job, Told::Nothing))
    }

    /// When the next exchange runs out of time.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.values().map(|e| e.deadline).min()
    }
}

impl Channel {
    fn open(
        to: SocketAddr,
        over_tcp: bool,
        query: &[u8],
        registry: &Registry,
        token: Token,
    ) -> io::Result<Channel> {
        if over_tcp {
            let mut stream = TcpStream::connect(to)?;
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            let length = u16::try_from(query.len()).map_err(io::Error::other)?;
            let mut output = length.to_be_bytes().to_vec();
            output.extend_from_slice(query);
            return Ok(Channel::Tcp { stream, output, input: Vec::new() });
        }
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(to)?;
        socket.send(query)?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Channel::Udp(socket))
    }
}

impl Exchange {
    /// Moves what can be moved: an accepted reply, `None` while waiting, an error when this recursor
    /// gives nothing.
    fn step(&mut self) -> Result<Option<Vec<u8>>, ()> {
        match &mut self.channel {
            Channel::Udp(socket) => {
                let mut packet = vec![0; usize::from(u16::MAX)];
                loop {
                    match socket.recv(&mut packet) {
                        Ok(n) => match self.job.verdict(&self.sent, &packet[..n]) {
                            Verdict::Accepted => return Ok(Some(packet[..n].to_vec())),
                            Verdict::Refused => return Err(()),
                            Verdict::Foreign => {}
                        },
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                        Err(e) if e.kind() == ErrorKind::Interrupted => {}
                        Err(_) => return Err(()),
                    }
                }
            }
            Channel::Tcp { stream, output, input } => {
                exchange_bytes(stream, output, input)?;
                let Some((length, rest)) = input.split_first_chunk::<2>() else { return Ok(None) };
                let Some(packet) = rest.get(..usize::from(u16::from_be_bytes(*length))) else {
                    return Ok(None);
                };
                match self.job.verdict(&self.sent, packet) {
                    Verdict::Accepted => Ok(Some(packet.to_vec())),
                    Verdict::Refused | Verdict::Foreign => Err(()),
                }
            }
        }
    }
}

impl Job {
    /// Whatever is said of a host is taken; a forwarded question wants an answer.
    fn verdict(&self, sent: &[u8], reply: &[u8]) -> Verdict {
        match (dns::judge(sent, reply), &self.purpose) {
            (Verdict::Refused, Purpose::Host { .. }) => Verdict::Accepted,
            (verdict, _) => verdict,
        }
    }
}

/// Writes what is left, reads what is there.
fn exchange_bytes(stream: &mut TcpStream, output: &mut Vec<u8>, input: &mut Vec<u8>) -> Result<(), ()> {
    while !output.is_empty() {
        match stream.write(output) {
            Ok(n) => drop(output.drain(..n)),
            // Not connected yet: the event that says so comes.
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(()),
        }
    }
    let mut buffer = [0u8; 4096];
    while input.len() < 2 + usize::from(u16::MAX) {
        match stream.read(&mut buffer) {
            Ok(0) => return if input.is_empty() { Err(()) } else { Ok(()) },
            Ok(n) => input.extend_from_slice(&buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lictor_core::rng::Seed;

    #[test]
    fn recursors_are_asked_in_order_on_port_53_unless_they_name_another() {
        let configured = ["10.0.0.1", "10.0.0.2:5353", "::1", "[::2]:54", "nonsense"].map(String::from);
        let mut last_first = addresses(&configured, false, &mut Rng::new(Seed::from_u64(1)));
        last_first.reverse();
        let shown: Vec<String> = last_first.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1:53", "10.0.0.2:5353", "[::1]:53", "[::2]:54"]);
    }
}
