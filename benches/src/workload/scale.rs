//! Size and time at rest: memory, restart, idle CPU.

use super::catalog::{keys, register};
use crate::load::http::once;
use crate::report::{number, time};
use crate::subject::{Kind, Subject};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// The head of the table.
pub const HEAD: [&str; 3] = ["what", "server", "value"];

const KEYS: usize = 100_000;
const INSTANCES: usize = 5_000;

/// Memory at rest, for each key and instance, and a restart with all of them after `kill -9`.
///
/// # Errors
/// The server does not start or refuses a write.
pub fn size(kind: Kind, binary: &Path, base: &Path) -> io::Result<Vec<Vec<String>>> {
    let mut subject = Subject::agent(kind, binary, base)?;
    let rest = || std::thread::sleep(Duration::from_secs(2));
    rest();
    let (empty, _) = subject.memory()?;
    keys(subject.http, KEYS)?;
    rest();
    let (with_keys, _) = subject.memory()?;
    for service in 0..INSTANCES / 50 {
        register(subject.http, &format!("svc-{service}"), 50)?;
    }
    rest();
    let (full, peak) = subject.memory()?;
    let mut restarts = Vec::new();
    for _ in 0..3 {
        subject.kill();
        restarts.push(subject.start()?);
    }
    restarts.sort_unstable();
    let answer = once(subject.http, "GET", "/v1/kv/config/app-099999?consistent", b"")?;
    if answer.status != 200 {
        return Err(io::Error::other("a key was lost in the restart"));
    }
    let (restarted, restart_peak) = subject.memory()?;
    let row = |what: &str, value: String| vec![what.to_owned(), kind.name().to_owned(), value];
    let mb = |bytes: u64| format!("{} MB", number(bytes as f64 / 1e6));
    let each = |bytes: u64, n: usize| format!("{} B", number(bytes as f64 / n as f64));
    Ok(vec![
        row("RSS at rest", mb(empty)),
        row("RSS per key (36-byte value)", each(with_keys.saturating_sub(empty), KEYS)),
        row("RSS per instance with a node and a check", each(full.saturating_sub(with_keys), INSTANCES)),
        row("RSS with 100,000 keys and 5,000 instances", mb(full)),
        row("most ever until then", mb(peak)),
        row("RSS after a restart with them", mb(restarted)),
        row("most ever in the restart", mb(restart_peak)),
        row(
            "kill -9 and restart to the first consistent read",
            format!("{} ({}-{})", time(restarts[1]), time(restarts[0]), time(restarts[2])),
        ),
    ])
}

/// CPU of an agent with 42 services, each with an HTTP check every ten seconds.
///
/// # Errors
/// The server does not start or refuses a registration.
pub fn idle(kind: Kind, binary: &Path, base: &Path, time: Duration) -> io::Result<Vec<Vec<String>>> {
    let subject = Subject::agent(kind, binary, base)?;
    let backend = TcpListener::bind("127.0.0.1:0")?;
    let port = backend.local_addr()?.port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in backend.incoming() {
            let Ok(mut stream) = stream else { return };
            // Checks come one after the other; each closes its connection or leaves it idle.
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            });
        }
    });
    for i in 0..42 {
        let body = format!(
            r#"{{"ID":"svc-{i}","Name":"svc-{i}","Port":{port},
                "Check":{{"HTTP":"http://127.0.0.1:{port}/health","Interval":"10s"}}}}"#
        );
        let answer = once(subject.http, "PUT", "/v1/agent/service/register", body.as_bytes())?;
        if answer.status != 200 {
            return Err(io::Error::other(format!("a registration was refused: {}", answer.status)));
        }
    }
    std::thread::sleep(Duration::from_secs(11));
    let (cpu, start) = (subject.cpu()?, Instant::now());
    std::thread::sleep(time);
    let used = subject.cpu()?.saturating_sub(cpu);
    let a_minute = used.as_secs_f64() * 1e3 * 60.0 / start.elapsed().as_secs_f64();
    let what = "CPU-ms a minute, 42 services with an HTTP check every 10 s";
    Ok(vec![vec![what.to_owned(), kind.name().to_owned(), number(a_minute)]])
}
