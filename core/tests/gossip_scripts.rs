//! One member, and what it makes of single messages: the rules of SWIM and serf, one claim each.

use bytes::Bytes;
use lictor_core::Str;
use lictor_core::gossip::wire::{
    Ack, Alive, Dead, Envelope, IndirectPing, Message, Nack, Ping, StreamMessage, StreamReader, Suspect,
    compound, ip_bytes,
};
use lictor_core::gossip::{Config, Effect, Gossip, Input, MemberChange, Status, Stream, VSN};
use lictor_core::ids::CallId;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant};
use std::net::SocketAddr;

struct Script {
    gossip: Gossip,
    now: Instant,
    effects: Vec<Effect>,
}

fn addr(i: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, i], 8301))
}

fn name(i: u8) -> Str {
    format!("n{i}").as_str().into()
}

fn alive(i: u8, incarnation: u32) -> Message {
    Message::Alive(Alive {
        addr: ip_bytes(addr(i).ip()),
        incarnation,
        meta: Bytes::from_static(&[0xff, 0x80]),
        node: name(i),
        port: 8301,
        vsn: Bytes::copy_from_slice(&VSN),
    })
}

fn suspect(i: u8, from: u8, incarnation: u32) -> Message {
    Message::Suspect(Suspect { from: name(from), incarnation, node: name(i) })
}

fn dead(i: u8, from: u8, incarnation: u32) -> Message {
    Message::Dead(Dead { from: name(from), incarnation, node: name(i) })
}

impl Script {
    /// Member `n0`, which knows `n1` to `n<peers>`.
    fn new(peers: u8) -> Script {
        let mut effects = Vec::new();
        let config = Config { eager: false, ..Config::lan(name(0), addr(0)) };
        let rng = Rng::new(Seed::from_u64(1));
        let gossip = Gossip::boot(config, &rng, Instant::ZERO, &mut effects).expect("a sound config");
        let mut script = Script { gossip, now: Instant::ZERO, effects };
        (1..=peers).for_each(|i| script.hear(&alive(i, 1)));
        script.effects.clear();
        script
    }

    fn input(&mut self, input: Input) {
        self.gossip.step(self.now, input, &mut self.effects);
    }

    fn hear(&mut self, message: &Message) {
        let packet = Envelope::default().seal(&message.encode(), false, &mut Rng::new(Seed::from_u64(0)));
        self.input(Input::Packet { from: addr(1), bytes: Bytes::from(packet) });
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.gossip.deadline() <= until {
            self.now = self.gossip.deadline().max(self.now + Duration::from_nanos(1));
            self.input(Input::Wake);
        }
        self.now = until;
    }

    /// The messages sent to an address, or to any, taken out.
    fn sent(&mut self, whom: Option<SocketAddr>) -> Vec<Message> {
        let envelope = Envelope::default();
        let mut sent = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::Packet { to, bytes } if whom.is_none_or(|whom| whom == *to) => {
                sent.extend(envelope.open(bytes).expect("our own packet").messages);
                false
            }
            _ => true,
        });
        sent
    }

    fn changes(&self) -> Vec<(MemberChange, Str)> {
        let change = |effect: &Effect| match effect {
            Effect::Member { change, member } => Some((*change, member.name.clone())),
            _ => None,
        };
        self.effects.iter().filter_map(change).collect()
    }

    fn status(&self, i: u8) -> Option<Status> {
        self.gossip.member(&name(i)).map(|member| member.status)
    }

    /// What is said of this member itself in the next rounds.
    fn says_of_itself(&mut self) -> Option<Alive> {
        self.pass(Duration::from_millis(400));
        self.sent(None).into_iter().find_map(|message| match message {
            Message::Alive(alive) if alive.node == name(0) => Some(alive),
            _ => None,
        })
    }
}

fn ping(node: Str) -> Message {
    Message::Ping(Ping {
        node,
        seq_no: 42,
        source_addr: ip_bytes(addr(9).ip()),
        source_node: name(9),
        source_port: 9301,
    })
}

fn acks(messages: &[Message]) -> Vec<u32> {
    let ack = |message: &Message| match message {
        Message::Ack(ack) => Some(ack.seq_no),
        _ => None,
    };
    messages.iter().filter_map(ack).collect()
}

#[test]
fn a_ping_is_acknowledged_where_it_asks_to_with_a_coordinate() {
    let mut script = Script::new(0);
    script.hear(&ping(name(0)));
    let sent = script.sent(Some(SocketAddr::from(([10, 0, 0, 9], 9301))));
    assert_eq!(acks(&sent), [42]);
    let payload = sent.iter().find_map(|message| match message {
        Message::Ack(ack) => Some(ack.payload.clone()),
        _ => None,
    });
    assert_eq!(payload.and_then(|payload| payload.first().copied()), Some(1));
}

