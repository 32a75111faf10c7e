//! `kill -9` at random moments during concurrent writes: whatever was acknowledged is there afterwards,
//! and no index goes back.
//!
//! `LICTOR_KILLS=100 cargo test -p lictor-tests --test kill` runs as many rounds as are wanted;
//! `LICTOR_SEED` repeats the moments of a run.

use lictor_tests::{Connection, Server, request};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WRITERS: usize = 4;
/// Keys and services of each writer, written again and again.
const NAMES: u64 = 12;

/// What is known of one name: the value that was acknowledged, and the one whose fate is unknown.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: Option<String>,
    unknown: Option<Option<String>>,
}

impl Known {
    fn allows(&self, found: Option<&str>) -> bool {
        found == self.acknowledged.as_deref() || self.unknown.as_ref().is_some_and(|u| u.as_deref() == found)
    }
}

/// One writer, alone with its names over all rounds.
#[derive(Debug, Default)]
struct Writer {
    id: usize,
    count: u64,
    known: BTreeMap<String, Known>,
    acknowledged: u64,
}

impl Writer {
    /// Writes until the server dies; the write under way then is unknown.
    fn run(&mut self, port: u16, seen: &AtomicU64) {
        let Ok(mut connection) = Connection::open(port) else { return };
        while self.step(&mut connection, seen).is_ok() {}
    }

    fn step(&mut self, connection: &mut Connection, seen: &AtomicU64) -> io::Result<()> {
        self.count += 1;
        let (n, name) = (self.count, self.count / 6 % NAMES);
        let value = n.to_string();
        let kv = |kind: &str| format!("kv/{kind}-{}-{name}", self.id);
        let quoted = format!("\"{value}\"");
        match n % 6 {
            0 | 3 => {
                let key = kv("put");
                self.write(
                    connection,
                    std::slice::from_ref(&key),
                    Some(&value),
                    "PUT",
                    &format!("/v1/{key}"),
                    &quoted,
                )?;
            }
            1 => {
                // Read, then write only if nothing came between: nothing can.
                let key = kv("cas");
                let read = connection.ask("GET", &format!("/v1/{key}"), b"")?;
                seen.fetch_max(read.index(), Ordering::Relaxed);
                let at = read.json()[0]["ModifyIndex"].as_u64().unwrap_or(0);
                let target = format!("/v1/{key}?cas={at}");
                self.write(connection, &[key], Some(&value), "PUT", &target, &quoted)?;
            }
            2 => {
                let keys = [kv("txn-a"), kv("txn-b")];
                // The value in quotes, in base64.
                let set = |key: &str| {
                    let value = base64(quoted.as_bytes());
                    format!(r#"{{"KV": {{"Verb": "set", "Key": "{}", "Value": "{value}"}}}}"#, &key[3..])
                };
                let body = format!("[{}, {}]", set(&keys[0]), set(&keys[1]));
                self.write(connection, &keys, Some(&value), "PUT", "/v1/txn", &body)?;
            }
            4 => {
                let service = format!("service/s-{}-{name}", self.id);
                let body = format!(
                    r#"{{"Name": "{}", "Meta": {{"n": "{value}"}}, "Check": {{"TTL": "1h"}}}}"#,
                    &service[8..]
                );
                self.write(connection, &[service], Some(&value), "PUT", "/v1/agent/service/register", &body)?;
            }
            _ => {
                let key = kv("put");
                self.write(
                    connection,
                    std::slice::from_ref(&key),
                    None,
                    "DELETE",
                    &format!("/v1/{key}"),
                    "",
                )?;
            }
        }
        Ok(())
    }

    /// One write that sets all of `names` to `value`, or deletes them.
    fn write(
        &mut self,
        connection: &mut Connection,
        names: &[String],
        value: Option<&str>,
        method: &str,
        target: &str,
        body: &str,
    ) -> io::Result<()> {
        let value = value.map(str::to_owned);
        for name in names {
            self.known.entry(name.clone()).or_default().unknown = Some(value.clone());
        }
        let answer = connection.ask(method, target, body.as_bytes())?;
        assert!(answer.status == 200 && answer.text().trim() != "false", "{target}: {}", answer.text());
        for name in names {
            self.known.insert(name.clone(), Known { acknowledged: value.clone(), unknown: None });
        }
        self.acknowledged += 1;
        Ok(())
    }

    /// Compares with what the server has now, which settles what was unknown.
    fn check(&mut self, found: &BTreeMap<String, String>, round: usize) {
        for (name, known) in &mut self.known {
            let now = found.get(name);
            assert!(
                known.allows(now.map(String::as_str)),
                "round {round}: {name} is {now:?}, but known is {known:?}"
            );
            *known = Known { acknowledged: now.cloned(), unknown: None };
        }
        for name in 0..NAMES {
            let of = |kind: &str| found.get(&format!("kv/{kind}-{}-{name}", self.id));
            assert_eq!(of("txn-a"), of("txn-b"), "round {round}: half of a transaction");
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let letter = LETTERS[(n >> (18 - 6 * i) & 63) as usize] as char;
            out.push(if i <= chunk.len() { letter } else { '=' });
        }
    }
    out
}

fn unbase64(text: &str) -> Vec<u8> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let n = chunk.iter().fold(0u32, |n, b| n << 6 | u32::from(digit(*b))) << (6 * (4 - chunk.len()));
        out.extend_from_slice(&n.to_be_bytes()[1..chunk.len()]);
    }
    out
}

