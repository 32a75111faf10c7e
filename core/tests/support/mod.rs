//! One server and one front without a driver: outputs are carried out at once, time is a number.
#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use lictor_core::front::{Front, FrontInput, FrontOutput, HttpReply, HttpRequest, RpcCall, RpcReply};
use lictor_core::ids::{CallId, FrontId, ReqId};
use lictor_core::node::{Boot, DiskImage, Input, Node, Output, Reply, Request};
use lictor_core::raft::Membership;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Duration, Instant, Now, WallTime};
use lictor_core::view::View;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub(crate) const NODE_ID: &str = "11111111-2222-3333-4444-555555555555";

/// Answers by request, in the order they were given.
pub(crate) type Replies = Vec<(ReqId, HttpReply)>;

pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) front: Front,
    /// What the front is shown; tests may put another one here.
    pub(crate) view: Arc<View>,
    pub(crate) now: Now,
    /// Answers to RPC calls, in the order they were given.
    pub(crate) answers: Vec<(ReqId, RpcReply)>,
    /// While set, calls are kept here instead of going to the node.
    pub(crate) held: Option<Vec<(CallId, Request)>>,
    next_req: u64,
}

impl World {
    /// A server that leads alone, after its first duties.
    pub(crate) fn new(change: impl FnOnce(&mut RuntimeConfig)) -> World {
        let mut config = RuntimeConfig {
            node_name: Str::from("n1"),
            server: true,
            bootstrap_expect: 1,
            ..RuntimeConfig::default()
        };
        change(&mut config);
        let now = Now { mono: Instant::ZERO, wall: WallTime(1_700_000_000_000_000_000) };
        let id = Str::from(NODE_ID);
        let boot = Boot {
            config: Arc::new(config),
            node_id: id.clone(),
            disk: DiskImage::default(),
            bootstrap: Some(Membership::of_voters([id])),
            addresses: BTreeMap::new(),
            seed: Seed::from_u64(7),
        };
        let node = Node::boot(boot, now).expect("an empty disk boots");
        let view = node.view().clone();
        let front = Front::new(FrontId(0), Rng::new(Seed::from_u64(8)));
        let mut world = World { node, front, view, now, answers: Vec::new(), held: None, next_req: 0 };
        world.settle(VecDeque::new());
        world.advance(Duration::from_secs(1));
        world
    }

    /// Sends a request and settles; the answers that came, its own among them unless it waits.
    pub(crate) fn send(&mut self, request: HttpRequest) -> (ReqId, Replies) {
        self.next_req += 1;
        let req = ReqId(self.next_req);
        (req, self.input(FrontInput::Http { req, request }))
    }

    /// Sends a request that is answered at once.
    pub(crate) fn ask(&mut self, method: &str, target: &str, body: &str) -> HttpReply {
        let (req, replies) = self.send(request(method, target, body));
        let reply = replies.into_iter().find(|(r, _)| *r == req);
        reply.unwrap_or_else(|| panic!("{method} {target} waits")).1
    }

    /// Makes an RPC call; its answer lies in `answers` as soon as there is one.
    pub(crate) fn call(&mut self, method: &str, arguments: Bytes) -> ReqId {
        self.next_req += 1;
        let req = ReqId(self.next_req);
        self.input(FrontInput::Rpc { req, call: RpcCall { method: method.into(), arguments } });
        req
    }

    /// Makes an RPC call that is answered at once.
    pub(crate) fn called(&mut self, method: &str, arguments: Bytes) -> Result<Bytes, String> {
        let req = self.call(method, arguments);
        let answer = self.answers.pop().filter(|(answered, _)| *answered == req);
        answer.unwrap_or_else(|| panic!("{method} waits")).1.result
    }

    /// Sends a request that waits.
    pub(crate) fn park(&mut self, target: &str) -> ReqId {
        let (req, replies) = self.send(request("GET", target, ""));
        assert!(replies.iter().all(|(r, _)| *r != req), "{target} was answered: {replies:?}");
        req
    }

    pub(crate) fn input(&mut self, input: FrontInput) -> Replies {
        self.front.handle(self.now, &self.view, input);
        self.settle(VecDeque::new())
    }

    /// Lets time pass, waking both at their deadlines.
    pub(crate) fn advance(&mut self, by: Duration) -> Replies {
        let end = self.now.mono + by;
        let mut replies = Vec::new();
        loop {
            let due = [self.node.poll_timeout(), self.front.poll_timeout()].into_iter().flatten().min();
            let at = due.unwrap_or(end).max(self.now.mono).min(end);
            let passed = at.since(self.now.mono);
            self.now.mono = at;
            self.now.wall.0 += passed.as_nanos() as i64;
            replies.extend(self.settle(VecDeque::from([Input::Wake])));
            self.front.handle(self.now, &self.view, FrontInput::Wake);
            replies.extend(self.settle(VecDeque::new()));
            if at >= end && due.is_none_or(|due| due > end || passed == Duration::ZERO) {
                return replies;
            }
        }
    }

    /// Carries out everything that was asked for.
    pub(crate) fn settle(&mut self, mut inputs: VecDeque<Input>) -> Replies {
        let mut replies = Vec::new();
        loop {
            while let Some(output) = self.front.poll_output() {
                match output {
                    FrontOutput::HttpReply { req, reply } => replies.push((req, reply)),
                    FrontOutput::Call { call, request } => match &mut self.held {
                        Some(held) => held.push((call, request)),
                        None => inputs.push_back(Input::Call { from: FrontId(0), call, request }),
                    },
                    FrontOutput::Work { req, work } => {
                        let worked = work.run();
                        self.front.handle(self.now, &self.view, FrontInput::Worked { req, worked });
                    }
                    FrontOutput::RpcReply { req, reply } => self.answers.push((req, reply)),
                    FrontOutput::Event(_) | FrontOutput::Stream { .. } => {}
                }
            }
            if let Some(output) = self.node.poll_output() {
                match output {
                    Output::Persist { ticket, .. } => inputs.push_back(Input::Persisted { upto: ticket }),
                    Output::Publish { view, changes } => {
                        self.view = view;
                        self.front.handle(self.now, &self.view, FrontInput::Changed(changes));
                    }
                    Output::Reply { call, reply, .. } => self.reply(call, reply),
                    _ => {}
                }
            } else if let Some(input) = inputs.pop_front() {
                self.node.handle(self.now, input);
            } else {
                return replies;
            }
        }
    }

    pub(crate) fn reply(&mut self, call: CallId, reply: Reply) {
        self.front.handle(self.now, &self.view, FrontInput::Reply { call, reply });
    }
}

pub(crate) fn request(method: &str, target: &str, body: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        remote: "127.0.0.1:1".parse().ok(),
    }
}

/// The value of a header; empty if absent.
pub(crate) fn header<'a>(reply: &'a HttpReply, name: &str) -> &'a str {
    reply.headers.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
}

/// The body as text.
pub(crate) fn text(reply: &HttpReply) -> &str {
    std::str::from_utf8(&reply.body).expect("a text body")
}

pub(crate) fn index(reply: &HttpReply) -> u64 {
    header(reply, "X-Consul-Index").parse().expect("an index")
}
