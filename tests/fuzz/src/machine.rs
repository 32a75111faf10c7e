//! One member of a gossip pool among hostile ones: packets, streams, commands and time in any order.
//!
//! What it orders stays in proportion to what it is told, its packets are whole and no longer than they may be, it
//! writes to open streams only, it never asks to be woken in the past, every call is answered once in the end, and
//! what it remembers of all that stays small.

use bytes::Bytes;
use lictor_core::Str;
use lictor_core::gossip::consul::LanRules;
use lictor_core::gossip::wire::{
    Ack, Alive, Dead, Envelope, IndirectPing, Key, Keyring, Message, Nack, Ping, PushNode, PushPull,
    StreamMessage, Suspect,
};
use lictor_core::gossip::{
    Admission, Config, Effect, Gossip, Input, KeyCommand, QueryOptions, Stream, VSN, encode_tags,
};
use lictor_core::ids::CallId;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant};
use lictor_core::wire::{Tree, msgpack};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;

/// What one input may make it do.
const MAX_STEPS: usize = 1500;
/// How often one order of an input may be repeated with another name.
const FLOOD: usize = 300;
/// All that it remembers, written out: several times as many bytes as it takes.
const REMEMBERED: usize = 32 << 20;

/// The input as choices; nothing but zeroes once it is used up.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    /// Small ones, and the largest there are.
    fn number(&mut self) -> u64 {
        match self.byte() {
            high @ 240.. => u64::MAX >> (4 * (high - 240)),
            low => low.into(),
        }
    }

    fn int(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }
}

struct World {
    gossip: Gossip,
    envelope: Envelope,
    rng: Rng,
    now: Instant,
    steps: usize,
    effects: Vec<Effect>,
    /// Those that may be written to, and those that are being opened.
    open: BTreeSet<Stream>,
    opening: BTreeSet<Stream>,
    accepted: u64,
    calls: BTreeSet<CallId>,
    last_call: u64,
    /// Put behind names, so that a flood has many.
    flood: Option<usize>,
}

pub(crate) fn machine(data: &[u8]) {
    let mut choices = Choices(data);
    let mut world = World::new(choices.byte());
    while !choices.0.is_empty() && world.steps < MAX_STEPS {
        let before = choices.0;
        if choices.byte() == 255 {
            let again = choices.0;
            for n in 0..FLOOD {
                choices = Choices(again);
                world.flood = Some(n);
                world.order(&mut choices);
            }
            world.flood = None;
        } else {
            choices = Choices(before);
            world.order(&mut choices);
        }
    }
    world.end();
}

impl World {
    fn new(how: u8) -> World {
        let has = |bit: u8| how & (1 << bit) != 0;
        let mut envelope = Envelope { compression: has(0), ..Envelope::default() };
        if has(1) {
            envelope.keyring = Keyring::new([Key::new(&[1; 16]).expect("16 bytes")]).expect("one key");
        }
        let mut config = Config { eager: has(2), challenges: has(3), ..Config::lan("n0".into(), addr(0)) };
        config.envelope = envelope.clone();
        if has(4) {
            config.admission = Admission::ConsulLan(LanRules {
                datacenter: "dc1".into(),
                node_id: "id0".into(),
                node_name: "n0".into(),
            });
            config.tags = tags(0);
        }
        if has(5) {
            config.max_members = 100;
        }
        let (now, mut effects) = (Instant(1_000_000_000_000), Vec::new());
        let rng = Rng::new(Seed::from_u64(how.into()));
        let gossip = Gossip::boot(config, &rng, now, &mut effects).expect("a sound configuration");
        World {
            gossip,
            envelope,
            rng,
            now,
            steps: 0,
            effects,
            open: BTreeSet::new(),
            opening: BTreeSet::new(),
            accepted: 0,
            calls: BTreeSet::new(),
            last_call: 0,
            flood: None,
        }
    }

