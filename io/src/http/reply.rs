//! What is added to a front's answer on its way out, and the bytes of a plain one.

use super::gzip::Packed;
use hyper::StatusCode;
use lictor_core::front::HttpReply;
use lictor_core::time::WallTime;
use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// `Date` of the second that was asked for last.
#[derive(Debug, Default)]
pub(super) struct Date {
    second: Option<u64>,
    text: String,
}

impl Date {
    /// As RFC 9110 wants it: `Thu, 01 Jan 1970 00:00:00 GMT`.
    pub(super) fn at(&mut self, now: WallTime) -> &str {
        let second = u64::try_from(now.0).unwrap_or(0) / 1_000_000_000;
        if self.second != Some(second) {
            self.second = Some(second);
            self.text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        &self.text
    }
}

/// Adds what Consul's server puts around every route of the API and what is configured, and compresses for a client
/// that takes it. Other answers are never compressed.
pub(super) fn wrap(
    reply: &mut HttpReply,
    configured: Configured,
    gzip: bool,
    packed: impl FnOnce(&mut HttpReply) -> bool,
) {
    let routed = reply.headers.iter().any(|(name, _)| *name == "X-Consul-Default-Acl-Policy");
    if routed || reply.site {
        add(reply, configured, routed);
    }
    if !routed {
        return;
    }
    reply.headers.push(("Vary", Cow::Borrowed("Accept-Encoding")));
    if gzip && packed(reply) {
        reply.headers.push(("Content-Encoding", Cow::Borrowed("gzip")));
    }
}

/// `http_config.response_headers`, by the names that go over the wire.
pub(super) type Configured = &'static [(&'static str, &'static str)];

/// What a route of the API says itself stays as it is.
fn add(reply: &mut HttpReply, configured: Configured, routed: bool) {
    for (name, value) in configured {
        match reply.headers.iter().position(|(own, _)| own.eq_ignore_ascii_case(name)) {
            Some(_) if routed => {}
            Some(at) => reply.headers[at].1 = Cow::Borrowed(*value),
            None => reply.headers.push((*name, Cow::Borrowed(*value))),
        }
    }
}

/// Puts the compressed body in place of the body, if that is worth it.
pub(super) fn pack(reply: &mut HttpReply, packed: &mut Packed) -> bool {
    // What is compressed already does not get smaller.
    let done = |(name, value): &(_, Cow<'_, str>)| *name == "Content-Type" && value == "application/x-gzip";
    !reply.headers.iter().any(done) && packed.of(&reply.body).map(|body| reply.body = body).is_some()
}

/// The name of a status, as Go spells it.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        413 => "Request Entity Too Large",
        status => StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Unknown"),
    }
}

/// Status line and headers with the empty line. A value that is not a legal header (a user's text in
/// `X-Consul-Reason`) is left out.
pub(super) fn head(reply: &HttpReply, close: bool, date: &str, room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + room);
    match reply.status {
        200 => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        status => put(&mut out, format_args!("HTTP/1.1 {status} {}\r\n", reason(status))),
    }
    let mut header = |name: &str, value: &str| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    let legal = |value: &str| value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t' | 0x80..));
    for (name, value) in reply.headers.iter().filter(|(_, value)| legal(value)) {
        header(name, value);
    }
    if close {
        header("Connection", "close");
    }
    header("Date", date);
    if !matches!(reply.status, 204 | 304) {
        put(&mut out, format_args!("Content-Length: {}\r\n", reply.body.len()));
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes what is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_headers_its_length_and_no_line_that_a_user_made() {
        let mut reply = HttpReply::text(413, "long");
        reply.headers.push(("X-Consul-Reason", Cow::Borrowed("a\r\nSet-Cookie: b")));
        reply.headers.push(("X-Consul-Index", Cow::Borrowed("7")));
        let mut date = Date::default();
        let text = head(&reply, true, date.at(WallTime(1_000_000_000)), 0);
        assert_eq!(
            String::from_utf8_lossy(&text),
            "HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Consul-Index: 7\r\nConnection: close\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT\r\n\
             Content-Length: 4\r\n\r\n"
        );
    }

    #[test]
    fn only_what_a_route_answered_is_wrapped() {
        let mut reply = HttpReply::text(404, "x");
        wrap(&mut reply, &[], true, |_| true);
        assert_eq!(reply.headers.len(), 1);
        reply.headers.push(("X-Consul-Default-Acl-Policy", Cow::Borrowed("allow")));
        wrap(&mut reply, &[], true, |_| true);
        let added: Vec<_> =
            reply.headers[2..].iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(added, ["Vary: Accept-Encoding", "Content-Encoding: gzip"]);
    }

    #[test]
    fn what_is_configured_is_added_and_replaces_only_what_no_route_said() {
        let configured: Configured = &[("Content-Type", "text/x"), ("X-Site", "one")];
        let said = |mut reply: HttpReply| {
            wrap(&mut reply, configured, false, |_| false);
            let of =
                |name| reply.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone().into_owned());
            (of("Content-Type"), of("X-Site"))
        };
        let plain = HttpReply::text(404, "no");
        let own = Some("text/plain; charset=utf-8".to_owned());
        assert_eq!(said(plain.clone()), (own.clone(), None));
        let mut reply = HttpReply { site: true, ..plain };
        assert_eq!(said(reply.clone()), (Some("text/x".into()), Some("one".into())));
        reply.headers.push(("X-Consul-Default-Acl-Policy", Cow::Borrowed("allow")));
        assert_eq!(said(reply), (own, Some("one".into())));
    }
}
