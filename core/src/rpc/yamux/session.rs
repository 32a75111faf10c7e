//! One end of a connection.

use super::frame::{Flags, HEADER, Header, HeaderError, Kind};
use super::stream::Stream;
use super::{
    GoAway, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MAX_CONTROL, MAX_FRAME, MAX_STREAMS,
    STREAM_CLOSE_TIMEOUT, StreamId,
};
use crate::time::Instant;
use alloc::collections::{BTreeMap, VecDeque};
use bytes::{Buf, Bytes};
use core::fmt;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that dialled; its streams are odd.
    Client,
    /// The one that listened; its streams are even.
    Server,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The other side opened a stream; it is accepted already.
    Opened(StreamId),
    /// Bytes came. Tell [`Session::taken`] once they no longer occupy memory.
    Data(StreamId, Bytes),
    /// The other side sends nothing more on it.
    Finished(StreamId),
    /// It was thrown away: nothing more comes, nothing more can be sent.
    Reset(StreamId),
    /// The other side takes no new streams.
    GoAway(GoAway),
}

/// Why a session is over. Close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The other side speaks another version.
    Version(u8),
    /// A frame of a kind that does not exist.
    Kind(u8),
    /// More was sent on a stream than it had room for.
    WindowExceeded(StreamId),
    /// A stream was opened that exists, or has a number of ours.
    BadStream(StreamId),
    /// A window grew beyond what 32 bits hold.
    WindowOverflow(StreamId),
    /// The other side says that we broke the protocol, or that it failed.
    GoAway(GoAway),
    /// The other side makes us answer and does not read the answers.
    NotReading,
    /// The other end does not answer pings.
    KeepAlive,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Version(version) => write!(f, "yamux: version {version} is not supported"),
            SessionError::Kind(kind) => write!(f, "yamux: frame of unknown type {kind}"),
            SessionError::WindowExceeded(id) => write!(f, "yamux: stream {} sent more than its window", id.0),
            SessionError::BadStream(id) => write!(f, "yamux: stream {} cannot be opened", id.0),
            SessionError::WindowOverflow(id) => write!(f, "yamux: the window of stream {} overflows", id.0),
            SessionError::GoAway(why) => write!(f, "yamux: the other side ended the session ({why:?})"),
            SessionError::NotReading => f.write_str("yamux: the other side does not read what it asked for"),
            SessionError::KeepAlive => f.write_str("yamux: no answer to a ping"),
        }
    }
}

impl core::error::Error for SessionError {}

/// Why no stream can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The session is over, or the other side takes no more streams: dial again.
    GoingAway,
    /// [`MAX_STREAMS`] are open.
    TooMany,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Session {
    side: Side,
    streams: BTreeMap<StreamId, Stream>,
    /// The number of our next stream; `None` when all were used.
    next: Option<StreamId>,
    /// The part of a header that has come.
    header: ([u8; HEADER], usize),
    /// Whose data is coming, and how much more of it. `None` for a stream that is gone.
    payload: Option<(Option<StreamId>, u32)>,
    control: VecDeque<Bytes>,
    /// Streams that may have something to write, in turn; each at most once.
    ready: VecDeque<StreamId>,
    /// Bytes queued on all streams.
    unsent: usize,
    events: VecDeque<Event>,
    remote_left: bool,
    left: bool,
    ping: Ping,
    error: Option<SessionError>,
}

#[derive(Debug)]
struct Ping {
    value: u32,
    next_at: Instant,
    /// When the pong must be here, if one is awaited.
    answer_by: Option<Instant>,
}

impl Session {
    /// A session over a connection that was just made.
    pub fn new(side: Side, now: Instant) -> Session {
        Session {
            side,
            streams: BTreeMap::new(),
            next: Some(StreamId(match side {
                Side::Client => 1,
                Side::Server => 2,
            })),
            header: ([0; HEADER], 0),
            payload: None,
            control: VecDeque::new(),
            ready: VecDeque::new(),
            unsent: 0,
            events: VecDeque::new(),
            remote_left: false,
            left: false,
            ping: Ping { value: 0, next_at: now + KEEP_ALIVE_INTERVAL, answer_by: None },
            error: None,
        }
    }

