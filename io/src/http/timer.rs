//! hyper's timer over [`Rt`], for the header read timeout.

use crate::rt::Rt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Sleeps by the runtime's clock.
pub(super) struct RtTimer<R>(pub(super) R);

struct Sleep(Pin<Box<dyn Future<Output = ()> + Send>>);

// The future is only ever polled through `&mut`, never through a shared reference.
struct SyncSleep(std::sync::Mutex<Sleep>);

impl Future for SyncSleep {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let sleep = this.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        sleep.0.as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for SyncSleep {}

impl<R: Rt> hyper::rt::Timer for RtTimer<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let at = self.0.now().mono + duration;
        let sleep = Sleep(Box::pin(self.0.sleep_until(at)));
        Box::pin(SyncSleep(std::sync::Mutex::new(sleep)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}
