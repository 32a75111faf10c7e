//! Many streams over one connection: one end against any bytes, two ends against each other, and the end that answers
//! calls.

use bytes::{Bytes, BytesMut};
use lictor_core::rpc::yamux::{Event, INITIAL_WINDOW, MAX_STREAMS, Session, SessionError, Side, StreamId};
use lictor_core::rpc::{MAX_HELD, Output, Serving};
use lictor_core::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of all streams of a pair together.
const MOST: usize = 4 << 20;

/// The first byte says who reads the rest.
pub(crate) fn yamux(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    match how % 4 {
        0 => any_bytes(Side::Server, rest, usize::from(how / 4)),
        1 => any_bytes(Side::Client, rest, usize::from(how / 4)),
        2 => Pair::new().run(rest),
        _ => calls(rest, usize::from(how / 4)),
    }
}

/// However the bytes are cut, they say the same.
fn any_bytes(side: Side, bytes: &[u8], piece: usize) {
    let whole = told(side, bytes, 60_000);
    assert_eq!(told(side, bytes, piece + 1), whole);
}

/// What a session makes of the bytes: its events with the data of each run put together, what it writes, and how
/// it ends.
fn told(side: Side, bytes: &[u8], piece: usize) -> (Vec<Event>, Vec<u8>, Option<SessionError>) {
    let mut session = Session::new(side, Instant::ZERO);
    let (mut events, mut written): (Vec<Event>, Vec<u8>) = Default::default();
    let mut open = BTreeSet::new();
    let mut untaken: BTreeMap<StreamId, u32> = BTreeMap::new();
    if side == Side::Client {
        open.extend([session.open().expect("the first"), session.open().expect("the second")]);
    }
    let mut error = None;
    for part in bytes.chunks(piece) {
        error = session.receive(Bytes::copy_from_slice(part)).err();
        while let Some(event) = session.poll_event() {
            match &event {
                Event::Opened(id) => assert!(open.insert(*id), "{id:?} is open"),
                Event::Data(id, data) => {
                    assert!(open.contains(id) && !data.is_empty(), "{event:?}");
                    let held = untaken.entry(*id).or_default();
                    *held += data.len() as u32;
                    assert!(*held <= INITIAL_WINDOW, "{id:?} sent {held} bytes that nobody took");
                }
                Event::Finished(id) => assert!(open.contains(id)),
                Event::Reset(id) => assert!(open.remove(id)),
                Event::GoAway(_) => {}
            }
            match (events.last_mut(), event) {
                (Some(Event::Data(last, all)), Event::Data(id, data)) if *last == id => {
                    *all = [&all[..], &data[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
        while let Some(bytes) = session.poll_transmit() {
            written.extend_from_slice(&bytes);
        }
        if let Some(error) = error {
            assert_eq!(session.receive(Bytes::from_static(b"\0")), Err(error), "an end is for good");
            break;
        }
    }
    assert!(session.streams() <= MAX_STREAMS && written.len() <= 64 + 12 * bytes.len());
    (events, written, error)
}

/// The end that answers calls, in front of somebody who answers at once, later, wrongly or not at all.
fn calls(bytes: &[u8], piece: usize) {
    let now = Instant::ZERO;
    let mut serving = Serving::new(now);
    let mut later = Vec::new();
    for part in bytes.chunks(piece + 1) {
        let over = serving.receive(now, Bytes::copy_from_slice(part)).is_err();
        while let Some(output) = serving.poll_output(now) {
            let Output::Call { stream, method, arguments } = output else { continue };
            match method.len() % 4 {
                0 => serving.answer(now, stream, Ok(arguments), false),
                1 => serving.answer(now, stream, Err(&method), true),
                2 => later.push((stream, arguments)),
                _ => {}
            }
        }
        while serving.poll_transmit(now).is_some() {}
        if over {
            break;
        }
    }
    assert!(serving.under_way() <= MAX_STREAMS && serving.held() <= MAX_HELD.min(bytes.len()));
    for (stream, arguments) in later {
        serving.answer(now, stream, Ok(arguments), false);
    }
    while serving.poll_transmit(now).is_some() || serving.poll_output(now).is_some() {}
}

/// Two ends, with what is under way between them.
struct Pair {
    ends: [End; 2],
    now: Instant,
    /// Bytes sent on all streams.
    total: usize,
}

struct End {
    session: Session,
    /// On their way to this end.
    coming: BytesMut,
    /// Bytes that came and were not taken.
    untaken: BTreeMap<StreamId, usize>,
    /// How many bytes were sent from here, and how many came, on each stream.
    sent: BTreeMap<StreamId, usize>,
    came: BTreeMap<StreamId, usize>,
    /// Streams that this end knows of and has not given up.
    open: BTreeSet<StreamId>,
    finished: BTreeSet<StreamId>,
    /// Streams of which the other end has said that nothing more comes.
    ended: BTreeSet<StreamId>,
}

/// What stands at a place of a stream.
fn byte(id: StreamId, at: usize) -> u8 {
    (at as u8).wrapping_mul(31).wrapping_add(id.0 as u8).wrapping_add((at >> 8) as u8)
}

impl Pair {
    fn new() -> Pair {
        let end = |side| End {
            session: Session::new(side, Instant::ZERO),
            coming: BytesMut::new(),
            untaken: BTreeMap::new(),
            sent: BTreeMap::new(),
            came: BTreeMap::new(),
            open: BTreeSet::new(),
            finished: BTreeSet::new(),
            ended: BTreeSet::new(),
        };
        Pair { ends: [end(Side::Client), end(Side::Server)], now: Instant::ZERO, total: 0 }
    }

    /// Two bytes each are one step.
    fn run(mut self, steps: &[u8]) {
        let mut broken = BTreeSet::new();
        for step in steps.chunks_exact(2) {
            let (what, side, size) = (step[0] % 8, usize::from(step[0] >> 7), usize::from(step[1]));
            let Pair { ends, now, total } = &mut self;
            let end = &mut ends[side];
            let chosen = end.open.iter().nth(size % end.open.len().max(1)).copied();
            match (what, chosen) {
                (0, _) => drop(end.session.open().map(|id| end.open.insert(id))),
                (1, Some(id)) => {
                    // Small, and larger than a window.
                    let length = if size < 200 { size } else { ((size - 199) * 8) << 10 };
                    if *total + length > MOST || end.finished.contains(&id) {
                        continue;
                    }
                    *total += length;
                    let at = end.sent.entry(id).or_default();
                    end.session.send(id, (*at..*at + length).map(|at| byte(id, at)).collect());
                    *at += length;
                }
                (2, Some(id)) => {
                    end.finished.insert(id);
                    end.session.finish(*now, id);
                }
                (3, Some(id)) if size < 32 => {
                    end.session.reset(id);
                    end.open.remove(&id);
                    broken.insert(id);
                }
                (4, _) => self.deliver(side, size * size, &mut broken),
                (5, _) => self.ends[side].take(),
                (6, _) => {
                    *now = *now + Duration::from_millis(size as u64);
                    if ends.iter_mut().any(|end| end.session.wake(*now).is_err()) {
                        return;
                    }
                }
                _ => {}
            }
        }
        // What is under way comes through.
        for _ in 0..4 * (2 + self.total / INITIAL_WINDOW as usize) {
            for side in [0, 1] {
                self.deliver(side, usize::MAX, &mut broken);
                self.ends[side].take();
            }
        }
        let [a, b] = &self.ends;
        for (from, to) in [(a, b), (b, a)] {
            for (id, sent) in from.sent.iter().filter(|(id, _)| !broken.contains(id)) {
                assert_eq!(to.came.get(id).copied().unwrap_or(0), *sent, "{id:?}");
            }
            let unheard = from.finished.iter().find(|id| !broken.contains(id) && !to.ended.contains(id));
            assert_eq!(unheard, None, "its end was not told");
        }
        assert_eq!(a.session.streams(), b.session.streams());
        assert_eq!((a.session.unsent(), b.session.unsent()), (0, 0));
    }

    /// Hands in up to `most` bytes on their way to one end.
    fn deliver(&mut self, side: usize, most: usize, broken: &mut BTreeSet<StreamId>) {
        while let Some(bytes) = self.ends[1 - side].session.poll_transmit() {
            self.ends[side].coming.extend_from_slice(&bytes);
        }
        let end = &mut self.ends[side];
        let mut left = most.min(end.coming.len());
        while left > 0 {
            let part = end.coming.split_to(left.min(60_000)).freeze();
            left -= part.len();
            end.session.receive(part).expect("the other end keeps to the rules");
            end.listen(broken);
        }
    }
}

impl End {
    fn listen(&mut self, broken: &mut BTreeSet<StreamId>) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Opened(id) => assert!(self.open.insert(id)),
                Event::Data(id, data) => {
                    let at = self.came.entry(id).or_default();
                    let right = data.iter().enumerate().all(|(i, b)| *b == byte(id, *at + i));
                    assert!(right, "{id:?}: bytes are lost, doubled or out of order");
                    *at += data.len();
                    *self.untaken.entry(id).or_default() += data.len();
                }
                Event::Finished(id) => assert!(self.ended.insert(id), "{id:?} ends twice"),
                Event::Reset(id) => {
                    self.open.remove(&id);
                    broken.insert(id);
                }
                Event::GoAway(why) => panic!("{why:?}"),
            }
        }
    }

    fn take(&mut self) {
        for (id, bytes) in std::mem::take(&mut self.untaken) {
            self.session.taken(id, bytes);
        }
    }
}
