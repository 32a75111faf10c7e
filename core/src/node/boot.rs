//! From what the disk held to a running node.

use super::calls::Calls;
use super::full_disk::Disk;
use super::gossiping::Remembered;
use super::join::Joins;
use super::output::DiskImage;
use super::placing::Placing;
use super::pools::Pools;
use super::tickets::Tickets;
use super::{Node, cluster, founding, pools, publish};
use crate::COMPATIBLE_VERSION;
use crate::agent::Agent;
use crate::cache::Cache;
use crate::config::RuntimeConfig;
use crate::ids::{Pool, ServerId};
use crate::metrics::Recorder;
use crate::raft::{self, Membership, Raft};
use crate::rng::{Rng, Seed};
use crate::router::{Patience, Router};
use crate::server::autopilot::Autopilot;
use crate::server::lock_delay::LockDelays;
use crate::server::{Leader, ServerRecord};
use crate::store::Store;
use crate::time::{Duration, Now};
use crate::watch::ChangeSet;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::net::SocketAddr;

/// Everything a node starts from.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The configuration.
    pub config: Arc<RuntimeConfig>,
    /// The persisted identity.
    pub node_id: ServerId,
    /// What the disk held.
    pub disk: DiskImage,
    /// The founders, if this server may found a cluster; ignored once the disk holds anything.
    pub bootstrap: Option<Membership>,
    /// Where other servers take RPC, as a hint until gossip tells.
    pub addresses: BTreeMap<ServerId, SocketAddr>,
    /// Entropy.
    pub seed: Seed,
}

/// Why a node cannot start from its configuration and what the disk held. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootError {
    /// Raft refuses its part.
    Raft(raft::BootError),
    /// The snapshot cannot be read.
    Snapshot(String),
    /// Snapshot data and metadata do not belong together.
    Mismatch,
    /// The agent refuses a service or check of the configuration files; what the disk held is fine.
    Definition(String),
    /// Gossip refuses its settings.
    Gossip(String),
}

