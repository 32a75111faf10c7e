//! A cluster at everyday work for minutes: memory and file descriptors of every process stay as they are.
//!
//!     LICTOR_SOAK_SECONDS=1800 cargo test --release -p lictor-tests --test soak -- --nocapture
//!
//! CI has two minutes. Without the variable nothing runs.

use lictor_tests::backend::Backend;
use lictor_tests::http::request_at;
use lictor_tests::node::{ANSWER, Cluster, Node};
use lictor_tests::{dns, process};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Services of each agent, and keys: few, so that what is held does not grow.
const SERVICES: u64 = 20;
const KEYS: u64 = 200;
/// From a third of the time to the end, memory may grow by a sixth and 4 MiB, and file descriptors by sixteen. The
/// work itself moves both by less: a leak of a kilobyte per request would be a hundred MiB.
const MEMORY_SLACK: (f64, u64) = (7.0 / 6.0, 4 << 20);
const FILES_SLACK: u64 = 16;

/// What the clients of a run share.
#[derive(Default)]
struct Work {
    stop: AtomicBool,
    done: AtomicU64,
    refused: AtomicU64,
}

impl Work {
    fn ask(&self, api: SocketAddr, method: &str, target: &str, body: &str) -> Option<u64> {
        match request_at(api, method, target, body.as_bytes(), ANSWER) {
            Ok(answer) if answer.status == 200 => {
                self.done.fetch_add(1, Ordering::Relaxed);
                Some(answer.index())
            }
            _ => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                // Whoever it was is being restarted, for the most part.
                sleep(Duration::from_millis(100));
                None
            }
        }
    }

    /// Calls `step` with 0, 1, ... and a pause in between, until the run ends.
    fn repeat(
        self: &Arc<Self>,
        pause: Duration,
        step: impl Fn(&Work, u64) + Send + 'static,
    ) -> JoinHandle<()> {
        let work = self.clone();
        std::thread::spawn(move || {
            for n in 0.. {
                if work.stop.load(Ordering::Relaxed) {
                    return;
                }
                step(&work, n);
                sleep(pause);
            }
        })
    }
}

/// Registers, fails, mends and removes services at one agent.
fn services(work: &Arc<Work>, agent: &Node, backend: &Backend) -> JoinHandle<()> {
    let (api, name, port) = (agent.api, agent.name.clone(), backend.port);
    work.repeat(Duration::from_millis(20), move |work, n| {
        let id = format!("{name}-{}", n / 5 % SERVICES);
        match n % 5 {
            0 => {
                let service = json!({
                    "ID": id, "Name": format!("s{}", n / 5 % SERVICES), "Port": n % 60_000, "Tags": [n.to_string()],
                    "Checks": [
                        {"CheckID": format!("ttl-{id}"), "TTL": "1h", "Status": "passing"},
                        {"CheckID": format!("http-{id}"), "HTTP": format!("http://127.0.0.1:{port}/"), "Interval": "2s"},
                    ],
                });
                work.ask(api, "PUT", "/v1/agent/service/register", &service.to_string());
            }
            1 => drop(work.ask(api, "PUT", &format!("/v1/agent/check/fail/ttl-{id}?note=soak"), "")),
            2 => drop(work.ask(api, "PUT", &format!("/v1/agent/check/pass/ttl-{id}"), "")),
            3 => drop(work.ask(api, "GET", &format!("/v1/health/service/s{}?passing", n % SERVICES), "")),
            _ if n % 3 == 0 => drop(work.ask(api, "PUT", &format!("/v1/agent/service/deregister/{id}"), "")),
            _ => {}
        }
    })
}

fn keys(work: &Arc<Work>, node: &Node) -> JoinHandle<()> {
    let (api, name) = (node.api, node.name.clone());
    work.repeat(Duration::from_millis(20), move |work, n| {
        let value = format!("{n}").repeat(1 + n as usize % 100);
        work.ask(api, "PUT", &format!("/v1/kv/soak/{name}/{}", n % KEYS), &value);
    })
}

/// Blocking reads, each from where the one before ended.
fn watches(work: &Arc<Work>, node: &Node, what: &'static str) -> JoinHandle<()> {
    let (api, index) = (node.api, AtomicU64::new(0));
    work.repeat(Duration::from_millis(50), move |work, _| {
        let from = index.load(Ordering::Relaxed);
        let found = work.ask(api, "GET", &format!("{what}?wait=5s&index={from}"), "");
        index.store(found.unwrap_or(0), Ordering::Relaxed);
    })
}

fn names(work: &Arc<Work>, node: &Node) -> JoinHandle<()> {
    let at = SocketAddr::new(node.ip, 8600);
    work.repeat(Duration::from_millis(20), move |work, n| {
        if dns::ask_at(at, &format!("s{}.service.consul", n % SERVICES), dns::SRV).is_ok() {
            work.done.fetch_add(1, Ordering::Relaxed);
        }
    })
}

