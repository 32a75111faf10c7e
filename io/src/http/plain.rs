//! Which requests are plain: what nearly every client sends, and nothing that can be read in two ways.
//!
//! A plain request is HTTP/1.1 and here as a whole, with one `Host`, with a length or without a body, asks
//! nothing of the connection but to stay open or to close, and has a target in which every byte stands for
//! itself. Whatever is not plain, be it only that its second half is still on its way, is not judged here:
//! hyper gets the same bytes and decides.

use super::gzip;
use bytes::Bytes;
use httparse::Status;
use lictor_core::front::HEADERS_READ;
use std::mem::MaybeUninit;

/// A request with more headers is not plain.
const MAX_HEADERS: usize = 64;
/// No header that matters has a longer name.
const LONGEST_NAME: usize = 24;
/// Their answers have no end, which is hyper's to frame.
const ENDLESS: [&str; 2] = ["/v1/agent/monitor", "/v1/agent/metrics/stream"];

/// A plain request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// One of four.
    pub method: &'static str,
    /// Path and query, as they came.
    pub target: String,
    /// Those of [`HEADERS_READ`], in lower case.
    pub headers: Vec<(String, Bytes)>,
    /// Empty for `GET`: no read takes a body.
    pub body: Bytes,
    /// The client takes gzip.
    pub gzip: bool,
    /// The client wants the connection closed after the answer.
    pub close: bool,
}

/// The plain request that `bytes` begin with, with at most `max_head` bytes of line and headers, and how many
/// bytes it has.
pub fn parse(bytes: &[u8], max_head: usize) -> Option<(Plain, usize)> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut []);
    let Ok(Status::Complete(end)) = head.parse_with_uninit_headers(bytes, &mut space) else { return None };
    let method = ["GET", "PUT", "POST", "DELETE"].into_iter().find(|m| head.method == Some(m))?;
    let target = head.path.filter(|target| is_plain(target))?;
    if head.version != Some(1) || end > max_head {
        return None;
    }
    let (mut host, mut length, mut accepts) = (false, None, None);
    let (mut headers, mut close) = (Vec::new(), false);
    for header in head.headers.iter() {
        let mut space = [0; LONGEST_NAME];
        let Some(name) = space.get_mut(..header.name.len()) else { continue };
        name.copy_from_slice(header.name.as_bytes());
        name.make_ascii_lowercase();
        match &*name {
            b"host" if !host => host = true,
            b"content-length" if length.is_none() => length = Some(number(header.value)?),
            b"connection" => close |= wants_close(header.value)?,
            b"accept-encoding" => accepts = accepts.or(Some(header.value)),
            b"host" | b"content-length" | b"transfer-encoding" | b"expect" | b"upgrade" => return None,
            name => {
                if let Some(read) = HEADERS_READ.iter().find(|read| read.as_bytes() == name) {
                    headers.push(((*read).to_owned(), Bytes::copy_from_slice(header.value)));
                }
            }
        }
    }
    let all = end.checked_add(length.unwrap_or(0))?;
    let body = bytes.get(end..all).filter(|_| host)?;
    let body = if method == "GET" { Bytes::new() } else { Bytes::copy_from_slice(body) };
    let gzip = accepts.and_then(|v| std::str::from_utf8(v).ok()).is_some_and(gzip::accepted);
    Some((Plain { method, target: target.to_owned(), headers, body, gzip, close }, all))
}

/// Whether every byte stands for itself and the answer has an end.
fn is_plain(target: &str) -> bool {
    // What clients should escape and do not (`?filter=Node=="n1"`), Go takes as it is, and hyper refuses.
    let itself = |b: u8| b.is_ascii_graphic() && b != b'#';
    if !target.starts_with('/') || !target.bytes().all(itself) {
        return false;
    }
    let literal = target.split('%').next().unwrap_or("");
    let escaped = literal.len() < target.len();
    !ENDLESS.iter().any(|path| literal.starts_with(path) || escaped && path.starts_with(literal))
}

