//! Clients that misbehave: too many, too slow, half a request, nonsense, gone.
//!
//! `MADSIM_TEST_SEED` is the first seed, `MADSIM_TEST_NUM` how many.

use lictor_sim::mad::client::Client;
use lictor_sim::mad::load::PATIENCE;
use lictor_sim::mad::server::Server;
use lictor_sim::mad::world::{World, sweep};
use madsim::net::TcpStream;
use madsim::time::{Instant, sleep, timeout};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FILE: &str = "mad_clients";

/// A started server that takes ten connections from each client.
async fn started(world: &mut World) -> Server {
    let mut server = Server::new(world, |config| config.http.max_conns_per_client = 10);
    server.start();
    sleep(Duration::from_millis(100)).await;
    server
}

/// Sends bytes, then reads until the server closes.
async fn raw(server: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).await.expect("the server listens");
    stream.write_all(bytes).await.expect("sent");
    stream.flush().await.expect("sent");
    let mut answer = Vec::new();
    let _ =
        timeout(Duration::from_secs(120), stream.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn answers(client: &mut Client) {
    let get = client.ask("GET", "/v1/status/leader", "", PATIENCE).await;
    assert_eq!(get.map(|a| a.status), Ok(200));
}

#[test]
fn a_client_over_its_connections_is_refused_alone_and_only_while_it_is() {
    sweep(
        FILE,
        "a_client_over_its_connections_is_refused_alone_and_only_while_it_is",
        2,
        |mut world| async move {
            let server = started(&mut world).await;
            let address = server.address(0);
            let (greedy, _) = world.machine("greedy");
            let (modest, _) = world.machine("modest");
            let mut other = Client::new("modest", address, &world.trace);
            let held = greedy.spawn(async move {
                let mut held = Vec::new();
                for _ in 0..10 {
                    held.push(TcpStream::connect(address).await.expect("the server listens"));
                }
                sleep(Duration::from_millis(50)).await;
                let refused = raw(address, b"").await;
                assert!(refused.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refused}");
                held
            });
            let held = held.await.expect("no panic");
            modest.spawn(async move { answers(&mut other).await }).await.expect("no panic");
            drop(held);
            sleep(Duration::from_millis(100)).await;
            let mut client = Client::new("greedy", address, &world.trace);
            greedy.spawn(async move { answers(&mut client).await }).await.expect("no panic");
        },
    );
}

#[test]
fn half_a_request_is_given_up_and_nobody_else_waits_for_it() {
    sweep(FILE, "half_a_request_is_given_up_and_nobody_else_waits_for_it", 2, |mut world| async move {
        let server = started(&mut world).await;
        let address = server.address(0);
        let (slow, _) = world.machine("slow");
        let (quick, _) = world.machine("quick");
        let headers = slow.spawn(async move {
            let begin = Instant::now();
            let answer = raw(address, b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nX-Half: ").await;
            (answer, begin.elapsed())
        });
        let body = slow.spawn(async move {
            let begin = Instant::now();
            let head = b"PUT /v1/kv/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345";
            let mut stream = TcpStream::connect(address).await.expect("the server listens");
            stream.write_all(head).await.expect("sent");
            stream.flush().await.expect("sent");
            let mut answer = vec![0; 1024];
            let n = timeout(Duration::from_secs(120), stream.read(&mut answer)).await.expect("an answer");
            let n = n.expect("an answer");
            (String::from_utf8_lossy(&answer[..n]).into_owned(), begin.elapsed())
        });
        let mut client = Client::new("quick", address, &world.trace);
        let others = quick.spawn(async move {
            for _ in 0..20 {
                let begin = Instant::now();
                answers(&mut client).await;
                assert!(begin.elapsed() < Duration::from_millis(200), "it waited for a slow client");
                sleep(Duration::from_secs(4)).await;
            }
            let get = client.ask("GET", "/v1/kv/half", "", PATIENCE).await;
            assert_eq!(get.map(|a| a.status), Ok(404), "half a write is none");
        });
        let (answer, after) = headers.await.expect("no panic");
        assert!(after > Duration::from_secs(25) && after < Duration::from_secs(40), "{after:?} {answer}");
        let (answer, after) = body.await.expect("no panic");
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(after > Duration::from_secs(55) && after < Duration::from_secs(70), "{after:?}");
        others.await.expect("no panic");
    });
}

#[test]
fn what_is_too_large_or_not_http_is_refused_and_the_server_goes_on() {
    sweep(
        FILE,
        "what_is_too_large_or_not_http_is_refused_and_the_server_goes_on",
        2,
        |mut world| async move {
            let server = started(&mut world).await;
            let address = server.address(1);
            let (machine, _) = world.machine("client");
            let noise: Vec<u8> = (0..2000).map(|_| world.rng.next_u64() as u8).collect();
            let mut client = Client::new("client", address, &world.trace);
            let work = machine.spawn(async move {
            let large = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(2 << 20));
            let answer = raw(address, large.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"), "{answer}");
            let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(2000));
            let answer = raw(address, many.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
            let length = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n";
            let answer = raw(address, length).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
            let answer = raw(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            assert!(!answer.contains(" 200 "), "{answer}");
            let mut noise = noise;
            noise.extend_from_slice(b"\r\n\r\n");
            let answer = raw(address, &noise).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
            answers(&mut client).await;
        });
            work.await.expect("no panic");
        },
    );
}

#[test]
fn clients_that_leave_in_the_middle_leave_nothing_behind() {
    sweep(FILE, "clients_that_leave_in_the_middle_leave_nothing_behind", 2, |mut world| async move {
        let server = started(&mut world).await;
        let (machine, _) = world.machine("clients");
        for round in 0..30_u16 {
            let mut clients = Vec::new();
            for i in 0..8_u16 {
                let mut client = Client::new(format!("client{i}"), server.address(i), &world.trace);
                let patience = world.pause(1, 60);
                clients.push(machine.spawn(async move {
                    let target = match i % 3 {
                        0 => format!("/v1/kv/none?index=1000000&wait=300s&round={round}"),
                        1 => "/v1/kv/?recurse&consistent".to_owned(),
                        _ => format!("/v1/kv/{round}"),
                    };
                    let method = if i % 3 == 2 { "PUT" } else { "GET" };
                    let _ = client.ask(method, &target, "x", patience).await;
                }));
            }
            for client in clients {
                client.await.expect("no panic");
            }
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.pending(), Some(0), "requests that wait for nobody");
        let mut client = Client::new("last", server.address(0), &world.trace);
        machine.spawn(async move { answers(&mut client).await }).await.expect("no panic");
    });
}
