//! A machine with one server on it: the drivers of `lictor-io`, put together as the agent does.

use super::crash::SEGMENT_BYTES;
use super::directory::SimDirectory;
use super::disk::SimDisk;
use super::rt::MadRt;
use super::trace::Trace;
use super::world::World;
use arc_swap::ArcSwap;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use lictor_core::front::Front;
use lictor_core::ids::FrontId;
use lictor_core::metrics::Report;
use lictor_core::node::{Boot, DiskBatch, DiskImage, Input, Node, StopKind};
use lictor_core::raft::Membership;
use lictor_core::rng::{Rng, Seed};
use lictor_io::driver::{self, Exit, Hands, INBOX};
use lictor_io::front::FrontCell;
use lictor_io::http::{ClientLimits, HttpSettings};
use lictor_io::log::Log;
use lictor_io::rt::Rt;
use lictor_io::storage::log::LogStorage;
use lictor_io::storage::{Space, Storage, StorageError};
use lictor_io::{disk, front, http};
use madsim::runtime::Handle;
use madsim::task::NodeId;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// Where the first front listens; the second has the next port. In production the fronts share one,
/// which the simulated network does not do.
const PORT: u16 = 8500;
const FRONTS: u16 = 2;
const ID: &str = "11111111-2222-3333-4444-555555555555";

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
    handle: Handle,
    machine: NodeId,
    ip: IpAddr,
    shared: Arc<Shared>,
    lives: u64,
    rng: Rng,
}

/// What the machine and its processes share.
struct Shared {
    config: Arc<RuntimeConfig>,
    trace: Trace,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inbox: Option<mpsc::Sender<Input>>,
    fronts: Vec<Weak<FrontCell<MadRt>>>,
    ended: Option<Ended>,
    /// How long a flush takes: half of it before the bytes are safe, half after.
    flush: Duration,
    /// Flushes are reported before they are made.
    lies: bool,
}

impl Server {
    /// A machine with an empty disk; nothing runs yet.
    pub fn new(world: &mut World, change: impl FnOnce(&mut RuntimeConfig)) -> Server {
        let (machine, ip) = world.machine("server");
        let mut config = RuntimeConfig {
            node_name: Str::from("n1"),
            server: true,
            bootstrap_expect: 1,
            advertise_addr: ip,
            ..RuntimeConfig::default()
        };
        change(&mut config);
        let disk = SimDisk::new(Seed::from_u64(world.rng.next_u64()));
        Server {
            disk,
            handle: world.handle.clone(),
            machine: machine.id(),
            ip,
            shared: Arc::new(Shared {
                config: Arc::new(config),
                trace: world.trace.clone(),
                state: Mutex::default(),
            }),
            lives: 0,
            rng: world.rng.fork("server"),
        }
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
        self.shared.trace.line(format!("server starts, life {}", self.lives));
        let (ip, disk, shared) = (self.ip, self.disk.clone(), self.shared.clone());
        let machine = self.handle.get_node(self.machine).expect("the machine is there");
        machine.spawn(async move {
            let ended = process(MadRt::start(offset), ip, disk, &shared).await;
            shared.trace.line(format!("server ends: {ended:?}"));
            shared.state().ended = Some(ended);
        });
    }

    /// Kills the process as SIGKILL does.
    pub fn kill(&self) {
        self.shared.trace.line("kill");
        self.disk.stop();
        self.handle.kill(self.machine);
    }

    /// Cuts the power of the machine.
    pub fn cut_power(&self) {
        self.shared.trace.line("power cut");
        self.disk.stop();
        self.handle.kill(self.machine);
        self.disk.start_after_power_cut();
    }

