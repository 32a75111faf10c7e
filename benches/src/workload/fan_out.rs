//! Many blocking queries of one service, woken by one change.

use super::catalog::instance;
use super::closed::teach;
use crate::load::http::{Load, once, request};
use crate::report::{Spread, number, time};
use crate::subject::{Kind, Subject};
use std::io;
use std::time::{Duration, Instant};

/// The head of the table.
pub const HEAD: [&str; 7] =
    ["waiters", "server", "last woken", "CPU-us each", "RSS parked", "RSS again", "wrong wakes"];

/// How often all are parked and woken. Memory is shown after the first two.
const TURNS: u8 = 5;

/// Parks `waiters` queries, writes something unrelated, then makes the one change.
///
/// # Errors
/// The server breaks off.
pub fn run(subjects: &[Subject], waiters: usize) -> io::Result<Vec<Vec<String>>> {
    if let (Some(floor), Some(model)) =
        (subjects.iter().find(|s| s.kind == Kind::Floor), subjects.iter().find(|s| s.kind == Kind::Lictor))
    {
        teach(floor, &once(model.http, "GET", "/v1/health/service/web-10", b"")?)?;
    }
    subjects.iter().map(|subject| one(subject, waiters)).collect()
}

fn one(subject: &Subject, waiters: usize) -> io::Result<Vec<String>> {
    let (before, _) = subject.memory()?;
    let mut load = Load::connect(subject.parking, waiters)?;
    let (mut took, mut cost) = (Vec::new(), Vec::new());
    let mut wrong = 0;
    let mut parked = Vec::new();
    for turn in 0..TURNS {
        load.ask_all(&question(subject)?)?;
        settle(subject)?;
        parked.push(subject.memory()?.0.saturating_sub(before) as f64 / waiters as f64);
        if subject.kind != Kind::Floor {
            once(subject.http, "PUT", "/v1/kv/bench/unrelated", &[b'0' + turn])?;
            let body = instance("churn", 0, "passing").replace("Output: ok", &format!("Output: {turn}"));
            once(subject.http, "PUT", "/v1/catalog/register", body.as_bytes())?;
        }
        wrong += load.early_answers(Duration::from_millis(300))?;
        let cpu = subject.cpu()?;
        let start = Instant::now();
        let change = instance("web-10", 3, "passing").replace("Output: ok", &format!("Output: {turn}"));
        let waker = std::thread::spawn({
            let address = subject.parking;
            move || once(address, "PUT", "/v1/catalog/register", change.as_bytes())
        });
        let run = load.answers()?;
        took.push(start.elapsed().as_secs_f64());
        let _ = waker.join();
        settle(subject)?;
        cost.push(subject.cpu()?.saturating_sub(cpu).as_nanos() as f64 / 1e3 / run.done.max(1) as f64);
    }
    Ok(vec![
        waiters.to_string(),
        subject.kind.name().to_owned(),
        time(Duration::from_secs_f64(Spread::of(took).median)),
        Spread::of(cost).text(),
        format!("{} KB", number(parked[0] / 1024.0)),
        format!("{} KB", number(parked[1] / 1024.0)),
        wrong.to_string(),
    ])
}

fn question(subject: &Subject) -> io::Result<Vec<u8>> {
    let mut path = "/v1/health/service/web-10".to_owned();
    if subject.kind != Kind::Floor {
        let answer = once(subject.http, "GET", &path, b"")?;
        path = format!("{path}?wait=9m&index={}", answer.header("x-consul-index").unwrap_or("1"));
    }
    Ok(request("GET", &path, b""))
}

/// Waits until the server has nothing to do.
fn settle(subject: &Subject) -> io::Result<()> {
    for _ in 0..100 {
        let before = subject.cpu()?;
        std::thread::sleep(Duration::from_millis(150));
        if subject.cpu()?.saturating_sub(before) <= Duration::from_millis(10) {
            break;
        }
    }
    Ok(())
}
