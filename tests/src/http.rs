//! The least HTTP client that a black-box test needs: it shows exactly what came over the wire.

use std::io::{self, Read, Write};
use std::net::TcpStream;
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
    let mut raw = format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    raw.extend_from_slice(body);
    raw_request(port, &raw)
}

/// Sends bytes as they are and reads until the other side closes.
///
/// # Errors
/// As [`request`].
pub fn raw_request(port: u16, raw: &[u8]) -> io::Result<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    // A server may refuse before it has read everything: what it said still counts.
    let _ = stream.write_all(raw);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    parse(&answer).ok_or_else(|| read.err().unwrap_or_else(|| io::Error::other("no HTTP answer")))
}

fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
    let headers: Vec<_> = headers.collect();
    Some(Response { status, headers, body: answer[end + 4..].to_vec() })
}
