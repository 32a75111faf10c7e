//! Three servers and two client agents that find each other by name, as one cluster.

use super::client::{Answer, Client, Lost};
use super::links::Links;
use super::load::{Load, PATIENCE};
use super::server::Server;
use super::trace::Trace;
use super::world::World;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use madsim::net::NetSim;
use madsim::runtime::NodeHandle;
use madsim::time::{Instant, sleep};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const SERVERS: u64 = 3;
const AGENTS: u64 = 2;
/// Virtual time in which a healthy cluster must be what it should be. Gossip finds a member that it took for
/// failed again by the reconnect of every thirty seconds.
const HEALED: Duration = Duration::from_secs(180);

/// The cluster.
pub struct Cluster {
    /// Its servers.
    pub servers: Vec<Server>,
    /// Its client agents.
    pub agents: Vec<Server>,
    links: Links,
    /// Whoever looks.
    probe: NodeHandle,
    trace: Trace,
}

impl Cluster {
    /// Machines and configurations; nothing runs yet. Snapshots are made often.
    pub fn new(world: &mut World) -> Cluster {
        let (probe, _) = world.machine("probe");
        let threshold = 20 + world.rng.below(60);
        let names: Vec<String> = (1..=SERVERS).map(|i| format!("s{i}")).collect();
        let mut machine = |name: &str, number, server: bool| {
            let names = names.clone();
            let agent = Server::named(world, name, number, move |config| {
                config.server = server;
                config.bootstrap_expect = if server { SERVERS as u32 } else { 0 };
                gossips(config, names);
                config.raft_snapshot_threshold = threshold;
                config.raft_trailing_logs = 10;
            });
            NetSim::current().add_dns_record(name, agent.address(0).ip());
            agent
        };
        let servers = (1..=SERVERS).map(|i| machine(&format!("s{i}"), i, true)).collect();
        let agents = (1..=AGENTS).map(|i| machine(&format!("a{i}"), SERVERS + i, false)).collect();
        Cluster { servers, agents, links: world.links.clone(), probe, trace: world.trace.clone() }
    }

    /// Starts everything, one after the other, and waits until it is a cluster.
    pub async fn started(world: &mut World) -> Cluster {
        let mut cluster = Cluster::new(world);
        for agent in cluster.servers.iter_mut().chain(&mut cluster.agents) {
            agent.start();
            sleep(world.pause(0, 2000)).await;
        }
        cluster.whole().await;
        cluster
    }

