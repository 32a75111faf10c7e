//! Checks that run programs: only where that was enabled, and never longer or louder than allowed.

use lictor_tests::{Scratch, Server, process, wait};

/// A command line that no other test has: the seconds name it.
fn marker(number: u32) -> String {
    format!("{}.{number:03}", 30_000 + std::process::id() % 10_000)
}

fn check(id: &str, script: &str, more: &str) -> String {
    format!(r#"{{"ID": "{id}", "Name": "{id}", "Args": ["sh", "-c", "{script}"], "Interval": "1s"{more}}}"#)
}

fn register(server: &Server, body: &str) {
    let answer = server.put("/v1/agent/check/register", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn found(server: &Server, id: &str) -> (String, String) {
    let check = &server.get("/v1/agent/checks").json()[id];
    let text = |key: &str| check[key].as_str().unwrap_or("").to_owned();
    (text("Status"), text("Output"))
}

#[test]
fn programs_are_refused_unless_enabled_and_from_remote_calls_unless_enabled_for_them() {
    let from_file = r#"{"checks": [{"id": "file", "name": "file", "args": ["true"], "interval": "1s"}]"#;
    let refused = Server::prepare("scripts-off", &format!("{from_file}}}"));
    let out = refused.run_to_end();
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert!(text.contains("enable_script_checks") && text.contains("enable_local_script_checks"), "{text}");

    let server =
        Server::start("scripts-local", &format!("{from_file}, \"enable_local_script_checks\": true}}"));
    assert!(wait(|| found(&server, "file").0 == "passing"));
    for path in ["/v1/agent/check/register", "/v1/agent/service/register"] {
        let body = match path.contains("service") {
            true => r#"{"Name": "s", "Check": {"Args": ["true"], "Interval": "1s"}}"#.to_owned(),
            false => check("remote", "true", ""),
        };
        let answer = server.put(path, &body);
        assert_eq!(answer.status, 500, "as Consul: {}", answer.text());
        assert!(
            answer.text().contains("Scripts are disabled on this agent from remote calls"),
            "{}",
            answer.text()
        );
    }
    assert!(server.get("/v1/agent/checks").json()["remote"].is_null());
    assert_eq!(server.get("/v1/agent/services").text().trim(), "{}");
}

#[test]
fn what_a_script_leaves_running_goes_on_after_it_has_ended() {
    let scratch = Scratch::new("scripts-behind");
    let dir = scratch.path().join("once").display().to_string();
    let server = Server::start("scripts-behind", r#"{"enable_script_checks": true}"#);
    let script = format!(
        "if mkdir {dir} 2>/dev/null; then sleep {} >/dev/null 2>&1 </dev/null & echo $! >{dir}/pid; fi; cat {dir}/pid",
        marker(7)
    );
    register(&server, &check("mends", &script, ""));
    assert!(wait(|| found(&server, "mends").0 == "passing"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = found(&server, "mends").1.trim().to_owned();
    let alive = process::any_running(&marker(7));
    let killed = std::process::Command::new("kill").arg(&pid).status();
    assert!(alive && killed.is_ok_and(|status| status.success()), "{pid}");
}

#[test]
fn exit_codes_are_statuses_and_output_is_cut() {
    let server = Server::start("scripts", r#"{"enable_script_checks": true}"#);
    register(&server, &check("well", "echo fine", ""));
    register(&server, &check("so-so", "echo hmm >&2; exit 1", ""));
    register(&server, &check("ill", "exit 2", ""));
    register(&server, &check("killed", "kill -9 $$", ""));
    register(&server, r#"{"ID": "none", "Name": "none", "Args": ["/no/such/program"], "Interval": "1s"}"#);
    register(
        &server,
        &check("loud", "i=0; while [ $i -lt 2000 ]; do echo 0123456789012345678; i=$((i+1)); done", ""),
    );
    let statuses =
        [("well", "passing", "fine"), ("so-so", "warning", "hmm"), ("none", "critical", "/no/such/program")];
    for (id, status, words) in statuses {
        let good = wait(|| {
            let (now, output) = found(&server, id);
            now == status && output.contains(words)
        });
        assert!(good, "{id}: {:?}", found(&server, id));
    }
    assert!(wait(|| found(&server, "loud").0 == "passing"));
    let (_, output) = found(&server, "loud");
    assert!(
        output.len() < 5000 && output.contains("of 40000 bytes"),
        "{} bytes: {:.80}",
        output.len(),
        output
    );
    for id in ["ill", "killed"] {
        assert_eq!(found(&server, id).0, "critical", "{id}");
    }
}

#[test]
fn a_program_that_takes_too_long_is_killed_with_everything_that_it_started() {
    let mut server = Server::start("scripts-slow", r#"{"enable_script_checks": true}"#);
    let (child, grandchild) = (marker(1), marker(2));
    let script = format!("sleep {grandchild} & (sleep {grandchild} &) ; sleep {child}");
    register(&server, &check("slow", &script, r#", "Timeout": "1s""#));
    assert!(wait(|| process::any_running(&grandchild)), "it never ran");
    assert!(wait(|| found(&server, "slow").1.contains("Timed out (1s) running check")));
    assert_eq!(found(&server, "slow").0, "critical");
    assert_eq!(server.put("/v1/agent/check/deregister/slow", "").status, 200);
    assert!(wait(|| !process::any_running(&child) && !process::any_running(&grandchild)), "orphans run on");

    // Nor does one that is no longer wanted leave any, nor a stop.
    let running = marker(4);
    register(&server, &check("running", &format!("sleep {running}"), r#", "Timeout": "1h""#));
    assert!(wait(|| process::any_running(&running)));
    assert_eq!(server.put("/v1/agent/check/deregister/running", "").status, 200);
    assert!(wait(|| !process::any_running(&running)), "a deregistered check's program runs on");
    let at_stop = marker(5);
    register(
        &server,
        &check("at-stop", &format!("sleep {at_stop} & sleep {at_stop}"), r#", "Timeout": "1h""#),
    );
    assert!(wait(|| process::any_running(&at_stop)));
    server.signal("TERM");
    server.wait_for_exit();
    assert!(wait(|| !process::any_running(&at_stop)), "programs outlive the agent");
}
