//! HTTP load: keep-alive connections on one thread, one request under way on each.

use super::Run;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Status line and headers, with the empty line.
    pub head: Vec<u8>,
    /// The body, without the framing it came in.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// The connection fails, or the answer is not HTTP.
pub fn once(address: SocketAddr, method: &str, target: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(&request(method, target, body))?;
    let mut bytes = Vec::new();
    let mut reader = Reader::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof));
        }
        bytes.extend_from_slice(&buffer[..n]);
        if let Some(status) = reader.take(&buffer[..n])? {
            let end = head_end(&bytes).unwrap_or(bytes.len());
            let body = bytes.split_off(end);
            let chunked =
                header(&bytes, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
            let body = if chunked { unchunk(&body) } else { body };
            return Ok(Answer { status, head: bytes, body });
        }
    }
}

/// A request's bytes.
pub fn request(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let mut raw = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:8500\r\n").into_bytes();
    if !body.is_empty() {
        raw.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    raw.extend_from_slice(b"\r\n");
    raw.extend_from_slice(body);
    raw
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = head.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let mut pairs = lines.filter_map(|line| line.trim_end().split_once(": "));
    pairs.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(line) = body.windows(2).position(|w| w == b"\r\n") {
        let digits = std::str::from_utf8(&body[..line]).unwrap_or("0");
        let length = usize::from_str_radix(digits, 16).unwrap_or(0);
        let Some(chunk) = body.get(line + 2..line + 2 + length).filter(|c| !c.is_empty()) else { break };
        out.extend_from_slice(chunk);
        body = body.get(line + 4 + length..).unwrap_or(&[]);
    }
    out
}

/// Bytes that are kept of the body of an answer that is not as it should be.
const KEPT: usize = 300;

/// Finds the end of one answer in what comes in. Keeps nothing of it but the begin of a refusal.
#[derive(Default)]
struct Reader {
    head: Vec<u8>,
    status: u16,
    rest: Rest,
    refusal: Vec<u8>,
}

#[derive(Default)]
enum Rest {
    #[default]
    Head,
    /// So many bytes are missing.
    Length(usize),
    /// Chunks: the last bytes seen.
    Chunks(Vec<u8>),
}

impl Reader {
    /// Takes in bytes; the status once the answer is whole.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<Option<u16>> {
        if matches!(self.rest, Rest::Head) {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let Some(end) = head_end(&self.head) else { return Ok(None) };
            bytes = &bytes[end - before..];
            self.head.truncate(end);
            self.status = std::str::from_utf8(self.head.get(9..12).unwrap_or(b""))
                .ok()
                .and_then(|s| s.parse().ok())
                .ok_or_else(|| io::Error::other("no status line"))?;
            self.refusal.clear();
            self.rest = match header(&self.head, "content-length").and_then(|v| v.parse().ok()) {
                Some(length) => Rest::Length(length),
                None if header(&self.head, "transfer-encoding").is_some() => Rest::Chunks(Vec::new()),
                None => Rest::Length(0),
            };
        }
        if self.status != 200 {
            let room = KEPT - self.refusal.len().min(KEPT);
            self.refusal.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        let over = match &mut self.rest {
            Rest::Head => false,
            Rest::Length(missing) => {
                *missing = missing.saturating_sub(bytes.len());
                *missing == 0
            }
            Rest::Chunks(tail) => {
                tail.extend_from_slice(&bytes[bytes.len().saturating_sub(7)..]);
                let keep = tail.len().saturating_sub(7);
                tail.drain(..keep);
                tail.ends_with(b"0\r\n\r\n")
            }
        };
        if !over {
            return Ok(None);
        }
        self.head.clear();
        self.rest = Rest::Head;
        Ok(Some(self.status))
    }
}

struct Connection {
    stream: TcpStream,
    reader: Reader,
    /// What of the request is not sent yet.
    unsent: Vec<u8>,
    asked: Instant,
    waiting: bool,
}

/// Connections to one server, kept over several runs.
pub struct Load {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Load {
    /// Connects.
    ///
    /// # Errors
    /// A connection is refused.
    pub fn connect(address: SocketAddr, connections: usize) -> io::Result<Load> {
        let poll = Poll::new()?;
        let mut open = Vec::with_capacity(connections);
        for i in 0..connections {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(i), Interest::READABLE | Interest::WRITABLE)?;
            open.push(Connection {
                stream,
                reader: Reader::default(),
                unsent: Vec::new(),
                asked: Instant::now(),
                waiting: false,
            });
        }
        Ok(Load { poll, events: Events::with_capacity(1024), connections: open, buffer: vec![0; 1 << 18] })
    }

    /// Asks on every connection, again and again for `time`, and waits for what is under way then.
    /// `next` gives the request of a connection.
    ///
    /// # Errors
    /// A connection breaks, or nothing comes for a minute.
    pub fn run(&mut self, time: Duration, mut next: impl FnMut(usize) -> Vec<u8>) -> io::Result<Run> {
        let start = Instant::now();
        for i in 0..self.connections.len() {
            self.connections[i].ask(next(i))?;
        }
        self.wait(start, |i, now| (now.duration_since(start) < time).then(|| next(i)))
    }

    /// Sends every one of `requests` once, on whichever connection is free.
    ///
    /// # Errors
    /// As [`Load::run`].
    pub fn each(&mut self, requests: Vec<Vec<u8>>) -> io::Result<Run> {
        let mut requests = requests.into_iter();
        for connection in &mut self.connections {
            if let Some(request) = requests.next() {
                connection.ask(request)?;
            }
        }
        self.wait(Instant::now(), |_, _| requests.next())
    }

    /// Asks once on every connection without waiting for the answers.
    ///
    /// # Errors
    /// A connection breaks.
    pub fn ask_all(&mut self, request: &[u8]) -> io::Result<()> {
        self.connections.iter_mut().try_for_each(|c| c.ask(request.to_vec()))
    }

    /// Waits for the answers to [`Load::ask_all`].
    ///
    /// # Errors
    /// As [`Load::run`].
    pub fn answers(&mut self) -> io::Result<Run> {
        self.wait(Instant::now(), |_, _| None)
    }

    /// How many answers come within `time`, of those that are waited for.
    ///
    /// # Errors
    /// A connection breaks.
    pub fn early_answers(&mut self, time: Duration) -> io::Result<u64> {
        let end = Instant::now() + time;
        let mut run = Run::default();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left, &mut run, &mut |_, _| None)?;
        }
        Ok(run.done + run.failed)
    }

    fn wait(
        &mut self,
        start: Instant,
        mut next: impl FnMut(usize, Instant) -> Option<Vec<u8>>,
    ) -> io::Result<Run> {
        let mut run = Run::default();
        while self.connections.iter().any(|c| c.waiting) {
            self.turn(Duration::from_secs(60), &mut run, &mut next)?;
            if self.events.is_empty() {
                return Err(io::Error::from(ErrorKind::TimedOut));
            }
        }
        run.elapsed = start.elapsed();
        Ok(run)
    }

    fn turn(
        &mut self,
        patience: Duration,
        run: &mut Run,
        next: &mut impl FnMut(usize, Instant) -> Option<Vec<u8>>,
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        for event in &self.events {
            let Token(i) = event.token();
            let connection = &mut self.connections[i];
            if event.is_writable() {
                connection.flush()?;
            }
            while let Some(status) = connection.read(&mut self.buffer)? {
                let now = Instant::now();
                connection.waiting = false;
                match status {
                    200 => run.note(now.duration_since(connection.asked)),
                    _ => {
                        run.failed += 1;
                        run.wrong.get_or_insert_with(|| {
                            format!("{status}: {}", connection.reader.refusal.escape_ascii())
                        });
                    }
                }
                if let Some(request) = next(i, now) {
                    connection.ask(request)?;
                }
            }
        }
        Ok(())
    }
}

impl Connection {
    fn ask(&mut self, request: Vec<u8>) -> io::Result<()> {
        self.asked = Instant::now();
        self.waiting = true;
        self.unsent = request;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads until one answer is whole or nothing more is there.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<u16>> {
        if !self.waiting {
            return Ok(None);
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof)),
                Ok(n) => {
                    if let Some(status) = self.reader.take(&buffer[..n])? {
                        return Ok(Some(status));
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_framing_says_wherever_it_is_cut() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".as_slice();
        let chunked =
            b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                .as_slice();
        for (answer, status) in [(plain, 200), (chunked, 404)] {
            for cut in 0..answer.len() {
                let mut reader = Reader::default();
                assert_eq!(reader.take(&answer[..cut]).unwrap(), None, "{cut}");
                assert_eq!(reader.take(&answer[cut..]).unwrap(), Some(status), "{cut}");
            }
        }
        let mut reader = Reader::default();
        for (answer, kept) in
            [(plain, "".as_bytes()), (b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nfull", b"full")]
        {
            reader.take(answer).unwrap();
            assert_eq!(reader.refusal, kept);
        }
        assert_eq!(unchunk(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), b"abcde");
    }
}