    /// Sends a signal.
    pub fn signal(&self, kind: StopKind) {
        self.shared.trace.line(format!("signal {kind:?}"));
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From start to end, as `lictor_io::agent` does it with threads.
async fn process(rt: MadRt, ip: IpAddr, disk: SimDisk, shared: &Arc<Shared>) -> Ended {
    let opened = LogStorage::open(disk.directory(), SEGMENT_BYTES);
    if disk.is_stopped() {
        std::future::pending::<()>().await;
    }
    let (storage, image) = match opened {
        Ok((inner, image)) => (SimStorage { inner, disk, shared: shared.clone(), late: Vec::new() }, image),
        Err(e) => return Ended::Refused(e.to_string()),
    };
    let node = match Node::boot(boot(&rt, shared, image), rt.now()) {
        Ok(node) => node,
        Err(e) => return Ended::Refused(e.to_string()),
    };
    let (inbox, inputs) = mpsc::channel(INBOX);
    let (disk_tx, disk_rx) = mpsc::unbounded_channel();
    // No checks are configured: nobody takes orders for them.
    let (checks, _) = mpsc::unbounded_channel();
    let view = Arc::new(ArcSwap::new(node.view().clone()));
    let trace = shared.trace.clone();
    let log = Arc::new(Log::of_events(move |event| {
        trace.line(format!("log {} {}", event.module, event.message));
    }));

    let clients = ClientLimits::new(shared.config.http.max_conns_per_client);
    let settings = HttpSettings { max_header_bytes: 1 << 20, max_body_bytes: 8 << 20, response_headers: &[] };
    let (mut fronts, mut tasks) = (Vec::new(), Vec::new());
    for i in 0..FRONTS {
        let id = FrontId(u64::from(i));
        let core = Front::new(id, Rng::new(rt.entropy()));
        let parts = front::front(rt, id, core, view.clone(), inbox.clone(), log.clone());
        fronts.push(parts.mailbox.clone());
        shared.state().fronts.push(Arc::downgrade(&parts.cell));
        let listener = match rt.listen(SocketAddr::new(ip, PORT + i)).await {
            Ok(listener) => listener,
            Err(e) => return Ended::Refused(e.to_string()),
        };
        tasks.push(madsim::task::spawn(http::serve(rt, parts, vec![listener], settings, clients.clone())));
    }
    tasks.push(madsim::task::spawn(disk::run(rt, storage, disk_rx, inbox.clone())));
    shared.state().inbox = Some(inbox.clone());
    let read_config = Arc::new(|| Input::Reloaded(Err("there are no files".into())));
    let measure = Arc::new(|_: &mut Report| {});
    let hands = Hands {
        disk: disk_tx,
        checks,
        fronts,
        view,
        inbox,
        peers: None,
        gossip: None,
        resolve: None,
        calls: None,
        read_config,
        measure,
        log,
    };
    let exit = driver::drive(rt, node, inputs, hands).await;
    shared.state().inbox = None;
    for task in tasks {
        task.await.expect("a driver ends by itself");
    }
    Ended::Exit(exit)
}

fn boot(rt: &MadRt, shared: &Shared, disk: DiskImage) -> Boot {
    Boot {
        config: shared.config.clone(),
        node_id: Str::from(ID),
        disk,
        bootstrap: Some(Membership::of_voters([Str::from(ID)])),
        addresses: BTreeMap::new(),
        seed: rt.entropy(),
    }
}

/// The real storage on the simulated disk, with the time that a flush takes.
struct SimStorage {
    inner: LogStorage<SimDirectory>,
    disk: SimDisk,
    shared: Arc<Shared>,
    /// Reported and not written, by a storage that lies.
    late: Vec<DiskBatch>,
}

impl Storage for SimStorage {
    async fn write(&mut self, batches: &[DiskBatch]) -> Result<(), StorageError> {
        let (flush, lies) = {
            let state = self.shared.state();
            (state.flush, state.lies)
        };
        if !flush.is_zero() {
            madsim::time::sleep(flush / 2).await;
        }
        let written = if lies {
            let late = std::mem::replace(&mut self.late, batches.to_vec());
            self.inner.commit(&late)
        } else {
            self.inner.commit(batches)
        };
        let counts = self.disk.counts();
        self.shared.trace.bytes(&counts.hash.to_be_bytes());
        if self.disk.is_stopped() {
            // The machine stopped in the middle of it: nobody learns how it went.
            std::future::pending::<()>().await;
        }
        if !flush.is_zero() {
            madsim::time::sleep(flush / 2).await;
        }
        written
    }

    fn free_bytes(&self) -> Option<Space> {
        let (free, total) = self.disk.space();
        Some(Space { free, total })
    }
}