    /// One order of the input.
    fn order(&mut self, choices: &mut Choices<'_>) {
        let from = addr(choices.byte() % 8);
        match choices.byte() % 20 {
            0 => self.packet(from, choices.some().to_vec()),
            1 => {
                let packet =
                    self.envelope.seal(choices.some(), choices.byte().is_multiple_of(2), &mut self.rng);
                self.packet(from, packet);
            }
            2..=7 => {
                let message = self.message(choices).encode();
                let packet = self.envelope.seal(&message, false, &mut self.rng);
                self.packet(from, packet);
            }
            8 => {
                self.accepted += 1;
                let stream = Stream::Accepted(self.accepted);
                self.open.insert(stream);
                self.step(Input::StreamAccepted { stream, from }, 0);
            }
            9 | 10 => {
                let message = self.stream_message(choices);
                let whole = self.envelope.seal_stream(&message, true, &mut self.rng);
                let cut = usize::from(choices.byte()).min(whole.len());
                if let Some(stream) = self.chosen(choices) {
                    for part in [&whole[..cut], &whole[cut..]] {
                        self.bytes(stream, part);
                    }
                }
            }
            11 => {
                if let Some(stream) = self.chosen(choices) {
                    self.bytes(stream, choices.some());
                }
            }
            12 => {
                let which = usize::from(choices.byte());
                if let Some(stream) = self.opening.iter().nth(which % self.opening.len().max(1)).copied() {
                    self.opening.remove(&stream);
                    if which.is_multiple_of(2) {
                        self.open.insert(stream);
                        self.step(Input::StreamOpened { stream }, 0);
                    } else {
                        self.step(Input::StreamClosed { stream, reason: "refused".into() }, 0);
                    }
                }
            }
            13 => {
                if let Some(stream) = self.chosen(choices) {
                    self.open.remove(&stream);
                    self.step(Input::StreamClosed { stream, reason: "EOF".into() }, 0);
                }
            }
            14 | 15 => self.pass(Duration::from_millis(10 * u64::from(choices.byte())), 8),
            16 => self.command(choices),
            17 => {
                let (query, payload) = (choices.number(), Bytes::copy_from_slice(choices.some()));
                self.step(Input::Respond { query, payload }, 1024);
            }
            18 => self.pass(Duration::from_secs(10 * u64::from(choices.byte())), 24),
            _ => {
                let tags = BTreeMap::from([("a".into(), text(choices.some()))]);
                self.step(Input::SetTags { tags }, 0);
            }
        }
    }

    fn name(&self, choices: &mut Choices<'_>) -> Str {
        let which = choices.byte() % 8;
        match self.flood {
            Some(n) if which > 0 => format!("n{which}-{n}").into(),
            _ => format!("n{which}").into(),
        }
    }

    fn message(&mut self, choices: &mut Choices<'_>) -> Message {
        let (node, from) = (self.name(choices), self.name(choices));
        let (incarnation, seq_no) = (choices.int(), choices.int());
        let at = addr(choices.byte() % 8);
        let (source_addr, source_port) = (raw(at), at.port());
        match choices.byte() % 10 {
            0 => Message::Ping(Ping { node, seq_no, source_addr, source_node: from, source_port }),
            1 => Message::IndirectPing(IndirectPing {
                nack: incarnation.is_multiple_of(2),
                node,
                port: source_port,
                seq_no,
                source_addr: source_addr.clone(),
                source_node: from,
                source_port,
                target: source_addr,
            }),
            2 => Message::Ack(Ack { payload: Bytes::copy_from_slice(choices.some()), seq_no }),
            3 => Message::Nack(Nack { seq_no }),
            4 => Message::Suspect(Suspect { from, incarnation, node }),
            5 => Message::Dead(Dead { from, incarnation, node }),
            6 | 7 => Message::Alive(self.alive(node, at, incarnation, choices)),
            _ => Message::User(self.of_serf(choices)),
        }
    }

