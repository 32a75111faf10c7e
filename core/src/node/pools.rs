//! The two gossip pools of a node: how each is set up from the configuration, and which server is where.

use super::boot::BootError;
use crate::config::RuntimeConfig;
use crate::config::gossip::Pool as Settings;
use crate::gossip::consul::{ClientTags, LanRules, Server, ServerTags, wan_name};
use crate::gossip::wire::{Envelope, Key, Keyring};
use crate::gossip::{self, Admission, Counts, Effect, Gossip, Input, Logs, Member, Status};
use crate::ids::{CallId, Pool, ServerId};
use crate::rng::Rng;
use crate::time::Instant;
use crate::view::Members;
use crate::{COMPATIBLE_VERSION, Str};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The machines of the pools that this node is in.
#[derive(Debug, Default)]
pub(super) struct Pools {
    lan: Option<Gossip>,
    wan: Option<Gossip>,
    effects: VecDeque<(Pool, Effect)>,
    /// What has been told of their work, in this order.
    told: [Told; 2],
}

/// What metrics have heard of a machine's work.
#[derive(Debug, Default)]
struct Told {
    counts: Counts,
    refused: BTreeMap<&'static str, u64>,
}

/// The keys of a pool, the primary one first.
pub(super) type Keys = Vec<Key>;

impl Pools {
    /// Starts the pools that the configuration names. `keys` are those that were kept.
    pub(super) fn boot(
        config: &RuntimeConfig,
        id: &ServerId,
        cluster: &Str,
        keys: &BTreeMap<Pool, Keys>,
        rng: &Rng,
        now: Instant,
    ) -> Result<Pools, BootError> {
        let mut pools = Pools::default();
        for pool in [Pool::Lan, Pool::Wan] {
            let Some(settings) = settings(config, id, cluster, pool, keys)? else { continue };
            let mut effects = Vec::new();
            let rng = rng.fork(if pool == Pool::Lan { "lan" } else { "wan" });
            let machine = Gossip::boot(settings, &rng, now, &mut effects)
                .map_err(|error| BootError::Gossip(error.to_string()))?;
            pools.effects.extend(effects.into_iter().map(|effect| (pool, effect)));
            *pools.slot(pool) = Some(machine);
        }
        Ok(pools)
    }

    #[cfg(feature = "mutants")]
    pub(super) fn harm(&mut self, mutant: Option<crate::Mutant>) {
        for machine in [&mut self.lan, &mut self.wan].into_iter().flatten() {
            machine.mutant = mutant;
        }
    }

    fn slot(&mut self, pool: Pool) -> &mut Option<Gossip> {
        match pool {
            Pool::Lan => &mut self.lan,
            Pool::Wan => &mut self.wan,
        }
    }

    /// The machine of a pool, if this node is in it.
    pub(super) fn get(&self, pool: Pool) -> Option<&Gossip> {
        match pool {
            Pool::Lan => self.lan.as_ref(),
            Pool::Wan => self.wan.as_ref(),
        }
    }

    /// Hands in one event; false if this node is not in that pool.
    pub(super) fn handle(&mut self, now: Instant, pool: Pool, input: Input) -> bool {
        let mut effects = Vec::new();
        let Some(machine) = self.slot(pool) else { return false };
        machine.step(now, input, &mut effects);
        self.effects.extend(effects.into_iter().map(|effect| (pool, effect)));
        true
    }

    /// Wakes whoever is due.
    pub(super) fn wake(&mut self, now: Instant) {
        for pool in [Pool::Lan, Pool::Wan] {
            if self.get(pool).is_some_and(|machine| machine.deadline() <= now) {
                self.handle(now, pool, Input::Wake);
            }
        }
    }

