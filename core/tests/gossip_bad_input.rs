//! What a pool is sent that it must not take: refused, counted, and said once, however often it comes.

use bytes::Bytes;
use lictor_core::Str;
use lictor_core::gossip::consul::LanRules;
use lictor_core::gossip::wire::{
    Alive, Envelope, Key, Keyring, Label, Message, PushNode, PushPull, StreamMessage,
};
use lictor_core::gossip::{Admission, Config, Effect, Gossip, Input, Stream, VSN, encode_tags};
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant};
use lictor_core::wire::{Tree, msgpack};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const FLOOD: u64 = 100;

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 8301))
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(1_000_000 + ms)
}

fn envelope(key: u8, label: &str) -> Envelope {
    let key = Key::new(&[key; 16]).expect("16 bytes");
    Envelope {
        label: Label::new(label).expect("short"),
        keyring: Keyring::new([key]).expect("one key"),
        ..Envelope::default()
    }
}

fn tags(datacenter: &str) -> BTreeMap<Str, Str> {
    let pairs = [("role", "node"), ("dc", datacenter), ("id", "other-id")];
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn alive(datacenter: &str, vsn: [u8; 6]) -> Alive {
    Alive {
        addr: Bytes::from_static(&[10, 0, 0, 2]),
        incarnation: 1,
        meta: Bytes::from(encode_tags(&tags(datacenter)).expect("short")),
        node: "other".into(),
        port: 8301,
        vsn: Bytes::copy_from_slice(&vsn),
    }
}

fn member() -> (Gossip, Vec<Effect>) {
    let rules = LanRules { datacenter: "dc1".into(), node_id: "own-id".into(), node_name: "me".into() };
    let config = Config {
        admission: Admission::ConsulLan(rules),
        envelope: envelope(1, "ours"),
        challenges: true,
        ..Config::lan("me".into(), addr(1))
    };
    let mut effects = Vec::new();
    let gossip = Gossip::boot(config, &Rng::new(Seed::from_u64(1)), at(0), &mut effects).expect("sound");
    effects.clear();
    (gossip, effects)
}

/// Sends it again and again within a second; what was counted, and the lines of log about it.
fn flood(mut input: impl FnMut(u64) -> Vec<Input>) -> (BTreeMap<&'static str, u64>, Vec<String>, usize) {
    let (mut gossip, mut effects) = member();
    for n in 0..FLOOD {
        for input in input(n) {
            gossip.step(at(n), input, &mut effects);
        }
    }
    let lines = effects.iter().filter_map(|effect| match effect {
        Effect::Log(event) => Some(event.message.clone()),
        _ => None,
    });
    let members = gossip.members().count();
    (gossip.refusals().collect(), lines.collect(), members)
}

fn packet(bytes: Vec<u8>) -> Vec<Input> {
    vec![Input::Packet { from: addr(2), bytes: Bytes::from(bytes) }]
}

#[test]
fn packets_that_are_not_for_this_pool_are_counted_and_said_once() {
    let good = || Message::Alive(alive("dc1", VSN)).encode();
    let mut rng = Rng::new(Seed::from_u64(2));
    let mut seal = |envelope: &Envelope, message: &[u8]| envelope.seal(message, true, &mut rng);
    let ours = envelope(1, "ours");
    let clear = Envelope { keyring: Keyring::default(), ..ours.clone() };
    let cases = [
        ("no_key", seal(&envelope(2, "ours"), &good()), "refused: "),
        ("label", seal(&envelope(1, "theirs"), &good()), "label is missing, damaged or not ours"),
        ("", seal(&clear, &good()), "refused: "),
        (
            "admission",
            seal(&ours, &Message::Alive(alive("dc2", VSN)).encode()),
            "part of wrong datacenter 'dc2'",
        ),
        (
            "version",
            seal(&ours, &Message::Alive(alive("dc1", [6, 5, 5, 2, 5, 4])).encode()),
            "impossible protocol versions",
        ),
        ("", seal(&ours, &[4, 0xc1, 0xff]), ""),
        ("", seal(&ours, &[250, 1, 2, 3]), ""),
    ];
    for (kind, bytes, text) in cases {
        let (counts, lines, members) = flood(|_| packet(bytes.clone()));
        assert_eq!(counts.values().sum::<u64>(), FLOOD, "{kind}: {counts:?}");
        assert!(kind.is_empty() || counts.contains_key(kind), "{kind}: {counts:?}");
        assert_eq!(lines.len(), 1, "{kind}: {lines:?}");
        assert!(lines[0].contains(text), "{kind}: {lines:?}");
        assert_eq!(members, 1, "{kind}");
    }
    let (counts, _, members) = flood(|_| packet(seal(&ours, &good())));
    assert_eq!((counts.len(), members), (0, 2), "what is right is taken");
}

#[test]
fn tables_of_another_datacenter_or_version_are_refused_whole_and_said_once() {
    let table = |datacenter: &str, vsn: [u8; 6]| {
        let Alive { addr, incarnation, meta, node: name, port, vsn } = alive(datacenter, vsn);
        let nodes = vec![PushNode { addr, incarnation, meta, name, port, state: 0, vsn }];
        StreamMessage::PushPull(PushPull { join: true, nodes, state: Bytes::new() })
    };
    let ours = envelope(1, "ours");
    let cases = [
        ("merge", table("dc2", VSN), "part of wrong datacenter 'dc2'"),
        ("merge", table("dc1", [1, 1, 1, 2, 5, 4]), "version"),
    ];
    for (kind, message, text) in cases {
        let mut rng = Rng::new(Seed::from_u64(3));
        let (counts, lines, members) = flood(|n| {
            let stream = Stream::Accepted(n + 1);
            let bytes = Bytes::from(ours.seal_stream(&message, true, &mut rng));
            vec![Input::StreamAccepted { stream, from: addr(2) }, Input::StreamBytes { stream, bytes }]
        });
        assert_eq!(counts.get(kind), Some(&FLOOD), "{counts:?}");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(text), "{lines:?}");
        assert_eq!(members, 1);
    }
}

