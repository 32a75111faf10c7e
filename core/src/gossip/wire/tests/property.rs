//! Whatever is said comes out the same; whatever else is sent does no harm.

use super::super::*;
use super::rng;
use bytes::Bytes;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

fn name() -> impl Strategy<Value = crate::Str> {
    "[a-zA-Z0-9.ä-]{1,40}".prop_map(|text: String| text.as_str().into())
}

fn raw(max: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn vsn() -> impl Strategy<Value = Bytes> {
    any::<[u8; 6]>().prop_map(|vsn| Bytes::copy_from_slice(&vsn))
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (name(), any::<u32>(), raw(17), name(), any::<u16>()).prop_map(
            |(node, seq_no, source_addr, source_node, source_port)| {
                Message::Ping(Ping { node, seq_no, source_addr, source_node, source_port })
            }
        ),
        (raw(64), any::<u32>()).prop_map(|(payload, seq_no)| Message::Ack(Ack { payload, seq_no })),
        any::<u32>().prop_map(|seq_no| Message::Nack(Nack { seq_no })),
        (name(), any::<u32>(), name()).prop_map(|(from, incarnation, node)| Message::Suspect(Suspect {
            from,
            incarnation,
            node
        })),
        (name(), any::<u32>(), name()).prop_map(|(from, incarnation, node)| Message::Dead(Dead {
            from,
            incarnation,
            node
        })),
        (raw(17), any::<u32>(), raw(200), name(), any::<u16>(), vsn()).prop_map(
            |(addr, incarnation, meta, node, port, vsn)| {
                Message::Alive(Alive { addr, incarnation, meta, node, port, vsn })
            }
        ),
        raw(300).prop_map(Message::User),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let key = prop_oneof![Just(0_usize), Just(16), Just(24), Just(32)];
    (key, "[a-z]{0,12}", any::<bool>()).prop_map(|(key, label, compression)| Envelope {
        label: Label::new(&label).expect("short"),
        keyring: Keyring::new((key > 0).then(|| Key::new(&[5; 32][..key]).expect("a length of AES")))
            .expect("one key"),
        compression,
        ..Envelope::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_gives_back_its_messages_in_any_wrapping(
        messages in proptest::collection::vec(message(), 1..20), envelope in envelope(), checksum: bool
    ) {
        let encoded: Vec<_> = messages.iter().map(Message::encode).collect();
        let packet = envelope.seal(&compound(&encoded).remove(0), checksum, &mut rng());
        let opened = envelope.open(&packet).expect("our own packet");
        prop_assert_eq!(opened.refused, None);
        prop_assert_eq!(opened.messages, messages);
    }

    #[test]
    fn a_table_gives_back_its_members_however_the_stream_is_cut(
        nodes in proptest::collection::vec((raw(17), any::<u32>(), raw(100), name(), 0_u8..4, vsn()), 0..20),
        state in raw(2000), join: bool, envelope in envelope(), piece in 1_usize..500
    ) {
        let nodes = nodes.into_iter().map(|(addr, incarnation, meta, name, state, vsn)| {
            PushNode { addr, incarnation, meta, name, port: 1, state, vsn }
        });
        let message = StreamMessage::PushPull(PushPull { join, nodes: nodes.collect(), state });
        let bytes = envelope.seal_stream(&message, true, &mut rng());
        let mut reader = StreamReader::new(true);
        let mut got = None;
        for chunk in bytes.chunks(piece) {
            got = reader.push(chunk, &envelope).expect("our own stream");
        }
        prop_assert_eq!(got, Some(message));
    }

    #[test]
    fn noise_does_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0_u8..16, envelope in envelope()
    ) {
        let mut packet = std::vec![kind];
        packet.extend(&bytes);
        let _ = envelope.open(&bytes);
        let _ = Envelope::default().open(&packet);
        let _ = StreamReader::new(true).push(&bytes, &envelope);
        let mut reader = StreamReader::new(true);
        for chunk in packet.chunks(50) {
            if reader.push(chunk, &Envelope::default()).is_err() {
                break;
            }
        }
    }

    #[test]
    fn a_damaged_packet_does_no_harm(
        messages in proptest::collection::vec(message(), 1..10), envelope in envelope(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let encoded: Vec<_> = messages.iter().map(Message::encode).collect();
        let mut packet = envelope.seal(&compound(&encoded).remove(0), false, &mut rng());
        for (at, value) in flips {
            let at = at.index(packet.len());
            packet[at] = value;
        }
        let _ = envelope.open(&packet);
    }
}