#[test]
fn a_ping_for_somebody_else_is_not_acknowledged() {
    let mut script = Script::new(0);
    script.hear(&ping("other".into()));
    assert!(acks(&script.sent(None)).is_empty());
    script.hear(&ping("".into()));
    assert_eq!(acks(&script.sent(None)), [42], "whoever is here");
}

#[test]
fn a_rumour_of_our_death_is_contradicted_with_a_higher_incarnation() {
    for rumour in [suspect(0, 1, 7), dead(0, 1, 7)] {
        let mut script = Script::new(3);
        script.hear(&rumour);
        assert_eq!(script.says_of_itself().map(|alive| alive.incarnation), Some(8));
        assert_eq!(script.status(0), Some(Status::Alive));
        assert_eq!(script.gossip.stats().health_score, 1, "perhaps it is us who are slow");
    }
}

#[test]
fn an_older_life_of_ours_is_told_that_it_is_over() {
    let mut script = Script::new(3);
    // From before a restart: a higher incarnation with other tags.
    let Message::Alive(mut old) = alive(0, 5) else { panic!("not alive") };
    old.meta = Bytes::from_static(&[0xff, 0x81, 0xa1, b'a', 0xa1, b'b']);
    script.hear(&Message::Alive(old));
    let now = script.says_of_itself().expect("it speaks up");
    assert_eq!((now.incarnation, &now.meta[..]), (6, &[0xff, 0x80][..]));
}

#[test]
fn a_suspect_fails_when_its_time_is_over_and_not_before() {
    let mut script = Script::new(1);
    script.hear(&suspect(1, 2, 1));
    script.pass(Duration::from_millis(3990));
    assert_eq!(script.status(1), Some(Status::Alive), "with two members nobody can confirm: four seconds");
    script.pass(Duration::from_millis(20));
    assert_eq!(script.status(1), Some(Status::Failed));
    assert_eq!(script.changes(), [(MemberChange::Failed, name(1))]);
}

#[test]
fn a_suspect_that_speaks_is_alive_again() {
    let mut script = Script::new(1);
    script.hear(&suspect(1, 2, 1));
    script.hear(&alive(1, 1));
    script.pass(Duration::from_secs(2));
    script.hear(&alive(1, 2));
    script.pass(Duration::from_secs(3));
    assert_eq!(script.status(1), Some(Status::Alive));
}

#[test]
fn an_old_rumour_changes_nothing() {
    let mut script = Script::new(1);
    script.hear(&alive(1, 9));
    script.effects.clear();
    for rumour in [suspect(1, 2, 8), dead(1, 2, 8), dead(3, 2, 1), suspect(3, 2, 1), alive(1, 9)] {
        script.hear(&rumour);
        assert!(script.changes().is_empty(), "{rumour:?}");
        assert_eq!(script.status(1), Some(Status::Alive), "{rumour:?}");
    }
    assert_eq!(script.status(3), None, "nobody is born by dying");
}

#[test]
fn who_announces_its_own_death_after_its_intent_has_left() {
    let mut script = Script::new(2);
    let mut intent = vec![8, 0];
    intent.extend([0x83, 0xa5]);
    intent.extend(b"LTime");
    intent.extend([0x09, 0xa4]);
    intent.extend(b"Node");
    intent.extend([0xa2, b'n', b'1', 0xa5]);
    intent.extend(b"Prune");
    intent.push(0xc2);
    let packet = compound(&[intent, dead(1, 1, 1).encode()]).remove(0);
    script.input(Input::Packet { from: addr(1), bytes: Bytes::from(packet) });
    assert_eq!(script.changes(), [(MemberChange::Update, name(1)), (MemberChange::Leave, name(1))]);
    script.hear(&dead(2, 2, 1));
    assert_eq!(script.changes().pop(), Some((MemberChange::Failed, name(2))), "without an intent it failed");
}

#[test]
fn a_name_is_not_taken_over_while_its_owner_lives_but_after_it_left() {
    let elsewhere = |incarnation| {
        let Message::Alive(mut alive) = alive(1, incarnation) else { panic!("not alive") };
        alive.addr = ip_bytes(addr(77).ip());
        Message::Alive(alive)
    };
    let mut script = Script::new(1);
    script.hear(&elsewhere(5));
    let at = |script: &Script| script.gossip.member("n1").map(|member| member.addr);
    assert_eq!(at(&script), Some(addr(1)));
    script.hear(&dead(1, 2, 5));
    script.hear(&elsewhere(1));
    assert_eq!(at(&script), Some(addr(1)), "dead for too short a time");
    script.hear(&alive(1, 6));
    script.hear(&dead(1, 1, 6));
    script.hear(&elsewhere(1));
    assert_eq!((at(&script), script.status(1)), (Some(addr(77)), Some(Status::Alive)));
}