/// A message of serf's in packets: a type, and a map.
fn of_serf(kind: u8, fields: &[(&str, Tree)]) -> Vec<u8> {
    let raw = |text: &str| Tree::Raw(text.into());
    let map = Tree::Map(fields.iter().map(|(name, value)| (raw(name), value.clone())).collect());
    let mut out = vec![kind];
    msgpack::append(&mut out, &map);
    Message::User(Bytes::from(out)).encode()
}

/// What a member remembers, written out.
fn remembered(gossip: &Gossip) -> usize {
    format!("{gossip:?}").len()
}

/// A member that was told this many times, and the datagrams that it sent meanwhile.
fn told(times: u64, message: impl Fn(u64) -> Vec<u8>) -> (Gossip, usize) {
    let (mut gossip, mut effects) = member();
    let mut rng = Rng::new(Seed::from_u64(4));
    let others =
        packet(envelope(1, "ours").seal(&Message::Alive(alive("dc1", VSN)).encode(), true, &mut rng));
    for input in others {
        gossip.step(at(0), input, &mut effects);
    }
    for n in 0..times {
        for input in packet(envelope(1, "ours").seal(&message(n), true, &mut rng)) {
            gossip.step(at(n / 100), input, &mut effects);
        }
    }
    let sent = effects.iter().filter(|effect| matches!(effect, Effect::Packet { .. })).count();
    (gossip, sent)
}

#[test]
fn news_of_members_with_endless_names_are_not_kept() {
    let name = |n: u64| Tree::Raw(format!("{n}{}", "x".repeat(20_000)).into_bytes());
    for kind in [0, 1] {
        let (gossip, _) = told(500, |n| of_serf(kind, &[("LTime", Tree::UInt(n)), ("Node", name(n))]));
        assert!(remembered(&gossip) < 100_000, "{} bytes", remembered(&gossip));
    }
}