    /// Takes in what arrived; at most 64 KiB at a time, with [`Session::poll_event`] and
    /// [`Session::poll_transmit`] drained in between.
    ///
    /// # Errors
    /// The session is over: write what is left to transmit, then close the connection. Every later
    /// call gives the same error.
    pub fn receive(&mut self, mut bytes: Bytes) -> Result<(), SessionError> {
        while !bytes.is_empty() {
            if let Some(error) = self.error {
                return Err(error);
            }
            if let Some((stream, left)) = self.payload {
                let here = bytes.len().min(left as usize);
                let part = bytes.split_to(here);
                let left = left - here as u32;
                self.payload = (left > 0).then_some((stream, left));
                if let Some(id) = stream.filter(|id| self.streams.contains_key(id)) {
                    self.events.push_back(Event::Data(id, part));
                    if left == 0 {
                        self.finish_if_closed(id);
                    }
                }
                continue;
            }
            let (buffer, have) = &mut self.header;
            let here = bytes.len().min(HEADER - *have);
            bytes.copy_to_slice(&mut buffer[*have..*have + here]);
            *have += here;
            if *have == HEADER {
                *have = 0;
                let buffer = *buffer;
                let done = match self.frame(buffer) {
                    Ok(()) if self.control.len() > MAX_CONTROL => Err(SessionError::NotReading),
                    done => done,
                };
                if let Err(error) = done {
                    return Err(self.fail(error));
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: SessionError) -> SessionError {
        if !matches!(error, SessionError::GoAway(_) | SessionError::KeepAlive) {
            self.go_away(GoAway::Protocol);
        }
        self.error = Some(error);
        error
    }

    fn frame(&mut self, header: [u8; HEADER]) -> Result<(), SessionError> {
        let header = Header::decode(header).map_err(|e| match e {
            HeaderError::Version(version) => SessionError::Version(version),
            HeaderError::Kind(kind) => SessionError::Kind(kind),
        })?;
        match header.kind {
            Kind::Data | Kind::Window => self.stream_frame(header),
            Kind::Ping => {
                self.pinged(header);
                Ok(())
            }
            Kind::GoAway => match GoAway::of(header.length) {
                GoAway::Normal => {
                    self.remote_left = true;
                    self.events.push_back(Event::GoAway(GoAway::Normal));
                    Ok(())
                }
                why => Err(SessionError::GoAway(why)),
            },
        }
    }

    fn pinged(&mut self, header: Header) {
        if header.flags.has(Flags::SYN) {
            self.control.push_back(Header { flags: Flags::ACK, ..header }.encode());
        } else if header.flags.has(Flags::ACK) && header.length == self.ping.value {
            self.ping.answer_by = None;
        }
    }

    fn stream_frame(&mut self, header: Header) -> Result<(), SessionError> {
        let id = header.stream;
        if header.flags.has(Flags::SYN) {
            self.opened(id)?;
        }
        let length = header.length;
        let Some(stream) = self.streams.get_mut(&id) else {
            // A stream that is gone: what was under way for it is of no use.
            if header.kind == Kind::Data && length > 0 {
                self.payload = Some((None, length));
            }
            return Ok(());
        };
        if header.flags.has(Flags::RST) {
            self.forget(id);
            self.events.push_back(Event::Reset(id));
            if header.kind == Kind::Data && length > 0 {
                self.payload = Some((None, length));
            }
            return Ok(());
        }
        match header.kind {
            Kind::Data => {
                if stream.closed_there && length > 0 {
                    return Err(SessionError::WindowExceeded(id));
                }
                stream.receivable =
                    stream.receivable.checked_sub(length).ok_or(SessionError::WindowExceeded(id))?;
                if length > 0 {
                    self.payload = Some((Some(id), length));
                }
            }
            _ => {
                stream.sendable =
                    stream.sendable.checked_add(length).ok_or(SessionError::WindowOverflow(id))?;
                self.want_to_write(id);
            }
        }
        if header.flags.has(Flags::FIN)
            && let Some(stream) = self.streams.get_mut(&id)
            && !core::mem::replace(&mut stream.closed_there, true)
            && self.payload.is_none()
        {
            self.finish_if_closed(id);
        }
        Ok(())
    }

    /// Reports the other side's `FIN`, after the data that came with it.
    fn finish_if_closed(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else { return };
        if stream.closed_there {
            let over = stream.is_over();
            self.events.push_back(Event::Finished(id));
            if over {
                self.forget(id);
            }
        }
    }

    fn opened(&mut self, id: StreamId) -> Result<(), SessionError> {
        let theirs = match self.side {
            Side::Client => 0,
            Side::Server => 1,
        };
        if id.0 == 0 || id.0 % 2 != theirs || self.streams.contains_key(&id) {
            return Err(SessionError::BadStream(id));
        }
        let refused = self.left || self.streams.len() >= MAX_STREAMS;
        let flags = if refused { Flags::RST } else { Flags::ACK };
        if !refused {
            self.streams.insert(id, Stream::new());
            self.events.push_back(Event::Opened(id));
        }
        self.control.push_back(window(id, flags, 0));
        Ok(())
    }

    /// Opens a stream. Data may be sent at once, without waiting for the other side's word.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&mut self) -> Result<StreamId, OpenError> {
        if self.error.is_some() || self.left || self.remote_left {
            return Err(OpenError::GoingAway);
        }
        if self.streams.len() >= MAX_STREAMS {
            return Err(OpenError::TooMany);
        }
        let id = self.next.ok_or(OpenError::GoingAway)?;
        self.next = id.0.checked_add(2).map(StreamId);
        self.streams.insert(id, Stream::new());
        self.control.push_back(window(id, Flags::SYN, 0));
        Ok(id)
    }

    /// Queues bytes on a stream; nothing happens if it is gone or was finished.
    pub fn send(&mut self, id: StreamId, bytes: Bytes) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.closing
            && !bytes.is_empty()
        {
            self.unsent += bytes.len();
            stream.queue.push_back(bytes);
            self.want_to_write(id);
        }
    }

    /// Sends nothing more on a stream after what is queued.
    pub fn finish(&mut self, now: Instant, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !core::mem::replace(&mut stream.closing, true)
        {
            stream.abandon_at = Some(now + STREAM_CLOSE_TIMEOUT);
            self.want_to_write(id);
        }
    }

    /// Throws a stream away, in both directions.
    pub fn reset(&mut self, id: StreamId) {
        if self.forget(id) {
            self.control.push_back(window(id, Flags::RST, 0));
        }
    }

    fn forget(&mut self, id: StreamId) -> bool {
        let gone = self.streams.remove(&id);
        self.unsent -= gone.as_ref().map_or(0, Stream::queued);
        gone.is_some()
    }

    /// `bytes` of a stream's data no longer occupy memory: the other side may send as many again.
    pub fn taken(&mut self, id: StreamId, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(grant) = self.streams.get_mut(&id).and_then(|stream| stream.take(bytes)) {
            self.control.push_back(window(id, Flags::NONE, grant));
        }
    }

    /// Takes no new streams from now on, and tells the other side.
    pub fn go_away(&mut self, why: GoAway) {
        if !core::mem::replace(&mut self.left, true) {
            let header =
                Header { kind: Kind::GoAway, flags: Flags::NONE, stream: StreamId(0), length: why.code() };
            self.control.push_back(header.encode());
        }
    }

    /// Bytes queued on a stream that the other side has no room for yet. Whoever produces much looks
    /// here before producing more.
    pub fn queued(&self, id: StreamId) -> usize {
        self.streams.get(&id).map_or(0, Stream::queued)
    }

    /// Bytes queued on all streams together.
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// Streams that are open in at least one direction.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn want_to_write(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.is_ready()
            && !core::mem::replace(&mut stream.in_turn, true)
        {
            self.ready.push_back(id);
        }
    }

