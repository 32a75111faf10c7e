//! A name server of another domain, which the subject asks for names that are not its own: it answers every question
//! by the first label of its name, the same way each time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

const A: u16 = 1;
const CNAME: u16 = 5;
const TXT: u16 = 16;
const AAAA: u16 = 28;

const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const REFUSED: u8 = 5;

/// Starts one on loopback, over UDP and TCP. It ends with the process.
pub fn start() -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")) {
            break (udp, tcp);
        }
    };
    let at = udp.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((n, from)) = udp.recv_from(&mut packet) {
            if let Some(reply) = reply(&packet[..n], true) {
                let _ = udp.send_to(&reply, from);
            }
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    at
}

fn serve(mut stream: TcpStream) -> Option<()> {
    let mut head = [0; 2];
    loop {
        stream.read_exact(&mut head).ok()?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(head))];
        stream.read_exact(&mut query).ok()?;
        let reply = reply(&query, false)?;
        stream.write_all(&u16::try_from(reply.len()).ok()?.to_be_bytes()).ok()?;
        stream.write_all(&reply).ok()?;
    }
}

/// `None` for what is no question.
fn reply(query: &[u8], over_udp: bool) -> Option<Vec<u8>> {
    let (labels, end) = name(query, 12)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let first = labels.first().map_or("", String::as_str);
    let code = match first {
        "nx" => NAME_ERROR,
        "fail" => SERVER_FAILURE,
        "refused" => REFUSED,
        _ => NO_ERROR,
    };
    let mut records: Vec<Vec<u8>> = Vec::new();
    match (first, kind) {
        _ if code != NO_ERROR => {}
        ("many", A) => records.extend((1..=12).map(|n| record(&[0xc0, 12], A, &[192, 0, 2, n]))),
        ("alias", _) => {
            let rest = labels[1..].iter().map(String::as_str);
            let target: Vec<u8> = encoded(std::iter::once("host").chain(rest));
            records.push(record(&[0xc0, 12], CNAME, &target));
            records.extend(address(&target, kind));
        }
        (_, TXT) => records.push(record(&[0xc0, 12], TXT, b"\x05hello")),
        _ => records.extend(address(&[0xc0, 12], kind)),
    }
    let cut = first == "cut" && over_udp;
    if cut {
        records.clear();
    }
    let mut packet = query.get(..2)?.to_vec();
    packet.extend([0x81 | if cut { 2 } else { 0 }, 0x80 | code, 0, 1, 0, u8::try_from(records.len()).ok()?]);
    packet.extend([0; 4]);
    packet.extend(query.get(12..end + 4)?);
    packet.extend(records.concat());
    Some(packet)
}

fn address(name: &[u8], kind: u16) -> Option<Vec<u8>> {
    match kind {
        A => Some(record(name, A, &[192, 0, 2, 7])),
        AAAA => Some(record(name, AAAA, &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])),
        _ => None,
    }
}

fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = name.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    record.extend(data);
    record
}

fn encoded<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut name = Vec::new();
    for label in labels {
        name.push(u8::try_from(label.len()).expect("a label"));
        name.extend(label.as_bytes());
    }
    name.push(0);
    name
}

/// The labels of a name, in lower case, and where it ends.
fn name(packet: &[u8], mut at: usize) -> Option<(Vec<String>, usize)> {
    let mut labels = Vec::new();
    loop {
        let len = usize::from(*packet.get(at)?);
        if len == 0 {
            return Some((labels, at + 1));
        }
        let label = packet.get(at + 1..at + 1 + len)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += 1 + len;
    }
}
