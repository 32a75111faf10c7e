//! Settings of one member of one pool, and what makes them sound.

use super::admission::Admission;
use super::wire::{Envelope, MAX_NAME, Vsn};
use crate::Str;
use crate::time::Duration;
use alloc::collections::BTreeMap;
use core::net::SocketAddr;

/// What this version speaks: memberlist 1 to 5 at 2, serf 2 to 5 at 4, as Consul 1.21 does.
pub const VSN: Vsn = [1, 5, 2, 2, 5, 4];

/// Settings. [`Config::lan`], [`Config::wan`] and [`Config::local`] give memberlist's three profiles.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member's name, unique in the pool.
    pub name: Str,
    /// Where others reach it, by packet and by stream.
    pub advertise: SocketAddr,
    /// What it shows; at most 512 bytes encoded.
    pub tags: BTreeMap<Str, Str>,
    /// The versions it speaks.
    pub vsn: Vsn,
    /// Label, keys, compression.
    pub envelope: Envelope,
    /// Whom it lets in.
    pub admission: Admission,
    /// The names of its two loggers.
    pub logs: Logs,

    /// How long a stream may take, whole.
    pub tcp_timeout: Duration,
    /// How many members are asked to probe one that did not answer.
    pub indirect_checks: usize,
    /// Sends of a rumour per digit of the number of members.
    pub retransmit_mult: u32,
    /// The shortest suspicion, in probe intervals per digit of the number of members.
    pub suspicion_mult: u32,
    /// The longest suspicion, in shortest ones.
    pub suspicion_max_mult: u32,
    /// Time between exchanges of tables, in a cluster of up to 32.
    pub push_pull_interval: Duration,
    /// Time between probes.
    pub probe_interval: Duration,
    /// How long a direct ack may take before others are asked.
    pub probe_timeout: Duration,
    /// Time between rounds of gossip.
    pub gossip_interval: Duration,
    /// Members told in each round.
    pub gossip_nodes: usize,
    /// How long the dead are still told: they may not know that they are thought dead.
    pub gossip_to_the_dead: Duration,
    /// After how long a dead member's name may be taken by another address.
    pub dead_node_reclaim: Duration,
    /// The longest datagram sent, without IP and UDP headers and the five bytes of a checksum.
    pub packet_bytes: usize,
    /// Whether a rumour is sent on as soon as it is heard, rather than with the next round. It is sent
    /// no more often for that.
    pub eager: bool,
    /// The most members, the gone included.
    pub max_members: usize,

    /// How long leaving waits for a broadcast to be sent.
    pub broadcast_timeout: Duration,
    /// How long leaving stays to spread it.
    pub leave_propagate_delay: Duration,
    /// Time between looks for members to forget.
    pub reap_interval: Duration,
    /// Time between tries to reach a failed member.
    pub reconnect_interval: Duration,
    /// After how long a failed member is forgotten.
    pub reconnect_timeout: Duration,
    /// After how long a member that left is forgotten.
    pub tombstone_timeout: Duration,
    /// How long an intent of a member not yet known is kept.
    pub recent_intent_timeout: Duration,
    /// A query's usual time: gossip intervals per digit of the number of members.
    pub query_timeout_mult: u32,
    /// The longest user event, encoded.
    pub user_event_bytes: usize,
    /// The longest question, encoded.
    pub query_bytes: usize,
    /// The longest answer, encoded.
    pub response_bytes: usize,
    /// The rumours that a queue holds at least before it drops some; it may hold two per member.
    pub min_queue_depth: usize,
    /// Whether a name that is claimed from another address is looked into, and given away when nobody answers for it
    /// where it was; otherwise memberlist's rule, which waits for `dead_node_reclaim`.
    pub challenges: bool,
    /// Whether members vote on who keeps a name that two claim.
    pub resolve_conflicts: bool,
}

/// The names under which memberlist and serf speak in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Logs {
    pub memberlist: &'static str,
    pub serf: &'static str,
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const HOUR: Duration = seconds(3600);

