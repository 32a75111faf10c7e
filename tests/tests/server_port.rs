//! The server port, as agents use it and as nobody should.

use bytes::Bytes;
use lictor_core::rpc::message::{self, AnswerHead, Reader};
use lictor_core::rpc::yamux::{Event, Session, Side, StreamId};
use lictor_core::time::Instant;
use lictor_core::wire::{Tree, msgpack};
use lictor_tests::{Server, wait};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An agent's end of one connection; each call on a stream of its own.
struct Agent {
    stream: TcpStream,
    session: Session,
    readers: BTreeMap<StreamId, Reader>,
    seq: u64,
}

type Answer = Result<Tree, String>;

impl Agent {
    fn connect(port: u16) -> Agent {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream.write_all(&[4]).expect("it is open");
        let session = Session::new(Side::Client, Instant::ZERO);
        Agent { stream, session, readers: BTreeMap::new(), seq: 0 }
    }

    fn start(&mut self, method: &str, arguments: &Tree) -> StreamId {
        self.seq += 1;
        let id = self.session.open().expect("a stream");
        self.readers.insert(id, Reader::default());
        self.session.send(id, message::call(self.seq, method, arguments));
        self.write();
        id
    }

    fn write(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.stream.write_all(&bytes).expect("the server reads");
        }
    }

    /// The next answer on any stream.
    fn next(&mut self) -> (StreamId, Answer) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            for (id, reader) in &mut self.readers {
                if let Some((head, body)) = reader.next_message::<AnswerHead>().expect("an answer") {
                    let body = msgpack::from_slice(&body).expect("msgpack");
                    return (*id, if head.error.is_empty() { Ok(body) } else { Err(head.error) });
                }
            }
            let read = self.stream.read(&mut buffer).expect("an answer in time");
            assert!(read > 0, "the server closed the connection");
            self.session.receive(Bytes::copy_from_slice(&buffer[..read])).expect("yamux");
            while let Some(event) = self.session.poll_event() {
                if let Event::Data(id, bytes) = event {
                    self.session.taken(id, bytes.len());
                    self.readers.get_mut(&id).expect("a stream of ours").receive(&bytes);
                }
            }
            self.write();
        }
    }

    fn ask(&mut self, method: &str, arguments: &Tree) -> Answer {
        let asked = self.start(method, arguments);
        let (answered, answer) = self.next();
        assert_eq!(answered, asked);
        answer
    }
}

fn text(text: &str) -> Tree {
    Tree::Raw(text.into())
}

fn map(pairs: &[(&str, Tree)]) -> Tree {
    Tree::Map(pairs.iter().map(|(name, value)| (text(name), value.clone())).collect())
}

fn index(answer: &Answer) -> u64 {
    match answer.as_ref().expect("an answer").get("Index") {
        Some(Tree::UInt(index)) => *index,
        other => panic!("no index but {other:?}"),
    }
}

#[test]
fn an_agent_registers_reads_and_waits_for_a_change_over_one_connection() {
    let server = Server::start("server-port", "");
    let mut agent = Agent::connect(server.rpc);
    assert_eq!(agent.ask("Status.Ping", &map(&[])), Ok(map(&[])));
    assert_eq!(agent.ask("Status.Leader", &map(&[])), Ok(text(&format!("127.0.0.1:{}", server.rpc))));
    let check = map(&[
        ("Node", text("agent1")),
        ("CheckID", text("service:web1")),
        ("ServiceID", text("web1")),
        ("Status", text("passing")),
    ]);
    let register = |status: &str| {
        let mut check = check.clone();
        if let Tree::Map(fields) = &mut check {
            fields.push((text("Output"), text(status)));
        }
        map(&[
            ("Datacenter", text("dc1")),
            ("Node", text("agent1")),
            ("Address", text("10.0.0.1")),
            ("Service", map(&[("ID", text("web1")), ("Service", text("web")), ("Port", Tree::UInt(80))])),
            ("Check", check),
        ])
    };
    assert_eq!(agent.ask("Catalog.Register", &register("one")), Ok(map(&[])));
    assert!(server.get("/v1/health/service/web").text().contains("agent1"));

    let web = |index| map(&[("ServiceName", text("web")), ("MinQueryIndex", Tree::UInt(index))]);
    let first = agent.ask("Health.ServiceNodes", &web(0));
    let waiting = agent.start("Health.ServiceNodes", &web(index(&first)));
    assert_eq!(agent.ask("Status.Ping", &map(&[])), Ok(map(&[])), "the others do not wait");
    let writing = agent.start("Catalog.Register", &register("two"));
    let mut answers = BTreeMap::from([agent.next(), agent.next()]);
    assert_eq!(answers.remove(&writing), Some(Ok(map(&[]))));
    assert!(index(&answers.remove(&waiting).expect("woken")) > index(&first));

    let unknown = agent.ask("Intention.Apply", &map(&[]));
    assert_eq!(unknown, Err("rpc: can't find method Intention.Apply".into()));
    let elsewhere = agent.ask("Catalog.ListNodes", &map(&[("Datacenter", text("dc9"))]));
    assert_eq!(elsewhere, Err("No path to datacenter".into()));
}

