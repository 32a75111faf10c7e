//! What goes into a front and what comes out.

use super::errors::HttpError;
use super::work::{Work, Worked};
use crate::call::{Reply, Request};
use crate::event::{Event, Level};
use crate::ids::{CallId, ReqId};
use crate::watch::ChangeSet;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// The request headers that are looked at, in lower case.
pub const HEADERS_READ: &[&str] = &[
    "accept",
    "authorization",
    "cache-control",
    "x-consul-namespace",
    "x-consul-partition",
    "x-consul-token",
    "x-forwarded-for",
];

/// One HTTP request, as the driver read it off the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// As sent: `GET`.
    pub method: String,
    /// Raw path and query, as sent: `/v1/kv/a%20b?raw`.
    pub target: String,
    /// Names in lower case, in the order sent. A driver may leave out what is not in [`HEADERS_READ`].
    pub headers: Vec<(String, Bytes)>,
    /// The whole body. The driver bounds it; limits that users see are checked here.
    pub body: Bytes,
    /// The client; `None` for one that came over a unix socket.
    pub remote: Option<SocketAddr>,
}

/// One HTTP answer. Framing, `Date`, `Vary` and compression are the driver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// In the order in which Consul's handlers set them; names as Consul spells them on the wire.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Bytes,
    /// Close the connection after this answer.
    pub close: bool,
    /// For an answer that no route of the API gives: `http_config.response_headers` go with it all the same. With
    /// those of routes they always go.
    pub site: bool,
}

impl HttpReply {
    /// A plain-text answer.
    pub fn text(status: u16, body: impl Into<String>) -> HttpReply {
        let headers = alloc::vec![("Content-Type", Cow::Borrowed("text/plain; charset=utf-8"))];
        HttpReply { status, headers, body: Bytes::from(body.into()), close: false, site: false }
    }
}

/// One RPC call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcCall {
    /// For example `Catalog.Register`.
    pub method: String,
    /// The arguments: one msgpack value.
    pub arguments: Bytes,
}

/// The answer to an RPC call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcReply {
    /// One msgpack value, or Consul's text of what went wrong.
    pub result: Result<Bytes, String>,
    /// Close the stream after this answer: the call was not understood.
    pub close: bool,
}

impl RpcReply {
    pub(super) fn result(result: Bytes) -> RpcReply {
        RpcReply { result: Ok(result), close: false }
    }

    pub(super) fn error(error: &HttpError) -> RpcReply {
        RpcReply { result: Err(error.to_string()), close: false }
    }

    pub(super) fn not_understood(text: String) -> RpcReply {
        RpcReply { result: Err(text), close: true }
    }
}

/// An answer without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Every log line from now on.
    Log {
        /// Lines at or above it.
        level: Level,
        /// As JSON.
        json: bool,
    },
    /// What `GET /v1/agent/metrics?pretty` answers, whenever an interval of metrics has ended.
    Metrics,
}

/// Something that happened to a front.
#[derive(Clone, Debug)]
pub enum FrontInput {
    /// A request.
    Http {
        /// The driver's number for it; unique in this front while the request lives.
        req: ReqId,
        /// The request.
        request: HttpRequest,
    },
    /// A request that came by the server port, made by [`super::of_snapshot_request`]: rules for HTTP do not hold for
    /// it.
    Handed {
        /// The driver's number for it, from the same range as those of HTTP requests.
        req: ReqId,
        /// The request.
        request: HttpRequest,
    },
    /// A call.
    Rpc {
        /// The driver's number for it, from the same range as those of HTTP requests.
        req: ReqId,
        /// The call.
        call: RpcCall,
    },
    /// Answer, with nothing, once the index of a service is another one than `index`; after the default wait of
    /// blocking reads in any case.
    Follow {
        /// The driver's number for it, from the same range as those of HTTP requests.
        req: ReqId,
        /// The name of the service.
        service: String,
        /// The index that is known: [`crate::store::Store::service_index`], or 1 where that is 0.
        index: u64,
    },
    /// The client of a request or call is gone: nobody waits for its answer.
    Gone {
        /// Which request.
        req: ReqId,
    },
    /// The node answers a call.
    Reply {
        /// Which call.
        call: CallId,
        /// The answer.
        reply: Reply,
    },
    /// [`FrontOutput::Work`] is done.
    Worked {
        /// Whose.
        req: ReqId,
        /// What came of it.
        worked: Worked,
    },
    /// A view was published, and this differs from the one before.
    Changed(Arc<ChangeSet>),
    /// A deadline may have passed.
    Wake,
}

/// What a front wants done.
#[derive(Clone, Debug)]
pub enum FrontOutput {
    /// Answer a request; it is over then.
    HttpReply {
        /// Which request.
        req: ReqId,
        /// The answer.
        reply: HttpReply,
    },
    /// Answer a call, or who follows a service; it is over then.
    RpcReply {
        /// Which call.
        req: ReqId,
        /// The answer.
        reply: RpcReply,
    },
    /// Answer a request with this, until the client goes; it is over for the front.
    Stream {
        /// Which request.
        req: ReqId,
        /// What the answer is made of.
        stream: Stream,
    },
    /// Ask the node; the answer comes back as [`FrontInput::Reply`].
    Call {
        /// This front's number for it.
        call: CallId,
        /// What is wanted.
        request: Request,
    },
    /// Do this away from this thread; [`FrontInput::Worked`] follows.
    Work {
        /// Whose.
        req: ReqId,
        /// What.
        work: Work,
    },
    /// Something for the log and the counters.
    Event(Event),
}
