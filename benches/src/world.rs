//! One leading node with one front, without sockets and disk: outputs are carried out at once.

use crate::workload::catalog::{SIZES, VALUE, instance};
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use lictor_core::front::{Front, FrontInput, FrontOutput, HttpReply, HttpRequest};
use lictor_core::ids::{FrontId, ReqId};
use lictor_core::node::{Boot, DiskImage, Input, Node, Output};
use lictor_core::raft::Membership;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Instant, Now, WallTime};
use lictor_core::view::View;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// A node and a front.
pub struct World {
    /// The newest view.
    pub view: Arc<View>,
    node: Node,
    front: Front,
    next: u64,
}

/// The time of everything.
pub const NOW: Now = Now { mono: Instant(1_000_000_000), wall: WallTime(1_700_000_000_000_000_000) };

/// One server that will lead as soon as its outputs are carried out.
///
/// # Panics
/// An empty disk does not boot.
pub fn agent_node() -> Node {
    let id = Str::from("11111111-2222-3333-4444-555555555555");
    let config = RuntimeConfig {
        node_name: Str::from("bench"),
        server: true,
        bootstrap_expect: 1,
        ..RuntimeConfig::default()
    };
    let boot = Boot {
        config: Arc::new(config),
        node_id: id.clone(),
        disk: DiskImage::default(),
        bootstrap: Some(Membership::of_voters([id])),
        addresses: BTreeMap::new(),
        seed: Seed::from_u64(1),
    };
    Node::boot(boot, NOW).expect("an empty disk boots")
}

impl World {
    /// Empty, and leading.
    ///
    /// # Panics
    /// An empty disk does not boot.
    pub fn empty() -> World {
        let node = agent_node();
        let front = Front::new(FrontId(0), Rng::new(Seed::from_u64(2)));
        let mut world = World { view: node.view().clone(), node, front, next: 0 };
        world.settle(VecDeque::from([Input::Wake]));
        world
    }

    /// With the catalog that the harness asks: one key, and services of 1, 10, 100 and 1,000 instances.
    ///
    /// # Panics
    /// A write is refused.
    pub fn populated() -> World {
        let mut world = World::empty();
        world.ask("PUT", "/v1/kv/bench/key", VALUE);
        for size in SIZES {
            for i in 0..size {
                let body = instance(&format!("web-{size}"), i, "passing");
                assert_eq!(world.ask("PUT", "/v1/catalog/register", &body).status, 200);
            }
        }
        world
    }

    /// A request that is answered at once.
    ///
    /// # Panics
    /// It waits.
    pub fn ask(&mut self, method: &str, target: &str, body: &str) -> HttpReply {
        let (req, replies) = self.send(method, target, body);
        let reply = replies.into_iter().find(|(of, _)| *of == req);
        reply.unwrap_or_else(|| panic!("{method} {target} waits")).1
    }

    /// A request; what was answered, which may be others that waited.
    pub fn send(&mut self, method: &str, target: &str, body: &str) -> (ReqId, Vec<(ReqId, HttpReply)>) {
        self.next += 1;
        let req = ReqId(self.next);
        let request = HttpRequest {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            remote: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
        };
        self.front.handle(NOW, &self.view, FrontInput::Http { req, request });
        (req, self.settle(VecDeque::new()))
    }

    fn settle(&mut self, mut inputs: VecDeque<Input>) -> Vec<(ReqId, HttpReply)> {
        let mut replies = Vec::new();
        loop {
            while let Some(output) = self.front.poll_output() {
                match output {
                    FrontOutput::HttpReply { req, reply } => replies.push((req, reply)),
                    FrontOutput::Work { req, work } => {
                        let worked = work.run();
                        self.front.handle(NOW, &self.view, FrontInput::Worked { req, worked });
                    }
                    FrontOutput::Call { call, request } => {
                        inputs.push_back(Input::Call { from: FrontId(0), call, request });
                    }
                    FrontOutput::Event(_) | FrontOutput::Stream { .. } | FrontOutput::RpcReply { .. } => {}
                }
            }
            match self.node.poll_output() {
                Some(Output::Persist { ticket, .. }) => inputs.push_back(Input::Persisted { upto: ticket }),
                Some(Output::Publish { view, changes }) => {
                    self.view = view;
                    self.front.handle(NOW, &self.view, FrontInput::Changed(changes));
                }
                Some(Output::Reply { call, reply, .. }) => {
                    self.front.handle(NOW, &self.view, FrontInput::Reply { call, reply });
                }
                Some(_) => {}
                None => match inputs.pop_front() {
                    Some(input) => self.node.handle(NOW, input),
                    None => return replies,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_as_large_as_it_says() {
        let mut world = World::populated();
        for size in SIZES {
            let body = world.ask("GET", &format!("/v1/health/service/web-{size}?passing"), "").body;
            let entries = body.windows(9).filter(|w| w == b"{\"Node\":{").count();
            assert_eq!(entries, size);
        }
    }
}
