//! What a real Consul agent and server said to each other, read by our end of the connection.

use bytes::Bytes;
use lictor_core::rpc::message::{AnswerHead, CallHead, Reader};
use lictor_core::rpc::yamux::{Event, Session, Side, StreamId};
use lictor_core::rpc::{FirstByte, message};
use lictor_core::time::Instant;
use lictor_core::wire::{Tree, msgpack};
use std::collections::BTreeMap;

const RECORDED: &str = include_str!("recorded/agent.rpc");

struct Connection {
    /// Who sent it (`true`: who dialled), and what.
    pieces: Vec<(bool, Bytes)>,
}

fn unhex(text: &str) -> Bytes {
    let digit = |c: u8| (c as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
}

fn connections() -> Vec<Connection> {
    let mut all: Vec<Connection> = Vec::new();
    for line in RECORDED.lines() {
        match line.split_at(1) {
            ("=", _) => all.push(Connection { pieces: Vec::new() }),
            (mark @ (">" | "<"), hex) => {
                all.last_mut().expect("in a connection").pieces.push((mark == ">", unhex(hex.trim())));
            }
            _ => {}
        }
    }
    all
}

fn first_byte(connection: &Connection) -> Option<FirstByte> {
    FirstByte::of(connection.pieces[0].1[0])
}

/// Everything that one side sent, by stream; `part` bytes at a time.
fn by_stream(connection: &Connection, from_dialler: bool, part: usize) -> BTreeMap<StreamId, Vec<u8>> {
    let side = if from_dialler { Side::Server } else { Side::Client };
    let mut session = Session::new(side, Instant::ZERO);
    let mut all: Vec<u8> =
        connection.pieces.iter().filter(|p| p.0 == from_dialler).flat_map(|p| p.1.to_vec()).collect();
    if from_dialler {
        all.remove(0);
    } else {
        // The answers are for streams that we opened.
        for _ in 0..3 {
            session.open().expect("a new session");
        }
    }
    let mut streams: BTreeMap<StreamId, Vec<u8>> = BTreeMap::new();
    for bytes in all.chunks(part) {
        session.receive(Bytes::copy_from_slice(bytes)).expect("what a real Consul sends");
        while session.poll_transmit().is_some() {}
        while let Some(event) = session.poll_event() {
            if let Event::Data(id, bytes) = event {
                session.taken(id, bytes.len());
                streams.entry(id).or_default().extend_from_slice(&bytes);
            }
        }
    }
    streams
}

fn messages<H: for<'de> serde::Deserialize<'de>>(stream: &[u8]) -> Vec<(H, Bytes)> {
    let mut reader = Reader::default();
    let mut all = Vec::new();
    for part in stream.chunks(100) {
        reader.receive(part);
        while let Some(message) = reader.next_message().expect("what a real Consul sends") {
            all.push(message);
        }
    }
    assert!(reader.is_empty(), "a message was cut");
    all
}

#[test]
fn the_first_byte_tells_calls_streaming_and_snapshots_apart() {
    let kinds: Vec<_> = connections().iter().map(first_byte).collect();
    assert_eq!(kinds, [Some(FirstByte::Grpc), Some(FirstByte::Mux), Some(FirstByte::Snapshot)]);
}

#[test]
fn every_call_of_a_consul_agent_is_read_and_written_again_byte_for_byte() {
    let calls = &connections()[1];
    let mut methods = Vec::new();
    for part in [1, 13, 4096] {
        methods.clear();
        for (_, stream) in by_stream(calls, true, part) {
            let mut again = Vec::new();
            for (head, body) in messages::<CallHead>(&stream) {
                // Maps keep their order in a tree, so the bytes are the same again.
                let arguments: Tree = msgpack::from_slice(&body).expect("what a real Consul sends");
                again.extend_from_slice(&message::call(head.seq, &head.service_method, &arguments));
                methods.push(head.service_method);
            }
            assert!(again == stream, "written differently");
        }
    }
    assert_eq!(methods.len(), 42);
    for method in
        ["Catalog.NodeServiceList", "Catalog.Register", "Health.ServiceNodes", "KVS.Apply", "Txn.Read"]
    {
        assert!(methods.iter().any(|m| m == method), "{method}");
    }
}

#[test]
fn every_answer_of_a_consul_server_is_read_and_written_again_byte_for_byte() {
    let calls = &connections()[1];
    let mut answers = BTreeMap::new();
    for (_, stream) in by_stream(calls, false, 1000) {
        let mut again = Vec::new();
        for (head, body) in messages::<AnswerHead>(&stream) {
            let to = CallHead { seq: head.seq, service_method: head.service_method.clone() };
            if head.error.is_empty() {
                let result: Tree = msgpack::from_slice(&body).expect("what a real Consul sends");
                again.extend_from_slice(&message::answer(&to, &result));
            } else {
                again.extend_from_slice(&message::failure(&to, &head.error));
            }
            answers.insert(head.seq, head.error);
        }
        assert!(again == stream, "written differently");
    }
    assert_eq!(answers.len(), 42);
    assert_eq!(answers[&40], "No path to datacenter");
    assert!(answers[&39].starts_with("Failed to create boolean expression evaluator"));
}
