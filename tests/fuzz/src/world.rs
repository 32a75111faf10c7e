//! One leading node with one front, without sockets and disk: outputs are carried out at once.

use bytes::Bytes;
use lictor_core::Str;
use lictor_core::agent::LocalWrite;
use lictor_core::config::RuntimeConfig;
use lictor_core::front::{Front, FrontInput, FrontOutput, HttpReply, HttpRequest};
use lictor_core::ids::{FrontId, ReqId};
use lictor_core::node::{Boot, DiskImage, Input, Node, Output};
use lictor_core::raft::Membership;
use lictor_core::rng::{Rng, Seed};
use lictor_core::time::{Instant, Now, WallTime};
use lictor_core::view::View;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

/// The time of everything.
pub(crate) const NOW: Now = Now { mono: Instant(1_000_000_000), wall: WallTime(1_700_000_000_000_000_000) };

static CONFIG: LazyLock<Arc<RuntimeConfig>> = LazyLock::new(|| {
    let config =
        RuntimeConfig { node_name: Str::from("n1"), server: true, bootstrap_expect: 1, ..Default::default() };
    Arc::new(config)
});

pub(crate) struct World {
    node: Node,
    front: Front,
    view: Arc<View>,
    next: u64,
    /// Requests that were answered by a stream of the log, which is the driver's.
    pub(crate) streams: Vec<ReqId>,
    /// The agent's records as the disk has them.
    pub(crate) local: BTreeMap<String, Bytes>,
}

impl World {
    /// Nothing registered yet.
    pub(crate) fn empty() -> World {
        World::boot(BTreeMap::new())
    }

    /// With what the agent kept.
    pub(crate) fn boot(local: BTreeMap<String, Bytes>) -> World {
        let id = Str::from("11111111-2222-3333-4444-555555555555");
        let boot = Boot {
            config: CONFIG.clone(),
            node_id: id.clone(),
            disk: DiskImage { local: local.clone().into_iter().collect(), ..DiskImage::default() },
            bootstrap: Some(Membership::of_voters([id])),
            addresses: BTreeMap::new(),
            seed: Seed::from_u64(1),
        };
        let node = Node::boot(boot, NOW).expect("damaged records are set aside");
        let front = Front::new(FrontId(0), Rng::new(Seed::from_u64(2)));
        let mut world = World { view: node.view().clone(), node, front, next: 0, streams: Vec::new(), local };
        world.settle(VecDeque::from([Input::Wake]));
        world
    }

    /// The newest view.
    pub(crate) fn view(&mut self) -> &Arc<View> {
        &self.view
    }

    /// Sends a request; its number, and all that was answered.
    pub(crate) fn send(&mut self, request: HttpRequest) -> (ReqId, Vec<(ReqId, HttpReply)>) {
        self.next += 1;
        let req = ReqId(self.next);
        self.front.handle(NOW, &self.view, FrontInput::Http { req, request });
        (req, self.settle(VecDeque::new()))
    }

    /// The client is gone.
    pub(crate) fn forget(&mut self, req: ReqId) {
        self.front.handle(NOW, &self.view, FrontInput::Gone { req });
        self.settle(VecDeque::new());
    }

    /// How many requests wait.
    pub(crate) fn pending(&self) -> usize {
        self.front.pending()
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
                    FrontOutput::Stream { req, .. } => self.streams.push(req),
                    FrontOutput::Event(_) | FrontOutput::RpcReply { .. } => {}
                }
            }
            match self.node.poll_output() {
                Some(Output::Persist { ticket, batch }) => {
                    for write in batch.local {
                        match write {
                            LocalWrite::Put { key, value } => drop(self.local.insert(key, value)),
                            LocalWrite::Delete { key } => drop(self.local.remove(&key)),
                        }
                    }
                    inputs.push_back(Input::Persisted { upto: ticket });
                }
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
