//! Sessions and streams of yamux, end to end.

use super::*;
use crate::time::Instant;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::{format, vec};

const START: Instant = Instant::ZERO;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect::<Vec<u8>>().into()
}

fn sent(session: &mut Session) -> Bytes {
    let mut out = BytesMut::new();
    while let Some(bytes) = session.poll_transmit() {
        out.extend_from_slice(&bytes);
    }
    out.freeze()
}

fn events(session: &mut Session) -> Vec<Event> {
    core::iter::from_fn(|| session.poll_event()).collect()
}

fn pair() -> (Session, Session) {
    (Session::new(Side::Client, START), Session::new(Side::Server, START))
}

/// Carries everything both ways until both are quiet.
fn settle(a: &mut Session, b: &mut Session) {
    loop {
        let (to_b, to_a) = (sent(a), sent(b));
        if to_a.is_empty() && to_b.is_empty() {
            return;
        }
        for part in to_b.chunks(60_000) {
            b.receive(Bytes::copy_from_slice(part)).unwrap();
        }
        for part in to_a.chunks(60_000) {
            a.receive(Bytes::copy_from_slice(part)).unwrap();
        }
    }
}

#[test]
fn a_stream_is_opened_and_accepted_with_the_bytes_that_go_sends() {
    // Opened by a window update with SYN, accepted by one with ACK.
    let (mut client, mut server) = pair();
    let id = client.open().unwrap();
    client.send(id, Bytes::from_static(b"ping"));
    let opening = sent(&mut client);
    assert_eq!(opening, hex("000100010000000100000000 000000000000000100000004 70696e67"));
    server.receive(opening).unwrap();
    assert_eq!(events(&mut server), [Event::Opened(id), Event::Data(id, Bytes::from_static(b"ping"))]);
    assert_eq!(sent(&mut server), hex("000100020000000100000000"));
}

#[test]
fn both_halves_close_and_the_stream_is_forgotten() {
    let (mut client, mut server) = pair();
    let id = client.open().unwrap();
    client.send(id, Bytes::from_static(b"x"));
    client.finish(START, id);
    settle(&mut client, &mut server);
    assert_eq!(
        events(&mut server),
        [Event::Opened(id), Event::Data(id, Bytes::from_static(b"x")), Event::Finished(id)]
    );
    server.send(id, Bytes::from_static(b"y"));
    server.finish(START, id);
    settle(&mut client, &mut server);
    assert_eq!(events(&mut client), [Event::Data(id, Bytes::from_static(b"y")), Event::Finished(id)]);
    assert_eq!((client.streams(), server.streams()), (0, 0));
}

#[test]
fn a_fin_on_a_data_frame_comes_after_the_data() {
    let (_, mut server) = pair();
    server.receive(hex("000100010000000100000000 000000040000000100000002 61")).unwrap();
    assert_eq!(events(&mut server).len(), 2);
    server.receive(hex("62")).unwrap();
    let id = StreamId(1);
    assert_eq!(events(&mut server), [Event::Data(id, Bytes::from_static(b"b")), Event::Finished(id)]);
}

#[test]
fn no_more_is_sent_than_the_other_side_has_room_for() {
    let (mut client, mut server) = pair();
    let id = client.open().unwrap();
    let all = vec![7; 3 * INITIAL_WINDOW as usize];
    client.send(id, Bytes::from(all.clone()));
    settle(&mut client, &mut server);
    let mut got = 0;
    let mut rounds = 0;
    while got < all.len() {
        let arrived: usize = events(&mut server)
            .iter()
            .map(|event| if let Event::Data(_, bytes) = event { bytes.len() } else { 0 })
            .sum();
        assert!(arrived <= INITIAL_WINDOW as usize);
        assert_eq!(client.queued(id), all.len() - got - arrived);
        got += arrived;
        rounds += 1;
        server.taken(id, arrived);
        settle(&mut client, &mut server);
    }
    assert_eq!(rounds, 3);
}

#[test]
fn streams_take_turns() {
    let (mut client, mut server) = pair();
    let (long, short) = (client.open().unwrap(), client.open().unwrap());
    client.send(long, Bytes::from(vec![0; 200_000]));
    client.send(short, Bytes::from_static(b"now"));
    sent(&mut server);
    let order: Vec<u8> = core::iter::from_fn(|| client.poll_transmit())
        .filter(|frame| frame[1] == 0)
        .map(|frame| frame[7])
        .collect();
    assert_eq!(order[..2], [1, 3]);
}

