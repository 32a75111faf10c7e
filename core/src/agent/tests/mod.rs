//! Tests of the agent as its node drives it: inputs in, effects out, a naive catalog behind.

mod checks;
mod registration;
mod restart;
mod sync;

use super::*;
use crate::command::{Deregister, Register};
use crate::rng::Seed;
use crate::time::WallTime;
use crate::types::{CheckDefinition, HealthCheck, Node, NodeService, ServiceDefinition, status};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use bytes::Bytes;
use core::time::Duration;

pub(super) const SECOND: i64 = 1_000_000_000;

/// What becomes of the agent's calls to the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    /// Calls are refused with an error, nothing happens.
    Failing,
    /// Calls vanish.
    Lost,
    /// Calls happen, their answers vanish.
    AnswersLost,
    /// Calls wait until the link is up again; then they happen, last first.
    Slow,
}

/// A catalog of one node, written as plainly as can be.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pub(super) node: Option<Node>,
    pub(super) services: BTreeMap<Str, NodeService>,
    pub(super) checks: BTreeMap<Str, HealthCheck>,
    /// What it holds of every other node.
    pub(super) elsewhere: Option<CatalogNode>,
    /// Registrations and deregistrations that were asked for.
    pub(super) writes: usize,
}

impl Catalog {
    fn answer(&mut self, request: CatalogCall) -> CatalogReply {
        match request {
            CatalogCall::NodeServices { node } if *node != *"n1" => {
                CatalogReply::Node(self.elsewhere.clone())
            }
            CatalogCall::NodeServices { .. } => {
                CatalogReply::Node(self.node.clone().map(|node| CatalogNode {
                    node: Arc::new(node),
                    services: self.services.values().cloned().map(Arc::new).collect(),
                    checks: self.checks.values().cloned().map(Arc::new).collect(),
                }))
            }
            CatalogCall::Register(r) => {
                self.writes += 1;
                self.register(*r)
            }
            CatalogCall::Deregister(d) => {
                self.writes += 1;
                self.deregister(&d);
                CatalogReply::Done
            }
        }
    }

    fn register(&mut self, r: Register) -> CatalogReply {
        if self.node.is_none() && r.skip_node_update {
            return CatalogReply::Failed("no such node".to_string());
        }
        if !r.skip_node_update {
            self.node = Some(Node {
                id: Str::from(r.id),
                node: Str::from(r.node),
                address: Str::from(r.address),
                datacenter: Str::from(r.datacenter),
                tagged_addresses: r.tagged_addresses.into(),
                meta: r.node_meta.into(),
                locality: r.locality.map(alloc::boxed::Box::new),
                ..Node::default()
            });
        }
        if let Some(service) = r.service {
            self.services.insert(service.id.clone(), service);
        }
        for mut check in r.check.into_iter().chain(r.checks) {
            if !check.service_id.is_empty() {
                let Some(service) = self.services.get(&check.service_id) else {
                    return CatalogReply::Failed("missing service registration".to_string());
                };
                check.service_name = service.service.clone();
                check.service_tags = service.tags.clone();
            }
            self.checks.insert(check.check_id.clone(), check);
        }
        CatalogReply::Done
    }

    fn deregister(&mut self, d: &Deregister) {
        if !d.service_id.is_empty() {
            self.services.remove(d.service_id.as_str());
            self.checks.retain(|_, c| *c.service_id != *d.service_id);
        } else if !d.check_id.is_empty() {
            self.checks.remove(d.check_id.as_str());
        } else {
            *self = Catalog { writes: self.writes, ..Catalog::default() };
        }
    }
}

/// An agent with its surroundings.
pub(super) struct World {
    pub(super) agent: Agent,
    pub(super) now: Now,
    pub(super) config: RuntimeConfig,
    pub(super) catalog: Catalog,
    pub(super) link: Link,
    pub(super) waiting: Vec<(CallId, CatalogCall)>,
    /// Probes under way.
    pub(super) runs: BTreeMap<RunId, Arc<CheckSpec>>,
    pub(super) cancelled: Vec<RunId>,
    pub(super) disk: BTreeMap<String, Bytes>,
    pub(super) log: Vec<Event>,
    pub(super) replies: Vec<AgentReply>,
}

impl World {
    pub(super) fn new() -> World {
        World::with(|_| {})
    }