    fn alive(&self, node: Str, at: SocketAddr, incarnation: u32, choices: &mut Choices<'_>) -> Alive {
        let id = choices.byte();
        let meta = if id == 255 {
            Bytes::copy_from_slice(choices.some())
        } else {
            encode_tags(&tags(id)).expect("short").into()
        };
        let mut vsn = VSN;
        if choices.byte() == 255 {
            vsn[usize::from(choices.byte() % 6)] = choices.byte();
        }
        Alive { addr: raw(at), incarnation, meta, node, port: at.port(), vsn: Bytes::copy_from_slice(&vsn) }
    }

    /// A message of the layer above: a type, and a map with every field that one may have.
    fn of_serf(&mut self, choices: &mut Choices<'_>) -> Bytes {
        let kind = choices.byte();
        if kind == 255 {
            return Bytes::copy_from_slice(choices.some());
        }
        let node = self.name(choices);
        let payload = choices.some().repeat(1 + usize::from(choices.byte() % 32));
        let raw = |bytes: &[u8]| Tree::Raw(bytes.to_vec());
        const QUERIES: [&str; 8] = [
            "q",
            "_serf_ping",
            "_serf_conflict",
            "_serf_install-key",
            "_serf_use-key",
            "_serf_remove-key",
            "_serf_list-keys",
            "",
        ];
        let name = match QUERIES[usize::from(choices.byte() % 8)] {
            "" => &*node,
            name => name,
        };
        let fields = [
            ("Addr", raw(&[127, 0, 0, choices.byte() % 8])),
            ("Filters", Tree::Array(vec![raw(choices.some())])),
            ("Flags", Tree::UInt(choices.number())),
            ("From", raw(node.as_bytes())),
            ("ID", Tree::UInt(u64::from(choices.int()).wrapping_add(self.flood.unwrap_or(0) as u64))),
            ("LTime", Tree::UInt(choices.number())),
            ("Name", raw(name.as_bytes())),
            ("Node", raw(node.as_bytes())),
            ("Payload", raw(&payload)),
            ("Port", Tree::UInt(u64::from(addr(0).port()))),
            ("Prune", Tree::Bool(choices.byte().is_multiple_of(2))),
            ("RelayFactor", Tree::UInt((choices.byte() % 6).into())),
            ("SourceNode", raw(node.as_bytes())),
            ("Timeout", Tree::UInt(choices.number() >> 1)),
        ];
        // A query without filters is for everybody.
        let fields =
            fields.into_iter().filter(|(name, _)| *name != "Filters" || payload.len().is_multiple_of(2));
        let map = Tree::Map(fields.map(|(name, value)| (raw(name.as_bytes()), value)).collect());
        let mut out = vec![kind % 10];
        msgpack::append(&mut out, &map);
        out.into()
    }

    fn stream_message(&mut self, choices: &mut Choices<'_>) -> StreamMessage {
        match choices.byte() % 8 {
            0 => StreamMessage::Ping(Ping { node: self.name(choices), ..Ping::default() }),
            1 => StreamMessage::Ack(Ack { payload: Bytes::new(), seq_no: choices.int() }),
            2 => StreamMessage::User(self.of_serf(choices)),
            3 => StreamMessage::Error("no".into()),
            _ => {
                let nodes = (0..choices.byte() % 4).map(|_| {
                    let (name, at, life) = (self.name(choices), addr(choices.byte() % 8), choices.int());
                    let Alive { addr, incarnation, meta, port, vsn, .. } =
                        self.alive(name.clone(), at, life, choices);
                    PushNode { addr, incarnation, meta, name, port, state: choices.byte() % 5, vsn }
                });
                let nodes = nodes.collect();
                StreamMessage::PushPull(PushPull {
                    join: choices.byte().is_multiple_of(2),
                    nodes,
                    state: self.state(choices),
                })
            }
        }
    }

