//! Starting, running and stopping one agent.

use super::banner::banner;
use super::consul_files;
use super::data_dir::DataDir;
use super::pid_file::PidFile;
use super::signals::Signals;
use super::sockets::Socket;
use super::{ports, process, refusals, systemd};
use crate::driver::{self, Exit, Hands, INBOX, SharedView};
use crate::driver::{CallOrder, PeerOrder, Question};
use crate::front::{self, FrontParts};
use crate::go_error::cause;
use crate::gossip::{self, Allowed};
use crate::http::{self, ClientLimits, HttpSettings};
use crate::log::Log;
use crate::rpc::{self, Refused};
use crate::rt::{Rt, TokioRt};
use crate::storage::directory::{DataDirectory, space_at};
use crate::storage::log::LogStorage;
use crate::storage::memory::Memory;
use crate::{checks, disk, dns, peers, resolve, watches};
use arc_swap::ArcSwap;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use lictor_core::event::{Event, Level};
use lictor_core::front::{Archives, Front, Lately};
use lictor_core::ids::{FrontId, Pool, ServerId};
use lictor_core::metrics::Recorder;
use lictor_core::node::{Boot, BootError, DiskImage, HaltReason, Input, NetOrder, Node};
use lictor_core::plan::Plan;
use lictor_core::raft::Membership;
use lictor_core::rng::Rng;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// What an agent is started with.
pub struct Launch {
    /// The configuration as read at start.
    pub config: RuntimeConfig,
    /// Reads it again, for a reload. The error is shown to whoever asked.
    pub reread: Arc<dyn Fn() -> Result<RuntimeConfig, String> + Send + Sync>,
}

/// Runs an agent to its end; its exit code. Everything it has to say goes to standard output, the
/// reason of a refusal to standard error.
pub fn run(launch: Launch) -> u8 {
    match start(launch) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("==> {why}");
            1
        }
    }
}

fn start(launch: Launch) -> Result<u8, String> {
    let Launch { config, reread } = launch;
    if !config.unprotected.is_empty() {
        return Err(format!(
            "the configuration asks for protection that this version does not give, so it does not start:\n    {}\n\
             remove these settings to run without that protection",
            config.unprotected.join("\n    ")
        ));
    }
    if Level::parse(&config.log_level).is_none() {
        let valid = "[TRACE DEBUG INFO WARN ERR ERROR]";
        return Err(format!("Invalid log level: {}. Valid log levels are: {valid}", config.log_level));
    }
    refusals::check(&config)?;
    let plans = watches::plans(&config)?;
    process::raise_open_files();
    let log = Arc::new(Log::open(&config)?);
    let rt = TokioRt;
    let addresses = Addresses::of(&config);
    ports::check(&addresses.tcp(), &addresses.udp())?;

    let (data_dir, node_id, storage, image) = open(&config, &rt, &log)?;
    let config = Arc::new(config);
    // Who asks for JSON gets nothing else, as from Consul.
    if !config.log_json {
        print!("{}", banner(&config, &node_id, consul_files::has_keys(&config, &image)));
    }
    for warning in &config.warnings {
        log.write(&Event::new(Level::Warn, "agent", warning.as_str()));
    }
    for key in &config.not_built_yet {
        let text = "configuration key is known but this version does not have the feature; it has no effect";
        log.write(&Event::new(Level::Warn, "agent", text).with("key", key.as_str()));
    }

    let founders = Membership::of_voters([node_id.clone()]);
    let boot = Boot {
        config: config.clone(),
        node_id,
        disk: image,
        bootstrap: (config.server && config.bootstrap_expect == 1).then_some(founders),
        addresses: BTreeMap::new(),
        seed: rt.entropy(),
    };
    let node = Node::boot(boot, rt.now()).map_err(|e| match &data_dir {
        Some(dir) if !matches!(e, BootError::Definition(_)) => format!("{}: {e}", dir.own.display()),
        _ => e.to_string(),
    })?;
    let code = live(rt, node, storage, &config, &addresses, log, reread, plans);
    drop(data_dir);
    code
}

type Opened = (Option<DataDir>, Str, AnyStorage, DiskImage);

