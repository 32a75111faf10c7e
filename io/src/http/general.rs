//! A connection that is not plain, served by hyper from there on.

use super::access::Access;
use super::conn::Stream;
use super::ending::{Ending, Patient};
use super::limits::{Answer, ClientLimits, Entered};
use super::lines::ReplyBody;
use super::timer::RtTimer;
use super::{Serving, gzip, names, reply};
use crate::front::{Asked, Lines};
use crate::rt::Rt;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING, VARY,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use lictor_core::front::{Front, HEADERS_READ, HttpReply, HttpRequest};
use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// A client that has begun its headers and not finished them by then is dropped.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// A request with more headers is answered 431, whatever their size.
const MAX_HEADERS: usize = 1024;
/// A client that has not finished its body by then is answered 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// The same for a body that may be as large as the archive of a snapshot.
const LARGE_BODY_TIMEOUT: Duration = Duration::from_secs(600);
/// Bodies up to this many bytes are not counted against the memory for bodies.
const SMALL_BODY: usize = 64 << 10;
const NO_ROOM: &str =
    "rate limit exceeded: too many large request bodies at once, nothing was changed, try again\n";
const UNREAD: &str = "rate limit exceeded: too many large answers wait to be read, try again\n";

/// Serves a connection until it ends. `early` was read from it before, `place` is where it is counted.
pub(super) async fn connection<R: Rt, S: Stream>(
    serving: Arc<Serving<R>>,
    stream: S,
    early: Vec<u8>,
    from: Option<SocketAddr>,
    place: Entered,
) {
    let ending = Arc::new(Ending::default());
    let stream = Patient {
        serving: serving.clone(),
        stream,
        early: early.into(),
        ending: ending.clone(),
        stalled: None,
    };
    let place = &place;
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(RtTimer::new(serving.rt.clone(), ending.clone()))
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(serving.settings.max_header_bytes.max(8192))
        // A client that closes is gone, as far as [`Ending`] tells of it.
        .half_close(false)
        .title_case_headers(true);
    let service = service_fn(move |request| {
        let (serving, ending) = (serving.clone(), ending.clone());
        // Before hyper reads on.
        ending.keep();
        async move {
            let response = answer(&serving, &ending, from, place, request).await;
            ending.answered();
            Ok::<_, Infallible>(response)
        }
    });
    // An error here is the client's: it went away or sent something that is not HTTP, and hyper
    // has answered it where it could.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer<R: Rt>(
    serving: &Serving<R>,
    ending: &Ending,
    from: Option<SocketAddr>,
    place: &Entered,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let Serving { rt, cell, settings, clients, .. } = serving;
    let (head, body) = request.into_parts();
    let nameless = head.version == Version::HTTP_11 && !head.headers.contains_key(HOST);
    // CONNECT says whom it means in its target.
    if nameless && head.method != Method::CONNECT {
        return respond(HttpReply::text(400, "400 Bad Request: missing required Host header"));
    }
    if !is_framed_simply(&head.headers) {
        let mut reply = HttpReply::text(501, "Unsupported transfer encoding");
        reply.close = true;
        return respond(reply);
    }
    let gzip_ok = head.headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(gzip::accepted);
    let target = head.uri.path_and_query().map_or_else(|| "/".to_owned(), |t| t.as_str().to_owned());
    let larger = Front::most_of_body(head.method.as_str(), &target);
    let limit = larger.unwrap_or(settings.max_body_bytes);
    let patience = if larger.is_some() { LARGE_BODY_TIMEOUT } else { BODY_TIMEOUT };
    let declared =
        cell.most_of_declared_body(head.method.as_str(), &target).map_or(limit, |own| own.min(limit));
    let mut reading = pin!(read_body(rt, &head.headers, body, (declared, limit), patience, clients));
    let read = poll_fn(|cx| {
        let read = reading.as_mut().poll(cx);
        if read.is_pending() && ending.is_kept() {
            // The body breaks off.
            ending.tell();
        }
        read
    });
    let read = match read.await {
        Ok(read) => read,
        Err(Refusal::TooLarge(len)) => {
            let mut reply = cell.body_too_large(&target, len, limit);
            reply::wrap(&mut reply, serving.settings.response_headers, false, |_| false);
            return respond(reply);
        }
        Err(Refusal::Other(status, text)) => return respond(HttpReply::text(status, text)),
    };
    // No read takes a body, and a read may wait for minutes: what came is let go. A write keeps its memory
    // until it is answered, for its command holds the bytes until then.
    let (body, _room) = match head.method {
        Method::GET | Method::HEAD => {
            drop(read);
            (Bytes::new(), None)
        }
        _ => read,
    };
    let may_wait = target.contains("index=") || target.contains("hash=");
    let request = HttpRequest {
        method: head.method.as_str().to_owned(),
        target: target.clone(),
        headers: head
            .headers
            .iter()
            .filter(|(name, _)| HEADERS_READ.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
        body,
        remote: from,
    };
    let since = rt.now().mono;
    let mut reply = match cell.ask(request) {
        Asked::Now(reply) => reply,
        Asked::Lines(lines) => {
            ending.tell();
            return endless(lines, serving.settings.response_headers);
        }
        Asked::Later(mut parked) => {
            if may_wait {
                ending.tell();
            }
            poll_fn(|cx| parked.poll_reply(cx)).await.unwrap_or_else(shutting_down)
        }
    };
    let access = Access { method: head.method.as_str(), target: &target, from };
    access.answered(cell.log(), &reply, || Some(rt.now().mono.since(since)));
    reply::wrap(&mut reply, serving.settings.response_headers, gzip_ok, |reply| {
        reply::pack(reply, &mut serving.packed.lock().unwrap_or_else(PoisonError::into_inner))
    });
    let room = room_for(place, &mut reply);
    let mut response = respond(reply);
    if let ReplyBody::Whole(_, held) = response.body_mut() {
        *held = room;
    }
    response
}

/// Memory for a large answer until it is sent; where there is none, the answer becomes one that says so.
pub(super) fn room_for(place: &Entered, reply: &mut HttpReply) -> Option<Answer> {
    let room = place.room_for_answer(reply.body.len());
    if room.is_none() {
        *reply = HttpReply::text(429, UNREAD);
    }
    room
}

/// Whether nothing but chunks frames the body, if anything does. hyper also takes other codings in front of them, which
/// a proxy may have read in another way.
fn is_framed_simply(headers: &hyper::HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    first && codings.next().is_none()
}

/// The answer to a request that came when the process ends, or that it can no longer finish.
pub(super) fn shutting_down() -> HttpReply {
    HttpReply::text(503, "the agent is shutting down\n")
}

/// An endless answer, without a type as Consul's.
fn endless(lines: Lines, configured: reply::Configured) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Lines(lines));
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert("X-Consul-Default-Acl-Policy", HeaderValue::from_static("allow"));
    for (name, value) in configured {
        if let (Ok(name), Ok(value)) = (names::header(name), HeaderValue::from_str(value)) {
            headers.entry(name).or_insert(value);
        }
    }
    response
}

