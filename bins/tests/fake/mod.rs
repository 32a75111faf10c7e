//! An HTTP server that answers from a table and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server knows and has seen.
#[derive(Default)]
struct State {
    answers: BTreeMap<String, (u16, String)>,
    seen: Vec<String>,
}

/// A server on a free port of loopback; it lives as long as the process.
pub(crate) struct Fake {
    /// Where it listens.
    pub(crate) at: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// Starts listening.
    pub(crate) fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let at = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &shared);
            }
        });
        Fake { at, state }
    }

    /// Answers `request` (`GET /v1/kv/a`, query included) with this from now on.
    pub(crate) fn answer(&self, request: &str, status: u16, body: &str) {
        let mut state = self.state.lock().expect("no panic while held");
        state.answers.insert(request.to_owned(), (status, body.to_owned()));
    }

    /// Every request since the last call: `PUT /v1/kv/a "body"`, and the headers that matter.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("no panic while held").seen)
    }
}

/// Serves one connection, one request.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let Some((request, headers)) = head(&mut reader) else { return };
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (status, text) = {
        let mut state = state.lock().expect("no panic while held");
        let mut line = request.clone();
        for name in ["x-consul-token", "authorization"] {
            if let Some(value) = headers.get(name) {
                line.push_str(&format!(" [{name}: {value}]"));
            }
        }
        if !body.is_empty() {
            line.push_str(&format!(" {:?}", String::from_utf8_lossy(&body)));
        }
        state.seen.push(line);
        state.answers.get(&request).cloned().unwrap_or_else(|| (404, String::new()))
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    // A client that hung up has seen what it wanted.
    let _ = reader
        .get_mut()
        .write_all(head.as_bytes())
        .and_then(|()| reader.get_mut().write_all(text.as_bytes()));
}

/// Method with target, and headers by lower-case name.
fn head(reader: &mut BufReader<TcpStream>) -> Option<(String, BTreeMap<String, String>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let request = lines.first()?.rsplit_once(' ')?.0.to_owned();
    let headers = lines[1..]
        .iter()
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    Some((request, headers))
}