#[test]
fn a_reset_ends_both_directions_and_what_was_under_way_is_dropped() {
    let (mut client, mut server) = pair();
    let id = client.open().unwrap();
    settle(&mut client, &mut server);
    client.reset(id);
    server.send(id, Bytes::from_static(b"too late"));
    settle(&mut client, &mut server);
    assert_eq!(events(&mut server), [Event::Opened(id), Event::Reset(id)]);
    assert_eq!(events(&mut client), []);
}

#[test]
fn who_leaves_takes_no_new_streams_and_finishes_the_old_ones() {
    let (mut client, mut server) = pair();
    let old = client.open().unwrap();
    settle(&mut client, &mut server);
    server.go_away(GoAway::Normal);
    let late = client.open().unwrap();
    settle(&mut client, &mut server);
    assert_eq!(events(&mut client), [Event::GoAway(GoAway::Normal), Event::Reset(late)]);
    assert_eq!(client.open(), Err(OpenError::GoingAway));
    client.send(old, Bytes::from_static(b"still"));
    settle(&mut client, &mut server);
    assert!(events(&mut server).contains(&Event::Data(old, Bytes::from_static(b"still"))));
}

#[test]
fn pings_are_answered_and_a_dead_peer_is_noticed() {
    let (mut client, mut server) = pair();
    server.receive(hex("000200010000000000000009")).unwrap();
    assert_eq!(sent(&mut server), hex("000200020000000000000009"));
    let at = client.poll_timeout().unwrap();
    assert_eq!(at, START + KEEP_ALIVE_INTERVAL);
    client.wake(at).unwrap();
    let ping = sent(&mut client);
    assert_eq!(ping, hex("000200010000000000000001"));
    server.receive(ping).unwrap();
    client.receive(sent(&mut server)).unwrap();
    assert_eq!(client.poll_timeout(), Some(at + KEEP_ALIVE_INTERVAL));
    client.wake(at + KEEP_ALIVE_INTERVAL).unwrap();
    let deadline = client.poll_timeout().unwrap();
    assert_eq!(client.wake(deadline), Err(SessionError::KeepAlive));
}

#[test]
fn a_half_that_the_other_side_never_closes_is_given_up() {
    let (mut client, mut server) = pair();
    let id = client.open().unwrap();
    client.finish(START, id);
    settle(&mut client, &mut server);
    client.wake(START + STREAM_CLOSE_TIMEOUT).unwrap();
    assert_eq!(events(&mut client), [Event::Reset(id)]);
    settle(&mut client, &mut server);
    assert_eq!(events(&mut server).last(), Some(&Event::Reset(id)));
}

#[test]
fn a_broken_peer_is_told_and_the_session_ends() {
    let window = INITIAL_WINDOW + 1;
    for (bytes, error) in [
        ("010000000000000000000000".into(), SessionError::Version(1)),
        ("000500000000000000000000".into(), SessionError::Kind(5)),
        ("000100010000000200000000".into(), SessionError::BadStream(StreamId(2))),
        ("000100010000000000000000".into(), SessionError::BadStream(StreamId(0))),
        ("000100010000000100000000 000100010000000100000000".into(), SessionError::BadStream(StreamId(1))),
        (format!("0000000100000001{window:08x}"), SessionError::WindowExceeded(StreamId(1))),
        ("0001000100000001ffffffff".into(), SessionError::WindowOverflow(StreamId(1))),
    ] {
        let (_, mut server) = pair();
        assert_eq!(server.receive(hex(&bytes)), Err(error), "{bytes}");
        assert!(sent(&mut server).ends_with(&hex("000300000000000000000001")), "{bytes}");
        assert_eq!(server.receive(hex("00")), Err(error));
        assert_eq!(server.open(), Err(OpenError::GoingAway));
    }
}

#[test]
fn who_asks_and_does_not_read_is_cut_off_with_bounded_memory() {
    let (_, mut server) = pair();
    let pings = hex("000200010000000000000009").repeat(5000);
    let mut ended = None;
    for _ in 0..10 {
        if let Err(error) = server.receive(Bytes::from(pings.clone())) {
            ended = Some(error);
            break;
        }
    }
    assert_eq!(ended, Some(SessionError::NotReading));
}

