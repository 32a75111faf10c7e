//! A daemon of three answers behind a Unix socket.

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

/// Where it listens, and the requests that it got. Each answer is a status with a body.
struct Fake {
    path: PathBuf,
    asked: Receiver<String>,
}

fn fake(name: &str, answers: Vec<(u16, String)>) -> Fake {
    let path = std::env::temp_dir().join(format!("lictor-docker-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            // Every order is one JSON object; a question ends with its head.
            loop {
                let n = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..n]);
                let done = if request.starts_with(b"GET") { b"\r\n\r\n".as_slice() } else { b"}" };
                if n == 0 || request.ends_with(done) {
                    break;
                }
            }
            let _ = tell.send(String::from_utf8(request).unwrap());
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{body}");
        }
    });
    Fake { path, asked }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn ask(path: &std::path::Path, output_max: usize) -> CheckOutcome {
    let args = ["sh".to_owned(), "-c".to_owned(), "true".to_owned()];
    probe_at(&format!("unix://{}", path.display()), "c 1/x", &args, Duration::from_secs(20), output_max).await
}

fn ran(exit: &str) -> Vec<(u16, String)> {
    vec![
        (201, r#"{"Id": "e1"}"#.to_owned()),
        (200, "0123456789".to_owned()),
        (200, format!(r#"{{"ExitCode": {exit}, "Running": false}}"#)),
    ]
}

#[tokio::test]
async fn a_program_in_a_container_is_judged_by_its_exit_code() {
    for (exit, expected) in [("0", "passing"), ("1", "warning"), ("2", "critical"), ("null", "passing")] {
        let daemon = fake("exit", ran(exit));
        assert_eq!(ask(&daemon.path, 4096).await, found(expected, "0123456789"));
        let create = daemon.asked.recv().unwrap();
        assert!(create.starts_with("POST /containers/c+1%2Fx/exec HTTP/1.1\r\nhost: docker\r\n"), "{create}");
        assert!(create.contains(r#""Cmd":["sh","-c","true"]"#), "{create}");
        assert!(daemon.asked.recv().unwrap().starts_with("POST /exec/e1/start "));
        assert!(daemon.asked.recv().unwrap().starts_with("GET /exec/e1/json "));
    }
    let daemon = fake("long", ran("0"));
    assert_eq!(ask(&daemon.path, 4).await, found("passing", "Captured 4 of 10 bytes\n...\n6789"));
}

#[tokio::test]
async fn what_the_daemon_refuses_is_told_in_consuls_words() {
    for (status, why) in [
        (404, "create exec failed for unknown container c 1/x"),
        (409, "create exec failed since container c 1/x is paused or stopped"),
        (500, "create exec failed for container c 1/x with status 500: oh"),
    ] {
        let daemon = fake("refusal", vec![(status, "oh".to_owned())]);
        assert_eq!(ask(&daemon.path, 4096).await, critical(why));
    }
    let daemon = fake("lost", vec![(201, r#"{"Id": "e1"}"#.to_owned()), (404, String::new())]);
    let lost = "start exec failed for container c 1/x: invalid exec id e1";
    assert_eq!(ask(&daemon.path, 4096).await, critical(lost));
    let none = std::path::Path::new("/no/docker.sock");
    let why = "create exec failed for container c 1/x: Post \"http://%2Fno%2Fdocker.sock/containers/c+1%2Fx/exec\": \
               dial unix /no/docker.sock: connect: no such file or directory";
    assert_eq!(ask(none, 4096).await, critical(why));
}
