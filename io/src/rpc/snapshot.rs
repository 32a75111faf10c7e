//! Connections that carry one snapshot, either way, and end.

use super::Serving;
use crate::driver::ServerCall;
use crate::front::Asked;
use crate::go_error;
use crate::rt::Rt;
use bytes::{Bytes, BytesMut};
use lictor_core::archive::MAX_ARCHIVE;
use lictor_core::front::{HttpReply, of_snapshot_request, to_snapshot_response};
use lictor_core::node::{Input, RpcError};
use lictor_core::rpc::snapshot::{MAX_REQUEST, Op, SnapshotRequest, split_request};
use lictor_core::time::Duration;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// The byte that announces it.
const SNAPSHOT: u8 = 5;
/// How long an archive may take to come, and to be taken.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long making a connection may take.
const DIALLING: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const READ: usize = 64 << 10;

/// Serves a connection whose first byte has been read.
///
/// # Errors
/// What the other side did that agents do not do.
pub(super) async fn serve<R: Rt>(
    serving: &Serving<R>,
    stream: R::Stream,
    from: SocketAddr,
) -> Result<(), String> {
    let rt = &serving.rt;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let late = rt.sleep_until(rt.now().mono + PATIENCE);
    let exchange = async {
        let mut room = None;
        let mut hold = |bytes: usize| match serving.clients.hold_calls(&mut room, bytes) {
            true => Ok(()),
            false => Err("rpc: too many large calls at once".to_owned()),
        };
        let Some((request, archive)) = read(&mut reader, &mut hold).await? else { return Ok(()) };
        let reply = match serving.cell.ask_handed(of_snapshot_request(&request, archive, from)) {
            Asked::Now(reply) => reply,
            Asked::Later(mut parked) => match poll_fn(|cx| parked.poll_reply(cx)).await {
                Some(reply) => reply,
                None => HttpReply::text(503, "the agent is shutting down"),
            },
            // No snapshot is without an end.
            Asked::Lines(_) => return Ok(()),
        };
        let response = to_snapshot_response(&reply);
        drop(reply);
        // Whoever has gone does not want it any more.
        let _ = writer.write_all(&response).await;
        let _ = writer.shutdown().await;
        Ok(())
    };
    tokio::select! {
        biased;
        ended = exchange => ended,
        () = late => Err("a snapshot that takes too long".to_owned()),
    }
}

/// The request and, for a restore, what follows until the other side has no more. `None`: it has gone.
async fn read<S: AsyncRead + Unpin>(
    reader: &mut S,
    hold: &mut impl FnMut(usize) -> Result<(), String>,
) -> Result<Option<(SnapshotRequest, Bytes)>, String> {
    let mut bytes = BytesMut::new();
    loop {
        bytes.reserve(READ);
        let n = reader.read_buf(&mut bytes).await.map_or(0, |n| n);
        // Only its beginning is looked at until that can be read.
        let begun = bytes.len().min(MAX_REQUEST);
        let head = Bytes::copy_from_slice(&bytes[..begun]);
        match split_request(&head) {
            Ok((request, rest)) if request.op == Op::Save => return Ok(Some((request, rest.slice(..0)))),
            Ok((request, rest)) => {
                let at = head.len() - rest.len();
                if n > 0 {
                    gather(reader, &mut bytes, MAX_ARCHIVE + at, hold).await?;
                }
                return Ok(Some((request, bytes.freeze().slice(at..))));
            }
            Err(_) if n == 0 && bytes.is_empty() => return Ok(None),
            Err(why) if n == 0 || begun == MAX_REQUEST => {
                return Err(format!("failed to decode request: {why}"));
            }
            Err(_) => {}
        }
    }
}

/// Reads to the end, or says that it is too much.
async fn gather<S: AsyncRead + Unpin>(
    reader: &mut S,
    bytes: &mut BytesMut,
    most: usize,
    hold: &mut impl FnMut(usize) -> Result<(), String>,
) -> Result<(), String> {
    loop {
        if bytes.len() > most {
            return Err(format!("a snapshot of more than {MAX_ARCHIVE} bytes"));
        }
        hold(bytes.len())?;
        bytes.reserve(READ);
        if reader.read_buf(bytes).await.map_err(|e| e.to_string())? == 0 {
            return Ok(());
        }
    }
}

/// Asks a server, on a connection of its own, and reports what it said.
pub(super) async fn ask<R: Rt>(rt: R, order: ServerCall, inbox: mpsc::Sender<Input>) {
    let call = order.call;
    let result = talk(&rt, order).await;
    let _ = inbox.send(Input::RpcDone { call, result }).await;
}

async fn talk<R: Rt>(rt: &R, ServerCall { to, body, until, .. }: ServerCall) -> Result<Bytes, RpcError> {
    let late = rt.sleep_until(rt.now().mono + DIALLING);
    let stream = tokio::select! {
        biased;
        stream = rt.connect(to) => stream.map_err(|e| {
            RpcError::NotConnected(go_error::dial("tcp", &format!("<nil>->{to}"), &e))
        })?,
        () = late => return Err(RpcError::NotConnected(format!("dial tcp <nil>->{to}: i/o timeout"))),
    };
    let (mut reader, mut writer) = tokio::io::split(stream);
    let exchange = async {
        writer.write_all(&[SNAPSHOT]).await?;
        writer.write_all(&body).await?;
        // Half of it: the other side does not know how long the archive is.
        writer.shutdown().await?;
        let mut answer = BytesMut::new();
        loop {
            answer.reserve(READ);
            if reader.read_buf(&mut answer).await? == 0 {
                return Ok(answer.freeze());
            }
            if answer.len() > MAX_ARCHIVE + MAX_REQUEST {
                return Err(io::Error::other(format!("a snapshot of more than {MAX_ARCHIVE} bytes")));
            }
        }
    };
    let late = rt.sleep_until(until);
    tokio::select! {
        biased;
        answer = exchange => answer.map_err(|e: io::Error| RpcError::Lost(go_error::cause(&e))),
        () = late => Err(RpcError::Lost("i/o deadline reached".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(bytes: &[u8]) -> Result<Option<(SnapshotRequest, Bytes)>, String> {
        read(&mut &bytes[..], &mut |_| Ok(())).await
    }

    #[tokio::test]
    async fn a_request_is_read_and_what_follows_it_if_it_restores() {
        let mut request = SnapshotRequest { datacenter: "dc1".into(), ..SnapshotRequest::default() };
        let saved = told(&request.with(b"")).await;
        assert_eq!(saved, Ok(Some((request.clone(), Bytes::new()))));
        request.op = Op::Restore;
        let archive = vec![7; 200_000];
        assert_eq!(told(&request.with(&archive)).await, Ok(Some((request.clone(), archive.into()))));
        assert_eq!(told(b"").await, Ok(None));
        assert!(told(&request.with(b"")[..5]).await.is_err());
        assert!(told(&[0xda; 100_000]).await.is_err());
    }
}
