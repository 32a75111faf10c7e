//! The registry from outside: start, write, read, block, restart.

use lictor_tests::{Server, request};
use std::time::{Duration, Instant};

#[test]
fn a_server_leads_at_once_and_keeps_what_it_acknowledged_over_a_kill() {
    let mut server = Server::start("restart", "");
    assert_eq!(server.put("/v1/kv/a/b", "hello").text(), "true");
    let registered = server.put("/v1/agent/service/register", r#"{"Name": "web", "Port": 80}"#);
    assert_eq!(registered.status, 200, "{}", registered.text());
    server.kill();
    server.launch();
    server.wait_for_leader();
    assert_eq!(server.get("/v1/kv/a/b?raw").text(), "hello");
    let services = server.get("/v1/agent/services").json();
    assert_eq!(services["web"]["Port"], 80, "{services}");
}

#[test]
fn a_blocking_read_wakes_at_once_and_a_foreign_write_does_not_wake_it() {
    let server = Server::start("blocking", "");
    server.put("/v1/kv/watched", "1");
    let index = server.get("/v1/kv/watched").index();
    let port = server.http;
    let waiter = std::thread::spawn(move || {
        let answer = request(port, "GET", &format!("/v1/kv/watched?index={index}&wait=30s"), b"");
        (answer.expect("an answer"), Instant::now())
    });
    std::thread::sleep(Duration::from_millis(200));
    server.put("/v1/kv/other", "x");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiter.is_finished(), "another key's write woke the reader");
    let written = Instant::now();
    server.put("/v1/kv/watched", "2");
    let (answer, woken) = waiter.join().expect("the reader ends");
    assert!(answer.index() > index);
    assert!(woken.saturating_duration_since(written) < Duration::from_secs(5), "woken late");
}

#[test]
fn a_taken_data_directory_is_refused_by_name() {
    let server = Server::start("taken", "");
    let mut second =
        Server::prepare("taken-2", &format!(r#"{{"data_dir": {:?}}}"#, server.data().display().to_string()));
    let out = second.run_to_end();
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.contains("in use by another process") && text.contains("lock"), "{text}");
    second.kill();
}

#[test]
fn a_server_that_is_told_to_terminate_ends_by_itself_and_leave_ends_with_code_zero() {
    let mut server = Server::start("stop", "");
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(1), "as Consul: a server does not leave on SIGTERM");
    server.launch();
    server.wait_for_leader();
    assert_eq!(server.put("/v1/agent/leave", "").status, 200);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
