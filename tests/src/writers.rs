//! Clients that write keys which nobody else writes, each key once, and know what was acknowledged and when.

use crate::http::request_at;
use crate::node::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a writer waits for an answer before it tries the next key on a new connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between writes of one writer.
const PAUSE: Duration = Duration::from_millis(5);

/// Writers at work.
#[derive(Debug)]
pub struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Written>>,
}

/// What one writer knows.
#[derive(Debug)]
pub struct Written {
    /// Through whom it wrote.
    pub through: String,
    /// The key of every write that was acknowledged.
    pub acknowledged: BTreeSet<String>,
    /// When it began, and when each of them was acknowledged.
    pub moments: Vec<Instant>,
    /// Writes that were not, with the answers to them.
    pub failed: Vec<(Instant, String)>,
}

impl Writers {
    /// One writer through each node. `prefix` must be new.
    pub fn start<'a>(prefix: &str, nodes: impl Iterator<Item = &'a Node>) -> Writers {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = nodes.map(|node| {
            let prefix = format!("{prefix}/{}", node.name);
            let (stop, name, api) = (stop.clone(), node.name.clone(), node.api);
            std::thread::spawn(move || write(&stop, name, api, &prefix))
        });
        Writers { threads: threads.collect(), stop }
    }

    /// Ends them.
    pub fn finish(self) -> Vec<Written> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("a writer ends")).collect()
    }
}

fn write(stop: &AtomicBool, through: String, api: SocketAddr, prefix: &str) -> Written {
    let mut written =
        Written { through, acknowledged: BTreeSet::new(), moments: vec![Instant::now()], failed: Vec::new() };
    for n in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{prefix}/{n}");
        let answer = request_at(api, "PUT", &format!("/v1/kv/{key}"), b"once", PATIENCE);
        match answer {
            Ok(answer) if answer.status == 200 => {
                written.acknowledged.insert(key);
                written.moments.push(Instant::now());
            }
            Ok(answer) => {
                written.failed.push((Instant::now(), format!("{} {}", answer.status, answer.text().trim())));
            }
            Err(why) => written.failed.push((Instant::now(), why.to_string())),
        }
        std::thread::sleep(PAUSE);
    }
    written.moments.push(Instant::now());
    written
}

impl Written {
    /// The longest time without an acknowledged write that ended after `since`, and when it began.
    pub fn longest_gap(&self, since: Instant) -> Duration {
        let pairs = self.moments.windows(2).filter(|pair| pair[1] > since);
        pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// The distinct answers to writes that were not acknowledged, with their number.
    pub fn refusals(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (_, answer) in &self.failed {
            *counts.entry(answer.as_str()).or_default() += 1;
        }
        counts
    }
}

/// Fails unless every one of `nodes` has every acknowledged write, and prints what was written.
///
/// # Panics
/// A write is not there.
pub fn assert_kept<'a>(all: &[Written], prefix: &str, nodes: impl IntoIterator<Item = &'a Node>) {
    for Written { through, acknowledged, .. } in all {
        println!("through {through}: {} writes acknowledged", acknowledged.len());
    }
    for (answer, count) in all.iter().flat_map(Written::refusals) {
        println!("{count} writes answered: {answer}");
    }
    for node in nodes {
        let lost = lost_at(all, prefix, node);
        assert!(lost.is_empty(), "acknowledged and not there for {}: {lost:?}", node.name);
    }
}

/// The keys of acknowledged writes that a node does not have.
pub fn lost_at<'a>(all: &'a [Written], prefix: &str, node: &Node) -> Vec<&'a str> {
    let answer = node.ask("GET", &format!("/v1/kv/{prefix}/?keys&consistent"), "");
    let held = answer.expect("an answer").json();
    let held: BTreeSet<&str> = held.as_array().into_iter().flatten().filter_map(|key| key.as_str()).collect();
    let acknowledged = all.iter().flat_map(|written| &written.acknowledged);
    acknowledged.map(String::as_str).filter(|key| !held.contains(key)).collect()
}