#[test]
fn impossible_versions_are_refused() {
    for vsn in [[0, 5, 2, 2, 5, 4], [1, 0, 2, 2, 5, 4], [5, 1, 2, 2, 5, 4]] {
        let mut script = Script::new(0);
        let Message::Alive(mut alive) = alive(1, 1) else { panic!("not alive") };
        alive.vsn = Bytes::copy_from_slice(&vsn);
        script.hear(&Message::Alive(alive));
        assert_eq!(script.status(1), None, "{vsn:?}");
        assert_eq!(script.gossip.refusals().collect::<Vec<_>>(), [("version", 1)]);
    }
}

#[test]
fn a_probe_asks_directly_then_others_and_by_stream_then_suspects() {
    let mut script = Script::new(5);
    // Up to the first probe.
    let target = loop {
        script.now = script.gossip.deadline();
        script.input(Input::Wake);
        let pinged = script.effects.iter().find_map(|effect| match effect {
            Effect::Packet { to, bytes } => Envelope::default()
                .open(bytes)
                .expect("our own packet")
                .messages
                .iter()
                .any(|message| matches!(message, Message::Ping(_)))
                .then_some(*to),
            _ => None,
        });
        if let Some(target) = pinged {
            break target;
        }
    };
    script.sent(None);
    script.pass(Duration::from_millis(490));
    let asked = |sent: &[Message]| sent.iter().filter(|m| matches!(m, Message::IndirectPing(_))).count();
    assert_eq!(asked(&script.sent(None)), 0);
    script.pass(Duration::from_millis(20));
    assert_eq!(asked(&script.sent(None)), 3, "three others are asked after half a second");
    let opened =
        script.effects.iter().any(|effect| matches!(effect, Effect::Open { to, .. } if *to == target));
    assert!(opened, "and a stream is tried");
    script.pass(Duration::from_millis(480));
    let suspects = |sent: &[Message]| {
        sent.iter()
            .any(|m| matches!(m, Message::Suspect(s) if addr(s.node[1..].parse().expect("n<i>")) == target))
    };
    assert!(!suspects(&script.sent(None)));
    script.pass(Duration::from_millis(300));
    assert!(suspects(&script.sent(None)), "after a second it is suspected");
    assert_eq!(script.gossip.stats().health_score, 3, "three nacks were expected and none came");
}

#[test]
fn a_probe_for_another_is_passed_on_and_its_ack_passed_back() {
    let mut script = Script::new(2);
    let ask = |nack| {
        Message::IndirectPing(IndirectPing {
            nack,
            node: name(2),
            port: 8301,
            seq_no: 900,
            source_addr: ip_bytes(addr(1).ip()),
            source_node: name(1),
            source_port: 8301,
            target: ip_bytes(addr(2).ip()),
        })
    };
    let pinged = |script: &mut Script| {
        script.sent(Some(addr(2))).into_iter().find_map(|message| match message {
            Message::Ping(ping) => Some(ping.seq_no),
            _ => None,
        })
    };
    script.hear(&ask(true));
    let seq_no = pinged(&mut script).expect("passed on");
    assert_ne!(seq_no, 900, "under a number of our own");
    script.hear(&Message::Ack(Ack { payload: Bytes::new(), seq_no }));
    assert_eq!(acks(&script.sent(Some(addr(1)))), [900]);
    script.hear(&ask(true));
    script.sent(None);
    script.pass(Duration::from_millis(510));
    let nack = Message::Nack(Nack { seq_no: 900 });
    assert!(script.sent(Some(addr(1))).contains(&nack), "no answer: we at least are here");
    script.hear(&ask(false));
    script.sent(None);
    script.pass(Duration::from_millis(510));
    assert!(!script.sent(Some(addr(1))).contains(&nack), "it did not want to know");
}