/// Everything that is there, by name, with the highest index in any answer.
fn everything(server: &Server) -> (BTreeMap<String, String>, u64) {
    let mut found = BTreeMap::new();
    let keys = server.get("/v1/kv/?recurse");
    for entry in keys.json().as_array().into_iter().flatten() {
        let value = String::from_utf8(unbase64(entry["Value"].as_str().unwrap_or(""))).expect("our own");
        found.insert(format!("kv/{}", entry["Key"].as_str().expect("a key")), value.trim_matches('"').into());
    }
    let services = server.get("/v1/agent/services").json();
    for (id, service) in services.as_object().into_iter().flatten() {
        let number = service["Meta"]["n"].as_str().unwrap_or("").to_owned();
        found.insert(format!("service/{id}"), number);
    }
    let index = keys.index().max(server.get("/v1/catalog/services").index());
    (found, index)
}

/// xorshift: the moments need to be repeatable, not good.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_acknowledged_is_lost_and_no_index_goes_back_over_random_kills() {
    let rounds = setting("LICTOR_KILLS").unwrap_or(20) as usize;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |t| t.as_nanos() as u64);
    let seed = setting("LICTOR_SEED").unwrap_or(now) | 1;
    println!("{rounds} kills, LICTOR_SEED={seed}");
    let mut moments = Moments(seed);
    // Small enough that many kills hit a snapshot or the compaction behind it.
    let extra = r#"{"raft_snapshot_threshold": 200, "raft_trailing_logs": 100}"#;
    let mut server = Server::start("kill", extra);
    let mut writers: Vec<Writer> = (0..WRITERS).map(|id| Writer { id, ..Writer::default() }).collect();
    let seen = AtomicU64::new(0);
    let restarts = Mutex::new(Vec::new());
    for round in 0..rounds {
        let wait = Duration::from_millis(5 + moments.next(250));
        std::thread::scope(|scope| {
            for writer in &mut writers {
                let (port, seen) = (server.http, &seen);
                scope.spawn(move || writer.run(port, seen));
            }
            std::thread::sleep(wait);
            server.kill();
        });
        let started = Instant::now();
        server.launch();
        first_read(&server);
        restarts.lock().expect("one thread").push(started.elapsed());
        server.wait_for_leader();
        let (found, index) = everything(&server);
        for writer in &mut writers {
            writer.check(&found, round);
        }
        let before = seen.fetch_max(index, Ordering::Relaxed);
        assert!(index >= before, "round {round}: the index went back from {before} to {index}");
    }
    let acknowledged: u64 = writers.iter().map(|w| w.acknowledged).sum();
    assert!(acknowledged > 0, "nothing was ever written");
    let mut times = restarts.into_inner().expect("one thread");
    times.sort();
    println!(
        "{rounds} kills, {acknowledged} acknowledged writes, none lost; restart to first read: median {:?}, \
         slowest {:?}; index {}",
        times[times.len() / 2],
        times[times.len() - 1],
        seen.load(Ordering::Relaxed)
    );
    catalog_follows(&server);
}

/// The first read that is answered by a server that leads.
fn first_read(server: &Server) {
    let end = Instant::now() + lictor_tests::server::PATIENCE;
    while Instant::now() < end {
        if request(server.http, "GET", "/v1/kv/?keys", b"").is_ok_and(|r| matches!(r.status, 200 | 404)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no read is answered");
}

/// What the agent holds is what the catalog says of it, in the end.
fn catalog_follows(server: &Server) {
    let same = lictor_tests::wait(|| {
        let local = server.get("/v1/agent/services").json();
        let catalog = server.get("/v1/catalog/node/n1").json();
        let numbers = |services: &Value| -> BTreeMap<String, String> {
            let services = services.as_object().into_iter().flatten();
            let services = services.filter(|(id, _)| *id != "consul");
            services.map(|(id, s)| (id.clone(), s["Meta"]["n"].as_str().unwrap_or("").to_owned())).collect()
        };
        numbers(&local) == numbers(&catalog["Services"])
    });
    assert!(same, "the catalog does not follow the agent");
}