fn open(config: &RuntimeConfig, rt: &TokioRt, log: &Log) -> Result<Opened, String> {
    if config.data_dir.is_empty() {
        let id =
            if config.node_id.is_empty() { Rng::new(rt.entropy()).uuid() } else { config.node_id.clone() };
        return Ok((None, Str::from(id), AnyStorage::Memory(Memory), DiskImage::default()));
    }
    let dir = DataDir::open(Path::new(&config.data_dir), &config.node_id, rt.entropy())
        .map_err(|e| e.to_string())?;
    let (mut storage, mut image) = LogStorage::open_at(&dir.own).map_err(|e| e.to_string())?;
    let path = Path::new(&config.data_dir);
    runtime()?
        .block_on(async {
            if config.server {
                if let Err(e) = consul_files::explain_peers(path) {
                    let event =
                        Event::new(Level::Warn, "agent.server", "raft/peers.info could not be written");
                    log.write(&event.with("error", e.to_string()));
                }
                image =
                    consul_files::recover(path, &dir.node_id, image, &mut storage, |event| log.write(&event))
                        .await?;
            }
            consul_files::keyrings(path, config, &mut image, &mut storage).await?;
            Ok::<_, String>((storage, image))
        })
        .map(|(storage, image)| {
            let id = dir.node_id.clone();
            (Some(dir), id, AnyStorage::Log(Box::new(storage)), image)
        })
}

/// One of the two storages, chosen at start.
enum AnyStorage {
    Memory(Memory),
    Log(Box<LogStorage<DataDirectory>>),
}

/// Where the agent listens.
struct Addresses {
    http: Vec<SocketAddr>,
    /// Unix sockets for HTTP.
    sockets: Vec<String>,
    dns: Vec<SocketAddr>,
    /// The gossip pools' sockets.
    gossip: Vec<(Pool, SocketAddr)>,
    /// The server port.
    server: Option<SocketAddr>,
}

impl Addresses {
    fn of(config: &RuntimeConfig) -> Addresses {
        let on = |addresses: &[IpAddr], port: Option<u16>| match port {
            Some(port) => addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
            None => Vec::new(),
        };
        let lan = config.ports.serf_lan.map(|port| (Pool::Lan, config.gossip.lan.bind, port));
        let wan = config.ports.serf_wan.filter(|_| config.server);
        let wan = wan.map(|port| (Pool::Wan, config.gossip.wan.bind, port));
        let gossip = lan.into_iter().chain(wan).map(|(pool, ip, port)| (pool, SocketAddr::new(ip, port)));
        Addresses {
            gossip: gossip.collect(),
            server: config.server.then(|| SocketAddr::new(config.bind_addr, config.ports.server)),
            http: on(&config.http_addrs, config.ports.http),
            sockets: config.ports.http.map(|_| config.http_sockets.clone()).unwrap_or_default(),
            dns: on(&config.dns_addrs, config.ports.dns),
        }
    }

    fn tcp(&self) -> Vec<(&'static str, SocketAddr)> {
        let http = self.http.iter().map(|a| ("HTTP", *a));
        let own = http.chain(self.dns.iter().map(|a| ("DNS", *a)));
        own.chain(self.gossip.iter().map(gossip_name)).chain(self.server.map(|a| ("RPC", a))).collect()
    }

    fn udp(&self) -> Vec<(&'static str, SocketAddr)> {
        self.dns.iter().map(|a| ("DNS", *a)).chain(self.gossip.iter().map(gossip_name)).collect()
    }
}

fn gossip_name((pool, address): &(Pool, SocketAddr)) -> (&'static str, SocketAddr) {
    (if *pool == Pool::Lan { "LAN Serf" } else { "WAN Serf" }, *address)
}

/// Tells that HTTP is answered at an address.
fn starting(address: impl Into<String>, network: &str) -> Event {
    let event = Event::new(Level::Info, "agent", "Starting server").with("address", address);
    event.with("network", network).with("protocol", "http")
}