    /// What a machine has done since this was asked last: counts, and what it refused, by kind.
    pub(super) fn news(&mut self, pool: Pool) -> Option<(Counts, Vec<(&'static str, u64)>)> {
        let machine = match pool {
            Pool::Lan => self.lan.as_ref(),
            Pool::Wan => self.wan.as_ref(),
        }?;
        let told = &mut self.told[usize::from(pool == Pool::Wan)];
        let counts = machine.counts();
        if counts == told.counts {
            return None;
        }
        let mut refused = Vec::new();
        if counts.refused != told.counts.refused {
            for (kind, total) in machine.refusals() {
                let before = told.refused.insert(kind, total).unwrap_or(0);
                refused.push((kind, total - before));
            }
        }
        let news = counts.since(&told.counts);
        told.counts = counts;
        Some((news, refused))
    }

    /// Nothing waits to be moved on.
    pub(super) fn is_quiet(&self) -> bool {
        self.effects.is_empty()
    }

    pub(super) fn poll_effect(&mut self) -> Option<(Pool, Effect)> {
        self.effects.pop_front()
    }

    /// Whether an event of this call was refused by what was handed in last.
    pub(super) fn has_refused(&self, asked: CallId) -> bool {
        self.effects.iter().any(|(_, e)| matches!(e, Effect::UserEventRefused { call, .. } if *call == asked))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [&self.lan, &self.wan].into_iter().flatten().map(Gossip::deadline).min()
    }

    /// What views show.
    pub(super) fn members(&self) -> Members {
        let all = |pool: &Option<Gossip>| pool.iter().flat_map(Gossip::members).cloned().collect();
        let stats = |pool: &Option<Gossip>| pool.as_ref().map(Gossip::stats).unwrap_or_default();
        Members {
            lan: all(&self.lan),
            wan: all(&self.wan),
            lan_stats: stats(&self.lan),
            wan_stats: stats(&self.wan),
            coordinate: self.lan.as_ref().map(|lan| lan.coordinate().clone()),
        }
    }

    /// The members of a pool other than this node that are there.
    pub(super) fn others(&self, pool: Pool, own: &str) -> impl Iterator<Item = &Member> {
        let members = self.get(pool).into_iter().flat_map(Gossip::members);
        members.filter(move |member| member.status == Status::Alive && *member.name != *own)
    }

    /// The servers of this datacenter, whatever their status. Of two with one ID the one that is there counts.
    pub(super) fn servers(&self) -> BTreeMap<ServerId, Server> {
        let mut servers: BTreeMap<ServerId, Server> = BTreeMap::new();
        for server in self.lan.iter().flat_map(Gossip::members).filter_map(Server::from_member) {
            let known = servers.get(&server.id);
            if known.is_none_or(|known| known.status != Status::Alive) {
                servers.insert(server.id.clone(), server);
            }
        }
        servers
    }
}

/// How a member is called in a pool.
pub(super) fn own_name(config: &RuntimeConfig, pool: Pool) -> Str {
    match pool {
        Pool::Lan => config.node_name.clone(),
        Pool::Wan => wan_name(&config.node_name, &config.datacenter),
    }
}

/// The port of a pool; `None`: this node is not in it.
pub(super) fn port(config: &RuntimeConfig, pool: Pool) -> Option<u16> {
    match pool {
        Pool::Lan => config.ports.serf_lan,
        Pool::Wan => config.ports.serf_wan.filter(|_| config.server),
    }
}

/// What the configuration says of a pool.
pub(super) fn of(config: &RuntimeConfig, pool: Pool) -> &Settings {
    match pool {
        Pool::Lan => &config.gossip.lan,
        Pool::Wan => &config.gossip.wan,
    }
}

fn settings(
    config: &RuntimeConfig,
    id: &ServerId,
    cluster: &Str,
    pool: Pool,
    keys: &BTreeMap<Pool, Keys>,
) -> Result<Option<gossip::Config>, BootError> {
    let Some(port) = port(config, pool) else { return Ok(None) };
    let (common, own) = (&config.gossip, of(config, pool));
    let name = own_name(config, pool);
    let advertise = SocketAddr::new(own.advertise, port);
    let (profile, admission) = match pool {
        Pool::Lan => {
            let (datacenter, node_id) = (config.datacenter.clone(), id.clone());
            let rules = LanRules { datacenter, node_id, node_name: config.node_name.clone() };
            (gossip::Config::lan(name, advertise), Admission::ConsulLan(rules))
        }
        Pool::Wan => (gossip::Config::wan(name, advertise), Admission::ConsulWan),
    };
    let keyring = match (keys.get(&pool), &common.encrypt) {
        (Some(kept), _) if !kept.is_empty() => Keyring::new(kept.iter().cloned()),
        (_, Some(key)) => Key::new(&key.0).and_then(|key| Keyring::new([key])),
        _ => Ok(Keyring::default()),
    };
    // Who reads a log filters by these.
    let logs = match config.server {
        true => profile.logs,
        false => Logs { memberlist: "agent.client.memberlist.lan", serf: "agent.client.serf.lan" },
    };
    let tuning = own.tuning;
    let probe_interval = tuning.probe_interval.unwrap_or(profile.probe_interval);
    let probe_timeout = tuning.probe_timeout.unwrap_or(profile.probe_timeout);
    Ok(Some(gossip::Config {
        tags: tags(config, id, pool, cluster),
        admission,
        logs,
        challenges: true,
        envelope: Envelope {
            keyring: keyring.map_err(|error| BootError::Gossip(error.to_string()))?,
            verify_incoming: common.verify_incoming,
            verify_outgoing: common.verify_outgoing,
            ..Envelope::default()
        },
        gossip_nodes: tuning.gossip_nodes.unwrap_or(profile.gossip_nodes),
        gossip_interval: tuning.gossip_interval.unwrap_or(profile.gossip_interval),
        probe_interval,
        // Indirect probes need the rest of the interval; Consul's `-dev` leaves them none.
        probe_timeout: if probe_timeout < probe_interval { probe_timeout } else { probe_interval / 2 },
        suspicion_mult: tuning.suspicion_mult.unwrap_or(profile.suspicion_mult),
        retransmit_mult: tuning.retransmit_mult.unwrap_or(profile.retransmit_mult),
        reconnect_timeout: own.reconnect_timeout,
        ..profile
    }))
}

/// What this node shows of itself in a pool.
pub(super) fn tags(config: &RuntimeConfig, id: &ServerId, pool: Pool, cluster: &Str) -> BTreeMap<Str, Str> {
    let build = Str::from(format!("{COMPATIBLE_VERSION}:lictor"));
    if !config.server {
        let reconnect_timeout = config.gossip.advertise_reconnect_timeout;
        let datacenter = config.datacenter.clone();
        return ClientTags { datacenter, id: id.clone(), build, reconnect_timeout }.tags();
    }
    let alone = config.bootstrap_expect == 1;
    let tags = ServerTags {
        datacenter: config.datacenter.clone(),
        id: id.clone(),
        build,
        port: config.ports.server,
        wan_join_port: config.ports.serf_wan.filter(|_| pool == Pool::Lan),
        grpc_port: None,
        grpc_tls_port: None,
        bootstrap: alone,
        expect: if alone { 0 } else { config.bootstrap_expect },
        read_replica: false,
        use_tls: false,
        acls: false,
        cluster: if pool == Pool::Lan { cluster.clone() } else { Str::default() },
    };
    tags.tags()
}
