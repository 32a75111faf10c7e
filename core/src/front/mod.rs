//! The front: HTTP requests and RPC calls in, answers out, from a published view.
//!
//! A [`Front`] parses, routes and answers. Reads come from the [`View`] that is handed to every
//! [`Front::handle`]; a read whose answer has not changed yet is parked; writes, agent changes and read
//! barriers go to the node as [`FrontOutput::Call`] and are finished when [`FrontInput::Reply`] comes.
//! A front never waits for another front, and holds no state that must survive.
//!
//! | file | decides |
//! |---|---|
//! | `mux` | from a request line to a route, or to Go's own answers |
//! | `route` | the table: pattern, methods, ACL rule, handler |
//! | `request` | parameters, consistency mode, refused enterprise parameters |
//! | `bodies` | rendered answers, kept until the service changes |
//! | `lately` | whether `?cached` is a hit |
//! | `count` | what is counted of requests |
//! | `near` | the order of `?near=` |
//! | `blocking` | the gate of each consistency mode, and when there is news |
//! | `query` | the execution of prepared queries |
//! | `remote` | the same on a client agent, which asks servers |
//! | `respond`, `errors` | headers and status codes |
//! | `api`, `decode`, `render` | the endpoints, their bodies in and out |
//! | `work`, `restoring` | archives: what is done on other threads, and the way of a restore into the log |
//! | `handed` | snapshots that came by the server port |
//! | `rpc` | the same for the calls of agents and other servers |

mod api;
mod blocking;
mod bodies;
mod content_hash;
mod count;
mod decode;
mod errors;
mod handed;
mod lately;
mod message;
mod mux;
mod near;
mod path;
mod pending;
mod query;
mod remote;
mod render;
mod request;
mod respond;
mod restoring;
mod route;
mod rpc;
mod work;

pub use api::agent_metrics::dump;
pub use handed::{of_snapshot_request, to_snapshot_response};
pub use lately::Lately;
pub use message::{FrontInput, FrontOutput, HEADERS_READ, HttpReply, HttpRequest, RpcCall, RpcReply, Stream};
pub use route::Rule;
pub use work::{Archives, Work, Worked};

use crate::call::Request;
use crate::config::RuntimeConfig;
use crate::ids::{CallId, FrontId, ReqId};
use crate::metrics::{Endpoint, Recorder};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::view::View;
use crate::watch::{ChangeSet, Parked};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use blocking::{Memory, Reply};
use errors::HttpError;
use pending::Pending;

/// What stands where Consul shows the commit it was built from.
pub const REVISION: &str = "lictor";

/// The most blocking reads that one front parks. More are answered 429; everything else goes on.
pub const MAX_PARKED: usize = 65_536;
/// The most calls that one front has with the node at once. More are answered 429.
pub const MAX_CALLS: usize = 65_536;

/// One front: one per worker thread in production, one per node in simulation.
#[derive(Debug)]
pub struct Front {
    id: FrontId,
    rng: Rng,
    /// Draws the IDs of prepared queries, and the order of what they find.
    queries: Rng,
    next_call: u64,
    outputs: VecDeque<FrontOutput>,
    pending: BTreeMap<ReqId, Pending>,
    calls: BTreeMap<CallId, ReqId>,
    /// Reads that passed their barrier and wait for a view that has applied its index.
    applying: BTreeSet<(u64, ReqId)>,
    parked: Parked,
    metrics: Recorder,
    /// Where the newest request went.
    routed: Option<Endpoint>,
    memory: Memory,
    /// `translate_wan_addrs`, which every answer shows.
    translates: bool,
    /// This is a server, which draws the IDs of what is created; a client leaves that to servers.
    draws: bool,
    archives: Arc<Archives>,
    /// Bytes of the parts in which archives are restored.
    part: usize,
}

/// How long a body an endpoint takes that has a limit of its own, and the setting that says so.
fn own_limit(target: &str, config: &RuntimeConfig) -> Option<(usize, &'static str)> {
    match target {
        t if t.starts_with("/v1/kv/") => Some((config.kv_max_value_size, "kv_max_value_size")),
        t if t.starts_with("/v1/txn") => Some((config.max_txn_body(), "txn_max_req_len")),
        _ => None,
    }
}

impl Front {
    /// A front that holds nothing yet. `rng` draws the jitter of blocking reads.
    pub fn new(id: FrontId, rng: Rng) -> Front {
        Front {
            id,
            queries: rng.fork("front.queries"),
            rng,
            next_call: 0,
            outputs: VecDeque::new(),
            pending: BTreeMap::new(),
            calls: BTreeMap::new(),
            applying: BTreeSet::new(),
            parked: Parked::default(),
            metrics: Recorder::default(),
            routed: None,
            memory: Memory::default(),
            translates: false,
            draws: false,
            archives: Arc::default(),
            part: restoring::PART,
        }
    }

    /// The same front, which restores archives in parts of so many bytes, for checkers.
    pub fn in_parts_of(mut self, bytes: usize) -> Front {
        self.part = bytes.max(1);
        self
    }

    /// The same front, which shares with the others of its node what was asked for, and the right to work on archives.
    pub fn sharing(mut self, lately: Arc<Lately>, archives: Arc<Archives>) -> Front {
        self.memory.lately = lately;
        self.archives = archives;
        self
    }

