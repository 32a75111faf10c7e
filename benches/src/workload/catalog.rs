//! The catalog that is asked, and how it gets into a server.

use crate::load::http::{Load, once, request};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// 36 bytes, as Consul's own benchmarks write.
pub const VALUE: &str = "The quick brown fox jumps over a dog";

/// How many instances the services `web-<n>` have.
pub const SIZES: [usize; 4] = [1, 10, 100, 1000];

/// One key, and the services `web-1` to `web-1000`, each instance on a node of its own with one check.
///
/// # Errors
/// The server refuses something.
pub fn populate(http: SocketAddr) -> io::Result<()> {
    let answer = once(http, "PUT", "/v1/kv/bench/key", VALUE.as_bytes())?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("PUT key: {}", answer.status)));
    }
    for size in SIZES {
        register(http, &format!("web-{size}"), size)?;
    }
    Ok(())
}

/// Registers `count` instances of a service.
///
/// # Errors
/// The server refuses one.
pub fn register(http: SocketAddr, service: &str, count: usize) -> io::Result<()> {
    let requests = (0..count)
        .map(|i| request("PUT", "/v1/catalog/register", instance(service, i, "passing").as_bytes()))
        .collect();
    all(http, requests)
}

/// Writes `count` keys, 64 in a transaction.
///
/// # Errors
/// The server refuses one.
pub fn keys(http: SocketAddr, count: usize) -> io::Result<()> {
    let value = "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIGEgZG9n";
    let numbers: Vec<usize> = (0..count).collect();
    let transactions = numbers
        .chunks(64)
        .map(|chunk| {
            let operations: Vec<String> = chunk
                .iter()
                .map(|i| format!(r#"{{"KV":{{"Verb":"set","Key":"config/app-{i:06}","Value":"{value}"}}}}"#))
                .collect();
            request("PUT", "/v1/txn", format!("[{}]", operations.join(",")).as_bytes())
        })
        .collect();
    all(http, transactions)
}

/// Instance number `i` of a service, as `/v1/catalog/register` takes it.
pub fn instance(service: &str, i: usize, status: &str) -> String {
    let node = format!("node-{service}-{i:04}");
    let (high, low) = (i / 250, i % 250 + 1);
    format!(
        r#"{{"Node":"{node}","Address":"10.0.{high}.{low}","Service":{{"ID":"{service}-{i}","Service":"{service}",
            "Tags":["v1","primary"],"Port":8080,"Meta":{{"version":"1.4.2"}}}},
            "Check":{{"Node":"{node}","CheckID":"service:{service}-{i}","Name":"http on 8080","Status":"{status}",
            "ServiceID":"{service}-{i}","Output":"HTTP GET http://10.0.{high}.{low}:8080/health: 200 OK Output: ok"}}}}"#
    )
}

/// Sends every request once, eight at a time.
fn all(http: SocketAddr, requests: Vec<Vec<u8>>) -> io::Result<()> {
    let total = requests.len() as u64;
    let mut load = Load::connect(http, requests.len().clamp(1, 8))?;
    let run = load.each(requests)?;
    if run.done != total {
        return Err(io::Error::other(format!("{} of {total} writes were refused", run.failed)));
    }
    Ok(())
}

/// Unrelated writes at an even pace until dropped.
pub struct Churn {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Churn {
    /// A hundred times a second the one instance of the service `churn` changes its check's output.
    pub fn start(http: SocketAddr) -> io::Result<Churn> {
        let mut load = Load::connect(http, 1)?;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                count += 1;
                let body = instance("churn", 0, "passing").replace("Output: ok", &format!("Output: {count}"));
                let one = vec![request("PUT", "/v1/catalog/register", body.as_bytes())];
                if load.each(one).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Ok(Churn { stop, thread: Some(thread) })
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