#[test]
fn events_and_questions_longer_than_any_may_be_are_not_kept_and_the_others_only_so_far() {
    let event = |n: u64, length: usize| {
        let payload = format!("{n:08}{}", "p".repeat(length));
        of_serf(
            3,
            &[
                ("LTime", Tree::UInt(1 + n / 200)),
                ("Name", Tree::Raw("e".into())),
                ("Payload", Tree::Raw(payload.into())),
            ],
        )
    };
    let (gossip, _) = told(300, |n| event(n, 20_000));
    assert!(remembered(&gossip) < 100_000, "{} bytes", remembered(&gossip));
    assert_eq!(gossip.refusals().collect::<Vec<_>>(), [("event", 300)]);
    // 16 MB of events that one may send: the newest quarter is kept, and spread with tables.
    let (gossip, _) = told(2000, |n| event(n, 8_000));
    assert!(remembered(&gossip) < 5 << 20, "{} bytes", remembered(&gossip));
    assert!(format!("{gossip:?}").contains("00001999pppp"), "the newest is kept");

    let question = |n: u64| {
        of_serf(
            4,
            &[
                ("Addr", Tree::Raw(vec![10, 0, 0, 2])),
                ("ID", Tree::UInt(n)),
                ("LTime", Tree::UInt(1 + n / 200)),
                ("Name", Tree::Raw("q".into())),
                ("Payload", Tree::Raw(vec![b'p'; 20_000])),
                ("Port", Tree::UInt(8301)),
                ("Timeout", Tree::UInt(1)),
            ],
        )
    };
    let (gossip, _) = told(300, question);
    assert!(remembered(&gossip) < 100_000, "{} bytes", remembered(&gossip));
}

#[test]
fn a_question_has_its_answer_repeated_no_more_often_than_consul_asks_for() {
    let mut sent = Vec::new();
    for relays in [0, 5, 255] {
        let (mut gossip, mut effects) = member();
        let mut rng = Rng::new(Seed::from_u64(5));
        let mut tell = |gossip: &mut Gossip, effects: &mut Vec<Effect>, message: Vec<u8>| {
            for input in packet(envelope(1, "ours").seal(&message, true, &mut rng)) {
                gossip.step(at(0), input, effects);
            }
        };
        for n in 0..30_u8 {
            let tags = [("role", "node".to_owned()), ("dc", "dc1".to_owned()), ("id", format!("id{n}"))];
            let tags = tags.iter().map(|(name, value)| ((*name).into(), value.as_str().into())).collect();
            let member = Alive {
                addr: Bytes::copy_from_slice(&[10, 0, 1, n]),
                node: format!("other{n}").as_str().into(),
                meta: Bytes::from(encode_tags(&tags).expect("short")),
                ..alive("dc1", VSN)
            };
            tell(&mut gossip, &mut effects, Message::Alive(member).encode());
        }
        effects.clear();
        let question = of_serf(
            4,
            &[
                ("Addr", Tree::Raw(vec![10, 0, 0, 9])),
                ("Flags", Tree::UInt(1)),
                ("ID", Tree::UInt(7)),
                ("LTime", Tree::UInt(1)),
                ("Name", Tree::Raw("q".into())),
                ("Port", Tree::UInt(8301)),
                ("RelayFactor", Tree::UInt(relays)),
                ("Timeout", Tree::UInt(1_000_000_000)),
            ],
        );
        tell(&mut gossip, &mut effects, question);
        let relayed =
            |effect: &&Effect| matches!(effect, Effect::Packet { to, .. } if to.ip() != addr(9).ip());
        sent.push(effects.iter().filter(relayed).count());
    }
    assert!(sent[1] > sent[0] && sent[1] == sent[2], "{sent:?}");
}
