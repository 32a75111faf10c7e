//! A deadline that seldom changes.

use super::Rt;
use lictor_core::time::Instant;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Rings at its deadline.
///
/// It keeps its timer as long as the deadline stays: tokio wakes a thread once more for each timer that it
/// sets before it sleeps.
pub struct Alarm<R: Rt> {
    rt: R,
    at: Instant,
    /// None if it has rung, or never will.
    timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<R: Rt> Alarm<R> {
    /// One that does not ring.
    pub fn new(rt: R) -> Alarm<R> {
        Alarm { rt, at: Instant::FAR_FUTURE, timer: None }
    }

    /// Sets the deadline; [`Instant::FAR_FUTURE`]: never.
    pub fn set(&mut self, at: Instant) {
        let rings = at < Instant::FAR_FUTURE;
        if at != self.at || rings && self.timer.is_none() {
            self.at = at;
            self.timer = rings.then(|| Box::pin(self.rt.sleep_until(at)) as _);
        }
    }

    /// Ends at the deadline, once for each time that it was set.
    pub async fn rings(&mut self) {
        poll_fn(|cx| match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| self.timer = None),
            None => Poll::Pending,
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::TokioRt;
    use lictor_core::time::Duration;

    #[tokio::test]
    async fn it_rings_once_for_each_time_that_it_is_set_and_keeps_its_timer_meanwhile() {
        let mut alarm = Alarm::new(TokioRt);
        let soon = TokioRt.now().mono + Duration::from_millis(5);
        for _ in 0..2 {
            alarm.set(soon);
            alarm.rings().await;
            assert!(TokioRt.now().mono >= soon && alarm.timer.is_none());
        }
        alarm.set(soon + Duration::from_secs(3600));
        let timer =
            |alarm: &Alarm<TokioRt>| alarm.timer.as_ref().map(|t| std::ptr::from_ref(&**t).cast::<()>());
        let before = timer(&alarm);
        alarm.set(soon + Duration::from_secs(3600));
        assert!(before.is_some() && timer(&alarm) == before, "the same timer");
        alarm.set(Instant::FAR_FUTURE);
        assert!(alarm.timer.is_none());
    }
}
