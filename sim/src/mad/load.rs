//! Clients that write, read and watch until they are told to stop, and judge every answer.

use super::client::{Answer, Client, Lost};
use super::ledger::{Ledger, Value};
use super::server::Server;
use super::trace::Trace;
use super::world::World;
use lictor_core::rng::Rng;
use madsim::runtime::NodeHandle;
use madsim::task::JoinHandle;
use madsim::time::Instant;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The key that all watchers watch.
const WATCHED: &str = "watched";
/// How long a client waits for an answer that should come at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Writers and watchers at work.
pub struct Load {
    machine: NodeHandle,
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Writer>>,
    watchers: Vec<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    /// Which process of the server is the newest.
    life: AtomicU64,
    /// Writes that were acknowledged.
    written: AtomicU64,
    /// Blocking queries that were answered because of a change.
    woken: AtomicU64,
    /// When a write was acknowledged last, and the longest time without one since it was asked for.
    pace: Mutex<(Instant, Duration)>,
    /// Parameters of reads whose answer must be the last thing that their client knows.
    modes: &'static [&'static str],
    /// How much longer a parked query may take than it asked for.
    slack: Duration,
    trace: Trace,
}

struct Writer {
    client: Client,
    ledger: Ledger,
    rng: Rng,
    prefix: String,
    next: u64,
}

impl Load {
    /// Starts `writers` writers, each with keys of its own, and `watchers` watchers of one more key
    /// that the first writer writes.
    pub fn start(world: &mut World, server: &Server, writers: u64, watchers: u64) -> Load {
        let shared = Shared {
            life: AtomicU64::new(server.lives()),
            modes: &["", "&consistent", "&stale"],
            slack: Duration::from_secs(5),
            ..Shared::new(&world.trace)
        };
        Load::begin(world, &[server.address(0), server.address(1)], shared, writers, watchers)
    }

    /// The same with the agents of one cluster at `addresses`: each client asks one of them, for ever.
    pub fn on_cluster(world: &mut World, addresses: &[SocketAddr], writers: u64, watchers: u64) -> Load {
        let shared = Shared::new(&world.trace);
        Load::begin(world, addresses, shared, writers, watchers)
    }

    fn begin(
        world: &mut World,
        addresses: &[SocketAddr],
        shared: Shared,
        writers: u64,
        watchers: u64,
    ) -> Load {
        let (machine, _) = world.machine("clients");
        let shared = Arc::new(shared);
        let mut load = Load { machine, shared: shared.clone(), writers: Vec::new(), watchers: Vec::new() };
        let address = |i: u64| addresses[i as usize % addresses.len()];
        for i in 0..writers {
            let writer = Writer {
                client: Client::new(format!("writer{i}"), address(i), &world.trace),
                ledger: Ledger::default(),
                rng: world.rng.fork(&format!("writer{i}")),
                prefix: format!("w{i}"),
                next: 0,
            };
            load.writers.push(load.machine.spawn(writer.work(shared.clone(), i == 0)));
        }
        for i in 0..watchers {
            let watcher = watch(format!("watcher{i}"), address(i + 1), shared.clone());
            load.watchers.push(load.machine.spawn(watcher));
        }
        load
    }

    /// A new process of the server is about to start: nothing that its predecessors had not done yet
    /// will ever be done.
    pub fn server_starts(&self, server: &Server) {
        self.shared.life.store(server.lives() + 1, Ordering::Relaxed);
    }

    /// Nothing that has not been done by now will ever be done: all is well, and has been for longer than any
    /// request lives.
    pub fn nothing_is_under_way(&self) {
        self.shared.life.fetch_add(1, Ordering::Relaxed);
    }

    /// The longest time without an acknowledged write since this was asked last.
    pub fn longest_gap(&self) -> Duration {
        let mut pace = self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = pace.1.max(pace.0.elapsed());
        *pace = (Instant::now(), Duration::ZERO);
        gap
    }

    /// Writes acknowledged, and queries woken, so far.
    pub fn done(&self) -> (u64, u64) {
        (self.shared.written.load(Ordering::Relaxed), self.shared.woken.load(Ordering::Relaxed))
    }

    /// Ends the load against a healthy server. Every key must hold what its writer last knew of it, a
    /// last write must reach every watcher, and every parked query must end.
    ///
    /// # Panics
    /// It does not hold, or the server does not answer.
    pub async fn finish(self, server: &Server) {
        self.finish_at(server.address(0)).await;
    }

    /// The same, with the last write at `address`.
    ///
    /// # Panics
    /// As [`Load::finish`].
    pub async fn finish_at(self, address: SocketAddr) {
        let Load { machine, shared, writers, watchers } = self;
        shared.stop.store(true, Ordering::Relaxed);
        let mut finished = Vec::new();
        for writer in writers {
            finished.push(writer.await.expect("a writer ends"));
        }
        let last = machine.spawn(async move {
            for mut writer in finished {
                for key in writer.ledger.keys() {
                    assert!(writer.read(&shared, &key).await, "a healthy server answers");
                }
            }
            let mut client = Client::new("last", address, &shared.trace);
            let answer = client.ask("PUT", &format!("/v1/kv/{WATCHED}"), "last", PATIENCE).await;
            assert_eq!(answer.map(|a| a.status), Ok(200), "a healthy server takes a write");
        });
        last.await.expect("the check runs");
        for watcher in watchers {
            let end = madsim::time::timeout(Duration::from_secs(60), watcher).await;
            end.expect("the last write reaches every watcher").expect("a watcher ends");
        }
    }
}

