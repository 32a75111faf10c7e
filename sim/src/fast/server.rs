//! One simulated host: a server or client agent that may be running, with its disk and its clocks.

use super::clock::Clock;
use super::disk::{Disk, Platter, Shadow};
use super::dns::{EVERYWHERE, SERVERS};
use super::event::Event;
use super::gossip::{LAN, WAN};
use super::keys::{FIRST, key_bytes};
use super::knobs::Knobs;
use super::luck::Luck;
use crate::oracle::Target;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use lictor_core::config::gossip::Secret;
use lictor_core::front::Front;
use lictor_core::ids::{FrontId, ReqId, ServerId};
use lictor_core::node::{Boot, BootError, Node};
use lictor_core::raft::Membership;
use lictor_core::rng::{Rng, Seed};
use lictor_core::rpc::yamux::StreamId;
use lictor_core::view::View;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The names of datacenters.
pub(super) const CENTRES: [&str; 2] = ["dc1", "dc2"];

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) node: Node,
    pub(super) front: Front,
    pub(super) view: Arc<View>,
}

/// A request that the front has not answered.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) client: usize,
    pub(super) round: u64,
    /// Of a blocking read: its target and the index that it waits to see surpassed.
    pub(super) blocks: Option<(Target, u64)>,
}

/// What a server's views have shown in this life.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    pub(super) term: u64,
    pub(super) commit: u64,
    pub(super) applied: u64,
    pub(super) leads: bool,
}

/// What may be read from a server's own state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readable {
    /// In this life, up to now.
    pub(super) now: bool,
    /// What its disk said was committed when it started.
    pub(super) noted: u64,
    /// The newest that it has shown with this disk, in all its lives.
    pub(super) ever: u64,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) slot: usize,
    /// How many disks this place has had.
    pub(super) incarnation: u32,
    pub(super) id: ServerId,
    pub(super) up: Option<Process>,
    pub(super) paused: bool,
    /// What arrived during the pause.
    pub(super) backlog: Vec<Event>,
    pub(super) disk: Disk,
    pub(super) clock: Clock,
    /// Grows with every start and every crash: what belongs to an older life is dropped.
    pub(super) life: u32,
    pub(super) shadow: Shadow,
    /// The time of the wake that is scheduled.
    pub(super) wake_at: u64,
    pub(super) shown: Shown,
    pub(super) reads: Readable,
    pub(super) waiting: BTreeMap<ReqId, Waiting>,
    /// Calls that the front has not answered: connection and stream of each.
    pub(super) calls: BTreeMap<ReqId, (u64, StreamId)>,
    /// What the owner of its services waits for.
    pub(super) chore: Option<ReqId>,
    /// What the keeper of the keys waits for.
    pub(super) errand: Option<ReqId>,
    pub(super) disk_full: bool,
    /// When the process started or ended last.
    pub(super) since: u64,
    /// When it went on after its last pause.
    pub(super) resumed: u64,
    /// What it logged last about its name being another's.
    pub(super) refused: Option<String>,
    /// Of a host whose disk is a copy: whose.
    pub(super) copy_of: Option<usize>,
    /// It was down when its disk was copied, and lives on there: what it has itself is old.
    pub(super) moved_to: Option<usize>,
    /// Whom this process has sent messages, as a server to servers.
    pub(super) spoke_to: BTreeSet<usize>,
    /// It was told to end.
    pub(super) stopping: bool,
    /// The address that the process started with.
    at: Option<IpAddr>,
    /// The step of the plan by which the process dies while its next write is on the way to the disk.
    pub(super) doomed: Option<u64>,
    bootstrap: Option<Membership>,
    /// Bytes of the parts in which its front restores archives.
    part_bytes: usize,
    config: Arc<RuntimeConfig>,
    /// The configuration of a host with a disk of its own.
    own_config: Arc<RuntimeConfig>,
    seed: u64,
    #[cfg(feature = "mutants")]
    mutant: Option<lictor_core::Mutant>,
}

/// What a host starts from whose disk is a copy.
#[derive(Debug)]
pub(super) struct Copied {
    of: usize,
    id: ServerId,
    disk: Platter,
    config: Arc<RuntimeConfig>,
}

