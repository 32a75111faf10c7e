//! gRPC: `grpc.health.v1.Health/Check` over HTTP/2.
//!
//! The two messages have one field each, so they are written and read here (protobuf: field 1 of the
//! request is the service name, field 1 of the response is the status; 1 is SERVING).

use super::{critical, go_error, passing, tcp, tls};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue, TE};
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lictor_core::agent::{CheckOutcome, ProbeTls};
use lictor_core::wire::protobuf::{self, Field, Message};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

/// The response is a dozen bytes; anything long is not one.
const MAX_RESPONSE: usize = 64 << 10;

pub(super) async fn probe(
    address: &str,
    service: &str,
    with_tls: Option<&ProbeTls>,
    limit: Duration,
) -> CheckOutcome {
    let shown = if service.is_empty() { address.to_owned() } else { format!("{address}/{service}") };
    let deadline = Instant::now() + limit;
    match timeout_at(deadline, ask(address, service, with_tls, deadline)).await {
        Ok(Ok(1)) => passing(format!("gRPC check {shown}: success")),
        Ok(Ok(other)) => {
            let name = match other {
                0 => "UNKNOWN",
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "an unknown status",
            };
            critical(format!("gRPC {shown} serving status: {name}"))
        }
        Ok(Err(why)) => critical(why),
        Err(_) => critical(format!("rpc error: code = DeadlineExceeded desc = {}", go_error::DEADLINE)),
    }
}

fn unavailable(why: &str) -> String {
    format!("rpc error: code = Unavailable desc = connection error: desc = \"{why}\"")
}

async fn ask(
    address: &str,
    service: &str,
    with_tls: Option<&ProbeTls>,
    deadline: Instant,
) -> Result<u64, String> {
    let stream = tcp::dial(address, deadline)
        .await
        .map_err(|why| unavailable(&format!("transport: Error while dialing: {why}")))?;
    match with_tls {
        None => call(stream, "http", address, service).await,
        Some(options) => {
            let stream = tls::handshake(stream, options, address, &[b"h2"]).await;
            let refused = |why| unavailable(&format!("transport: authentication handshake failed: {why}"));
            call(stream.map_err(refused)?, "https", address, service).await
        }
    }
}

async fn call<S>(stream: S, scheme: &str, address: &str, service: &str) -> Result<u64, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken =
        |e: hyper::Error| unavailable(&format!("error reading server preface: {}", in_gos_words(&e)));
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends with the answer or, at the latest, with the probe: its sender is dropped then.
    tokio::spawn(connection);
    let request = Request::post(format!("{scheme}://{address}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
        .header(TE, HeaderValue::from_static("trailers"))
        .body(Full::new(encode(service)))
        .map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(format!(
            "rpc error: code = Unknown desc = unexpected HTTP status code received from server: {}",
            response.status()
        ));
    }
    grpc_status(response.headers())?;
    let body = Limited::new(response.into_body(), MAX_RESPONSE)
        .collect()
        .await
        .map_err(|e| unavailable(&e.to_string()))?;
    if let Some(trailers) = body.trailers() {
        grpc_status(trailers)?;
    }
    decode(&body.to_bytes())
        .ok_or_else(|| "rpc error: code = Internal desc = malformed health response".to_owned())
}

/// What speaks HTTP/1 sends what looks like a frame of two gigabytes.
fn in_gos_words(e: &hyper::Error) -> String {
    let Some(source) = std::error::Error::source(e) else { return e.to_string() };
    let h2 = source.downcast_ref::<h2::Error>();
    let io = source.downcast_ref::<std::io::Error>().or(h2.and_then(h2::Error::get_io));
    match (io, h2.and_then(h2::Error::reason)) {
        (Some(io), _) => tls::alert(io).unwrap_or_else(|| go_error::cause(io)),
        (None, Some(h2::Reason::FRAME_SIZE_ERROR)) => "http2: frame too large".into(),
        (None, _) => e.to_string(),
    }
}

/// An error status, from headers or trailers.
fn grpc_status(headers: &HeaderMap) -> Result<(), String> {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => {
            let name = code.parse::<usize>().ok().and_then(|c| NAMES.get(c)).unwrap_or(&"Unknown");
            Err(format!("rpc error: code = {name} desc = {}", text("grpc-message").unwrap_or("")))
        }
    }
}

/// Five bytes of gRPC frame (uncompressed, length), then the request.
fn encode(service: &str) -> Bytes {
    let mut message = Message::default();
    message.text(1, service);
    let message = message.into_bytes();
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(&message);
    Bytes::from(frame)
}

/// The status in the first frame. A response without the field says 0, as protobuf has it.
fn decode(body: &[u8]) -> Option<u64> {
    let (head, rest) = body.split_first_chunk::<5>()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut message = rest.get(..length).filter(|_| head[0] == 0)?;
    let mut found = 0;
    while !message.is_empty() {
        if let (1, Field::Uint(value)) = protobuf::next(&mut message)? {
            found = value;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_serving_response_is_read_and_a_request_names_its_service() {
        assert_eq!(decode(&[0, 0, 0, 0, 2, 0x08, 1]), Some(1));
        assert_eq!(decode(&[0, 0, 0, 0, 0]), Some(0), "an absent field is UNKNOWN");
        assert_eq!(decode(&[1, 0, 0, 0, 2, 0x08, 1]), None, "compressed without our asking");
        assert_eq!(&encode("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
    }

    proptest! {
        #[test]
        fn any_response_decodes_or_does_not_but_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
