//! The short way for plain requests, beside hyper: what it takes, hyper reads the same, and goes on at the same byte.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::uri::PathAndQuery;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use lictor_core::front::HEADERS_READ;
use lictor_io::http::plain::{self, Plain};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt;

/// As the drivers have them.
const MAX_HEAD: usize = 1 << 20;
/// Behind what is looked at.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n";

/// A request as both readers see it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
}

pub(crate) fn plain(data: &[u8]) {
    let Some((request, taken)) = plain::parse(data, MAX_HEAD) else { return };
    assert!(taken <= data.len(), "more than there is");
    for short in [taken - 1, taken / 2] {
        assert_eq!(plain::parse(&data[..short], MAX_HEAD), None, "a part of a request is one");
    }
    assert_eq!(plain::parse(&data[..taken], MAX_HEAD).map(|(again, _)| again), Some(request.clone()));
    let Plain { method, target, headers, body, close, .. } = request;
    if target.parse::<PathAndQuery>().is_err() {
        // What clients should escape and do not: the drivers take it, as Go does, and hyper does not.
        return;
    }
    let mut headers: Vec<(String, Bytes)> = headers;
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected = vec![Seen { method: method.to_owned(), target, headers, body }];
    if !close {
        expected.push(Seen {
            method: "GET".into(),
            target: "/next".into(),
            headers: Vec::new(),
            body: Bytes::new(),
        });
    }
    assert_eq!(by_hyper(&[&data[..taken], NEXT].concat()), expected, "{:?}", data[..taken].escape_ascii());
}

/// The requests that hyper finds in the bytes, with what the drivers hand on of them.
fn by_hyper(bytes: &[u8]) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = seen.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let into = into.clone();
        async move {
            let (head, body) = request.into_parts();
            let reads = matches!(head.method.as_str(), "GET" | "HEAD");
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let mut headers: Vec<(String, Bytes)> = head
                .headers
                .iter()
                .filter(|(name, _)| HEADERS_READ.contains(&name.as_str()))
                .map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())))
                .collect();
            headers.sort_by(|a, b| a.0.cmp(&b.0));
            into.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
                method: head.method.as_str().to_owned(),
                target: head.uri.path_and_query().map_or_else(|| "/".into(), |t| t.as_str().to_owned()),
                headers,
                body: if reads { Bytes::new() } else { body },
            });
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(bytes).await.expect("there is room");
        client.shutdown().await.expect("it is open");
        let mut http = http1::Builder::new();
        http.half_close(true).max_headers(1024).max_buf_size(MAX_HEAD);
        let _ = http.serve_connection(TokioIo::new(server), service).await;
    });
    std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
}