/// Memory and file descriptors of one process over time.
struct Samples {
    name: String,
    memory: Vec<u64>,
    files: Vec<u64>,
}

impl Samples {
    /// At a third, and at the end: the middle of a twelfth of all samples before it.
    fn compare(all: &[u64]) -> (u64, u64) {
        let middle = |until: usize| {
            let mut some = all[until - (all.len() / 12).max(1)..until].to_vec();
            some.sort_unstable();
            some[some.len() / 2]
        };
        (middle((all.len() / 3).max(1)), middle(all.len()))
    }
}

#[test]
fn memory_and_files_stay_flat_at_everyday_work() {
    let Some(seconds) = std::env::var("LICTOR_SOAK_SECONDS").ok().and_then(|text| text.parse::<u64>().ok())
    else {
        return eprintln!("SKIPPED: LICTOR_SOAK_SECONDS says for how long; CI has 120, a run by hand 1800");
    };
    let mut cluster = Cluster::prepare("soak", 3);
    for server in &mut cluster.servers {
        // So that the log in memory is as long as it gets before the first third is over.
        server.more["raft_snapshot_threshold"] = json!(1024);
        server.more["raft_trailing_logs"] = json!(512);
    }
    cluster.launch();
    cluster.wait_until_whole();
    let (work, backend) = (Arc::new(Work::default()), Backend::start());
    let mut clients = Vec::new();
    for agent in &cluster.agents {
        clients.push(services(&work, agent, &backend));
        clients.push(names(&work, agent));
    }
    for node in cluster.all() {
        clients.push(keys(&work, node));
        clients.push(watches(&work, node, "/v1/health/service/s1"));
        clients.push(watches(&work, node, "/v1/catalog/services"));
        clients.push(watches(&work, node, "/v1/kv/soak/?keys&separator=/"));
    }

    // The last agent is restarted now and then; it shows that the others let its connections go.
    let (end, mut next_restart) = (Instant::now() + Duration::from_secs(seconds), seconds / 8);
    let begin = Instant::now();
    let count = cluster.all().count();
    let mut all: Vec<Samples> = cluster
        .all()
        .take(count - 1)
        .map(|node| Samples { name: node.name.clone(), memory: Vec::new(), files: Vec::new() })
        .collect();
    let mut restarts = 0;
    while Instant::now() < end {
        sleep(Duration::from_secs(1));
        for (samples, node) in all.iter_mut().zip(cluster.all()) {
            let pid = node.pid();
            let (Some(memory), Some(files)) = (process::memory(pid), process::open_files(pid)) else {
                return eprintln!("SKIPPED: this system does not tell what a process holds");
            };
            samples.memory.push(memory);
            samples.files.push(files as u64);
        }
        if begin.elapsed().as_secs() >= next_restart {
            next_restart += (seconds / 8).max(10);
            restarts += 1;
            let agent = cluster.agents.last_mut().expect("an agent");
            agent.kill();
            agent.launch();
            backend.set_well(restarts % 2 == 0);
        }
    }
    work.stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("a client ends"));
    let (done, refused) = (work.done.load(Ordering::Relaxed), work.refused.load(Ordering::Relaxed));
    println!("{seconds} s, {done} requests, {refused} refused, {restarts} restarts of an agent");
    println!("{:<14} {:>12} {:>12} {:>7} {:>7}", "process", "KiB at 1/3", "at the end", "files", "at end");
    let mut grown = Vec::new();
    for Samples { name, memory, files } in &all {
        let ((memory, memory_end), (files, files_end)) = (Samples::compare(memory), Samples::compare(files));
        println!("{name:<14} {:>12} {:>12} {files:>7} {files_end:>7}", memory >> 10, memory_end >> 10);
        let bound = (memory as f64 * MEMORY_SLACK.0) as u64 + MEMORY_SLACK.1;
        if memory_end > bound || files_end > files + FILES_SLACK {
            grown.push(name);
        }
    }
    assert!(grown.is_empty(), "these have grown: {grown:?}");
    assert!(done > 10 * seconds && refused < done / 10, "{done} requests and {refused} refused");

    // What agents have is what the catalog has.
    cluster.wait_until_whole();
    for agent in &cluster.agents {
        let (mut own, mut theirs) = (BTreeSet::new(), BTreeSet::new());
        cluster.wait("the catalog has what an agent has", || {
            let names = |value: serde_json::Value| -> BTreeSet<String> {
                value.as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
            };
            own = names(agent.shows("/v1/agent/services"));
            theirs = names(
                cluster.servers[0].shows(&format!("/v1/catalog/node/{}", agent.name))["Services"].take(),
            );
            own == theirs && !own.is_empty()
        });
    }
}