#[test]
fn a_stream_is_answered_with_what_was_known_before() {
    let mut script = Script::new(2);
    let mut other = Script::new(0);
    let stream = Stream::Accepted(1);
    // The other's side of an exchange, from the machine itself.
    other.input(Input::Join { call: CallId(1), addrs: vec![addr(0)], ignore_old: false });
    let opened = other.effects.iter().find_map(|effect| match effect {
        Effect::Open { stream, .. } => Some(*stream),
        _ => None,
    });
    other.input(Input::StreamOpened { stream: opened.expect("a stream is ordered") });
    let written = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Write { bytes, .. } => Some(bytes.clone()),
            _ => None,
        })
    };
    let said = written(&other.effects).expect("it speaks first");
    script.input(Input::StreamAccepted { stream, from: addr(9) });
    for piece in said.chunks(100) {
        script.input(Input::StreamBytes { stream, bytes: Bytes::copy_from_slice(piece) });
    }
    let answer = written(&script.effects).expect("an answer");
    let read = StreamReader::new(false).push(&answer, &Envelope::default());
    let Ok(Some(StreamMessage::PushPull(tables))) = read else { panic!("{read:?}") };
    assert!(tables.join);
    assert_eq!(tables.nodes.len(), 3);
    assert!(script.effects.contains(&Effect::Close { stream }));
}

#[test]
fn a_silent_stream_is_closed_when_its_time_is_over() {
    let mut script = Script::new(0);
    let stream = Stream::Accepted(1);
    script.input(Input::StreamAccepted { stream, from: addr(9) });
    script.pass(Duration::from_millis(9990));
    assert!(!script.effects.contains(&Effect::Close { stream }));
    script.pass(Duration::from_millis(20));
    assert!(script.effects.contains(&Effect::Close { stream }));
}

#[test]
fn a_flood_of_streams_is_cut_at_the_limit() {
    let closed = |from: fn(u64) -> u8| {
        let mut script = Script::new(0);
        for i in 0..200 {
            script.input(Input::StreamAccepted { stream: Stream::Accepted(i), from: addr(from(i)) });
        }
        script.effects.iter().filter(|effect| matches!(effect, Effect::Close { .. })).count()
    };
    assert_eq!(closed(|i| (i / 8) as u8 + 10), 200 - 128, "of all");
    assert_eq!(closed(|_| 9), 200 - 16, "of one address");
}

#[test]
fn joining_nobody_ends_and_says_why() {
    let mut script = Script::new(0);
    script.input(Input::Join { call: CallId(1), addrs: vec![addr(5)], ignore_old: false });
    script.pass(Duration::from_secs(11));
    let joined = script.effects.iter().find_map(|effect| match effect {
        Effect::Joined { call: CallId(1), contacted, failed } => Some((*contacted, failed.clone())),
        _ => None,
    });
    assert_eq!(joined, Some((0, vec![(addr(5), "i/o timeout".to_owned())])));
}

#[test]
fn a_member_that_is_alone_is_hardly_woken_and_misses_no_tick_once_it_is_not() {
    let mut script = Script::new(0);
    let (end, mut wakes) = (Instant::ZERO + Duration::from_secs(60), 0);
    while script.gossip.deadline() <= end {
        script.now = script.gossip.deadline();
        script.input(Input::Wake);
        wakes += 1;
    }
    assert!(wakes <= 8, "{wakes} wakes in a minute");
    script.now = end;
    script.hear(&alive(1, 1));
    script.pass(Duration::from_secs(1));
    assert!(script.sent(Some(addr(1))).iter().any(|message| matches!(message, Message::Ping(_))));
    let before = script.gossip.deadline();
    assert!(before <= script.now + Duration::from_millis(200), "it gossips five times a second");
}

#[test]
fn leaving_alone_ends_after_the_propagation_delay() {
    let mut script = Script::new(0);
    script.input(Input::Leave { call: CallId(1) });
    script.pass(Duration::from_millis(3010));
    assert!(script.effects.contains(&Effect::Left { call: CallId(1) }));
    assert_eq!(script.status(0), Some(Status::Left));
}

#[test]
fn an_event_that_is_too_long_is_refused() {
    let mut script = Script::new(0);
    let payload = Bytes::from(vec![0; 600]);
    script.input(Input::UserEvent { call: CallId(1), name: "e".into(), payload, coalesce: false });
    let reason = script.effects.iter().find_map(|effect| match effect {
        Effect::UserEventRefused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("user event exceeds configured limit of 512 bytes before encoding"));
}

#[test]
fn packets_stay_within_their_size_however_much_there_is_to_tell() {
    let mut script = Script::new(200);
    script.pass(Duration::from_secs(20));
    let longest = script.effects.iter().filter_map(|effect| match effect {
        Effect::Packet { bytes, .. } => Some(bytes.len()),
        _ => None,
    });
    let longest = longest.max().expect("packets");
    assert!((300..=1400).contains(&longest), "{longest}");
}