    pub(super) fn with(adjust: impl FnOnce(&mut RuntimeConfig)) -> World {
        let mut config =
            RuntimeConfig { node_name: Str::from("n1"), server: true, ..RuntimeConfig::default() };
        adjust(&mut config);
        let now = Now { mono: Instant(1), wall: WallTime(1_700_000_000 * SECOND) };
        World::start(config, BTreeMap::new(), Catalog::default(), Link::Up, now)
    }

    fn start(
        config: RuntimeConfig,
        disk: BTreeMap<String, Bytes>,
        catalog: Catalog,
        link: Link,
        now: Now,
    ) -> World {
        let records: Vec<(String, Bytes)> = disk.clone().into_iter().collect();
        let rng = Rng::new(Seed::from_u64(now.mono.0));
        let agent = Agent::boot(Arc::new(config.clone()), "node-id", &records, rng, now);
        let mut world = World {
            agent,
            now,
            config,
            catalog,
            link,
            waiting: Vec::new(),
            runs: BTreeMap::new(),
            cancelled: Vec::new(),
            disk,
            log: Vec::new(),
            replies: Vec::new(),
        };
        world.drain();
        world
    }

    /// Kills the agent and starts another on what is on the disk.
    pub(super) fn restart(&mut self, away: Duration) {
        let mut now = self.now;
        now.mono = now.mono + away;
        now.wall = WallTime(now.wall.0 + away.as_nanos() as i64);
        let (config, disk) = (self.config.clone(), self.disk.clone());
        *self = World::start(config, disk, self.catalog.clone(), self.link, now);
    }

    pub(super) fn handle(&mut self, input: AgentInput) {
        self.agent.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                AgentEffect::Reply { reply, .. } => self.replies.push(reply),
                AgentEffect::RunCheck { run, spec } => {
                    assert!(self.runs.insert(run, spec).is_none(), "a run number was used twice");
                }
                AgentEffect::CancelCheck { run } => {
                    self.runs.remove(&run);
                    self.cancelled.push(run);
                }
                AgentEffect::Persist(writes) => writes.into_iter().for_each(|write| self.write(write)),
                AgentEffect::Catalog { call, request } => self.waiting.push((call, request)),
                AgentEffect::LocalChanged => {}
                AgentEffect::Event(event) => self.log.push(event),
            }
        }
        self.work_the_link();
    }

    fn write(&mut self, write: LocalWrite) {
        match write {
            LocalWrite::Put { key, value } => drop(self.disk.insert(key, value)),
            LocalWrite::Delete { key } => drop(self.disk.remove(&key)),
        }
    }

    fn work_the_link(&mut self) {
        if self.link == Link::Slow {
            return;
        }
        let Some((call, request)) = self.waiting.pop() else { return };
        match self.link {
            Link::Up => {
                let reply = self.catalog.answer(request);
                self.handle(AgentInput::CatalogReply { call, reply });
            }
            Link::Failing => {
                let reply = CatalogReply::Failed("No cluster leader".to_string());
                self.handle(AgentInput::CatalogReply { call, reply });
            }
            Link::Lost => self.work_the_link(),
            Link::AnswersLost => {
                let _ = self.catalog.answer(request);
                self.work_the_link();
            }
            Link::Slow => {}
        }
    }

    pub(super) fn set_link(&mut self, link: Link) {
        self.link = link;
        self.work_the_link();
    }

    /// Lets time pass, waking the agent whenever it asks.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(at) = self.agent.poll_timeout().filter(|at| *at <= end) {
            self.jump(at.max(self.now.mono));
            self.handle(AgentInput::Wake);
            let still = self.agent.poll_timeout();
            assert!(still.is_none_or(|at| at > self.now.mono), "a wake left a deadline behind");
        }
        self.jump(end);
    }

    fn jump(&mut self, to: Instant) {
        let passed = to.since(self.now.mono).as_nanos() as i64;
        self.now = Now { mono: to, wall: WallTime(self.now.wall.0 + passed) };
    }

    pub(super) fn ask(&mut self, request: AgentRequest) -> AgentReply {
        let before = self.replies.len();
        self.handle(AgentInput::Request { call: CallId(1), request });
        assert_eq!(self.replies.len(), before + 1, "one request, one reply");
        self.replies[before].clone()
    }

    pub(super) fn register(&mut self, definition: ServiceDefinition) -> AgentReply {
        let definition = Box::new(definition);
        self.ask(AgentRequest::RegisterService { definition, replace_existing_checks: false })
    }

    pub(super) fn register_check(&mut self, definition: CheckDefinition) -> AgentReply {
        self.ask(AgentRequest::RegisterCheck { definition: Box::new(definition) })
    }

    pub(super) fn report(&mut self, id: &str, status: &'static str, output: &str) -> AgentReply {
        self.ask(AgentRequest::UpdateTtl { id: id.to_string(), status, output: output.to_string() })
    }

    /// Answers every probe under way.
    pub(super) fn outcome(&mut self, status: &'static str, output: &str) {
        for run in core::mem::take(&mut self.runs).into_keys() {
            let outcome = CheckOutcome::Found { status, output: output.to_string() };
            self.handle(AgentInput::CheckDone { run, outcome });
        }
    }

    pub(super) fn status(&self, id: &str) -> (String, String) {
        let local = self.agent.local();
        let check = local.check(id).expect("the check exists");
        (check.status.to_string(), check.output.to_string())
    }

    pub(super) fn logged(&self, message: &str) -> usize {
        self.log.iter().filter(|e| e.message == message).count()
    }

    /// The catalog shows exactly what the agent holds.
    pub(super) fn assert_in_sync(&self) {
        let local = self.agent.local();
        let ours: Vec<NodeService> = local.services().map(|s| NodeService::clone(&s.service)).collect();
        let theirs: Vec<NodeService> = self.catalog.services.values().cloned().collect();
        assert_eq!(ours, theirs);
        let ours: Vec<HealthCheck> = local.checks().map(|c| HealthCheck::clone(c)).collect();
        let theirs: Vec<HealthCheck> = self.catalog.checks.values().cloned().collect();
        assert_eq!(ours, theirs);
    }
}

