//! What memberlist 0.5.0 wrote is read, and what it would have written is written.

use super::super::*;
use super::{rng, unhex, vector};
use bytes::Bytes;
use std::format;
use std::string::ToString;
use std::vec::Vec;

const LOOPBACK: &[u8] = &[127, 0, 0, 1];
const VSN: &[u8] = &[1, 5, 2, 2, 5, 4];

fn ping() -> Message {
    Message::Ping(Ping {
        node: "n1".into(),
        seq_no: 7,
        source_addr: Bytes::from_static(LOOPBACK),
        source_node: "n2".into(),
        source_port: 8301,
    })
}

fn alive() -> Message {
    Message::Alive(Alive {
        addr: Bytes::from_static(LOOPBACK),
        incarnation: 1,
        meta: Bytes::from_static(&[0xff, 0x80]),
        node: "n1".into(),
        port: 8301,
        vsn: Bytes::from_static(VSN),
    })
}

fn ack() -> Message {
    Message::Ack(Ack { payload: Bytes::from_static(&[1, 2, 3]), seq_no: 7 })
}

#[test]
fn messages_are_memberlists_to_the_byte() {
    let cases = [
        ("ping", ping()),
        ("ping_bare", Message::Ping(Ping { node: "n1".into(), seq_no: 70_000, ..Ping::default() })),
        (
            "indirect",
            Message::IndirectPing(IndirectPing {
                nack: true,
                node: "n1".into(),
                port: 8301,
                seq_no: 300,
                source_addr: Bytes::from_static(LOOPBACK),
                source_node: "n2".into(),
                source_port: 8301,
                target: Bytes::from_static(LOOPBACK),
            }),
        ),
        ("ack", ack()),
        ("nack", Message::Nack(Nack { seq_no: 9 })),
        ("suspect", Message::Suspect(Suspect { from: "n3".into(), incarnation: 2, node: "n1".into() })),
        ("dead", Message::Dead(Dead { from: "n1".into(), incarnation: 2, node: "n1".into() })),
        ("alive", alive()),
    ];
    for (name, message) in cases {
        assert_eq!(Message::decode(&vector(name)), Ok(message.clone()), "{name}");
        assert_eq!(message.encode(), vector(name), "{name}");
    }
}

#[test]
fn what_memberlist_leaves_nil_is_empty() {
    assert_eq!(
        Message::decode(&vector("ack_nil")),
        Ok(Message::Ack(Ack { payload: Bytes::new(), seq_no: 7 }))
    );
    let Ok(Message::Alive(alive)) = Message::decode(&vector("alive6")) else { panic!("not alive") };
    assert_eq!(alive.meta.len(), 0);
    assert_eq!(ip_from(&alive.addr).map(|ip| ip.to_string()).as_deref(), Some("fe80::1"));
}

#[test]
fn an_ipv4_address_in_sixteen_bytes_is_the_ipv4_address() {
    let raw = unhex("00000000000000000000ffff7f000001");
    assert_eq!(ip_from(&raw).map(|ip| ip_bytes(ip).to_vec()), Some(LOOPBACK.to_vec()));
}

fn messages(envelope: &Envelope, packet: &[u8]) -> Vec<Message> {
    let opened = envelope.open(packet).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(opened.refused, None);
    opened.messages
}

#[test]
fn compounds_are_split_and_joined_as_memberlist_does() {
    let parts = [ping(), ack(), alive()];
    assert_eq!(messages(&Envelope::default(), &vector("compound")), parts);
    let encoded: Vec<_> = parts.iter().map(Message::encode).collect();
    assert_eq!(compound(&encoded), [vector("compound")]);
    assert_eq!(messages(&Envelope::default(), &vector("compressed")), parts);
    assert_eq!(messages(&Envelope::default(), &vector("crc")), [ping()]);
}

#[test]
fn gos_lzw_is_read_even_after_its_table_was_full() {
    let text = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(3) + &"lictor".repeat(40);
    let unfolded = super::super::compress::unfold(&vector("compressed_text")[1..], 4096);
    assert_eq!(unfolded, Ok(text.into_bytes()));
    let (mut x, mut big) = (1_u32, Vec::new());
    for _ in 0..12_000 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        big.push((x >> 24) as u8 & 0x0f);
    }
    let packet = vector("compressed_big");
    assert_eq!(super::super::compress::unfold(&packet[1..], 12_000), Ok(big.clone()));
    assert_eq!(super::super::compress::unfold(&packet[1..], 11_999), Err(WireError::TooLong));
    // The encoders clear their tables at different moments, so only the contents are the same.
    assert_eq!(super::super::compress::unfold(&super::super::compress::fold(&big)[1..], 12_000), Ok(big));
}

