//! The log as operators read it: lines, levels, files, and the stream of the monitor.

use lictor_tests::Server;
use lictor_tests::server::{PATIENCE, binary, wait};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// Whether some line holds all of these.
fn says(log: &str, parts: &[&str]) -> bool {
    log.lines().any(|line| parts.iter().all(|part| line.contains(part)))
}

#[test]
fn the_lines_that_operators_grep_for_are_in_consuls_format() {
    let server = Server::start("log-lines", "");
    let definition = r#"{"Name": "web", "Check": {"TTL": "1s"}}"#;
    server.put("/v1/agent/service/register", definition);
    assert!(
        wait(|| says(&server.log(), &["[INFO]  agent: Synced service: service=web"])),
        "{}",
        server.log()
    );
    let missed = ["[WARN]  agent: Check missed TTL, is now critical: check=service:web"];
    assert!(wait(|| says(&server.log(), &missed)), "{}", server.log());
    assert!(says(&server.log(), &["[INFO]  agent.server: New leader elected: payload=n1"]));
    server.get("/v1/catalog/service/");
    let error = ["[ERROR] agent.http: Request error: method=GET url=/v1/catalog/service/ from=127.0.0.1:"];
    assert!(wait(|| says(&server.log(), &error)), "{}", server.log());
    server.put("/v1/agent/service/deregister/web", "");
    assert!(wait(|| says(&server.log(), &["[INFO]  agent: Deregistered service: service=web"])));
    for line in server.log().lines().filter(|l| l.starts_with("20")) {
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
        let levels = ["[TRACE] ", "[DEBUG] ", "[INFO]  ", "[WARN]  ", "[ERROR] "];
        assert!(levels.iter().any(|level| rest.starts_with(level)), "{line}");
    }
}

#[test]
fn a_reload_changes_the_level_and_requests_are_logged_then_without_their_token() {
    let mut server = Server::start("log-level", r#"{"log_level": "WARN"}"#);
    assert!(!says(&server.log(), &["[INFO]"]), "{}", server.log());
    server.set_extra(r#"{"log_level": "DEBUG"}"#);
    server.signal("HUP");
    assert!(wait(|| {
        server.get("/v1/kv/a?token=secret");
        says(
            &server.log(),
            &["[DEBUG] agent.http: Request finished: method=GET url=\"/v1/kv/a?token=<hidden>\""],
        )
    }));
    assert!(!server.log().contains("secret"));
}

#[test]
fn the_log_file_is_rotated_by_size_and_only_so_many_are_kept() {
    let extra =
        r#"{"log_file": "LOG", "log_level": "DEBUG", "log_rotate_bytes": 2000, "log_rotate_max_files": 2}"#;
    let mut server = Server::prepare("log-file", "");
    let directory = server.dir.join("logs");
    std::fs::create_dir(&directory).expect("a directory");
    let path = directory.join("agent.log").display().to_string();
    server.set_extra(&extra.replace("LOG", &path));
    server.launch();
    server.wait_for_leader();
    for _ in 0..200 {
        server.get("/v1/kv/a");
    }
    let names: Vec<String> = std::fs::read_dir(&directory)
        .expect("a directory")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"agent.log".to_owned()), "{names:?}");
    for name in &names {
        let size = std::fs::metadata(directory.join(name)).expect("a file").len();
        assert!(size < 2500, "{name} has {size} bytes");
    }
}

#[test]
fn a_log_that_cannot_be_set_up_is_refused_with_consuls_words() {
    let file = Server::prepare("log-nowhere", r#"{"log_file": "/nonexistent/x.log"}"#).run_to_end();
    let text = String::from_utf8_lossy(&file.stderr).into_owned();
    assert!(
        text.contains("Failed to setup logging: open /nonexistent/x.log: no such file or directory"),
        "{text}"
    );
    let level = Server::prepare("log-loud", r#"{"log_level": "loud"}"#).run_to_end();
    let text = String::from_utf8_lossy(&level.stderr).into_owned();
    let refusal = "Invalid log level: loud. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]";
    assert!(text.contains(refusal) && level.status.code() == Some(1), "{text}");
}

#[test]
fn the_monitor_streams_levels_that_the_log_itself_does_not_show() {
    let server = Server::start("log-monitor", "");
    let refused = server.get("/v1/agent/monitor?loglevel=loud");
    assert_eq!((refused.status, refused.text().as_str()), (400, "Unknown log level: loud"));

    let mut stream = TcpStream::connect(("127.0.0.1", server.http)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
        .write_all(b"GET /v1/agent/monitor?loglevel=debug&logjson HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("sent");
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("a head") > 0);
    }
    assert!(head.starts_with("HTTP/1.1 200 OK") && !head.contains("Content-Type"), "{head}");
    server.get("/v1/kv/watched");
    let mut lines = reader.lines();
    let seen = lines
        .find(|l| l.as_ref().is_ok_and(|l| l.contains("/v1/kv/watched")))
        .expect("a line")
        .expect("read");
    let json: serde_json::Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(json["@level"], "debug");
    assert_eq!(json["@module"], "agent.http");
    assert!(!says(&server.log(), &["[DEBUG]"]), "the agent's own log stays as it is");
}

#[test]
fn the_monitor_command_shows_lines_and_ends_quietly_when_interrupted() {
    let server = Server::start("log-command", "");
    let mut child = Command::new(binary())
        .args(["monitor", "-log-level=debug", &format!("-http-addr=127.0.0.1:{}", server.http)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    // Until the stream stands nothing is shown: ask again and again.
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    let port = server.http;
    let asking = std::thread::spawn(move || {
        while rx.recv_timeout(std::time::Duration::from_millis(50)).is_err() {
            let _ = lictor_tests::request(port, "GET", "/v1/kv/shown", b"");
        }
    });
    let line =
        lines.find(|l| l.as_ref().is_ok_and(|l| l.contains("/v1/kv/shown"))).expect("a line").expect("read");
    assert!(line.contains("[DEBUG] agent.http: Request finished: method=GET url=/v1/kv/shown"), "{line}");
    let interrupted =
        Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let _ = tx.send(());
    let _ = asking.join();
    // Whatever it still shows must not keep it waiting.
    lines.map_while(Result::ok).for_each(drop);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