/// The persisted ID of the server in `slot` with its `incarnation`th disk: a UUID.
pub(super) fn server_id(slot: usize, incarnation: u32) -> ServerId {
    Str::from(format!("5e7e0000-0000-4000-8000-0000{:04x}{incarnation:04x}", slot + 1))
}

/// The name of a host. The last agents but the copies may have those of the first ones.
fn own_name(slot: usize, knobs: &Knobs) -> Str {
    let namesakes = knobs.hosts() - (knobs.copies + knobs.namesakes) as usize;
    let bears = match slot.checked_sub(namesakes) {
        Some(n) if n < knobs.namesakes as usize => knobs.slots() + n,
        _ => slot,
    };
    Str::from(format!("n{}", bears + 1))
}

/// The slot in an ID.
pub(super) fn slot_of(id: &str) -> Option<usize> {
    usize::from_str_radix(id.get(28..32)?, 16).ok()?.checked_sub(1)
}

impl Server {
    pub(super) fn new(slot: usize, seed: u64, knobs: &Knobs) -> Server {
        let centre = knobs.datacenter(slot);
        let founders = if centre == 0 { 0..knobs.servers as usize } else { knobs.near()..knobs.hosts() };
        let (founder, count) = (founders.contains(&slot), founders.len());
        let founders = founders.map(|slot| server_id(slot, 0));
        let gossip = knobs.gossip == 1;
        let mut luck = Luck::of(seed, "server", slot as u64);
        let drift = luck.below(2 * knobs.drift_ppm + 1) as i64 - knobs.drift_ppm as i64;
        let mut config = RuntimeConfig {
            node_name: own_name(slot, knobs),
            datacenter: Str::from(CENTRES[centre]),
            server: slot < knobs.slots() || centre > 0,
            bootstrap_expect: if founder || !gossip { count as u32 } else { 0 },
            raft_snapshot_threshold: knobs.snapshot_every,
            raft_trailing_logs: knobs.trailing_logs,
            session_ttl_min: Duration::from_secs(1),
            ..RuntimeConfig::default()
        };
        config.performance.raft_multiplier = knobs.multiplier as u32;
        if gossip {
            config.ports.serf_lan = Some(LAN);
            config.gossip.lan.retry_join = vec![SERVERS.into()];
            if knobs.far_servers > 0 {
                config.ports.serf_wan = Some(WAN);
                if knobs.is_first(slot) {
                    // The others are asked into the pool by those that know them in their datacenter.
                    config.gossip.wan.retry_join = vec![EVERYWHERE.into()];
                }
            }
            config.gossip.encrypt = (knobs.encrypt == 1).then(|| Secret(key_bytes(FIRST)));
        }
        let config = Arc::new(config);
        Server {
            slot,
            incarnation: 0,
            id: server_id(slot, 0),
            up: None,
            paused: false,
            backlog: Vec::new(),
            disk: Disk::new(Luck::of(seed, "disk", slot as u64), knobs.flush_us * 1000, knobs.stall_permille),
            clock: Clock::new(drift),
            life: 0,
            shadow: Shadow::default(),
            wake_at: u64::MAX,
            shown: Shown::default(),
            reads: Readable::default(),
            waiting: BTreeMap::new(),
            calls: BTreeMap::new(),
            chore: None,
            errand: None,
            disk_full: false,
            since: 0,
            resumed: 0,
            refused: None,
            copy_of: None,
            moved_to: None,
            spoke_to: BTreeSet::new(),
            stopping: false,
            at: None,
            doomed: None,
            // Servers that gossip found their cluster by themselves, unless there is but one.
            bootstrap: (founder && (!gossip || count == 1)).then(|| Membership::of_voters(founders)),
            part_bytes: knobs.part_bytes as usize,
            own_config: config.clone(),
            config,
            seed,
            #[cfg(feature = "mutants")]
            mutant: lictor_core::Mutant::ALL.get((knobs.mutant as usize).wrapping_sub(1)).copied(),
        }
    }

