//! Building answers: bodies, `?pretty`, and the headers that every answer has.

use super::errors::HttpError;
use super::message::HttpReply;
use super::request::Request;
use crate::json::{self, Writer};
use crate::time::Instant;
use crate::view::View;
use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;

pub(super) const CONTENT_TYPE: &str = "Content-Type";
pub(super) const JSON: &str = "application/json";
/// What Go finds in the first bytes of an archive.
pub(super) const ARCHIVE: &str = "application/x-gzip";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// A read has so many, with those that the driver adds.
const MOST_HEADERS: usize = 9;

/// An answer with a body of the given type.
pub(super) fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> HttpReply {
    let mut headers = Vec::with_capacity(MOST_HEADERS);
    headers.push((CONTENT_TYPE, Cow::Borrowed(content_type)));
    HttpReply { status, headers, body: body.into(), close: false, site: false }
}

/// The JSON that `write` makes, indented if the request or the mode asks for it.
pub(super) fn json(view: &View, rq: &Request, write: impl FnOnce(&mut Writer<'_>)) -> HttpReply {
    reply(200, JSON, indent(view, rq, json::to_vec(write).into()))
}

/// What agent changes answer: nothing. Go sees no body to sniff, Consul then names JSON.
pub(super) fn done() -> HttpReply {
    reply(200, "application/json; charset=utf-8", Bytes::new())
}

/// `?pretty` indents and ends with a newline; dev mode only indents.
pub(super) fn indent(view: &View, rq: &Request, body: Bytes) -> Bytes {
    let asked = rq.query.has("pretty");
    if !asked && !view.config.dev_mode {
        return body;
    }
    let mut out = json::pretty(&body, "    ");
    if asked {
        out.push(b'\n');
    }
    out.into()
}

/// The answer to an error.
pub(super) fn error(error: &HttpError) -> HttpReply {
    let mut reply = HttpReply::text(error.status(), error.to_string());
    reply.close = matches!(error, HttpError::BodyTooLarge { .. });
    reply
}

/// Every answer under `/v1/` ends here: what all of them say, and Go's order of headers.
/// `translates`: `translate_wan_addrs`.
pub(super) fn finish(mut reply: HttpReply, translates: bool) -> HttpReply {
    if translates {
        reply.headers.push(("X-Consul-Translate-Addresses", Cow::Borrowed("true")));
    }
    reply.headers.push(("X-Consul-Default-Acl-Policy", Cow::Borrowed("allow")));
    reply.headers.sort_by_key(|(name, _)| *name);
    reply
}

/// What a read tells about itself besides its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) index: u64,
    pub(super) known_leader: bool,
    pub(super) last_contact_ms: u64,
}

impl Meta {
    /// The meta of an answer from `view`.
    pub(super) fn of(view: &View, now: Instant, index: u64) -> Meta {
        let raft = &view.raft;
        let last_contact_ms = match raft.last_contact {
            _ if raft.is_leader => 0,
            Some(at) => now.since(at).as_millis(),
            None => now.since(Instant::ZERO).as_millis(),
        };
        Meta {
            index: index.max(1),
            known_leader: raft.leader.is_some(),
            last_contact_ms: u64::try_from(last_contact_ms).unwrap_or(u64::MAX),
        }
    }

    /// The meta that Consul's catalog endpoints send with an error.
    pub(super) const OF_ERROR: Meta = Meta { index: 1, known_leader: false, last_contact_ms: 0 };

    /// Adds the headers. `streamed`: Consul would have the answer from its streaming backend.
    pub(super) fn put(self, reply: &mut HttpReply, streamed: bool) {
        reply.headers.push(("X-Consul-Index", Cow::Owned(self.index.to_string())));
        self.put_contact(reply);
        let backend = if streamed { "streaming" } else { "blocking-query" };
        reply.headers.push(("X-Consul-Query-Backend", Cow::Borrowed(backend)));
    }

    /// Adds only what a read-only transaction has.
    pub(super) fn put_contact(self, reply: &mut HttpReply) {
        let known = if self.known_leader { "true" } else { "false" };
        reply.headers.push(("X-Consul-Knownleader", Cow::Borrowed(known)));
        let contact = match self.last_contact_ms {
            0 => Cow::Borrowed("0"),
            ms => Cow::Owned(ms.to_string()),
        };
        reply.headers.push(("X-Consul-Lastcontact", contact));
    }
}
