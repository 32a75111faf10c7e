//! One HTTP connection.

use super::HttpSettings;
use super::access::Access;
use super::ending::{Ending, Patient};
use super::gzip;
use super::limits::ClientLimits;
use super::lines::ReplyBody;
use super::names;
use super::timer::RtTimer;
use crate::front::{Asked, FrontCell};
use crate::log::Watcher;
use crate::rt::Rt;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderValue, VARY};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use lictor_core::front::{HEADERS_READ, HttpReply, HttpRequest};
use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

/// A client that has not finished its headers by then is dropped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// A request with more headers is answered 431, whatever their size.
const MAX_HEADERS: usize = 1024;
/// A client that has not finished its body by then is answered 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Bodies up to this many bytes are not counted against the memory for bodies.
const SMALL_BODY: usize = 64 << 10;
const NO_ROOM: &str =
    "rate limit exceeded: too many large request bodies at once, nothing was changed, try again\n";

/// Serves one connection until it ends.
pub(super) async fn connection<R: Rt>(
    rt: R,
    mut stream: R::Stream,
    from: SocketAddr,
    cell: Arc<FrontCell<R>>,
    settings: HttpSettings,
    clients: Arc<ClientLimits>,
) {
    let Some(_place) = clients.enter(from.ip()) else {
        // As Consul: a bare 429 before any request is read.
        let text = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\n\
            Connection: close\r\n\r\n\
            Your IP is issuing too many concurrent connections, please rate limit your calls\n";
        let _ = stream.write_all(text).await;
        let _ = stream.flush().await;
        let _ = stream.shutdown().await;
        return;
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(RtTimer::new(rt.clone()))
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(settings.max_header_bytes.max(8192))
        // A client that closes is gone, as far as [`Ending`] tells of it.
        .half_close(false)
        .title_case_headers(true);
    let ending = Arc::new(Ending::default());
    let stream = Patient { stream, ending: ending.clone() };
    let service = service_fn(move |request| {
        let (rt, cell, clients, ending) = (rt.clone(), cell.clone(), clients.clone(), ending.clone());
        // Before hyper reads on.
        ending.keep();
        async move {
            let response = answer(rt, cell, settings, &clients, &ending, from, request).await;
            ending.answered();
            Ok::<_, Infallible>(response)
        }
    });
    // An error here is the client's: it went away or sent something that is not HTTP, and hyper
    // has answered it where it could.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer<R: Rt>(
    rt: R,
    cell: Arc<FrontCell<R>>,
    settings: HttpSettings,
    clients: &ClientLimits,
    ending: &Ending,
    from: SocketAddr,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let (head, body) = request.into_parts();
    let nameless = head.version == Version::HTTP_11 && !head.headers.contains_key(HOST);
    // CONNECT says whom it means in its target.
    if nameless && head.method != Method::CONNECT {
        return plain(StatusCode::BAD_REQUEST, "400 Bad Request: missing required Host header".into());
    }
    let gzip_ok = head.headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(gzip::accepted);
    let target = head.uri.path_and_query().map_or_else(|| "/".to_owned(), |t| t.as_str().to_owned());
    let limit = settings.max_body_bytes;
    let mut reading = pin!(read_body(&rt, &head.headers, body, limit, clients));
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
        Err(Refusal::TooLarge(len)) => return respond(cell.body_too_large(&target, len, limit), false),
        Err(Refusal::Other(status, text)) => return plain(status, text.into()),
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
    let access = Access { method: head.method.clone(), uri: head.uri.clone(), from };
    let request = HttpRequest {
        method: head.method.as_str().to_owned(),
        target,
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
    let reply = match cell.ask(request) {
        Asked::Now(reply) => reply,
        Asked::Lines(watcher) => {
            ending.tell();
            return monitor(watcher);
        }
        Asked::Later(parked) => {
            if may_wait {
                ending.tell();
            }
            match parked.reply().await {
                Some(reply) => reply,
                None => {
                    return plain(StatusCode::SERVICE_UNAVAILABLE, "the agent is shutting down\n".into());
                }
            }
        }
    };
    access.answered(cell.log(), &reply, || rt.now().mono.since(since));
    respond(reply, gzip_ok)
}

/// An endless answer, without a type as Consul's.
fn monitor(watcher: Watcher) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Lines(watcher));
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert("X-Consul-Default-Acl-Policy", HeaderValue::from_static("allow"));
    response
}

/// Why a body was not read to its end.
enum Refusal {
    /// It has, or would have, at least this many bytes.
    TooLarge(u64),
    Other(StatusCode, &'static str),
}

type Body = (Bytes, Option<OwnedSemaphorePermit>);

async fn read_body<R: Rt>(
    rt: &R,
    headers: &hyper::HeaderMap,
    body: Incoming,
    limit: usize,
    clients: &ClientLimits,
) -> Result<Body, Refusal> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let length =
        headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    match length {
        Some(0) => return Ok((Bytes::new(), None)),
        Some(n) if n > limit as u64 => return Err(Refusal::TooLarge(n)),
        _ => {}
    }
    let late = rt.sleep_until(rt.now().mono + BODY_TIMEOUT);
    tokio::select! {
        biased;
        read = collect(body, limit, clients) => read,
        () = late => Err(Refusal::Other(StatusCode::REQUEST_TIMEOUT, "the request body took too long\n")),
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
            return Err(Refusal::Other(StatusCode::BAD_REQUEST, "the request body could not be read\n"));
        };
        let Ok(part) = frame.into_data() else { continue };
        total += part.len();
        if total > limit {
            return Err(Refusal::TooLarge(total as u64));
        }
        if total > counted {
            let step = (total - counted).max(SMALL_BODY);
            let taken =
                clients.room_for(step).ok_or(Refusal::Other(StatusCode::TOO_MANY_REQUESTS, NO_ROOM))?;
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

fn plain(status: StatusCode, text: String) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

fn respond(reply: HttpReply, gzip_ok: bool) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(Full::new(Bytes::new())));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if reply.status == 413 {
        // Go's name for it.
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
    }
    let headers = response.headers_mut();
    headers.reserve(reply.headers.len() + 4);
    let routed = reply.headers.iter().any(|(name, _)| *name == "X-Consul-Default-Acl-Policy");
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
    // As in Consul, only what a route of the API answered is ever compressed.
    if routed {
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    let mut body = reply.body;
    if routed
        && gzip_ok
        && let Some(packed) = gzip::compress(&body)
    {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        body = packed;
    }
    *response.body_mut() = ReplyBody::Whole(Full::new(body));
    response
}