    /// Starts the process from its disk, at an address. The node's outputs are not drained yet.
    pub(super) fn boot(&mut self, now: u64, at: IpAddr) -> Result<(), BootError> {
        self.life += 1;
        self.since = now;
        self.refused = None;
        self.at = Some(at);
        let entropy = Luck::of(self.seed, "entropy", (self.slot as u64) << 32 | u64::from(self.life)).draw();
        let seed = Seed::from_u64(entropy);
        let mut config = (*self.config).clone();
        if config.ports.serf_lan.is_some() {
            config.advertise_addr = at;
            config.gossip.lan.advertise = at;
            config.gossip.wan.advertise = at;
        }
        let boot = Boot {
            config: Arc::new(config),
            node_id: self.id.clone(),
            disk: self.disk.platter.image(),
            bootstrap: self.bootstrap.clone(),
            addresses: BTreeMap::new(),
            seed,
        };
        let now = self.clock.now(now);
        #[cfg(feature = "mutants")]
        let node = Node::boot_mutant(boot, now, self.mutant)?;
        #[cfg(not(feature = "mutants"))]
        let node = Node::boot(boot, now)?;
        let view = node.view().clone();
        let front = Front::new(FrontId(0), Rng::new(seed).fork("front")).in_parts_of(self.part_bytes);
        self.shadow = Shadow::of(&self.disk.platter);
        self.shown = Shown { applied: self.shadow.base(), commit: self.shadow.base(), ..Shown::default() };
        let platter = &self.disk.platter;
        let covered = platter.snapshot.as_ref().map_or(0, |(meta, _)| meta.index.0);
        let noted = platter.hard.commit.0.max(covered);
        // What was applied before it was on its own disk may be gone from there.
        let held = platter.log.back().map_or(0, |entry| entry.index.0).max(covered);
        self.reads = Readable { now: false, noted, ever: self.reads.ever.min(held) };
        self.up = Some(Process { node, front, view });
        Ok(())
    }

    /// The process is gone. Returns who was waiting for an answer.
    pub(super) fn stop(&mut self) -> BTreeMap<ReqId, Waiting> {
        self.up = None;
        self.paused = false;
        self.stopping = false;
        self.backlog.clear();
        self.life += 1;
        self.wake_at = u64::MAX;
        self.doomed = None;
        self.shown = Shown::default();
        self.calls.clear();
        self.chore = None;
        self.errand = None;
        self.spoke_to.clear();
        std::mem::take(&mut self.waiting)
    }

    /// A copy of this host, which bears this name.
    pub(super) fn copied(&self, name: Str) -> Copied {
        let config = RuntimeConfig { node_name: name, ..(*self.config).clone() };
        Copied {
            of: self.slot,
            id: self.id.clone(),
            disk: self.disk.platter.clone(),
            config: Arc::new(config),
        }
    }

    /// Disk and configuration are copies of another's from now on.
    pub(super) fn become_copy(&mut self, copied: Copied) {
        let Copied { of, id, disk, config } = copied;
        (self.copy_of, self.id, self.config) = (Some(of), id, config);
        self.disk.wipe();
        self.reads = Readable::default();
        self.disk.platter = disk;
    }

    /// A new disk, and so a new identity.
    pub(super) fn replace_disk(&mut self) {
        if self.copy_of.take().is_some() {
            self.config = self.own_config.clone();
        }
        self.disk.wipe();
        self.reads = Readable::default();
        self.incarnation += 1;
        self.id = server_id(self.slot, self.incarnation);
        self.bootstrap = None;
        self.shadow = Shadow::default();
    }

    /// Whether the process started with this address.
    pub(super) fn is_at(&self, ip: IpAddr) -> bool {
        self.at == Some(ip)
    }

    /// Whether it is a server, or meant to be one.
    pub(super) fn serves(&self) -> bool {
        self.config.server
    }

    /// Its name.
    pub(super) fn name(&self) -> &Str {
        &self.config.node_name
    }

    /// Whether it runs and is not paused.
    pub(super) fn is_awake(&self) -> bool {
        self.up.is_some() && !self.paused
    }
}
