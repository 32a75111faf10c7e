//! Lictor beside bare servers and Consul. `--help` says how.

use lictor_benches::built;
use lictor_benches::floor::{self, disk::flushes};
use lictor_benches::report::{Spread, number, table, time};
use lictor_benches::subject::{Kind, Subject};
use lictor_benches::workload::{closed, fan_out, populate, scale, scheduling};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Usage: side-by-side [--quick] [--only NAME[,NAME...]] [--rounds N] [--seconds S]

Measures the release build of lictor beside bare servers that send the same bytes, in turns, and beside a
Consul where CONSUL_BIN names its binary. Prints Markdown.

  --quick     short turns, few of them, and only what ends soon: shows that the harness works (under 30 s)
  --only      these workloads only
  --rounds    turns that each server gets (default 7)
  --seconds   length of a turn (default 1)

LICTOR_BIN measures another build than this tree's, for a before and after.
Data lies in target/side-by-side, or where SIDE_BY_SIDE_DIR says: it must be a real disk.";

struct Options {
    quick: bool,
    only: Vec<String>,
    rounds: usize,
    slice: Duration,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("floor") => floor::run(),
        Some("--help" | "-h") => {
            println!("{HELP}\n\nWorkloads: {}", names().join(", "));
            Ok(())
        }
        _ => parse(&arguments).and_then(|options| measure(&options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("side-by-side: {why}");
            ExitCode::FAILURE
        }
    }
}

fn names() -> Vec<&'static str> {
    closed::ALL.iter().map(|w| w.name).chain(["flush", "fan-out", "size", "scheduling", "idle"]).collect()
}

fn parse(arguments: &[String]) -> io::Result<Options> {
    let mut options = Options { quick: false, only: vec![], rounds: 7, slice: Duration::from_secs(1) };
    let mut rest = arguments.iter();
    let bad = |what: &str| io::Error::other(format!("{what}; see --help"));
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| bad(&format!("{argument} wants a value")));
        match argument.as_str() {
            "--quick" => {
                options.quick = true;
                options.rounds = 1;
                options.slice = Duration::from_millis(250);
            }
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--rounds" => options.rounds = value()?.parse().map_err(|_| bad("--rounds wants a number"))?,
            "--seconds" => {
                let seconds: f64 = value()?.parse().map_err(|_| bad("--seconds wants a number"))?;
                options.slice = Duration::from_secs_f64(seconds);
            }
            other => return Err(bad(&format!("unknown argument {other}"))),
        }
    }
    if let Some(unknown) = options.only.iter().find(|only| !names().contains(&only.as_str())) {
        return Err(bad(&format!("unknown workload {unknown}")));
    }
    Ok(options)
}

fn measure(options: &Options) -> io::Result<()> {
    let base = match std::env::var_os("SIDE_BY_SIDE_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")).join("side-by-side"),
    };
    std::fs::create_dir_all(&base)?;
    let mut agents = vec![(Kind::Lictor, built::lictor()?)];
    if let Some(consul) = std::env::var_os("CONSUL_BIN") {
        agents.push((Kind::Consul, consul.into()));
    }
    println!("load average at the start: {}", load_average());
    if options.wants("flush") {
        flush(&base, options)?;
    }
    let wanted: Vec<_> = closed::ALL.iter().filter(|w| options.wants(w.name)).collect();
    if !wanted.is_empty() || options.wants("fan-out") {
        let mut subjects = Vec::new();
        for (kind, binary) in &agents {
            let subject = Subject::agent(*kind, binary, &base)?;
            populate(subject.http)?;
            subjects.push(subject);
        }
        subjects.push(Subject::floor()?);
        if options.wants("fan-out") {
            let waiters = if options.quick { 500 } else { 8_000 };
            println!("\n{}", table(&fan_out::HEAD, &fan_out::run(&subjects, waiters)?));
        }
        closed_loops(&subjects, &wanted, options)?;
    }
    let mut rows = Vec::new();
    if options.wants("scheduling") {
        rows.append(&mut scheduling::run(if options.quick { 1 } else { 10 })?);
    }
    for (kind, binary) in &agents {
        // Both take their time: in quick mode only by name.
        if options.wants("size") && !(options.quick && options.only.is_empty()) {
            rows.append(&mut scale::size(*kind, binary, &base)?);
        }
        if options.wants("idle") && !(options.quick && options.only.is_empty()) {
            rows.append(&mut scale::idle(*kind, binary, &base, Duration::from_secs(60))?);
        }
    }
    if !rows.is_empty() {
        println!("\n{}", table(&scale::HEAD, &rows));
    }
    println!("load average at the end: {}", load_average());
    Ok(())
}

fn closed_loops(subjects: &[Subject], wanted: &[&closed::Closed], options: &Options) -> io::Result<()> {
    let mut rows = Vec::new();
    let mut disk = Vec::new();
    for workload in wanted {
        eprintln!("{} ...", workload.name);
        let mut measured = workload.run(subjects, options.rounds, options.slice)?;
        rows.append(&mut closed::rows(workload.name, subjects, &mut measured));
        if matches!(workload.ask, closed::Ask::Put | closed::Ask::Register) {
            for (subject, measured) in subjects.iter().zip(&measured) {
                if subject.kind != Kind::Floor {
                    let bytes = Spread::of(measured.disk.iter().copied()).text();
                    disk.push(vec![workload.name.to_owned(), subject.kind.name().to_owned(), bytes]);
                }
            }
        }
    }
    if !rows.is_empty() {
        println!("\n{}", table(&closed::HEAD, &rows));
    }
    if !disk.is_empty() {
        println!("{}", table(&["work", "server", "bytes to disk each"], &disk));
    }
    let mut memory = Vec::new();
    for subject in subjects {
        let (now, most) = subject.memory()?;
        let mb = |bytes: u64| format!("{} MB", number(bytes as f64 / 1e6));
        memory.push(vec![subject.kind.name().to_owned(), mb(now), mb(most)]);
    }
    println!("{}", table(&["server", "RSS after these runs", "most"], &memory));
    Ok(())
}

fn flush(base: &Path, options: &Options) -> io::Result<()> {
    let mut rows = Vec::new();
    for (what, growing) in [("4 KiB over zeroes", false), ("4 KiB into a growing file", true)] {
        let took = flushes(base, options.slice, growing)?;
        let at = |part: f64| took.get((took.len() as f64 * part) as usize).copied().unwrap_or_default();
        if at(0.5) < Duration::from_micros(30) {
            println!(
                "flushes take {}: this is no disk, the rows of durable writes say nothing",
                time(at(0.5))
            );
        }
        rows.push(vec![what.to_owned(), time(at(0.5)), time(at(0.99))]);
    }
    println!("\n{}", table(&["flush", "p50", "p99"], &rows));
    Ok(())
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .unwrap_or_default()
        .split(' ')
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}
