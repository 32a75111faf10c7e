//! Running a scenario, and comparing with its recording.

use super::normal::Normal;
use super::script::{Action, After, Script, Step};
use super::subject::Subject;
use super::{dns_text, home, upstream};
use crate::http::{Response, raw_request};
use crate::wait;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One step and what it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The step's line; a second one of the same wording has ` (2)` behind it.
    pub step: String,
    /// What came out, made comparable.
    pub answer: String,
}

/// Headers that say nothing about the subject.
const DULL: [&str; 5] = ["date", "content-length", "connection", "transfer-encoding", "server"];

/// Stands in a configuration for the address of [`upstream`].
const UPSTREAM: &str = "${upstream}";

/// Less than the waits of those who are to be woken: 10 s and more.
const WOKEN_WITHIN: Duration = Duration::from_secs(9);

/// Runs a scenario from its start to its end.
pub fn run(script: &Script) -> Vec<Outcome> {
    let starts = |s: &Step| matches!(s.action, Action::Http { .. } | Action::Dns { .. });
    let subject = match script.steps.iter().any(starts) {
        true => Subject::start(&match script.config.contains(UPSTREAM) {
            true => script.config.replace(UPSTREAM, &upstream::start().to_string()),
            false => script.config.clone(),
        }),
        false => Subject::idle(),
    };
    let dir = subject.scratch.path().join("files").display().to_string();
    let fixed = vec![
        (subject.http.to_string(), "<http-port>".into()),
        (subject.dns.to_string(), "<dns-port>".into()),
        (subject.rpc.to_string(), "<rpc-port>".into()),
        (subject.serf.to_string(), "<serf-port>".into()),
        (dir.clone(), "<dir>".into()),
        (super::subject::NODE_ID.into(), "<node-id>".into()),
    ];
    let mut normal = Normal::new(fixed, subject.index);
    let mut variables = HashMap::from([
        ("dir".to_owned(), dir),
        ("http".to_owned(), subject.http.to_string()),
        ("rpc".to_owned(), subject.rpc.to_string()),
    ]);
    let mut behind: Option<JoinHandle<(Response, Duration)>> = None;
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut outcomes = Vec::new();
    for (at, step) in script.steps.iter().enumerate() {
        normal.begin(at + 1);
        let count = seen.entry(&step.line).and_modify(|n| *n += 1).or_insert(1);
        let name = if *count == 1 { step.line.clone() } else { format!("{} ({count})", step.line) };
        let fill = |text: &str| {
            variables.iter().fold(text.to_owned(), |t, (k, v)| t.replace(&format!("${{{k}}}"), v))
        };
        let answer = match &step.action {
            Action::File { name, content } => {
                let path = subject.scratch.path().join("files").join(name);
                fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
                fs::write(path, fill(content)).expect("a file");
                continue;
            }
            Action::Copy { name } => {
                let path = subject.scratch.path().join("files").join(name);
                fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
                fs::copy(home().join("files").join(name), path).expect("a file");
                continue;
            }
            Action::Http { method, target, headers, body, behind: later } => {
                let raw = raw(method, &fill(target), headers, &fill(body));
                let port = subject.http;
                if *later {
                    behind = Some(std::thread::spawn(move || {
                        let began = Instant::now();
                        (ask(port, &raw), began.elapsed())
                    }));
                    // Long enough to be parked when the next step comes, and harmless if it is not.
                    std::thread::sleep(Duration::from_millis(200));
                    continue;
                }
                let mut reply = ask(port, &raw);
                for after in &step.after {
                    let done = |r: &Response| match after {
                        After::Until(status) => r.status == *status,
                        After::UntilText(text) => r.text().contains(text.as_str()),
                        _ => true,
                    };
                    wait(|| {
                        done(&reply) || {
                            reply = ask(port, &raw);
                            done(&reply)
                        }
                    });
                }
                http_text(&mut normal, step, &reply, &mut variables)
            }
            Action::Join => {
                let (reply, took) =
                    behind.take().expect("a request was left behind").join().expect("an answer");
                // A reader that is never woken gives the same answer at the end of its wait.
                assert!(took < WOKEN_WITHIN, "{name}: {:?} until the answer came", took);
                http_text(&mut normal, step, &reply, &mut variables)
            }
            Action::Cli { args, input } => {
                let args: Vec<String> = args.iter().map(|a| fill(a)).collect();
                let out = subject.cli(&args, &fill(input));
                let mut text = format!("exit {}\n", out.status.code().unwrap_or(-1));
                for (name, bytes) in [("stdout", &out.stdout), ("stderr", &out.stderr)] {
                    if !bytes.is_empty() {
                        let _ =
                            writeln!(text, "--- {name}\n{}", without_usage(&String::from_utf8_lossy(bytes)));
                    }
                }
                normal.text(&text)
            }
            Action::Dns { words } => normal.text(&dns_text::ask(subject.dns, words)),
        };
        let writes = match &step.action {
            Action::Http { method, target, .. } => method != "GET" && target.starts_with("/v1/agent/"),
            // What a restored catalog lacks, Consul's agent tells it at the next turn.
            Action::Cli { args, .. } => args.first().is_none_or(|a| a != "snapshot"),
            _ => false,
        };
        if writes {
            let mut behind = None;
            wait(|| {
                behind = subject.behind();
                behind.is_none()
            });
            assert_eq!(behind, None, "after {name}, what the agent has does not come into the catalog");
        }
        outcomes.push(Outcome { step: normal.text(&name), answer });
    }
    outcomes
}

