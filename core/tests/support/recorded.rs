//! The recorded session of a real Consul agent and server, taken apart.
#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use lictor_core::rpc::FirstByte;
use lictor_core::rpc::message::Reader;
use lictor_core::rpc::yamux::{Event, Session, Side, StreamId};
use lictor_core::time::Instant;
use std::collections::BTreeMap;

const RECORDED: &str = include_str!("../recorded/agent.rpc");

pub(crate) struct Connection {
    /// Who sent it (`true`: who dialled), and what.
    pub(crate) pieces: Vec<(bool, Bytes)>,
}

fn unhex(text: &str) -> Bytes {
    let digit = |c: u8| (c as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
}

pub(crate) fn connections() -> Vec<Connection> {
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

pub(crate) fn first_byte(connection: &Connection) -> Option<FirstByte> {
    FirstByte::of(connection.pieces[0].1[0])
}

/// Everything that one side sent, by stream; `part` bytes at a time.
pub(crate) fn by_stream(
    connection: &Connection,
    from_dialler: bool,
    part: usize,
) -> BTreeMap<StreamId, Vec<u8>> {
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

pub(crate) fn messages<H: for<'de> serde::Deserialize<'de>>(stream: &[u8]) -> Vec<(H, Bytes)> {
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
