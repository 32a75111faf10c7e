//! Bombs, lies and accidents: refused, bounded, never a panic.

use super::super::*;
use super::{rng, vector};
use crate::wire::msgpack;
use std::vec;
use std::vec::Vec;

fn refused(packet: &[u8]) -> Option<WireError> {
    match Envelope::default().open(packet) {
        Ok(opened) => opened.refused,
        Err(error) => Some(error),
    }
}

#[test]
fn a_flipped_bit_under_a_checksum_is_found() {
    let mut packet = vector("crc");
    packet[9] ^= 0x10;
    assert_eq!(refused(&packet), Some(WireError::Checksum));
}

#[test]
fn a_cut_compound_yields_the_parts_that_are_whole() {
    let packet = vector("compound");
    let opened = Envelope::default().open(&packet[..packet.len() - 1]).expect("readable");
    assert_eq!(opened.messages.len(), 2);
    assert_eq!(opened.refused, Some(WireError::Truncated));
}

#[test]
fn a_compression_bomb_is_refused_at_the_limit() {
    let bomb = super::super::compress::fold(&vec![8; MAX_UNFOLDED + 1]);
    assert!(bomb.len() < 4096, "{} bytes", bomb.len());
    assert_eq!(refused(&bomb), Some(WireError::TooLong));
    // Many small ones share the limit.
    let small = super::super::compress::fold(&vec![8; 64 << 10]);
    let joined = compound(&vec![small; 20]).remove(0);
    let opened = Envelope::default().open(&joined).expect("readable");
    assert_eq!(opened.messages.len(), MAX_UNFOLDED / (64 << 10));
    assert_eq!(opened.refused, Some(WireError::TooLong));
    let stream = super::super::compress::fold(&vec![8; MAX_STREAM + 1]);
    let pushed = StreamReader::new(true).push(&stream, &Envelope::default());
    assert_eq!(pushed, Err(WireError::TooLong));
}

#[test]
fn nesting_has_a_limit() {
    let mut packet = vector("ping");
    for _ in 0..=MAX_DEPTH {
        packet = super::super::compress::fold(&packet);
    }
    assert_eq!(refused(&packet), Some(WireError::TooDeep));
}

#[test]
fn a_datagram_full_of_tiny_messages_stops_at_the_limit() {
    let inner = compound(&vec![vec![8_u8]; 255]).remove(0);
    let opened = Envelope::default().open(&compound(&vec![inner; 8]).remove(0)).expect("readable");
    assert_eq!(opened.messages.len(), MAX_MESSAGES);
    assert_eq!(opened.refused, Some(WireError::TooLong));
}

#[test]
fn impossible_fields_are_refused() {
    let long: crate::Str = "n".repeat(MAX_NAME + 1).as_str().into();
    let alive = |node: &crate::Str, meta: usize, vsn: usize| {
        let alive = Alive {
            node: node.clone(),
            meta: vec![0; meta].into(),
            vsn: vec![1; vsn].into(),
            ..Alive::default()
        };
        Message::decode(&Message::Alive(alive).encode()).is_ok()
    };
    assert!(alive(&"n1".into(), MAX_META, 6));
    assert!(alive(&"n1".into(), 0, 0));
    assert!(!alive(&long, 0, 6));
    assert!(!alive(&"".into(), 0, 6));
    assert!(!alive(&"n1".into(), MAX_META + 1, 6));
    assert!(!alive(&"n1".into(), 0, 5));
    assert_eq!(Message::decode(&[99, 1]), Err(WireError::Type(99)));
    assert_eq!(Message::decode(&[]), Err(WireError::Empty));
}

#[test]
fn with_keys_nothing_in_clear_is_taken_unless_that_is_allowed() {
    let keyring = Keyring::new([Key::new(&[7; 16]).expect("16 bytes")]).expect("one key");
    let strict = Envelope { keyring: keyring.clone(), ..Envelope::default() };
    let lenient = Envelope { verify_incoming: false, ..strict.clone() };
    assert!(strict.open(&vector("ping")).is_err());
    assert_eq!(lenient.open(&vector("ping")).map(|opened| opened.messages.len()), Ok(1));
    let push = |envelope: &Envelope| StreamReader::new(true).push(&vector("pushpull"), envelope);
    assert_eq!(push(&strict), Err(WireError::Plaintext));
    assert!(matches!(push(&lenient), Ok(Some(_))));
    let sealed = strict.seal(&vector("ping"), true, &mut rng());
    assert_eq!(strict.open(&sealed).map(|opened| opened.messages.len()), Ok(1));
    let on_stream = StreamReader::new(true).push(&vector("pushpull_sealed"), &Envelope::default());
    assert_eq!(on_stream, Err(WireError::Encrypted));
}

#[test]
fn damaged_padding_is_refused() {
    // A block whose last byte says 17, sealed with version 0.
    let keyring = Keyring::new([Key::new(&[7; 16]).expect("16 bytes")]).expect("one key");
    let mut sealed = Vec::new();
    keyring.seal(&[17; 32], b"", &mut rng(), &mut sealed);
    sealed[0] = 0;
    assert!(matches!(keyring.open(&sealed, b""), Err(WireError::Field(_))));
    assert_eq!(keyring.open(&[2; 40], b""), Err(WireError::Encryption(2)));
    assert_eq!(keyring.open(&[1; 28], b""), Err(WireError::Truncated));
}

#[test]
fn a_table_that_claims_more_than_it_may_is_refused_at_its_header() {
    let header = |nodes: u64, state: u64| {
        let mut bytes = vec![6];
        bytes.push(0x82);
        msgpack::append(&mut bytes, "Nodes");
        msgpack::append(&mut bytes, &nodes);
        msgpack::append(&mut bytes, "UserStateLen");
        msgpack::append(&mut bytes, &state);
        StreamReader::new(true).push(&bytes, &Envelope::default())
    };
    assert_eq!(header(MAX_NODES as u64 + 1, 0), Err(WireError::TooLong));
    assert_eq!(header(1, MAX_STREAM as u64 + 1), Err(WireError::TooLong));
    assert!(matches!(header(u64::MAX, 0), Err(WireError::Body(_))));
    assert_eq!(header(1, 0), Ok(None), "the member is still to come");
}

#[test]
fn a_header_that_never_ends_is_refused_early() {
    for kind in [0, 2, 6, 8, 13] {
        // An array in place of a map, with as many items as are claimed, a few at a time.
        let mut reader = StreamReader::new(true);
        let mut result = reader.push(&[kind, 0xdd, 0, 0x10, 0, 0], &Envelope::default());
        let mut sent = 0;
        while result == Ok(None) && sent < 1 << 20 {
            result = reader.push(&[0; 1024], &Envelope::default());
            sent += 1024;
        }
        assert_eq!(result, Err(WireError::TooLong), "kind {kind}");
        assert!(sent <= 32 << 10, "kind {kind} took {sent} bytes");
    }
    let in_compression = StreamReader::new(true).push(&[9, 0x81, 0xa1, b'x', 0x91], &Envelope::default());
    assert!(matches!(in_compression, Err(WireError::Field(_))));
}
