//! When a connection learns that its client has sent all it will, or takes nothing more.
//!
//! hyper takes the end of what a client sends for its leaving, and drops the request in hand. For a read
//! that waits for a change that is right: its place is free again. Any other request is answered first,
//! for `printf ... | nc -N` closes its half of the connection as soon as it has asked.

use super::Serving;
use super::conn::Stream;
use crate::rt::Rt;
use bytes::Bytes;
use lictor_core::time::{Duration, Instant};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client that takes nothing of an answer for so long is given up.
pub(super) const STALLED: Duration = Duration::from_secs(300);

/// The end is told at once.
const TOLD: u8 = 0;
/// A request is in hand: the end is kept back.
const KEPT: u8 = 1;
/// Until its answer has left.
const LEAVING: u8 = 2;

/// What the requests of a connection and its stream know of each other. Both run in one task.
#[derive(Default)]
pub(super) struct Ending {
    phase: AtomicU8,
    /// The stream has ended while it was kept back.
    seen: AtomicBool,
    /// When the first bytes of the next request came, in nanoseconds; 0: none did.
    began: AtomicU64,
    reader: Mutex<Option<Waker>>,
}

impl Ending {
    /// A request came.
    pub(super) fn keep(&self) {
        self.began.store(0, Ordering::Relaxed);
        self.phase.store(KEPT, Ordering::Relaxed);
    }

    /// What is in hand is dropped when its client goes.
    pub(super) fn tell(&self) {
        self.phase.store(TOLD, Ordering::Relaxed);
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.wake();
        }
    }

    /// The answer is made: what was kept back is told once it has left.
    pub(super) fn answered(&self) {
        let _ = self.phase.compare_exchange(KEPT, LEAVING, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Bytes came.
    fn begin(&self, now: impl FnOnce() -> Instant) {
        if self.began.load(Ordering::Relaxed) == 0 {
            self.began.store(now().0.max(1), Ordering::Relaxed);
        }
    }

    /// When a request began that has not come yet; `None` for a connection that is idle.
    pub(super) fn began(&self) -> Option<Instant> {
        Some(self.began.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Instant)
    }

    /// Nothing more will come, and nobody was told.
    pub(super) fn is_kept(&self) -> bool {
        self.seen.load(Ordering::Relaxed) && self.phase.load(Ordering::Relaxed) != TOLD
    }
}

/// A stream whose end is kept back.
pub(super) struct Patient<R: Rt, S> {
    pub(super) serving: Arc<Serving<R>>,
    pub(super) stream: S,
    /// Read before hyper came.
    pub(super) early: Bytes,
    pub(super) ending: Arc<Ending>,
    /// Runs while the client takes nothing.
    pub(super) stalled: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<R: Rt, S: Stream> Patient<R, S> {
    /// What became of a write, unless the client has taken nothing for too long.
    fn bounded(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let rt = &self.serving.rt;
        let late = self.stalled.get_or_insert_with(|| Box::pin(rt.sleep_until(rt.now().mono + STALLED)));
        late.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<R: Rt, S: Stream> AsyncRead for Patient<R, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.early.is_empty() {
            this.ending.begin(|| this.serving.rt.now().mono);
            let part = this.early.split_to(this.early.len().min(buf.remaining()));
            buf.put_slice(&part);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let ended = buf.filled().len() == before && buf.remaining() > 0;
        if ended && self.ending.phase.load(Ordering::Relaxed) != TOLD {
            self.ending.seen.store(true, Ordering::Relaxed);
            let mut reader = self.ending.reader.lock().unwrap_or_else(PoisonError::into_inner);
            *reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if !ended {
            self.ending.begin(|| self.serving.rt.now().mono);
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: Rt, S: Stream> AsyncWrite for Patient<R, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when all it has was written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.ending.phase.load(Ordering::Relaxed) == LEAVING {
            self.ending.tell();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