/// Whether the server closes the connection after these bytes, having said what it has to say.
fn is_closed_after(port: u16, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let _ = stream.write_all(bytes);
    let mut all = Vec::new();
    let ended = stream.read_to_end(&mut all);
    ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
}

fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Vec<u8> {
    [&[0, kind, 0, flags][..], &stream.to_be_bytes(), &length.to_be_bytes()].concat()
}

#[test]
fn what_is_no_agent_is_sent_away_and_agents_are_answered_meanwhile() {
    let server = Server::start("server-port-bad", r#"{"limits": {"rpc_handshake_timeout": "500ms"}}"#);
    let mut agent = Agent::connect(server.rpc);
    let first_bytes = [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01", b"\x01", b"\x08", b"L", b"\xff"];
    for bytes in first_bytes {
        assert!(is_closed_after(server.rpc, bytes), "{bytes:?}");
    }
    assert!(is_closed_after(server.rpc, b""), "nothing is said at all");
    let told = server.log().matches("connection refused").count();
    assert_eq!(told, 1, "the log hears of a peer once:\n{}", server.log());

    // Not yamux; a window exceeded; a stream with a number of ours.
    for bytes in [vec![9; 64], [frame(1, 1, 1, 0), frame(0, 0, 1, u32::MAX)].concat(), frame(1, 1, 2, 0)] {
        assert!(is_closed_after(server.rpc, &[&[4][..], &bytes].concat()), "{bytes:?}");
    }
    assert_eq!(agent.ask("Status.Ping", &map(&[])), Ok(map(&[])));

    // Msgpack that lies: lengths without bytes, and nesting without end. It ends its own stream only.
    let mut hostile = TcpStream::connect(("127.0.0.1", server.rpc)).expect("the server listens");
    hostile.write_all(&[4]).expect("open");
    for (stream, bomb) in [
        (1, vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        (3, vec![0x91; 100_000]),
        (5, vec![0xdb, 0xff, 0xff, 0xff, 0xff]),
        (7, vec![0xc1; 10]),
    ] {
        let length = bomb.len() as u32;
        let bytes = [frame(1, 1, stream, 0), frame(0, 0, stream, length), bomb].concat();
        hostile.write_all(&bytes).expect("the connection goes on");
    }
    // More streams than one connection may have.
    for stream in 0..5000 {
        hostile.write_all(&frame(1, 1, 9 + 2 * stream, 0)).expect("the connection goes on");
    }
    hostile.write_all(&frame(2, 1, 0, 77)).expect("the connection goes on");
    let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
    let pong = frame(2, 2, 0, 77);
    while !got.windows(12).any(|part| part == pong) {
        let read = hostile.read(&mut buffer).expect("it answers");
        assert!(read > 0, "the connection is closed");
        got.extend_from_slice(&buffer[..read]);
    }
    let refused = got.windows(12).filter(|part| part[..4] == [0, 1, 0, 8]).count();
    assert!(refused >= 900, "{refused} streams were refused");
    assert_eq!(agent.ask("Status.Ping", &map(&[])), Ok(map(&[])));
}

/// How many calls and connections went wrong in the server.
fn errors(server: &Server) -> u64 {
    let metrics = server.get("/v1/agent/metrics?format=prometheus").text();
    let points = lictor_tests::prometheus::parse(&metrics).expect("metrics");
    let counter = points.iter().find(|p| p.name == "consul_rpc_request_error");
    counter.expect("the counter").value as u64
}

#[test]
fn whatever_is_sent_away_is_counted_each_time_and_said_once() {
    let extra = r#"{"telemetry": {"prometheus_retention_time": "60s", "disable_hostname": true},
        "limits": {"rpc_handshake_timeout": "500ms"}}"#;
    let ours = |bytes: &[u8]| [&[4], bytes].concat();
    let unread = [frame(1, 1, 1, 0), frame(0, 0, 1, 10), vec![0xc1; 10]].concat();
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "unrecognized RPC byte"),
        ("no yamux", ours(&[9; 64]), "version 9 is not supported"),
        ("more than the window", ours(&[frame(1, 1, 1, 0), frame(0, 0, 1, u32::MAX)].concat()), "its window"),
        ("no call", ours(&[unread, frame(3, 0, 0, 1)].concat()), "rpc: "),
        ("gRPC without HTTP/2", b"\x08GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "gRPC without"),
        ("a server of another version", b"L\x07".to_vec(), "version 7 of the server protocol"),
        ("a server that looks for another", b"L\x01\x01x\x01y".to_vec(), "looks for server x here"),
        ("a server with an ID that is no text", b"L\x01\x01\xff\x01y".to_vec(), "is no text"),
    ];
    for (what, bytes, words) in cases {
        let server = Server::start("server-port-counted", extra);
        let before = errors(&server);
        for _ in 0..20 {
            assert!(is_closed_after(server.rpc, &bytes), "{what}");
        }
        assert!(wait(|| errors(&server) == before + 20), "{what}: {} of 20", errors(&server) - before);
        let log = server.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("connection refused")).collect();
        assert!(matches!(lines[..], [line] if line.contains(words)), "{what}: {lines:#?}");
    }
}