#[expect(clippy::too_many_arguments, reason = "everything that was made ready")]
fn live(
    rt: TokioRt,
    node: Node,
    storage: AnyStorage,
    config: &Arc<RuntimeConfig>,
    addresses: &Addresses,
    log: Arc<Log>,
    reread: Arc<dyn Fn() -> Result<RuntimeConfig, String> + Send + Sync>,
    plans: Vec<Plan>,
) -> Result<u8, String> {
    let main = runtime()?;
    let signals = {
        let _enter = main.enter();
        Signals::install().map_err(|e| format!("signal handlers could not be installed: {e}"))?
    };
    let (inbox, inputs) = mpsc::channel::<Input>(INBOX);
    let (disk_tx, disk_rx) = mpsc::unbounded_channel();
    let (checks_tx, checks_rx) = mpsc::unbounded_channel();
    let view: SharedView = Arc::new(ArcSwap::new(node.view().clone()));

    let pid_file = PidFile::write(&config.pid_file, &log)?;
    let sockets = addresses.sockets.iter().map(|path| Socket::open(path, &config.unix_sockets, &log));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let clients = ClientLimits::new(config.http.max_conns_per_client);
    let rpc_clients = ClientLimits::for_calls(config.rpc_max_conns_per_client);
    let refused = Arc::new(Refused::default());
    let (response_headers, bad) = http::response_headers(&config.http.response_headers);
    for name in bad {
        let text =
            format!("http_config.response_headers: {name:?} or its value is no HTTP header and is left out");
        log.write(&Event::new(Level::Warn, "agent", text));
    }
    let settings = HttpSettings {
        max_header_bytes: if config.http.max_header_bytes == 0 {
            1 << 20
        } else {
            config.http.max_header_bytes
        },
        max_body_bytes: config.kv_max_value_size.max(config.txn_max_req_len).max(8 << 20),
        response_headers,
    };
    let (lately, archives) = (Arc::new(Lately::default()), Arc::new(Archives::default()));
    let mut cells = Vec::new();
    // Watches ask the first front; they end before the fronts do.
    let mut asked = None;
    let mut mailboxes = Vec::new();
    let mut threads = Vec::new();
    for i in 0..front_threads() {
        let id = FrontId(i as u64);
        let core = Front::new(id, Rng::new(rt.entropy())).sharing(lately.clone(), archives.clone());
        let parts = front::front(rt, id, core, view.clone(), inbox.clone(), log.clone());
        mailboxes.push(parts.mailbox.clone());
        cells.push(Arc::downgrade(&parts.cell));
        asked.get_or_insert_with(|| parts.cell.clone());
        let calls = rpc::Serving {
            rt,
            cell: parts.cell.clone(),
            clients: rpc_clients.clone(),
            refused: refused.clone(),
            own: node.id().clone(),
            inbox: inbox.clone(),
        };
        threads.push(front_thread(rt, parts, addresses, &sockets, settings, clients.clone(), calls)?);
    }
    let mut resolvers = Vec::new();
    for address in &addresses.dns {
        let metrics = Arc::new(Mutex::new(Recorder::default()));
        resolvers.push(metrics.clone());
        let id = FrontId(mailboxes.len() as u64);
        let (inbox, log) = (inbox.clone(), log.clone());
        let started = dns::start(*address, view.clone(), rt.entropy(), metrics, id, inbox, log);
        mailboxes
            .push(started.map_err(|e| format!("failed to start DNS server on {address}: {}", cause(&e)))?);
    }

    let kept_in = matches!(storage, AnyStorage::Log(_)).then(|| PathBuf::from(&config.data_dir));
    let disk_inbox = inbox.clone();
    let disk_thread = thread("disk", move || {
        let Ok(runtime) = runtime() else { return };
        let _ = run_task(&runtime, async move {
            match storage {
                AnyStorage::Memory(storage) => disk::run(rt, storage, disk_rx, disk_inbox).await,
                AnyStorage::Log(storage) => disk::run(rt, *storage, disk_rx, disk_inbox).await,
            }
        });
    })?;

    let (peers_tx, peers_rx) = mpsc::unbounded_channel();
    let (gossip_tx, gossip_rx) = mpsc::unbounded_channel();
    let (resolve_tx, resolve_rx) = mpsc::unbounded_channel();
    let (calls_tx, calls_rx) = mpsc::unbounded_channel();
    let (peers, gossip, resolve, calls) = (peers_rx, gossip_rx, resolve_rx, calls_rx);
    let net = Net { peers, gossip, resolve, calls, inbox: inbox.clone() };
    let net_thread = net_thread(rt, net, config, addresses, node.id().clone())?;

    let (watches_tx, watches_rx) = mpsc::unbounded_channel();
    let _ = watches_tx.send((plans, oneshot::channel().0));
    let hands = Hands {
        disk: disk_tx,
        checks: checks_tx,
        fronts: mailboxes,
        view,
        inbox: inbox.clone(),
        peers: Some(peers_tx),
        gossip: Some(gossip_tx),
        resolve: Some(resolve_tx),
        calls: Some(calls_tx),
        read_config: read_config(reread, log.clone(), clients, watches_tx.clone()),
        measure: Arc::new(move |report| {
            cells.iter().filter_map(Weak::upgrade).for_each(|cell| cell.measure(report));
            for metrics in &resolvers {
                report.add(&metrics.lock().unwrap_or_else(PoisonError::into_inner));
            }
            process::measure(report);
        }),
        room: Arc::new(move || space_at(kept_in.as_deref()?)),
        ready: {
            let log = log.clone();
            Arc::new(move || {
                if let Err(e) = systemd::ready() {
                    let event = Event::new(Level::Debug, "agent", "systemd notify failed");
                    log.write(&event.with("error", cause(&e)));
                }
            })
        },
        log: log.clone(),
    };
    let (exit_tx, exit_rx) = oneshot::channel();
    let node_thread = thread("node", move || {
        let exit = match runtime() {
            Ok(runtime) => {
                run_task(&runtime, driver::drive(rt, node, inputs, hands)).unwrap_or(Exit::Abandoned)
            }
            Err(_) => Exit::Abandoned,
        };
        let _ = exit_tx.send(exit);
    })?;
    for (what, address) in addresses.tcp() {
        if what != "HTTP" && what != "DNS" {
            continue;
        }
        log.write(&if what == "DNS" {
            let event = Event::new(Level::Info, "agent", "Started DNS server");
            event.with("address", address.to_string()).with("network", "tcp")
        } else {
            starting(address.to_string(), "tcp")
        });
    }
    for path in &addresses.sockets {
        log.write(&starting(path.as_str(), "unix"));
    }
    log.write(&Event::new(Level::Info, "agent", "Consul agent running!"));

    // The checks live on this thread, with the signals.
    let exit = main.block_on(async {
        tokio::spawn(signals.pass_on(inbox.clone(), log.clone()));
        tokio::spawn(checks::run(checks_rx, inbox));
        if let Some(front) = asked {
            tokio::spawn(watches::run(front, watches_rx, log.clone()));
        }
        exit_rx.await.unwrap_or(Exit::Abandoned)
    });
    drop(pid_file);
    let code = report(&exit, &log);
    // The node's queues are closed now: the disk writes what it was given, the fronts answer what
    // they were told, and all threads end by themselves.
    let _ = node_thread.join();
    let _ = disk_thread.join();
    let _ = net_thread.join();
    for thread in threads {
        let _ = thread.join();
    }
    drop(sockets);
    Ok(code)
}

