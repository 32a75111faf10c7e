//! `/v1/agent/metrics/stream`: what was measured, whenever an interval has ended.

use super::{Asked, FrontCell};
use crate::rt::Rt;
use bytes::Bytes;
use lictor_core::front::HttpRequest;
use lictor_core::metrics::INTERVAL_SECONDS;
use lictor_core::time::{Instant, Now};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const INTERVAL: Duration = Duration::from_secs(INTERVAL_SECONDS);

/// The summaries from now on. A client that is slow to read them misses some.
pub(super) fn follow<R: Rt>(cell: &Arc<FrontCell<R>>) -> mpsc::Receiver<Bytes> {
    let (parts, summaries) = mpsc::channel(1);
    cell.rt.spawn(send(cell.clone(), parts));
    summaries
}

/// Until the client goes or the process ends.
async fn send<R: Rt>(cell: Arc<FrontCell<R>>, parts: mpsc::Sender<Bytes>) {
    loop {
        let end = end_of_interval(cell.rt.now());
        tokio::select! {
            biased;
            () = parts.closed() => return,
            () = cell.rt.sleep_until(end) => {}
        }
        let Some(summary) = summary(&cell).await else { return };
        if parts.send(summary).await.is_err() {
            return;
        }
    }
}

/// When the next interval of the wall clock begins.
fn end_of_interval(now: Now) -> Instant {
    let into = u64::try_from(now.wall.0).unwrap_or(0) % (INTERVAL.as_nanos() as u64);
    now.mono + (INTERVAL - Duration::from_nanos(into))
}

/// What any client would be told. `None`: the process is ending.
async fn summary<R: Rt>(cell: &Arc<FrontCell<R>>) -> Option<Bytes> {
    let request = HttpRequest {
        method: "GET".into(),
        target: "/v1/agent/metrics?pretty".into(),
        headers: Vec::new(),
        body: Bytes::new(),
        remote: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
    };
    let reply = match cell.ask(request) {
        Asked::Now(reply) => Some(reply),
        Asked::Later(mut parked) => poll_fn(|cx| parked.poll_reply(cx)).await,
        Asked::Lines(_) => None,
    };
    reply.filter(|reply| reply.status == 200).map(|reply| reply.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lictor_core::time::WallTime;

    #[test]
    fn an_interval_ends_with_every_ten_seconds_of_the_wall_clock() {
        let at = |wall: u64| {
            let now = Now { mono: Instant(7), wall: WallTime(wall as i64 * 1_000_000) };
            end_of_interval(now).since(now.mono).as_millis()
        };
        assert_eq!([at(0), at(1), at(9_999), at(20_000)], [10_000, 9_999, 1, 10_000]);
    }
}
