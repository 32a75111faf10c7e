//! hyper's timer over [`Rt`], for the header read timeout of one connection.
//!
//! hyper sets the timeout anew for every request. A timer of the runtime for each would cost more than
//! reading the request, so a connection keeps one for all: it runs to an old deadline, and only when that
//! has come does it look whether the newest one has too. It runs for requests that have begun: a connection that
//! is idle may stay so, as with Consul.

use super::ending::Ending;
use super::general::HEADER_TIMEOUT;
use crate::rt::Rt;
use lictor_core::time::Instant as Deadline;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The timer of one connection. Deadlines must not go back.
pub(super) struct RtTimer<R>(Arc<Shared<R>>);

struct Shared<R> {
    rt: R,
    ending: Arc<Ending>,
    /// Sleeps to the deadline of the newest sleep, or to an older one.
    running: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
}

impl<R: Rt> RtTimer<R> {
    pub(super) fn new(rt: R, ending: Arc<Ending>) -> RtTimer<R> {
        RtTimer(Arc::new(Shared { rt, ending, running: Mutex::new(None) }))
    }
}

struct Sleep<R> {
    deadline: Deadline,
    shared: Arc<Shared<R>>,
}

impl<R: Rt> Future for Sleep<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Sleep { deadline, shared } = &mut *self;
        let Shared { rt, ending, running } = &**shared;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let sleep = running.get_or_insert_with(|| Box::pin(rt.sleep_until(*deadline)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            *running = None;
            let now = rt.now().mono;
            *deadline = (ending.began().unwrap_or(now) + HEADER_TIMEOUT).max(*deadline);
            if now >= *deadline {
                return Poll::Ready(());
            }
        }
    }
}

impl<R: Rt> hyper::rt::Sleep for Sleep<R> {}

impl<R: Rt> hyper::rt::Timer for RtTimer<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let deadline = self.0.rt.now().mono + duration;
        Box::pin(Sleep { deadline, shared: self.0.clone() })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}
