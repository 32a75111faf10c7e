//! One connection of calls: bytes to the pure machine, its calls to the front, and back.

use super::Serving;
use crate::front::{Answers, Called};
use crate::rt::Rt;
use bytes::{Buf, BytesMut};
use lictor_core::front::{RpcCall, RpcReply};
use lictor_core::ids::ReqId;
use lictor_core::rpc::yamux::{SessionError, StreamId};
use lictor_core::rpc::{self, Output};
use lictor_core::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Bytes that are read or written at once.
const PIECE: usize = 64 << 10;
/// How long a peer may take none of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a connection until it ends.
///
/// # Errors
/// What the other side did that agents do not do.
pub(super) async fn serve<R: Rt>(
    serving: &Serving<R>,
    stream: R::Stream,
    from: SocketAddr,
) -> Result<(), Offence> {
    let rt = &serving.rt;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answers, mut answered) = mpsc::unbounded_channel();
    let machine = rpc::Serving::new(rt.now().mono);
    let mut connection = Connection {
        serving,
        from,
        machine,
        answers,
        parked: BTreeMap::new(),
        room: None,
        out: BytesMut::new(),
        over: None,
    };
    let mut input = BytesMut::new();
    let mut write_by = Instant::FAR_FUTURE;
    loop {
        connection.settle();
        if connection.out.is_empty() {
            if let Some(end) = connection.over {
                return end.map_or(Ok(()), Err);
            }
            write_by = Instant::FAR_FUTURE;
        } else if write_by == Instant::FAR_FUTURE {
            write_by = rt.now().mono + WRITE_TIMEOUT;
        }
        let wake = connection.machine.poll_timeout().unwrap_or(Instant::FAR_FUTURE).min(write_by);
        // Who does not read what is written gets no more of its own read.
        let reads = connection.over.is_none() && connection.out.len() < PIECE;
        input.reserve(PIECE);
        tokio::select! {
            biased;
            written = writer.write(&connection.out), if !connection.out.is_empty() => match written {
                Ok(bytes @ 1..) => {
                    connection.out.advance(bytes);
                    write_by = Instant::FAR_FUTURE;
                    if connection.out.is_empty() && writer.flush().await.is_err() {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            },
            Some((tag, reply)) = answered.recv() => connection.answer(StreamId(tag), reply),
            read = reader.read_buf(&mut input), if reads => match read {
                Ok(1..) => connection.receive(&mut input),
                _ => return Ok(()),
            },
            () = rt.sleep_until(wake) => {
                let now = rt.now().mono;
                if now >= write_by {
                    return Ok(());
                }
                if connection.machine.wake(now).is_err() {
                    connection.over = Some(None);
                }
            }
        }
    }
}

struct Connection<'a, R: Rt> {
    serving: &'a Serving<R>,
    from: SocketAddr,
    machine: rpc::Serving,
    answers: Answers,
    /// The front's numbers of the calls that wait.
    parked: BTreeMap<StreamId, ReqId>,
    /// Memory for calls that have come in part.
    room: Option<OwnedSemaphorePermit>,
    /// To be written.
    out: BytesMut,
    /// Nothing more is read, what is left is written; what the other side did that agents do not do.
    over: Option<Option<Offence>>,
}

/// What agents do not do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offence {
    /// It does not speak yamux, or breaks its rules.
    Session(SessionError),
    /// Its calls that have not come whole take more memory than there is for all.
    Memory,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offence::Session(why) => why.fmt(f),
            Offence::Memory => f.write_str("rpc: too many large calls at once"),
        }
    }
}

impl<R: Rt> Connection<'_, R> {
    fn receive(&mut self, input: &mut BytesMut) {
        let now = self.serving.rt.now().mono;
        while !input.is_empty() && self.over.is_none() {
            let piece = input.split_to(input.len().min(PIECE)).freeze();
            if let Err(why) = self.machine.receive(now, piece) {
                let offends = !matches!(why, SessionError::GoAway(_) | SessionError::KeepAlive);
                self.over = Some(offends.then_some(Offence::Session(why)));
            }
            self.settle();
            if !self.serving.clients.hold_calls(&mut self.room, self.machine.held()) {
                self.over = Some(Some(Offence::Memory));
            }
        }
    }

    /// Makes calls and collects bytes until neither is left, or enough bytes are there.
    fn settle(&mut self) {
        loop {
            let now = self.serving.rt.now().mono;
            let mut quiet = true;
            while self.out.len() < PIECE
                && let Some(bytes) = self.machine.poll_transmit(now)
            {
                self.out.extend_from_slice(&bytes);
                quiet = false;
            }
            while let Some(output) = self.machine.poll_output(now) {
                self.carry_out(output);
                quiet = false;
            }
            if quiet {
                return;
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Call { stream, method, arguments } => {
                match self.serving.cell.call(RpcCall { method, arguments }, &self.answers, stream.0) {
                    Called::Now(reply) => self.answer(stream, reply),
                    Called::Later(req) => {
                        self.parked.insert(stream, req);
                    }
                    Called::Never => self.over = Some(None),
                }
            }
            Output::Gone { stream } => {
                if let Some(req) = self.parked.remove(&stream) {
                    self.serving.cell.give_up(req);
                }
            }
            Output::Refused { why } => self.serving.refuse(self.from, &why.to_string()),
        }
    }

    fn answer(&mut self, stream: StreamId, reply: RpcReply) {
        self.parked.remove(&stream);
        let RpcReply { result, close } = reply;
        self.machine.answer(
            self.serving.rt.now().mono,
            stream,
            result.as_ref().cloned().map_err(|e| &**e),
            close,
        );
    }
}

impl<R: Rt> Drop for Connection<'_, R> {
    fn drop(&mut self) {
        for req in std::mem::take(&mut self.parked).into_values() {
            self.serving.cell.give_up(req);
        }
    }
}
