//! gRPC's use of HTTP/2: five bytes in front of every message, and a status at the end.

use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};
use lictor_core::subscribe::Status;
use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The body of an answer: what its sender sends, or nothing.
pub(super) struct Frames(Option<mpsc::Receiver<Frame<Bytes>>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Some(frames) => frames.poll_recv(cx).map(|frame| frame.map(Ok)),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.0.is_none() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

/// An answer whose messages, and at last [`trailers`], are still to come.
pub(super) fn stream(frames: mpsc::Receiver<Frame<Bytes>>) -> Response<Frames> {
    response(Frames(Some(frames)))
}

/// An answer without messages.
pub(super) fn refusal(status: &Status) -> Response<Frames> {
    let mut response = response(Frames(None));
    response.headers_mut().extend(headers(status));
    response
}

fn response(body: Frames) -> Response<Frames> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The end of an answer.
pub(super) fn trailers(status: &Status) -> Frame<Bytes> {
    Frame::trailers(headers(status))
}

fn headers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from(u16::from(status.code)));
    if let Ok(text) = HeaderValue::from_str(&escaped(&status.message)) {
        headers.insert("grpc-message", text);
    }
    headers
}

/// What is not printable ASCII goes as `%XX`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte.into()),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// A message with its frame.
pub(super) fn message(message: &[u8]) -> Frame<Bytes> {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    Frame::data(frame.freeze())
}

/// The one message of a request.
pub(super) fn only_message(body: &[u8]) -> Result<&[u8], Status> {
    let Some((&[packed, a, b, c, d], message)) = body.split_first_chunk() else {
        return Err(Status::bad_frame("unexpected EOF"));
    };
    if packed != 0 {
        return Err(Status::bad_frame("grpc: compressed messages are not taken"));
    }
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(Status::bad_frame("grpc: the request is not one message"));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_message_that_is_not_packed() {
        assert_eq!(only_message(&[0, 0, 0, 0, 2, 8, 1]), Ok(&[8, 1][..]));
        for wrong in [&[][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 8], &[0, 255, 255, 255, 255]]
        {
            assert_eq!(only_message(wrong).map_err(|status| status.code), Err(13), "{wrong:?}");
        }
    }

    #[test]
    fn a_status_is_printable_whatever_its_text() {
        let headers = headers(&Status::unknown_path("/\u{e9}%\n/x"));
        assert_eq!(headers["grpc-status"], "12");
        assert_eq!(headers["grpc-message"], "unknown service %C3%A9%25%0A");
    }
}
