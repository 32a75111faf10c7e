//! One connection, for as long as its requests are plain. Then it is hyper's.
//!
//! While it is idle or its query waits, a connection holds its socket, its task and what the front keeps:
//! bytes are read onto the stack, and only those that are early or not plain are kept.

use super::ending::STALLED;
use super::plain::{self, Plain};
use super::{Serving, access, general, reply};
use crate::front::{Asked, Parked};
use crate::rt::Rt;
use bytes::Bytes;
use lictor_core::event::Level;
use lictor_core::front::{HttpReply, HttpRequest};
use lictor_core::metrics::Metric;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The most bytes that are read at once, and so of a plain request.
const READ: usize = 16 << 10;
/// Bodies up to this many bytes are sent in one piece with their head.
const COPIED: usize = 4 << 10;

/// What bytes come and go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// Serves one connection until it ends. `from` is `None` for a unix socket.
pub(super) async fn connection<R: Rt, S: Stream>(
    serving: Arc<Serving<R>>,
    stream: S,
    from: Option<SocketAddr>,
) {
    let max_head = serving.settings.max_header_bytes;
    let mut conn = Conn { stream, max_head, early: Vec::new(), ended: false };
    let Some(place) = serving.clients.enter(from.map(|from| from.ip())) else {
        let told = from.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
        let why = "too many connections from this address (limits.http_max_conns_per_client)";
        serving.cell.count(Metric::HttpConnRefused);
        let now = serving.rt.now().mono;
        serving.clients.refused.tell_of("agent.http", now, told, why, serving.cell.log());
        // As Consul: a bare 429 before any request is read.
        let text = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\n\
            Connection: close\r\n\r\n\
            Your IP is issuing too many concurrent connections, please rate limit your calls\n";
        let _ = conn.send(&serving.rt, text.to_vec(), Bytes::new()).await;
        let _ = conn.stream.shutdown().await;
        return;
    };
    loop {
        match poll_fn(|cx| conn.poll_next(cx)).await {
            Next::Ended => return,
            Next::Other => {
                let Conn { stream, early, .. } = conn;
                return Box::pin(general::connection(serving, stream, early, from, place)).await;
            }
            Next::Request(request) => {
                let close = request.close;
                let Some(mut answer) = conn.answer(&serving, request, from).await else { return };
                let _room = general::room_for(&place, &mut answer);
                let close = close || answer.close;
                let room = if answer.body.len() <= COPIED { answer.body.len() } else { 0 };
                let mut head = {
                    let mut date = serving.date.lock().unwrap_or_else(PoisonError::into_inner);
                    reply::head(&answer, close, date.at(serving.rt.now().wall), room)
                };
                let mut body = answer.body;
                if body.len() <= COPIED {
                    head.extend_from_slice(&body);
                    body = Bytes::new();
                }
                if conn.send(&serving.rt, head, body).await.is_err() || close {
                    return;
                }
            }
        }
    }
}

/// A connection between its requests.
struct Conn<S: Stream> {
    stream: S,
    /// Bytes of request line and headers.
    max_head: usize,
    /// Read, and not yet looked at.
    early: Vec<u8>,
    /// The client has sent all it will.
    ended: bool,
}

/// What comes next on a connection.
enum Next {
    Request(Plain),
    /// `early` is not plain.
    Other,
    /// Nothing.
    Ended,
}

impl<S: Stream> Conn<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if !self.early.is_empty() {
            let Some((request, taken)) = plain::parse(&self.early, self.max_head) else {
                return Poll::Ready(Next::Other);
            };
            self.early = self.early.split_off(taken);
            return Poll::Ready(Next::Request(request));
        }
        if self.ended {
            return Poll::Ready(Next::Ended);
        }
        let mut space = [const { MaybeUninit::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        let bytes = buffer.filled();
        if read.is_err() || bytes.is_empty() {
            return Poll::Ready(Next::Ended);
        }
        let parsed = plain::parse(bytes, self.max_head);
        let taken = parsed.as_ref().map_or(0, |(_, taken)| *taken);
        self.early.extend_from_slice(&bytes[taken..]);
        Poll::Ready(parsed.map_or(Next::Other, |(request, _)| Next::Request(request)))
    }

    /// The answer to a request; `None` if its client left.
    async fn answer<R: Rt>(
        &mut self,
        serving: &Serving<R>,
        request: Plain,
        from: Option<SocketAddr>,
    ) -> Option<HttpReply> {
        let Plain { method, target, headers, body, gzip, .. } = request;
        let log = serving.cell.log();
        let since = log.shows(Level::Debug).then(|| serving.rt.now().mono);
        // A client that leaves gives up what waits for a change, and nothing else.
        let may_wait = target.contains("index=") || target.contains("hash=");
        let kept = target.clone();
        let request = HttpRequest { method: method.to_owned(), target, headers, body, remote: from };
        let mut reply = match serving.cell.ask(request) {
            Asked::Now(reply) => reply,
            Asked::Later(mut parked) => {
                let reply = poll_fn(|cx| self.poll_reply(cx, &mut parked, may_wait)).await?;
                reply.unwrap_or_else(general::shutting_down)
            }
            // No plain request asks for what has no end.
            Asked::Lines(_) => return None,
        };
        let access = access::Access { method, target: &kept, from };
        access.answered(log, &reply, || since.map(|since| serving.rt.now().mono.since(since)));
        reply::wrap(&mut reply, serving.settings.response_headers, gzip, |reply| {
            reply::pack(reply, &mut serving.packed.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Some(reply)
    }

    /// The reply, which is `None` when the process ends; or `None` if the client has left.
    fn poll_reply<R: Rt>(
        &mut self,
        cx: &mut Context<'_>,
        parked: &mut Parked<R>,
        may_wait: bool,
    ) -> Poll<Option<Option<HttpReply>>> {
        if let Poll::Ready(reply) = parked.poll_reply(cx) {
            return Poll::Ready(Some(reply));
        }
        if self.ended || !self.early.is_empty() {
            return Poll::Pending;
        }
        let mut space = [const { MaybeUninit::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        self.early.extend_from_slice(buffer.filled());
        self.ended = read.is_err() || self.early.is_empty();
        if self.ended && may_wait { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Sends it all, or gives up a client that takes nothing for too long.
    async fn send<R: Rt>(&mut self, rt: &R, head: Vec<u8>, body: Bytes) -> io::Result<()> {
        let mut sent = 0;
        // Nearly every answer leaves at once, and needs no timer.
        let at_once = poll_fn(|cx| match self.poll_send(cx, &head, &body, &mut sent) {
            Poll::Pending => Poll::Ready(None),
            Poll::Ready(done) => Poll::Ready(Some(done)),
        });
        if let Some(done) = at_once.await {
            return done;
        }
        loop {
            let before = sent;
            let late = rt.sleep_until(rt.now().mono + STALLED);
            tokio::select! {
                biased;
                done = poll_fn(|cx| self.poll_send(cx, &head, &body, &mut sent)) => return done,
                () = late => if sent == before { return Err(io::ErrorKind::TimedOut.into()) },
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
        sent: &mut usize,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut self.stream);
        loop {
            let parts = [head.get(*sent..), body.get(sent.saturating_sub(head.len())..)];
            let parts = parts.map(|part| part.unwrap_or(&[]));
            *sent += match parts {
                [[], []] => return stream.poll_flush(cx),
                [part, []] | [[], part] => ready!(stream.as_mut().poll_write(cx, part))?,
                parts => ready!(stream.as_mut().poll_write_vectored(cx, &parts.map(IoSlice::new)))?,
            };
        }
    }
}