fn report(exit: &Exit, log: &Log) -> u8 {
    let (level, text, code) = match exit {
        Exit::Stopped { code, .. } => (Level::Info, "shutdown complete".to_owned(), *code),
        Exit::Halted(HaltReason::PersistFailed(error)) => {
            (Level::Error, format!("stopped, because a write to disk failed: {error}"), 1)
        }
        Exit::Halted(HaltReason::UnreadableEntry { index, error }) => (
            Level::Error,
            format!(
                "stopped, because log entry {index} cannot be read ({error}): start the version that wrote it, \
                 or restore a snapshot"
            ),
            1,
        ),
        Exit::Halted(HaltReason::Contradicted { at }) => (
            Level::Error,
            format!(
                "stopped, because the cluster has agreed on something else at log index {at} than this server holds, as \
                 after a recovery by peers.json on more than one server: empty its data directory, and start it again"
            ),
            1,
        ),
        Exit::Halted(HaltReason::NameLost { name }) => (
            Level::Error,
            format!(
                "stopped, because another node has the name {name} and most members side with it: \
                 give this one another node_name, or stop the other and start this one again"
            ),
            1,
        ),
        Exit::Halted(HaltReason::Twin { name, id, at, own }) => (
            Level::Error,
            format!(
                "stopped, because node ID {id} is in use twice: {name} at {at} answers, and this node at {own} has \
                 the same ID, so its data directory is a copy: empty it, or stop the other one"
            ),
            1,
        ),
        Exit::Halted(HaltReason::JoinGivenUp { pool }) => {
            let pool = if *pool == Pool::Lan { "LAN" } else { "WAN" };
            (Level::Error, format!("agent: max join {pool} retry exhausted, exiting"), 1)
        }
        Exit::Abandoned => (Level::Error, "stopped, because the node's thread ended".to_owned(), 1),
    };
    log.write(&Event::new(level, "agent", text));
    code
}

/// What the network's thread works on.
struct Net {
    peers: mpsc::UnboundedReceiver<PeerOrder>,
    gossip: mpsc::UnboundedReceiver<(Pool, NetOrder)>,
    resolve: mpsc::UnboundedReceiver<Question>,
    calls: mpsc::UnboundedReceiver<CallOrder>,
    inbox: mpsc::Sender<Input>,
}

