//! DNS answers as text, and questions with everything that a scenario may ask for.

use crate::dns;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpStream};
use std::time::Duration;

const TYPES: [(&str, u16); 11] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("ANY", 255),
    ("AXFR", 252),
];

/// Asks `NAME TYPE [tcp] [edns=SIZE] [sort]` and writes the answer down; fails only if there is none.
pub fn ask(port: u16, words: &[String]) -> String {
    let (name, kind) = (&words[0], &words[1]);
    let kind = TYPES.iter().find(|(n, _)| n == kind).map_or_else(|| kind.parse().expect("a type"), |t| t.1);
    let mut packet = dns::query(name.trim_end_matches('.'), kind);
    if let Some(size) = words.iter().find_map(|w| w.strip_prefix("edns=")) {
        let size: u16 = size.parse().expect("a size");
        packet[11] = 1;
        packet.extend_from_slice(&[0, 0, 41]);
        packet.extend_from_slice(&size.to_be_bytes());
        packet.extend_from_slice(&[0; 6]);
    }
    let reply = match words.iter().any(|w| w == "tcp") {
        true => tcp(port, &packet),
        false => (0..6).find_map(|_| dns::udp(port, &packet, Duration::from_secs(10)).ok().flatten()),
    };
    let Some(reply) = reply else { return "no answer\n".into() };
    let sorted = words.iter().any(|w| w == "sort");
    text(&reply, sorted).unwrap_or_else(|| "an answer that cannot be read\n".into())
}

fn tcp(port: u16, packet: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let size = u16::try_from(packet.len()).ok()?;
    stream.write_all(&[&size.to_be_bytes()[..], packet].concat()).ok()?;
    let mut size = [0; 2];
    stream.read_exact(&mut size).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut reply).ok()?;
    Some(reply)
}

struct Reader<'a>(&'a [u8], usize);

impl Reader<'_> {
    fn word(&mut self) -> Option<u16> {
        let word = u16::from_be_bytes([*self.0.get(self.1)?, *self.0.get(self.1 + 1)?]);
        self.1 += 2;
        Some(word)
    }

    fn long(&mut self) -> Option<u32> {
        Some(u32::from(self.word()?) << 16 | u32::from(self.word()?))
    }

    fn name(&mut self) -> Option<String> {
        let (mut at, mut end, mut name) = (self.1, None, String::new());
        for _ in 0..128 {
            match *self.0.get(at)? {
                0 => {
                    self.1 = end.unwrap_or(at + 1);
                    return Some(if name.is_empty() { ".".into() } else { name });
                }
                high if high >= 0xc0 => {
                    end.get_or_insert(at + 2);
                    at = usize::from(high & 0x3f) << 8 | usize::from(*self.0.get(at + 1)?);
                }
                length => {
                    let label = self.0.get(at + 1..at + 1 + usize::from(length))?;
                    let _ = write!(name, "{}.", String::from_utf8_lossy(label));
                    at += 1 + usize::from(length);
                }
            }
        }
        None
    }

    fn record(&mut self) -> Option<String> {
        let (name, kind, class, ttl, length) =
            (self.name()?, self.word()?, self.word()?, self.long()?, usize::from(self.word()?));
        let start = self.1;
        let data = self.0.get(start..start + length)?;
        if kind == 41 {
            self.1 = start + length;
            return Some(format!("OPT size={class} {ttl:x} {data:?}"));
        }
        let label = TYPES.iter().find(|t| t.1 == kind).map_or_else(|| kind.to_string(), |t| t.0.into());
        let value = match kind {
            1 => data.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
            2 | 5 | 12 => self.name()?,
            33 => format!("{} {} {} {}", self.word()?, self.word()?, self.word()?, self.name()?),
            6 => {
                let (server, mail) = (self.name()?, self.name()?);
                let _serial = self.long()?;
                let rest = [self.long()?, self.long()?, self.long()?, self.long()?];
                format!("{server} {mail} <serial> {rest:?}")
            }
            _ => String::from_utf8_lossy(data).escape_debug().to_string(),
        };
        self.1 = start + length;
        Some(format!("{name} {ttl} {label} {value}"))
    }
}

/// Flags, question and sections of a message, one record a line.
fn text(reply: &[u8], sorted: bool) -> Option<String> {
    let mut reader = Reader(reply, 2);
    let flags = reader.word()?;
    let counts = [reader.word()?, reader.word()?, reader.word()?, reader.word()?];
    let mut out = format!("code={}", flags & 15);
    for (bit, name) in [(0x400, "aa"), (0x200, "tc"), (0x100, "rd"), (0x80, "ra")] {
        if flags & bit != 0 {
            let _ = write!(out, " {name}");
        }
    }
    out.push('\n');
    for _ in 0..counts[0] {
        let (name, kind, _class) = (reader.name()?, reader.word()?, reader.word()?);
        let _ = writeln!(out, "question {name} {kind}");
    }
    for (section, count) in ["answer", "authority", "additional"].iter().zip(&counts[1..]) {
        let mut records = (0..*count).map(|_| reader.record()).collect::<Option<Vec<_>>>()?;
        if sorted {
            records.sort();
        }
        for record in records {
            let _ = writeln!(out, "{section} {record}");
        }
    }
    Some(out)
}
