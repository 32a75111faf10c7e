//! The gossip port, as members use it and as nobody should.

use lictor_core::gossip::wire::{
    Alive, Envelope, Key, Keyring, Label, Message, StreamMessage, StreamReader, Suspect,
};
use lictor_core::gossip::{VSN, encode_tags};
use lictor_core::rng::{Rng, Seed};
use lictor_tests::http::connect_from;
use lictor_tests::prometheus::{Point, parse};
use lictor_tests::{Server, process, wait};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

const TELEMETRY: &str = r#"{"telemetry": {"prometheus_retention_time": "60s", "disable_hostname": true}}"#;

fn scrape(server: &Server) -> Vec<Point> {
    parse(&server.get("/v1/agent/metrics?format=prometheus").text()).expect("metrics")
}

/// The value of a series; 0 where it is not there.
fn value(points: &[Point], name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |p: &&Point| labels.iter().all(|(k, v)| p.labels.get(*k).is_some_and(|found| found == v));
    points.iter().filter(|p| p.name == name).find(has).map_or(0.0, |p| p.value)
}

fn seal(envelope: &Envelope, message: &[u8]) -> Vec<u8> {
    envelope.seal(message, false, &mut Rng::new(Seed::from_u64(1)))
}

/// Why the other end of a stream refused, if it said so.
fn told(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    match StreamReader::new(false).push(&bytes, &Envelope::default()) {
        Ok(Some(StreamMessage::Error(why))) => why,
        other => format!("{other:?}"),
    }
}

#[test]
fn packets_and_streams_that_are_no_gossip_are_counted_each_time_and_said_once() {
    let mut server = Server::start("gossip-port", TELEMETRY);
    let at_rest = process::memory(server.pid()).unwrap_or(0);
    let clear = Envelope::default();
    let sealed = Envelope {
        keyring: Keyring::new([Key::new(&[7; 16]).expect("16 bytes")]).expect("one key"),
        ..Envelope::default()
    };
    let elsewhere = Envelope { label: Label::new("other").expect("short"), ..Envelope::default() };
    let suspect = Message::Suspect(Suspect { from: "x".into(), node: "n1".into(), incarnation: 0 }).encode();
    let tags = [("role", "node"), ("dc", "elsewhere"), ("id", "x")].map(|(k, v)| (k.into(), v.into()));
    let stranger = Alive {
        meta: encode_tags(&tags.into()).expect("short").into(),
        addr: vec![127, 0, 0, 9].into(),
        node: "stranger".into(),
        port: 8301,
        incarnation: 1,
        vsn: VSN.to_vec().into(),
    };
    let cases: [(&str, Vec<u8>); 6] = [
        ("type", b"\xfa\x01\x02".to_vec()),
        ("body", vec![4, 0xc1, 0xff]),
        ("label", seal(&elsewhere, &suspect)),
        ("checksum", vec![12, 1, 2, 3, 4, 5]),
        ("admission", seal(&clear, &Message::Alive(stranger).encode())),
        ("truncated", seal(&clear, &suspect)[..suspect.len() / 2].to_vec()),
    ];
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for (kind, packet) in &cases {
        let sent = || (0..20).for_each(|_| drop(socket.send_to(packet, ("127.0.0.1", server.serf))));
        let before = server.log().matches("refused").count() + server.log().matches("ignoring").count();
        let labels = [("kind", *kind), ("network", "lan")];
        sent();
        let counted = || value(&scrape(&server), "consul_gossip_refused", &labels);
        assert!(wait(|| counted() >= 20.0), "{kind}: {} of 20: {}", counted(), server.log());
        let lines = server.log().matches("refused").count() + server.log().matches("ignoring").count();
        assert_eq!(lines, before + 1, "{kind}: the log hears of it once:\n{}", server.log());
    }
    // What is sealed is no message to whoever has no key.
    let _ = socket.send_to(&seal(&sealed, &suspect), ("127.0.0.1", server.serf));
    for _ in 0..20 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.serf)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let told = told(&mut stream);
        assert!(told.contains("not supported"), "{told}");
    }
    let points = scrape(&server);
    let lan = [("network", "lan")];
    assert!(value(&points, "consul_memberlist_tcp_accept", &lan) >= 20.0);
    assert!(value(&points, "consul_memberlist_tcp_sent", &lan) > 0.0);
    assert!(value(&points, "consul_memberlist_udp_received", &lan) >= 20.0 * 30.0);
    let alive = [("network", "lan"), ("node_state", "alive")];
    assert_eq!(value(&points, "consul_memberlist_node_instances", &alive), 1.0, "nobody was let in");
    assert_eq!(server.get("/v1/agent/members").json().as_array().map(Vec::len), Some(1));
    assert!(server.runs());
    let now = process::memory(server.pid()).unwrap_or(0);
    assert!(now <= at_rest + (64 << 20), "memory is not bounded");
}