/// Digits only, and few enough.
fn number(value: &[u8]) -> Option<usize> {
    let digits = (1..=9).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// Whether a `Connection` header says close; `None` if it says anything but that or to keep it.
fn wants_close(value: &[u8]) -> Option<bool> {
    if value.eq_ignore_ascii_case(b"keep-alive") {
        return Some(false);
    }
    value.eq_ignore_ascii_case(b"close").then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 1 << 20;

    fn get(headers: &str) -> Option<(Plain, usize)> {
        parse(format!("GET /v1/kv/a HTTP/1.1\r\n{headers}\r\n").as_bytes(), MAX)
    }

    #[test]
    fn what_clients_send_is_plain() {
        let bytes = b"PUT /v1/kv/a?flags=1 HTTP/1.1\r\nHost: a\r\ncontent-Length: 2\r\nX-Consul-Token: t\r\n\
            Accept-Encoding: gzip\r\nUser-Agent: x\r\nConnection: close\r\n\r\nabGET /";
        let (plain, taken) = parse(bytes, MAX).expect("plain");
        assert_eq!(&bytes[taken..], b"GET /");
        let token = ("x-consul-token".to_owned(), Bytes::from_static(b"t"));
        let expected = Plain {
            method: "PUT",
            target: "/v1/kv/a?flags=1".to_owned(),
            headers: vec![token],
            body: Bytes::from_static(b"ab"),
            gzip: true,
            close: true,
        };
        assert_eq!(plain, expected);
        let (plain, _) =
            parse(b"GET /v1/catalog/nodes?filter=Node==\"a\"|<{`^ HTTP/1.1\r\nHost: a\r\n\r\n", MAX)
                .expect("plain: what should be escaped is taken as it is");
        assert_eq!(plain.target, "/v1/catalog/nodes?filter=Node==\"a\"|<{`^");
        let (plain, _) = get("Host: a\r\nConnection: keep-alive\r\nAccept: */*\r\n").expect("plain");
        assert!(!plain.close && !plain.gzip);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_plain() {
        for headers in [
            "",
            "Host: a\r\nHost: a\r\n",
            "Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
            "Host: a\r\nContent-Length: +1\r\n",
            "Host: a\r\nContent-Length: 1\r\n",
            "Host: a\r\nContent-Length:\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nExpect: 100-continue\r\n",
            "Host: a\r\nUpgrade: h2c\r\n",
            "Host: a\r\nConnection: keep-alive, Upgrade\r\n",
            "Host : a\r\n",
            "Host: a\r\n b\r\n",
            "Host: a\r\nX: a\0b\r\n",
            &format!("Host: a\r\n{}", "X: y\r\n".repeat(64)),
        ] {
            assert_eq!(get(headers), None, "{headers:?}");
        }
        for line in [
            "HEAD /v1/kv/a HTTP/1.1",
            "BREW /v1/kv/a HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET http://a/v1/kv/a HTTP/1.1",
            "GET /v1/kv/a HTTP/1.0",
            "GET /v1/kv/a#b HTTP/1.1",
            "GET /v1/kv/\u{e9} HTTP/1.1",
            "GET /v1/agent/monitor?loglevel=debug HTTP/1.1",
            "GET /v1/agent/%6donitor HTTP/1.1",
            "GET /v1/agent/metrics/stream HTTP/1.1",
            "GET /v1/agent/metrics%2fstream HTTP/1.1",
            "GET %2fv1/agent/monitor HTTP/1.1",
        ] {
            assert_eq!(parse(format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), MAX), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_no_part_of_a_request_is_one(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            body in "[a-z]{0,20}",
            cut in 0.0..1.0f64,
        ) {
            parse(&bytes, MAX);
            let head = format!("PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
            let all = [head.as_bytes(), body.as_bytes()].concat();
            prop_assert_eq!(parse(&all, MAX).map(|(_, taken)| taken), Some(all.len()));
            prop_assert_eq!(parse(&all[..(all.len() as f64 * cut) as usize], MAX), None);
            prop_assert_eq!(parse(&all, head.len() - 1), None);
        }
    }
}
