//! The least HTTP client that a black-box test needs: it shows exactly what came over the wire.

use socket2::{Domain, Socket, Type};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// An answer as received.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `X-Consul-Index`.
    pub fn index(&self) -> u64 {
        self.header("x-consul-index").and_then(|v| v.parse().ok()).unwrap_or(0)
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// The connection could not be made, broke off, or gave nothing for two minutes.
pub fn request(port: u16, method: &str, target: &str, body: &[u8]) -> io::Result<Response> {
    request_at(([127, 0, 0, 1], port).into(), method, target, body, Duration::from_secs(120))
}

/// The same at any address, with `patience` for the connection and again for the answer.
///
/// # Errors
/// The connection could not be made, broke off, or gave nothing for so long.
pub fn request_at(
    address: SocketAddr,
    method: &str,
    target: &str,
    body: &[u8],
    patience: Duration,
) -> io::Result<Response> {
    let mut raw = format!(
        "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        address.ip(),
        body.len()
    )
    .into_bytes();
    raw.extend_from_slice(body);
    say(address, &raw, patience)
}

/// Sends bytes as they are and reads until the other side closes.
///
/// # Errors
/// As [`request`].
pub fn raw_request(port: u16, raw: &[u8]) -> io::Result<Response> {
    say(([127, 0, 0, 1], port).into(), raw, Duration::from_secs(120))
}

fn say(address: SocketAddr, raw: &[u8], patience: Duration) -> io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    // A server may refuse before it has read everything: what it said still counts.
    let _ = stream.write_all(raw);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    parse(&answer).ok_or_else(|| read.err().unwrap_or_else(|| io::Error::other("no HTTP answer")))
}

/// Sends bytes as they are, tells the server that no more will come, and returns everything it says
/// until it closes. Empty when it says nothing.
///
/// # Errors
/// The connection could not be made, or gave nothing and stayed open for two minutes.
pub fn exchange(port: u16, raw: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let _ = stream.write_all(raw);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(e) if e.kind() != io::ErrorKind::ConnectionReset => Err(e),
        _ => Ok(answer),
    }
}

/// A connection from a loopback address of choice: limits count by address. Linux has all of
/// 127.0.0.0/8 on loopback.
///
/// # Errors
/// The connection could not be made.
pub fn connect_from(source: [u8; 4], port: u16) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.set_read_timeout(Some(Duration::from_secs(120)))?;
    Ok(socket.into())
}

/// A connection that is kept between requests.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The connection could not be made.
    pub fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// From a loopback address of choice.
    ///
    /// # Errors
    /// The connection could not be made.
    pub fn open_from(source: [u8; 4], port: u16) -> io::Result<Connection> {
        connect_from(source, port).map(|stream| Connection(BufReader::new(stream)))
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// The connection broke off, or gave nothing for two minutes. Whether the request was carried out
    /// is unknown then.
    pub fn ask(&mut self, method: &str, target: &str, body: &[u8]) -> io::Result<Response> {
        let length = body.len();
        let mut raw =
            format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        raw.extend_from_slice(body);
        self.0.get_mut().write_all(&raw)?;
        self.answer()
    }

    /// The next answer, for requests that were written by hand.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub fn answer(&mut self) -> io::Result<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut response = parse(&head).ok_or_else(|| io::Error::other("no HTTP answer"))?;
        let length = response.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        response.body = vec![0; length];
        self.0.read_exact(&mut response.body)?;
        Ok(response)
    }

    /// The socket, to write what no client would.
    pub fn raw(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }
}

fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
    let headers: Vec<_> = headers.collect();
    let mut body = answer[end + 4..].to_vec();
    if headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked") && !body.is_empty() {
        body = unchunked(&body)?;
    }
    Some(Response { status, headers, body })
}

/// What the chunks of a body hold together; `None` if they break off.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + length)?);
        rest = rest.get(line + 4 + length..)?;
    }
}