    /// Servers, then agents.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().chain(&self.agents)
    }

    /// An address of each agent, then of each server.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.agents.iter().chain(&self.servers).map(|agent| agent.address(0)).collect()
    }

    /// One request.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask(
        &self,
        agent: &Server,
        method: &'static str,
        target: &str,
        body: &str,
    ) -> Result<Answer, Lost> {
        let mut client = Client::new("probe", agent.address(1), &self.trace);
        let (target, body) = (target.to_owned(), body.to_owned());
        let asked = self.probe.spawn(async move { client.ask(method, &target, body, PATIENCE).await });
        asked.await.expect("a probe does not panic")
    }

    /// The text of a good answer; else empty.
    pub async fn text(&self, agent: &Server, target: &str) -> String {
        match self.ask(agent, "GET", target, "").await {
            Ok(answer) if answer.status == 200 => answer.text(),
            _ => String::new(),
        }
    }

    /// The number of the server that `agent` takes for the leader.
    pub async fn leader_of(&self, agent: &Server) -> Option<usize> {
        let leader = self.text(agent, "/v1/status/leader").await;
        let leader: SocketAddr = leader.trim().trim_matches('"').parse().ok()?;
        self.servers.iter().position(|server| server.address(0).ip() == leader.ip())
    }

    /// The number of the leader of a cluster that is whole.
    pub async fn leader(&self) -> usize {
        let end = Instant::now() + HEALED;
        loop {
            if let Some(leader) = self.leader_of(&self.agents[0]).await {
                return leader;
            }
            assert!(Instant::now() < end, "nobody leads");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// A service at an agent, as its operator registers it.
    pub async fn register(&self, agent: &Server, name: &str) {
        let body = format!(r#"{{"Name": "{name}", "Port": 80}}"#);
        let answer = self.ask(agent, "PUT", "/v1/agent/service/register", &body).await;
        assert_eq!(answer.map(|a| a.status), Ok(200), "an agent takes a service at any time");
    }

    /// Nothing goes either way between server `number` and any other machine of the cluster.
    pub fn isolate(&self, number: usize) {
        let one = self.servers[number].machine();
        self.trace.line(format!("{} is cut off", self.servers[number].name()));
        for other in self.all().map(Server::machine).filter(|other| *other != one) {
            self.links.cut(one, other);
            self.links.cut(other, one);
        }
    }

    /// Server `number`, whose process is gone, gets another address, also in the name servers.
    pub fn readdress(&mut self, number: usize, ip: IpAddr) {
        let server = &mut self.servers[number];
        server.readdress(ip);
        NetSim::current().add_dns_record(server.name(), ip);
    }

    /// All links are well.
    pub fn mend(&self) {
        self.trace.line("all links are mended");
        self.links.mend_all();
    }

    /// Waits until every agent sees all alive and the same leader, the leader has all as voters, and everything
    /// takes a write.
    ///
    /// # Panics
    /// It takes too long.
    pub async fn whole(&self) {
        let end = Instant::now() + HEALED;
        let mut since = 0;
        while since < 2 {
            let missing = self.missing().await;
            since = if missing.is_none() { since + 1 } else { 0 };
            if let Some(missing) = missing {
                assert!(Instant::now() < end, "the cluster is not whole again: {missing}");
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    async fn missing(&self) -> Option<String> {
        let leader = self.text(&self.agents[0], "/v1/status/leader").await;
        let all = (SERVERS + AGENTS) as usize;
        for agent in self.all() {
            let name = agent.name();
            let seen = self.text(agent, "/v1/status/leader").await;
            if seen.len() < 5 || seen != leader {
                return Some(format!("{name} has the leader {seen:?}, a1 has {leader:?}"));
            }
            let members = self.text(agent, "/v1/agent/members").await;
            let alive = members.matches(r#""Status":1"#).count();
            if alive != all || members.matches(r#""Status":"#).count() != all {
                return Some(format!("{name} sees {alive} alive: {members}"));
            }
            let put = self.ask(agent, "PUT", "/v1/kv/probe", "x").await;
            if put.as_ref().map(|answer| answer.status) != Ok(200) {
                return Some(format!("a write through {name}: {put:?}"));
            }
        }
        let voters = self.text(&self.servers[0], "/v1/operator/raft/configuration").await;
        let count = voters.matches(r#""Voter":true"#).count();
        (count != SERVERS as usize).then(|| format!("{count} voters: {voters}"))
    }

    /// Ends a load and judges what is left: every server holds the same, every acknowledged write and every
    /// registered service is there, every node is healthy.
    ///
    /// # Panics
    /// It is not so.
    pub async fn judge(&self, load: Load, services: &[&str]) {
        self.whole().await;
        load.finish_at(self.agents[0].address(0)).await;
        let end = Instant::now() + HEALED;
        while let Some(wrong) = self.wrong(services).await {
            assert!(Instant::now() < end, "{wrong}");
            sleep(Duration::from_millis(250)).await;
        }
    }

    async fn wrong(&self, services: &[&str]) -> Option<String> {
        let held = "/v1/kv/?recurse&stale";
        let first = self.text(&self.servers[0], held).await;
        for server in &self.servers {
            let own = self.text(server, held).await;
            if own != first || own.is_empty() {
                return Some(format!("s1 holds {first:?}, {} holds {own:?}", server.name()));
            }
        }
        for agent in self.all() {
            let catalog = self.text(agent, "/v1/catalog/services").await;
            if let Some(gone) = services.iter().find(|name| !catalog.contains(&format!("\"{name}\""))) {
                return Some(format!(
                    "the service {gone} is not in the catalog of {}: {catalog}",
                    agent.name()
                ));
            }
            let checks = self.text(agent, "/v1/health/state/passing").await;
            let healthy = checks.matches(r#""CheckID":"serfHealth""#).count();
            if healthy != (SERVERS + AGENTS) as usize {
                return Some(format!("{healthy} nodes are healthy for {}: {checks}", agent.name()));
            }
        }
        None
    }
}

fn gossips(config: &mut RuntimeConfig, names: Vec<String>) {
    config.ports.serf_lan = Some(8301);
    config.gossip.lan.retry_join = names;
    config.gossip.lan.retry_interval = Duration::from_secs(2);
    config.performance.raft_multiplier = 1;
    config.datacenter = Str::from("dc1");
}
