//! One HTTP connection.

use super::HttpSettings;
use super::gzip;
use super::limits::ClientLimits;
use super::timer::RtTimer;
use crate::front::{Asked, FrontCell};
use crate::rt::Rt;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue, VARY};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lictor_core::front::{HttpReply, HttpRequest};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A client that has not finished its headers by then is dropped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that has not finished its body by then is answered 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Most headers one request may have.
const MAX_HEADERS: usize = 128;

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
        let text = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
            Your IP is issuing too many concurrent connections, please rate limit your calls\n";
        let _ = stream.write_all(text).await;
        let _ = stream.flush().await;
        let _ = stream.shutdown().await;
        return;
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(RtTimer(rt.clone()))
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(settings.max_header_bytes.max(8192))
        // A client that closes is gone: what it waited for is dropped, and its place is free again.
        .half_close(false)
        .title_case_headers(true);
    let service = service_fn(move |request| {
        let (rt, cell) = (rt.clone(), cell.clone());
        async move { Ok::<_, Infallible>(answer(rt, cell, settings, from, request).await) }
    });
    // An error here is the client's: it went away or sent something that is not HTTP, and hyper
    // has answered it where it could.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer<R: Rt>(
    rt: R,
    cell: Arc<FrontCell<R>>,
    settings: HttpSettings,
    from: SocketAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let gzip_ok = head.headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(gzip::accepted);
    let body = match read_body(&rt, &head.headers, body, settings.max_body_bytes).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let request = HttpRequest {
        method: head.method.as_str().to_owned(),
        target: head.uri.path_and_query().map_or_else(|| "/".to_owned(), |t| t.as_str().to_owned()),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
        body,
        remote: from,
    };
    let reply = match cell.ask(request) {
        Asked::Now(reply) => reply,
        Asked::Later(parked) => match parked.reply().await {
            Some(reply) => reply,
            None => return plain(StatusCode::SERVICE_UNAVAILABLE, "the agent is shutting down\n".into()),
        },
    };
    respond(reply, gzip_ok)
}

async fn read_body<R: Rt>(
    rt: &R,
    headers: &hyper::HeaderMap,
    body: Incoming,
    limit: usize,
) -> Result<Bytes, Response<Full<Bytes>>> {
    let length =
        headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if let Some(n) = length {
        if n == 0 {
            return Ok(Bytes::new());
        }
        if n > limit as u64 {
            return Err(too_large(n, limit));
        }
    }
    let late = rt.sleep_until(rt.now().mono + BODY_TIMEOUT);
    let read = tokio::select! {
        biased;
        read = Limited::new(body, limit).collect() => read,
        () = late => {
            return Err(plain(StatusCode::REQUEST_TIMEOUT, "the request body took too long\n".into()));
        }
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => Err(too_large(limit as u64 + 1, limit)),
        Err(_) => Err(plain(StatusCode::BAD_REQUEST, "the request body could not be read\n".into())),
    }
}

fn too_large(n: u64, limit: usize) -> Response<Full<Bytes>> {
    let text = format!("Request body({n} bytes) too large, max size: {limit} bytes.");
    plain(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

fn respond(reply: HttpReply, gzip_ok: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in &reply.headers {
        // A value that is not a legal header (a user's text in `X-Consul-Reason`) is left out.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.append(name, value);
        }
    }
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    let mut body = reply.body;
    if gzip_ok && let Some(packed) = gzip::compress(&body) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        body = packed;
    }
    *response.body_mut() = Full::new(body);
    response
}
