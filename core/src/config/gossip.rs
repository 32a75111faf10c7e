//! Gossip: the pool of the datacenter, the pool of all servers, and whom they join.

use super::build::HostFacts;
use super::network::Network;
use super::tree::{self, Tree};
use super::{addr, build, source};
use crate::b64;
use crate::duration;
use crate::time::Duration;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// What both pools need to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Gossip {
    /// `serf_lan`, `retry_join` and their like.
    pub lan: Pool,
    /// `serf_wan`, `retry_join_wan` and their like; servers only.
    pub wan: Pool,
    /// `encrypt`: the first key of a new keyring.
    pub encrypt: Option<Secret>,
    /// `encrypt_verify_incoming`.
    pub verify_incoming: bool,
    /// `encrypt_verify_outgoing`.
    pub verify_outgoing: bool,
    /// `disable_keyring_file`: the keyring is in memory only.
    pub disable_keyring_file: bool,
    /// Whether a node that left joins those that it knew before, when it starts again.
    pub rejoin_after_leave: bool,
    /// What a client tells others about how long it may be gone; `advertise_reconnect_timeout`.
    pub advertise_reconnect_timeout: Option<Duration>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Where its sockets are bound.
    pub bind: IpAddr,
    /// Where others reach it.
    pub advertise: IpAddr,
    /// Networks whose members may join; `None`: all.
    pub allowed: Option<Vec<Network>>,
    /// Addresses and names to join, tried until one answers.
    pub retry_join: Vec<String>,
    /// Time between tries.
    pub retry_interval: Duration,
    /// Tries after which the process gives up; 0: never.
    pub retry_max: u64,
    /// After how long a failed member is forgotten.
    pub reconnect_timeout: Duration,
    /// Overrides of memberlist's profile.
    pub tuning: Tuning,
}

/// Overrides of memberlist's profile; `None`: the profile's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Tuning {
    pub gossip_nodes: Option<usize>,
    pub gossip_interval: Option<Duration>,
    pub probe_interval: Option<Duration>,
    pub probe_timeout: Option<Duration>,
    pub suspicion_mult: Option<u32>,
    pub retransmit_mult: Option<u32>,
}

/// Bytes that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

const HOUR: Duration = Duration::from_secs(3600);

impl Default for Gossip {
    fn default() -> Gossip {
        let pool = Pool {
            bind: IpAddr::from([0, 0, 0, 0]),
            advertise: IpAddr::from([127, 0, 0, 1]),
            allowed: None,
            retry_join: Vec::new(),
            retry_interval: Duration::from_secs(30),
            retry_max: 0,
            reconnect_timeout: 72 * HOUR,
            tuning: Tuning::default(),
        };
        Gossip {
            lan: pool.clone(),
            wan: pool,
            encrypt: None,
            verify_incoming: true,
            verify_outgoing: true,
            disable_keyring_file: false,
            rejoin_after_leave: false,
            advertise_reconnect_timeout: None,
        }
    }
}

/// Everything but the addresses, which [`super::build`] reads in Consul's order. Fails as Consul does.
pub(super) fn read(gossip: &mut Gossip, tree: &Tree, dev: bool) -> Result<(), String> {
    // What is no base64 is refused by the validation.
    let key = tree::text(tree, "encrypt").filter(|text| !text.is_empty());
    gossip.encrypt = key.and_then(|text| b64::decode(text.as_bytes()).ok()).map(Secret);
    if let Some(Secret(key)) = &gossip.encrypt
        && ![16, 24, 32].contains(&key.len())
    {
        return Err(format!(
            "encrypt has invalid key: key size must be 16, 24 or 32 bytes, not {}",
            key.len()
        ));
    }
    let flag = |key: &str, default| tree::flag(tree, key).unwrap_or(default);
    gossip.verify_incoming = flag("encrypt_verify_incoming", true);
    gossip.verify_outgoing = flag("encrypt_verify_outgoing", true);
    gossip.disable_keyring_file = flag("disable_keyring_file", false);
    gossip.rejoin_after_leave = flag("rejoin_after_leave", false);
    gossip.advertise_reconnect_timeout = time(tree, "advertise_reconnect_timeout");
    pool(&mut gossip.lan, tree, dev, ["serf_lan_allowed_cidrs", "gossip_lan", ""])?;
    pool(&mut gossip.wan, tree, dev, ["serf_wan_allowed_cidrs", "gossip_wan", "_wan"])
}

fn pool(pool: &mut Pool, tree: &Tree, dev: bool, [allowed, tuning, suffix]: [&str; 3]) -> Result<(), String> {
    let cidrs = tree::texts(tree, allowed);
    if !cidrs.is_empty() {
        let bad = cidrs.iter().filter(|text| Network::parse(text.trim()).is_none());
        let bad: Vec<String> = bad.map(|text| format!("invalid cidr: {text}")).collect();
        if !bad.is_empty() {
            return Err(format!("{allowed}: {}", source::several(&bad)));
        }
        pool.allowed = Some(cidrs.iter().filter_map(|text| Network::parse(text.trim())).collect());
    }
    let interval = time(tree, &format!("retry_interval{suffix}"));
    pool.retry_interval = interval.unwrap_or(pool.retry_interval);
    pool.retry_max = build::count(tree, &format!("retry_max{suffix}"), 0);
    let timeout = time(tree, &format!("reconnect_timeout{suffix}"));
    pool.reconnect_timeout = timeout.unwrap_or(pool.reconnect_timeout);
    let fast = dev.then_some(Duration::from_millis(100));
    let span = |key: &str| time(tree, &format!("{tuning}.{key}"));
    let number = |key: &str| {
        let number = tree::int(tree, &format!("{tuning}.{key}")).filter(|n| *n > 0);
        number.and_then(|n| u32::try_from(n).ok())
    };
    pool.tuning = Tuning {
        gossip_nodes: number("gossip_nodes").map(|n| n as usize),
        gossip_interval: span("gossip_interval").or(fast),
        probe_interval: span("probe_interval").or(fast),
        probe_timeout: span("probe_timeout").or(fast),
        suspicion_mult: number("suspicion_mult").or(dev.then_some(3)),
        retransmit_mult: number("retransmit_mult"),
    };
    Ok(())
}

/// The names to join.
pub(super) fn joins(gossip: &mut Gossip, tree: &Tree, host: &HostFacts, errors: &mut Vec<String>) {
    gossip.lan.retry_join = addr::names("retry_join", &tree::texts(tree, "retry_join"), host, errors);
    gossip.wan.retry_join = addr::names("retry_join_wan", &tree::texts(tree, "retry_join_wan"), host, errors);
}

/// A positive duration that the survey has checked already.
fn time(tree: &Tree, path: &str) -> Option<Duration> {
    let nanos = duration::parse(tree::text(tree, path)?).ok()?;
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}
