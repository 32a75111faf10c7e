//! One connection of gRPC: streams of what changes about a service.
//!
//! Which messages are sent, `lictor_core::subscribe` decides; here they are waited for and carried.

use super::{Serving, grpc};
use crate::front::{Called, FrontCell};
use crate::rt::Rt;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use lictor_core::front::RpcReply;
use lictor_core::ids::ReqId;
use lictor_core::subscribe::{Feed, PATH, Status, Step, Subscription};
use lictor_core::time::Duration;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

/// What every connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Streams of one connection at the same time.
const MAX_STREAMS: u32 = 1024;
/// Bytes of a request.
const MAX_REQUEST: usize = 64 << 10;
/// Bytes of a request's headers.
const MAX_HEADERS: u32 = 16 << 10;
/// A peer that is silent is asked whether it is there, and gone if it does not answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// How often to look whether this server has caught up.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Serves a connection until it ends.
///
/// # Errors
/// What came instead of HTTP/2.
pub(super) async fn serve<R: Rt>(serving: &Arc<Serving<R>>, stream: R::Stream) -> Result<(), &'static str> {
    let rt = &serving.rt;
    let (mut reader, writer) = tokio::io::split(stream);
    let mut preface = [0; PREFACE.len()];
    let until = rt.now().mono + serving.cell.config().rpc_handshake_timeout;
    let began = tokio::select! {
        biased;
        read = reader.read_exact(&mut preface) => read.is_ok(),
        () = rt.sleep_until(until) => false,
    };
    if !began || preface != PREFACE {
        return Err("gRPC without the beginning of HTTP/2");
    }
    let stream = tokio::io::join(PREFACE.chain(reader), writer);
    let mut builder = http2::Builder::new(Spawner(rt.clone()));
    builder
        .timer(Timer(rt.clone()))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS);
    let service = service_fn(|request| {
        let serving = serving.clone();
        async move { Ok::<_, Infallible>(answer(&serving, request).await) }
    });
    // However it ends, the peer comes again.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    Ok(())
}

async fn answer<R: Rt>(serving: &Arc<Serving<R>>, request: Request<Incoming>) -> Response<grpc::Frames> {
    let subscription = match subscription(serving, request).await {
        Ok(subscription) => subscription,
        Err(status) => return grpc::refusal(&status),
    };
    // The peer's window bounds what is sent; one message may wait for it.
    let (frames, body) = mpsc::channel(1);
    let cell = serving.cell.clone();
    let rt = serving.rt.clone();
    serving.rt.spawn(async move {
        let status = tokio::select! {
            biased;
            () = frames.closed() => return,
            status = follow(&rt, &cell, subscription, &frames) => status,
        };
        // The peer may be gone.
        let _ = frames.send(grpc::trailers(&status)).await;
    });
    grpc::stream(body)
}

async fn subscription<R: Rt>(
    serving: &Serving<R>,
    request: Request<Incoming>,
) -> Result<Subscription, Status> {
    if request.uri().path() != PATH || request.method() != Method::POST {
        return Err(Status::unknown_path(request.uri().path()));
    }
    let config = serving.cell.config();
    let until = serving.rt.now().mono + config.rpc_handshake_timeout;
    let body = tokio::select! {
        biased;
        body = Limited::new(request.into_body(), MAX_REQUEST).collect() => {
            body.map_err(|e| Status::bad_frame(&e.to_string()))?
        }
        () = serving.rt.sleep_until(until) => return Err(Status::bad_frame("the request did not end in time")),
    };
    Subscription::decode(grpc::only_message(&body.to_bytes())?, &config.datacenter)
}

/// Sends what changes; returns why no more is sent.
async fn follow<R: Rt>(
    rt: &R,
    cell: &Arc<FrontCell<R>>,
    subscription: Subscription,
    frames: &mpsc::Sender<Frame<Bytes>>,
) -> Status {
    if let Err(status) = catch_up(rt, cell, subscription.index).await {
        return status;
    }
    let mut feed = Feed::new(subscription);
    loop {
        match feed.look(&cell.view().store) {
            Step::Send(messages) => {
                for message in messages {
                    if frames.send(grpc::message(&message)).await.is_err() {
                        return Status::shutting_down();
                    }
                }
            }
            Step::End(status) => return status,
        }
        let Some(service) = feed.follows() else { return std::future::pending().await };
        if let Err(status) = news(cell, service, feed.index()).await {
            return status;
        }
    }
}

/// Waits while this server knows less than the peer does: a server that has just started would tell that
/// everything is gone. A cluster that was made anew knows less for ever.
async fn catch_up<R: Rt>(rt: &R, cell: &FrontCell<R>, index: u64) -> Result<(), Status> {
    let until = rt.now().mono + cell.config().performance.rpc_hold_timeout;
    loop {
        let view = cell.view();
        let (led, late) = (view.raft.leader.is_some(), rt.now().mono >= until);
        if led && (late || view.store.applied() >= index) {
            return Ok(());
        }
        if late {
            return Err(Status::no_leader());
        }
        rt.sleep_until(rt.now().mono + LOOK_AGAIN).await;
    }
}

/// Waits until the index of the service may be another one.
async fn news<R: Rt>(cell: &Arc<FrontCell<R>>, service: &str, index: u64) -> Result<(), Status> {
    let (answers, mut answered) = mpsc::unbounded_channel();
    let reply = match cell.follow(service.into(), index, &answers) {
        Called::Now(reply) => Some(reply),
        Called::Later(req) => {
            drop(answers);
            let mut waiting = Waiting { cell, req: Some(req) };
            let reply = answered.recv().await;
            waiting.req = None;
            reply.map(|(_, reply)| reply)
        }
        Called::Never => None,
    };
    match reply {
        Some(RpcReply { result: Ok(_), .. }) => Ok(()),
        Some(RpcReply { result: Err(why), .. }) => Err(Status::too_many(why)),
        None => Err(Status::shutting_down()),
    }
}

/// A wait that the front is told of when it is given up.
struct Waiting<'a, R: Rt> {
    cell: &'a FrontCell<R>,
    req: Option<ReqId>,
}

impl<R: Rt> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        if let Some(req) = self.req {
            self.cell.give_up(req);
        }
    }
}

/// hyper's executor over [`Rt`].
#[derive(Clone)]
struct Spawner<R>(R);

impl<R: Rt, F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner<R> {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// hyper's timer over [`Rt`].
struct Timer<R>(R);

/// Behind a lock that is never taken, because hyper wants to share it.
struct Sleep(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for Sleep {}

impl<R: Rt> hyper::rt::Timer for Timer<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let rt = &self.0;
        Box::pin(Sleep(Mutex::new(Box::pin(rt.sleep_until(rt.now().mono + duration)))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}