impl Config {
    /// Memberlist's profile for a local network, with what Consul changes of serf's settings.
    pub fn lan(name: Str, advertise: SocketAddr) -> Config {
        Config {
            name,
            advertise,
            tags: BTreeMap::new(),
            vsn: VSN,
            envelope: Envelope::default(),
            admission: Admission::Any,
            logs: Logs { memberlist: "agent.server.memberlist.lan", serf: "agent.server.serf.lan" },
            tcp_timeout: seconds(10),
            indirect_checks: 3,
            retransmit_mult: 4,
            suspicion_mult: 4,
            suspicion_max_mult: 6,
            push_pull_interval: seconds(30),
            probe_interval: seconds(1),
            probe_timeout: millis(500),
            gossip_interval: millis(200),
            gossip_nodes: 3,
            gossip_to_the_dead: seconds(30),
            dead_node_reclaim: seconds(30),
            packet_bytes: 1400,
            eager: true,
            max_members: 65_536,
            broadcast_timeout: seconds(5),
            leave_propagate_delay: seconds(3),
            reap_interval: seconds(15),
            reconnect_interval: seconds(30),
            reconnect_timeout: 72 * HOUR,
            tombstone_timeout: 24 * HOUR,
            recent_intent_timeout: seconds(300),
            query_timeout_mult: 16,
            user_event_bytes: 512,
            query_bytes: 1024,
            response_bytes: 1024,
            min_queue_depth: 4096,
            challenges: false,
            resolve_conflicts: false,
        }
    }

    /// Memberlist's profile for servers of several datacenters.
    pub fn wan(name: Str, advertise: SocketAddr) -> Config {
        Config {
            logs: Logs { memberlist: "agent.server.memberlist.wan", serf: "agent.server.serf.wan" },
            tcp_timeout: seconds(30),
            suspicion_mult: 6,
            push_pull_interval: seconds(60),
            probe_timeout: seconds(3),
            probe_interval: seconds(5),
            gossip_nodes: 4,
            gossip_interval: millis(500),
            gossip_to_the_dead: seconds(60),
            ..Config::lan(name, advertise)
        }
    }

    /// Memberlist's profile for one machine.
    pub fn local(name: Str, advertise: SocketAddr) -> Config {
        Config {
            tcp_timeout: seconds(1),
            indirect_checks: 1,
            retransmit_mult: 2,
            suspicion_mult: 3,
            push_pull_interval: seconds(15),
            probe_timeout: millis(200),
            gossip_interval: millis(100),
            gossip_to_the_dead: seconds(15),
            ..Config::lan(name, advertise)
        }
    }

    /// Checks what the machine relies on.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let intervals = [self.probe_timeout, self.gossip_interval, self.push_pull_interval, self.tcp_timeout];
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            Err(ConfigError::Name)
        } else if self.advertise.port() == 0 || self.advertise.ip().is_unspecified() {
            Err(ConfigError::Advertise)
        } else if super::serf::encode_tags(&self.tags).is_err() {
            Err(ConfigError::Tags)
        } else if intervals.iter().any(Duration::is_zero) || self.probe_timeout >= self.probe_interval {
            Err(ConfigError::Intervals)
        } else if self.retransmit_mult == 0 || self.suspicion_mult == 0 || self.suspicion_max_mult == 0 {
            Err(ConfigError::Multipliers)
        } else if !(512..=60_000).contains(&self.packet_bytes)
            || self.query_bytes.max(self.response_bytes) > self.packet_bytes
        {
            Err(ConfigError::PacketBytes)
        } else {
            Ok(())
        }
    }
}

/// What is wrong with a [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The name is empty or longer than 255 bytes.
    Name,
    /// Nobody could reach that address.
    Advertise,
    /// The tags exceed 512 bytes.
    Tags,
    /// An interval is zero, or a probe's timeout leaves no time for indirect probes.
    Intervals,
    /// A multiplier is zero.
    Multipliers,
    /// Packets are too short or too long, or a query would not fit into one.
    PacketBytes,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ConfigError::Name => "a node name must have 1 to 255 bytes",
            ConfigError::Advertise => "the advertised gossip address must have an IP and a port",
            ConfigError::Tags => "Encoded length of tags exceeds limit of 512 bytes",
            ConfigError::Intervals => {
                "gossip intervals must be positive, and probe_timeout shorter than probe_interval"
            }
            ConfigError::Multipliers => "gossip multipliers must be positive",
            ConfigError::PacketBytes => {
                "gossip packets must have 512 to 60000 bytes, and hold a query and its response"
            }
        })
    }
}

impl core::error::Error for ConfigError {}