    /// What the layer above adds to a table.
    fn state(&mut self, choices: &mut Choices<'_>) -> Bytes {
        if choices.byte().is_multiple_of(4) {
            return Bytes::copy_from_slice(choices.some());
        }
        let raw = |bytes: &[u8]| Tree::Raw(bytes.to_vec());
        let event = |ltime: u64, name: &str, payload: &[u8]| {
            let event =
                Tree::Map(vec![(raw(b"Name"), raw(name.as_bytes())), (raw(b"Payload"), raw(payload))]);
            Tree::Map(vec![(raw(b"Events"), Tree::Array(vec![event])), (raw(b"LTime"), Tree::UInt(ltime))])
        };
        let name = self.name(choices);
        let left: Vec<Tree> = (0..choices.byte() % 3).map(|_| raw(self.name(choices).as_bytes())).collect();
        let map = Tree::Map(vec![
            (raw(b"EventLTime"), Tree::UInt(choices.number())),
            (raw(b"Events"), Tree::Array(vec![Tree::Nil, event(choices.number(), &name, choices.some())])),
            (raw(b"LTime"), Tree::UInt(choices.number())),
            (raw(b"LeftMembers"), Tree::Array(left)),
            (raw(b"QueryLTime"), Tree::UInt(choices.number())),
            (
                raw(b"StatusLTimes"),
                Tree::Map(vec![(raw(self.name(choices).as_bytes()), Tree::UInt(choices.number()))]),
            ),
        ]);
        let mut out = vec![2];
        msgpack::append(&mut out, &map);
        out.into()
    }

    fn command(&mut self, choices: &mut Choices<'_>) {
        self.last_call += 1;
        let call = CallId(self.last_call);
        let key = || Bytes::copy_from_slice(&[2; 16]);
        let input = match choices.byte() % 8 {
            0 => Input::Join { call, addrs: vec![addr(1), addr(choices.byte())], ignore_old: true },
            1 => Input::Leave { call },
            2 => Input::ForceLeave { name: self.name(choices), prune: choices.byte().is_multiple_of(2) },
            3 => Input::UserEvent {
                call,
                name: self.name(choices),
                payload: Bytes::copy_from_slice(choices.some()),
                coalesce: false,
            },
            4 | 5 => Input::Query {
                call,
                name: self.name(choices),
                payload: Bytes::copy_from_slice(choices.some()),
                options: QueryOptions {
                    ack: choices.byte().is_multiple_of(2),
                    relay_factor: choices.byte() % 6,
                    timeout: Duration::from_millis(choices.number() % 100_000),
                    ..QueryOptions::default()
                },
            },
            _ => {
                let command = match choices.byte() % 4 {
                    0 => KeyCommand::Install(key()),
                    1 => KeyCommand::Use(key()),
                    2 => KeyCommand::Remove(key()),
                    _ => KeyCommand::List,
                };
                Input::Keys { call, command, relay_factor: choices.byte() % 6 }
            }
        };
        // The others have no answer when all goes well.
        let answered = matches!(
            input,
            Input::Join { .. } | Input::Leave { .. } | Input::Query { .. } | Input::Keys { .. }
        );
        if answered {
            self.calls.insert(call);
        }
        self.step(input, 4096);
    }

    fn chosen(&self, choices: &mut Choices<'_>) -> Option<Stream> {
        let which = usize::from(choices.byte());
        self.open.iter().nth(which % self.open.len().max(1)).copied()
    }

    fn packet(&mut self, from: SocketAddr, bytes: Vec<u8>) {
        let told = bytes.len();
        self.step(Input::Packet { from, bytes: bytes.into() }, told);
    }

    fn bytes(&mut self, stream: Stream, bytes: &[u8]) {
        if self.open.contains(&stream) {
            self.step(Input::StreamBytes { stream, bytes: Bytes::copy_from_slice(bytes) }, bytes.len());
        }
    }

    /// Lets time pass, to each deadline for the first `wakes` of them.
    fn pass(&mut self, time: Duration, wakes: usize) {
        let until = self.now + time;
        for _ in 0..wakes {
            if self.gossip.deadline() > until {
                break;
            }
            self.now = self.gossip.deadline();
            self.step(Input::Wake, 0);
        }
        self.now = until;
        self.step(Input::Wake, 0);
    }