    /// The next bytes to write to the connection: control frames first, then the streams in turn.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.control.pop_front() {
            return Some(frame);
        }
        if self.error.is_some() {
            return None;
        }
        while let Some(id) = self.ready.pop_front() {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.in_turn = false;
            if !stream.is_ready() {
                continue;
            }
            let Some(first) = stream.queue.front_mut() else {
                stream.closed_here = true;
                if stream.is_over() {
                    self.forget(id);
                }
                return Some(window(id, Flags::FIN, 0));
            };
            let len = first.len().min(stream.sendable as usize).min(MAX_FRAME);
            let part = first.split_to(len);
            if first.is_empty() {
                stream.queue.pop_front();
            }
            self.unsent -= len;
            let length = len as u32;
            stream.sendable -= length;
            self.want_to_write(id);
            let header = Header { kind: Kind::Data, flags: Flags::NONE, stream: id, length };
            return Some(header.with(&part));
        }
        None
    }

    /// When to call [`Session::wake`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.error.is_some() {
            return None;
        }
        let abandon = self.streams.values().filter_map(|s| s.abandon_at).min();
        [Some(self.ping.answer_by.unwrap_or(self.ping.next_at)), abandon].into_iter().flatten().min()
    }

    /// Sends the ping that is due, gives up on streams that the other side does not close.
    ///
    /// # Errors
    /// The other end is gone: close the connection.
    pub fn wake(&mut self, now: Instant) -> Result<(), SessionError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.ping.answer_by {
            Some(by) if now >= by => return Err(self.fail(SessionError::KeepAlive)),
            None if now >= self.ping.next_at => {
                self.ping.value = self.ping.value.wrapping_add(1);
                self.ping.answer_by = Some(now + KEEP_ALIVE_TIMEOUT);
                self.ping.next_at = now + KEEP_ALIVE_INTERVAL;
                let header = Header {
                    kind: Kind::Ping,
                    flags: Flags::SYN,
                    stream: StreamId(0),
                    length: self.ping.value,
                };
                self.control.push_back(header.encode());
            }
            _ => {}
        }
        let late = |s: &Stream| s.abandon_at.is_some_and(|at| now >= at);
        let abandoned: alloc::vec::Vec<StreamId> =
            self.streams.iter().filter(|(_, s)| late(s)).map(|(id, _)| *id).collect();
        for id in abandoned {
            self.reset(id);
            self.events.push_back(Event::Reset(id));
        }
        Ok(())
    }
}

fn window(stream: StreamId, flags: Flags, length: u32) -> Bytes {
    Header { kind: Kind::Window, flags, stream, length }.encode()
}
