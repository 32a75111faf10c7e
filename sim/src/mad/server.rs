//! A machine with one agent on it, a server or a client: start, kill, power cut, signals.

use super::disk::SimDisk;
use super::links::Links;
use super::process;
use super::rt::MadRt;
use super::trace::Trace;
use super::world::World;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use lictor_core::node::{Input, StopKind};
use lictor_core::rng::{Rng, Seed};
use lictor_io::driver::Exit;
use lictor_io::front::FrontCell;
use madsim::net::NetSim;
use madsim::runtime::Handle;
use madsim::task::NodeId;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// Where the first front listens; the second has the next port. In production the fronts share one,
/// which the simulated network does not do.
pub(super) const PORT: u16 = 8500;
pub(super) const FRONTS: u16 = 2;

/// How a process ended by itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did not start, and says why.
    Refused(String),
    /// It ran.
    Exit(Exit),
}

/// The machine. Dropping it does not end the process.
pub struct Server {
    /// Its disk.
    pub disk: SimDisk,
    config: Arc<RuntimeConfig>,
    handle: Handle,
    links: Links,
    machine: NodeId,
    ip: IpAddr,
    shared: Arc<Shared>,
    lives: u64,
    rng: Rng,
}

/// What the machine and its processes share.
pub(super) struct Shared {
    /// For the trace.
    pub(super) name: String,
    /// The identity that the data directory holds.
    pub(super) id: Str,
    pub(super) trace: Trace,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) inbox: Option<mpsc::Sender<Input>>,
    pub(super) fronts: Vec<Weak<FrontCell<MadRt>>>,
    ended: Option<Ended>,
    /// How long a flush takes: half of it before the bytes are safe, half after.
    pub(super) flush: Duration,
    /// Flushes are reported before they are made.
    pub(super) lies: bool,
}

impl Server {
    /// A machine with an empty disk, for a server that is a cluster of its own; nothing runs yet.
    pub fn new(world: &mut World, change: impl FnOnce(&mut RuntimeConfig)) -> Server {
        Server::named(world, "server", 1, |config| {
            config.node_name = Str::from("n1");
            config.server = true;
            config.bootstrap_expect = 1;
            change(config);
        })
    }

    /// A machine with an empty disk, for the agent `number`; nothing runs yet.
    pub fn named(
        world: &mut World,
        name: &str,
        number: u64,
        change: impl FnOnce(&mut RuntimeConfig),
    ) -> Server {
        let (machine, ip) = world.machine(name);
        let mut config = RuntimeConfig { node_name: Str::from(name), ..RuntimeConfig::default() };
        place(&mut config, ip);
        change(&mut config);
        let disk = SimDisk::new(Seed::from_u64(world.rng.next_u64()));
        Server {
            disk,
            config: Arc::new(config),
            handle: world.handle.clone(),
            links: world.links.clone(),
            machine: machine.id(),
            ip,
            shared: Arc::new(Shared {
                name: name.to_owned(),
                id: Str::from(format!("11111111-2222-3333-4444-{number:012}")),
                trace: world.trace.clone(),
                state: Mutex::default(),
            }),
            lives: 0,
            rng: world.rng.fork(name),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The machine, for its links.
    pub fn machine(&self) -> NodeId {
        self.machine
    }

    /// Gives the machine another address, while no process runs on it. What was configured to be there moves along.
    pub fn readdress(&mut self, ip: IpAddr) {
        self.shared.trace.line(format!("{} moves from {} to {ip}", self.shared.name, self.ip));
        NetSim::current().set_ip(self.machine, ip);
        self.links.place(self.machine, ip);
        self.ip = ip;
        place(Arc::make_mut(&mut self.config), ip);
    }

    /// The address of a front.
    pub fn address(&self, front: u16) -> SocketAddr {
        SocketAddr::new(self.ip, PORT + front % FRONTS)
    }

    /// Starts a process, after the one before was killed or ended by itself.
    ///
    /// # Panics
    /// madsim has lost the machine.
    pub fn start(&mut self) {
        self.lives += 1;
        self.disk.start_after_kill();
        {
            let mut state = self.shared.state();
            *state = State { flush: state.flush, lies: state.lies, ..State::default() };
        }
        // The clock was set meanwhile: up to ten seconds either way.
        let offset = self.rng.below(20_000_000_000) as i64 - 10_000_000_000;
        self.handle.restart(self.machine);
        self.links.light(self.machine);
        self.shared.trace.line(format!("{} starts, life {}", self.shared.name, self.lives));
        let (ip, disk, shared) = (self.ip, self.disk.clone(), self.shared.clone());
        let (config, links, id) = (self.config.clone(), self.links.clone(), self.machine);
        let machine = self.handle.get_node(self.machine).expect("the machine is there");
        machine.spawn(async move {
            let rt = MadRt::start(id, links, offset);
            let ended = process::run(rt, ip, config, disk, &shared).await;
            shared.trace.line(format!("{} ends: {ended:?}", shared.name));
            shared.state().ended = Some(ended);
        });
    }

    /// Kills the process as SIGKILL does.
    pub fn kill(&self) {
        self.shared.trace.line(format!("{} is killed", self.shared.name));
        self.disk.stop();
        self.handle.kill(self.machine);
    }

    /// Cuts the power of the machine. Whoever talks with it is not told.
    pub fn cut_power(&self) {
        self.shared.trace.line(format!("{} has no power", self.shared.name));
        self.disk.stop();
        self.links.darken(self.machine);
        self.handle.kill(self.machine);
        self.disk.start_after_power_cut();
    }

    /// Sends a signal.
    pub fn signal(&self, kind: StopKind) {
        self.shared.trace.line(format!("{} gets {kind:?}", self.shared.name));
        let inbox = self.shared.state().inbox.clone();
        if let Some(inbox) = inbox {
            inbox.try_send(Input::Stop(kind)).expect("the node takes a signal");
        }
    }

    /// Makes a flush take this long.
    pub fn slow_down(&self, flush: Duration) {
        self.shared.state().flush = flush;
    }

    /// Reports every write as flushed one write too early: a bug for the judges to find.
    pub fn lie(&self) {
        self.shared.state().lies = true;
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&self) -> Ended {
        loop {
            if let Some(ended) = self.shared.state().ended.take() {
                // As when a process is gone: nothing of it answers any more.
                self.handle.kill(self.machine);
                return ended;
            }
            madsim::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.shared.state().ended.is_some()
    }

    /// Requests that wait for an answer, over all fronts; `None` when no process is there.
    pub fn pending(&self) -> Option<usize> {
        let state = self.shared.state();
        state.fronts.iter().map(|front| front.upgrade().map(|front| front.pending())).sum()
    }

    /// How often a process was started.
    pub fn lives(&self) -> u64 {
        self.lives
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything of a configuration that has the machine's address.
fn place(config: &mut RuntimeConfig, ip: IpAddr) {
    config.bind_addr = ip;
    config.advertise_addr = ip;
    config.gossip.lan.bind = ip;
    config.gossip.lan.advertise = ip;
}
