//! Agents of one cluster, each at a loopback address of its own with the default ports, as the operator guide has
//! them on one machine.

use crate::http::{Response, request_at};
use crate::namespace::Network;
use crate::server::binary;
use crate::{Scratch, process};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything of a cluster may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How long one request may take: longer than servers hold it.
pub const ANSWER: Duration = Duration::from_secs(30);

/// A loopback address that nothing listens on and that this process has not handed out before.
pub fn free_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = std::process::id();
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(n < 250, "a test process has 250 addresses");
        let ip = Ipv4Addr::new(127, 64 + (id % 128) as u8, (id / 128) as u8, n as u8 + 1);
        if [8300, 8301, 8500, 8600].iter().all(|port| TcpListener::bind((ip, *port)).is_ok()) {
            return ip.into();
        }
    }
}

/// One agent: a configuration, a directory, and at times a process. Dropping it kills the process.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where it is bound.
    pub ip: IpAddr,
    /// Where its HTTP API is reached.
    pub api: SocketAddr,
    /// Where its data lies.
    pub data: PathBuf,
    /// Laid over the configuration at the next start.
    pub more: Value,
    /// What the command line begins with: nothing, or a way into a namespace.
    pub within: Vec<String>,
    /// Another program than the one of this tree, such as a Consul to compare with.
    pub program: Option<PathBuf>,
    child: Option<Child>,
    scratch: Scratch,
}

impl Node {
    /// An agent at `ip` that does not run yet. `more` is laid over its configuration.
    pub fn new(name: &str, ip: IpAddr, more: Value) -> Node {
        let scratch = Scratch::new(name);
        Node {
            name: name.to_owned(),
            ip,
            api: SocketAddr::new(ip, 8500),
            data: scratch.path().join("data"),
            more,
            within: Vec::new(),
            program: None,
            child: None,
            scratch,
        }
    }

    /// Starts the process.
    pub fn launch(&mut self) {
        let mut config = json!({
            "node_name": self.name, "data_dir": self.data, "bind_addr": self.ip, "client_addr": self.api.ip(),
            "disable_update_check": true, "retry_interval": "1s", "performance": {"raft_multiplier": 1},
        });
        let more = self.more.as_object().expect("an object");
        config.as_object_mut().expect("an object").extend(more.clone());
        let file = self.scratch.write("agent.json", config.to_string());
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut words = self.within.clone();
        let program = self.program.as_deref().unwrap_or_else(|| binary());
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("agent").arg("-config-file").arg(file);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.child = Some(child.expect("the binary starts"));
    }