/// Why a body was not read to its end.
enum Refusal {
    /// It has, or would have, at least this many bytes.
    TooLarge(u64),
    Other(u16, &'static str),
}

type Body = (Bytes, Option<OwnedSemaphorePermit>);

/// `declared`, `limit`: how long the body may say that it is, and how long it may be.
async fn read_body<R: Rt>(
    rt: &R,
    headers: &hyper::HeaderMap,
    body: Incoming,
    (declared, limit): (usize, usize),
    patience: Duration,
    clients: &ClientLimits,
) -> Result<Body, Refusal> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let length =
        headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    match length {
        Some(0) => return Ok((Bytes::new(), None)),
        Some(n) if n > declared as u64 => return Err(Refusal::TooLarge(n)),
        _ => {}
    }
    let late = rt.sleep_until(rt.now().mono + patience);
    tokio::select! {
        biased;
        read = collect(body, limit, clients) => read,
        () = late => Err(Refusal::Other(408, "the request body took too long\n")),
    }
}

/// Gathers a body as it comes. What goes beyond a small one is counted as it arrives, so that a client
/// holds only what it has sent.
async fn collect(mut body: Incoming, limit: usize, clients: &ClientLimits) -> Result<Body, Refusal> {
    let mut data = Bytes::new();
    let mut more = BytesMut::new();
    let (mut total, mut counted) = (0, SMALL_BODY);
    let mut room: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Refusal::Other(400, "the request body could not be read\n"));
        };
        let Ok(part) = frame.into_data() else { continue };
        total += part.len();
        if total > limit {
            return Err(Refusal::TooLarge(total as u64));
        }
        if total > counted {
            let step = (total - counted).max(SMALL_BODY);
            let taken = clients.room_for(step).ok_or(Refusal::Other(429, NO_ROOM))?;
            counted += step;
            match &mut room {
                Some(room) => room.merge(taken),
                None => room = Some(taken),
            }
        }
        // Most bodies come in one part and are not copied.
        if data.is_empty() && more.is_empty() {
            data = part;
        } else {
            more.extend_from_slice(&std::mem::take(&mut data));
            more.extend_from_slice(&part);
        }
    }
    Ok((if more.is_empty() { data } else { more.freeze() }, room))
}

fn respond(reply: HttpReply) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(Full::new(reply.body), None));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if reply.status == 413 {
        // Go's name for it.
        let name = ReasonPhrase::from_static(reply::reason(413).as_bytes());
        response.extensions_mut().insert(name);
    }
    let headers = response.headers_mut();
    headers.reserve(reply.headers.len() + 2);
    for (name, value) in reply.headers {
        let value = match value {
            Cow::Borrowed(value) => HeaderValue::from_str(value),
            Cow::Owned(value) => HeaderValue::from_maybe_shared(Bytes::from(value)),
        };
        // A value that is not a legal header (a user's text in `X-Consul-Reason`) is left out.
        if let (Ok(name), Ok(value)) = (names::header(name), value) {
            headers.append(name, value);
        }
    }
    if reply.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
