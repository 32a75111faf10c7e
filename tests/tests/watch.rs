//! `lictor watch` with a child: it runs at once, again at every change, and ends with the watch when it fails.

use lictor_tests::{Server, binary, wait};
use std::fs;
use std::process::{Child, Command, Stdio};

fn watch(server: &Server, child: &str) -> Child {
    let mut command = Command::new(binary());
    command.args(["watch", "-type=key", "-key=app/mode", &format!("-http-addr=127.0.0.1:{}", server.http)]);
    command.arg(child).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the watch starts")
}

#[test]
fn a_child_runs_at_once_and_at_every_change_with_the_view_on_its_standard_input() {
    let server = Server::start("watch", "");
    server.put("/v1/kv/app/mode", "calm");
    let seen = server.dir.join("seen");
    let mut running = watch(&server, &format!("cat >> {0}; echo index $CONSUL_INDEX >> {0}", seen.display()));
    let lines = |needle: &str| fs::read_to_string(&seen).unwrap_or_default().matches(needle).count();
    assert!(wait(|| lines("index ") == 1), "the first run");
    assert_eq!(lines("\"Value\":\"Y2FsbQ==\""), 1);
    server.put("/v1/kv/app/other", "x");
    server.put("/v1/kv/app/mode", "storm");
    assert!(wait(|| lines("index ") == 2), "the run after the change");
    assert_eq!(lines("\"Value\":\"c3Rvcm0=\""), 1);
    running.kill().expect("the watch is running");
    running.wait().expect("and has ended");
}

#[test]
fn a_child_that_fails_ends_the_watch_with_code_one_and_its_exit_status() {
    let server = Server::start("watch-fails", "");
    let out = watch(&server, "exit 3").wait_with_output().expect("the watch ends");
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.contains("Error executing handler: exit status 3"), "{text}");
}