fn sequence_key(len: usize) -> Key {
    let bytes: Vec<u8> = (0..len as u8).collect();
    Key::new(&bytes).expect("a length of AES")
}

#[test]
fn both_versions_of_the_encryption_open_with_any_key_of_the_ring() {
    for len in [16, 24, 32] {
        let ring = Keyring::new([16, 24, 32].map(sequence_key)).expect("three keys");
        for version in [0, 1] {
            let sealed = vector(&format!("sealed_v{version}_k{len}"));
            assert_eq!(ring.open(&sealed, b"lbl"), Ok(vector("ping")), "version {version}, key {len}");
            assert_eq!(ring.open(&sealed, b"other"), Err(WireError::NoKey));
            let lone = Keyring::new([Key::new(&[9; 16]).expect("16 bytes")]).expect("one key");
            assert_eq!(lone.open(&sealed, b"lbl"), Err(WireError::NoKey));
        }
    }
}

#[test]
fn a_label_must_be_ours() {
    let lbl = Label::new("lbl").expect("short");
    let ours = Envelope { label: lbl, compression: false, ..Envelope::default() };
    assert_eq!(messages(&ours, &vector("label")), [ping()]);
    assert_eq!(ours.seal(&vector("ping"), false, &mut rng()), vector("label"));
    assert_eq!(ours.open(&vector("ping")), Err(WireError::Label));
    assert_eq!(Envelope::default().open(&vector("label")), Err(WireError::Label));
}

#[test]
fn tables_are_memberlists_to_the_byte_in_any_wrapping_and_cut() {
    let node = |name: &str, port, incarnation, state: WireState, meta: &'static [u8]| PushNode {
        addr: Bytes::from_static(LOOPBACK),
        incarnation,
        meta: Bytes::from_static(meta),
        name: name.into(),
        port,
        state: state.number(),
        vsn: Bytes::from_static(VSN),
    };
    let tables = PushPull {
        join: true,
        nodes: std::vec![
            node("n1", 8301, 4, WireState::Alive, &[0xff, 0x80]),
            node("n2", 8302, 5, WireState::Left, &[]),
        ],
        state: Bytes::from_static(&[9, 8, 7]),
    };
    let keyring = Keyring::new([Key::new(b"0123456789abcdef").expect("16 bytes")]).expect("one key");
    let sealed = Envelope { label: Label::new("lbl").expect("short"), keyring, ..Envelope::default() };
    let plain = Envelope::default();
    for (name, envelope) in [("pushpull", &plain), ("pushpull_z", &plain), ("pushpull_sealed", &sealed)] {
        let bytes = vector(name);
        for piece in [1, 7, bytes.len()] {
            // An answer carries no label header, only the seal knows it.
            let mut reader = StreamReader::new(false);
            let mut got = None;
            for chunk in bytes.chunks(piece) {
                assert_eq!(got, None, "{name} in pieces of {piece}");
                got = reader.push(chunk, envelope).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            assert_eq!(got, Some(StreamMessage::PushPull(tables.clone())), "{name} in pieces of {piece}");
        }
    }
    // A nil of Go's is an empty byte string of ours: the same but for that byte.
    let mut ours = tables.encode();
    let nil = ours.iter().rposition(|b| *b == 0xa0).expect("the empty metadata");
    ours[nil] = 0xc0;
    assert_eq!(ours, vector("pushpull"));
}

#[test]
fn small_stream_messages_are_memberlists() {
    let read = |bytes: &[u8]| StreamReader::new(true).push(bytes, &Envelope::default());
    let user = StreamMessage::User(Bytes::from_static(&[1, 2, 3]));
    assert_eq!(read(&vector("user_stream")), Ok(Some(user.clone())));
    assert_eq!(user.encode(), vector("user_stream"));
    assert_eq!(read(&vector("err")), Ok(Some(StreamMessage::Error("bad".into()))));
    assert_eq!(StreamMessage::Error("bad".into()).encode(), vector("err"));
}
