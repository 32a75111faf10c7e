//! Watches, of the command line and of the configuration: a handler runs at once and at every change.

use lictor_tests::{Scratch, Server, binary, wait};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
fn a_watch_of_events_hands_each_over_once() {
    let server = Server::start("watch-events", "");
    let fire = |name: &str| server.put(&format!("/v1/event/fire/{name}"), "");
    fire("deploy");
    let seen = server.dir.join("seen");
    let mut command = Command::new(binary());
    command.args(["watch", "-type=event", "-name=deploy", &format!("-http-addr=127.0.0.1:{}", server.http)]);
    command.arg(format!("cat >> {}", seen.display())).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("the watch starts");
    let count = || fs::read_to_string(&seen).unwrap_or_default().matches("\"Name\":\"deploy\"").count();
    assert!(wait(|| count() == 1), "what was heard before");
    for n in 2..=4 {
        fire("other");
        fire("deploy");
        assert!(wait(|| count() == n), "event {n}: {:?}", fs::read_to_string(&seen));
    }
    running.kill().expect("the watch is running");
    running.wait().expect("and has ended");
    assert_eq!(count(), 4);
    assert!(!fs::read_to_string(&seen).unwrap_or_default().contains("other"));
}

#[test]
fn a_watch_of_a_local_service_runs_when_its_definition_changes() {
    let mut server = Server::prepare("watch-local", "");
    let seen = server.dir.join("seen");
    let script = format!("cat >> {}", seen.display());
    let watches = serde_json::json!({"services": [{"name": "web", "port": 80}], "watches": [
        {"type": "agent_service", "service_id": "web", "args": ["/bin/sh", "-c", script]},
    ]});
    server.set_extra(&watches.to_string());
    server.launch();
    server.wait_for_leader();
    let count = |needle: &str| fs::read_to_string(&seen).unwrap_or_default().matches(needle).count();
    assert!(wait(|| count("\"Port\":80,") == 1), "the first run");
    server.put("/v1/agent/service/register", r#"{"Name": "other", "Port": 82}"#);
    server.put("/v1/agent/service/register", r#"{"Name": "web", "Port": 81}"#);
    assert!(wait(|| count("\"Port\":81,") == 1), "the run after the change");
    assert_eq!((count("\"Service\":\"web\""), count("\"Port\":82")), (2, 0));
}

#[test]
fn a_child_that_fails_ends_the_watch_with_code_one_and_its_exit_status() {
    let server = Server::start("watch-fails", "");
    let out = watch(&server, "exit 3").wait_with_output().expect("the watch ends");
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.contains("Error executing handler: exit status 3"), "{text}");
}

#[test]
fn watches_of_the_configuration_hand_changes_to_their_handlers_until_a_reload_takes_them_away() {
    let page = Page::start();
    let scratch = Scratch::new("watches");
    let seen = scratch.path().join("seen");
    let script = format!("cat >> {0}; echo index $CONSUL_INDEX >> {0}; echo told; exit 4", seen.display());
    let watches = serde_json::json!({"log_level": "debug", "watches": [
        {"type": "key", "key": "app/mode", "args": ["/bin/sh", "-c", script]},
        {"type": "keyprefix", "prefix": "app/", "handler_type": "http", "http_handler_config": {
            "path": format!("http://127.0.0.1:{}/hook?a=b", page.port), "method": "PUT", "timeout": "9s",
            "header": {"X-Own": ["one", "two"]}}},
        {"type": "services", "handler": "true"},
    ]});
    let mut server = Server::start("watches", &watches.to_string());
    let lines = |needle: &str| fs::read_to_string(&seen).unwrap_or_default().matches(needle).count();
    assert!(wait(|| lines("null\nindex ") == 1), "a key that is not there yet");
    server.put("/v1/kv/app/mode", "storm");
    assert!(
        wait(|| lines("\"Value\":\"c3Rvcm0=\"") == 1 && lines("index ") == 2),
        "the run after the change"
    );
    assert!(wait(|| page.said().contains("c3Rvcm0=")), "{}", page.said());
    let said = page.said();
    for part in
        ["PUT /hook?a=b HTTP/1.1", "X-Consul-Index: ", "X-Own: one", "X-Own: two", "[{\"Key\":\"app/mode\""]
    {
        assert!(said.to_lowercase().contains(&part.to_lowercase()), "{part} in {said}");
    }
    assert!(wait(|| server.log().contains("Failed to run watch handler: watch_handler=")), "the exit status");
    assert!(server.log().contains("exit status 4") && server.log().contains("told"), "{}", server.log());
    assert!(server.log().contains("The 'handler' field in watches has been deprecated"), "{}", server.log());

    server.set_extra("{}");
    assert_eq!(server.put("/v1/agent/reload", "").status, 200);
    server.put("/v1/kv/app/mode", "calm");
    server.set_extra(r#"{"watches": [{"type": "nodes", "args": ["true"], "x": 1}]}"#);
    let refused = server.put("/v1/agent/reload", "");
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("Invalid parameters: [x]"), "{}", refused.text());
    assert_eq!((lines("index "), lines("Y2FsbQ==")), (2, 0), "nobody watches any more");
}

#[test]
fn a_handler_that_runs_when_a_reload_comes_gets_all_of_its_input_and_runs_to_its_end() {
    let scratch = Scratch::new("watches-reload");
    let (begun, seen) = (scratch.path().join("begun"), scratch.path().join("seen"));
    // More than a pipe takes at once, and not read before the reload.
    let script =
        format!("touch {}; sleep 2; cat > {1}; echo told; echo end >> {1}", begun.display(), seen.display());
    let watches =
        serde_json::json!({"watches": [{"type": "key", "key": "big", "args": ["/bin/sh", "-c", script]}]});
    let mut server = Server::start("watches-reload", "{}");
    server.put("/v1/kv/big", &"x".repeat(300_000));
    server.set_extra(&watches.to_string());
    assert_eq!(server.put("/v1/agent/reload", "").status, 200);
    assert!(wait(|| begun.exists()));
    server.set_extra("{}");
    assert_eq!(server.put("/v1/agent/reload", "").status, 200);
    assert!(
        wait(|| fs::read_to_string(&seen).is_ok_and(|text| text.ends_with("end\n"))),
        "it ran to its end"
    );
    assert!(fs::metadata(&seen).expect("it is there").len() > 400_000, "all of it, in base64");
}

#[test]
fn an_agent_does_not_start_with_a_watch_that_it_cannot_follow() {
    let out =
        Server::prepare("bad-watch", r#"{"watches": [{"type": "strange", "args": ["true"]}]}"#).run_to_end();
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        text.contains("Failed to parse watch") && text.contains("Unsupported watch type: strange"),
        "{text}"
    );
}

/// Somebody who is told of changes over HTTP. It ends with the test process.
struct Page {
    port: u16,
    said: Arc<Mutex<String>>,
}

impl Page {
    fn start() -> Page {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let said = Arc::new(Mutex::new(String::new()));
        let kept = said.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                // A view ends with a newline, which stands for nothing inside of JSON.
                while !request.ends_with(b"\n") || request.ends_with(b"\r\n") {
                    match stream.read(&mut chunk) {
                        Ok(n @ 1..) => request.extend_from_slice(&chunk[..n]),
                        _ => break,
                    }
                }
                kept.lock().expect("no panic").push_str(&String::from_utf8_lossy(&request));
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            }
        });
        Page { port, said }
    }

    fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }
}
