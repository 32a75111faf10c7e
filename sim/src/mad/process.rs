//! One process from its start to its end, put together from the drivers of `lictor-io` as `agent::run` does it
//! with threads.

use super::crash::SEGMENT_BYTES;
use super::directory::SimDirectory;
use super::disk::SimDisk;
use super::rt::MadRt;
use super::server::{Ended, FRONTS, PORT, Shared};
use arc_swap::ArcSwap;
use lictor_core::config::RuntimeConfig;
use lictor_core::front::{Archives, Front, Lately};
use lictor_core::ids::{FrontId, Pool};
use lictor_core::metrics::Report;
use lictor_core::node::{Boot, DiskBatch, DiskImage, Input, Node};
use lictor_core::raft::Membership;
use lictor_core::rng::Rng;
use lictor_io::driver::{self, Hands, INBOX};
use lictor_io::http::{ClientLimits, HttpSettings};
use lictor_io::log::Log;
use lictor_io::rpc::{self, Refused};
use lictor_io::rt::Rt;
use lictor_io::storage::log::LogStorage;
use lictor_io::storage::{Space, Storage, StorageError};
use lictor_io::{disk, front, gossip, http, peers, resolve};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::mpsc;

/// From start to end.
pub(super) async fn run(
    rt: MadRt,
    ip: IpAddr,
    config: Arc<RuntimeConfig>,
    disk: SimDisk,
    shared: &Arc<Shared>,
) -> Ended {
    let opened = LogStorage::open(disk.directory(), SEGMENT_BYTES);
    if disk.is_stopped() {
        std::future::pending::<()>().await;
    }
    let (storage, image) = match opened {
        Ok((inner, image)) => (SimStorage { inner, disk, shared: shared.clone(), late: Vec::new() }, image),
        Err(e) => return Ended::Refused(e.to_string()),
    };
    let node = match Node::boot(boot(&rt, &config, shared, image), rt.now()) {
        Ok(node) => node,
        Err(e) => return Ended::Refused(e.to_string()),
    };
    match live(rt, ip, &config, node, storage, shared).await {
        Ok(exit) => Ended::Exit(exit),
        Err(e) => Ended::Refused(e.to_string()),
    }
}

async fn live(
    rt: MadRt,
    ip: IpAddr,
    config: &RuntimeConfig,
    node: Node,
    storage: SimStorage,
    shared: &Arc<Shared>,
) -> std::io::Result<driver::Exit> {
    let (inbox, inputs) = mpsc::channel(INBOX);
    let (disk_tx, disk_rx) = mpsc::unbounded_channel();
    // No checks are configured: nobody takes orders for them.
    let (checks, _) = mpsc::unbounded_channel();
    let view = Arc::new(ArcSwap::new(node.view().clone()));
    let (trace, name) = (shared.trace.clone(), shared.name.clone());
    let log = Arc::new(Log::of_events(move |event| {
        if event.module == "agent.http" {
            // The clients' own lines say it.
            return;
        }
        let fields = event.fields.iter().map(|(key, value)| format!(" {key}={value}"));
        let fields = fields.collect::<String>();
        trace.line(format!("{name} log {} {}{fields}", event.module, event.message));
    }));

    let clients = ClientLimits::new(config.http.max_conns_per_client);
    let rpc_clients = ClientLimits::new(config.rpc_max_conns_per_client);
    let refused = Arc::new(Refused::default());
    let settings = HttpSettings { max_header_bytes: 1 << 20, max_body_bytes: 8 << 20, response_headers: &[] };
    let (lately, archives) = (Arc::new(Lately::default()), Arc::new(Archives::default()));
    let (mut fronts, mut tasks) = (Vec::new(), Vec::new());
    for i in 0..FRONTS {
        let id = FrontId(u64::from(i));
        let core = Front::new(id, Rng::new(rt.entropy())).sharing(lately.clone(), archives.clone());
        let parts = front::front(rt.clone(), id, core, view.clone(), inbox.clone(), log.clone());
        fronts.push(parts.mailbox.clone());
        shared.state().fronts.push(Arc::downgrade(&parts.cell));
        let calls = rpc::Serving {
            rt: rt.clone(),
            cell: parts.cell.clone(),
            clients: rpc_clients.clone(),
            refused: refused.clone(),
            own: node.id().clone(),
            inbox: inbox.clone(),
        };
        // One front alone has the server port, which cannot be shared here.
        if config.server && i == 0 {
            let listener = rt.listen(SocketAddr::new(ip, config.ports.server)).await?;
            rt.spawn(rpc::accept(listener, Arc::new(calls)));
        }
        let listener = rt.listen(SocketAddr::new(ip, PORT + i)).await?;
        let serve = http::serve(rt.clone(), parts, vec![listener], Vec::new(), settings, clients.clone());
        tasks.push(madsim::task::spawn(serve));
    }
    tasks.push(madsim::task::spawn(disk::run(rt.clone(), storage, disk_rx, inbox.clone())));

    let (peers_tx, peers_rx) = mpsc::unbounded_channel();
    let (gossip_tx, gossip_rx) = mpsc::unbounded_channel();
    let (resolve_tx, resolve_rx) = mpsc::unbounded_channel();
    let (calls_tx, calls_rx) = mpsc::unbounded_channel();
    let mut sockets = Vec::new();
    if let Some(port) = config.ports.serf_lan {
        let address = SocketAddr::new(ip, port);
        sockets.push(gossip::bind(&rt, Pool::Lan, address, Arc::new(|_| true)).await?);
    }
    let own =
        peers::Own { id: node.id().clone(), at: SocketAddr::new(config.advertise_addr, config.ports.server) };
    rt.spawn(peers::send(rt.clone(), own, peers_rx));
    rt.spawn(rpc::client::call(rt.clone(), calls_rx, inbox.clone()));
    rt.spawn(resolve::run(rt.clone(), resolve_rx, inbox.clone()));
    tasks.push(madsim::task::spawn(gossip::run(rt.clone(), sockets, gossip_rx, inbox.clone())));

    shared.state().inbox = Some(inbox.clone());
    let read_config = Arc::new(|| Input::Reloaded(Err("there are no files".into())));
    let measure = Arc::new(|_: &mut Report| {});
    let hands = Hands {
        disk: disk_tx,
        checks,
        fronts,
        view,
        inbox,
        peers: Some(peers_tx),
        gossip: Some(gossip_tx),
        resolve: Some(resolve_tx),
        calls: Some(calls_tx),
        read_config,
        measure,
        room: Arc::new(|| None),
        ready: Arc::new(|| {}),
        log,
    };
    let exit = driver::drive(rt, node, inputs, hands).await;
    shared.state().inbox = None;
    for task in tasks {
        task.await.expect("a driver ends by itself");
    }
    Ok(exit)
}

fn boot(rt: &MadRt, config: &Arc<RuntimeConfig>, shared: &Shared, disk: DiskImage) -> Boot {
    let alone = config.server && config.bootstrap_expect == 1;
    Boot {
        config: config.clone(),
        node_id: shared.id.clone(),
        disk,
        bootstrap: alone.then(|| Membership::of_voters([shared.id.clone()])),
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
