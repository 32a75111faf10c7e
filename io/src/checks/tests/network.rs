//! TCP, UDP, HTTP/2 and gRPC.

use super::*;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::UdpSocket;

async fn udp(address: &str, timeout: Duration) -> CheckOutcome {
    run_probe(Probe::Udp { address: address.to_owned() }, timeout).await
}

#[tokio::test]
async fn any_udp_answer_passes_a_refusal_does_not_and_silence_is_no_news() {
    for answer in [b"".as_slice(), b"hello"] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (n, from) = socket.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(n, 0, "the question is empty");
            socket.send_to(answer, from).unwrap();
        });
        assert_eq!(udp(&address, LONG).await, passing(format!("UDP connect {address}: Success")));
    }
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    assert_eq!(udp(&address, Duration::from_millis(50)).await, CheckOutcome::Nothing);
    drop(silent);
    let (status, output) = parts(udp(&address, LONG).await);
    assert_eq!(status, "critical");
    let end = format!("->{address}: read: connection refused");
    assert!(output.starts_with("read udp 127.0.0.1:") && output.ends_with(&end), "{output}");
}

async fn tcp(address: String) -> CheckOutcome {
    run_probe(Probe::Tcp { address, tls: None }, LONG).await
}

#[tokio::test]
async fn a_tcp_connection_passes() {
    let port = server(drop);
    let address = format!("localhost:{port}");
    assert_eq!(tcp(address).await, passing(format!("TCP connect localhost:{port}: Success")));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = format!("dial tcp {closed}: connect: connection refused");
    assert_eq!(tcp(closed.to_string()).await, critical(refused));
}

/// A server of HTTP/2 whose answers are a gRPC status and a message.
async fn h2_server(status: Option<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(move |_: Request<hyper::body::Incoming>| async move {
                let answer = Response::builder().header("content-type", "application/grpc");
                Ok::<_, std::convert::Infallible>(match status {
                    Some(status) => {
                        answer.body(Full::new(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]))).unwrap()
                    }
                    None => answer
                        .header("grpc-status", "12")
                        .header("grpc-message", "unknown service")
                        .body(Full::default())
                        .unwrap(),
                })
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn h2ping(address: &str, timeout: Duration) -> CheckOutcome {
    run_probe(Probe::H2Ping { address: address.to_owned(), tls: None }, timeout).await
}

#[tokio::test]
async fn an_acknowledged_ping_passes_and_nothing_else_does() {
    let address = h2_server(Some(1)).await;
    assert_eq!(h2ping(&address, LONG).await, passing("HTTP2 ping was successful"));
    let mut held = Vec::new();
    let silent = format!("127.0.0.1:{}", server(move |stream| held.push(stream)));
    let late = h2ping(&silent, Duration::from_millis(100)).await;
    assert_eq!(late, critical("HTTP2 ping failed: context deadline exceeded"));
    let (port, _asked) = http_server(|_, _| ok("not HTTP/2"));
    let (status, output) = parts(h2ping(&format!("127.0.0.1:{port}"), LONG).await);
    assert!(status == "critical" && output.starts_with("HTTP2 ping failed: "), "{status} {output}");
}

#[tokio::test]
async fn only_serving_passes() {
    for (status, expected) in [
        (Some(1), passing("gRPC check A/web: success")),
        (Some(2), critical("gRPC A/web serving status: NOT_SERVING")),
        (None, critical("rpc error: code = Unimplemented desc = unknown service")),
    ] {
        let address = h2_server(status).await;
        let grpc = Probe::Grpc { address: address.clone(), service: "web".to_owned(), tls: None };
        let (status, output) = parts(run_probe(grpc, LONG).await);
        assert_eq!(found(status, output.replace(&address, "A")), expected);
    }
}