#[test]
fn more_streams_than_allowed_are_reset() {
    let (mut client, mut server) = pair();
    for n in 0..=MAX_STREAMS as u32 {
        let syn = format!("00010001{:08x}00000000", 2 * n + 1);
        server.receive(hex(&syn)).unwrap();
        sent(&mut server);
    }
    assert_eq!(server.streams(), MAX_STREAMS);
    for _ in 0..MAX_STREAMS {
        client.open().unwrap();
    }
    assert_eq!(client.open(), Err(OpenError::TooMany));
}

#[derive(Clone, Debug)]
enum Step {
    Open,
    Send(usize, usize),
    Finish(usize),
    Carry(usize),
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Open),
        4 => (0..6_usize, 1..200_000_usize).prop_map(|(at, len)| Step::Send(at, len)),
        1 => (0..6_usize).prop_map(Step::Finish),
        6 => (1..100_000_usize).prop_map(Step::Carry),
        3 => Just(Step::Take),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is sent on a stream arrives there, in order and once, and then its end.
    #[test]
    fn every_stream_is_a_pipe(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut client, mut server) = pair();
        let mut wire: VecDeque<u8> = VecDeque::new();
        let mut wanted: BTreeMap<StreamId, (Vec<u8>, bool)> = BTreeMap::new();
        let mut got: BTreeMap<StreamId, (Vec<u8>, bool)> = BTreeMap::new();
        let mut fill = 0_u8;
        let all = steps.into_iter().chain((0..400).flat_map(|_| [Step::Carry(100_000), Step::Take]));
        for step in all {
            let nth = |wanted: &BTreeMap<StreamId, (Vec<u8>, bool)>, at: usize| {
                wanted.keys().nth(at % wanted.len().max(1)).copied()
            };
            match step {
                Step::Open => {
                    wanted.insert(client.open().unwrap(), Default::default());
                }
                Step::Send(at, len) => {
                    let Some(id) = nth(&wanted, at) else { continue };
                    let (bytes, finished) = wanted.get_mut(&id).unwrap();
                    if !*finished {
                        fill = fill.wrapping_add(1);
                        bytes.extend(core::iter::repeat_n(fill, len));
                        client.send(id, Bytes::from(vec![fill; len]));
                    }
                }
                Step::Finish(at) => {
                    let Some(id) = nth(&wanted, at) else { continue };
                    wanted.get_mut(&id).unwrap().1 = true;
                    client.finish(START, id);
                }
                Step::Carry(len) => {
                    wire.extend(sent(&mut client));
                    let part: Vec<u8> = wire.drain(..len.min(wire.len())).collect();
                    for part in part.chunks(60_000) {
                        server.receive(Bytes::copy_from_slice(part)).unwrap();
                    }
                    client.receive(sent(&mut server)).unwrap();
                }
                Step::Take => {
                    for event in events(&mut server) {
                        match event {
                            Event::Opened(id) => {
                                prop_assert!(got.insert(id, Default::default()).is_none());
                            }
                            Event::Data(id, bytes) => {
                                server.taken(id, bytes.len());
                                let (all, finished) = got.get_mut(&id).unwrap();
                                prop_assert!(!*finished);
                                all.extend_from_slice(&bytes);
                            }
                            Event::Finished(id) => {
                                prop_assert!(!core::mem::replace(&mut got.get_mut(&id).unwrap().1, true));
                            }
                            other => prop_assert!(false, "{other:?}"),
                        }
                    }
                }
            }
        }
        prop_assert!(got == wanted, "lengths {:?} and {:?}",
            got.values().map(|v| v.0.len()).collect::<Vec<_>>(),
            wanted.values().map(|v| v.0.len()).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_a_session_panic(
        parts in proptest::collection::vec(proptest::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..200), 0..20),
    ) {
        for side in [Side::Client, Side::Server] {
            let mut session = Session::new(side, START);
            for part in &parts {
                if session.receive(Bytes::from(part.clone())).is_err() {
                    break;
                }
                events(&mut session);
                sent(&mut session);
            }
        }
    }
}
