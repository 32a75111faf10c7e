//! Closed loops: the same question again and again, to every subject in turns.

use super::catalog::{Churn, VALUE};
use crate::load::{Run, dns, http};
use crate::report::{Spread, number, time};
use crate::subject::{Kind, Subject};
use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

/// A question.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// `GET` of this path.
    Get(&'static str),
    /// `PUT` of a small value under one of ten thousand keys.
    Put,
    /// A service with a TTL check, a new one each time, at the agent.
    Register,
    /// DNS over UDP; with EDNS when there is a size.
    Dns(&'static str, u16, Option<u16>),
}

/// One workload.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// As `--only` takes it.
    pub name: &'static str,
    /// What is asked.
    pub ask: Ask,
    /// Connections at once; DNS has its own window.
    pub clients: usize,
    /// With a hundred unrelated writes a second meanwhile (not to the floor).
    pub churn: bool,
}

const fn get(name: &'static str, path: &'static str, churn: bool) -> Closed {
    Closed { name, ask: Ask::Get(path), clients: 64, churn }
}

const fn ask_dns(name: &'static str, of: &'static str, kind: u16, size: Option<u16>) -> Closed {
    Closed { name, ask: Ask::Dns(of, kind, size), clients: 64, churn: false }
}

/// All of them.
pub const ALL: &[Closed] = &[
    get("kv-get", "/v1/kv/bench/key", false),
    get("kv-get-stale", "/v1/kv/bench/key?stale", false),
    get("kv-get-consistent", "/v1/kv/bench/key?consistent", false),
    get("health-10", "/v1/health/service/web-10?passing", false),
    get("health-100", "/v1/health/service/web-100?passing", false),
    get("health-1000", "/v1/health/service/web-1000?passing", false),
    get("health-10-churn", "/v1/health/service/web-10?passing", true),
    get("health-100-churn", "/v1/health/service/web-100?passing", true),
    get("health-1000-churn", "/v1/health/service/web-1000?passing", true),
    ask_dns("dns-a-1", "web-1.service.consul", dns::A, None),
    ask_dns("dns-a-10", "web-10.service.consul", dns::A, None),
    ask_dns("dns-a-1000", "web-1000.service.consul", dns::A, None),
    ask_dns("dns-srv-10", "web-10.service.consul", dns::SRV, Some(1232)),
    Closed { name: "kv-put", ask: Ask::Put, clients: 64, churn: false },
    Closed { name: "register", ask: Ask::Register, clients: 16, churn: false },
];

/// What one subject did.
#[derive(Debug, Default)]
pub struct Measured {
    /// CPU microseconds per answer, one value a round.
    pub cost: Vec<f64>,
    /// Answers per second, one value a round.
    pub rate: Vec<f64>,
    /// Bytes to disk per answer, one value a round.
    pub disk: Vec<f64>,
    /// All rounds.
    pub all: Run,
}

impl Closed {
    /// Drives all subjects in turns. What they did, in their order.
    ///
    /// # Errors
    /// A subject breaks off, or answers differently than it should.
    pub fn run(&self, subjects: &[Subject], rounds: usize, slice: Duration) -> io::Result<Vec<Measured>> {
        self.teach_floor(subjects)?;
        let count = Cell::new(0);
        let registered = RefCell::new(Vec::new());
        let mut loads = Vec::new();
        for subject in subjects {
            loads.push(self.connect(subject)?);
        }
        let mut measured: Vec<Measured> = subjects.iter().map(|_| Measured::default()).collect();
        for round in 0..=rounds {
            for ((subject, load), measured) in subjects.iter().zip(&mut loads).zip(&mut measured) {
                let churn = match self.churn && subject.kind != Kind::Floor {
                    true => Some(Churn::start(subject.http)?),
                    false => None,
                };
                let (cpu, disk) = (subject.cpu()?, subject.written().unwrap_or(0));
                // The first round warms caches and branch predictors and is not counted.
                let time = if round == 0 { slice / 4 } else { slice };
                let run = match load {
                    Load::Http(load) => load.run(time, |i| self.request(i, &count, &registered))?,
                    Load::Dns(load) => load.run(time)?,
                };
                let cpu = subject.cpu()?.saturating_sub(cpu);
                let disk = subject.written().unwrap_or(0).saturating_sub(disk);
                drop(churn);
                if run.failed > run.done / 1000 {
                    return Err(io::Error::other(format!(
                        "{} from {}: {} of {} answers were wrong, the first one {}",
                        self.name,
                        subject.kind.name(),
                        run.failed,
                        run.done + run.failed,
                        run.wrong.as_deref().unwrap_or("none at all")
                    )));
                }
                if let Load::Http(load) = load {
                    self.clean_up(subject, load, std::mem::take(&mut *registered.borrow_mut()))?;
                }
                if round > 0 {
                    let done = run.done.max(1) as f64;
                    measured.cost.push(cpu.as_nanos() as f64 / 1e3 / done);
                    measured.rate.push(run.done as f64 / run.elapsed.as_secs_f64());
                    measured.disk.push(disk as f64 / done);
                    measured.all.merge(run);
                }
            }
        }
        Ok(measured)
    }

