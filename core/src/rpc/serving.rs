//! The end of a connection that answers calls: many streams, on each one call after the other.

use super::message::{self, CallHead, MessageError, Reader};
use super::yamux::{Event, Session, SessionError, Side, StreamId};
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use bytes::Bytes;

/// Bytes of calls that have not begun, over all streams of a connection. A stream that goes over is thrown
/// away. There is room for one call of the largest size beside many of the usual.
pub const MAX_HELD: usize = message::MAX_MESSAGE + (16 << 20);

/// Bytes of answers that the other side has not taken, over all streams of a connection. Beyond, no call
/// begins; at four times as much, answers that were under way are thrown away with their streams.
pub const MAX_UNSENT: usize = 32 << 20;

/// Calls that are handed out before the answers to them are looked at: nobody knows how large those are.
const MAX_AT_ONCE: usize = 8;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Carry out a call, and hand its result to [`Serving::answer`]. There is no other on this stream
    /// until then.
    Call {
        /// The stream it came on.
        stream: StreamId,
        /// For example `Catalog.Register`.
        method: String,
        /// One msgpack value.
        arguments: Bytes,
    },
    /// Nobody waits for the answer any more.
    Gone {
        /// The stream that the call came on.
        stream: StreamId,
    },
    /// What came on a stream is no call, or there was no room for it: the stream was thrown away.
    Refused {
        /// Why.
        why: MessageError,
    },
}

/// The answering end of a connection, after its first byte.
///
/// Memory: [`MAX_HELD`] and four times [`MAX_UNSENT`], and a little for each stream.
#[derive(Debug)]
pub struct Serving {
    session: Session,
    streams: BTreeMap<StreamId, Stream>,
    /// Bytes in all readers.
    held: usize,
    /// Streams whose next call waits for room.
    stalled: BTreeSet<StreamId>,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Default)]
struct Stream {
    reader: Reader,
    /// Bytes that came and count against the window still.
    untaken: usize,
    /// The call under way.
    call: Option<CallHead>,
}

impl Serving {
    /// A connection that was just accepted.
    pub fn new(now: Instant) -> Serving {
        Serving {
            session: Session::new(Side::Server, now),
            streams: BTreeMap::new(),
            held: 0,
            stalled: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what arrived; at most 64 KiB at a time, with [`Serving::poll_output`] and
    /// [`Serving::poll_transmit`] drained in between.
    ///
    /// # Errors
    /// The connection is over: write what is left to transmit, then close it.
    pub fn receive(&mut self, now: Instant, bytes: Bytes) -> Result<(), SessionError> {
        let done = self.session.receive(bytes);
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Opened(id) => {
                    self.streams.insert(id, Stream::default());
                }
                Event::Data(id, bytes) => self.data(now, id, &bytes),
                // What is under way may be answered yet, at once; see `poll_output`.
                Event::Finished(id) => self.outputs.push_back(Output::Gone { stream: id }),
                Event::Reset(id) => {
                    if self.forget(id) {
                        self.outputs.push_back(Output::Gone { stream: id });
                    }
                }
                Event::GoAway(_) => {}
            }
        }
        self.resume(now);
        done
    }

    fn data(&mut self, now: Instant, id: StreamId, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.reader.receive(bytes);
        stream.untaken += bytes.len();
        self.held += bytes.len();
        if self.held > MAX_HELD {
            self.outputs.push_back(Output::Refused { why: MessageError::TooLarge(MAX_HELD) });
            return self.abandon(id);
        }
        self.begin(now, id);
    }