pub(super) fn service(name: &str) -> ServiceDefinition {
    ServiceDefinition { name: name.to_string(), ..ServiceDefinition::default() }
}

pub(super) fn ttl(id: &str, seconds: i64) -> CheckDefinition {
    CheckDefinition { id: id.to_string(), name: id.to_string(), ttl: seconds * SECOND, ..Default::default() }
}

pub(super) fn http(id: &str, seconds: i64) -> CheckDefinition {
    CheckDefinition {
        id: id.to_string(),
        name: id.to_string(),
        http: "http://127.0.0.1/health".to_string(),
        interval: seconds * SECOND,
        ..Default::default()
    }
}

pub(super) fn with_checks(name: &str, checks: Vec<CheckDefinition>) -> ServiceDefinition {
    ServiceDefinition { checks, ..service(name) }
}

pub(super) fn shown(status: &str, output: &str) -> (String, String) {
    (status.to_string(), output.to_string())
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_node_itself_is_registered_as_consuls_agents_do() {
    let world = World::new();
    let node = world.catalog.node.clone().expect("the node is registered");
    let expect = |pairs: &[(&str, &str)]| -> BTreeMap<Str, Str> {
        pairs.iter().map(|(k, v)| (Str::from(*k), Str::from(*v))).collect()
    };
    assert_eq!((&*node.node, &*node.id, &*node.address), ("n1", "node-id", "127.0.0.1"));
    let lo = "127.0.0.1";
    assert_eq!(
        node.tagged_addresses,
        expect(&[("lan", lo), ("lan_ipv4", lo), ("wan", lo), ("wan_ipv4", lo)])
    );
    assert_eq!(node.meta, expect(&[("consul-network-segment", ""), ("consul-version", "1.21.5")]));
    assert_eq!(world.logged("Synced node info"), 1);
}

#[test]
fn after_a_stop_nothing_runs_and_nothing_is_taken() {
    let mut world = World::new();
    world.register(with_checks("web", vec![http("h", 1)])).expect("valid");
    world.pass(secs(2));
    assert_eq!(world.runs.len(), 1);
    world.handle(AgentInput::Stop);
    assert_eq!(world.cancelled.len(), 1);
    assert_eq!(world.agent.poll_timeout(), None);
    let why = AgentError::Failed("the agent is shutting down".to_string());
    assert_eq!(world.register(service("late")), Err(why));
    assert_eq!(world.status("h").0, status::CRITICAL);
}