    /// Gives the floor the bytes that the agent answers with.
    fn teach_floor(&self, subjects: &[Subject]) -> io::Result<()> {
        let Some(floor) = subjects.iter().find(|s| s.kind == Kind::Floor) else { return Ok(()) };
        let Some(model) = subjects.iter().find(|s| s.kind == Kind::Lictor) else { return Ok(()) };
        match self.ask {
            Ask::Dns(name, kind, size) => {
                let answer = dns::once(model.dns, &dns::question(name, kind, size))?;
                http::once(floor.http, "PUT", "/set/dns", &answer)?;
            }
            Ask::Get(path) => teach(floor, &http::once(model.http, "GET", path, b"")?)?,
            Ask::Put => teach(floor, &http::once(model.http, "PUT", "/v1/kv/bench/0", b"x")?)?,
            Ask::Register => {
                let body = registration("first");
                let path = "/v1/agent/service/register";
                teach(floor, &http::once(model.http, "PUT", path, body.as_bytes())?)?;
            }
        }
        Ok(())
    }

    fn connect(&self, subject: &Subject) -> io::Result<Load> {
        Ok(match self.ask {
            Ask::Dns(name, kind, size) => {
                Load::Dns(dns::Load::connect(subject.dns, dns::question(name, kind, size))?)
            }
            _ => Load::Http(http::Load::connect(subject.http, self.clients)?),
        })
    }

    /// Takes back what a turn registered: an agent holds 100,000 services, and a turn should find what the
    /// one before it found.
    fn clean_up(&self, subject: &Subject, load: &mut http::Load, ids: Vec<String>) -> io::Result<()> {
        if subject.kind == Kind::Floor {
            return Ok(());
        }
        let path = |id: &String| format!("/v1/agent/service/deregister/job-{id}");
        let run = load.each(ids.iter().map(|id| http::request("PUT", &path(id), b"")).collect())?;
        match run.wrong {
            None => Ok(()),
            Some(wrong) => Err(io::Error::other(format!("{} is not taken back: {wrong}", self.name))),
        }
    }

    /// The next request; the ID of what it registers goes to `registered`.
    fn request(&self, connection: usize, count: &Cell<u64>, registered: &RefCell<Vec<String>>) -> Vec<u8> {
        count.set(count.get() + 1);
        let n = count.get();
        match self.ask {
            Ask::Get(path) => http::request("GET", path, b""),
            Ask::Put => http::request("PUT", &format!("/v1/kv/bench/{}", n % 10_000), VALUE.as_bytes()),
            Ask::Register => {
                let id = format!("{connection}-{n}");
                let body = registration(&id);
                registered.borrow_mut().push(id);
                http::request("PUT", "/v1/agent/service/register", body.as_bytes())
            }
            // DNS has its own load.
            Ask::Dns(..) => Vec::new(),
        }
    }
}

/// Gives the floor an HTTP answer to send.
pub(super) fn teach(floor: &Subject, answer: &http::Answer) -> io::Result<()> {
    let mut raw = answer.head.clone();
    raw.extend_from_slice(&answer.body);
    http::once(floor.http, "PUT", "/set/http", &raw)?;
    Ok(())
}

fn registration(id: &str) -> String {
    format!(r#"{{"ID":"job-{id}","Name":"job","Port":8080,"Tags":["v1"],"Check":{{"TTL":"10m"}}}}"#)
}

enum Load {
    Http(http::Load),
    Dns(dns::Load),
}

/// The head of the table of closed loops.
pub const HEAD: [&str; 7] = ["work", "server", "CPU-us each", "of floor", "per second", "p50", "p99"];

/// Rows of the table.
pub fn rows(name: &str, subjects: &[Subject], measured: &mut [Measured]) -> Vec<Vec<String>> {
    let at = subjects.iter().position(|s| s.kind == Kind::Floor);
    let floor: Vec<f64> = at.map(|at| measured[at].cost.clone()).unwrap_or_default();
    let mut rows = Vec::new();
    for (subject, measured) in subjects.iter().zip(measured) {
        let ratio = Spread::of(measured.cost.iter().zip(&floor).map(|(ours, floor)| ours / floor));
        rows.push(vec![
            name.to_owned(),
            subject.kind.name().to_owned(),
            Spread::of(measured.cost.iter().copied()).text(),
            if subject.kind == Kind::Floor { "1".to_owned() } else { ratio.text() },
            number(Spread::of(measured.rate.iter().copied()).median),
            time(measured.all.quantile(0.5)),
            time(measured.all.quantile(0.99)),
        ]);
    }
    rows
}
