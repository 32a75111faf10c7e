//! The lines that requests leave in the log, as Consul writes them.

use crate::log::Log;
use lictor_core::duration;
use lictor_core::event::{Event, Level};
use lictor_core::front::HttpReply;
use lictor_core::time::Duration;
use std::net::SocketAddr;

/// A request as the log shows it.
pub(super) struct Access<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    /// `None`: over a unix socket.
    pub(super) from: Option<SocketAddr>,
}

impl Access<'_> {
    /// The request was answered. An answer that refuses is an error with its text; that it was answered at all is for
    /// DEBUG. `latency` is asked for then; a request that came before DEBUG was switched on has none.
    pub(super) fn answered(&self, log: &Log, reply: &HttpReply, latency: impl FnOnce() -> Option<Duration>) {
        // Health as a status code and a transaction's conflict are answers, not refusals.
        let refused = reply.status >= 400
            && reply.status != 409
            && !reply.headers.iter().any(|(name, _)| *name == "X-Consul-Reason");
        if refused && !reply.body.is_empty() {
            let text = String::from_utf8_lossy(&reply.body);
            log.write(&self.event(Level::Error, "Request error").with("error", text.trim()));
        }
        if log.shows(Level::Debug)
            && let Some(latency) = latency()
        {
            let nanos = i64::try_from(latency.as_nanos()).unwrap_or(i64::MAX);
            let event = self.event(Level::Debug, "Request finished");
            log.write(&event.with("latency", duration::format(nanos)));
        }
    }

    fn event(&self, level: Level, message: &str) -> Event {
        Event::new(level, "agent.http", message)
            .with("method", self.method)
            .with("url", hide_token(self.target))
            .with("from", self.from.map_or_else(|| "@".to_owned(), |from| from.to_string()))
    }
}

/// A token in a URL is nobody's business.
fn hide_token(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs: Vec<&str> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_token(name) => "token=<hidden>",
            _ => pair,
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

/// However it is written.
fn is_token(name: &str) -> bool {
    let (mut rest, mut decoded) = (name.as_bytes(), Vec::with_capacity(name.len()));
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        let escaped = digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    decoded.eq_ignore_ascii_case(b"token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_written_down() {
        for (target, shown) in [
            ("/v1/kv/a", "/v1/kv/a"),
            ("/v1/kv/a?token=secret&raw", "/v1/kv/a?token=<hidden>&raw"),
            ("/v1/kv/a?raw&Token=x", "/v1/kv/a?raw&token=<hidden>"),
            ("/v1/kv/a?%74o%6Ben=x&b", "/v1/kv/a?token=<hidden>&b"),
            ("/v1/kv/a?%zz%7=x", "/v1/kv/a?%zz%7=x"),
        ] {
            assert_eq!(hide_token(target), shown);
        }
    }
}