    /// One input of `told` bytes, and whether what it leads to is in order.
    fn step(&mut self, input: Input, told: usize) {
        self.one_step(input, told);
        for _ in 0..3 {
            if self.gossip.deadline() > self.now {
                return;
            }
            self.one_step(Input::Wake, told);
        }
        panic!("it wants to be woken for ever");
    }

    fn one_step(&mut self, input: Input, told: usize) {
        self.steps += 1;
        self.gossip.step(self.now, input, &mut self.effects);
        let members = self.gossip.members().count();
        let (mut packets, mut lines) = (0, 0);
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Packet { bytes, .. } => {
                    packets += bytes.len();
                    // As memberlist's: a checksum comes on top.
                    assert!(bytes.len() <= 1400 + 5, "a packet of {} bytes", bytes.len());
                    let envelope = self.key_after(&bytes);
                    let opened = envelope.open(&bytes).expect("it reads its own packets");
                    assert_eq!(opened.refused, None);
                }
                Effect::Open { stream, .. } => assert!(self.opening.insert(stream)),
                Effect::Write { stream, .. } => assert!(self.open.contains(&stream), "to a closed stream"),
                Effect::Close { stream } => {
                    assert!(self.open.remove(&stream) | self.opening.remove(&stream), "closed twice");
                }
                Effect::Joined { call, .. } | Effect::Left { call } | Effect::KeysDone { call, .. } => {
                    assert!(self.calls.remove(&call), "answered twice");
                }
                Effect::QueryDone { call, .. } => assert!(self.calls.remove(&call), "answered twice"),
                Effect::QueryAck { call, .. } | Effect::QueryResponse { call, .. } => {
                    assert!(self.calls.contains(&call), "an answer to a question that is over");
                }
                Effect::Log(event) => {
                    lines += 1;
                    assert!(event.message.len() <= 2048 + 4 * told, "{} bytes", event.message.len());
                }
                _ => {}
            }
        }
        // A round of gossip, or an answer and its copies to each message that came.
        assert!(packets <= (64 << 10) + 128 * told, "{packets} bytes of packets after {told}");
        assert!(lines <= 64 + told + 2 * members, "{lines} lines after {told} bytes");
    }

    /// With the keys that the machine may have by now.
    fn key_after(&self, packet: &[u8]) -> Envelope {
        let mut envelope = self.envelope.clone();
        if !envelope.keyring.is_empty() && envelope.open(packet).is_err() {
            envelope.keyring = Keyring::new([Key::new(&[2; 16]).expect("16 bytes")]).expect("one key");
        }
        envelope
    }

    /// Whatever it was told, it comes to an end with its calls.
    fn end(mut self) {
        // The longest question that anybody may ask lasts an hour.
        for _ in 0..40 {
            self.pass(Duration::from_secs(100), 8);
        }
        assert!(self.calls.is_empty(), "never answered: {:?}", self.calls);
        self.open.retain(|stream| matches!(stream, Stream::Opened(_)));
        let mut size = Size(0);
        let _ = write!(size, "{:?}", self.gossip);
        assert!(size.0 <= REMEMBERED, "it remembers {} bytes", size.0);
    }
}

/// Counts what is written.
struct Size(usize);

impl Write for Size {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, n.wrapping_add(1)], 8301))
}

fn raw(at: SocketAddr) -> Bytes {
    match at.ip() {
        std::net::IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
        std::net::IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
    }
}

fn tags(id: u8) -> BTreeMap<Str, Str> {
    let dc = if id % 16 == 15 { "dc2" } else { "dc1" };
    let id = format!("id{}", id % 8);
    let pairs = [("role", "node"), ("dc", dc), ("id", &id)];
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn text(bytes: &[u8]) -> Str {
    String::from_utf8_lossy(bytes).as_ref().into()
}
