//! The least DNS client that a black-box test needs.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Record type A.
pub const A: u16 = 1;
/// Record type SRV.
pub const SRV: u16 = 33;

/// An answer as far as tests look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 0: no error; 1: format error; 3: no such name.
    pub code: u8,
    /// Cut off: ask over TCP.
    pub truncated: bool,
    /// Type and data of each record in the answer section.
    pub records: Vec<(u16, Vec<u8>)>,
}

impl Answer {
    /// Ports of the SRV records.
    pub fn ports(&self) -> Vec<u16> {
        let srv = self.records.iter().filter(|(kind, data)| *kind == SRV && data.len() > 6);
        srv.map(|(_, data)| u16::from_be_bytes([data[4], data[5]])).collect()
    }
}

/// A query with the ID 4711 and recursion desired.
pub fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x67, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|l| !l.is_empty()) {
        packet.push(u8::try_from(label.len()).expect("a label of a test is short"));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// Asks over UDP, again and again while packets get lost.
///
/// # Errors
/// There was no answer within a minute, or none that could be read.
pub fn ask(port: u16, name: &str, kind: u16) -> io::Result<Answer> {
    ask_at(([127, 0, 0, 1], port).into(), name, kind)
}

/// The same at any address.
///
/// # Errors
/// As [`ask`].
pub fn ask_at(server: SocketAddr, name: &str, kind: u16) -> io::Result<Answer> {
    for _ in 0..6 {
        if let Some(reply) = udp_at(server, &query(name, kind), Duration::from_secs(10))? {
            return parse(&reply).ok_or_else(|| io::Error::other("an answer that cannot be read"));
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Sends a datagram; the reply, if one comes in time.
///
/// # Errors
/// The socket failed.
pub fn udp(port: u16, packet: &[u8], patience: Duration) -> io::Result<Option<Vec<u8>>> {
    udp_at(([127, 0, 0, 1], port).into(), packet, patience)
}

fn udp_at(server: SocketAddr, packet: &[u8], patience: Duration) -> io::Result<Option<Vec<u8>>> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(packet, server)?;
    let mut reply = vec![0; 65_535];
    match socket.recv(&mut reply) {
        Ok(n) => {
            reply.truncate(n);
            Ok(Some(reply))
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Asks over TCP, and says at once that no more will be asked.
///
/// # Errors
/// The connection failed, or the answer could not be read.
pub fn ask_tcp(port: u16, name: &str, kind: u16) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let packet = query(name, kind);
    let size = u16::try_from(packet.len()).expect("a query of a test is short");
    stream.write_all(&[&size.to_be_bytes()[..], &packet].concat())?;
    stream.shutdown(Shutdown::Write)?;
    let mut size = [0; 2];
    stream.read_exact(&mut size)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut reply)?;
    parse(&reply).ok_or_else(|| io::Error::other("an answer that cannot be read"))
}

/// An answer taken apart; `None` if it is no DNS message.
pub fn parse(reply: &[u8]) -> Option<Answer> {
    let word = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let skip_name = |mut at: usize| {
        loop {
            match *reply.get(at)? {
                0 => return Some(at + 1),
                length if length >= 0xc0 => return Some(at + 2),
                length => at += 1 + usize::from(length),
            }
        }
    };
    let (questions, answers) = (word(4)?, word(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = skip_name(at)? + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        at = skip_name(at)?;
        let (kind, length) = (word(at)?, usize::from(word(at + 8)?));
        records.push((kind, reply.get(at + 10..at + 10 + length)?.to_vec()));
        at += 10 + length;
    }
    Some(Answer { code: reply.get(3)? & 15, truncated: reply.get(2)? & 2 != 0, records })
}
