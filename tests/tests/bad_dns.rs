//! What no resolver should send: format errors or silence, and the server goes on answering.

use lictor_tests::dns::{A, SRV, ask, ask_tcp, parse, query, udp};
use lictor_tests::{Server, process};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

/// Header with the given counts, then `rest`.
fn message(flags: u16, questions: u16, answers: u16, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![0x12, 0x34];
    for word in [flags, questions, answers, 0, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(rest);
    out
}

fn still_answers(server: &Server) {
    let answer = ask(server.dns, "consul.service.consul", A).expect("an answer");
    assert_eq!((answer.code, answer.records.len()), (0, 1));
    let answer = ask_tcp(server.dns, "consul.service.consul", SRV).expect("an answer");
    assert_eq!(answer.code, 0);
}

#[test]
fn broken_packets_get_a_format_error_or_nothing() {
    let mut server = Server::start("dns", "");
    assert!(lictor_tests::wait(|| ask(server.dns, "consul.service.consul", A).is_ok_and(|a| a.code == 0)));
    let before = server.holds();
    let end = [0, 0, 1, 0, 1];
    let name = |labels: &[u8]| [labels, &end].concat();
    let format_errors: Vec<(&str, Vec<u8>)> = vec![
        ("no question", message(0x100, 0, 0, &[])),
        ("two questions", message(0x100, 2, 0, &[name(b"\x01a"), name(b"\x01b")].concat())),
        ("more questions than bytes", message(0x100, 65_535, 0, &name(b"\x01a"))),
        ("a name that points at itself", message(0x100, 1, 0, &[0xc0, 12, 0, 1, 0, 1])),
        ("a loop behind a label", message(0x100, 1, 0, &[1, b'a', 0xc0, 12, 0, 1, 0, 1])),
        ("a pointer forward", message(0x100, 1, 0, &[0xc0, 0x40, 0, 1, 0, 1])),
        ("half a pointer", message(0x100, 1, 0, &[0xc0])),
        ("a label of 64", message(0x100, 1, 0, &name(&[&[64][..], &[b'a'; 64]].concat()))),
        ("a name of 300", message(0x100, 1, 0, &name(&[&[60][..], &[b'a'; 60]].concat().repeat(5)))),
        ("a label past the end", message(0x100, 1, 0, b"\x3fabc")),
        ("answers that are not there", message(0x100, 1, 5, &name(b"\x01a"))),
    ];
    for (what, packet) in format_errors {
        let reply = udp(server.dns, &packet, Duration::from_secs(30)).expect("a socket");
        let reply = reply.unwrap_or_else(|| panic!("{what}: no reply"));
        let answer = parse(&reply).unwrap_or_else(|| panic!("{what}: {reply:?}"));
        assert_eq!((answer.code, answer.records.len()), (1, 0), "{what}");
        assert_eq!(reply[..2], [0x12, 0x34], "{what}");
    }
    // Silence: what is too short to have an ID, and what is itself a reply.
    let short = Duration::from_millis(300);
    for packet in [&b""[..], b"x", b"\x12\x34\x01\0\0\x01\0\0\0\0\0", &message(0x8100, 1, 0, &name(b"\x01a"))]
    {
        assert_eq!(udp(server.dns, packet, short).expect("a socket"), None, "{packet:?}");
    }
    still_answers(&server);
    assert_eq!(server.holds(), before, "something changed");
    assert!(server.runs());
}

#[test]
fn noise_costs_no_memory_and_stops_nothing() {
    let mut server = Server::start("dns-noise", "");
    assert!(lictor_tests::wait(|| ask(server.dns, "consul.service.consul", A).is_ok_and(|a| a.code == 0)));
    let at_rest = process::memory(server.pid()).unwrap_or(0);
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    let good = query("consul.service.consul", SRV);
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise % below as u64) as usize
    };
    for round in 0..20_000 {
        // A good query with a few bytes changed, or nothing but noise, up to the largest datagram.
        let mut packet = good.clone();
        match round % 3 {
            0 => packet = (0..draw(600)).map(|_| draw(256) as u8).collect(),
            1 => packet.extend((0..if round % 1000 == 1 { 60_000 } else { draw(100) }).map(|i| i as u8)),
            _ => {}
        }
        for _ in 0..1 + draw(3) {
            if !packet.is_empty() {
                let at = draw(packet.len());
                packet[at] = draw(256) as u8;
            }
        }
        let _ = socket.send_to(&packet, ("127.0.0.1", server.dns));
    }
    still_answers(&server);
    assert!(server.runs());
    let now = process::memory(server.pid()).unwrap_or(0);
    println!("{} KiB at rest, {} KiB after 20,000 packets", at_rest >> 10, now >> 10);
    assert!(now <= at_rest + (64 << 20), "memory is not bounded");
}

#[test]
fn broken_streams_hold_up_nobody_and_idle_ones_are_closed() {
    let mut server = Server::start("dns-tcp", "");
    assert!(lictor_tests::wait(|| ask(server.dns, "consul.service.consul", A).is_ok_and(|a| a.code == 0)));
    let good = query("consul.service.consul", A);
    let frame = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let loops = message(0x100, 1, 0, &[0xc0, 12, 0, 1, 0, 1]);
    let mut open = Vec::new();
    for bytes in [
        b"\0".to_vec(),
        b"\0\0".to_vec(),
        b"\xff\xffhalf of a frame".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        frame(b"garbage garbage garbage"),
        frame(&loops),
        frame(&[good.clone(), vec![b'x'; 60_000]].concat()),
        [frame(b""), frame(&good), frame(&good)].concat(),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.dns)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream.write_all(&bytes).expect("sent");
        open.push(stream);
    }
    still_answers(&server);
    let last = open.last_mut().expect("there are some");
    for _ in 0..2 {
        let mut size = [0; 2];
        last.read_exact(&mut size).expect("the queries behind an empty frame are answered");
        let mut reply = vec![0; usize::from(u16::from_be_bytes(size))];
        last.read_exact(&mut reply).expect("whole");
        assert_eq!(parse(&reply).map(|a| a.code), Some(0));
    }
    // Left alone, every one of them is closed from the other side.
    for mut stream in open {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_ok(), "still open: {ended:?}");
    }
    still_answers(&server);
    assert!(server.runs());
}