impl Shared {
    fn new(trace: &Trace) -> Shared {
        Shared {
            stop: AtomicBool::new(false),
            life: AtomicU64::new(0),
            written: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            pace: Mutex::new((Instant::now(), Duration::ZERO)),
            modes: &["", "&consistent"],
            slack: Duration::from_secs(30),
            trace: trace.clone(),
        }
    }

    fn acknowledged(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        *pace = (Instant::now(), pace.1.max(pace.0.elapsed()));
    }
}

impl Writer {
    async fn work(mut self, shared: Arc<Shared>, also_watched: bool) -> Writer {
        let mut round = 0_u64;
        while !shared.stop.load(Ordering::Relaxed) {
            let key = format!("{}/{}", self.prefix, self.rng.below(4));
            match self.rng.below(10) {
                0..5 => self.write(&shared, &key).await,
                5 => self.delete(&shared, &key).await,
                _ => {
                    self.read(&shared, &key).await;
                }
            }
            round += 1;
            if also_watched && round.is_multiple_of(4) {
                let target = format!("/v1/kv/{WATCHED}");
                let _ = self.client.ask("PUT", &target, round.to_string(), PATIENCE).await;
            }
            let pause = self.rng.duration(Duration::from_millis(1), Duration::from_millis(60));
            madsim::time::sleep(pause).await;
        }
        self
    }

    /// Now and then without the patience to hear the answer.
    fn patience(&mut self) -> Duration {
        match self.rng.below(12) {
            0 => self.rng.duration(Duration::from_millis(1), Duration::from_millis(40)),
            _ => PATIENCE,
        }
    }

    async fn write(&mut self, shared: &Shared, key: &str) {
        self.next += 1;
        let value = format!("{}-{}", self.prefix, self.next);
        let patience = self.patience();
        // A large value makes a commit of many pages.
        let padding = if self.rng.ratio(1, 8) { 20_000 } else { 0 };
        let body = format!("{value}{:padding$}", "");
        let answer = self.client.ask("PUT", &format!("/v1/kv/{key}"), body, patience).await;
        self.judge_write(shared, key, Some(value), answer);
    }

    async fn delete(&mut self, shared: &Shared, key: &str) {
        let patience = self.patience();
        let answer = self.client.ask("DELETE", &format!("/v1/kv/{key}"), "", patience).await;
        self.judge_write(shared, key, None, answer);
    }

    fn judge_write(&mut self, shared: &Shared, key: &str, value: Value, answer: Result<Answer, Lost>) {
        let life = shared.life.load(Ordering::Relaxed);
        match answer {
            Ok(Answer { status: 200, body, .. }) => {
                assert_eq!(body.trim_ascii(), b"true", "an unconditional write of {key}");
                shared.acknowledged();
                self.ledger.written(key, value);
            }
            // Refused or failed: whether it happened is not told apart here.
            Ok(Answer { status: 429 | 500 | 503, .. }) | Err(Lost::Unknown) => {
                self.ledger.unknown(life, key, value);
            }
            Err(Lost::Unsent) => {}
            Ok(other) => panic!("a write of {key} was answered {other:?}"),
        }
    }

    /// Whether it was answered.
    async fn read(&mut self, shared: &Shared, key: &str) -> bool {
        let mode = shared.modes[self.rng.below(shared.modes.len() as u64) as usize];
        let target = format!("/v1/kv/{key}?raw{mode}");
        // What has not happened by the time this life began will not happen.
        let life = shared.life.load(Ordering::Relaxed);
        let value = match self.client.ask("GET", &target, "", PATIENCE).await {
            Ok(Answer { status: 200, index, body }) => {
                let text = String::from_utf8_lossy(&body);
                (Some(text.trim_end().to_owned()), index)
            }
            Ok(Answer { status: 404, index, .. }) => (None, index),
            Ok(Answer { status: 500 | 503, .. }) | Err(_) => return false,
            Ok(other) => panic!("a read of {key} was answered {other:?}"),
        };
        if let Err(why) = self.ledger.read(life, key, &value.0, value.1) {
            panic!("{why}");
        }
        true
    }
}

/// Watches until the value is `last`. Parked queries must end in time, and their index never goes back.
async fn watch(name: String, server: SocketAddr, shared: Arc<Shared>) {
    let mut client = Client::new(name, server, &shared.trace);
    let (mut index, wait) = (0, Duration::from_secs(10));
    loop {
        let target = format!("/v1/kv/{WATCHED}?raw&index={index}&wait=10s");
        // Consul adds up to a sixteenth to `wait`.
        let patience = wait + wait / 16 + shared.slack;
        let begin = madsim::time::Instant::now();
        match client.ask("GET", &target, "", patience).await {
            Ok(Answer { status: 200, body, .. }) if &body[..] == b"last" => return,
            Ok(Answer { status: 200 | 404, index: Some(found), .. }) => {
                assert!(found >= index, "the watched index went back from {index} to {found}");
                if found > index {
                    shared.woken.fetch_add(1, Ordering::Relaxed);
                }
                index = found;
            }
            Ok(Answer { status: 500 | 503, .. }) => madsim::time::sleep(Duration::from_millis(50)).await,
            Ok(other) => panic!("a blocking query was answered {other:?}"),
            Err(_) => {
                assert!(begin.elapsed() < patience, "a parked query never ended");
                madsim::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