#[test]
fn calls_that_never_end_take_bounded_memory_over_all_connections() {
    let server = Server::start("server-port-memory", "");
    let Some(at_rest) = lictor_tests::process::memory(server.pid()) else {
        println!("SKIPPED: the system does not tell a process's memory");
        return;
    };
    // A call of 60 MB each, less its last bytes, in pieces within the window of its stream.
    let mut held = Vec::new();
    let mut refused = 0;
    let piece = vec![0; 64 << 10];
    for _ in 0..16 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.rpc)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut head = message::call(1, "Status.Ping", &Tree::Nil).to_vec();
        head.pop();
        head.extend_from_slice(&[0xdb, 0x03, 0x93, 0x87, 0x00]);
        let begin = [vec![4], frame(1, 1, 1, 0), frame(0, 0, 1, head.len() as u32), head].concat();
        let mut window = 256 << 10;
        let sent = (|| {
            stream.write_all(&begin)?;
            for _ in 0..55 << 4 {
                while window < piece.len() + 256 {
                    let mut update = [0; 12];
                    stream.read_exact(&mut update)?;
                    if update[1] == 1 {
                        window += u32::from_be_bytes([update[8], update[9], update[10], update[11]]) as usize;
                    }
                }
                stream.write_all(&frame(0, 0, 1, piece.len() as u32))?;
                stream.write_all(&piece)?;
                window -= piece.len();
            }
            std::io::Result::Ok(())
        })();
        match sent {
            Ok(()) => held.push(stream),
            Err(_) => refused += 1,
        }
    }
    let now = lictor_tests::process::memory(server.pid()).unwrap_or(0);
    println!("{} held, {refused} refused; {} KiB at rest, {} KiB now", held.len(), at_rest >> 10, now >> 10);
    assert!(refused > 0, "880 MiB of calls were all taken");
    assert!(now < at_rest + (900 << 20), "memory is not bounded");
    assert_eq!(server.put("/v1/kv/small", "x").text(), "true");
    let mut agent = Agent::connect(server.rpc);
    assert_eq!(agent.ask("Status.Ping", &map(&[])), Ok(map(&[])), "others are answered");
    assert!(server.log().contains("too many large calls at once"), "{}", server.log());
}

#[test]
fn one_address_has_so_many_connections_and_gets_them_back() {
    let server = Server::start("server-port-many", r#"{"limits": {"rpc_max_conns_per_client": 5}}"#);
    let mut kept: Vec<Agent> = (0..5).map(|_| Agent::connect(server.rpc)).collect();
    for agent in &mut kept {
        assert_eq!(agent.ask("Status.Ping", &map(&[])), Ok(map(&[])));
    }
    assert!(is_closed_after(server.rpc, &[4]));
    drop(kept);
    assert!(wait(|| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.rpc)).expect("the server listens");
        let _ = stream.write_all(&[&[4][..], &frame(2, 1, 0, 1)].concat());
        let mut pong = [0; 12];
        stream.read_exact(&mut pong).is_ok()
    }));
}