    /// Begins the next call of a stream, if it is here and there is room for its answer.
    fn begin(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.call.is_none()) else { return };
        let full = self.session.unsent() > MAX_UNSENT || self.outputs.len() >= MAX_AT_ONCE;
        if full || self.session.queued(id) > 0 {
            if !stream.reader.is_empty() {
                self.stalled.insert(id);
            }
            return;
        }
        let before = stream.reader.held();
        let next = stream.reader.next_message::<CallHead>();
        self.held -= before - stream.reader.held();
        self.session.taken(id, core::mem::take(&mut stream.untaken));
        match next {
            Ok(None) => {}
            Ok(Some((head, arguments))) => {
                let method = head.service_method.clone();
                stream.call = Some(head);
                self.outputs.push_back(Output::Call { stream: id, method, arguments });
            }
            Err(why) => {
                self.outputs.push_back(Output::Refused { why });
                self.session.finish(now, id);
                self.abandon(id);
            }
        }
    }

    /// Begins calls that waited for room, as far as there is some.
    fn resume(&mut self, now: Instant) {
        if self.stalled.is_empty() || self.session.unsent() > MAX_UNSENT {
            return;
        }
        let mut waiting = core::mem::take(&mut self.stalled).into_iter();
        for id in waiting.by_ref() {
            self.begin(now, id);
            if self.outputs.len() >= MAX_AT_ONCE {
                break;
            }
        }
        self.stalled.extend(waiting);
    }

    /// Answers the call of a stream: with one msgpack value, or with the text of what went wrong. `close`
    /// ends the stream after it.
    pub fn answer(&mut self, now: Instant, id: StreamId, result: Result<Bytes, &str>, close: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(head) = stream.call.take() else { return };
        match result {
            Ok(result) => {
                for part in message::answer_encoded(&head, result) {
                    self.session.send(id, part);
                }
            }
            Err(text) => self.session.send(id, message::failure(&head, text)),
        }
        if self.session.unsent() > 4 * MAX_UNSENT {
            return self.abandon(id);
        }
        if close {
            self.session.finish(now, id);
            self.forget(id);
        } else {
            self.begin(now, id);
        }
    }

    /// Throws a stream away.
    fn abandon(&mut self, id: StreamId) {
        self.session.reset(id);
        self.forget(id);
    }

    /// Whether a call was under way on it.
    fn forget(&mut self, id: StreamId) -> bool {
        self.stalled.remove(&id);
        let Some(stream) = self.streams.remove(&id) else { return false };
        self.held -= stream.reader.held();
        stream.call.is_some()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self, now: Instant) -> Option<Output> {
        loop {
            if self.outputs.is_empty() {
                self.resume(now);
            }
            let output = self.outputs.pop_front()?;
            let Output::Gone { stream } = output else { return Some(output) };
            // A stream that the other side has finished closes once its answers are out; only an answer
            // that is not here yet is not waited for.
            if !self.streams.contains_key(&stream) {
                return Some(output);
            }
            self.session.finish(now, stream);
            if self.forget(stream) {
                return Some(output);
            }
        }
    }

    /// The next bytes to write. Afterwards calls may begin that waited for room: look at
    /// [`Serving::poll_output`] again.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        let bytes = self.session.poll_transmit();
        if bytes.is_none() {
            self.resume(now);
        }
        bytes
    }

    /// When to call [`Serving::wake`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// Keeps the connection alive.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn wake(&mut self, now: Instant) -> Result<(), SessionError> {
        self.session.wake(now)
    }

    /// Bytes of calls that have not begun, over all streams.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Bytes of answers that the other side has not taken, over all streams.
    pub fn unsent(&self) -> usize {
        self.session.unsent()
    }

    /// Calls that have come whole and wait for their answers.
    pub fn under_way(&self) -> usize {
        self.streams.values().filter(|stream| stream.call.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::AnswerHead;
    use super::super::yamux::MAX_STREAMS;
    use super::*;
    use crate::wire::Tree;
    use std::vec;
    use std::vec::Vec;

    const NOW: Instant = Instant::ZERO;

    /// The calling end, joined to a serving one that answers `echo` with its arguments at once.
    struct Pair {
        client: Session,
        server: Serving,
        readers: BTreeMap<StreamId, Reader>,
        answers: Vec<(StreamId, AnswerHead, Bytes)>,
        waiting: Vec<StreamId>,
        gone: Vec<StreamId>,
        refused: Vec<MessageError>,
        reads: bool,
    }

    impl Pair {
        fn new() -> Pair {
            Pair {
                client: Session::new(Side::Client, NOW),
                server: Serving::new(NOW),
                readers: BTreeMap::new(),
                answers: Vec::new(),
                waiting: Vec::new(),
                gone: Vec::new(),
                refused: Vec::new(),
                reads: true,
            }
        }

        fn run(&mut self) {
            loop {
                let mut quiet = true;
                while let Some(bytes) = self.client.poll_transmit() {
                    quiet = false;
                    self.server.receive(NOW, bytes).unwrap();
                    self.serve();
                }
                self.serve();
                while let Some(bytes) = self.server.poll_transmit(NOW) {
                    quiet = false;
                    self.client.receive(bytes).unwrap();
                    self.listen();
                }
                if quiet {
                    return;
                }
            }
        }

        fn serve(&mut self) {
            while let Some(output) = self.server.poll_output(NOW) {
                match output {
                    Output::Call { stream, method, arguments } => match &*method {
                        "echo" => self.server.answer(NOW, stream, Ok(arguments), false),
                        "large" => {
                            let result = vec![0xc0; 1 << 20].into();
                            self.server.answer(NOW, stream, Ok(result), false);
                        }
                        "unknown" => self.server.answer(NOW, stream, Err("what?"), true),
                        _ => self.waiting.push(stream),
                    },
                    Output::Gone { stream } => self.gone.push(stream),
                    Output::Refused { why } => self.refused.push(why),
                }
            }
        }

        fn listen(&mut self) {
            while let Some(event) = self.client.poll_event() {
                if let Event::Data(id, bytes) = event {
                    if !self.reads {
                        continue;
                    }
                    self.client.taken(id, bytes.len());
                    let reader = self.readers.entry(id).or_default();
                    reader.receive(&bytes);
                    while let Some((head, body)) = reader.next_message().unwrap() {
                        self.answers.push((id, head, body));
                    }
                }
            }
        }

        fn call(&mut self, seq: u64, method: &str) -> StreamId {
            let id = self.client.open().unwrap();
            self.client.send(id, message::call(seq, method, &Tree::UInt(seq)));
            id
        }
    }

    #[test]
    fn calls_on_one_stream_are_answered_in_turn_and_streams_do_not_wait_for_each_other() {
        let mut pair = Pair::new();
        let slow = pair.call(1, "slow");
        pair.client.send(slow, message::call(2, "echo", &Tree::UInt(2)));
        let fast = pair.call(3, "echo");
        pair.run();
        let seqs = |pair: &Pair| pair.answers.iter().map(|(id, head, _)| (*id, head.seq)).collect::<Vec<_>>();
        assert_eq!(seqs(&pair), [(fast, 3)]);
        assert_eq!(pair.waiting, [slow]);
        pair.server.answer(NOW, slow, Ok(Bytes::from_static(&[0x80])), false);
        pair.run();
        assert_eq!(seqs(&pair), [(fast, 3), (slow, 1), (slow, 2)]);
    }

    #[test]
    fn a_stream_is_closed_behind_the_answer_to_a_call_that_was_not_understood() {
        let mut pair = Pair::new();
        let id = pair.call(7, "unknown");
        pair.run();
        assert_eq!(pair.answers[0].1.error, "what?");
        pair.client.finish(NOW, id);
        pair.run();
        assert_eq!((pair.client.streams(), pair.server.session.streams()), (0, 0));
    }

    #[test]
    fn what_can_be_answered_at_once_is_answered_even_behind_the_last_call_and_what_waits_is_given_up() {
        let mut pair = Pair::new();
        let (at_once, waits) = (pair.call(1, "echo"), pair.call(2, "slow"));
        pair.client.finish(NOW, at_once);
        pair.client.finish(NOW, waits);
        pair.run();
        assert_eq!(pair.answers.len(), 1);
        assert_eq!(pair.gone, [waits]);
        assert_eq!((pair.server.under_way(), pair.server.held), (0, 0));
        pair.server.answer(NOW, waits, Ok(Bytes::new()), false);
    }

    #[test]
    fn a_call_larger_than_a_window_comes_through() {
        let mut pair = Pair::new();
        let id = pair.client.open().unwrap();
        pair.client.send(id, message::call(1, "echo", &Tree::Raw(vec![7; 3 << 20])));
        pair.run();
        assert_eq!(pair.answers[0].2.len(), (3 << 20) + 5);
        assert_eq!(pair.server.held, 0);
    }

    #[test]
    fn streams_over_the_limit_are_refused_and_the_others_go_on() {
        let mut pair = Pair::new();
        for seq in 0..MAX_STREAMS as u64 {
            pair.call(seq, "slow");
        }
        pair.run();
        // The client's own limit is the same: the rest is written by hand.
        let first = 2 * MAX_STREAMS as u32 + 1;
        for id in (first..first + 2000).step_by(2) {
            let syn = [&[0, 1, 0, 1][..], &id.to_be_bytes(), &[0; 4]].concat();
            pair.server.receive(NOW, syn.into()).unwrap();
            while pair.server.poll_transmit(NOW).is_some() {}
        }
        assert_eq!(pair.server.under_way(), MAX_STREAMS);
        let first = pair.waiting[0];
        pair.server.answer(NOW, first, Ok(Bytes::from_static(&[0x80])), false);
        pair.run();
        assert_eq!(pair.answers.len(), 1);
    }

    #[test]
    fn half_calls_cost_no_more_than_the_limit() {
        let mut pair = Pair::new();
        for _ in 0..2000 {
            let id = pair.client.open().unwrap();
            // Says that it is large, and never ends.
            let mut call = message::call(1, "echo", &Tree::Nil).to_vec();
            call.pop();
            call.extend_from_slice(&[0xdb, 0x02, 0, 0, 0]);
            call.resize(200 << 10, 0);
            pair.client.send(id, call.into());
            pair.run();
            assert!(pair.server.held <= MAX_HELD);
        }
        assert!(pair.client.streams() < 1000, "the streams over the limit are gone");
        assert_eq!(pair.refused.len(), 2000 - pair.client.streams(), "and were told of");
        pair.call(2, "echo");
        pair.run();
    }

    #[test]
    fn a_caller_that_reads_no_answers_gets_no_more_of_them_made() {
        let mut pair = Pair::new();
        pair.reads = false;
        for seq in 0..200 {
            pair.call(seq, "large");
        }
        pair.run();
        assert!(pair.server.session.unsent() <= MAX_UNSENT + (8 << 20), "{}", pair.server.session.unsent());
        assert!(!pair.server.stalled.is_empty());
    }

    #[test]
    fn what_is_no_call_ends_its_stream_and_no_other() {
        let mut pair = Pair::new();
        let bad = pair.client.open().unwrap();
        pair.client.send(bad, Bytes::from_static(&[0xc1, 0xc1]));
        let good = pair.call(1, "echo");
        pair.run();
        assert_eq!(pair.answers.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [good]);
        assert_eq!(pair.client.streams(), 1);
        assert!(matches!(pair.refused[..], [MessageError::Malformed(_)]), "{:?}", pair.refused);
    }
}
