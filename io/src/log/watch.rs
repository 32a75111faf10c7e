//! Those who watch the log: `/v1/agent/monitor`.

use super::Log;
use super::line::{LogFormat, line};
use bytes::Bytes;
use lictor_core::event::{Event, Level};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Lines that wait for a watcher; what comes on top is dropped and counted, as in Consul.
pub(super) const QUEUE: usize = 512;

/// The log's end of a watch.
#[derive(Debug)]
pub(super) struct Watch {
    number: u64,
    level: Level,
    format: LogFormat,
    lines: mpsc::Sender<Bytes>,
    dropped: Arc<AtomicU64>,
}

/// A stream of lines. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watcher {
    number: u64,
    log: Weak<Log>,
    lines: mpsc::Receiver<Bytes>,
    dropped: Arc<AtomicU64>,
}

pub(super) fn pair(log: &Arc<Log>, level: Level, format: LogFormat) -> (Watch, Watcher) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (tx, rx) = mpsc::channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let watch = Watch { number, level, format, lines: tx, dropped: dropped.clone() };
    (watch, Watcher { number, log: Arc::downgrade(log), lines: rx, dropped })
}

impl Watch {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn offer(&self, event: &Event, at: SystemTime) {
        if event.level >= self.level && self.lines.try_send(line(event, self.format, at).into()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Watcher {
    /// The next line, with its newline; `None` once the log is gone.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.lines.recv().await
    }

    /// [`Watcher::next`], for streams.
    pub fn poll_next(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> {
        self.lines.poll_recv(cx)
    }

    /// Lines that found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let Some(log) = self.log.upgrade() else { return };
        log.unwatch(self.number);
        if self.dropped() > 0 {
            let event = Event::new(Level::Warn, "agent", "Dropped logs during monitor request");
            log.write(&event.with_number("dropped_count", self.dropped()));
        }
    }
}