    /// The number that calls of this front carry.
    pub fn id(&self) -> FrontId {
        self.id
    }

    /// How many requests wait for an answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether `req` waits for news or its deadline, for checkers.
    pub fn is_parked(&self, req: ReqId) -> bool {
        self.pending.get(&req).is_some_and(Pending::parked)
    }

    /// Takes one input. `view` is the newest published view; it must not go back.
    pub fn handle(&mut self, now: Now, view: &Arc<View>, input: FrontInput) {
        self.translates = view.config.translate_wan_addrs;
        self.draws = view.config.server;
        self.resume_applied(now, view);
        match input {
            FrontInput::Http { req, request } => self.on_http(now, view, req, request),
            FrontInput::Handed { req, request } => self.on_handed(now, view, req, request),
            FrontInput::Gone { req } => self.forget(req),
            FrontInput::Rpc { req, call } => self.on_rpc(now, view, req, call),
            FrontInput::Follow { req, service, index } => self.on_follow(now, view, req, service, index),
            FrontInput::Reply { call, reply } => self.on_reply(now, view, call, reply),
            FrontInput::Worked { req, worked } => self.on_worked(req, worked),
            FrontInput::Changed(changes) => self.on_changed(now, view, &changes),
            FrontInput::Wake => {}
        }
        self.expire(now, view);
    }

    /// How long a body of this request may be, where that is more than others may have.
    pub fn most_of_body(method: &str, target: &str) -> Option<usize> {
        let path = target.split('?').next().unwrap_or_default();
        (method == "PUT" && path == "/v1/snapshot").then_some(crate::archive::MAX_ARCHIVE)
    }

    /// The endpoint's own limit of a body whose length is declared: one that says it is longer is not waited for.
    pub fn most_of_declared_body(method: &str, target: &str, config: &RuntimeConfig) -> Option<usize> {
        own_limit(target, config).filter(|_| method == "PUT").map(|(max, _)| max)
    }

    /// The answer to a request whose body of `len` bytes is more than the driver reads, which is `limit`.
    /// The endpoints that have a limit of their own name it.
    pub fn body_too_large(target: &str, len: u64, limit: usize, config: &RuntimeConfig) -> HttpReply {
        let own = own_limit(target, config);
        let (max, setting) = own.map_or((limit, None), |(max, setting)| (max, Some(setting)));
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        respond::finish(
            respond::error(&HttpError::BodyTooLarge { len, max, setting }),
            config.translate_wan_addrs,
        )
    }

    /// The next output; drain to `None` after every [`Front::handle`].
    pub fn poll_output(&mut self) -> Option<FrontOutput> {
        self.outputs.pop_front()
    }

    /// When to hand in [`FrontInput::Wake`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.parked.next_deadline()
    }

    /// What this front has counted; how long requests took is for the driver to add.
    pub fn metrics(&mut self) -> &mut Recorder {
        &mut self.metrics
    }

    /// Where the request went that was taken last; `None` if no route was for it.
    pub fn routed(&self) -> Option<Endpoint> {
        self.routed
    }

    /// How many blocking reads wait for news.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    fn tell(&mut self, req: ReqId, reply: Reply) {
        match reply {
            Reply::Later(reply, work) => self.start_work(req, reply, work),
            Reply::Http(reply) => self.answer(req, reply),
            Reply::Rpc(reply) => self.outputs.push_back(FrontOutput::RpcReply { req, reply }),
            // Whoever looks at one goes on with it.
            Reply::Query(_) => {}
        }
    }

    fn answer(&mut self, req: ReqId, reply: HttpReply) {
        let reply = respond::finish(reply, self.translates);
        self.outputs.push_back(FrontOutput::HttpReply { req, reply });
    }

    /// The client is gone. A call on its behalf goes on, unless another server waits with it; its reply will find
    /// nobody.
    fn forget(&mut self, req: ReqId) {
        self.parked.remove(req);
        if let Some(pending) = self.pending.remove(&req) {
            if let Some(call) = pending.call() {
                self.calls.remove(&call);
                if pending.asks() {
                    self.next_call += 1;
                    let request = Request::Abandon(call);
                    self.outputs.push_back(FrontOutput::Call { call: CallId(self.next_call), request });
                }
            }
            if let Some(index) = pending.applying() {
                self.applying.remove(&(index, req));
            }
        }
    }

    /// Reads whose barrier this view has reached.
    fn resume_applied(&mut self, now: Now, view: &Arc<View>) {
        while let Some(&(index, req)) = self.applying.first()
            && index <= view.raft.applied.0
        {
            self.applying.remove(&(index, req));
            self.parked.remove(req);
            self.look(now, view, req, blocking::Cause::News);
        }
    }

    fn on_changed(&mut self, now: Now, view: &Arc<View>, changes: &ChangeSet) {
        let cause = if changes.all { blocking::Cause::Everything } else { blocking::Cause::News };
        for req in self.parked.wake(changes) {
            // A read that waits for its barrier only shares the deadlines.
            match self.pending.get(&req).and_then(Pending::applying) {
                Some(_) => self.repark_applying(req),
                None => self.look(now, view, req, cause),
            }
        }
    }

    fn expire(&mut self, now: Now, view: &Arc<View>) {
        for req in self.parked.expire(now.mono) {
            self.look(now, view, req, blocking::Cause::Deadline);
        }
    }
}
