//! One connection to a server, from its dialling to its end.

use crate::driver::{CallOrder, ServerCall};
use crate::go_error;
use crate::rt::Rt;
use bytes::{Bytes, BytesMut};
use lictor_core::node::{Input, RpcError};
use lictor_core::rpc::Calling;
use lictor_core::time::{Duration, Instant};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// The byte that announces a session whose streams carry calls.
const MUX: u8 = 4;
/// How long making a connection may take (Consul's).
const DIALLING: Duration = Duration::from_secs(10);
/// An idle connection is closed after this time, a little more than servers are kept for (Consul's).
const IDLE: Duration = Duration::from_secs(127);
/// How often the node hears that a server is in the middle of an answer.
const HEARD: Duration = Duration::from_millis(50);
/// How much is written at once, and read at once.
const CHUNK: usize = 64 * 1024;

/// Makes calls to `to` until nobody has any left, the connection ends, or it has been idle for long.
pub(super) async fn run<R: Rt>(
    rt: R,
    to: SocketAddr,
    mut orders: mpsc::UnboundedReceiver<CallOrder>,
    inbox: mpsc::Sender<Input>,
) {
    let late = rt.sleep_until(rt.now().mono + DIALLING);
    let dialled = tokio::select! {
        biased;
        stream = rt.connect(to) => stream.map_err(|e| go_error::dial("tcp", &format!("<nil>->{to}"), &e)),
        () = late => Err(format!("dial tcp <nil>->{to}: i/o timeout")),
    };
    let why = match dialled {
        Ok(stream) => talk(&rt, stream, to, &mut orders, &inbox).await,
        Err(why) => why,
    };
    // Whoever comes now makes a new connection; what is here already was not sent.
    orders.close();
    while let Ok(order) = orders.try_recv() {
        let CallOrder::Make(order) = order else { continue };
        let result = Err(RpcError::NotConnected(why.clone()));
        if inbox.send(Input::RpcDone { call: order.call, result }).await.is_err() {
            return;
        }
    }
}

/// Why it ended.
async fn talk<R: Rt>(
    rt: &R,
    stream: R::Stream,
    to: SocketAddr,
    orders: &mut mpsc::UnboundedReceiver<CallOrder>,
    inbox: &mpsc::Sender<Input>,
) -> String {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut calling = Calling::new(rt.now().mono);
    let mut out = BytesMut::from(&[MUX][..]);
    let mut into = BytesMut::with_capacity(CHUNK);
    let mut idle_since = rt.now().mono;
    // When the node was told last that something has come, and whether something has since.
    let (mut told, mut came) = (idle_since, false);
    let why = loop {
        if std::mem::take(&mut came) && !calling.is_idle() && rt.now().mono >= told + HEARD {
            told = rt.now().mono;
            if inbox.send(Input::RpcHeard { from: to }).await.is_err() {
                return String::new();
            }
        }
        for (call, result) in calling.take_done() {
            told = rt.now().mono;
            if inbox.send(Input::RpcDone { call, result }).await.is_err() {
                return String::new();
            }
        }
        while out.len() < CHUNK
            && let Some(bytes) = calling.poll_transmit()
        {
            out.extend_from_slice(&bytes);
        }
        if calling.is_over() && out.is_empty() {
            break "session shutdown".to_owned();
        }
        if !calling.is_idle() {
            idle_since = rt.now().mono;
        }
        let wake = calling.poll_timeout().unwrap_or(Instant::FAR_FUTURE).min(idle_since + IDLE);
        tokio::select! {
            biased;
            order = orders.recv(), if !calling.is_leaving() => match order {
                Some(CallOrder::Make(ServerCall { call, method, body, until, .. })) => {
                    calling.call(rt.now().mono, call, method, body, until);
                }
                Some(CallOrder::Cancel { call, .. }) => calling.cancel(call),
                Some(CallOrder::Drop { .. }) | None => break "the server does not answer".to_owned(),
            },
            sent = write.write(&out), if !out.is_empty() => match sent {
                Ok(0) => break "EOF".to_owned(),
                Ok(n) => {
                    let _ = out.split_to(n);
                    if let Err(e) = write.flush().await {
                        break go_error::cause(&e);
                    }
                }
                Err(e) => break go_error::cause(&e),
            },
            received = read.read_buf(&mut into) => match received {
                Ok(0) => break "EOF".to_owned(),
                Ok(_) => {
                    let bytes: Bytes = into.split().freeze();
                    calling.receive(rt.now().mono, bytes);
                    came = true;
                    into.reserve(CHUNK);
                }
                Err(e) => break go_error::cause(&e),
            },
            () = rt.sleep_until(wake) => {
                let now = rt.now().mono;
                calling.wake(now);
                if calling.is_idle() && now >= idle_since + IDLE {
                    break "session shutdown".to_owned();
                }
            }
        }
    };
    for (call, result) in calling.lose(&why) {
        if inbox.send(Input::RpcDone { call, result }).await.is_err() {
            return String::new();
        }
    }
    why
}
