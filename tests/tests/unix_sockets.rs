//! HTTP over unix sockets, as services beside the agent and the command line use it.

use lictor_tests::Server;
use lictor_tests::server::binary;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

fn exchange(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("somebody listens");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn the_agent_answers_on_a_unix_socket_beside_its_port_and_takes_its_file_along() {
    let mut server = Server::prepare("unix", "");
    // Below 108 bytes, wherever this test's own directory is.
    let place = std::env::temp_dir().join(format!("lictor-unix-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a directory");
    let path = place.join("http.sock");
    let shown = path.display();
    server.set_extra(&format!(
        r#"{{"addresses": {{"http": "unix://{shown} 127.0.0.1"}}, "unix_sockets": {{"mode": "0620"}}}}"#
    ));
    server.launch();
    server.wait_for_leader();
    assert_eq!(fs::metadata(&path).expect("the socket").permissions().mode() & 0o777, 0o620);
    let put = "PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    assert!(exchange(&path, put).ends_with("\r\n\r\ntrue"));
    // In two ways: as most clients ask, and as only a whole HTTP implementation understands.
    for version in ["1.1\r\nHost: a\r\nConnection: close", "1.0"] {
        let answer = exchange(&path, &format!("GET /v1/kv/a?raw HTTP/{version}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.") && answer.ends_with("\r\n\r\nx"), "{answer}");
    }
    assert_eq!(server.get("/v1/kv/a?raw").text(), "x", "over TCP too");
    let address = format!("unix://{shown}");
    let mut by_flag = Command::new(binary());
    by_flag.args(["kv", "get", "-http-addr", &address, "a"]);
    let mut by_variable = Command::new(binary());
    by_variable.args(["kv", "get", "a"]).env("CONSUL_HTTP_ADDR", &address);
    for command in [&mut by_flag, &mut by_variable] {
        let out = command.output().expect("it runs");
        assert_eq!(String::from_utf8_lossy(&out.stdout), "x\n", "{out:?}");
    }
    let text = format!("agent: Starting server: address={shown} network=unix protocol=http");
    assert!(server.log().contains(&text), "{}", server.log());
    server.signal("TERM");
    server.wait_for_exit();
    assert!(!path.exists(), "the socket's file is still there");
    fs::remove_dir(&place).expect("nothing is left");
}