/// The thread of everything between nodes. It ends when the node's queues are closed.
fn net_thread(
    rt: TokioRt,
    net: Net,
    config: &RuntimeConfig,
    addresses: &Addresses,
    id: ServerId,
) -> Result<JoinHandle<()>, String> {
    let runtime = runtime()?;
    let own = peers::Own { id, at: SocketAddr::new(config.advertise_addr, config.ports.server) };
    // Bind here, so that a failure is told before anything starts.
    let mut sockets = Vec::new();
    for entry in &addresses.gossip {
        let (pool, address) = *entry;
        let networks =
            if pool == Pool::Lan { &config.gossip.lan.allowed } else { &config.gossip.wan.allowed };
        let networks = networks.clone();
        let allowed: Allowed =
            Arc::new(move |ip| networks.as_ref().is_none_or(|all| all.iter().any(|n| n.contains(ip))));
        let bound = runtime.block_on(gossip::bind(&rt, pool, address, allowed));
        sockets.push(bound.map_err(|e| format!("failed to start {}: {}", gossip_name(entry).0, cause(&e)))?);
    }
    let Net { peers, gossip, resolve, calls, inbox } = net;
    thread("net", move || {
        runtime.block_on(async {
            tokio::spawn(peers::send(rt, own, peers));
            tokio::spawn(rpc::client::call(rt, calls, inbox.clone()));
            tokio::spawn(resolve::run(rt, resolve, inbox.clone()));
            gossip::run(rt, sockets, gossip, inbox).await;
        });
    })
}

fn front_thread(
    rt: TokioRt,
    parts: FrontParts<TokioRt>,
    addresses: &Addresses,
    sockets: &[Socket],
    settings: HttpSettings,
    clients: Arc<ClientLimits>,
    calls: rpc::Serving<TokioRt>,
) -> Result<JoinHandle<()>, String> {
    // Bind here, so that a failure is told before anything starts.
    let runtime = runtime()?;
    let listen = |address: &SocketAddr| {
        runtime
            .block_on(rt.listen(*address))
            .map_err(|e| format!("listen tcp {address}: bind: {}", cause(&e)))
    };
    let listeners = addresses.http.iter().map(listen).collect::<Result<_, _>>()?;
    let sockets = {
        let _enter = runtime.enter();
        let sockets = sockets.iter().map(Socket::listener).collect::<Result<_, _>>();
        sockets.map_err(|e| format!("a unix socket cannot be shared between threads: {e}"))?
    };
    let server_port = addresses.server.as_ref().map(listen).transpose();
    let server_port = server_port.map_err(|why| format!("failed to start RPC layer: {why}"))?;
    thread("front", move || {
        runtime.block_on(async move {
            if let Some(listener) = server_port {
                rt.spawn(rpc::accept(listener, Arc::new(calls)));
            }
            http::serve(rt, parts, listeners, sockets, settings, clients).await;
        });
    })
}

fn read_config(
    reread: Arc<dyn Fn() -> Result<RuntimeConfig, String> + Send + Sync>,
    log: Arc<Log>,
    clients: Arc<ClientLimits>,
    watches: mpsc::UnboundedSender<watches::Order>,
) -> Arc<dyn Fn() -> Input + Send + Sync> {
    Arc::new(move || {
        let read = reread().and_then(|config| Ok((watches::plans(&config)?, config)));
        let read = read.map(|(plans, config)| {
            log.set_level(&config.log_level);
            clients.set_max(config.http.max_conns_per_client);
            let (taken, done) = oneshot::channel();
            // Whoever asked for the reload hears of it when the old watches are gone. A closed queue means that the
            // process is ending.
            if watches.send((plans, taken)).is_ok() {
                let _ = done.blocking_recv();
            }
            config
        });
        Input::Reloaded(read.map(Box::new))
    })
}

/// Two at least, so that a slow answer never keeps all clients waiting; four serve most machines.
fn front_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4))
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the operating system gives no event queue: {e}"))
}

/// Runs `task` to its end; `None` if it panicked. As a task of the runtime, for tokio writes to the event
/// queue at every wake of the future that it blocks on, even when a timer of the same thread wakes it.
fn run_task<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    task: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    runtime.block_on(runtime.spawn(task)).ok()
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(1 << 20)
        .spawn(body)
        .map_err(|e| format!("the operating system gives no thread: {e}"))
}
