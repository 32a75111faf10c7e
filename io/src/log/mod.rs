//! The log: Consul's line format or JSON, to standard output, to a file, and to those who watch it.

mod file;
mod line;
mod watch;

pub use file::LogFile;
pub use line::LogFormat;
pub use watch::Watcher;

use lictor_core::config::RuntimeConfig;
use lictor_core::event::{Event, Level};
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use watch::Watch;

/// Writes events at or above a level.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    /// The level of the log itself.
    own: AtomicU8,
    /// The lowest level that anybody wants: what is below it is not even put together.
    least: AtomicU8,
    watches: Mutex<Vec<Watch>>,
}

/// Where the log itself goes.
enum Sink {
    /// Standard output, and a file if one is configured.
    Lines(LogFormat, Option<Mutex<LogFile>>),
    /// Whoever runs the drivers takes the events.
    Events(Box<dyn Fn(&Event) + Send + Sync>),
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sink::Lines(format, file) => f.debug_tuple("Lines").field(format).field(file).finish(),
            Sink::Events(_) => f.write_str("Events"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// The log that the configuration asks for.
    ///
    /// # Errors
    /// The log file cannot be opened, in Consul's words.
    pub fn open(config: &RuntimeConfig) -> Result<Log, String> {
        let format = if config.log_json { LogFormat::Json } else { LogFormat::Text };
        let own = Level::parse(&config.log_level).unwrap_or(Level::Info) as u8;
        let file = match config.log_file.as_str() {
            "" => None,
            path => {
                let file = LogFile::open(
                    path,
                    config.log_rotate_bytes,
                    config.log_rotate_duration,
                    config.log_rotate_max_files,
                );
                Some(Mutex::new(file?))
            }
        };
        Ok(Log::new(Sink::Lines(format, file), own))
    }

    /// A log whose events all go to `take`, for simulations.
    pub fn of_events(take: impl Fn(&Event) + Send + Sync + 'static) -> Log {
        Log::new(Sink::Events(Box::new(take)), Level::Trace as u8)
    }

    fn new(sink: Sink, own: u8) -> Log {
        Log { sink, own: AtomicU8::new(own), least: AtomicU8::new(own), watches: Mutex::new(Vec::new()) }
    }

    /// A reload changed the level. A name that is none leaves it.
    pub fn set_level(&self, level: &str) {
        if let Some(level) = Level::parse(level) {
            self.own.store(level as u8, Ordering::Relaxed);
            self.settle(&lock(&self.watches));
        }
    }

    /// Whether anybody wants events of this level.
    pub fn shows(&self, level: Level) -> bool {
        level as u8 >= self.least.load(Ordering::Relaxed)
    }

    /// Writes one event, if its level is shown. A log that cannot be written is not worth dying for.
    pub fn write(&self, event: &Event) {
        if !self.shows(event.level) {
            return;
        }
        if event.level as u8 >= self.own.load(Ordering::Relaxed) {
            match &self.sink {
                Sink::Lines(format, file) => {
                    let at = SystemTime::now();
                    let text = line::line(event, *format, at);
                    let _ = std::io::stdout().lock().write_all(text.as_bytes());
                    if let Some(file) = file {
                        lock(file).write(text.as_bytes(), at);
                    }
                }
                Sink::Events(take) => take(event),
            }
        }
        for watch in lock(&self.watches).iter() {
            watch.offer(event, SystemTime::now());
        }
    }

    /// Everything at or above `level` from now on, whatever the log itself shows.
    pub fn watch(self: &Arc<Log>, level: Level, format: LogFormat) -> Watcher {
        let (watch, watcher) = watch::pair(self, level, format);
        let mut watches = lock(&self.watches);
        watches.push(watch);
        self.settle(&watches);
        watcher
    }

    fn unwatch(&self, number: u64) {
        let mut watches = lock(&self.watches);
        watches.retain(|watch| watch.number() != number);
        self.settle(&watches);
    }

    fn settle(&self, watches: &[Watch]) {
        let own = self.own.load(Ordering::Relaxed);
        let least = watches.iter().map(|watch| watch.level() as u8).min().unwrap_or(own);
        self.least.store(own.min(least), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Arc<Log> {
        Arc::new(
            Log::open(&RuntimeConfig { log_level: "ERR".into(), ..RuntimeConfig::default() }).expect("a log"),
        )
    }

    #[tokio::test]
    async fn a_watcher_sees_what_the_log_itself_does_not_show_and_ends_without_a_trace() {
        let log = log();
        assert!(!log.shows(Level::Warn));
        let mut watcher = log.watch(Level::Debug, LogFormat::Text);
        assert!(log.shows(Level::Debug) && !log.shows(Level::Trace));
        log.write(&Event::new(Level::Debug, "agent", "seen"));
        log.write(&Event::new(Level::Trace, "agent", "not seen"));
        let line = watcher.next().await.expect("a line");
        assert!(line.ends_with(b"[DEBUG] agent: seen\n"), "{line:?}");
        drop(watcher);
        assert!(!log.shows(Level::Warn));
    }

    #[tokio::test]
    async fn a_watcher_that_does_not_read_costs_a_bounded_queue() {
        let log = log();
        let mut watcher = log.watch(Level::Info, LogFormat::Json);
        for n in 0..watch::QUEUE + 100 {
            log.write(&Event::new(Level::Info, "agent", n.to_string()));
        }
        for _ in 0..watch::QUEUE {
            assert!(watcher.next().await.is_some());
        }
        assert_eq!(watcher.dropped(), 100);
    }

    #[test]
    fn a_reload_changes_the_level_and_an_unknown_one_does_not() {
        let log = log();
        log.set_level("debug");
        assert!(log.shows(Level::Debug));
        log.set_level("loud");
        assert!(log.shows(Level::Debug) && !log.shows(Level::Trace));
    }
}
