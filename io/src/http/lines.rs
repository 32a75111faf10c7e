//! The body of an answer: a whole one, or parts without an end.

use super::limits::Answer;
use crate::front::Lines;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What is sent after the headers.
pub(super) enum ReplyBody {
    /// All of it is here, and counted.
    Whole(Full<Bytes>, Option<Answer>),
    /// Each part as it comes, until the client goes.
    Lines(Lines),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            ReplyBody::Whole(body, _) => Pin::new(body).poll_frame(cx),
            ReplyBody::Lines(lines) => lines.poll_next(cx).map(|part| part.map(|p| Ok(Frame::data(p)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Whole(body, _) => body.is_end_stream(),
            ReplyBody::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(body, _) => body.size_hint(),
            ReplyBody::Lines(_) => SizeHint::default(),
        }
    }
}
