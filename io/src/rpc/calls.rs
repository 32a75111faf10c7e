//! One connection of calls: bytes to the pure machine, its calls to the front, and back.

use super::Serving;
use crate::front::{Answers, Called, FrontCell};
use crate::rt::Rt;
use bytes::{Buf, BytesMut};
use lictor_core::front::{RpcCall, RpcReply};
use lictor_core::ids::ReqId;
use lictor_core::rpc::yamux::StreamId;
use lictor_core::rpc::{self, Output};
use lictor_core::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Bytes that are read or written at once.
const PIECE: usize = 64 << 10;
/// How long a peer may take none of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a connection until it ends.
pub(super) async fn serve<R: Rt>(serving: &Serving<R>, stream: R::Stream) {
    let rt = &serving.rt;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answers, mut answered) = mpsc::unbounded_channel();
    let machine = rpc::Serving::new(rt.now().mono);
    let mut connection = Connection {
        rt: rt.clone(),
        cell: serving.cell.clone(),
        machine,
        answers,
        parked: BTreeMap::new(),
        out: BytesMut::new(),
        over: false,
    };
    let mut input = BytesMut::new();
    let mut write_by = Instant::FAR_FUTURE;
    loop {
        connection.settle();
        if connection.out.is_empty() {
            if connection.over {
                return;
            }
            write_by = Instant::FAR_FUTURE;
        } else if write_by == Instant::FAR_FUTURE {
            write_by = rt.now().mono + WRITE_TIMEOUT;
        }
        let wake = connection.machine.poll_timeout().unwrap_or(Instant::FAR_FUTURE).min(write_by);
        // Who does not read what is written gets no more of its own read.
        let reads = !connection.over && connection.out.len() < PIECE;
        input.reserve(PIECE);
        tokio::select! {
            biased;
            written = writer.write(&connection.out), if !connection.out.is_empty() => match written {
                Ok(bytes @ 1..) => {
                    connection.out.advance(bytes);
                    write_by = Instant::FAR_FUTURE;
                    if connection.out.is_empty() && writer.flush().await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            Some((tag, reply)) = answered.recv() => connection.answer(StreamId(tag), reply),
            read = reader.read_buf(&mut input), if reads => match read {
                Ok(1..) => connection.receive(&mut input),
                _ => return,
            },
            () = rt.sleep_until(wake) => {
                let now = rt.now().mono;
                if now >= write_by {
                    return;
                }
                connection.over |= connection.machine.wake(now).is_err();
            }
        }
    }
}

struct Connection<R: Rt> {
    rt: R,
    cell: Arc<FrontCell<R>>,
    machine: rpc::Serving,
    answers: Answers,
    /// The front's numbers of the calls that wait.
    parked: BTreeMap<StreamId, ReqId>,
    /// To be written.
    out: BytesMut,
    /// Nothing more is read; what is left is written.
    over: bool,
}

impl<R: Rt> Connection<R> {
    fn receive(&mut self, input: &mut BytesMut) {
        let now = self.rt.now().mono;
        while !input.is_empty() && !self.over {
            let piece = input.split_to(input.len().min(PIECE)).freeze();
            self.over = self.machine.receive(now, piece).is_err();
            self.settle();
        }
    }

    /// Makes calls and collects bytes until neither is left, or enough bytes are there.
    fn settle(&mut self) {
        loop {
            let now = self.rt.now().mono;
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
                match self.cell.call(RpcCall { method, arguments }, &self.answers, stream.0) {
                    Called::Now(reply) => self.answer(stream, reply),
                    Called::Later(req) => {
                        self.parked.insert(stream, req);
                    }
                    Called::Never => self.over = true,
                }
            }
            Output::Gone { stream } => {
                if let Some(req) = self.parked.remove(&stream) {
                    self.cell.give_up(req);
                }
            }
        }
    }

    fn answer(&mut self, stream: StreamId, reply: RpcReply) {
        self.parked.remove(&stream);
        let RpcReply { result, close } = reply;
        self.machine.answer(self.rt.now().mono, stream, result.as_ref().cloned().map_err(|e| &**e), close);
    }
}

impl<R: Rt> Drop for Connection<R> {
    fn drop(&mut self) {
        for req in std::mem::take(&mut self.parked).into_values() {
            self.cell.give_up(req);
        }
    }
}