    /// `kill -9`, and reaps the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal by name (`TERM`, `STOP`, ...).
    pub fn signal(&self, name: &str) {
        let id = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the process to end by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("it runs");
        let mut status = None;
        wait_for(PATIENCE, || {
            status = child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.unwrap_or_else(|| panic!("{} does not end", self.name))
    }

    /// Whether the process runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The process ID.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// One request.
    ///
    /// # Errors
    /// No connection, or no answer in time.
    pub fn ask(&self, method: &str, target: &str, body: &str) -> io::Result<Response> {
        request_at(self.api, method, target, body.as_bytes(), ANSWER)
    }

    /// A good answer to a read as JSON; null for any other.
    pub fn shows(&self, target: &str) -> Value {
        self.ask("GET", target, "").ok().filter(|r| r.status == 200).map_or(Value::Null, |r| r.json())
    }

    /// Whether a write is answered well.
    pub fn takes(&self, target: &str, body: &str) -> bool {
        self.ask("PUT", target, body).is_ok_and(|answer| answer.status == 200)
    }

    /// The RPC address of the leader that it knows; empty without one.
    pub fn leader(&self) -> String {
        self.shows("/v1/status/leader").as_str().unwrap_or_default().to_owned()
    }

    /// Where it takes RPC, if it is a server.
    pub fn rpc(&self) -> String {
        format!("{}:8300", self.ip)
    }

    /// Whether it has a connection to that address.
    pub fn is_connected_to(&self, address: SocketAddr) -> bool {
        process::connections(self.pid()).contains(&address)
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.scratch.path().join("log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let end = &log.as_bytes()[log.len().saturating_sub(4096)..];
            eprintln!("--- the end of the log of {}:\n{}", self.name, String::from_utf8_lossy(end));
        }
    }
}

/// Three servers and some client agents.
#[derive(Debug)]
pub struct Cluster {
    /// Its servers.
    pub servers: Vec<Node>,
    /// Its client agents.
    pub agents: Vec<Node>,
}

impl Cluster {
    /// Configurations; nothing runs yet. Everybody joins the three servers by the addresses that they have now.
    pub fn prepare(name: &str, agents: usize) -> Cluster {
        let servers: Vec<IpAddr> = (0..3).map(|_| free_address()).collect();
        let server = |(i, ip): (usize, &IpAddr)| {
            let more = json!({"server": true, "bootstrap_expect": 3, "retry_join": servers});
            Node::new(&format!("{name}{}", i + 1), *ip, more)
        };
        let agent =
            |i| Node::new(&format!("{name}-agent{}", i + 1), free_address(), json!({"retry_join": servers}));
        Cluster {
            agents: (0..agents).map(agent).collect(),
            servers: servers.iter().enumerate().map(server).collect(),
        }
    }

    /// Three servers and an agent on the first four hosts of a network, in this order; nothing runs yet.
    pub fn prepare_on(network: &Network, name: &str) -> Cluster {
        let mut cluster = Cluster::prepare(name, 1);
        let servers: Vec<_> = (0..3).map(|i| network.host(i).ip).collect();
        for (i, node) in cluster.servers.iter_mut().chain(&mut cluster.agents).enumerate() {
            let host = network.host(i as u8);
            node.ip = host.ip;
            node.api = SocketAddr::new(host.api, 8500);
            node.within = host.within;
            node.more["retry_join"] = json!(servers);
        }
        cluster
    }

    /// Starts all and waits until they are one.
    pub fn start(name: &str, agents: usize) -> Cluster {
        let mut cluster = Cluster::prepare(name, agents);
        cluster.launch();
        cluster.wait_until_whole();
        cluster
    }

    /// Starts all.
    pub fn launch(&mut self) {
        self.servers.iter_mut().chain(&mut self.agents).for_each(Node::launch);
    }

    /// Servers, then agents.
    pub fn all(&self) -> impl Iterator<Item = &Node> + Clone {
        self.servers.iter().chain(&self.agents)
    }

    /// Which server leads, for one of the others or for an agent.
    pub fn leader(&self) -> usize {
        let mut found = None;
        self.wait("somebody leads", || {
            // As most of the servers have it.
            let seen: Vec<String> = self.servers.iter().map(Node::leader).collect();
            let common = |leader: &String| seen.iter().filter(|other| *other == leader).count() >= 2;
            let leader = seen.iter().find(|leader| !leader.is_empty() && common(leader));
            found = leader.and_then(|leader| self.number_of(leader));
            found.is_some()
        });
        found.expect("somebody leads")
    }

    fn number_of(&self, leader: &str) -> Option<usize> {
        let leader: SocketAddr = leader.parse().ok()?;
        self.servers.iter().position(|server| server.ip == leader.ip())
    }

    /// Waits until all see all alive, have the same leader, and take a write.
    pub fn wait_until_whole(&self) {
        let count = self.all().count();
        let mut missing = String::new();
        let whole = wait_for(PATIENCE, || {
            missing = self.missing(count);
            missing.is_empty()
        });
        assert!(whole, "the cluster is not whole: {missing}");
    }

    fn missing(&self, count: usize) -> String {
        let leader = self.servers[0].leader();
        for node in self.all() {
            let members = node.shows("/v1/agent/members");
            let alive = |m: &&Value| m["Status"] == 1;
            let alive = members.as_array().map_or(0, |all| all.iter().filter(alive).count());
            if alive != count {
                return format!("{} sees {alive} of {count} alive: {members}", node.name);
            }
            let own = node.leader();
            if own.is_empty() || own != leader {
                return format!(
                    "{} has the leader {own:?}, {} has {leader:?}",
                    node.name, self.servers[0].name
                );
            }
            if !node.takes("/v1/kv/probe", "x") {
                return format!("{} takes no write", node.name);
            }
        }
        String::new()
    }

    /// Waits until it holds, or panics with what was to be.
    pub fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        assert!(wait_for(PATIENCE, holds), "it does not come about that {what}");
    }
}

/// Tries until it holds or patience ends.
pub fn wait_for(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