#[test]
fn more_streams_than_there_is_room_for_are_closed_and_members_get_in_again() {
    let server = Server::start("gossip-streams", TELEMETRY);
    let silent: Vec<TcpStream> =
        (0..300).filter_map(|_| TcpStream::connect(("127.0.0.1", server.serf)).ok()).collect();
    assert!(silent.len() > 200, "{} connections", silent.len());
    let streams = [("kind", "streams"), ("network", "lan")];
    assert!(wait(|| value(&scrape(&server), "consul_gossip_refused", &streams) > 0.0), "all were taken");
    assert_eq!(server.get("/v1/status/leader").status, 200);
    // They are of one address: there is room for another.
    let mut other = connect_from([127, 0, 0, 78], server.serf).expect("it listens");
    other.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let _ = other.write_all(b"nonsense");
    assert!(told(&mut other).contains("not supported"));
    // Whoever says nothing is closed after a while, though he stays.
    assert!(wait(|| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.serf)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let _ = stream.write_all(b"nonsense");
        told(&mut stream).contains("not supported")
    }));
    drop(silent);
}

#[test]
fn the_counts_of_gossip_have_consuls_names() {
    let first = Server::start("gossip-counts", TELEMETRY);
    let extra = format!(
        r#"{{"server": false, "bootstrap_expect": 0, "node_name": "n2", "retry_join": ["127.0.0.1:{}"]}}"#,
        first.serf
    );
    let mut second = Server::prepare("gossip-counts-2", &extra);
    second.launch();
    assert!(wait(|| first.get("/v1/agent/members").json().as_array().map(Vec::len) == Some(2)));
    let lan = [("network", "lan")];
    assert!(wait(|| value(&scrape(&first), "consul_memberlist_udp_sent", &lan) > 0.0));
    let points = scrape(&first);
    for name in [
        "consul_memberlist_udp_received",
        "consul_memberlist_tcp_accept",
        "consul_memberlist_tcp_sent",
        "consul_memberlist_msg_alive",
        "consul_serf_member_join",
    ] {
        assert!(value(&points, name, &lan) >= 1.0, "{name}");
    }
    let status = |name: &str, points: &[Point]| {
        value(points, "consul_serf_member_status", &[("member", name), ("network", "lan")])
    };
    assert_eq!((status("n1", &points), status("n2", &points)), (1.0, 1.0));
    let agents = |points: &[Point]| value(points, "consul_members_clients", &[("datacenter", "dc1")]);
    assert_eq!(agents(&points), 1.0);
    assert_eq!(value(&points, "consul_members_servers", &[("datacenter", "dc1")]), 1.0);
    let event = first.put("/v1/event/fire/deploy", "now");
    assert_eq!(event.status, 200, "{}", event.text());
    assert!(wait(|| value(&scrape(&first), "consul_serf_events", &lan) >= 1.0));
    second.kill();
    assert!(wait(|| value(&scrape(&first), "consul_serf_member_failed", &lan) == 1.0));
    let points = scrape(&first);
    assert_eq!((status("n2", &points), agents(&points)), (4.0, 0.0));
    assert!(value(&points, "consul_memberlist_msg_suspect", &lan) >= 1.0);
    assert!(value(&points, "consul_memberlist_msg_dead", &lan) >= 1.0);
    let dead = [("network", "lan"), ("node_state", "dead")];
    assert_eq!(value(&points, "consul_memberlist_node_instances", &dead), 1.0);
}
