//! Probes against real servers on loopback.

mod http;
mod network;
mod tls;

use super::*;
use lictor_core::agent::ProbeTls;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Enough for any answer on a busy machine.
const LONG: Duration = Duration::from_secs(60);

async fn run_probe(probe: Probe, timeout: Duration) -> CheckOutcome {
    super::probe(&Arc::new(CheckSpec { probe, timeout, output_max: 4096 })).await
}

/// A GET without anything special; `adjust` makes it special.
fn get(url: &str) -> Probe {
    Probe::Http {
        url: url.to_owned(),
        method: "GET".to_owned(),
        headers: BTreeMap::new(),
        body: String::new(),
        disable_redirects: false,
        tls: ProbeTls::default(),
    }
}

fn parts(outcome: CheckOutcome) -> (&'static str, String) {
    match outcome {
        CheckOutcome::Found { status, output } => (status, output),
        other => panic!("{other:?}"),
    }
}

/// A server that hands each connection to `serve`.
fn server(mut serve: impl FnMut(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(&mut serve));
    port
}

/// A server that answers by path, and tells what it was asked.
fn http_server(answer: impl Fn(&str, u16) -> String + Send + 'static) -> (u16, Receiver<String>) {
    let (tell, asked) = channel();
    let port = server(move |mut stream| {
        let request = read_request(&mut stream);
        let path = request.split(' ').nth(1).unwrap_or("").to_owned();
        let own = stream.local_addr().unwrap().port();
        let _ = tell.send(request);
        let _ = stream.write_all(answer(&path, own).as_bytes());
    });
    (port, asked)
}

/// Head and body.
fn read_request(stream: &mut TcpStream) -> String {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().split_once("content-length: ").map_or(0, |(_, rest)| {
                rest.lines().next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0)
            });
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_cancelled_run_hangs_up_and_reports_nothing() {
    let (tell, heard) = channel();
    let port = server(move |mut stream| {
        let request = read_request(&mut stream);
        tell.send(request).unwrap();
        // Ends when the probe hangs up.
        let end = stream.read(&mut [0; 16]);
        tell.send(format!("{}", end.is_ok_and(|n| n > 0))).unwrap();
    });
    let (orders, orders_rx) = mpsc::unbounded_channel();
    let (inbox, mut inbox_rx) = mpsc::channel(8);
    let task = tokio::spawn(run(orders_rx, inbox));
    let probe = get(&format!("http://127.0.0.1:{port}/"));
    let spec = Arc::new(CheckSpec { probe, timeout: LONG, output_max: 4096 });
    orders.send(CheckOrder::Run(RunId(1), spec)).unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        heard.recv_timeout(LONG).unwrap();
        heard
    });
    let heard = heard.await.unwrap();
    orders.send(CheckOrder::Cancel(RunId(1))).unwrap();
    let end = tokio::task::spawn_blocking(move || heard.recv_timeout(LONG).unwrap()).await.unwrap();
    assert_eq!(end, "false", "nothing was sent after the request");
    drop(orders);
    task.await.unwrap();
    assert!(inbox_rx.recv().await.is_none(), "no outcome");
}
