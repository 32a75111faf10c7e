//! Starting, reloading and stopping: signals, names, exit codes.

use lictor_tests::backend::Backend;
use lictor_tests::{Scratch, Server, binary, request, wait};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

fn service(name: &str, port: u16, checks: &str) -> String {
    format!(r#"{{"name": "{name}", "port": {port}, "checks": [{checks}]}}"#)
}

const TTL: &str = r#"{"id": "beat", "name": "beat", "ttl": "1h"}"#;

fn files(services: &[String], more: &str) -> String {
    format!(r#"{{"services": [{}]{more}}}"#, services.join(", "))
}

#[test]
fn from_exec_to_leader_takes_a_blink() {
    let mut times = Vec::new();
    for _ in 0..5 {
        let mut server = Server::prepare("start", "");
        let _ = binary();
        let start = Instant::now();
        server.launch();
        while !server.has_leader() {
            assert!(server.runs() && start.elapsed() < Duration::from_secs(60), "{}", server.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(start.elapsed());
    }
    times.sort();
    println!("exec to leader: median {:?}, slowest {:?} (wanted: 300 ms)", times[2], times[4]);
}

#[test]
fn a_reload_takes_up_what_files_say_and_keeps_what_checks_know() {
    let kept = service("kept", 1, TTL);
    let first = files(&[kept.clone(), service("changed", 1, ""), service("gone", 1, "")], "");
    let mut server = Server::start("reload", &first);
    assert_eq!(server.put("/v1/agent/check/pass/beat", "").status, 200);
    assert_eq!(server.put("/v1/agent/service/register", r#"{"Name": "over-http"}"#).status, 200);

    let log_level = r#", "log_level": "DEBUG""#;
    server.set_extra(&files(&[kept.clone(), service("changed", 2, ""), service("added", 1, "")], log_level));
    server.signal("HUP");
    assert!(wait(|| server.get("/v1/agent/services").json()["added"].is_object()), "{}", server.log());
    let services = server.get("/v1/agent/services").json();
    let names: Vec<&String> = services.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["added", "changed", "kept", "over-http"]);
    assert_eq!(services["changed"]["Port"], 2);
    assert_eq!(
        server.get("/v1/agent/checks").json()["beat"]["Status"],
        "passing",
        "what was reported is kept"
    );
    assert!(wait(|| {
        let catalog = server.get("/v1/catalog/services").json();
        catalog["gone"].is_null() && catalog["added"].is_array()
    }));
    server.put("/v1/agent/check/pass/beat", "");
    assert!(wait(|| server.log().contains("[DEBUG]")), "the level did not change");

    // What cannot be read changes nothing, and says so to the log and to whoever asked.
    server.set_extra(r#"{"services": [{"name": "half""#);
    server.signal("HUP");
    assert!(wait(|| server.log().contains("Reload config failed")));
    let out = server.cli(&["reload"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("2-extra.json"), "{out:?}");
    assert_eq!(server.get("/v1/agent/services").json(), services);
    assert!(server.runs());
}

/// How many blocking queries wait.
fn waiting(server: &Server) -> u64 {
    let metrics = server.get("/v1/agent/metrics").json();
    let gauges = metrics["Gauges"].as_array().cloned().unwrap_or_default();
    let gauge =
        gauges.iter().find(|g| g["Name"].as_str().is_some_and(|n| n.ends_with("rpc.queries_blocking")));
    gauge.map_or(0, |g| g["Value"].as_f64().unwrap_or(0.0) as u64)
}

#[test]
fn signals_and_leave_end_it_with_consuls_codes_and_answer_whoever_waits() {
    for (how, code) in [("TERM", 1), ("INT", 1), ("leave", 0)] {
        let mut server = Server::start("stop", "");
        server.put("/v1/kv/watched", "last words");
        let (port, index) = (server.http, server.get("/v1/kv/watched").index());
        let waiter = std::thread::spawn(move || {
            request(port, "GET", &format!("/v1/kv/watched?index={index}&wait=10m"), b"")
        });
        assert!(wait(|| waiting(&server) == 1), "{how}: {}", server.log());
        match how {
            "leave" => assert!(server.cli(&["leave"]).status.success()),
            signal => server.signal(signal),
        }
        assert_eq!(server.wait_for_exit().code(), Some(code), "{how}: {}", server.log());
        let answer = waiter.join().expect("the reader ends");
        assert_eq!(answer.expect("not cut off").status, 503, "{how}");
        server.launch();
        server.wait_for_leader();
        assert_eq!(server.get("/v1/kv/watched?raw").text(), "last words", "{how}");
    }
    let mut server =
        Server::start("stop", r#"{"leave_on_terminate": true, "skip_leave_on_interrupt": false}"#);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0), "told to leave on SIGTERM");
}

#[test]
fn a_link_named_consul_and_the_thin_binaries_are_the_same_program() {
    let dir = Scratch::new("names");
    let link = dir.path().join("consul");
    symlink(binary(), &link).expect("a link");
    let out = Command::new(&link).arg("version").output().expect("it starts");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && text.starts_with("Consul v1.21.5\n"), "{text}");
    let out = Command::new(&link).arg("no-such-command").output().expect("it starts");
    assert_eq!(out.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&out.stderr).contains("consul [--version]"), "{out:?}");

    let mut server = Server::prepare("names", "");
    server.launch_as(server.command_of(&link));
    server.wait_for_leader();
    assert_eq!(server.put("/v1/kv/a", "b").text(), "true");
    server.kill();

    // The other names are `agent` with -server on or off, whatever the files say.
    let named = |name: &str| {
        let link = dir.path().join(name);
        symlink(binary(), &link).expect("a link");
        Command::new(link)
    };
    let mut server = Server::prepare("names-server", r#"{"server": false}"#);
    let mut command = named("lictor-server");
    command.args(server.command().get_args().skip(1));
    server.launch_as(command);
    server.wait_for_leader();

    let second = Server::prepare("names-agent", "");
    let mut command = named("lictor-agent");
    command.args(second.command().get_args().skip(1));
    // A client agent with bootstrap_expect is refused, as Consul refuses it: it took -server=false.
    let out = command.output().expect("it starts");
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("server"), "{out:?}");
}

#[test]
fn a_critical_service_leaves_answers_at_once_and_the_registry_not_before_a_minute() {
    let backend = Backend::start();
    let server = Server::start("reap", r#"{"check_reap_interval": "1s"}"#);
    let check = format!(
        r#"{{"HTTP": "http://127.0.0.1:{}/", "Interval": "1s", "DeregisterCriticalServiceAfter": "1s"}}"#,
        backend.port
    );
    let body = format!(r#"{{"Name": "doomed", "Port": 1, "Check": {check}}}"#);
    assert_eq!(server.put("/v1/agent/service/register", &body).status, 200);
    let passing = || server.get("/v1/health/service/doomed?passing").json();
    assert!(wait(|| passing()[0]["Service"]["Service"] == "doomed"), "{}", server.log());
    backend.set_well(false);
    assert!(wait(|| passing().as_array().is_some_and(Vec::is_empty)), "{}", server.log());
    // A minute is the least that Consul grants, whatever is asked for and however often one looks.
    std::thread::sleep(Duration::from_secs(3));
    assert!(server.get("/v1/agent/services").json()["doomed"].is_object());
}

#[test]
fn the_soft_limit_on_open_files_is_raised_to_the_hard_one() {
    let mut server = Server::prepare("files", "");
    let agent = server.command();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 256 && exec \"$0\" \"$@\""]);
    command.arg(agent.get_program()).args(agent.get_args());
    server.launch_as(command);
    server.wait_for_leader();
    let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", server.pid())) else {
        println!("SKIPPED: the system does not tell a process's limits");
        return;
    };
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    let [soft, hard] = [3, 4].map(|i| line.split_whitespace().nth(i).expect("a number"));
    assert_eq!(soft, hard, "{line}");
}

#[test]
fn signals_that_mean_nothing_do_nothing_and_usr1_shows_metrics() {
    let mut server = Server::start("signals", "");
    server.signal("USR2");
    server.signal("ALRM");
    server.signal("USR1");
    assert!(wait(|| server.log().contains("][G] 'consul.")), "{}", server.log());
    assert!(server.runs() && server.has_leader());
}

#[test]
fn a_pid_file_is_there_as_long_as_the_agent_and_one_that_cannot_be_written_is_a_refusal() {
    let dir = Scratch::new("pid");
    let path = dir.path().join("pid");
    let mut server = Server::start("pid", &format!(r#"{{"pid_file": "{}"}}"#, path.display()));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), server.pid().to_string());
    server.signal("TERM");
    server.wait_for_exit();
    assert!(!path.exists());
    let log = server.log();
    for line in ["Caught: signal=terminated", "Graceful shutdown disabled. Exiting", "Requesting shutdown"] {
        assert!(log.contains(line), "no {line} in {log}");
    }
    server.set_extra(r#"{"pid_file": "/no/such/pid"}"#);
    let out = server.run_to_end();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1));
    assert!(text.contains("Could not open pid file: open /no/such/pid: no such file or directory"), "{text}");
}

#[test]
fn systemd_hears_that_it_is_ready_when_it_has_joined() {
    let dir = Scratch::new("notify");
    let path = dir.path().join("socket");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("it can");
    let mut server = Server::prepare("notify", "");
    let mut command = server.command();
    command.env("NOTIFY_SOCKET", &path);
    server.launch_as(command);
    server.wait_for_leader();
    let out = server.cli(&["join", &format!("127.0.0.1:{}", server.serf)]);
    assert!(out.status.success(), "{out:?}");
    let mut buffer = [0; 32];
    let length = socket.recv(&mut buffer).expect("it says so");
    assert_eq!(&buffer[..length], b"READY=1");
}