fn raw(method: &str, target: &str, headers: &[String], body: &str) -> Vec<u8> {
    let mut raw = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    for header in headers {
        let _ = write!(raw, "{header}\r\n");
    }
    if !headers.iter().any(|h| h.to_ascii_lowercase().starts_with("content-length")) {
        let _ = write!(raw, "Content-Length: {}\r\n", body.len());
    }
    format!("{raw}\r\n{body}").into_bytes()
}

fn ask(port: u16, raw: &[u8]) -> Response {
    raw_request(port, raw).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(raw)))
}

/// Help is each program's own words: from where it begins, only that it is there counts.
fn without_usage(text: &str) -> String {
    let mut kept: Vec<&str> = text.lines().take_while(|l| !l.starts_with("Usage:")).collect();
    if kept.len() < text.lines().count() {
        kept.push("(usage)");
    }
    kept.join("\n").trim_end().to_owned()
}

/// `x-consul-index` as it is written on the wire.
fn canonical(name: &str) -> String {
    let part = |p: &str| match p.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => String::new(),
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

fn http_text(
    normal: &mut Normal,
    step: &Step,
    reply: &Response,
    variables: &mut HashMap<String, String>,
) -> String {
    let mut body = reply.text();
    if reply.header("content-encoding").is_some() {
        body = "(compressed)".into();
    }
    if reply.header("content-type") == Some("application/x-gzip") {
        // Of another moment each time.
        body = "(archive)\n".into();
    }
    for after in &step.after {
        match after {
            After::CaptureHeader(name, header) => {
                variables.insert(name.clone(), reply.header(header).unwrap_or("none").to_owned());
            }
            After::CaptureJson(name, pointer) => {
                let value = reply.json().pointer(pointer).cloned().unwrap_or_default();
                variables.insert(name.clone(), value.to_string().trim_matches('"').to_owned());
            }
            After::Sort => {
                if let serde_json::Value::Array(items) = reply.json() {
                    let mut items: Vec<String> = items.iter().map(ToString::to_string).collect();
                    // By what is the same in every run: IDs are random.
                    items.sort_by_key(|item| normal.clone().text(item));
                    body = items.join("\n");
                }
            }
            After::Pick(pointers) => {
                let json = reply.json();
                let line = |p: &String| match json.pointer(p) {
                    Some(value) => format!("{p} {value}"),
                    None => format!("{p} absent"),
                };
                body = pointers.iter().map(line).collect::<Vec<_>>().join("\n");
            }
            After::Until(_) | After::UntilText(_) => {}
        }
    }
    let mut headers: Vec<String> = reply
        .headers
        .iter()
        .filter(|(n, _)| !DULL.contains(&n.as_str()))
        // 1.21.5 names the charset where the build that was recorded does not.
        .map(|(n, v)| format!("{}: {}", canonical(n), v.trim_end_matches("; charset=utf-8")))
        .collect();
    headers.sort();
    let mut text = format!("{}\n", reply.status);
    for header in headers {
        let _ = writeln!(text, "{header}");
    }
    if !body.is_empty() {
        let end = if body.ends_with('\n') { "" } else { "\n\\ no newline at the end\n" };
        // JSON ends without one nearly always: only the exception is worth a line.
        let end = if body.starts_with(['[', '{']) && !body.ends_with('\n') { "\n" } else { end };
        let end = if body.starts_with(['[', '{']) && body.ends_with('\n') { "\\ newline\n" } else { end };
        let _ = write!(text, "\n{body}{end}");
    }
    normal.text(&text)
}

const MARK: &str = "=== ";

/// A recording's text.
pub fn write(about: &str, outcomes: &[Outcome]) -> String {
    let mut text = format!("# {about}\n");
    for outcome in outcomes {
        let _ = write!(text, "\n{MARK}{}\n{}", outcome.step, outcome.answer);
    }
    text
}

/// A recording taken apart again.
pub fn read(text: &str) -> Vec<Outcome> {
    let mark = format!("\n{MARK}");
    let blocks = text.split(&*mark).skip(1);
    let block = |b: &str| {
        let (step, answer) = b.split_once('\n').unwrap_or((b, ""));
        let mut answer = answer.trim_end_matches('\n').to_owned();
        answer.push('\n');
        Outcome { step: step.to_owned(), answer }
    };
    blocks.map(block).collect()
}

/// Scenario names, `theme` of `scenarios/theme.txt`, with their scripts.
pub fn scenarios() -> Vec<(String, Script)> {
    let mut found: Vec<_> = fs::read_dir(home().join("scenarios"))
        .expect("there are scenarios")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .map(|path| {
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("it can be read");
            (name, super::script::parse(&text))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}