impl core::fmt::Display for BootError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BootError::Raft(e) => write!(f, "the raft log on disk cannot be used: {e}"),
            BootError::Snapshot(e) => write!(f, "the snapshot on disk cannot be read: {e}"),
            BootError::Mismatch => {
                f.write_str("the snapshot on disk and its metadata do not belong together")
            }
            BootError::Definition(why) | BootError::Gossip(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for BootError {}

impl Node {
    /// Starts a node. Drain the outputs afterwards, as after every input.
    ///
    /// A one-voter cluster elects itself within this call: it leads as soon as its vote is on disk.
    pub fn boot(boot: Boot, now: Now) -> Result<Node, BootError> {
        Node::boot_with(
            boot,
            now,
            #[cfg(feature = "mutants")]
            None,
        )
    }

    /// Starts a node with a known bug, for simulations that must find it.
    #[cfg(feature = "mutants")]
    pub fn boot_mutant(boot: Boot, now: Now, mutant: Option<crate::Mutant>) -> Result<Node, BootError> {
        Node::boot_with(boot, now, mutant)
    }

    fn boot_with(
        boot: Boot,
        now: Now,
        #[cfg(feature = "mutants")] mutant: Option<crate::Mutant>,
    ) -> Result<Node, BootError> {
        let Boot { config, node_id, disk, bootstrap, mut addresses, seed } = boot;
        let rng = Rng::new(seed);
        #[cfg_attr(not(feature = "mutants"), expect(unused_mut, reason = "only a mutant harms it"))]
        let mut store = match (&disk.snapshot, &disk.raft.snapshot) {
            (Some(data), Some(_)) => {
                Store::decode_snapshot(data).map_err(|e| BootError::Snapshot(e.to_string()))?
            }
            (None, None) => Store::default(),
            _ => return Err(BootError::Mismatch),
        };
        #[cfg(feature = "mutants")]
        {
            store.mutant = mutant;
        }
        let raft_config = raft::Config {
            #[cfg(feature = "mutants")]
            mutant,
            ..raft_config(&config, &node_id)
        };
        let may_found = bootstrap.is_none();
        let bootstrap = bootstrap.map(|founders| match founders.voters.len() {
            // Several founders must all be given the same.
            1 if founders.cluster == 0 => founders.in_cluster(rng.fork("node.cluster").next_u64()),
            _ => founders,
        });
        let raft = Raft::boot(raft_config, disk.raft, bootstrap, rng.fork("raft"), now.mono)
            .map_err(BootError::Raft)?;
        let me = ServerRecord {
            id: node_id.clone(),
            name: config.node_name.clone(),
            address: config.advertise_addr.to_string(),
            datacenter: config.datacenter.clone(),
            port: config.ports.server,
            version: COMPATIBLE_VERSION,
        };
        addresses.insert(node_id.clone(), SocketAddr::new(config.advertise_addr, config.ports.server));
        let agent = Agent::boot(config.clone(), &node_id, &disk.local, rng.fork("agent"), now);
        if let Some(why) = agent.refused() {
            return Err(BootError::Definition(why.to_string()));
        }
        let mut kept = Remembered::read(&disk.local);
        if config.gossip.disable_keyring_file {
            kept.keys.clear();
        }
        let founding =
            founding::boot(&config, &node_id, may_found, &disk.local, rng.fork("founding"), now.mono);
        let cluster = cluster::tag(&raft);
        let pools = Pools::boot(&config, &node_id, &cluster, &kept.keys, &rng.fork("gossip"), now.mono)?;
        let mut joins = Joins::default();
        for pool in [Pool::Lan, Pool::Wan] {
            if pools.get(pool).is_some() {
                let settings = pools::of(&config, pool);
                let remembered = kept.members.get(&pool).into_iter().flatten();
                let names = settings.retry_join.iter().chain(remembered).cloned().collect();
                joins.retry(pool, names, settings.retry_interval, now.mono);
            }
        }
        let hold = config.performance.rpc_hold_timeout;
        let patience = Patience::of(config.performance.raft_multiplier);
        let router = Router::new(config.datacenter.clone(), hold, patience, rng.fork("router"));
        let placing = Placing::new(rng.fork("node.coordinates"), now.mono, &config.coordinates);
        let (coordinates, autopilot) = (config.coordinates, config.autopilot.clone());
        let cache = Cache::new(rng.fork("cache"), config.cache);
        let view = publish::first_view(&config, &node_id, &store, &agent, &raft);
        let mut node = Node {
            config,
            id: node_id,
            addresses,
            raft,
            store,
            received: BTreeMap::new(),
            agent,
            leader: Leader::new(me, coordinates, autopilot),
            autopilot: Autopilot::default(),
            health: Arc::default(),
            founding,
            promises: VecDeque::new(),
            shown_cluster: cluster,
            stranger_told: None,
            used_cluster: kept.cluster,
            clusters_told: BTreeSet::new(),
            pools,
            joins,
            flooded: now.mono,
            router,
            cache,
            fetches: BTreeMap::new(),
            asked: BTreeMap::new(),
            placing,
            remembered: kept.members,
            members: Arc::default(),
            members_changed: true,
            member_news: BTreeMap::new(),
            events: Arc::default(),
            ids: rng.fork("node.ids"),
            lock_delays: LockDelays::default(),
            keys_asked: alloc::vec::Vec::new(),
            keys_kept: VecDeque::new(),
            stopping: None,
            calls: Calls::new(rng.fork("node.calls").next_u64()),
            tickets: Tickets::default(),
            to_raft: VecDeque::new(),
            to_agent: VecDeque::new(),
            records: alloc::vec::Vec::new(),
            taken: 1,
            now,
            disk: Disk::default(),
            changes: ChangeSet::everything(),
            stale_view: true,
            view,
            replies: VecDeque::new(),
            outputs: VecDeque::new(),
            after_flush: VecDeque::new(),
            reloads: VecDeque::new(),
            started: now,
            metrics: Recorder::default(),
            told_role: None,
            proposals: VecDeque::new(),
            appends: VecDeque::new(),
            halted: false,
            #[cfg(feature = "mutants")]
            mutant,
        };
        #[cfg(feature = "mutants")]
        {
            node.founding.mutant = mutant;
            node.pools.harm(mutant);
        }
        node.keep_first_keys(&kept.keys);
        node.settle();
        Ok(node)
    }
}

/// Election timeout per step of `raft_multiplier`. Consul's is a second; heartbeats here wait neither for the
/// disk nor for appends, so that silence means more (docs/cluster.md).
const ELECTION: Duration = Duration::from_millis(300);

/// The shortest silence after which a follower campaigns.
pub(super) fn election_timeout(config: &RuntimeConfig) -> Duration {
    ELECTION * config.performance.raft_multiplier.max(1)
}

/// Heartbeats six times within an election timeout, a lease of half of it.
pub(super) fn raft_config(config: &RuntimeConfig, id: &ServerId) -> raft::Config {
    let election = election_timeout(config);
    raft::Config {
        election_timeout: election,
        heartbeat: election / 6,
        lease: election / 2,
        snapshot_threshold: config.raft_snapshot_threshold.max(1),
        trailing_logs: config.raft_trailing_logs,
        ..raft::Config::new(id.clone())
    }
}
