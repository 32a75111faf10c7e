//! Names outside our domains: forwarded to recursors, in order, over the client's transport; and host
//! names that stand for instances, followed to their addresses.

use lictor_tests::Server;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const A: u16 = 1;
const SRV: u16 = 33;

/// A question in wire form.
fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).expect("a label"));
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend(1u16.to_be_bytes());
    packet
}

/// The reply to `query` with this code, and 192.0.2.7 if there is no error.
fn reply(query: &[u8], code: u8) -> Vec<u8> {
    let mut packet = query.to_vec();
    packet[2] |= 0x80;
    packet[3] = 0x80 | code;
    if code == 0 {
        packet[7] = 1;
        packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    }
    packet
}

/// A resolver on loopback that answers every question with `code`, after a forged reply if asked to.
fn resolver(code: u8, forges: bool) -> String {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = udp.local_addr().expect("bound");
    let tcp = TcpListener::bind(at).expect("the same port over TCP");
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((n, from)) = udp.recv_from(&mut packet) {
            if forges {
                let mut forged = reply(&packet[..n], 0);
                forged[0] ^= 0xff;
                let _ = udp.send_to(&forged, from);
            }
            let _ = udp.send_to(&reply(&packet[..n], code), from);
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let mut head = [0; 2];
            while stream.read_exact(&mut head).is_ok() {
                let mut query = vec![0; usize::from(u16::from_be_bytes(head))];
                if stream.read_exact(&mut query).is_err() {
                    break;
                }
                let told = reply(&query, code);
                let _ = stream.write_all(&u16::try_from(told.len()).expect("short").to_be_bytes());
                let _ = stream.write_all(&told);
            }
        }
    });
    at.to_string()
}

fn over_udp(server: &Server, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    socket.send_to(query, ("127.0.0.1", server.dns)).expect("sent");
    let mut packet = vec![0; 4096];
    let n = socket.recv(&mut packet).expect("an answer");
    packet.truncate(n);
    packet
}

fn over_tcp(server: &Server, query: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.dns)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(&u16::try_from(query.len()).expect("short").to_be_bytes()).expect("sent");
    stream.write_all(query).expect("sent");
    let mut head = [0; 2];
    stream.read_exact(&mut head).expect("an answer");
    let mut packet = vec![0; usize::from(u16::from_be_bytes(head))];
    stream.read_exact(&mut packet).expect("the whole of it");
    packet
}

fn code(packet: &[u8]) -> u8 {
    packet[3] & 15
}

fn holds(packet: &[u8], bytes: &[u8]) -> bool {
    packet.windows(bytes.len()).any(|w| w == bytes)
}

#[test]
fn a_foreign_name_is_answered_by_the_first_recursor_that_answers() {
    let config = format!(
        r#"{{"recursors": ["{}", "{}"], "dns_config": {{"recursor_timeout": "20s"}}}}"#,
        resolver(2, false),
        resolver(0, true)
    );
    let server = Server::start("recursors", &config);
    let query = question(77, "www.example.com", A);
    for told in [over_udp(&server, &query), over_tcp(&server, &query)] {
        assert_eq!(&told[..2], &77u16.to_be_bytes(), "the client's own number");
        assert_eq!(code(&told), 0);
        assert!(holds(&told, &[192, 0, 2, 7]));
    }
    // Our own names never leave the house.
    assert_eq!(code(&over_udp(&server, &question(78, "nothing.service.consul", A))), 3);
}

#[test]
fn when_every_recursor_fails_the_answer_is_server_failure() {
    let config = format!(r#"{{"recursors": ["{}", "{}"]}}"#, resolver(2, false), resolver(5, false));
    let server = Server::start("recursors-fail", &config);
    let query = question(5, "www.example.com", A);
    for told in [over_udp(&server, &query), over_tcp(&server, &query)] {
        assert_eq!((&told[..2], code(&told)), (&5u16.to_be_bytes()[..], 2));
        assert_eq!(told[3] & 0x80, 0x80, "recursion is available");
    }
}

#[test]
fn a_host_name_that_stands_for_an_instance_is_followed_to_its_address() {
    let server = Server::start("recursors-host", &format!(r#"{{"recursors": ["{}"]}}"#, resolver(0, false)));
    server.put(
        "/v1/catalog/register",
        r#"{"Node": "ext", "Address": "10.0.0.1",
            "Service": {"Service": "api", "Address": "api.example.com", "Port": 443}}"#,
    );
    let told = over_udp(&server, &question(1, "api.service.consul", A));
    assert_eq!((code(&told), u16::from_be_bytes([told[6], told[7]])), (0, 2), "the alias and its address");
    assert!(holds(&told, b"\x03api\x07example\x03com") && holds(&told, &[192, 0, 2, 7]));
    let told = over_udp(&server, &question(2, "api.service.consul", SRV));
    assert_eq!((told[7], told[11]), (1, 1), "one SRV record and the address of its target");
    assert!(holds(&told, &[192, 0, 2, 7]));
}
